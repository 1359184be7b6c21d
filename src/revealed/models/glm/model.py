"""The Bayesian generalised linear model that learns online. Imports its own room, evidence and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.evidence import Gaussian
from revealed.evidence.level import quantile, require_level
from revealed.files import load_saved, write_whole
from revealed.models.glm.batch import mode
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.grouped import GroupedPosterior
from revealed.models.glm.links import LARGEST, GaussianLink, Link, link_from_dict, link_named
from revealed.models.glm.noise import NoiseEstimate
from revealed.models.glm.posterior import Matrix, Posterior, Sites, Vector, times

#: Their number is checked with words of its own.
Answers = Float[np.ndarray, " answers"]

KINDS: dict[str, type[FullPosterior] | type[DiagonalPosterior] | type[GroupedPosterior]] = {
    "full": FullPosterior,
    "diagonal": DiagonalPosterior,
    "grouped": GroupedPosterior,
}


@dataclass(frozen=True, eq=False)
class Expected:
    """Expected answers with intervals.

    Parameters
    ----------
    mean, low, high : ndarray of float64, shape (rows,)
        The expected answer over the posterior; and the ends of the interval of the expected answer at the parameters.
    level : float
        The probability of the interval.
    """

    mean: Vector
    low: Vector
    high: Vector
    level: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Expected against observed answers, in bins of equal numbers of rows.

    Parameters
    ----------
    expected, observed : ndarray of float64, shape (bins,)
        Means of each bin, by rising expectation.
    n_rows : ndarray of int64, shape (bins,)
    """

    expected: np.ndarray
    observed: np.ndarray
    n_rows: np.ndarray

    @property
    def error(self) -> float:
        """The mean distance of observed from expected, weighted by rows."""
        return float(np.average(np.abs(self.expected - self.observed), weights=self.n_rows))


@dataclass(frozen=True, eq=False)
class BayesianGLM:
    """A generalised linear model with a Gaussian posterior; immutable: learning returns another.

    Parameters
    ----------
    link : Link
    posterior, prior : Posterior
    n_answers : int
        Answers learned.
    noise : NoiseEstimate, optional
        What answers told of the noise of a Gaussian link, where nobody knows it: the link then has the estimate, and
        beliefs are as wide, in units of the noise, as without it.
    """

    link: Link
    posterior: Posterior
    prior: Posterior
    n_answers: int = 0
    noise: NoiseEstimate | None = None

    @classmethod
    def fresh(
        cls,
        n_params: int,
        link: str | Link = "logit",
        *,
        covariance: str = "full",
        groups: Sequence[int] | np.ndarray | None = None,
        mean: float | Float[np.ndarray, " K"] = 0.0,
        variance: float | Float[np.ndarray, " K"] = 1.0,
    ) -> BayesianGLM:
        """Return a model that has learned nothing.

        Parameters
        ----------
        n_params : int
        link : str or Link
            probit, logit, gaussian or poisson.
        covariance : str
            "full", "grouped" (within groups) or "diagonal".
        groups : sequence of int, shape (K,), optional
            The group of each parameter, for "grouped".
        mean, variance : float or ndarray, shape (K,)
            Of the prior.

        Raises
        ------
        SpecificationError
            If there is no such link or covariance, or a variance is not above zero.
        """
        if covariance not in KINDS:
            raise SpecificationError(f"no covariance {covariance!r}; {nearest(covariance, KINDS)}")
        means = np.broadcast_to(np.asarray(mean, dtype=np.float64), (n_params,)).copy()
        variances = np.broadcast_to(np.asarray(variance, dtype=np.float64), (n_params,)).copy()
        prior: Posterior
        if covariance == "grouped":
            if groups is None:
                raise SpecificationError("a grouped covariance needs the group of each parameter: groups=…")
            prior = GroupedPosterior.independent(means, variances, groups)
        else:
            kind = FullPosterior if covariance == "full" else DiagonalPosterior
            prior = kind.independent(means, variances)
        return cls(link_named(link) if isinstance(link, str) else link, prior, prior)

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return self.posterior.n_params

    def learn(self, rows: Rows | Matrix, answers: Answers) -> BayesianGLM:
        """Return the model after some answers; see the posterior's ``learn`` for how each link learns.

        Raises
        ------
        DataError
            If an answer cannot be, or features are not finite; nothing is learned then.
        """
        return self.learned(rows, answers)[0]

    def learned(self, rows: Rows | Matrix, answers: Answers) -> tuple[BayesianGLM, Sites]:
        """Return the model after some answers, and what they added, to be taken out again by :meth:`without`."""
        answers = np.asarray(answers, dtype=np.float64)
        self._require(rows, answers)
        posterior, sites = self.posterior.learn(self.link, rows, answers)
        learned = replace(self, posterior=posterior, n_answers=self.n_answers + len(answers))
        if self.noise is None or not len(answers):
            return learned, sites
        missed = answers - times(rows, posterior.mean)
        first = float(times(rows, self.prior.mean)[0])
        told = self.noise.plus(answers, float(missed @ missed) + self._missed_more(posterior.mean), first)
        return learned._told(told), sites

    def without(self, sites: Sites) -> BayesianGLM:
        """Return the model without what some answers added.

        Raises
        ------
        EvidenceError
            If no proper belief is left: those answers were not in it.
        SpecificationError
            If the noise is estimated, from these answers too.
        """
        if self.noise is not None:
            raise SpecificationError(
                "the noise was estimated from these answers: to take some out, learn the others anew"
            )
        return replace(self, posterior=self.posterior.without(sites), n_answers=self.n_answers - len(sites))

    def faded(self, keep: float) -> BayesianGLM:
        """Return the model with a share of what it learned beyond its prior, for worlds that drift."""
        faded = replace(self, posterior=self.posterior.faded(keep, self.prior))
        if self.noise is None:
            return faded
        return faded._told(self.noise.missing(self._missed_more(faded.posterior.mean)).faded(keep))

    def with_prior(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> BayesianGLM:
        """Return the model with independent beliefs in place of its prior, and all it learned.

        In natural parameters the one is taken out and the other put in. Exact for Gaussian answers; for others the
        sites stay where the old prior put them, and :meth:`replay` moves them.
        """
        prior = self.prior.anew(mean, variance)
        posterior = self.posterior.with_prior(self.prior, prior)
        noise = None if self.noise is None else self.noise.missing(self._missed_more(posterior.mean))
        return replace(self, prior=prior, posterior=posterior, noise=noise)

    def replay(self, rows: Rows | Matrix, answers: Answers) -> BayesianGLM:
        """Return the model that starts from the prior and takes all answers together, until nothing moves.

        With all covariances: Laplace at the mode, by the Newton driver. Otherwise sites are refined in turns
        (expectation propagation) until the means stand still. Where the noise is estimated, answers are learned anew in
        one pass, which with all covariances comes to the same.

        Raises
        ------
        EvidenceError
            If it does not settle.
        """
        answers = np.asarray(answers, dtype=np.float64)
        self._require(rows, answers)
        if self.noise is not None:
            return self.unlearned().learn(rows, answers)
        if isinstance(self.prior, FullPosterior):
            prior = Gaussian(self.prior.precision, self.prior.shift)
            found = mode(self.link, rows, answers, prior)
            precision = found.evidence.information + prior.precision
            posterior: Posterior = FullPosterior(precision, precision @ found.params)
        else:
            from revealed.models.glm.refine import refined

            posterior = refined(self.link, rows, answers, self.prior)
        return replace(self, posterior=posterior, n_answers=len(answers))

    def expected(self, rows: Rows | Matrix, level: float = 0.95) -> Expected:
        """Return the expected answer of each row with an interval."""
        require_level(level)
        self._require(rows, None)
        mean, variance = self.posterior.predictor(rows)
        reach = quantile(level) * np.sqrt(variance)
        return Expected(
            self.link.expected(mean, variance), self.link.mean(mean - reach), self.link.mean(mean + reach), level
        )

    def draws(self, count: int, seed: int) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the posterior, the same for the same seed."""
        return self.posterior.draw(np.random.Generator(np.random.Philox(seed)).standard_normal((count, self.n_params)))

    def calibration(self, rows: Rows | Matrix, answers: Vector, bins: int = 10) -> Calibration:
        """Return expected against observed answers, in bins of equal numbers of rows."""
        if len(answers) < bins or bins < 1:
            raise SpecificationError(f"{bins} bins need at least as many answers, not {len(answers)}")
        expected = self.expected(rows).mean
        order = np.array_split(np.argsort(expected, kind="stable"), bins)
        return Calibration(
            np.array([expected[some].mean() for some in order]),
            np.array([np.asarray(answers)[some].mean() for some in order]),
            np.array([len(some) for some in order]),
        )

    def extended(self, mean: Float[np.ndarray, " new"], variance: Float[np.ndarray, " new"]) -> BayesianGLM:
        """Return the model with new parameters that start from their own prior."""
        return replace(
            self, posterior=self.posterior.extended(mean, variance), prior=self.prior.extended(mean, variance)
        )

    # ---- the unit of Gaussian answers -----------------------------------------------------------------------------

    @property
    def unit(self) -> float:
        """The noise of Gaussian answers; one for other links, whose predictors have a unit of their own."""
        return self.link.noise if isinstance(self.link, GaussianLink) else 1.0

    def in_unit(self, unit: float) -> BayesianGLM:
        """Return the model of the same Gaussian answers, each divided by a number."""
        if unit == 1:
            return self
        assert isinstance(self.link, GaussianLink)
        posterior, prior = (belief.scaled(unit**2, unit) for belief in (self.posterior, self.prior))
        noise = None if self.noise is None else self.noise.in_unit(unit)
        return replace(self, link=GaussianLink(self.link.noise / unit), posterior=posterior, prior=prior, noise=noise)

    def unlearned(self) -> BayesianGLM:
        """Return the model before it learned, but for what the noise turned out to be."""
        noise = None if self.noise is None else NoiseEstimate()
        return replace(self, posterior=self.prior, n_answers=0, noise=noise)

    def with_noise(self, noise: float) -> BayesianGLM:
        """Return the model of Gaussian answers with another noise, and beliefs as wide in units of it as they were."""
        ratio = (self.unit / noise) ** 2
        posterior, prior = (belief.scaled(ratio, ratio) for belief in (self.posterior, self.prior))
        return replace(self, link=GaussianLink(noise), posterior=posterior, prior=prior)

    def _missed_more(self, mean: Float[np.ndarray, " K"]) -> float:
        """Return by how much more the answers learned miss what is expected of them, in squares, at another mean.

        That follows from how far the mean goes: what answers say is the posterior's without the prior's.
        """
        before = self.posterior.mean
        moved = self.posterior.distance(mean) + self.prior.distance(before) - self.prior.distance(mean)
        return self.unit**2 * moved

    def _told(self, noise: NoiseEstimate) -> BayesianGLM:
        determined = float(np.sum(1 - self.posterior.variance / self.prior.variance))
        return replace(self.with_noise(noise.deviation(self.unit, determined)), noise=noise)

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "format": 1,
            "link": self.link.to_dict(),
            "posterior": self.posterior.to_dict(),
            "prior": self.prior.to_dict(),
            "n_answers": self.n_answers,
            **({} if self.noise is None else {"noise": asdict(self.noise)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BayesianGLM:
        """Return the model that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If a newer version of the package wrote it.
        """
        if data.get("format") != 1:
            raise SpecificationError(
                f"a model of format {data.get('format')!r}, which this version does not know; use the version that "
                "wrote it, or a newer one"
            )
        posterior, prior = (KINDS[data[part]["kind"]].from_dict(data[part]) for part in ("posterior", "prior"))
        noise = NoiseEstimate(**data["noise"]) if "noise" in data else None
        return cls(link_from_dict(data["link"]), posterior, prior, int(data["n_answers"]), noise)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the model as JSON, all or nothing."""
        write_whole(path, json.dumps(self.to_dict()))
        return Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> BayesianGLM:
        """Return the model that :meth:`save` wrote.

        Raises
        ------
        DataError
            If there is no such file, it is no JSON, or parts of it are missing or spoiled.
        """
        return load_saved(path, cls.from_dict, "give a file that BayesianGLM.save wrote")

    # ---- checks ---------------------------------------------------------------------------------------------------

    def _require(self, rows: Rows | Matrix, answers: Answers | None) -> None:
        n_params = rows.n_params if isinstance(rows, Rows) else rows.shape[1]
        if n_params != self.n_params:
            raise SpecificationError(f"rows of {n_params} features for a model of {self.n_params} parameters")
        if answers is not None and len(answers) != len(rows):
            raise SpecificationError(f"{len(answers)} answers for {len(rows)} rows")
        values = rows.value if isinstance(rows, Rows) else rows
        if not np.isfinite(values).all():
            what = "features that are not finite numbers"
            raise DataError("rows", [Problem(what, "fill them in, or leave those rows out")])
        if answers is not None and values.size and max(values.max(), -values.min()) > LARGEST:
            worst = float(values.flat[np.abs(values).argmax()])
            what = f"a feature of {worst:g}, whose square is beyond what numbers hold"
            raise DataError("rows", [Problem(what, "correct it, or measure it in a unit in which it is about one")])

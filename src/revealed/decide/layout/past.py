r"""What past tests say of layouts: the GLM fitted to counts, with an effect of each test. Imports models to choices.

A row of :math:`n` impressions and :math:`c` clicks says :math:`c \log p + (n - c) \log(1 - p)`. Each test has a level
of its own, :math:`\tau_t \sim N(0, s^2)`, and :math:`s` is learned from the tests (EM). The posterior is Laplace's, at
the joint mode; the levels are taken out of it by a Schur complement, so that thousands of tests cost little.

Rows of real tests vary more than clicks by chance do: by hours, audiences and what no slot tells. Where Pearson's
statistic says so (at 5%), counts are divided by the dispersion, as quasi-likelihood does (Wedderburn 1974), and all
intervals widen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from scipy.stats import chi2

from revealed.decide.layout.design import Design, Priors
from revealed.decide.layout.effects import Effect
from revealed.decide.layout.learner import LayoutLearner
from revealed.decide.layout.ranking import Ranking
from revealed.decide.layout.search import SearchOptions
from revealed.decide.layout.space import Layouts
from revealed.decide.layout.table import LayoutTests
from revealed.errors import SpecificationError, nearest
from revealed.files import write_whole
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import Link, link_named
from revealed.models.glm.model import BayesianGLM

#: Parameters beyond which all covariances are too many.
MOST_PARAMS = 4000

#: The first guess of the deviation of tests' levels, which counts as much as one further test.
_TEST_DEVIATION = 0.5


@dataclass(frozen=True, eq=False)
class TestsFit:
    """What past tests say; a learner that goes on from there is in it.

    Parameters
    ----------
    learner : LayoutLearner
        Its posterior is what the tests say, at the level of the average test.
    layouts : ndarray of int, shape (n, slots)
        The distinct layouts that were shown.
    impressions, clicks : ndarray of float64, shape (n,)
        Of each over all tests.
    n_rows, n_tests : int
        Of the table.
    test_deviation : float
        The standard deviation of the tests' levels, in units of the predictor; 0 where there is one test.
    dispersion : float
        By which counts were divided; 1 where rows vary as chance has it.
    converged : bool
    """

    __test__ = False  # pytest: it is no test, whatever its name says

    learner: LayoutLearner
    layouts: Layouts
    impressions: Float[np.ndarray, " n"]
    clicks: Float[np.ndarray, " n"]
    n_rows: int
    n_tests: int
    test_deviation: float
    dispersion: float
    converged: bool

    def effects(self, level: float = 0.95) -> tuple[Effect, ...]:
        """Return the effect of each option and pair, with intervals."""
        return self.learner.effects(level)

    def ranked(self, *, top: int = 10, level: float = 0.95, seed: int = 0) -> Ranking:
        """Return the layouts of the highest expected rates of clicks, in the average test."""
        return self.learner.ranked(top=top, level=level, seed=seed)

    def impressions_of(self, layout: Mapping[str, str]) -> int:
        """Return how often tests showed a layout."""
        numbers = [slot.options.index(layout[slot.name]) for slot in self.learner.design.space.slots]
        return int(self.impressions[(self.layouts == numbers).all(axis=1)].sum())

    def impressions_of_effect(self, effect: Effect) -> int:
        """Return how often tests showed an option, or a pair."""
        space = self.learner.design.space
        there = np.ones(len(self.layouts), dtype=bool)
        for name, option in zip(effect.slots, effect.options, strict=True):
            slot = space.slot_of(name)
            there &= self.layouts[:, slot] == space.slots[slot].options.index(option)
        return int(self.impressions[there].sum())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "format": 1,
            "kind": "layout tests fit",
            "learner": self.learner.to_dict(),
            "layouts": self.layouts.tolist(),
            "impressions": self.impressions.tolist(),
            "clicks": self.clicks.tolist(),
            **{name: getattr(self, name) for name in _PLAIN},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TestsFit:
        """Return the fit that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If it is none, or a newer version of the package wrote it.
        """
        if data.get("kind") != "layout tests fit" or data.get("format") != 1:
            raise SpecificationError(
                f"not a fit of layout tests of format 1 but {data.get('kind')!r} of format {data.get('format')!r}; "
                "read it with the version that wrote it, or a newer one"
            )
        return cls(
            LayoutLearner.from_dict(data["learner"]),
            np.array(data["layouts"], dtype=np.int64),
            np.array(data["impressions"], dtype=np.float64),
            np.array(data["clicks"], dtype=np.float64),
            **{name: data[name] for name in _PLAIN},
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the fit as JSON, whole or not at all."""
        return write_whole(path, json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TestsFit:
        """Return the fit that :meth:`save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


_PLAIN = ("n_rows", "n_tests", "test_deviation", "dispersion", "converged")


def fit_tests(
    tests: LayoutTests,
    link: str = "logit",
    *,
    pairs: bool | Sequence[tuple[str, str]] = True,
    priors: Priors | None = None,
    options: SearchOptions | None = None,
) -> TestsFit:
    """Fit what options and pairs of them do to a table of past tests.

    Parameters
    ----------
    tests : LayoutTests
    link : {"logit", "probit"}
    pairs : bool or sequence of (str, str)
        All pairs of slots, none, or these.
    priors : Priors, optional
    options : SearchOptions, optional
        How the best layout is looked for.

    Raises
    ------
    SpecificationError
        For another link, or options beyond some thousand parameters.
    """
    if link not in ("logit", "probit"):
        raise SpecificationError(f"no link {link!r} for clicks; {nearest(link, ('logit', 'probit'))}")
    law, design = link_named(link), Design.of(tests.space, pairs=pairs)
    if design.n_params > MOST_PARAMS:
        raise SpecificationError(
            f"{design.n_params:,} effects are more than the {MOST_PARAMS:,} that can be fitted together; name "
            "fewer slots, leave pairs out, or make options coarser"
        )
    counts = _Counts(design.rows(tests.layouts), tests.impressions, tests.clicks, tests.tests, len(tests.names))
    prior = FullPosterior.independent(*design.prior(priors or Priors()))
    found = _settled(law, counts, prior)
    dispersion = _dispersion(law, counts, found, prior)
    if dispersion > 1:
        found = _settled(law, counts.divided(dispersion), prior, found)
    posterior = FullPosterior(found.precision, found.precision @ found.params)
    model = BayesianGLM(law, posterior, prior, int(tests.impressions.sum()))
    cells, cell = np.unique(tests.layouts, axis=0, return_inverse=True)
    return TestsFit(
        LayoutLearner(design, model, options=options or SearchOptions()),
        cells,
        np.bincount(cell.ravel(), tests.impressions, len(cells)),
        np.bincount(cell.ravel(), tests.clicks, len(cells)),
        n_rows=len(tests),
        n_tests=len(tests.names),
        test_deviation=float(np.sqrt(found.test_variance)) if len(tests.names) > 1 else 0.0,
        dispersion=dispersion,
        converged=found.converged,
    )


# ---- the fit --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Counts:
    """Rows of counts; each belongs to a test."""

    x: Float[np.ndarray, "n K"]
    impressions: Float[np.ndarray, " n"]
    clicks: Float[np.ndarray, " n"]
    test: np.ndarray
    n_tests: int

    def divided(self, by: float) -> _Counts:
        return _Counts(self.x, self.impressions / by, self.clicks / by, self.test, self.n_tests)


@dataclass(frozen=True, eq=False)
class _Mode:
    """The joint mode, the precision of the parameters with the levels taken out, and the levels' second moments."""

    params: Float[np.ndarray, " K"]
    levels: Float[np.ndarray, " tests"]
    precision: Float[np.ndarray, "K K"]
    level_variance: Float[np.ndarray, " tests"]
    test_variance: float
    converged: bool


def _settled(link: Link, counts: _Counts, prior: FullPosterior, start: _Mode | None = None) -> _Mode:
    """Return the mode at the variance of tests' levels that the levels themselves imply (EM)."""
    variance = _TEST_DEVIATION**2
    params, levels = prior.mean, np.zeros(counts.n_tests)
    if start is not None:
        variance, params, levels = start.test_variance, start.params, start.levels
    if counts.n_tests == 1:  # its level is the intercept
        return _mode(link, counts, prior, 0.0, params, levels)
    for _ in range(200):
        found = _mode(link, counts, prior, variance, params, levels)
        params, levels = found.params, found.levels
        moment = float((found.levels**2 + found.level_variance).sum())
        implied = (moment + _TEST_DEVIATION**2) / (counts.n_tests + 1)
        if abs(implied - variance) < 1e-3 * variance:
            break
        variance = implied
    return found


def _mode(
    link: Link,
    counts: _Counts,
    prior: FullPosterior,
    test_variance: float,
    params: Float[np.ndarray, " K"],
    levels: Float[np.ndarray, " tests"],
) -> _Mode:
    """Return the joint mode by Newton's method with halving; all log-likelihoods of ours are concave.

    With no variance levels stay where they are.
    """
    reached, converged = _density(link, counts, prior, test_variance, params, levels), False
    for _ in range(100):
        arrow = _Arrow.at(link, counts, prior, test_variance, params, levels)
        step, move = arrow.step()
        if float(arrow.gradient @ step + arrow.pull @ move) < 1e-10:
            converged = True
            break
        length = 1.0
        while length > 1e-10:
            trial = params + length * step, levels + length * move
            value = _density(link, counts, prior, test_variance, *trial)
            if value >= reached:
                break
            length /= 2
        (params, levels), reached = trial, value
    variance = arrow.level_variance() if test_variance else np.zeros_like(levels)
    return _Mode(params, levels, arrow.schur, variance, test_variance, converged)


def _density(
    link: Link,
    counts: _Counts,
    prior: FullPosterior,
    test_variance: float,
    params: Float[np.ndarray, " K"],
    levels: Float[np.ndarray, " tests"],
) -> float:
    """Return the log of the joint density of clicks, parameters and levels, but for a constant."""
    f = counts.x @ params + levels[counts.test]
    ones = np.ones_like(f)
    told = counts.clicks @ link.log_likelihood(ones, f)
    told += (counts.impressions - counts.clicks) @ link.log_likelihood(0 * ones, f)
    believed = params @ (prior.shift - 0.5 * (prior.precision @ params))
    return float(told + believed - (0.5 * (levels @ levels) / test_variance if test_variance else 0.0))


@dataclass(frozen=True, eq=False)
class _Arrow:
    """Gradient and Hessian at a point: dense in the parameters, diagonal in the levels, with what crosses them."""

    gradient: Float[np.ndarray, " K"]
    pull: Float[np.ndarray, " tests"]
    schur: Float[np.ndarray, "K K"]
    own: Float[np.ndarray, " tests"]
    cross: Float[np.ndarray, "tests K"]

    @classmethod
    def at(
        cls,
        link: Link,
        counts: _Counts,
        prior: FullPosterior,
        test_variance: float,
        params: Float[np.ndarray, " K"],
        levels: Float[np.ndarray, " tests"],
    ) -> _Arrow:
        x, f = counts.x, counts.x @ params + levels[counts.test]
        ones, misses = np.ones_like(f), counts.impressions - counts.clicks
        (up, bend_up), (down, bend_down) = link.slope(ones, f), link.slope(0 * ones, f)
        first, second = counts.clicks * up + misses * down, counts.clicks * bend_up + misses * bend_down
        gradient = prior.shift - prior.precision @ params + first @ x
        schur = prior.precision + (x.T * second) @ x
        if not test_variance:  # levels that cannot move
            still = np.zeros_like(levels)
            return cls(gradient, still, schur, np.ones_like(levels), np.zeros((len(levels), x.shape[1])))
        of_test = csr_matrix((ones, (counts.test, np.arange(len(x)))), shape=(counts.n_tests, len(x)))
        own = of_test @ second + 1 / test_variance
        cross = np.asarray(of_test @ (x * second[:, None]))
        return cls(gradient, of_test @ first - levels / test_variance, schur - (cross.T / own) @ cross, own, cross)

    def step(self) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " tests"]]:
        """Return Newton's step of the parameters and of the levels."""
        step = cho_solve(cho_factor(self.schur), self.gradient - self.cross.T @ (self.pull / self.own))
        return step, (self.pull - self.cross @ step) / self.own

    def level_variance(self) -> Float[np.ndarray, " tests"]:
        """Return the variance of each level."""
        weights = self.cross / self.own[:, None]
        return np.asarray(1 / self.own + np.einsum("tk,kt->t", weights, cho_solve(cho_factor(self.schur), weights.T)))


def _dispersion(link: Link, counts: _Counts, found: _Mode, prior: FullPosterior) -> float:
    """Return Pearson's statistic by its degrees of freedom where it is above chance at 5%, else 1."""
    shown = counts.impressions > 0
    n, clicks = counts.impressions[shown], counts.clicks[shown]
    rate = link.mean(counts.x[shown] @ found.params + found.levels[counts.test[shown]])
    statistic = float(((clicks - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
    posterior = FullPosterior(found.precision, found.precision @ found.params)
    taken = float((1 - posterior.variance / prior.variance).sum())
    if found.test_variance:
        taken += float((1 - found.level_variance / found.test_variance).sum())
    left = int(shown.sum()) - taken
    if left < 1 or statistic <= chi2.ppf(0.95, left):
        return 1.0
    return statistic / left

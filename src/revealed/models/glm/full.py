"""A posterior with all covariances: for some thousand parameters at most. Imports its own room, evidence and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri, dtrtrs

from revealed.errors import EvidenceError, SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import GaussianLink, Link, Probit
from revealed.models.glm.posterior import Matrix, Posterior, Sites, Vector, dense
from revealed.models.glm.tilt import tilt_of


@dataclass(frozen=True, eq=False)
class FullSites:
    """Sites of answers in their linear predictors.

    Parameters
    ----------
    rows : ndarray of float64, shape (rows, K)
    precision, shift : ndarray of float64, shape (rows,)
        What each adds: ``precision · x xᵀ`` and ``shift · x``.
    """

    rows: Matrix
    precision: Vector
    shift: Vector

    def __len__(self) -> int:
        return len(self.precision)


@dataclass(frozen=True, eq=False)
class FullPosterior:
    r"""A Gaussian with precision :math:`\Lambda` and shift :math:`\eta = \Lambda\mu`.

    Parameters
    ----------
    precision : ndarray of float64, shape (K, K)
    shift : ndarray of float64, shape (K,)
    """

    precision: Float[np.ndarray, "K K"]
    shift: Float[np.ndarray, " K"]

    @classmethod
    def independent(cls, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> FullPosterior:
        """Return independent beliefs, a prior for instance."""
        require_variances(variance)
        return cls(np.diag(1 / variance), mean / variance)

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return len(self.shift)

    @cached_property
    def factor(self) -> Float[np.ndarray, "K K"]:
        """The lower Cholesky factor of the precision: ``factor @ factor.T``.

        Raises
        ------
        EvidenceError
            If the precision is not positive definite.
        """
        if not self.n_params:
            return self.precision  # LAPACK knows no empty matrices
        factor, failed = dpotrf(self.precision, lower=1)
        if failed:
            raise EvidenceError(
                "these answers cannot be taken out of (or added to) this posterior: no proper belief is left; take out "
                "only what was put in, each once"
            )
        return np.asarray(factor)

    @cached_property
    def root(self) -> Float[np.ndarray, "K K"]:
        """A square root of the covariance: ``root @ root.T``.

        Raises
        ------
        EvidenceError
            If the precision is not positive definite.
        """
        if not self.n_params:
            return self.precision
        inverse, failed = dtrtri(self.factor, lower=1)
        if failed:
            raise EvidenceError("the precision of this posterior is singular")
        return np.ascontiguousarray(inverse.T)

    @cached_property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean of each parameter."""
        return np.asarray(dpotrs(self.factor, self.shift, lower=1)[0]) if self.n_params else self.shift

    @cached_property
    def variance(self) -> Float[np.ndarray, " K"]:
        """The variance of each parameter."""
        return np.asarray(np.einsum("kl,kl->k", self.root, self.root))

    @property
    def covariance(self) -> Float[np.ndarray, "K K"]:
        """The covariance matrix."""
        return np.asarray(self.root @ self.root.T)

    def predictor(self, rows: Rows | Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance of each row's linear predictor."""
        x = dense(rows)
        spread = x @ self.root
        return x @ self.mean, np.einsum("rk,rk->r", spread, spread)

    def draw(self, normals: Float[np.ndarray, "draws K"]) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the posterior, given independent standard normals."""
        drawn = normals @ self.root.T
        drawn += self.mean
        return np.asarray(drawn)

    def learn(self, link: Link, rows: Rows | Matrix, answers: Vector) -> tuple[FullPosterior, FullSites]:
        """Return the posterior after some answers, and what they added.

        Probit answers are taken one after the other (one pass of assumed-density filtering); Gaussian ones exactly;
        logit and Poisson ones jointly, by Laplace at the mode of the posterior of the batch.

        Raises
        ------
        DataError
            If an answer cannot be.
        """
        link.require(answers)
        x = dense(rows)
        if isinstance(link, GaussianLink):
            precision, shift = link.site(answers, x @ self.mean, np.ones(len(x)))
        elif len(x) == 1:
            precision, shift = self._alone(link, x[0], float(answers[0]))
        elif isinstance(link, Probit):
            precision, shift = self._one_by_one(link, x, answers)
        else:
            precision, shift = self._at_joint_mode(link, x, answers)
        sites = FullSites(x, precision, shift)
        return self.changed(sites, 1.0), sites

    def without(self, sites: Sites) -> FullPosterior:
        """Return the posterior without what some answers added.

        Raises
        ------
        EvidenceError
            If no proper belief is left.
        """
        left = self.changed(sites, -1.0)
        _ = left.factor  # says so now if it is not proper
        return left

    def faded(self, keep: float, prior: Posterior) -> FullPosterior:
        """Return the posterior with a share of what was learned beyond the prior."""
        require_share(keep)
        assert isinstance(prior, FullPosterior)
        return FullPosterior(
            prior.precision + keep * (self.precision - prior.precision), prior.shift + keep * (self.shift - prior.shift)
        )

    def extended(self, mean: Float[np.ndarray, " new"], variance: Float[np.ndarray, " new"]) -> FullPosterior:
        """Return the posterior with new parameters, independent of the others."""
        require_variances(variance)
        k, new = self.n_params, len(mean)
        precision = np.zeros((k + new, k + new))
        precision[:k, :k] = self.precision
        precision[range(k, k + new), range(k, k + new)] = 1 / variance
        return FullPosterior(precision, np.concatenate([self.shift, mean / variance]))

    def anew(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> FullPosterior:
        """Return independent beliefs of the same kind."""
        return FullPosterior.independent(mean, variance)

    def with_prior(self, before: Posterior, after: Posterior) -> FullPosterior:
        """Return the posterior with one prior in place of another."""
        assert isinstance(before, FullPosterior)
        assert isinstance(after, FullPosterior)
        return FullPosterior(
            self.precision - before.precision + after.precision, self.shift - before.shift + after.shift
        )

    def scaled(self, precision: float, shift: float) -> FullPosterior:
        """Return the posterior with precision and shift times two numbers."""
        return FullPosterior(precision * self.precision, shift * self.shift)

    def distance(self, mean: Float[np.ndarray, " K"]) -> float:
        """Return how far a mean is from the posterior's, squared, as its precision measures it."""
        away = mean - self.mean
        return float(away @ (self.precision @ away))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"kind": "full", "precision": self.precision.tolist(), "shift": self.shift.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FullPosterior:
        """Return the posterior that :meth:`to_dict` wrote."""
        shift = np.array(data["shift"], dtype=np.float64)
        return cls(np.array(data["precision"], dtype=np.float64).reshape(len(shift), len(shift)), shift)

    def changed(self, sites: Sites, sign: float) -> FullPosterior:
        """Return the posterior with sites added (sign 1) or taken out (sign -1)."""
        if not isinstance(sites, FullSites):
            raise SpecificationError("these sites are of another kind of posterior")
        x = sites.rows
        if len(x) == 1:  # an outer product costs a fifth of a general one
            row = x[0]
            precision = self.precision + np.multiply.outer((sign * sites.precision[0]) * row, row)
            return FullPosterior(precision, self.shift + (sign * sites.shift[0]) * row)
        added = _weighted_gram(x, sites.precision)
        return FullPosterior(self.precision + sign * added, self.shift + sign * (sites.shift @ x))

    def _alone(self, link: Link, row: Float[np.ndarray, " K"], answer: float) -> tuple[Vector, Vector]:
        """Return the site of a single answer: the mode, too, then lies on one line, so that plain numbers find it."""
        # A root takes longer than the factor and all else here, and who only learns needs none.
        spread = dtrtrs(self.factor, row, lower=1)[0]
        mean, variance = float(row.dot(self.mean)), float(spread.dot(spread))
        first, second = tilt_of(link)(answer, mean, variance)
        left = 1 - variance * second
        return np.array([second / left]), np.array([(first + mean * second) / left])

    def _one_by_one(self, link: Link, x: Matrix, answers: Vector) -> tuple[Vector, Vector]:
        mean, covariance = self.mean.copy(), self.covariance
        precision, shift = np.empty(len(x)), np.empty(len(x))
        tilt = tilt_of(link)
        for i, answer in enumerate(answers.tolist()):
            row = x[i]
            gain = covariance.dot(row)
            m, v = float(row.dot(mean)), float(row.dot(gain))
            first, second = tilt(answer, m, v)
            left = 1 - v * second
            precision[i], shift[i] = second / left, (first + m * second) / left
            mean += first * gain
            covariance -= np.multiply.outer(second * gain, gain)
        return precision, shift

    def _at_joint_mode(self, link: Link, x: Matrix, answers: Vector) -> tuple[Vector, Vector]:
        """Return the sites at the mode of the posterior, by Newton's method with halving.

        The curvature costs most of a step and changes little from one to the next, so it is worked out anew only when a
        step has gained less than a digit.
        """
        params = self.mean
        predictor = x @ params
        objective = self._log_density(params) + float(link.log_likelihood(answers, predictor).sum())
        before, fresh = 0.0, True
        for _ in range(100):
            first, second = link.slope(answers, predictor)
            gradient = self.shift - self.precision @ params + first @ x
            if fresh:
                factor, failed = dpotrf(self.precision + _weighted_gram(x, second), lower=1)
                if failed:
                    raise EvidenceError("this posterior is not proper, so nothing can be learned from it")
            step = dpotrs(factor, gradient, lower=1)[0]
            squared = float(gradient @ step)  # the distance to the mode in standard deviations, squared
            if squared * squared <= 1e-14 * before:  # the next step gains no less than this one did
                predictor = x @ (params + step)
                break
            fresh = squared > (0.01 * before or 1.0)
            before = squared
            trial = params + step
            at = x @ trial
            if squared > 1e-3:  # nearer than that a whole step is never too long
                length = 1.0
                while length > 1e-12:
                    with np.errstate(over="ignore"):
                        reached = self._log_density(trial) + float(link.log_likelihood(answers, at).sum())
                    if reached >= objective - 1e-12 * abs(objective):
                        break
                    length /= 2
                    trial = params + length * step
                    at = x @ trial
                objective, fresh = reached, fresh or length < 1
            params, predictor = trial, at
        first, second = link.slope(answers, predictor)
        return second, first + second * predictor

    def _log_density(self, params: Float[np.ndarray, " K"]) -> float:
        return float(params @ (self.shift - 0.5 * (self.precision @ params)))


def _weighted_gram(x: Matrix, weight: Vector) -> Float[np.ndarray, "K K"]:
    """Return ``xᵀ diag(weight) x``, at half the work where no weight is below zero."""
    if (weight < 0).any():
        return np.asarray((x.T * weight) @ x)
    scaled = x * np.sqrt(weight)[:, None]
    return np.asarray(scaled.T @ scaled)  # a matrix times itself: numpy has the symmetric product of BLAS for it


def require_variances(variance: np.ndarray) -> None:
    """Raise SpecificationError unless all variances are finite and above zero."""
    if not (np.isfinite(variance).all() and (variance > 0).all()):
        raise SpecificationError("prior variances must be finite numbers above zero")


def require_share(keep: float) -> None:
    """Raise SpecificationError unless a share to keep is above zero and at most one."""
    if not 0 < keep <= 1:
        raise SpecificationError(f"the share to keep must be above 0 and at most 1, not {keep!r}")

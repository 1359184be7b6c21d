r"""Counts of past tests, and the mode of all that made them at given deviations. Imports models.

A row of :math:`n` impressions and :math:`c` clicks says :math:`c \log p(f) + (n - c) \log(1 - p(f))`, where

.. math::
   f = x^\top w + \tau_t + \epsilon_r, \qquad \tau_t \sim N(0, s^2), \quad \epsilon_r \sim N(0, d^2)

with the level of the row's test, and what else makes the row differ: hours, audiences, what no slot tells. Levels and
rows are taken out of Newton's step by Schur complements, so that thousands of them cost little; a deviation of zero
needs no case of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from revealed.decide.layout.design import Design
from revealed.models.glm.links import Link

#: Newton's steps at most; all log-likelihoods of ours are concave.
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Counts:
    """Rows of counts; each belongs to a test.

    Parameters
    ----------
    x : ndarray of float64, shape (n, K)
    impressions, clicks : ndarray of float64, shape (n,)
    test : ndarray of int, shape (n,)
        Numbered from 0.
    n_tests : int
    """

    x: Float[np.ndarray, "n K"]
    impressions: Float[np.ndarray, " n"]
    clicks: Float[np.ndarray, " n"]
    test: Int[np.ndarray, " n"]
    n_tests: int

    @cached_property
    def by_test(self) -> csr_matrix:
        """Sums rows to tests."""
        count = len(self.x)
        return csr_matrix((np.ones(count), (self.test, np.arange(count))), shape=(self.n_tests, count))

    def log_likelihood(self, link: Link, predictor: Float[np.ndarray, " n"]) -> float:
        """Return the log-likelihood of the clicks, but for a constant."""
        ones = np.ones_like(predictor)
        told = self.clicks @ link.log_likelihood(ones, predictor)
        return float(told + (self.impressions - self.clicks) @ link.log_likelihood(0 * ones, predictor))

    def slope(
        self, link: Link, predictor: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Return the derivative of each row's log-likelihood in its predictor, and less the second derivative."""
        ones, misses = np.ones_like(predictor), self.impressions - self.clicks
        (up, bend_up), (down, bend_down) = link.slope(ones, predictor), link.slope(0 * ones, predictor)
        return self.clicks * up + misses * down, self.clicks * bend_up + misses * bend_down


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of parameters, levels of tests and rows before the counts are seen; all independent.

    Parameters
    ----------
    mean, variance : ndarray of float64, shape (K,)
        Of the parameters.
    test_variance, row_variance : float
        Of levels and rows; zero for none.
    """

    mean: Float[np.ndarray, " K"]
    variance: Float[np.ndarray, " K"]
    test_variance: float
    row_variance: float

    @classmethod
    def of(
        cls, design: Design, level: float, level_deviation: float, deviations: Mapping[str, float]
    ) -> Belief:  # fmt: skip
        """Return the belief under deviations of "option", "pair", "test" and "row", zero where one is missing."""
        mean, variance = np.zeros(design.n_params), np.empty(design.n_params)
        mean[0], variance[0] = level, level_deviation**2
        for name, part in zip(("option", "pair"), design.parts[1:3], strict=True):
            variance[part] = deviations[name] ** 2 if part.stop > part.start else 1.0
        return cls(mean, variance, deviations.get("test", 0.0) ** 2, deviations.get("row", 0.0) ** 2)


@dataclass(frozen=True, eq=False)
class Point:
    """Values of all that is believed in.

    Parameters
    ----------
    params : ndarray of float64, shape (K,)
    levels : ndarray of float64, shape (tests,)
    rows : ndarray of float64, shape (n,)
    """

    params: Float[np.ndarray, " K"]
    levels: Float[np.ndarray, " tests"]
    rows: Float[np.ndarray, " n"]

    def moved(self, step: Point, length: float) -> Point:
        """Return the point some part of a step further."""
        return Point(
            self.params + length * step.params, self.levels + length * step.levels, self.rows + length * step.rows
        )


@dataclass(frozen=True, eq=False)
class Mode:
    """The joint mode, and the Gaussian there (Laplace).

    Parameters
    ----------
    at : Point
    covariance : ndarray of float64, shape (K, K)
        Of the parameters, whatever levels and rows are.
    level_variance : ndarray of float64, shape (tests,)
    row_variance : ndarray of float64, shape (n,)
    log_evidence : float
        The log-probability of the clicks given the belief, but for a constant.
    converged : bool
    """

    at: Point
    covariance: Float[np.ndarray, "K K"]
    level_variance: Float[np.ndarray, " tests"]
    row_variance: Float[np.ndarray, " n"]
    log_evidence: float
    converged: bool


def mode_of(link: Link, counts: Counts, belief: Belief, start: Point | None = None) -> Mode:
    """Return the mode by Newton's method with halving.

    Parameters
    ----------
    link : Link
        With a concave log-likelihood, as all of ours have.
    counts : Counts
    belief : Belief
    start : Point, optional
        Near the mode, if it is known.
    """
    at = start or Point(belief.mean, np.zeros(counts.n_tests), np.zeros(len(counts.x)))
    if not belief.test_variance:
        at = Point(at.params, np.zeros(counts.n_tests), at.rows)
    if not belief.row_variance:
        at = Point(at.params, at.levels, np.zeros(len(counts.x)))
    reached, converged = _density(link, counts, belief, at), False
    for _ in range(_STEPS):
        bend = _Bend.at(link, counts, belief, at)
        step, rise = bend.step(at)
        if rise < 1e-10:
            converged = True
            break
        length = 1.0
        while length > 1e-10:
            trial = at.moved(step, length)
            value = _density(link, counts, belief, trial)
            if value >= reached - 1e-13 * abs(reached):
                break
            length /= 2
        at, reached = trial, value
    covariance, level_variance, row_variance = bend.variances()
    log_evidence = reached - 0.5 * bend.log_determinant()
    return Mode(at, covariance, level_variance, row_variance, log_evidence, converged)


def _density(link: Link, counts: Counts, belief: Belief, at: Point) -> float:
    """Return the log of the joint density of clicks, parameters, levels and rows, but for a constant."""
    value = counts.log_likelihood(link, counts.x @ at.params + at.levels[counts.test] + at.rows)
    value -= 0.5 * float(((at.params - belief.mean) ** 2 / belief.variance).sum())
    for values, variance in ((at.levels, belief.test_variance), (at.rows, belief.row_variance)):
        value -= 0.5 * float(values @ values) / variance if variance else 0.0
    return value


@dataclass(frozen=True, eq=False)
class _Bend:
    """Gradient and Hessian at a point, rows taken out, then levels.

    With a row's own deviation taken out, its weight w is w / (1 + w d²), and with levels taken out what is left in the
    parameters is ``left``. Multiplied by the variances, nothing is divided by zero where there are none.
    """

    counts: Counts
    belief: Belief
    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " n"]
    share: Float[np.ndarray, " n"]
    cross: Float[np.ndarray, "tests K"]
    own: Float[np.ndarray, " tests"]
    left: Float[np.ndarray, "K K"]
    factor: tuple[np.ndarray, bool]

    @classmethod
    def at(cls, link: Link, counts: Counts, belief: Belief, at: Point) -> _Bend:
        x = counts.x
        first, second = counts.slope(link, x @ at.params + at.levels[counts.test] + at.rows)
        share = 1 / (1 + second * belief.row_variance)
        weight = second * share
        cross = np.asarray(counts.by_test @ (x * weight[:, None]))
        own = 1 + belief.test_variance * (counts.by_test @ weight)
        left = np.diag(1 / belief.variance) + (x.T * weight) @ x - (cross.T * (belief.test_variance / own)) @ cross
        return cls(counts, belief, first, second, share, cross, own, left, cho_factor(left, lower=True))

    def step(self, at: Point) -> tuple[Point, float]:
        """Return Newton's step, and twice the rise that it promises."""
        counts, belief = self.counts, self.belief
        of_params = (at.params - belief.mean) / belief.variance
        pulled = (self.first + self.second * at.rows) * self.share  # each row's pull once its own deviation gave way
        of_levels = belief.test_variance * (counts.by_test @ pulled) - at.levels
        params = cho_solve(self.factor, pulled @ counts.x - of_params - self.cross.T @ (of_levels / self.own))
        levels = (of_levels - belief.test_variance * (self.cross @ params)) / self.own
        predictor = counts.x @ params + levels[counts.test]
        rows = (belief.row_variance * (self.first - self.second * predictor) - at.rows) * self.share
        rise = float(self.first @ (predictor + rows) - of_params @ params)
        for values, moves, variance in (
            (at.levels, levels, belief.test_variance),
            (at.rows, rows, belief.row_variance),
        ):
            rise -= float(values @ moves) / variance if variance else 0.0
        return Point(params, levels, rows), rise

    def log_determinant(self) -> float:
        """Return the log of the determinant of the Hessian, over that of the belief."""
        of_params = 2 * np.log(np.diag(self.factor[0])).sum() + np.log(self.belief.variance).sum()
        return float(of_params + np.log(self.own).sum() - np.log(self.share).sum())

    def variances(self) -> tuple[Float[np.ndarray, "K K"], Float[np.ndarray, " tests"], Float[np.ndarray, " n"]]:
        """Return the covariance of the parameters, and the variance of each level and of each row."""
        counts, belief = self.counts, self.belief
        covariance = cho_solve(self.factor, np.eye(len(self.left)))
        given = belief.test_variance / self.own  # a level's variance if the parameters were known
        follow = self.cross * given[:, None]
        levels = given + np.einsum("tk,tk->t", follow @ covariance, follow)
        if not belief.row_variance:
            return covariance, levels, np.zeros(len(counts.x))
        apart = counts.x - follow[counts.test]
        predictor = given[counts.test] + np.einsum("nk,nk->n", apart @ covariance, apart)
        own = belief.row_variance * self.share
        return covariance, levels, own + (self.second * own) ** 2 * predictor

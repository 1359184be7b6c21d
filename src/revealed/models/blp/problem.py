"""A specification read against markets: what depends on tastes and how, batch by batch. Imports its own room only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.blp.batch import Batch, batches
from revealed.models.blp.markets import Markets
from revealed.models.blp.moments import Moments
from revealed.models.blp.shares import (
    ContractionOptions,
    delta_slopes,
    heterogeneity,
    inverted,
    probabilities,
)
from revealed.models.blp.supply import Pricing, costs_of
from revealed.models.blp.tastes import Tastes


@dataclass(frozen=True, eq=False)
class Priced:
    """The linear terms of utility that hold the price: with a supply side their coefficients move mark-ups too.

    Parameters
    ----------
    names : tuple of str
    values, slopes : ndarray of float64, shape (N, terms)
        The terms, and how they move with the price.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "N terms"]
    slopes: Float[np.ndarray, "N terms"]


@dataclass(frozen=True, eq=False)
class Costs:
    """How marginal costs enter the supply side.

    Parameters
    ----------
    firms : ndarray of int64, shape (N,)
    log : bool
        Whether the logarithm of costs is linear in the regressors.
    floor : float or None
        Costs below it count as it.
    """

    firms: Int[np.ndarray, " N"]
    log: bool
    floor: float | None


@dataclass(frozen=True, eq=False)
class Point:
    """What follows from some tastes.

    Parameters
    ----------
    params : ndarray of float64, shape (P,)
        Tastes, then (with a supply side) coefficients of linear price terms.
    delta : ndarray of float64, shape (N,)
    markups : ndarray of float64, shape (N,), or None
    left : tuple of ndarray, each shape (N, 1)
        The left sides: mean utility less priced terms; costs or their logarithms.
    residual : float
        The largest change in the last step of the contraction.
    evaluations : int
        Of the contraction, over all markets.
    floored : int
        How many costs were raised to the floor.
    """

    params: Float[np.ndarray, " P"]
    delta: Float[np.ndarray, " N"]
    markups: Float[np.ndarray, " N"] | None
    left: tuple[Float[np.ndarray, "N 1"], ...]
    residual: float
    evaluations: int
    floored: int


@dataclass(frozen=True, eq=False)
class Problem:
    """Demand, and perhaps supply, on markets.

    Parameters
    ----------
    markets : Markets
    tastes : Tastes
    moments : Moments
    random : ndarray of float64, shape (N, K2)
    draws : ndarray of float64, shape (A, V)
    contraction : ContractionOptions
    costs : Costs or None
        None without a supply side.
    priced : Priced or None
        The linear price terms whose coefficients are searched for with the tastes; only with a supply side.
    random_slopes : ndarray of float64, shape (N, K2), or None
        How ``random`` moves with prices; only with a supply side.
    """

    markets: Markets
    tastes: Tastes
    moments: Moments
    random: Float[np.ndarray, "N K2"]
    draws: Float[np.ndarray, "A V"]
    contraction: ContractionOptions
    costs: Costs | None = None
    priced: Priced | None = None
    random_slopes: Float[np.ndarray, "N K2"] | None = None

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The markets in batches."""
        return batches(self.markets, self.random, self.draws)

    @cached_property
    def pricing(self) -> tuple[Pricing, ...]:
        """Who sets prices, batch by batch."""
        assert self.costs is not None
        assert self.random_slopes is not None
        return tuple(Pricing.of(batch, self.random_slopes, self.costs.firms) for batch in self.batches)

    @cached_property
    def logit_delta(self) -> Float[np.ndarray, " N"]:
        """Mean utilities if tastes were all the same: the start of the first contraction."""
        return np.asarray(np.log(self.markets.shares / self.markets.outside[self.markets.market]))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are searched for: tastes, then priced linear terms."""
        more = self.priced.names if self.priced else ()
        return (*self.tastes.names, *(f"beta[{name}]" for name in more))

    def split(self, params: Float[np.ndarray, " P"]) -> tuple[Float[np.ndarray, "K2 V"], Float[np.ndarray, " terms"]]:
        """Return the matrix of tastes and the coefficients of priced terms."""
        count = len(self.tastes.free)
        return self.tastes.matrix(params[:count]), params[count:]

    def _linear_effect(self, batch: Batch, priced: Float[np.ndarray, " terms"]) -> Float[np.ndarray, "T J"]:
        if self.priced is None:
            return np.zeros(batch.rows.shape)
        return batch.padded(self.priced.slopes @ priced)

    def at(self, params: Float[np.ndarray, " P"], start: Float[np.ndarray, " N"] | None = None) -> Point:
        """Return what follows from some parameters; ``start`` are mean utilities to start from."""
        matrix, priced = self.split(params)
        start = self.logit_delta if start is None else start
        delta, markups = np.empty_like(start), np.empty_like(start)
        residual, evaluations = 0.0, 0
        for place, batch in enumerate(self.batches):
            mu = heterogeneity(batch, matrix)
            found = inverted(batch, mu, batch.padded(start), self.contraction)
            batch.put(delta, found.delta)
            residual, evaluations = (
                max(residual, float(found.residual.max())),
                evaluations + int(found.evaluations.sum()),
            )
            if self.costs is not None:
                pricing = self.pricing[place]
                effect = pricing.price_effect(self._linear_effect(batch, priced), matrix)
                bought = probabilities(batch, found.delta, mu)
                batch.put(markups, pricing.markups(bought, effect, batch.shares))
        left: list[np.ndarray] = [delta[:, None]]
        if self.priced is not None:
            left[0] = left[0] - (self.priced.values @ priced)[:, None]
        if self.costs is None:
            return Point(params, delta, None, tuple(left), residual, evaluations, 0)
        costs, low = costs_of(self.markets.prices, markups, self.costs.floor)
        if self.costs.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                costs = np.log(costs)
        left.append(costs[:, None])
        return Point(params, delta, markups, tuple(left), residual, evaluations, int(low.sum()))

    def mean_utilities(
        self, params: Float[np.ndarray, " P"], start: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return the mean utilities at which shares are those seen, at some parameters; ``start`` is near them."""
        return solved_for(self.batches, self.split(params)[0], start, self.contraction)

    def slopes(self, point: Point) -> tuple[Float[np.ndarray, "N P"], ...]:
        """Return the derivatives of the left sides with respect to the parameters."""
        matrix, priced = self.split(point.params)
        free = self.tastes.free
        of_delta = np.empty((len(point.delta), len(free)))
        of_markups = np.empty((len(point.delta), len(point.params)))
        for place, batch in enumerate(self.batches):
            mu, delta = heterogeneity(batch, matrix), batch.padded(point.delta)
            bought = probabilities(batch, delta, mu)
            moved = delta_slopes(batch, bought, free)
            batch.put(of_delta, moved)
            if point.markups is not None:
                pricing = self.pricing[place]
                effect = pricing.price_effect(self._linear_effect(batch, priced), matrix)
                linear = () if self.priced is None else tuple(batch.padded(column) for column in self.priced.slopes.T)
                slopes = pricing.markup_slopes(bought, effect, batch.padded(point.markups), moved, free, linear)
                batch.put(of_markups, slopes)
        found = [of_delta if self.priced is None else np.hstack([of_delta, -self.priced.values])]
        if point.markups is not None:
            found.append(self._of_costs(point, of_markups))
        return tuple(found)

    def _of_costs(self, point: Point, of_markups: Float[np.ndarray, "N P"]) -> Float[np.ndarray, "N P"]:
        assert self.costs is not None
        assert point.markups is not None
        costs, low = costs_of(self.markets.prices, point.markups, self.costs.floor)
        slopes = -of_markups / (costs[:, None] if self.costs.log else 1.0)
        return np.where(_column(low), 0.0, slopes)


def solved_for(
    some: tuple[Batch, ...],
    matrix: Float[np.ndarray, "K2 V"],
    start: Float[np.ndarray, " N"],
    contraction: ContractionOptions,
) -> Float[np.ndarray, " N"]:
    """Return the mean utilities at which shares are those seen, of the products of batches, under some tastes."""
    delta = np.empty_like(start)
    for batch in some:
        found = inverted(batch, heterogeneity(batch, matrix), batch.padded(start), contraction)
        batch.put(delta, found.delta)
    return delta


def _column(values: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, "N 1"]:
    return np.asarray(values[:, None])

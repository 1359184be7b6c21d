r"""The demand for an alternative as one of its attributes runs over a grid. Imports models to choices.

With a price :math:`p` and a unit cost :math:`c`, the expected profit per choice is :math:`(p - c)\,S(p)`; its best
point solves the first-order condition, and the delta method on that condition gives the interval of the price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.change import Set
from revealed.answer.interval import (
    Estimate,
    Estimates,
    IntervalOptions,
    fit_warnings,
    interval_assumptions,
    intervals,
)
from revealed.answer.population import Population, in_memory, population_of
from revealed.answer.predict import Groups, sums
from revealed.answer.scenario import Scenario
from revealed.answer.support import SUPPORT_NOTE, log_warnings, support_warnings
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.fit import Fit


@dataclass(frozen=True)
class DemandPoint:
    """Demand at one value of the attribute.

    Parameters
    ----------
    value : float
    share : Estimate
    count : float
        Expected (weighted) choices.
    revenue : Estimate or None
        ``(value - unit cost)`` times the share: per choice situation. None where the attribute is no price.
    """

    value: float
    share: Estimate
    count: float
    revenue: Estimate | None


@dataclass(frozen=True)
class BestPrice:
    """The price with the highest expected revenue (or profit) on the grid's span.

    Parameters
    ----------
    price : Estimate
        Without an interval where it stands at an end of the grid.
    revenue : float
        Per choice situation, there.
    inside : bool
        Whether it lies inside the span; at an end, the best price is beyond it.
    """

    price: Estimate
    revenue: float
    inside: bool


@dataclass(frozen=True, repr=False)
class DemandCurve(Answer):
    """The share of an alternative as one of its attributes runs over a grid.

    Parameters
    ----------
    attribute, alternative : str
    points : tuple of DemandPoint
    best : BestPrice or None
        None where the attribute is no price.
    unit_cost : float
    """

    attribute: str
    alternative: str
    points: tuple[DemandPoint, ...]
    best: BestPrice | None
    unit_cost: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per value of the attribute."""
        priced = self.best is not None
        money = (Column("revenue per choice"), Column("revenue low"), Column("revenue high")) if priced else ()
        columns = (
            Column(self.attribute),
            Column("share", "share"),
            Column("low", "share"),
            Column("high", "share"),
            Column("choices"),
            *money,
        )
        rows = tuple(
            (
                point.value,
                *(point.share.value, point.share.low, point.share.high),
                point.count,
                *((r.value, r.low, r.high) if (r := point.revenue) is not None else ()),
            )
            for point in self.points
        )
        return Table(
            f"Demand for {self.alternative} by {self.attribute}", columns, rows, unique(self.warnings, self.assumptions)
        )


def demand_curve(
    fit: Fit,
    log: ChoiceLog,
    attribute: str,
    alternative: str,
    grid: Sequence[float] | Float[np.ndarray, " values"],
    *,
    price: bool = False,
    unit_cost: float = 0.0,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> DemandCurve:
    """Return the share of an alternative as one of its attributes runs over a grid, for everybody alike.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
    attribute : str
        A column of numbers in the utility.
    alternative : str
    grid : sequence of float
        The values, ascending.
    price : bool
        The attribute is a price: revenue and the best price are wanted too.
    unit_cost : float
        What one sale costs the seller, in the same units; revenue is then profit.
    level, method, options
        Of the intervals; see :func:`revealed.answer.interval.intervals`.

    Raises
    ------
    SpecificationError
        For an unknown alternative or attribute, or a grid that does not ascend.
    """
    log = in_memory(log)
    values = np.asarray(grid, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        raise SpecificationError("the grid must be two or more finite numbers in ascending order")
    column = log.column_name(attribute)
    used = {log.column_name(name) for design in fit.law.designs for name in design.variables}
    if column not in used:
        raise SpecificationError(f"{attribute!r} is not in the utility; {nearest(attribute, sorted(used))}")
    curve = _Curve.of(fit, log, attribute, alternative)

    def shares(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        return np.column_stack([curve.share(points, value) for value in values])

    found = intervals(fit, shares, level=level, method=method, options=options)
    bounded = found.between_zero_and_one()
    margins = values - unit_cost
    notes = support_warnings(fit, log, curve.at(float(values[0])))
    notes += support_warnings(fit, log, curve.at(float(values[-1])))
    best = None
    if price:
        best, more = _best(fit, curve, found, values, unit_cost, options)
        notes += more
    return DemandCurve(
        attribute=attribute,
        alternative=alternative,
        points=tuple(
            DemandPoint(
                float(value),
                bounded[i],
                float(found.value[i] * curve.total),
                _times(found[i], float(margins[i])) if price else None,
            )
            for i, value in enumerate(values)
        ),
        best=best,
        unit_cost=unit_cost,
        assumptions=(
            f"everyone in {log.source} faces the same {attribute} of {alternative}; all else stays as it is",
            SUPPORT_NOTE,
            *((_PRICE_NOTE,) if price else ()),
            *fit.model.assumptions,
            *interval_assumptions(fit, options),
        ),
        warnings=unique(fit_warnings(fit), log_warnings(fit, log), notes),
    )


_PRICE_NOTE = (
    "the best price takes rivals' prices as given, and those who choose nothing are only counted where the log has an "
    "alternative for them"
)


@dataclass(frozen=True, eq=False)
class _Curve:
    """The share of one alternative as a function of the parameters and of the value of its attribute."""

    fit: Fit
    base: Scenario
    attribute: str
    alternative: str
    population: Population
    groups: Groups

    @classmethod
    def of(cls, fit: Fit, log: ChoiceLog, attribute: str, alternative: str) -> _Curve:
        base = Scenario.of(log)
        population = population_of(log)
        mine = base.rows_of(alternative).astype(np.int64)
        return cls(fit, base, attribute, alternative, population, Groups.of(log, population, mine, 2))

    @property
    def total(self) -> float:
        return float(self.population.totals[0])

    def at(self, value: float) -> Scenario:
        return Set(self.attribute, repr(value), self.base.is_alternative(self.alternative)).apply(self.base)

    def share(self, points: Float[np.ndarray, "points K"], value: float) -> Float[np.ndarray, " points"]:
        return np.asarray(sums(self.fit.law, self.at(float(value)).log, points, self.groups)[:, 1] / self.total)


def _best(
    fit: Fit,
    curve: _Curve,
    found: Estimates,
    values: Float[np.ndarray, " values"],
    unit_cost: float,
    options: IntervalOptions | None,
) -> tuple[BestPrice, list[str]]:
    """Return the price with the highest revenue, with an interval where it lies inside the grid."""
    revenue = (values - unit_cost) * found.value
    top = int(np.argmax(revenue))
    if top in (0, len(values) - 1):
        end = "highest" if top else "lowest"
        note = f"revenue is highest at the {end} price of the grid, so the best price lies beyond it; widen the grid"
        nothing = Estimate(float(values[top]), np.nan, np.nan, np.nan, found.level, "none")
        return BestPrice(nothing, float(revenue[top]), inside=False), [note]

    def profit(points: Float[np.ndarray, "points K"], price: float) -> Float[np.ndarray, " points"]:
        return (price - unit_cost) * curve.share(points, price)

    price = _peak(lambda p: float(profit(fit.params[None], p)[0]), float(values[top - 1]), float(values[top + 1]))
    step = 1e-3 * float(values[top + 1] - values[top - 1])
    at_estimates = fit.params[None]
    bend = float(
        (profit(at_estimates, price + step) - 2 * profit(at_estimates, price) + profit(at_estimates, price - step))[0]
        / step**2
    )

    def moved(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points one"]:
        slope = (profit(points, price + step) - profit(points, price - step)) / (2 * step)
        return np.asarray(price - slope / bend)[:, None]

    spread = intervals(fit, moved, level=found.level, options=options)[0]
    shift = price - spread.value
    estimate = replace(spread, value=price, low=spread.low + shift, high=spread.high + shift)
    return BestPrice(estimate, float(profit(at_estimates, price)[0]), inside=True), []


def _peak(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function of one variable is highest between two ends, by golden sections."""
    ratio = (np.sqrt(5.0) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-6 * max(abs(low), abs(high), 1e-12):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
    return float((low + high) / 2)


def _times(estimate: Estimate, factor: float) -> Estimate:
    low, high = sorted((estimate.low * factor, estimate.high * factor))
    return Estimate(
        estimate.value * factor, estimate.standard_error * abs(factor), low, high, estimate.level, estimate.method
    )

"""What would happen over time, as an answer: shares, payments and surplus period by period. Imports answer's base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.interval import Estimate
from revealed.answer.population import EVERYONE
from revealed.answer.table import Cell, Column, Table
from revealed.errors import SpecificationError, nearest

#: What a payment is called among the measures, and who has not left; all others are shares of actions.
PAID, STAYED = "paid", "stayed"


@dataclass(frozen=True, eq=False)
class Series:
    """A number period by period with its interval.

    Parameters
    ----------
    value, low, high : ndarray of float64, shape (T,)
        Low and high are NaN where no interval was asked for.
    """

    value: Float[np.ndarray, " T"]
    low: Float[np.ndarray, " T"]
    high: Float[np.ndarray, " T"]


@dataclass(frozen=True)
class SegmentOverTime:
    """What a cohort does in both worlds.

    Parameters
    ----------
    segment : str
    before, after, difference : mapping
        ``{measure: Series}``: the share of each action, ``"paid"`` and, where an action leaves, ``"stayed"``.
    surplus : Estimate
        The change of expected discounted surplus of a member, in utility, or in money where its utility is known. NaN
        where the two worlds do not value what is to come alike: under two discount factors, say.
    """

    segment: str
    before: Mapping[str, Series]
    after: Mapping[str, Series]
    difference: Mapping[str, Series]
    surplus: Estimate


@dataclass(frozen=True, repr=False)
class OverTime(Answer):
    """What would happen over time if something were different.

    Parameters
    ----------
    changes : tuple of str
    actions : tuple of str
    periods : int
    segments : tuple of SegmentOverTime
        Everyone first.
    steady_before, steady_after : int or None
        After how many periods each world has settled.
    unit : str
        Of surplus.
    level : float
    """

    changes: tuple[str, ...]
    actions: tuple[str, ...]
    periods: int
    segments: tuple[SegmentOverTime, ...]
    steady_before: int | None
    steady_after: int | None
    unit: str
    level: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def of(self, segment: str = EVERYONE) -> SegmentOverTime:
        """Return a segment.

        Raises
        ------
        SpecificationError
            If there is none of that name.
        """
        for one in self.segments:
            if one.segment == segment:
                return one
        raise SpecificationError(f"no segment {segment!r}; {nearest(segment, [one.segment for one in self.segments])}")

    def table(self) -> Table:
        """Return one row for each segment and share in the last period; see :meth:`at`."""
        return self.at(self.periods)

    def tables(self) -> tuple[Table, ...]:
        """Return shares in the last period, and what is paid and gained."""
        return (self.table(), self.worth(self.periods))

    def is_paid(self, measure: str) -> bool:
        """Return whether a measure is what is paid; if not it is a share, also of an action called so."""
        return measure == PAID and measure not in self.actions

    def at(self, period: int) -> Table:
        """Return one row for each segment and share in a period, from 1; changes are in percentage points.

        Raises
        ------
        SpecificationError
            If there is no such period.
        """
        self._require(period)
        columns = (
            *self._segment_column(),
            Column("share", "text"),
            Column("before", "share"),
            Column("after", "share"),
            Column("change (points)", "points"),
            Column("low", "points"),
            Column("high", "points"),
        )
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (*self._segment_cell(one), name, *_numbers(one, name, period))
            for one in self.segments
            for name in one.before
            if not self.is_paid(name)
        )
        title = f"After {period} periods, if {'; '.join(self.changes)}" if self.changes else "If nothing changes"
        return Table(title, columns, rows, unique(self.warnings, self._settling(), self.assumptions))

    def worth(self, period: int) -> Table:
        """Return one row for each segment of what a member pays in a period, and of the surplus gained from now on.

        Raises
        ------
        SpecificationError
            If there is no such period.
        """
        self._require(period)
        columns = (
            *self._segment_column(),
            Column("per member", "text"),
            *(Column(name) for name in ("before", "after", "change", "low", "high")),
        )
        rows: list[tuple[Cell, ...]] = []
        for one in self.segments:
            if PAID in one.before and self.is_paid(PAID):
                rows.append((*self._segment_cell(one), f"paid in period {period}", *_numbers(one, PAID, period)))
            gain = one.surplus
            name = f"surplus from now on ({self.unit})"
            rows.append((*self._segment_cell(one), name, None, None, gain.value, gain.low, gain.high))
        return Table("", columns, tuple(rows))

    def path(self, segment: str = EVERYONE) -> Table:
        """Return every measure of a segment, period by period, after the change."""
        one = self.of(segment)
        measures = list(one.after)
        columns = (Column("period", "integer"), *(Column(f"{name} {when}") for name in measures for when in _WHEN))
        rows = tuple(
            (period + 1, *(float(world[name].value[period]) for name in measures for world in (one.before, one.after)))
            for period in range(self.periods)
        )
        return Table(f"Period by period, {segment}", columns, rows)

    def _require(self, period: int) -> None:
        if not 1 <= period <= self.periods:
            raise SpecificationError(f"no period {period!r}; there are 1 to {self.periods}")

    def _segment_column(self) -> tuple[Column, ...]:
        return (Column("segment", "text"),) if len(self.segments) > 1 else ()

    def _segment_cell(self, one: SegmentOverTime) -> tuple[str, ...]:
        return (one.segment,) if len(self.segments) > 1 else ()

    def _settling(self) -> tuple[str, ...]:
        def told(steady: int | None) -> str:
            return "does not settle" if steady is None else f"settles after {steady} periods"

        return (f"the world as it is {told(self.steady_before)}; the other {told(self.steady_after)}",)


_WHEN = ("before", "after")


def _numbers(one: SegmentOverTime, measure: str, period: int) -> tuple[float, ...]:
    """Return a measure in a period before and after, and its change with the interval."""
    change = one.difference[measure]
    series = (one.before[measure].value, one.after[measure].value, change.value, change.low, change.high)
    return tuple(float(each[period - 1]) for each in series)

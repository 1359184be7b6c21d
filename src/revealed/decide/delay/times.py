"""When things were shown and answered: columns of a log as numbers in one unit of time. Imports choices."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from revealed.choices.feedback import Feedback
from revealed.choices.kinds import as_numbers, holds_numbers
from revealed.decide.delay.section import UNITS
from revealed.errors import SpecificationError

#: What a clock shows: numbers of the log's own, or dates and times, of which some name their time zone.
NUMBERS, LOCAL, ZONED = "numbers", "dates and times", "dates and times with a time zone"

_TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def times_of(feedback: Feedback, name: str, unit: str) -> tuple[Float[np.ndarray, " rows"], str | None]:
    """Return a column as times, NaN where empty, and which clock it was read from (None if it is all empty).

    Raises
    ------
    SpecificationError
        If there is no such column, or it holds no times.
    """
    column = feedback.column(name)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan), None
    if holds_numbers(kind) and not pa.types.is_boolean(kind):
        return as_numbers(column).astype(np.float64, copy=False), NUMBERS
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
        kind = column.type
    if not pa.types.is_timestamp(kind):
        raise SpecificationError(
            f"column {name!r} of {feedback.source} holds {kind}, not times; write numbers, or dates and times such as "
            "2026-01-31 18:30:00, all of them with a time zone or none"
        )
    ticks = as_numbers(column.cast(pa.int64())).astype(np.float64, copy=False)
    return ticks / (_TICKS[kind.unit] * UNITS[unit]), LOCAL if kind.tz is None else ZONED


def moment_of(now: float | str | datetime, clock: str, unit: str) -> float:
    """Return a moment as a time of a clock.

    Raises
    ------
    SpecificationError
        If it is none, or of another clock.
    """
    if isinstance(now, str):
        now = _parsed(now)
    if isinstance(now, datetime):
        told = LOCAL if now.tzinfo is None else ZONED
        if told == clock:
            return (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp() / UNITS[unit]
    else:
        told = NUMBERS
        if told == clock:
            return float(now)
    raise SpecificationError(f"now is told in {told}, where the log has {clock}; tell it as the log does")


def written(at: float, clock: str | None, unit: str) -> str:
    """Return a time of a clock as its log would write it, to the minute."""
    if clock in (None, NUMBERS):
        return f"{at:,.6g}"
    return datetime.fromtimestamp(round(at * UNITS[unit]), UTC).strftime("%Y-%m-%d %H:%M")


def _parsed(text: str) -> float | datetime:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SpecificationError(
            f"{text!r} is no time; write a number, or a date and time such as 2026-01-31T18:30"
        ) from None

"""Which period a time is: whole numbers as they are, dates counted in units. Imports choices and errors."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from revealed.choices.kinds import is_text
from revealed.errors import DataError, Problem, SpecificationError

#: A time as a column has it.
Time = int | str | date | None

#: Up to here every whole number is a floating-point number.
_LARGEST = 2.0**53
_DAYS = {"day": 1, "week": 7}
#: Rows named in an error.
_SHOWN = 5


def periods(column: pa.ChunkedArray, unit: str | None, name: str, source: str) -> Int[np.ndarray, " rows"]:
    """Return the period of each cell: whole numbers as they are, dates counted in units.

    Raises
    ------
    SpecificationError
        If the time is of another kind, or the unit is missing or unknown.
    DataError
        If a time is no whole number.
    """
    kind = column.type
    if pa.types.is_temporal(kind):
        if unit == "month":
            return np.asarray(pc.add(pc.multiply(pc.year(column), 12), pc.month(column)).to_numpy(), dtype=np.int64)
        if unit not in _DAYS:
            given = "" if unit is None else f", not {unit!r}"
            raise SpecificationError(f"times are dates: say what a period is, unit='day', 'week' or 'month'{given}")
        days = column.cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // 86_400
        return np.asarray(days // _DAYS[unit], dtype=np.int64)
    if is_text(kind):  # as a column of numbers is read that has other cells too
        _require_whole(pc.match_substring_regex(column.cast(pa.string()), r"^[+-]?\d{1,15}$"), column, name, source)
        column = column.cast(pa.string()).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SpecificationError(f"times of type {kind} in column {name!r} are neither numbers of periods nor dates")
    times = column.to_numpy()
    if times.dtype.kind == "f":
        _require_whole((np.abs(times) <= _LARGEST) & (times == np.floor(times)), column, name, source)
    return np.asarray(times.astype(np.int64))


def _require_whole(sound: Any, column: pa.ChunkedArray, name: str, source: str) -> None:
    odd = np.flatnonzero(~np.asarray(sound, dtype=bool))
    if len(odd):
        shown = ", ".join(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in _cells(column, odd))
        rows = tuple((odd[:_SHOWN] + 1).tolist())
        what, remedy = f"times that are no whole numbers: {shown}", "number the periods, or write dates"
        raise DataError(source, [Problem(what, remedy, f"column {name!r}", rows, count=len(odd))])


def _cells(column: pa.ChunkedArray, places: Int[np.ndarray, " some"]) -> list[Any]:
    return list(column.take(pa.array(places[:_SHOWN])).to_pylist())


def period_of(time: Time, column: pa.ChunkedArray, unit: str | None, name: str) -> int | None:
    """Return the period of one time, given as in a column of times; None of none.

    Raises
    ------
    SpecificationError
        If it is no such time.
    """
    if time is None:
        return None
    kind = pa.string() if is_text(column.type) else column.type
    what = f"the first period {time!r} is no time as in column {name!r}, of type {kind}"
    try:
        cell = pa.chunked_array([pa.array([time]).cast(kind)])
        return int(periods(cell, unit, name, "")[0])
    except (pa.ArrowException, DataError):
        raise SpecificationError(what) from None

"""CDNOW: who buys again, month by month. Imports its own room only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import raw
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError

_ACTIONS = ["none", "buy"]
_FIRST_YEAR, _MONTHS = 1997, 18  # January 1997 to June 1998


def cdnow(*, longest: int = 12, most: int = 6) -> ChoiceLog:
    """Return 37,774 months in which one of 2,357 customers of a web shop bought music again, or did not.

    Parameters
    ----------
    longest : int
        The recency from which months are not told apart: 12 is a year or more.
    most : int
        The frequency from which months are not told apart.

    Returns
    -------
    ChoiceLog
        Columns: case, person, time (the month, 1 is January 1997), alternative (``none``, ``buy``), chosen; recency
        (months since the last one with a purchase, from 1), frequency (months with a purchase so far, the first
        counted, from 1). A person's months begin after that of the first purchase. See ``datasets.card("cdnow")``.

    Raises
    ------
    SpecificationError
        If ``longest`` or ``most`` is below 1.
    """
    for name, value in {"longest": longest, "most": most}.items():
        if value < 1:
            raise SpecificationError(f"{name} must be 1 or more, not {value}")
    bought = _months_with_a_purchase()
    first = bought.argmax(axis=1)
    month = np.arange(_MONTHS)
    person, time = np.nonzero(month > first[:, None])
    # What is known when a month begins: the last month with a purchase before it, and how many there were.
    last = np.maximum.accumulate(np.where(bought, month, -1), axis=1)[person, time - 1]
    so_far = bought.cumsum(axis=1)[person, time - 1]
    bought = bought[person, time]
    twice = np.repeat(np.arange(len(time)), len(_ACTIONS))
    long = {
        "case": twice + 1,
        "person": person[twice] + 1,
        "time": time[twice] + 1,
        "alternative": pa.DictionaryArray.from_arrays(np.tile(np.array([0, 1], np.int32), len(time)), _ACTIONS),
        "chosen": np.column_stack([~bought, bought]).ravel(),
        "recency": np.minimum(time - last, longest)[twice],
        "frequency": np.minimum(so_far, most)[twice],
    }
    roles = Columns(person="person", time="time")
    return ChoiceLog.from_table(pa.table(long), roles, attributes=("recency", "frequency"), source="cdnow")


def _months_with_a_purchase() -> np.ndarray:
    """Return who bought in which month, shape (customers, months)."""
    table = raw("cdnow")
    customer, date = table["sample_id"].to_numpy(), table["date"].to_numpy()
    bought = np.zeros((customer.max(), _MONTHS), dtype=bool)
    bought[customer - 1, (date // 10_000 - _FIRST_YEAR) * 12 + date // 100 % 100 - 1] = True
    return bought

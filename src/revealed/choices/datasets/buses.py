"""Harold Zurcher's choices to keep or replace the engines of his buses. Imports its own room only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import raw
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError

_COLUMNS = {
    "person": "bus_id",
    "time": "period",
    "mileage": "mileage",
    "mileage_bin": "mileage_bin",
    "group": "group",
}


def rust_buses(*, groups: Sequence[int] = (1, 2, 3, 4)) -> ChoiceLog:
    """Return 8,260 monthly choices to keep or replace the engine of one of 104 buses in Madison, Wisconsin.

    Parameters
    ----------
    groups : sequence of int
        The groups of buses to keep, 1 to 4 as in Rust (1987).

    Returns
    -------
    ChoiceLog
        Columns: case, person (the bus), time (the month of the bus, from 1), alternative (``keep``, ``replace``),
        chosen; mileage (the odometer, thousand miles), mileage_bin (5,000 miles a bin since the last replacement),
        group. See ``datasets.card("rust_buses")``.
    """
    for group in groups:
        if group not in (1, 2, 3, 4):
            raise SpecificationError(f"no group {group!r} of buses; there are 1, 2, 3 and 4")
    table = raw("rust_buses")
    table = table.append_column("case", pa.array(np.arange(1, table.num_rows + 1)))
    table = table.filter(pc.is_in(table["group"], pa.array(list(groups), pa.int64())))
    months = table.num_rows
    twice = pa.array(np.repeat(np.arange(months), 2))
    replaced = table["replaced"].to_numpy().astype(bool)
    long = {
        "case": table["case"].take(twice),
        "alternative": pa.DictionaryArray.from_arrays(np.tile(np.array([0, 1], np.int32), months), ["keep", "replace"]),
        "chosen": np.column_stack([~replaced, replaced]).ravel(),
    }
    long |= {tidy: table[name].take(twice) for tidy, name in _COLUMNS.items()}
    roles = Columns(person="person", time="time")
    return ChoiceLog.from_table(pa.table(long), roles, attributes=("mileage", "mileage_bin"), source="rust_buses")

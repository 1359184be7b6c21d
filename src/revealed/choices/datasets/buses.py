"""Harold Zurcher's choices to keep or replace the engines of his buses. Imports its own room only."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import raw
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError

_ACTIONS = ["keep", "replace"]
_COLUMNS = {
    "person": "bus_id",
    "time": "period",
    "mileage": "mileage",
    "mileage_bin": "mileage_bin",
    "group": "group",
}

#: Rust's own files of odometer readings: name, rows of its matrix; a column a bus.
_ORIGINAL = {1: ("g870.asc", 36), 2: ("rt50.asc", 60), 3: ("t8h203.asc", 81), 4: ("a530875.asc", 128)}
#: Rows before the readings: the bus, dates, and the odometer at the first and second replacement (rows 5 and 8).
_HEADER, _REPLACED_AT = 11, (5, 8)
_MILES_A_BIN = 5_000


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
        "alternative": pa.DictionaryArray.from_arrays(np.tile(np.array([0, 1], np.int32), months), _ACTIONS),
        "chosen": np.column_stack([~replaced, replaced]).ravel(),
    }
    long |= {tidy: table[name].take(twice) for tidy, name in _COLUMNS.items()}
    roles = Columns(person="person", time="time")
    return ChoiceLog.from_table(pa.table(long), roles, attributes=("mileage", "mileage_bin"), source="rust_buses")


def rust_buses_original(folder: str | PathLike[str], *, groups: Sequence[int] = (1, 2, 3, 4)) -> ChoiceLog:
    """Return Rust's choices from his own files of odometer readings, as his estimates use them.

    His files know at which odometer reading an engine was replaced; the file that comes with the package
    (:func:`rust_buses`) knows the calendar month alone, which for some buses is another one, and that decides the last
    digits of published estimates. They come with the documentation of Rust's NFXP programs, which is not ours to give.

    Parameters
    ----------
    folder : path
        With ``g870.asc``, ``rt50.asc``, ``t8h203.asc`` and ``a530875.asc``, or those of the groups wanted.
    groups : sequence of int
        The groups of buses, 1 to 4.

    Returns
    -------
    ChoiceLog
        Columns as of :func:`rust_buses`, and ``rise``: by how many bins mileage rose since the month before, as Rust
        counts it. He numbers bins from one, so that in the month after a replacement mileage has risen by all bins it
        has begun. Missing in a bus's first month.

    Raises
    ------
    DataError
        If a file is not there, or is not of the size it should be.
    """
    parts: list[dict[str, np.ndarray]] = []
    for group in groups:
        if group not in _ORIGINAL:
            raise SpecificationError(f"no group {group!r} of buses; there are 1, 2, 3 and 4")
        parts += [_months(bus, group) for bus in _buses(Path(folder) / _ORIGINAL[group][0], _ORIGINAL[group][1])]
    months = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    replaced, twice = months.pop("replaced"), np.repeat(np.arange(len(months["time"])), 2)
    long: dict[str, object] = {
        "case": twice + 1,
        "alternative": pa.DictionaryArray.from_arrays(np.tile(np.array([0, 1], np.int32), len(replaced)), _ACTIONS),
        "chosen": np.column_stack([~replaced, replaced]).ravel(),
    }
    long |= {name: values[twice] for name, values in months.items()}
    long["rise"] = pa.array(months["rise"][twice], mask=months["rise"][twice] < 0)
    return ChoiceLog.from_table(pa.table(long), Columns(person="person", time="time"), source=str(folder))


def _buses(path: Path, rows: int) -> np.ndarray:
    """Return the columns of one of Rust's matrices, shape (buses, rows)."""
    remedy = "give the folder of Rust's own files of odometer readings, as they are"
    try:
        cells = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise DataError(str(path), [Problem(f"cannot be read: {error}", remedy)]) from None
    if not len(cells) or len(cells) % rows:
        raise DataError(str(path), [Problem(f"{len(cells):,} numbers are not columns of {rows}", remedy)])
    return np.asarray(cells.reshape(-1, rows))


def _months(bus: np.ndarray, group: int) -> dict[str, np.ndarray]:
    """Return the months of a bus; its engine is replaced in the last one that reads less than at the replacement."""
    odometer = bus[_HEADER:]
    since, replaced = np.zeros(len(odometer)), np.zeros(len(odometer), dtype=bool)
    for reading in bus[list(_REPLACED_AT)]:
        if reading > 0:
            since[odometer > reading] = reading
            replaced[np.flatnonzero(odometer < reading).max()] = True
    miles = odometer - since
    number = np.maximum(np.ceil(miles / _MILES_A_BIN).astype(np.int64), 1)  # one reading is whole bins: 70,000 miles
    rise = np.where(replaced[:-1], number[1:], np.diff(number))
    return {
        "person": np.full(len(odometer), group * 10_000 + int(bus[0])),
        "time": np.arange(1, len(odometer) + 1),
        "mileage": odometer / 1000,
        "mileage_bin": number - 1,
        "group": np.full(len(odometer), group),
        "rise": np.concatenate([[-1], rise]),
        "replaced": replaced,
    }

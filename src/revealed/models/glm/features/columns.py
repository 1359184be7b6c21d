"""Columns of records as numbers and coded labels, and what is wrong with them. Imports choices, its own room, errors.

A column is a list of Python objects (from records), a numpy array or an Arrow array; whichever it is, the same cells
give the same numbers, the same distinct labels in the order they came, and the same complaints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64, Int64

from revealed.choices.expression import Labels, evaluate
from revealed.choices.kinds import as_numbers, holds_numbers, one_array, plain_column
from revealed.choices.tables import as_table
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.glm.features.ledger import label_text
from revealed.models.glm.features.terms import Field

#: How many records a message names.
SHOWN = 5

#: A list or tuple of Python objects, a numpy array, an Arrow array or chunked array (Arrow has no types to check).
Column = Any


@dataclass(frozen=True, eq=False)
class Numbers:
    """A field of numbers: a value for each record, and where there is one (None: everywhere)."""

    values: Float64[np.ndarray, " n"]
    present: Bool[np.ndarray, " n"] | None


@dataclass(frozen=True, eq=False)
class Coded:
    """A field of labels: the distinct ones in the order they came, and the place of each record's among them.

    Where there is none the place is ``len(labels)`` and ``present`` is false; ``present`` is None if all are there.
    """

    labels: list[str]
    place: Int64[np.ndarray, " n"]
    present: Bool[np.ndarray, " n"] | None


@dataclass(frozen=True, eq=False)
class Batch:
    """Some records, column by column.

    Parameters
    ----------
    columns : mapping
        The columns by the keys of records, all ``n_records`` long.
    n_records : int
        How many records there are.
    source : str
        How messages call the batch.
    names : tuple of str
        The keys that messages may suggest.
    """

    columns: Mapping[str, Column]
    n_records: int
    source: str
    names: tuple[str, ...]


class Reader:
    """Reads the fields of one batch and collects what is wrong, so that all of it is told at once."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.columns = batch.columns
        self.n_records = batch.n_records
        self.problems: list[Problem] = []

    def read(self, item: Field) -> Numbers | Coded:
        """Return a field; problems are kept for :meth:`finish`."""
        if item.expression:
            return self._computed(item)
        if item.name not in self.columns:
            if not item.optional:
                self._missing(item.name, np.ones(self.n_records, bool))
            absent = np.zeros(self.n_records, bool)
            if item.categorical:
                return Coded([], np.zeros(self.n_records, np.int64), absent)
            return Numbers(np.zeros(self.n_records), absent)
        read = self._labels(item.name) if item.categorical else self._numbers(item.name)
        if read.present is not None and not item.optional:
            self._missing(item.name, ~read.present)
        return read

    def finish(self) -> None:
        """Raise DataError with all problems, if there are any."""
        if self.problems:
            raise DataError(self.batch.source, self.problems)

    def add(self, what: str, remedy: str, name: str, bad: Bool[np.ndarray, " n"]) -> None:
        """Note a problem of some records."""
        rows = np.flatnonzero(bad)
        shown = tuple(int(i) + 1 for i in rows[:SHOWN])
        if len(rows):
            self.problems.append(Problem(what, remedy, f"feature {name!r}", shown, count=len(rows)))

    def _missing(self, name: str, bad: Bool[np.ndarray, " n"]) -> None:
        remedy = "give it, or declare it optional (a missing one then gives no feature)"
        if bad.all() and name not in self.batch.names:
            remedy = f"{nearest(name, self.batch.names)} Otherwise {remedy}"
        self.add("no value", remedy, name, bad)

    # ---- numbers --------------------------------------------------------------------------------------------------

    def _numbers(self, name: str) -> Numbers:
        column = self.columns[name]
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
            read = Numbers(column.astype(np.float64), None)
        elif isinstance(column, pa.Array | pa.ChunkedArray):
            read = self._arrow_numbers(name, column)
        else:
            read = self._listed_numbers(name, column.tolist() if isinstance(column, np.ndarray) else column)
        self._require_finite(name, read, "give a finite number, or None if it is unknown and the field is optional")
        return read

    def _require_finite(self, name: str, read: Numbers, remedy: str) -> None:
        finite = np.isfinite(read.values)
        if not finite.all():
            bad = ~finite if read.present is None else ~finite & read.present
            self.add("NaN or infinite", remedy, name, bad)

    def _arrow_numbers(self, name: str, column: pa.Array | pa.ChunkedArray) -> Numbers:
        chunked = plain_column(column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]))
        if pa.types.is_null(chunked.type):
            return Numbers(np.zeros(len(chunked)), np.zeros(len(chunked), bool))
        if not holds_numbers(chunked.type):
            return self._listed_numbers(name, chunked.to_pylist())
        values = as_numbers(chunked).astype(np.float64, copy=False)
        if not chunked.null_count:
            return Numbers(values, None)
        present = np.asarray(one_array(chunked).is_valid().to_numpy(zero_copy_only=False))
        return Numbers(np.where(present, values, 0.0), present)

    def _listed_numbers(self, name: str, cells: Sequence[Any]) -> Numbers:
        if set(map(type, cells)) <= {float, bool}:
            return Numbers(np.array(cells, np.float64), None)
        values = np.zeros(len(cells))
        present = np.ones(len(cells), bool)
        odd = np.zeros(len(cells), bool)
        for i, cell in enumerate(cells):
            if cell is None:
                present[i] = False
            elif isinstance(cell, int | float | np.number | np.bool_) and not isinstance(cell, np.complexfloating):
                try:
                    values[i] = cell
                except OverflowError:  # an integer beyond all floats
                    values[i] = np.inf
            else:
                odd[i] = True
        if odd.any():
            example = cells[int(np.flatnonzero(odd)[0])]
            remedy = "give a number, or declare the field categorical"
            self.add(f"{example!r} where a number was declared", remedy, name, odd)
        return Numbers(values, None if present.all() else present)

    def _computed(self, item: Field) -> Numbers:
        """Return an expression's value where all its sources are present."""
        sources: dict[str, np.ndarray | Labels] = {}
        present = np.ones(self.n_records, bool)
        before = len(self.problems)
        for name in item.sources:
            source = self._source(name, item)
            if isinstance(source, Numbers):
                sources[name] = source.values if source.present is None else np.where(source.present, source.values, 1)
            else:
                sources[name] = Labels(source.place.astype(np.int32), (*source.labels, ""), strict=False)
            if source.present is not None:
                present &= source.present
        if len(self.problems) > before:
            return Numbers(np.zeros(self.n_records), None)
        value = evaluate(item.expression, sources.__getitem__)
        if isinstance(value, Labels):
            raise SpecificationError(f"{item.expression!r} holds labels, not numbers; write C({item.expression})")
        values = np.array(np.broadcast_to(np.asarray(value, np.float64), (self.n_records,)))
        read = Numbers(values, None if present.all() else present)
        remedy = "check the expression's domain: logarithms and roots need positive numbers"
        self._require_finite(item.name, read, remedy)
        return Numbers(np.where(present, values, 0.0), read.present)

    def _source(self, name: str, item: Field) -> Numbers | Coded:
        if name in self.columns and holds_text(self.columns[name]):
            return self.read(Field(name, True, item.optional))
        return self.read(Field(name, False, item.optional))

    # ---- labels ---------------------------------------------------------------------------------------------------

    def _labels(self, name: str) -> Coded:
        column = self.columns[name]
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
            bad = ~np.isfinite(column)
            if bad.any():
                self.add("NaN or infinite", "give a label, or None if it is unknown", name, bad)
                return Coded([], np.zeros(len(column), np.int64), None)
            column = pa.array(column)
        elif isinstance(column, np.ndarray):
            column = column.tolist()
        if not isinstance(column, pa.Array | pa.ChunkedArray):
            return self._listed_labels(name, column)
        chunked = plain_column(column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]))
        if pa.types.is_dictionary(chunked.type):
            chunked = chunked.cast(chunked.type.value_type)
        if pa.types.is_nested(chunked.type) or pa.types.is_null(chunked.type):
            return self._listed_labels(name, chunked.to_pylist())
        encoded = pc.dictionary_encode(one_array(chunked))
        place = encoded.indices.cast(pa.int64()).fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        present = np.asarray(encoded.is_valid().to_numpy(zero_copy_only=False)) if encoded.null_count else None
        return self._as_text(name, encoded.dictionary.to_pylist(), np.asarray(place), present)

    def _listed_labels(self, name: str, cells: Sequence[Any]) -> Coded:
        places: dict[Any, int] = {}
        kinds = set(map(type, cells))
        # 1, 1.0 and True are one key of a dictionary, so cells of mixed types are told apart by type as well.
        mixed = not kinds <= {str}
        try:
            keys = [(type(cell), cell) for cell in cells] if mixed else cells
            place = np.array([places.setdefault(key, len(places)) for key in keys], np.int64)
        except TypeError:  # lists and the like cannot be keys
            bad = np.array([isinstance(cell, list | dict | set | np.ndarray) for cell in cells])
            self.add("a collection where a label was declared", "give one label to a field", name, bad)
            return Coded([], np.zeros(len(cells), np.int64), None)
        found = [key[1] for key in places] if mixed else list(places)
        if type(None) not in kinds:
            return self._as_text(name, found, place, None)
        gone = found.index(None)
        present = place != gone
        place = np.where(present, place - (place > gone), len(found) - 1)
        return self._as_text(name, [cell for cell in found if cell is not None], place, present)

    def _as_text(
        self, name: str, found: list[Any], place: Int64[np.ndarray, " n"], present: Bool[np.ndarray, " n"] | None
    ) -> Coded:
        """Return distinct cells as labels; cells of unlike types may be the same label."""
        try:
            labels = [cell if type(cell) is str else label_text(cell) for cell in found]
        except TypeError:
            odd = [i for i, cell in enumerate(found) if not _is_label(cell)]
            remedy = "give text or a whole number, or None if it is unknown and the field is optional"
            self.add(f"{found[odd[0]]!r} where a label was declared", remedy, name, np.isin(place, odd))
            return Coded([], np.zeros(len(place), np.int64), None)
        places = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        if len(places) < len(labels):
            place = np.array([*map(places.__getitem__, labels), len(places)])[place]
        return Coded(list(places), place, present)


def _is_label(cell: object) -> bool:
    try:
        label_text(cell)
    except TypeError:
        return False
    return True


def holds_text(column: Column) -> bool:
    """Whether a column holds text (and not numbers): by its type, or its first cell that is there."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return not (holds_numbers(column.type) or pa.types.is_null(column.type))
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return column.dtype.kind in "US"
    first = next((cell for cell in column if cell is not None), None)
    return isinstance(first, str)


def columns_of(data: Any) -> Batch:
    """Return the columns of a table, a frame or a mapping of columns.

    Raises
    ------
    DataError
        For columns of unlike length, or a source that cannot be read.
    """
    if not isinstance(data, Mapping):
        table, source = as_table(data)
        names = tuple(table.column_names)
        return Batch({name: table.column(name) for name in names}, table.num_rows, source, names)
    columns: dict[str, Column] = {}
    for name, column in data.items():
        if isinstance(column, np.ndarray | pa.Array | pa.ChunkedArray | list | tuple):
            columns[str(name)] = column
        else:
            columns[str(name)] = as_table({str(name): column})[0].column(str(name))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError("columns", [Problem(f"columns of unlike length: {listed}", "give each one value a record")])
    return Batch(columns, next(iter(lengths.values()), 0), "columns", tuple(columns))


def columns_of_records(records: Sequence[Any], names: Sequence[str]) -> Batch:
    """Return the entries of records by their keys, None where absent.

    Raises
    ------
    DataError
        For a record that is no mapping.
    """
    odd = [i for i, record in enumerate(records) if not isinstance(record, Mapping)]
    if odd:
        what = f"a {type(records[odd[0]]).__name__} where a record was expected"
        rows = tuple(i + 1 for i in odd[:SHOWN])
        raise DataError("records", [Problem(what, "a record is a dict {name: value}", rows=rows, count=len(odd))])
    columns: dict[str, Column] = {name: [record.get(name) for record in records] for name in names}
    keys = dict.fromkeys(str(key) for record in records[:SHOWN] for key in record)
    return Batch(columns, len(records), "records", tuple(keys))

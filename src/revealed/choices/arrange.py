"""How a table is put in order at the door: plain columns, each case's rows together. Imports its own room only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from revealed.choices.columns import Columns
from revealed.choices.kinds import is_text, one_array, plain_column
from revealed.choices.levels import label_of
from revealed.errors import DataError, Problem, SpecificationError

Rows = Int[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Arranged:
    """A table whose cases are contiguous.

    Parameters
    ----------
    table : pyarrow.Table
        Each column in one piece.
    offsets : array of int, shape (n_cases + 1,)
        The first row of each case, and the number of rows.
    rows : array of int, shape (rows,), or int
        Each row's number in the source; an integer says how many rows of the source come before ours.
    problems : list of Problem
        What was found wrong on the way.
    """

    table: pa.Table
    offsets: Int[np.ndarray, " n_cases_plus_1"]
    rows: Rows | int = 0
    problems: list[Problem] = field(default_factory=list)

    def numbers_of(self, index: Rows) -> Rows:
        """Return the numbers that rows have in the source."""
        return index + (self.rows + 1) if isinstance(self.rows, int) else self.rows[index]


def plain(table: pa.Table, source: str) -> pa.Table:
    """Return a table with each column in one piece and of a plain type: no views, extensions or run lengths."""
    names = table.column_names
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        problem = Problem(
            what=f"more than one column is called {', '.join(map(repr, doubled))}",
            remedy="give each column its own name",
            count=len(doubled),
        )
        raise DataError(source, [problem])
    columns = [_one_code_a_label(one_array(plain_column(column))) for column in table.columns]
    return pa.table(columns, names=names).replace_schema_metadata(table.schema.metadata)


def _one_code_a_label(array: pa.Array) -> pa.Array:
    """Return a column without labels that stand twice in its dictionary, so that codes can be compared."""
    if pa.types.is_dictionary(array.type) and len(pc.unique(array.dictionary)) < len(array.dictionary):
        return array.cast(array.type.value_type)
    return array


def with_cases_together(table: pa.Table, columns: Columns, rows: Rows | int = 0) -> Arranged:
    """Return the table with each case's rows together, cases in order of appearance.

    Rows without a case are left out, and said to be wrong.
    """
    arranged = Arranged(table, np.zeros(1, np.int64), rows)
    lacking = is_missing(table.column(columns.case))
    if lacking is not None:
        kept = np.flatnonzero(~lacking)
        lost = np.flatnonzero(lacking)
        problem = Problem(
            what="rows without a case",
            remedy="fill in which choice situation they belong to, or drop them",
            where=f"column {columns.case!r}",
            rows=tuple(arranged.numbers_of(lost[:5]).tolist()),
            count=len(lost),
        )
        arranged = Arranged(table.take(pa.array(kept)), arranged.offsets, arranged.numbers_of(kept), [problem])
    case = one_array(arranged.table.column(columns.case))
    starts = np.concatenate([[0], np.flatnonzero(changes(case)) + 1, [len(case)]]).astype(np.int64)
    if len(case) == 0:
        return arranged
    labels = case.take(pa.array(starts[:-1]))
    if _all_distinct(labels):
        return replace(arranged, offsets=starts)
    codes = case.indices if pa.types.is_dictionary(case.type) else case.dictionary_encode().indices
    order, starts = _grouped(codes.to_numpy(zero_copy_only=False))
    return replace(
        arranged, table=arranged.table.take(pa.array(order)), offsets=starts, rows=arranged.numbers_of(order)
    )


def _grouped(codes: Rows) -> tuple[Rows, Int[np.ndarray, " n_cases_plus_1"]]:
    """Return the stable order that brings equal codes together, in order of first appearance, and the offsets."""
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(codes[order])) + 1, [len(codes)]]).astype(np.int64)
    appearance = np.argsort(order[starts[:-1]], kind="stable")
    if bool((appearance == np.arange(len(appearance))).all()):
        return order, starts
    sizes = np.diff(starts)[appearance]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return order[np.repeat(starts[:-1][appearance] - offsets[:-1], sizes) + np.arange(len(order))], offsets


def _all_distinct(labels: pa.Array) -> bool:
    """Whether no label comes twice; labels in ascending order are seen at a glance."""
    if len(labels) < 2:
        return True
    if pa.types.is_integer(labels.type):
        numbers = labels.to_numpy()
        if bool((numbers[1:] > numbers[:-1]).all()):
            return True
    return len(pc.unique(labels)) == len(labels)


def changes(array: pa.Array) -> Bool[np.ndarray, " steps"]:
    """Return where each cell after the first differs from the one before it; missing equals missing."""
    if len(array) < 2:
        return np.zeros(0, bool)
    kind = array.type
    if pa.types.is_dictionary(kind):
        return changes(array.indices)
    if array.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        cells = array.to_numpy()
        return np.asarray(cells[1:] != cells[:-1])
    if pa.types.is_null(kind):
        return np.zeros(len(array) - 1, bool)
    before, after = array[:-1], array[1:]
    differ = pc.not_equal(after, before).fill_null(False)
    if array.null_count:
        differ = pc.or_(differ, pc.xor(pc.is_null(after), pc.is_null(before)))
    return np.asarray(differ.to_numpy(zero_copy_only=False))


def is_missing(column: pa.ChunkedArray) -> Bool[np.ndarray, " rows"] | None:
    """Return where a label is missing (null, not a number, or empty text); None when none is."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        of_entry = is_missing(pa.chunked_array([one_array(column).dictionary]))
        missing = pc.is_null(one_array(column)).to_numpy(zero_copy_only=False)
        if of_entry is not None:
            entry = one_array(column).indices.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
            missing = missing | of_entry[entry]
        return missing if bool(missing.any()) else None
    if pa.types.is_floating(kind):
        cells = pc.is_null(column, nan_is_null=True)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        cells = pc.equal(pc.binary_length(column), 0).fill_null(True)
    elif column.null_count:
        cells = pc.is_null(column)
    else:
        return None
    missing = np.asarray(one_array(cells).to_numpy(zero_copy_only=False))
    return missing if bool(missing.any()) else None


def with_outside_option(arranged: Arranged, columns: Columns, outside: str) -> Arranged:
    """Return the table with one more row at the end of each case: the outside option.

    It is chosen where no other row of its case is, and it is always available, with propensity 1. A column that is
    constant within every case keeps its value; any other is zero for numbers and ``outside`` for text.
    """
    table, offsets = arranged.table, arranged.offsets
    n_cases = len(offsets) - 1
    place = offsets[1:] + np.arange(n_cases)  # where the new rows come to stand
    index = np.insert(np.arange(table.num_rows), offsets[1:], offsets[:-1])
    new = np.zeros(len(index), bool)
    new[place] = True
    mask = pa.array(new)
    first_of_case = np.zeros(table.num_rows, bool)
    first_of_case[offsets[:-1]] = True
    chosen = table.column(columns.chosen)
    nobody = _nobody_chose(chosen, offsets)
    special: dict[str | None, str | int | np.ndarray] = {
        columns.alternative: outside,
        columns.chosen: nobody,
        columns.available: 1,
        columns.propensity: 1,
    }
    arrays = []
    for name in table.column_names:
        array = one_array(table.column(name))
        longer = array.take(pa.array(index))
        if name in special:
            arrays.append(_overwritten(longer, mask, special[name]))
        elif name in columns.roles().values() or not bool((changes(array) & ~first_of_case[1:]).any()):
            arrays.append(longer)
        else:
            arrays.append(_overwritten(longer, mask, outside if is_text(array.type) else 0))
    rows = np.insert(arranged.numbers_of(np.arange(table.num_rows)), offsets[1:], arranged.numbers_of(offsets[1:] - 1))
    longer_table = pa.table(arrays, names=table.column_names).replace_schema_metadata(table.schema.metadata)
    return Arranged(longer_table, offsets + np.arange(n_cases + 1), rows, arranged.problems)


def _nobody_chose(chosen: pa.ChunkedArray, offsets: Int[np.ndarray, " n_cases_plus_1"]) -> np.ndarray:
    """Return, per case, whether no row is chosen."""
    if is_text(chosen.type) or pa.types.is_null(chosen.type):
        return np.zeros(len(offsets) - 1, bool)  # the checks will say what is wrong with it
    cells = one_array(chosen.cast(pa.float64(), safe=False)).fill_null(0.0).to_numpy(zero_copy_only=False)
    return np.asarray(np.add.reduceat(np.abs(np.nan_to_num(cells)), offsets[:-1]) == 0)


def _overwritten(array: pa.Array, mask: pa.BooleanArray, value: str | int | np.ndarray) -> pa.Array:
    """Return the array with ``value`` (or the next of several) where the mask is true."""
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    array = array.cast(kind)
    if isinstance(value, str) and not is_text(kind):
        number = _as_whole(value)
        if pa.types.is_integer(kind) and number is not None:
            value = number
        else:
            encoded = array.dictionary_encode()
            labels = pa.array([label_of(entry) for entry in encoded.dictionary.to_pylist()], pa.large_string())
            array = labels.take(encoded.indices)
    try:
        if isinstance(value, np.ndarray):
            return pc.replace_with_mask(array, mask, pa.array(value).cast(array.type))
        return pc.if_else(mask, pa.scalar(value).cast(array.type), array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pc.if_else(mask, pa.scalar(None, array.type), array)  # dates and the like have no zero


def _as_whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def require_no_counts(counts: bool) -> None:
    """Raise SpecificationError: how often nothing was taken is not in a log of counts."""
    if counts:
        raise SpecificationError(
            "outside= needs a log of single choices: counts do not tell how often nothing was taken; "
            "add the outside option's own rows with their counts"
        )

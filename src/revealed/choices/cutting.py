"""A stream of rows cut into batches of whole cases. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from revealed.choices.arrange import changes
from revealed.choices.kinds import one_array
from revealed.choices.log import BLOCK_CASES


@dataclass(frozen=True, eq=False)
class Cut:
    """Whole cases from a stream.

    Parameters
    ----------
    table : pyarrow.Table
    offsets : array of int, shape (n_cases + 1,)
        The first row of each case within the table, and the number of rows.
    first_case, first_row : int
        The cases, and the rows, of the stream that come before.
    """

    table: pa.Table
    offsets: Int[np.ndarray, " n_cases_plus_1"]
    first_case: int
    first_row: int


def whole_cases(tables: Iterator[pa.Table], case: str, n_rows: int, size: int | None = None) -> Iterator[Cut]:
    """Cut rows into batches of about ``n_rows`` that hold a multiple of :data:`BLOCK_CASES` whole cases each.

    A table of a quarter as many rows is a batch of its own, since that costs less than to copy two together. Only the
    last batch holds what is left. Where each case is known to have ``size`` rows its labels are not looked
    at, and a batch that ends with a case need not wait for the next row to know.
    """
    pending: list[pa.Table] = []
    n_pending = first_case = first_row = 0
    least = n_rows = max(n_rows // 4, 1)
    for table in tables:
        if not table.num_rows:
            continue
        pending.append(table)
        n_pending += table.num_rows
        if n_pending < least:
            continue
        joined = _joined(pending)
        starts = _starts(joined, case, size)
        n_cases = (len(starts) - 1) // BLOCK_CASES * BLOCK_CASES
        if n_cases == 0:
            # Cases so large that a block of them does not fit: come back when there is twice as much.
            pending, least = [joined], 2 * n_pending
            continue
        end = int(starts[n_cases])
        for start, stop in _pieces(starts, n_cases, n_pending - table.num_rows):
            row, rows = int(starts[start]), starts[start : stop + 1] - starts[start]
            yield Cut(_in_one_piece(joined.slice(row, int(rows[-1]))), rows, first_case + start, first_row + row)
        first_case, first_row, least = first_case + n_cases, first_row + end, n_rows
        pending, n_pending = [joined.slice(end)] if end < joined.num_rows else [], n_pending - end
    if n_pending:
        joined = _joined(pending)
        yield Cut(joined, case_starts(joined, case), first_case, first_row)


def _pieces(starts: Int[np.ndarray, " starts"], n_cases: int, carried: int) -> list[tuple[int, int]]:
    """Return the runs of cases to cut: the blocks with rows carried over from the tables before, and the others.

    What is in one table alone is then used as it was decoded; only the few rows around a seam are copied together.
    """
    seam = -(-int(np.searchsorted(starts, carried)) // BLOCK_CASES) * BLOCK_CASES
    return [(0, seam), (seam, n_cases)] if 0 < seam < n_cases else [(0, n_cases)]


def _joined(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _in_one_piece(table: pa.Table) -> pa.Table:
    """Return a table of columns in one piece: copied here, where a reader ahead of its consumer has the time."""
    return pa.table({name: one_array(table.column(name)) for name in table.column_names})


def _starts(table: pa.Table, case: str, size: int | None) -> Int[np.ndarray, " starts"]:
    """Return the first rows of the cases that are known to be complete, and of the one that follows."""
    if size is not None:
        return np.arange(table.num_rows // size + 1, dtype=np.int64) * size
    return case_starts(table, case)[:-1]  # the last case may go on


def case_starts(table: pa.Table, case: str) -> Int[np.ndarray, " n_cases_plus_1"]:
    """Return the first row of each run of equal case labels, and the number of rows."""
    steps = np.flatnonzero(changes(one_array(table.column(case)))) + 1
    return np.concatenate([[0], steps, [table.num_rows]]).astype(np.int64)

"""What can be wrong with a log, found all at once. Imports its own room only; the log itself only for its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from revealed.choices.columns import Columns
from revealed.errors import Problem

if TYPE_CHECKING:
    from revealed.choices.log import ChoiceLog


def with_cases_together(
    table: pa.Table, columns: Columns, source: str
) -> tuple[pa.Table, Int[np.ndarray, " n_cases_plus_1"], Int[np.ndarray, " rows"]]:
    """Return the table with each case's rows together, the case offsets, and each row's number in the source."""
    table = table.combine_chunks()
    case = table.column(columns.case)
    array = case.chunk(0) if case.num_chunks else pa.array([], case.type)
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    rows = np.arange(1, len(codes) + 1)
    changes = np.flatnonzero(np.diff(codes)) + 1
    if len(changes) + 1 > len(pc.unique(encoded.indices)):
        order = np.argsort(codes, kind="stable")
        table = table.take(pa.array(order)).combine_chunks()
        codes, rows = codes[order], rows[order]
        changes = np.flatnonzero(np.diff(codes)) + 1
    return table, np.concatenate([[0], changes, [len(codes)]]).astype(np.int64), rows


def with_outside_option(
    table: pa.Table,
    columns: Columns,
    offsets: Int[np.ndarray, " n_cases_plus_1"],
    rows: Int[np.ndarray, " rows"],
    outside: str,
    source: str,
) -> tuple[pa.Table, Int[np.ndarray, " n_cases_plus_1"], Int[np.ndarray, " rows"]]:
    """Return the table with one more row per case for the outside option."""
    raise NotImplementedError


def find_problems(log: ChoiceLog, attributes: tuple[str, ...], rows: Int[np.ndarray, " rows"]) -> list[Problem]:
    """Return every problem of a log at the door."""
    return []

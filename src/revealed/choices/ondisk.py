"""The rows of Parquet files one after the other, decoded in small pieces. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from revealed.choices import parquet
from revealed.choices.cutting import case_starts
from revealed.choices.kinds import is_text, plain_column

#: With fewer row groups than this a sample is taken from within them, else from the heads of some.
_SPOTS = 8
_MOST_SPOTS = 32


class RowFiles:
    """Parquet files of the same columns, read as one.

    Attributes
    ----------
    paths : tuple of Path
    schema : pyarrow.Schema
    n_rows : int
        Rows in all, known without reading them.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.schema = parquet.common_schema(list(paths), parquet.schema_of)
        self._groups = [(path, group, n) for path in self.paths for group, n in enumerate(_group_rows(path)) if n]
        self.n_rows = sum(n for _, _, n in self._groups)

    def tables(self, names: list[str] | None, rows: int) -> Iterator[pa.Table]:
        """Yield some columns (None: all) of all rows in order: each row group in equal pieces of at most ``rows``.

        No piece has rows of two groups, for those would have to be copied together.
        """
        for path, groups in groupby(self._groups, key=itemgetter(0)):
            with parquet.reading(path), self._open(path, names) as opened:
                for _, group, n in groups:
                    yield from self._decoded(opened, names, -(-n // -(-n // rows)), group)

    def spots(self, names: list[str] | None, case: str, n_cases: int, size: float) -> Iterator[tuple[pa.Table, int]]:
        """Yield whole cases from each of some evenly spaced places, and the number of rows before them.

        Parameters
        ----------
        names : list of str, optional
            The columns.
        case : str
            The column of the case.
        n_cases : int
            About how many cases to yield in all.
        size : float
            How many rows a case has on average.
        """
        starts = np.concatenate([[0], np.cumsum([n for _, _, n in self._groups])]).astype(np.int64)
        heads = len(self._groups) >= _SPOTS
        # As many spots as it takes, each within its row group.
        typical = float(np.median([n for _, _, n in self._groups]))
        spots = max(_MOST_SPOTS, int(1.3 * n_cases * size / typical) + 1)
        n_spots = min(len(self._groups), spots) if heads else _SPOTS
        each = -(-n_cases // n_spots)
        need = int(1.2 * (each + 2) * size) + 1
        if not heads:  # what is between the spots is decoded too, and in few pieces costs least
            need = max(need, self.n_rows // (4 * n_spots))
        targets = np.linspace(0, self.n_rows, n_spots, endpoint=False).astype(np.int64)
        holder = np.searchsorted(starts, targets, side="right") - 1
        for index in np.unique(holder):
            path, group, _ = self._groups[index]
            within = np.zeros(1, np.int64) if heads else targets[holder == index] - starts[index]
            wanted = {int(row) // need for row in within}
            place = int(starts[index])
            with parquet.reading(path), self._open(path, names) as opened:
                for number, table in enumerate(self._decoded(opened, names, need, group)):
                    if number in wanted:
                        # The first and the last case may have rows elsewhere.
                        inner = case_starts(table, case)[1:-1][: each + 1]
                        if len(inner) > 1:
                            yield table.slice(inner[0], inner[-1] - inner[0]), place + int(inner[0])
                    place += table.num_rows
                    if number >= max(wanted):
                        break

    def _decoded(self, opened: pq.ParquetFile, names: list[str] | None, rows: int, group: int) -> Iterator[pa.Table]:
        """Yield a row group in pieces of so many rows."""
        order = names or self.schema.names
        for part in opened.iter_batches(rows, columns=order, row_groups=[group], use_threads=False):
            yield pa.table({name: plain_column(pa.chunked_array([part.column(name)])) for name in order})

    def _open(self, path: Path, names: list[str] | None) -> pq.ParquetFile:
        """Open a file such that it is read in small pieces as it is decoded, text as codes.

        Measured: pre-buffering or a data set scanner decode at a third of the speed and hold whole row groups; with a
        buffer that fits the second-level cache all columns together, decoding is a fifth faster than with large ones,
        and the head of a row group costs no more than itself.
        """
        text = [name for name in names or self.schema.names if is_text(self.schema.field(name).type)]
        return pq.ParquetFile(path, read_dictionary=text, pre_buffer=False, buffer_size=1 << 16)


def _group_rows(path: Path) -> list[int]:
    with parquet.reading(path):
        metadata = pq.read_metadata(path)
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]

"""Tables of choices to disk as they are made, in bounded memory. Imports the whole-or-nothing files.

Attributes are stored plain and uncompressed: simulated numbers hardly compress, and plain pages read at the speed of
memory. Case and person numbers rise, so their differences pack to almost nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from revealed.files import whole_file, whole_folder

#: Called with the cases written so far and the cases in all.
Progress = Callable[[int, int], None]

_ROWS_PER_FILE = 10_000_000
_PACKED = ("case", "person")


@dataclass(frozen=True)
class Written:
    """What was written.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder.
    n_cases, n_rows, n_files, n_bytes : int
        Its size.
    """

    path: Path
    n_cases: int
    n_rows: int
    n_files: int
    n_bytes: int


def write_tables(
    tables: Iterable[pa.Table],
    path: str | os.PathLike[str],
    *,
    n_cases: int,
    rows_per_file: int | None = None,
    rows_per_group: int = 1_000_000,
    notes: Mapping[bytes, bytes] | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write tables of whole cases to ``….parquet``, ``….csv`` or a folder of Parquet files, whole or not at all.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        With a column ``case``; a case is within one table.
    path : path
        Where to.
    n_cases : int
        The cases in all, for ``progress``.
    rows_per_file : int, optional
        About how many rows a file of a folder gets; 10 million by default.
    rows_per_group : int
        About how many rows a row group gets.
    notes : mapping, optional
        For the metadata of Parquet files.
    progress : callable, optional
        Called after each row group.

    Raises
    ------
    OutputError
        If the folder is there and not empty, or the path cannot be written; nothing half-written stays.
    """
    target = Path(path)
    rows_per_group = min(rows_per_group, rows_per_file or rows_per_group)
    counted = _Counted(_grouped(tables, rows_per_group), n_cases, progress)
    suffix = target.suffix.lower()
    if suffix in (".parquet", ".csv"):
        with whole_file(target) as file:
            _fill(file, suffix, counted, notes or {})
        return Written(target, counted.cases, counted.rows, 1, target.stat().st_size)
    sizes = []
    with whole_folder(target) as folder:
        for number, share in groupby(_numbered(counted, rows_per_file or _ROWS_PER_FILE), key=itemgetter(0)):
            part = folder / f"part-{number:05d}.parquet"
            with part.open("wb") as file:
                _fill(file, ".parquet", (group for _, group in share), notes or {})
            sizes.append(part.stat().st_size)
    return Written(target, counted.cases, counted.rows, len(sizes), sum(sizes))


@dataclass
class _Counted:
    """Tables on their way, counted."""

    tables: Iterable[pa.Table]
    n_cases: int
    progress: Progress | None
    cases: int = 0
    rows: int = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self.tables:
            yield table
            self.rows += table.num_rows
            self.cases += len(table.column("case").unique())
            if self.progress is not None:
                self.progress(self.cases, self.n_cases)


def _grouped(tables: Iterable[pa.Table], rows_per_group: int) -> Iterator[pa.Table]:
    """Join tables until a row group is full."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        if waiting and rows + table.num_rows // 2 >= rows_per_group:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
        waiting.append(table)
        rows += table.num_rows
    if waiting:
        yield pa.concat_tables(waiting)


def _numbered(groups: Iterable[pa.Table], rows_per_file: int) -> Iterator[tuple[int, pa.Table]]:
    """Give each row group the number of its file."""
    number = rows = 0
    for group in groups:
        if rows and rows + group.num_rows // 2 >= rows_per_file:
            number, rows = number + 1, 0
        rows += group.num_rows
        yield number, group


def _fill(file: IO[bytes], suffix: str, groups: Iterable[pa.Table], notes: Mapping[bytes, bytes]) -> None:
    """Write row groups to one file."""
    writer: pq.ParquetWriter | pa_csv.CSVWriter | None = None
    try:
        for group in groups:
            if suffix == ".csv":
                group = group.cast(_plain(group.schema))
                writer = writer or pa_csv.CSVWriter(file, group.schema)
                writer.write_table(group)
            else:
                writer = writer or _parquet(file, group.schema, notes)
                writer.write_table(group.replace_schema_metadata(writer.schema.metadata), row_group_size=group.num_rows)
    finally:
        if writer is not None:
            writer.close()


def _parquet(file: IO[bytes], schema: pa.Schema, notes: Mapping[bytes, bytes]) -> pq.ParquetWriter:
    labels = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    packed = [name for name in _PACKED if name in schema.names]
    return pq.ParquetWriter(
        file,
        schema.with_metadata(dict(notes)),
        use_dictionary=labels or False,
        column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        compression="none",
        write_statistics=packed,
    )


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema with labels as text, which is all that a CSV file holds."""
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema.remove_metadata()
        ]
    )


__all__ = ["Progress", "Written", "write_tables"]

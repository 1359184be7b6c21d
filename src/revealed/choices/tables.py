"""Any source as an Arrow table: files by their content, frames of any library, relations. Imports its own room only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from revealed.choices import parquet
from revealed.choices.delimited import TextFormat, read_delimited
from revealed.choices.expression import Labels, evaluate
from revealed.choices.kinds import as_numbers, holds_numbers
from revealed.choices.levels import encode
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError, nearest

_SOURCES = (
    "the path of a CSV, Parquet or Arrow file or of a folder of Parquet files, a pandas, polars or other frame that "
    "narwhals knows, a pyarrow table or reader, a DuckDB relation, or a dict of columns"
)


def as_table(source: Any, text: TextFormat | None = None, labels: tuple[str, ...] = ()) -> tuple[pa.Table, str]:
    """Return a source as an Arrow table and how messages call it.

    Parameters
    ----------
    source : path, frame, table, relation or dict
    text : TextFormat, optional
        How a text file is written.
    labels : tuple of str
        Columns that name things; see :func:`revealed.choices.delimited.read_delimited`.

    Raises
    ------
    DataError
        If it cannot be read.
    SpecificationError
        If it is nothing that can be read.
    """
    if isinstance(source, str | PathLike):
        return _from_path(str(source), text, labels)
    if isinstance(source, ChoiceLog):
        return source.to_arrow(), source.source
    if isinstance(source, pa.Table | pa.RecordBatch | pa.RecordBatchReader):
        return _from_arrow(source), "Arrow table"
    library = type(source).__module__.partition(".")[0]
    if library == "pandas" and hasattr(source, "columns"):
        return _from_pandas(source), "pandas frame"
    if library in ("duckdb", "_duckdb") and hasattr(source, "to_arrow_table"):
        return source.to_arrow_table(), "DuckDB relation"
    if isinstance(source, Mapping):
        return _from_columns(source), "table"
    return _from_frame(source)


def _from_arrow(source: Any) -> pa.Table:
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    return source if isinstance(source, pa.Table) else source.read_all()


def _from_path(name: str, text: TextFormat | None, labels: tuple[str, ...]) -> tuple[pa.Table, str]:
    if "://" in name:
        scheme = name.partition("://")[0]
        remedy = "use read_sql(query, url)" if scheme.startswith("postgres") else "copy the file here first"
        raise SpecificationError(f"read() takes no {scheme}:// address; {remedy}")
    path = Path(name).expanduser()
    parquet.require_path(path)
    if path.is_dir():
        return parquet.read_parquet(path)
    with parquet.reading(path, "data"), path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PAR1") or (path.suffix.lower() in parquet.SUFFIXES):
        return parquet.read_parquet(path)
    if magic.startswith(b"ARROW1") or path.suffix.lower() in (".arrow", ".feather", ".ipc", ".arrows"):
        return parquet.read_ipc(path), name
    if magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        what = "a spreadsheet or an archive, not a text file"
        raise DataError(name, [Problem(what, "save the sheet as CSV, or unpack the archive")])
    return read_delimited(path, text, labels), name


def _from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    arrays = {str(name): _array(values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        remedy = "give each column one value a row"
        raise DataError("table", [Problem(f"columns of unlike length: {listed}", remedy)])
    return pa.table(arrays)


def _from_pandas(frame: Any) -> pa.Table:
    """Return a pandas frame; named index levels become columns, mixed cells become text."""
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index(level=[name for name in named if name not in frame.columns])
    names = [str(name) for name in frame.columns]
    return pa.Table.from_arrays([_array(frame.iloc[:, i]) for i in range(len(names))], names=names)


def _array(values: Any) -> pa.Array | pa.ChunkedArray:
    """Return values as an array; those of unlike types become text, as in a text file."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        cells = list(values)
    missing = [cell is None or (isinstance(cell, float) and cell != cell) for cell in cells]
    return pa.array([None if gone else str(cell) for cell, gone in zip(cells, missing, strict=True)], pa.string())


def _from_frame(source: Any) -> tuple[pa.Table, str]:
    import narwhals as nw

    try:
        frame = nw.from_native(source)
    except TypeError:
        if hasattr(source, "__arrow_c_stream__"):
            return pa.table(source), type(source).__name__
        raise SpecificationError(f"cannot read a {type(source).__name__}; give {_SOURCES}") from None
    name = f"{frame.implementation.name.lower()} frame"
    if isinstance(frame, nw.LazyFrame):
        return frame.collect("pyarrow").to_native(), name
    return frame.to_arrow(), name


def lookup_in(table: pa.Table, source: str) -> Callable[[str], np.ndarray | Labels]:
    """Return what gives :func:`revealed.choices.expression.evaluate` the columns of a table."""

    def lookup(name: str) -> np.ndarray | Labels:
        if name not in table.column_names:
            raise SpecificationError(f"no column {name!r} in {source}; {nearest(name, table.column_names)}")
        column = table.column(name)
        if holds_numbers(column.type) or pa.types.is_null(column.type):
            return as_numbers(column)
        levels, codes = encode(column)
        return Labels(codes, levels.labels)

    return lookup


def rows_where(table: pa.Table, where: str, source: str) -> Bool[np.ndarray, " rows"]:
    """Return which rows meet a condition; a condition that a missing cell leaves open is not met."""
    value = np.asarray(evaluate(where, lookup_in(table, source)))
    if value.dtype != bool:
        raise SpecificationError(f"where={where!r} is not a condition; compare something, as in 'purpose == 1'")
    return np.broadcast_to(value, (table.num_rows,))

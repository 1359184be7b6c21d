"""Kinds of columns, and columns as single arrays and as numbers. Imports numpy and Arrow only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether columns of an Arrow type are numbers (flags included) rather than labels."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether columns of an Arrow type hold text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def as_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers as float64, or float32 as stored; missing cells become NaN.

    Whole numbers become fractions too: products of narrow integers would wrap around without a word.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type) or column.null_count:
        column = column.cast(pa.float32() if pa.types.is_float32(column.type) else pa.float64(), safe=False)
    array = np.asarray(one_array(column).to_numpy(zero_copy_only=False))
    return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as a single array, without a copy if it is one already."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if column.num_chunks == 0:
        return pa.array([], column.type)
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray) and joined.num_chunks > 1:
        # Text beyond two gibibytes does not fit one array with 32-bit offsets.
        return one_array(column.cast(pa.large_string() if pa.types.is_string(column.type) else pa.large_binary()))
    return joined if isinstance(joined, pa.Array) else one_array(joined)


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as a plain type: no views, extensions or run lengths."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain_column(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
    if str(kind) in ("string_view", "binary_view"):
        return column.cast(pa.large_string() if str(kind) == "string_view" else pa.large_binary())
    if pa.types.is_dictionary(kind) and str(kind.value_type) == "string_view":
        return column.cast(pa.dictionary(kind.index_type, pa.large_string()))
    return column


def as_full(table: pa.Table) -> pa.Table:
    """Return a table whose schema says which columns lack no cell: those decode from Parquet in half the time."""
    fields = [
        field.with_nullable(bool(column.null_count)) for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.table(table.columns, schema=pa.schema(fields, metadata=table.schema.metadata))

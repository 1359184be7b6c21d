"""Labels and their order: the sorted distinct values of a column, and columns as indices into them. Imports numpy and Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Levels:
    """The sorted distinct values of a column: numbers by size, text by code point.

    Parameters
    ----------
    values : pyarrow.Array
        The values, sorted, without nulls.
    """

    values: pa.Array

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Levels) and self.labels == other.labels

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.labels)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The values as text: ``1`` for 1.0, ``True`` for true."""
        return tuple(label_of(value) for value in self.values.to_pylist())

    def index(self, column: pa.ChunkedArray | pa.Array) -> Int[np.ndarray, " rows"]:
        """Return each cell's index among the levels, -1 where it is not one of them."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # an empty chunked array stays chunked
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_dictionary(column.type):
            of_entry = self.index(column.dictionary)
            entries = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
            codes = of_entry[entries] if len(of_entry) else np.full(len(column), -1, np.int32)
            if column.null_count:
                codes = np.where(column.is_valid().to_numpy(zero_copy_only=False), codes, -1)
            return codes.astype(np.int32, copy=False)
        values = self.values
        if column.type != values.type:
            text = {label: i for i, label in enumerate(self.labels)}
            return np.array([text.get(label_of(v), -1) for v in column.to_pylist()], dtype=np.int32)
        found = pc.index_in(column, value_set=values).fill_null(-1)
        return np.asarray(found.to_numpy(zero_copy_only=False)).astype(np.int32, copy=False)

    def union(self, other: Levels) -> Levels:
        """Return the levels of both, sorted."""
        if self == other:
            return self
        values = pa.concat_arrays([self.values, other.values.cast(self.values.type)])
        return Levels(_sorted(pc.unique(values)))


def encode(column: pa.ChunkedArray | pa.Array) -> tuple[Levels, Int[np.ndarray, " rows"]]:
    """Return the levels of a column and the column as indices into them."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    present = pc.drop_null(pc.unique(array.indices))
    levels = Levels(_sorted(array.dictionary.take(present)))
    return levels, levels.index(array)


def label_of(value: object) -> str:
    """Return a value as the text that names it: whole floats lose their point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _sorted(values: pa.Array) -> pa.Array:
    return values.take(pc.array_sort_indices(values)) if not pa.types.is_boolean(values.type) else _sorted_flags(values)


def _sorted_flags(values: pa.Array) -> pa.Array:
    return pa.array(sorted(values.to_pylist()), pa.bool_())

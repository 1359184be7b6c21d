"""Labels and their order: a column's sorted distinct values, and columns as indices into them. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from revealed.choices.keys import Keys, keys_of
from revealed.choices.kinds import one_array

Codes = Int[np.ndarray, " cells"]


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
        if self is other:
            return True
        if not isinstance(other, Levels) or len(self) != len(other):
            return False
        if self.values.type == other.values.type:
            return bool(self.values.equals(other.values))
        return self.labels == other.labels

    def __hash__(self) -> int:
        # The ends suffice: levels are compared in full only when these agree.
        return hash((len(self), *(label_of(self.values[i].as_py()) for i in (0, -1) if len(self))))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The values as text: ``1`` for 1.0, ``True`` for true."""
        return tuple(label_of(value) for value in self.values.to_pylist())

    def index(self, column: pa.ChunkedArray | pa.Array) -> Codes:
        """Return each cell's index among the levels, -1 where it is not one of them.

        Columns of another type than the levels are matched by their text: 1, 1.0 and ``"1"`` are the same level.
        """
        if isinstance(column, pa.ChunkedArray) and column.num_chunks > 1:
            return np.concatenate([self.index(chunk) for chunk in column.chunks])
        array = one_array(column)
        if pa.types.is_dictionary(array.type):
            return self._index_entries(array.dictionary, array.indices)
        if array.type != self.values.type:
            if pa.types.is_null(array.type):
                return np.full(len(array), -1, np.int32)
            encoded = array.dictionary_encode()
            return self._index_entries(encoded.dictionary, encoded.indices)
        if self._table is not None:
            before = self._lowest - 1
            cells = np.asarray(array.fill_null(before).to_numpy(zero_copy_only=False))
            return np.asarray(self._table[np.clip(cells, before, before + len(self._table) - 1) - before])
        if len(array) < len(self):
            return self._index_by_key(array)
        found = pc.index_in(array, value_set=self.values).fill_null(-1)
        return np.asarray(found.to_numpy(zero_copy_only=False)).astype(np.int32, copy=False)

    def union(self, other: Levels) -> Levels:
        """Return the levels of both, sorted."""
        return union_of([self, other])

    def _index_entries(self, dictionary: pa.Array, indices: pa.Array) -> Codes:
        """Return the index of each cell of a column held as a dictionary."""
        if dictionary.type == self.values.type:
            of_entry = self.index(dictionary)
        else:
            place = {label: i for i, label in enumerate(self.labels)}
            of_entry = np.array([place.get(label_of(v), -1) for v in dictionary.to_pylist()], dtype=np.int32)
        of_entry = np.append(of_entry, np.int32(-1)).astype(np.int32)
        entry = indices.cast(pa.int64()).fill_null(len(dictionary)) if indices.null_count else indices
        return np.asarray(of_entry[entry.to_numpy(zero_copy_only=False)])

    @cached_property
    def _lowest(self) -> int:
        return int(self.values[0].as_py())

    @cached_property
    def _table(self) -> Codes | None:
        """The index of each whole number between the lowest and the highest level (-1 before and after), if dense."""
        if not len(self) or not pa.types.is_signed_integer(self.values.type) or self.values.type.bit_width < 64:
            return None
        span = int(self.values[-1].as_py()) - self._lowest + 1
        if span > max(4 * len(self), 1024) or self._lowest <= -(2**62):
            return None
        table = np.full(span + 2, -1, np.int32)
        table[self.values.to_numpy() - (self._lowest - 1)] = np.arange(len(self), dtype=np.int32)
        return table

    @cached_property
    def _keys(self) -> tuple[Keys, Codes]:
        """The keys of the levels in ascending order, and the level of each."""
        keys = keys_of(self.values)
        order = np.argsort(keys, kind="stable").astype(np.int32)
        return keys[order], order

    def _index_by_key(self, array: pa.Array) -> Codes:
        """Return the index of each cell of a short column among many levels, without hashing the levels each time."""
        if pa.types.is_boolean(array.type) or not len(array):
            return np.asarray(pc.index_in(array, value_set=self.values).fill_null(-1).to_numpy(zero_copy_only=False))
        keys, order = self._keys
        place = np.minimum(np.searchsorted(keys, keys_of(array)), len(keys) - 1)
        codes = order[place]
        same = pc.equal(self.values.take(pa.array(codes)), array).fill_null(False).to_numpy(zero_copy_only=False)
        if bool(same.all()):
            return codes
        codes = np.where(same, codes, np.int32(-1))
        odd = np.flatnonzero(~same)  # not a level, or a level that shares its key with another
        if bool((keys[1:] == keys[:-1]).any()):
            found = pc.index_in(array.take(pa.array(odd)), value_set=self.values).fill_null(-1)
            codes[odd] = found.to_numpy(zero_copy_only=False)
        return codes


def union_of(parts: list[Levels]) -> Levels:
    """Return the levels of all the parts, sorted.

    Parts of unlike types (whole numbers and fractions, say) become levels of the wider type, or text.
    """
    distinct = list(dict.fromkeys(parts))
    if len(distinct) == 1:
        return distinct[0]
    types = {part.values.type for part in distinct if len(part)}
    if len(types) <= 1:
        kind = next(iter(types), pa.null())
        arrays = [part.values for part in distinct if len(part)]
    elif all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in types):
        kind = pa.float64() if any(pa.types.is_floating(t) for t in types) else pa.int64()
        arrays = [part.values.cast(kind) for part in distinct if len(part)]
    else:
        kind = pa.large_string()
        arrays = [pa.array(part.labels, kind) for part in distinct]
    return Levels(_distinct(one_array(pa.chunked_array(arrays, kind))))


def encode(column: pa.ChunkedArray | pa.Array) -> tuple[Levels, Codes]:
    """Return the levels of a column and the column as indices into them."""
    levels = levels_in(column)
    return levels, levels.index(column)


def levels_in(column: pa.ChunkedArray | pa.Array) -> Levels:
    """Return the sorted distinct values of a column."""
    if isinstance(column, pa.ChunkedArray) and column.num_chunks > 1 and pa.types.is_dictionary(column.type):
        return union_of([levels_in(chunk) for chunk in column.chunks])
    array = one_array(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary.take(_entries_in_use(array))
    return Levels(_distinct(array))


def _entries_in_use(array: pa.DictionaryArray) -> pa.Array:
    if array.null_count or len(array.dictionary) > len(array):
        return pc.drop_null(pc.unique(array.indices))
    return pa.array(np.flatnonzero(np.bincount(array.indices.to_numpy(), minlength=len(array.dictionary))))


def label_of(value: object) -> str:
    """Return a value as the text that names it: whole floats lose their point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _distinct(array: pa.Array) -> pa.Array:
    """Return the distinct values that are not missing, sorted; whole numbers that ascend already at a glance."""
    if pa.types.is_integer(array.type) and not array.null_count and len(array):
        cells = array.to_numpy()
        if bool((cells[1:] >= cells[:-1]).all()):
            first = np.concatenate([[True], cells[1:] != cells[:-1]])
            return array if bool(first.all()) else pa.array(cells[first])
    values = pc.drop_null(pc.unique(array))
    if pa.types.is_boolean(values.type):
        return pa.array(sorted(values.to_pylist()), pa.bool_())
    return values.take(pc.array_sort_indices(values))

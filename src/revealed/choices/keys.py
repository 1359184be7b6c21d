"""A 64-bit key for each cell of a column, so that labels of any kind compare as integers. Imports its own room only.

Whole numbers, dates and times are their own keys, so distinct cells have distinct keys. Text gets a hash: equal text
has equal keys, and two different texts share one with probability about 2**-64, so whoever acts on equal keys of text
compares the text itself before saying that something is the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from revealed.choices.kinds import one_array

# Odd constants of well-spread bits: the golden ratio's and splitmix64's. The table is fixed, as keys must not change.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_WORDS = np.random.default_rng(20240229).integers(0, 2**64, 256, dtype=np.uint64)

Keys = UInt64[np.ndarray, " cells"]


def keys_of(column: pa.Array | pa.ChunkedArray) -> Keys:
    """Return one key a cell; all missing cells of a column share one key."""
    array = one_array(column)
    kind = array.type
    if pa.types.is_dictionary(kind):
        of_entry = np.append(keys_of(array.dictionary), _WORDS[0])
        entry = array.indices.cast(pa.int64()).fill_null(len(array.dictionary))
        return np.asarray(of_entry[entry.to_numpy(zero_copy_only=False)])
    if pa.types.is_floating(kind):
        numbers = array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return np.asarray(numbers + 0.0).view(np.uint64)  # + 0.0 makes the two zeros one
    if is_exact(kind):
        if pa.types.is_temporal(kind):
            array = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        cells = np.asarray(array.fill_null(0).to_numpy(zero_copy_only=False))
        return cells.astype(np.int64 if cells.dtype.kind == "i" else np.uint64, copy=False).view(np.uint64)
    return _of_text(array)


def is_exact(kind: pa.DataType) -> bool:
    """Whether equal keys mean equal cells for a column of this type."""
    return bool(pa.types.is_integer(kind) or (pa.types.is_temporal(kind) and kind.bit_width in (32, 64)))


def combine(first: Keys, second: Keys) -> Keys:
    """Return keys of pairs of cells."""
    return _mixed(first * _STEP + _mixed(second))


def _of_text(array: pa.Array) -> Keys:
    """Hash text: a random word for each byte, weighted by powers of an odd number, summed modulo 2**64."""
    if pa.types.is_large_string(array.type) or pa.types.is_string(array.type):
        array = array.fill_null("").cast(pa.large_string())
    else:
        array = array.cast(pa.string()).fill_null("").cast(pa.large_string())
    _, offset_buffer, data = array.buffers()
    if len(array) == 0:
        return np.empty(0, np.uint64)
    ends = np.frombuffer(offset_buffer, np.int64, len(array) + 1, array.offset * 8)
    lengths = np.diff(ends)
    keys = _mixed(lengths.astype(np.uint64))
    filled = np.flatnonzero(lengths)
    if len(filled):
        letters = np.frombuffer(data, np.uint8, int(ends[-1] - ends[0]), int(ends[0]))
        starts = ends[filled] - ends[0]
        place = np.arange(len(letters)) - np.repeat(starts, lengths[filled])
        powers = np.multiply.accumulate(np.full(int(lengths.max()), _STEP))
        keys[filled] ^= np.add.reduceat(_WORDS[letters] * powers[place], starts)
    return _mixed(keys)


def _mixed(keys: Keys) -> Keys:
    keys = (keys ^ (keys >> np.uint64(30))) * _MIX
    return np.asarray(keys ^ (keys >> np.uint64(27)))

"""Labels that come back later in a stream, found in bounded memory. Imports its own room only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from revealed.choices.keys import Keys, keys_of


class Ascending:
    """Whether labels, part after part, only ever ascend, and so cannot come back: nothing needs to be remembered."""

    def __init__(self) -> None:
        self.holds = True
        self._last: pa.Scalar | None = None

    def add(self, labels: pa.Array) -> None:
        """Take in the labels of the next part."""
        if not self.holds or len(labels) == 0:
            return
        if pa.types.is_dictionary(labels.type):
            labels = labels.cast(labels.type.value_type)
        if self._last is not None:
            labels = pa.concat_arrays([pa.array([self._last.as_py()], labels.type), labels])
        try:
            rising = pc.all(pc.less(labels[:-1], labels[1:]), skip_nulls=False).as_py()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            rising = len(labels) < 2
        self.holds = rising is True
        self._last = labels[-1]


class SeenKeys:
    """A set of 64-bit keys: eight bytes a key, in a few sorted arrays whose sizes at least double.

    Adding ``n`` keys bit by bit costs ``n log n`` in all, and each lookup a binary search in each array.
    """

    def __init__(self) -> None:
        self._sorted: list[Keys] = []

    def __len__(self) -> int:
        return sum(map(len, self._sorted))

    def add(self, keys: Keys) -> Bool[np.ndarray, " cells"]:
        """Take in keys and return which of them were in before, or come earlier among these."""
        known = np.zeros(len(keys), bool)
        for part in self._sorted:
            place = np.minimum(np.searchsorted(part, keys), len(part) - 1)
            known |= part[place] == keys
        fresh, first = np.unique(keys, return_index=True)
        earlier = np.ones(len(keys), bool)
        earlier[first] = False
        fresh = fresh[~known[first]]
        while self._sorted and len(self._sorted[-1]) < 2 * len(fresh):
            fresh = np.sort(np.concatenate([self._sorted.pop(), fresh]))
        if len(fresh):
            self._sorted.append(fresh)
        return known | earlier


__all__ = ["Ascending", "SeenKeys", "keys_of"]

"""Labels that come back later in a stream, found in bounded memory. Imports its own room only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from revealed.choices.keys import Keys, combine, keys_of
from revealed.errors import Problem


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
            rising = pc.all(pc.less(labels[:-1], labels[1:]), skip_nulls=False, min_count=0).as_py()
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


#: Labels, or tuples of them, that are looked at again one by one; beyond that many there is no doubt left.
_MOST = 1000

#: For each case of a part: the cells that must not come back together, the case's label and its first row's number.
Firsts = tuple[list[pa.Array], pa.Array, Int[np.ndarray, " cases"]]


@dataclass(frozen=True)
class Repeats:
    """What came back: how often, and where the first few times.

    Parameters
    ----------
    count : int
    cells : list of tuple
        The cells that came back.
    cases : list of str
    rows : list of int
        The cases and the rows at which they came back.
    """

    count: int
    cells: list[tuple[object, ...]]
    cases: list[str]
    rows: list[int]

    def problem(self, what: str, remedy: str, where: str) -> Problem:
        """Return the problem that this is."""
        return Problem(what, remedy, where, rows=tuple(self.rows[:5]), cases=tuple(self.cases[:5]), count=self.count)


def find_repeats(parts: Callable[[], Iterator[Firsts]]) -> Repeats:
    """Return which cells come back in later cases, at eight bytes a case.

    Keys are compared first, and the cells themselves, in a second pass, where keys say that something came back.
    """
    seen = SeenKeys()
    count = 0
    suspects: list[Keys] = []
    for cells, _, _ in parts():
        keys = _joint_keys(cells)
        again = keys[seen.add(keys)]
        count += len(again)
        if len(again) and sum(map(len, suspects)) < _MOST:
            suspects.append(again)
    if not count:
        return Repeats(0, [], [], [])
    wanted = np.unique(np.concatenate(suspects))[:_MOST]
    met: set[tuple[object, ...]] = set()
    found: list[tuple[tuple[object, ...], str, int]] = []
    for cells, labels, rows in parts():
        at = np.flatnonzero(np.isin(_joint_keys(cells), wanted))
        index = pa.array(at)
        columns = [column.take(index).to_pylist() for column in cells]
        for cell, label, row in zip(zip(*columns, strict=True), labels.take(index).to_pylist(), rows[at], strict=True):
            if cell in met:
                found.append((cell, str(label), int(row)))
            met.add(cell)
    whole = len(wanted) < _MOST
    return Repeats(
        count=len(found) if whole else count,
        cells=list(dict.fromkeys(cell for cell, _, _ in found)),
        cases=[label for _, label, _ in found],
        rows=[row for _, _, row in found],
    )


def _joint_keys(cells: list[pa.Array]) -> Keys:
    keys = keys_of(cells[0])
    for column in cells[1:]:
        keys = combine(keys, keys_of(column))
    return keys

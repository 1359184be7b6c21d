"""Which categories each candidate is in; made once for a catalogue, used by every slate. Imports errors only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.errors import SpecificationError, nearest


@dataclass(frozen=True, eq=False)
class Groups:
    """Candidates in the same categories, side by side.

    Of two candidates in the same categories, the one with the higher score adds more whatever is shown already. So
    only the best one left of each group can be next.

    Parameters
    ----------
    order : array of int, shape (candidates,)
        Candidates group by group, ascending within each.
    starts : array of int, shape (groups,)
        Where each group begins.
    sizes : array of int, shape (groups,)
    sets : array of int, shape (groups, most)
        The categories of each group, filled up with the number of categories.
    """

    order: Int[np.ndarray, " candidates"]
    starts: Int[np.ndarray, " groups"]
    sizes: Int[np.ndarray, " groups"]
    sets: Int[np.ndarray, "groups most"]


@dataclass(frozen=True, eq=False)
class Categories:
    """The categories of each candidate.

    Parameters
    ----------
    labels : tuple of str
        The names of the categories, each once.
    sets : array of int, shape (candidates, most)
        The categories of each candidate as indices into the labels, each once, filled up with ``len(labels)``.

    Raises
    ------
    SpecificationError
        If names come twice, or an index is none of a category.
    """

    labels: tuple[str, ...]
    sets: Int[np.ndarray, "candidates most"]

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise SpecificationError("category names come twice; give each once")
        bad = (self.sets < 0) | (self.sets > len(self.labels))
        if bad.any():
            first = int(np.argmax(bad.any(axis=1)))
            raise SpecificationError(
                f"candidate {first} is in category {int(self.sets[first][bad[first]][0])}, which is not there: the "
                f"{len(self.labels)} categories are 0 to {len(self.labels) - 1}"
            )

    @classmethod
    def of(cls, memberships: Iterable[str | Iterable[str]], labels: Sequence[str] | None = None) -> Categories:
        """Return categories from the names that each candidate has: one, several or none.

        Parameters
        ----------
        memberships : iterable of str, or of iterables of str
            For each candidate.
        labels : sequence of str, optional
            All categories, in the order of their weights; by default those that occur, sorted.

        Raises
        ------
        SpecificationError
            If a name is not among the labels.

        Examples
        --------
        >>> Categories.of(["shoes", ["shoes", "sale"], []])
        Categories(3 candidates, 2 categories)
        """
        named = [
            (str(names),) if isinstance(names, str) else tuple(dict.fromkeys(map(str, names))) for names in memberships
        ]
        known = tuple(labels) if labels is not None else tuple(sorted({name for names in named for name in names}))
        codes = {name: code for code, name in enumerate(known)}
        sets = np.full((len(named), max((len(names) for names in named), default=0)), len(known), np.intp)
        for row, names in enumerate(named):
            for column, name in enumerate(names):
                if name not in codes:
                    raise SpecificationError(f"candidate {row}: no category {name!r}; {nearest(name, known)}")
                sets[row, column] = codes[name]
        return cls(known, sets)

    @classmethod
    def from_rows(
        cls,
        candidate: Int[np.ndarray, " memberships"],
        category: Int[np.ndarray, " memberships"],
        n_candidates: int,
        labels: Sequence[str],
    ) -> Categories:
        """Return categories from pairs of candidate and category, one row a membership, in any order.

        Parameters
        ----------
        candidate, category : array of int, shape (memberships,)
        n_candidates : int
        labels : sequence of str

        Raises
        ------
        SpecificationError
            If there is no such candidate or category.
        """
        for codes, size, what in ((candidate, n_candidates, "candidates"), (category, len(labels), "categories")):
            if len(codes) and (codes.min() < 0 or codes.max() >= size):
                raise SpecificationError(f"memberships name {what} {codes.min()} to {codes.max()}, of {size}")
        pairs = np.unique(np.stack([candidate, category]).astype(np.intp), axis=1)
        counts = np.bincount(pairs[0], minlength=n_candidates)
        place = np.arange(pairs.shape[1]) - (np.cumsum(counts) - counts)[pairs[0]]
        sets = np.full((n_candidates, int(counts.max(initial=0))), len(labels), np.intp)
        sets[pairs[0], place] = pairs[1]
        return cls(tuple(labels), sets)

    def __len__(self) -> int:
        return len(self.sets)

    def __repr__(self) -> str:
        return f"Categories({len(self):,} candidates, {len(self.labels):,} categories)"

    def code(self, label: str) -> int:
        """Return the index of a category.

        Raises
        ------
        SpecificationError
            If there is no such category, with the nearest names.
        """
        if label not in self.labels:
            raise SpecificationError(f"no category {label!r}; {nearest(label, self.labels)}")
        return self.labels.index(label)

    def holds(self, label: str) -> Bool[np.ndarray, " candidates"]:
        """Return which candidates are in a category.

        Raises
        ------
        SpecificationError
            If there is no such category, with the nearest names.
        """
        return np.asarray((self.sets == self.code(label)).any(axis=1))

    def shares(self) -> Float[np.ndarray, "candidates most"]:
        """Return a candidate's part in each entry of ``sets``: one over the number of its categories, 0 for fill."""
        there = self.sets < len(self.labels)
        return np.asarray(there / np.maximum(there.sum(axis=1, keepdims=True), 1))

    @cached_property
    def groups(self) -> Groups:
        """The candidates by what they are in."""
        ordered = np.sort(self.sets, axis=1)
        if ordered.shape[1] == 0:
            ordered = np.full((len(self), 1), len(self.labels), np.intp)
        sets, group = np.unique(ordered, axis=0, return_inverse=True)
        sizes = np.bincount(group.ravel(), minlength=len(sets))
        order = np.argsort(group.ravel(), kind="stable")
        # Column by column, as they are read.
        return Groups(order, np.cumsum(sizes) - sizes, sizes, np.asfortranarray(sets))

    @cached_property
    def singles(self) -> Groups:
        """Each candidate as a group of its own."""
        every = np.arange(len(self))
        return Groups(every, every, np.ones(len(self), np.intp), np.asfortranarray(self.sets))

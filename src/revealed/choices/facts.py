"""What is known of a log without any model, and how facts of parts merge. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from revealed.choices.levels import Levels, union_of


@dataclass(frozen=True, eq=False)
class LevelCounts(Mapping[str, float]):
    """A number for each level, read by its label; held as an array, as levels may be a million.

    Parameters
    ----------
    levels : Levels
        The labels.
    numbers : array, shape (levels,)
        The number of each.
    """

    levels: Levels
    numbers: Float[np.ndarray, " levels"]

    @cached_property
    def _by_label(self) -> dict[str, float]:
        return dict(zip(self.levels.labels, self.numbers.tolist(), strict=True))

    def __getitem__(self, label: str) -> float:
        return self._by_label[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self.levels.labels)

    def __len__(self) -> int:
        return len(self.levels)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LevelCounts):
            return self.levels == other.levels and bool(np.array_equal(self.numbers, other.numbers))
        return isinstance(other, Mapping) and self._by_label == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._by_label)


@dataclass(frozen=True)
class Facts:
    """What is known of a log without any model; facts of parts merge with ``+``.

    Parameters
    ----------
    n_cases, n_rows : int
        Choice situations, and rows (alternatives over all cases).
    n_choices : float
        Choices made: the weighted number of cases, or of counted choices.
    levels : Levels
        The alternatives, sorted.
    chosen : mapping
        Alternative to the weighted number of times it was chosen.
    smallest_set, largest_set : int
        The smallest and largest number of available alternatives in a case.
    null_log_likelihood : float
        The log-likelihood when each available alternative is equally likely.
    persons : Levels or None
        The decision makers, None when each case is its own person.
    """

    n_cases: int
    n_rows: int
    n_choices: float
    levels: Levels
    chosen: Mapping[str, float]
    smallest_set: int
    largest_set: int
    null_log_likelihood: float
    persons: Levels | None

    @property
    def n_persons(self) -> int:
        """The number of decision makers."""
        return self.n_cases if self.persons is None else len(self.persons)

    def __add__(self, other: Facts) -> Facts:
        return merge([self, other])


def merge(parts: Sequence[Facts]) -> Facts:
    """Return the facts of a log from those of its parts, in time linear in their size."""
    levels = union_of([part.levels for part in parts])
    taken = np.zeros(len(levels))
    for part in parts:
        counts = part.chosen
        array = counts.numbers if isinstance(counts, LevelCounts) else [counts[a] for a in part.levels.labels]
        taken[levels.index(part.levels.values)] += array
    persons = [part.persons for part in parts if part.persons is not None]
    return Facts(
        n_cases=sum(part.n_cases for part in parts),
        n_rows=sum(part.n_rows for part in parts),
        n_choices=float(sum(part.n_choices for part in parts)),
        levels=levels,
        chosen=LevelCounts(levels, taken),
        smallest_set=min(part.smallest_set for part in parts),
        largest_set=max(part.largest_set for part in parts),
        null_log_likelihood=float(sum(part.null_log_likelihood for part in parts)),
        persons=union_of(persons) if len(persons) == len(parts) else None,
    )

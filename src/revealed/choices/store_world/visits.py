"""Who came to the store, and what they answered. Imports its own folder only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

#: One for each visit, or for each of its positions.
Numbers = Float[np.ndarray, "count *positions"]
Flags = Bool[np.ndarray, "count *positions"]


@dataclass(frozen=True, eq=False)
class Visits:
    """Successive visits to the store: a round each.

    Parameters
    ----------
    first : int
        The number of the first one, from 0.
    seed : int
        The run's.
    context : array, shape (count, n_context)
        What is known of the visitor; the first column is one.
    time : array, shape (count,)
        When they came, in rounds.
    persons : array of int, shape (count,)
        Who came.
    eligible : array of bool, shape (count, n_items), optional
        What the store has at that time; None where it always has everything.
    """

    first: int
    seed: int
    context: Float[np.ndarray, "count n_context"]
    time: Float[np.ndarray, " count"]
    persons: Int[np.ndarray, " count"]
    eligible: Bool[np.ndarray, "count n_items"] | None = None

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"Visits({self.first:,} to {self.first + len(self) - 1:,}, seed {self.seed})"


@dataclass(frozen=True, eq=False)
class Answers:
    """What came of what was shown.

    Parameters
    ----------
    reward : array, shape (count,) or (count, positions)
        What came of it in the end.
    delay : array, shape (count,) or (count, positions)
        After how many rounds one can know; infinite where nothing ever comes, which is how a "no" looks in a store
        with late answers.
    seen : array of bool, shape (count,) or (count, positions)
        Whether the visitor looked there, which no store knows.
    time : array, shape (count,)
        When it was shown, in rounds.
    """

    reward: Numbers
    delay: Numbers
    seen: Flags
    time: Float[np.ndarray, " count"]

    @property
    def answered_at(self) -> Numbers:
        """When the answer comes, in rounds; infinite where none does."""
        return np.asarray((self.time if self.delay.ndim == 1 else self.time[:, None]) + self.delay)

    def known(self, now: float) -> Flags:
        """Return which answers have come by a time."""
        return self.answered_at <= now


__all__ = ["Answers", "Visits"]

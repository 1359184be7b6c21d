"""New items that arrive, and old ones that leave. Imports the errors only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import SpecificationError


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """When the store gets its items, in the order of their numbers.

    Parameters
    ----------
    initial : int
        How many are there from the start.
    every : float
        After how many rounds the next ones come, again and again until all are there.
    batch : int
        How many come at once.
    lifetime : float, optional
        For how many rounds each stays; without it, for good.
    """

    initial: int
    every: float
    batch: int = 1
    lifetime: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.initial < 1 or self.batch < 1:
            raise SpecificationError(f"arrivals need initial and batch of at least 1, not {self.initial}, {self.batch}")
        if not 0 < self.every < np.inf:
            raise SpecificationError(f"arrivals come every so many rounds, a number above 0, not {self.every}")
        if self.lifetime is not None and not self.lifetime > 0:
            raise SpecificationError(f"the lifetime of an item must be above 0 rounds, not {self.lifetime}")

    def arrival_times(self, n_items: int) -> Float[np.ndarray, " n_items"]:
        """Return when each item arrives, in rounds."""
        late = np.arange(n_items) - self.initial
        return np.where(late < 0, 0.0, self.every * (1 + late // self.batch))

    def eligible(self, time: Float[np.ndarray, " count"], n_items: int) -> Bool[np.ndarray, "count n_items"]:
        """Return which items are there at each time.

        Raises
        ------
        SpecificationError
            If there is a time when none is.
        """
        arrival = self.arrival_times(n_items)
        there = time[:, None] >= arrival
        if self.lifetime is not None:
            there &= time[:, None] < arrival + self.lifetime
            empty = np.flatnonzero(~there.any(axis=1))
            if len(empty):
                raise SpecificationError(
                    f"the store is empty at time {time[empty[0]]:g}: all its {n_items} items have left; "
                    "give more items, a longer lifetime, or arrivals in quicker succession"
                )
        return there


__all__ = ["Arrivals"]

"""A bounded part of the log of some time, however long the log is. Imports store's protocol.

An edge in time is found by halving, and some thousand decisions are read: all of them where there are no more, else the
same number from each stretch of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from revealed.store.protocol import DecisionRow, Store

#: Stretches that a window is cut into.
STRETCHES = 30


@dataclass(frozen=True, eq=False)
class Sample:
    """Decisions of a window of time.

    Parameters
    ----------
    times : array, shape (edges,)
        Where stretches begin and the last ends, in seconds since 1970.
    sizes : array, shape (stretches,)
        How many decisions were committed in each; some of them may have been forgotten since.
    rows : sequence of sequence of DecisionRow
        Those of each stretch that were read, the last first.
    """

    times: Float[np.ndarray, " edges"]
    sizes: Int[np.ndarray, " stretches"]
    rows: Sequence[Sequence[DecisionRow]]

    @property
    def count(self) -> int:
        """How many decisions were committed in the window."""
        return int(self.sizes.sum())


def sample_of(store: Store, end: int, moment: float, seconds: float, most: int) -> Sample:
    """Return decisions of the seconds before a moment.

    Parameters
    ----------
    store : Store
    end : int
        The last ``seq`` of decisions.
    moment, seconds : float
    most : int
        How many to read.
    """
    times = np.linspace(moment - seconds, moment, STRETCHES + 1)
    edges = _edges(store, end, times)
    count = edges[-1] - edges[0]
    each = count if count <= most else most // STRETCHES
    read = [
        store.decisions_before(high + 1, min(high - low, each)) if high > low else () for low, high in pairwise(edges)
    ]
    # What is forgotten leaves a gap, and the reader goes below the stretch: those are not of it.
    rows = [[row for seq, row in part if seq > low] for part, low in zip(read, edges[:-1], strict=True)]
    return Sample(times, np.diff(edges), rows)


def _edges(store: Store, end: int, times: np.ndarray) -> list[int]:
    """Return how many decisions were committed before each moment: their order is nearly that of their times."""
    found, low = [], 0
    for time in times:
        least, most = low, end
        while least < most:
            middle = (least + most + 1) // 2
            row = store.decisions_before(middle + 1, 1)
            if not row or row[0][1].made <= time:
                least = middle
            else:
                # All down to the one that was found are as late, those that are gone with them.
                most = min(middle - 1, row[0][0] - 1)
        low = least
        found.append(low)
    return found


def rewards_of(store: Store, rows: Sequence[DecisionRow]) -> dict[int, list[float]]:
    """Return the rewards of decisions that have any, by number."""
    found: dict[int, list[float]] = {}
    if rows:
        for outcome in store.outcomes_among([row.number for row in rows]):
            found.setdefault(outcome.decision, []).append(outcome.reward)
    return found

"""Tastes that change: by a random walk, or with the seasons. Imports its own folder and the errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.choices.store_world.streams import normals
from revealed.choices.store_world.sums import weighted
from revealed.errors import SpecificationError

#: A walk is kept in memory, so it has an end.
MOST_STEPS = 2**17

Tastes = Float[np.ndarray, "n_context n_attributes"]


@runtime_checkable
class Drift(Protocol):
    """A law by which tastes change. At time 0 they are the world's."""

    def liking(
        self, start: Tastes, context: Float[np.ndarray, "count n_context"], time: Float[np.ndarray, " count"], seed: int
    ) -> Float[np.ndarray, "count n_attributes"]:
        """Return what a unit of each attribute is worth to each visitor at that time: context times tastes then."""
        ...


@dataclass(frozen=True, kw_only=True)
class RandomWalk:
    """Every so often each taste takes a normal step, independent of the others.

    Parameters
    ----------
    step : float
        The standard deviation of a step, as a share of the size (root mean square) that tastes have at time 0.
    every : float
        How many rounds from step to step.
    """

    step: float
    every: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not (self.step >= 0 and self.step < np.inf):
            raise SpecificationError(f"the step of a random walk must not be negative, not {self.step}")
        if not 0 < self.every < np.inf:
            raise SpecificationError(f"a random walk steps every so many rounds, a number above 0, not {self.every}")

    def liking(
        self, start: Tastes, context: Float[np.ndarray, "count n_context"], time: Float[np.ndarray, " count"], seed: int
    ) -> Float[np.ndarray, "count n_attributes"]:
        """Return the liking after the steps taken by then.

        Raises
        ------
        SpecificationError
            If there are more than :data:`MOST_STEPS` of them.
        """
        steps = (time // self.every).astype(np.int64)
        last = int(steps.max(initial=0))
        if last >= MOST_STEPS:
            raise SpecificationError(
                f"the tastes would take {last:,} steps by time {time.max():g}, and a walk has at most {MOST_STEPS:,}; "
                f"let them step every {time.max() / MOST_STEPS + 1:.0f} rounds or more"
            )
        path = _path(seed, start.size, max(6, last.bit_length()))
        scale = (start != 0) * (self.step * _size(start))
        n_attributes = start.shape[1]
        liking = np.zeros((len(time), n_attributes))
        for row, column in enumerate(context.T):
            walked = path[steps, row * n_attributes : (row + 1) * n_attributes]
            liking += column[:, None] * (start[row] + scale[row] * walked)
        return liking


@dataclass(frozen=True, kw_only=True)
class Seasons:
    """Tastes turn from what they are to others of the same size, to their opposites, and back: once a period.

    Tastes at time t are cos(2πt / period) times those at time 0 plus sin(2πt / period) times others, drawn alike.

    Parameters
    ----------
    period : float
        How many rounds a full turn takes.
    """

    period: float

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0 < self.period < np.inf:
            raise SpecificationError(f"the period of the seasons must be above 0 rounds, not {self.period}")

    def liking(
        self, start: Tastes, context: Float[np.ndarray, "count n_context"], time: Float[np.ndarray, " count"], seed: int
    ) -> Float[np.ndarray, "count n_attributes"]:
        """Return the liking at the season of each time."""
        other = normals(seed, "season", 0, 1, start.size).reshape(start.shape) * (start != 0)
        other *= _size(start) / (_size(other) or 1.0)
        angle = (2 * np.pi / self.period) * (time % self.period)
        now = np.cos(angle)[:, None] * weighted(context, start)
        now += np.sin(angle)[:, None] * weighted(context, other)
        return np.asarray(now)


def _size(tastes: Tastes) -> float:
    """Return the root mean square of the tastes that can change."""
    moved = tastes[tastes != 0]
    return float(np.sqrt(np.mean(moved**2))) if len(moved) else 0.0


@lru_cache(maxsize=4)
def _path(seed: int, width: int, bits: int) -> Float[np.ndarray, "steps width"]:
    """Return where a walk of unit steps is after 0, 1, … steps: a longer one begins as a shorter one does."""
    path = np.zeros((2**bits, width))
    np.cumsum(normals(seed, "walk", 0, 2**bits - 1, width), axis=0, out=path[1:])
    path.flags.writeable = False
    return path


__all__ = ["MOST_STEPS", "Drift", "RandomWalk", "Seasons"]

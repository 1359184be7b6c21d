"""What the service does these minutes, from a bounded part of its log. Imports store's protocol.

However long the log is, an edge in time is found by halving and some thousand decisions are read: all of them where
there are no more, else some of each stretch, which count for all of that stretch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from revealed.store.protocol import DecisionRow, Store

#: Stretches that a window is cut into.
STRETCHES = 30
#: Decisions that are read at most, and outcomes for their delay.
MOST, MOST_OUTCOMES = 3000, 500


@dataclass(frozen=True)
class Stretch:
    """A part of the window.

    Parameters
    ----------
    start : float
        In seconds since 1970.
    count : int
        Decisions made in it; some of them may have been forgotten since.
    exploration, reward : float, optional
        Means over those that were read: 1 minus the propensity, and the reward of answers.
    """

    start: float
    count: int
    exploration: float | None
    reward: float | None


@dataclass(frozen=True)
class OfPolicy:
    """What a policy did in the window.

    Parameters
    ----------
    name : str
    count : float
        Decisions, estimated where not all were read.
    answered : float
        The share of decisions that have an outcome by now.
    reward : float, optional
        Mean of the outcomes.
    exploration : float
        Mean of 1 minus the propensity.
    """

    name: str
    count: float
    answered: float
    reward: float | None
    exploration: float


@dataclass(frozen=True)
class Delay:
    """How late outcomes come, in seconds: half of them, and nine of ten."""

    n: int
    half: float
    most: float


@dataclass(frozen=True)
class Now:
    """What happened in a window of time.

    Parameters
    ----------
    seconds : float
        How long it is.
    count, read : int
        Decisions in it, and how many of them were read.
    last : float, optional
        When the last decision of all was made.
    stretches : sequence of Stretch
        None if nothing was decided.
    policies : sequence of OfPolicy
    delay : Delay, optional
        Of the latest outcomes, of whatever time their decisions are.
    """

    seconds: float
    count: int
    read: int
    last: float | None
    stretches: Sequence[Stretch]
    policies: Sequence[OfPolicy]
    delay: Delay | None

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.count / self.seconds


def now_of(store: Store, names: Sequence[str], moment: float, seconds: float) -> Now:
    """Return what happened in the seconds before a moment.

    Parameters
    ----------
    store : Store
    names : sequence of str
        The policies whose outcomes to look at.
    moment, seconds : float
    """
    end, outcomes_end = store.ends()
    newest = store.decisions_before(end + 1, 1)
    last = newest[0][1].made if newest else None
    times = np.linspace(moment - seconds, moment, STRETCHES + 1)
    edges = _edges(store, end, times)
    count = edges[-1] - edges[0]
    if not count:
        return Now(seconds, 0, 0, last, (), (), _delay(store, names, outcomes_end))
    each = count if count <= MOST else MOST // STRETCHES
    read = [
        store.decisions_before(high + 1, min(high - low, each)) for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    # What is forgotten leaves a gap, and the reader goes below the stretch: those are not of it.
    rows = [[row for seq, row in part if seq > low] for part, low in zip(read, edges[:-1], strict=True)]
    rewards = _rewards(store, [row for part in rows for row in part])
    sizes = np.diff(edges)
    stretches = [
        Stretch(float(start), int(size), *_means(part, rewards))
        for start, size, part in zip(times[:-1], sizes, rows, strict=True)
    ]
    n_read = sum(map(len, rows))
    return Now(
        seconds, count, n_read, last, stretches, _of_policies(rows, sizes, rewards), _delay(store, names, outcomes_end)
    )


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


def _rewards(store: Store, rows: Sequence[DecisionRow]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    if rows:
        for outcome in store.outcomes_among([row.number for row in rows]):
            found.setdefault(outcome.decision, []).append(outcome.reward)
    return found


def _exploration(row: DecisionRow) -> float:
    return 1 - prod(json.loads(row.propensities))


def _means(rows: Sequence[DecisionRow], rewards: dict[int, list[float]]) -> tuple[float | None, float | None]:
    if not rows:
        return None, None
    told = [reward for row in rows for reward in rewards.get(row.number, ())]
    return float(np.mean([_exploration(row) for row in rows])), float(np.mean(told)) if told else None


def _of_policies(
    parts: Sequence[Sequence[DecisionRow]], sizes: np.ndarray, rewards: dict[int, list[float]]
) -> list[OfPolicy]:
    """Return what each policy did, each decision that was read counting for its stretch."""
    rows = [row for part in parts for row in part]
    weight = np.array([size / len(part) for part, size in zip(parts, sizes, strict=True) for _ in part])
    answered = np.array([row.number in rewards for row in rows], dtype=float)
    n_told = np.array([len(rewards.get(row.number, ())) for row in rows], dtype=float)
    told = np.array([sum(rewards.get(row.number, ())) for row in rows])
    explored = np.array([_exploration(row) for row in rows])
    found = []
    for name in sorted({row.policy for row in rows}):
        some = np.array([row.policy == name for row in rows]) * weight
        total, n_outcomes = some.sum(), (some * n_told).sum()
        reward = float((some * told).sum() / n_outcomes) if n_outcomes else None
        mean_answered, mean_explored = float((some * answered).sum() / total), float((some * explored).sum() / total)
        found.append(OfPolicy(name, float(total), mean_answered, reward, mean_explored))
    return found


def _delay(store: Store, names: Sequence[str], end: int) -> Delay | None:
    late = [
        answer.outcome.came - answer.decision.made
        for name in names
        for answer in store.answers_after(max(end - MOST_OUTCOMES, 0), end, name)
    ]
    return Delay(len(late), *np.quantile(late, [0.5, 0.9]).tolist()) if late else None

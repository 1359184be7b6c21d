"""What the service does these minutes, from a bounded part of its log. Imports its own room and store.

Of a window that holds more decisions than are read, those of each stretch of time count for all of that stretch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from revealed.serve.console.sampling import rewards_of, sample_of
from revealed.store.protocol import DecisionRow, Store

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
    sample = sample_of(store, end, moment, seconds, MOST)
    if not sample.count:
        return Now(seconds, 0, 0, last, (), (), _delay(store, names, outcomes_end))
    rows, sizes = sample.rows, sample.sizes
    rewards = rewards_of(store, [row for part in rows for row in part])
    stretches = [
        Stretch(float(start), int(size), *_means(part, rewards))
        for start, size, part in zip(sample.times[:-1], sizes, rows, strict=True)
    ]
    n_read = sum(map(len, rows))
    return Now(
        seconds,
        sample.count,
        n_read,
        last,
        stretches,
        _of_policies(rows, sizes, rewards),
        _delay(store, names, outcomes_end),
    )


def _exploration(row: DecisionRow) -> float:
    chances: list[float] = json.loads(row.propensities)
    return 1.0 - prod(chances)


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

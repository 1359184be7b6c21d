"""Which policy does better, by what came of their own decisions. Imports its room, roster, decide and store.

In a slot persons are given to policies, and to the holdout group, by lot: what came of each group's decisions in the
same time can be compared as it is. Persons come again, so intervals count persons, not decisions: the cluster-robust
variance of a mean (Cameron and Miller 2015, "A practitioner's guide to cluster-robust inference", Journal of Human
Resources 50(2)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
from scipy.special import ndtri

from revealed.decide.business import HOLDOUT
from revealed.serve.console.sampling import rewards_of, sample_of
from revealed.serve.roster import SHADOW
from revealed.store.protocol import DecisionRow, PolicyRow, Store

#: How far back to look, in seconds; decisions that are read; persons with an outcome without whom nothing is said.
WINDOW, MOST, FEWEST = 7 * 86_400.0, 10_000, 30
_LEVEL = 0.95
Verdict = Literal["leads", "better", "worse", "cannot tell", "too few"]


@dataclass(frozen=True)
class Arm:
    """A policy, or its holdout group, and what came of its decisions.

    Parameters
    ----------
    policy : str
    holdout : bool
        Whether it is the group to whom what is eligible is shown by lot.
    decisions, outcomes, persons : int
        That were read; persons are those with an outcome.
    mean, low, high : float, optional
        The mean reward of outcomes with its 95% interval; none where there are too few.
    by, by_low, by_high : float, optional
        The difference to the policy that decides for all, with an interval that holds for all of the slot together.
    verdict : str
    """

    policy: str
    holdout: bool
    decisions: int
    outcomes: int
    persons: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    by: float | None = None
    by_low: float | None = None
    by_high: float | None = None
    verdict: Verdict = "too few"


@dataclass(frozen=True)
class Comparison:
    """The policies of a slot beside each other.

    Parameters
    ----------
    slot : str
    since : float
        From when on: a week ago, or the last change of who decides for whom.
    count, read : int
        Decisions of the whole log since then, and how many of them were read.
    arms : sequence of Arm
        The one that decides for all comes first.
    """

    slot: str
    since: float
    count: int
    read: int
    arms: Sequence[Arm]


def comparison_of(store: Store, policies: Sequence[PolicyRow], moment: float) -> Comparison:
    """Return the policies of one slot beside each other.

    Parameters
    ----------
    store : Store
    policies : sequence of PolicyRow
        All of a slot, at least one.
    moment : float
        Now, in seconds since 1970.
    """
    deciding = [row for row in policies if row.state != SHADOW]
    since = max(moment - WINDOW, *(row.changed for row in deciding)) if deciding else moment - WINDOW
    since = min(since, moment - 1.0)
    sample = sample_of(store, store.ends()[0], moment, moment - since, MOST)
    rows = [row for part in sample.rows for row in part]
    rewards = rewards_of(store, rows)
    leader = next((row.name for row in deciding if row.share >= 1), deciding[0].name if deciding else "")
    names = [leader, *(row.name for row in deciding if row.name != leader)]
    groups = {
        (name, out): [row for row in rows if row.policy == name and row.version.endswith(HOLDOUT) == out]
        for name in names
        for out in (False, True)
    }
    found = [_arm(name, out, some, rewards) for (name, out), some in groups.items() if some or (not out and name)]
    return Comparison(policies[0].slot, since, sample.count, len(rows), _compared(found))


def _arm(name: str, out: bool, rows: Sequence[DecisionRow], rewards: dict[int, list[float]]) -> tuple[Arm, float]:
    """Return what came of some decisions, and the standard error of their mean reward."""
    by_person: dict[str, list[float]] = {}
    for row in rows:
        if row.number in rewards:
            by_person.setdefault(row.person or f"\0{row.number}", []).extend(rewards[row.number])
    n, persons = sum(map(len, by_person.values())), len(by_person)
    if persons < FEWEST:
        return Arm(name, out, len(rows), n, persons), np.nan
    mean = sum(map(sum, by_person.values())) / n
    off = np.array([sum(told) - mean * len(told) for told in by_person.values()])
    error = sqrt(persons / (persons - 1) * float(off @ off)) / n
    reach = error * float(ndtri((1 + _LEVEL) / 2))
    return Arm(name, out, len(rows), n, persons, mean, mean - reach, mean + reach), error


def _compared(found: Sequence[tuple[Arm, float]]) -> list[Arm]:
    """Return arms with their differences to the first."""
    if not found:
        return []
    first, error = found[0]
    n_others = max(len(found) - 1, 1)
    wide = float(ndtri(1 - (1 - _LEVEL) / (2 * n_others)))
    arms = [replace(first, verdict="leads")]
    for arm, own in found[1:]:
        if arm.mean is None or first.mean is None:
            arms.append(arm)
            continue
        by, reach = arm.mean - first.mean, wide * sqrt(own**2 + error**2)
        verdict: Verdict = "better" if by > reach else "worse" if by < -reach else "cannot tell"
        arms.append(replace(arm, by=by, by_low=by - reach, by_high=by + reach, verdict=verdict))
    return arms

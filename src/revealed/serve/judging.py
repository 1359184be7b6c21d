"""How versions and shadow policies would have done, on decisions they have not learned from. Imports answer to store.

A policy as it was at a milestone (:class:`~revealed.store.protocol.Milestone`) is judged on what was decided after it:
how likely it would have shown what was shown, over how likely that was shown, weighs what came of it
(:mod:`revealed.answer.offpolicy`). Self-normalised: nothing but the propensities in the log is leaned on, and they are
right whatever policies were learning meanwhile.

Run as a program it judges the policies of a store once, beside a service that tells it so on standard input
(:mod:`.parent`), and leaves what it found in the store.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice, pairwise
from operator import mul
from random import Random
from typing import Any

import msgspec
import numpy as np

from revealed.answer.offpolicy import (
    InversePropensity,
    Limits,
    PolicyComparison,
    SlateRewardInteraction,
    compare_policies,
    compare_slates,
)
from revealed.answer.offpolicy.compare import LOGGED
from revealed.choices.feedback import read_feedback
from revealed.decide.delay.section import UNITS
from revealed.decide.policy import LearningPolicy
from revealed.errors import RevealedError
from revealed.evidence.level import quantile
from revealed.serve import parent
from revealed.serve.judgement import Judged, Judgement
from revealed.serve.snapshots import policy_of
from revealed.serve.told_again import Again
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow, Milestone, Store

#: A window is read in so many stretches, so many decisions of each.
STRETCHES, EACH = 20, 500
#: What may take a millisecond (:attr:`.Again.slow`), before no other stretch is read.
SLOW = 2000
#: The share of decisions that a policy may be unable to decide.
UNDECIDED = 0.05
#: The share of what a policy would show that may have had no chance to be shown: as much as the mean weight lacks to 1.
#: A propensity is a share of 256 draws, so what a policy shows less often than that may have none. What came of it
#: would lie between the lowest and the highest that came of anything, and intervals are as much wider.
MISSING = 0.05
#: The p-value of a mean weight of 1 below which it is held to lack something; how far above 1 it may be all the same.
DOUBT, _ROUGHLY = 0.01, 0.01
#: Decisions after which what is shown once in a hundred is likely to have been shown.
OFTEN = 300
#: Persons, and decisions of even weight that the interval of a difference leans on, at least.
FEWEST = 30
LEVEL = 0.95
_VERSION = "version"
_READ_LABELS = msgspec.json.Decoder(list[str]).decode
_READ_CHANCES = msgspec.json.Decoder(list[float]).decode
_LENIENT = Limits(least_effective=0.0, least_p_value=0.0)


@dataclass(eq=False)
class _Rows:
    """What was shown in the decisions that were read and have an outcome."""

    read: int = 0
    labels: set[str] = field(default_factory=set)
    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: [] for name in ("decision", "position", "action", "reward", "propensity", "person")
        }
    )
    chances: list[float] = field(default_factory=list)
    longest: int = 0

    def add(
        self,
        rows: Sequence[DecisionRow],
        rewards: Sequence[Sequence[float]],
        chances: Sequence[Sequence[float] | None],
    ) -> None:
        """Take in decisions, but those that the policy cannot decide."""
        columns = self.columns
        for row, came, given in zip(rows, rewards, chances, strict=True):
            if given is None:
                continue
            n = len(came)
            columns["decision"] += [row.number] * n
            columns["position"] += range(1, n + 1)
            columns["action"] += _READ_LABELS(row.shown)
            columns["reward"] += came
            # Of all that stands there and above: what weighs it where several things are shown.
            columns["propensity"] += accumulate(_READ_CHANCES(row.propensities), mul)
            columns["person"] += [row.person or f"\0{row.number}"] * n
            self.chances += accumulate(given, mul)
            self.longest = max(self.longest, n)

    @property
    def answered(self) -> int:
        return self.columns["position"].count(1)

    def otherwise(self) -> float:
        """Return how many rows of even weight the difference to what was shown leans on: (sum |w - 1|)^2 over squares.

        Versions that follow each other show the same nearly always, and a normal interval of a few rows is too short.
        """
        off = np.abs(np.array(self.chances) / np.array(self.columns["propensity"]) - 1)
        squares = float(off @ off)
        return float(off.sum()) ** 2 / squares if squares else 0.0

    def rewards(self) -> tuple[float, float]:
        """Return the least and the most that came of a decision."""
        starts = np.flatnonzero(np.array(self.columns["position"]) == 1)
        sums = np.add.reduceat(np.array(self.columns["reward"]), starts)
        return float(sums.min()), float(sums.max())


def judgement_of(store: Store, slot: str, now: float) -> Judgement:
    """Return how each version of a slot's policies that was kept would have done.

    Parameters
    ----------
    store : Store
    slot : str
    now : float
        In seconds since 1970.
    """
    began, end = time.monotonic(), store.ends()[0]
    versions = []
    for row in store.policies():
        if row.slot != slot:
            continue
        kept = store.checkpoint(row.name)
        met = policy_of(kept.state).catalogue.actions if kept is not None else {}
        for milestone in store.milestones(row.name):
            state = store.milestone_state(milestone)
            if state is not None:
                versions.append(judged(store, slot, milestone, policy_of(state), end, now, met))
    _join(versions)
    return Judgement(end, time.monotonic() - began, versions)


def judged(
    store: Store,
    slot: str,
    milestone: Milestone,
    policy: LearningPolicy,
    end: int,
    now: float,
    met: Mapping[str, Mapping[str, Any]] | None = None,
) -> Judged:
    """Return how a policy as it was at a milestone would have done on what was decided after it.

    Parameters
    ----------
    store : Store
    slot : str
    milestone : Milestone
    policy : LearningPolicy
    end : int
        The last ``seq`` of decisions to read.
    now : float
        In seconds since 1970.
    met : mapping, optional
        The attributes of what was met since, by label.
    """
    again, rows = Again(policy, met or {}), _Rows()
    for start, stop in _stretches(milestone.decisions_to, end):
        _read(store, slot, start, stop, again, rows, now)
        if again.slow > SLOW:
            break
    count = max(end - milestone.decisions_to, 0)
    found = Judged(
        milestone.policy, policy.version, milestone.lesson, milestone.answers, milestone.at, count,
        read=rows.read, answered=rows.answered,
    )  # fmt: skip
    tried = rows.answered + again.refused
    if again.refused > UNDECIDED * tried:
        why = f"it cannot decide {again.refused:,} of the {tried:,} decisions that have an outcome: {again.reason}"
        found.refused = [why]
    elif not rows.answered:
        found.refused = ["no decision made after it has an outcome yet"]
    else:
        if again.refused:
            found.warnings = [f"{again.refused:,} decisions that it cannot decide were left out: {again.reason}"]
        _weigh(found, rows, _never_shown(again, rows))
    return found


def _stretches(start: int, end: int) -> list[tuple[int, int]]:
    """Return the stretches to read of a window, in an order in which the first few are of all of it."""
    n = max(1, min(STRETCHES, -(-(end - start) // EACH)))
    edges = np.linspace(start, max(end, start), n + 1).astype(int).tolist()
    found = list(pairwise(edges))
    Random(0).shuffle(found)  # noqa: S311 - a sample, no secret
    return found


def _read(store: Store, slot: str, start: int, stop: int, again: Again, rows: _Rows, now: float) -> None:
    """Read a stretch of the log."""
    read = [row for _, row in islice(store.decisions_in_slot(start, stop, slot), EACH)]
    if not read:
        return
    came = {(one.decision, one.position): one.reward for one in store.outcomes_among([row.number for row in read])}
    silent = _silence(again.policy, now)
    answered, rewards = [], []
    for row in read:
        shown = _READ_LABELS(row.shown)
        rows.labels.update(shown)
        told = [came.get((row.number, place + 1), 0.0 if row.made < silent else None) for place in range(len(shown))]
        known = [reward for reward in told if reward is not None]
        if shown and len(known) == len(shown):  # what only a part is known of has no value
            answered.append(row)
            rewards.append(known)
    rows.read += len(read)
    rows.add(answered, rewards, again.chances(answered))


def _silence(policy: LearningPolicy, now: float) -> float:
    """Return the moment before which a decision without an outcome is a "no" for good."""
    section = policy.specification.delay
    if section is None or section.horizon is None:
        return float("-inf")
    return now - section.horizon * UNITS[section.unit]


def _never_shown(again: Again, rows: _Rows) -> float:
    """Return the share of what the policy would show first that was never shown in what was read.

    Of what was a candidate often enough: what is rarely one may not have come up yet.
    """
    total = sum(chance for chance, _ in again.first.values())
    never = [chance for label, (chance, count) in again.first.items() if label not in rows.labels and count >= OFTEN]
    return sum(never) / total if total else 0.0


def _weigh(found: Judged, rows: _Rows, never: float) -> None:
    """Write the value of a policy, or why the log cannot say."""
    try:
        answer = _compared(rows)
    except RevealedError as error:
        found.refused = [str(error)]
        return
    value = answer[_VERSION]
    overlap = replace(value.overlap, never_logged=never)
    found.missing = max(never, 1 - overlap.mean_weight if overlap.p_value < DOUBT else 0.0)
    if found.missing <= MISSING and (overlap.p_value >= DOUBT or overlap.mean_weight <= 1 + _ROUGHLY):
        overlap = replace(overlap, p_value=1.0, never_logged=None)
    found.effective, found.shown = overlap.effective_sample_size, answer[LOGGED].value
    found.refused = list(dict.fromkeys([*overlap.refusals(Limits()), *value.refused]))
    if value.n_persons < FEWEST:
        found.refused.append(f"only {value.n_persons} persons tell how persons differ, fewer than {FEWEST}")
    found.warnings += overlap.warnings()
    if found.refused:
        return
    difference = answer.difference(_VERSION)
    found.value, found.by = value.value, difference.value
    if np.isfinite(difference.standard_error):
        least, most = rows.rewards()
        found.slack = found.missing * max(value.value - least, 0.0), found.missing * max(most - value.value, 0.0)
        found.low, found.high = value.low - found.slack[0], value.high + found.slack[1]
        otherwise = rows.otherwise()
        if otherwise >= FEWEST or not difference.standard_error:
            found.error = difference.standard_error
        else:
            found.warnings.append(
                f"what it would have shown otherwise amounts to {otherwise:.1f} decisions: too few for an interval of "
                "the difference"
            )


def _compared(rows: _Rows) -> PolicyComparison:
    """Return the policy beside what was shown: for each decision, of one thing or of several from the top."""
    columns, chances = dict(rows.columns), np.array(rows.chances)
    if rows.longest > 1:
        feedback = read_feedback(columns, position="position", person="person")
        return compare_slates(feedback, chances, SlateRewardInteraction(), name=_VERSION, level=LEVEL, limits=_LENIENT)
    del columns["position"]
    feedback = read_feedback(columns, person="person")
    estimator = InversePropensity(normalised=True)
    return compare_policies(feedback, {_VERSION: chances}, estimator, level=LEVEL, limits=_LENIENT)


def _join(versions: Sequence[Judged]) -> None:
    """Write intervals of the differences that hold for all versions together (Bonferroni)."""
    told = [one for one in versions if one.error is not None]
    for one in told:
        assert one.by is not None
        assert one.error is not None
        reach = quantile(1 - (1 - LEVEL) / len(told)) * one.error
        one.by_low, one.by_high = one.by - reach - one.slack[0], one.by + reach + one.slack[1]


def judge_all(store: Store, now: float) -> None:
    """Judge the policies of a store, and leave in it what was found."""
    for slot in dict.fromkeys(row.slot for row in store.policies()):
        found = judgement_of(store, slot, now)
        store.put_judgement(slot, now, msgspec.json.encode(found).decode())


def main() -> None:
    """Judge the policies of the store that is told on standard input; end when who told it does."""
    where = msgspec.json.decode(parent.told(), type=str)
    parent.when_it_has_gone(lambda: os._exit(0))
    os.nice(10)  # deciding and learning come first
    try:
        store = open_store(where)
        judge_all(store, time.time())
        store.close()
    except RevealedError as error:
        sys.exit(f"judge: {error}")


if __name__ == "__main__":
    main()

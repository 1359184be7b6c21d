"""Whether one policy does better than another: against textbook formulas, and where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from revealed.serve.console.better import FEWEST, comparison_of
from revealed.store.open import open_store
from revealed.store.protocol import PolicyRow
from tests.store.rows import decision, outcome

NOW = 2e9


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "log.db"))
    yield opened
    opened.close()


def policy(name: str, share: float = 1.0, state: str = "live", changed: float = NOW - 5000) -> PolicyRow:
    return PolicyRow(name, "{}", state, share, changed, "offers")


def known(value: float | None) -> float:
    """Return a number that is there."""
    assert value is not None
    return value


def told(store, name: str, rewards, times: int = 1, version: str = "v1", made: float = NOW - 100) -> None:
    """Write a decision for each of some persons, so many times, and what came of it."""
    numbers = store.lease(len(rewards) * times)
    rows = [
        decision(
            number, policy=name, version=version, made=made, shown='["gift"]', propensities="[0.5]",
            person=f"{name}{version} {i % len(rewards)}",
        )
        for i, number in enumerate(numbers)
    ]  # fmt: skip
    rewarded = [float(rewards[i % len(rewards)]) for i in range(len(rows))]
    store.write(rows, [outcome(row.number, reward=r) for row, r in zip(rows, rewarded, strict=True)])


def test_one_decision_a_person_is_the_textbooks_mean_and_difference(store) -> None:
    random = np.random.default_rng(3)
    one, two = random.normal(1.0, 0.5, 400), random.normal(1.4, 0.7, 300)
    told(store, "old", one)
    told(store, "new", two)
    found = comparison_of(store, [policy("new", 0.4), policy("old")], NOW)
    first, second = found.arms
    assert (first.policy, first.verdict, second.verdict) == ("old", "leads", "better")
    for arm, values in ((first, one), (second, two)):
        assert arm.mean == pytest.approx(values.mean())
        assert known(arm.high) - known(arm.mean) == pytest.approx(
            1.959964 * values.std(ddof=1) / np.sqrt(len(values)), rel=1e-6
        )
    error = np.sqrt(one.var(ddof=1) / 400 + two.var(ddof=1) / 300)
    assert second.by == pytest.approx(two.mean() - one.mean())
    assert known(second.by_high) - known(second.by) == pytest.approx(1.959964 * error, rel=1e-6)


def test_the_same_said_ten_times_by_each_person_is_no_surer(store, tmp_path) -> None:
    rewards = np.random.default_rng(4).integers(0, 2, 80)
    told(store, "old", rewards)
    other = open_store(str(tmp_path / "other.db"))
    told(other, "old", rewards, times=10)
    once, often = (comparison_of(each, [policy("old")], NOW).arms[0] for each in (store, other))
    other.close()
    assert (once.outcomes, often.outcomes, once.persons, often.persons) == (80, 800, 80, 80)
    assert (often.mean, often.low, often.high) == pytest.approx((once.mean, once.low, once.high))


def test_the_holdout_group_is_an_arm_and_intervals_hold_together(store) -> None:
    rewards = np.random.default_rng(5).normal(0, 1, 100)
    told(store, "old", rewards)
    told(store, "old", rewards, version="v1/holdout")
    alone = comparison_of(store, [policy("old")], NOW).arms
    assert [(arm.holdout, arm.verdict) for arm in alone] == [(False, "leads"), (True, "cannot tell")]
    told(store, "new", rewards)
    both = comparison_of(store, [policy("old"), policy("new", 0.1)], NOW).arms
    assert [(arm.policy, arm.holdout) for arm in both] == [("old", False), ("old", True), ("new", False)]
    assert known(both[1].by_high) > known(alone[1].by_high), "more comparisons, wider intervals"


def test_too_few_persons_and_decisions_before_the_change_say_nothing(store) -> None:
    told(store, "old", np.arange(100.0), made=NOW - 6000)  # before it was changed who decides
    told(store, "old", np.arange(FEWEST - 1.0))
    told(store, "new", np.arange(FEWEST + 0.0))
    found = comparison_of(store, [policy("old"), policy("new", 0.5), policy("dark", 1.0, "shadow")], NOW)
    assert found.since == NOW - 5000
    assert [(arm.policy, arm.persons, arm.verdict) for arm in found.arms] == [
        ("old", FEWEST - 1, "leads"), ("new", FEWEST, "too few")
    ]  # fmt: skip
    assert [arm.mean is None for arm in found.arms] == [True, False]
    assert found.arms[1].by is None
    assert comparison_of(store, [policy("dark", 1.0, "shadow")], NOW).arms == []
    assert comparison_of(store, [policy("just now", changed=NOW + 50)], NOW).arms[0].persons == 0

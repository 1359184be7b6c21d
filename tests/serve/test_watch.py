"""What the service finds unlike before, and what it does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from revealed.serve.lessons import Shown
from revealed.serve.snapshots import Snapshot, Snapshots
from revealed.serve.watch import Watch
from revealed.store.protocol import DecisionRow, OutcomeRow
from tests.serve.world import fresh


def rows(rng: np.random.Generator, n: int, rate=0.1, propensity=0.4, missing=0.05, delay=60.0) -> list[Shown]:
    """Return made-up rows of a lesson."""
    found = []
    for number in range(n):
        context = {"device": "phone", "age": None if rng.random() < missing else 31}
        row = DecisionRow(number, "p", "v", 1000.0, json.dumps(context), '["news"]', json.dumps([propensity]))
        came = 1000.0 + rng.exponential(delay)
        found.append(Shown(row, 1, OutcomeRow(number, 1, float(rng.random() < rate), came, came)))
    return found


CHANGES = {
    "reward": {"rate": 0.2},
    "propensity": {"propensity": 0.9999},
    "missing": {"missing": 0.5},
    "delay": {"delay": 600.0},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_an_alarm_and_nothing_else_is(kind) -> None:
    rng = np.random.default_rng(3)
    watch = Watch(["age"])
    watch.see(rows(rng, 6000))
    assert watch.alarms() == []
    watch.see(rows(rng, 2500, **CHANGES[kind]))
    found = watch.alarms()
    assert [alarm.kind for alarm in found] == [kind]
    assert found[0].now > 1.2 * found[0].before
    assert found[0].about == ("age" if kind == "missing" else "")
    if kind == "delay":
        assert 20 < found[0].before < 200 < found[0].now < 1000  # seconds


def test_chance_is_no_alarm() -> None:
    """Looked at after each lesson of fifty rows, four thousand rows of nothing new: no false alarm in five worlds."""
    for seed in range(5):
        rng, watch = np.random.default_rng(seed), Watch(["age"])
        for _ in range(80):
            watch.see(rows(rng, 50, rate=0.05))
            assert watch.alarms() == []


def test_too_few_rows_are_no_alarm() -> None:
    watch = Watch()
    watch.see(rows(np.random.default_rng(0), 900, propensity=1.0))
    assert watch.alarms() == []


def test_what_may_be_missing_of_a_context_is_watched(tmp_path) -> None:
    policy = fresh(
        features={"categorical": ["offer", "device"], "numeric": ["age", "price"], "optional": ["age", "price"],
                  "item": ["price"]}
    )  # fmt: skip
    watch = Watch.over(policy)
    rng = np.random.default_rng(1)
    watch.see(rows(rng, 6000))
    watch.see(rows(rng, 1500, missing=0.9))
    alarms = watch.alarms()
    assert [(alarm.kind, alarm.about) for alarm in alarms] == [("missing", "age")]
    snapshots = Snapshots(tmp_path)
    snapshots.publish("p", Snapshot(policy, 1, 2.0, tuple(alarms)))
    found = snapshots.news("p")
    assert found is not None
    assert found.alarms == tuple(alarms)

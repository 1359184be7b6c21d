"""Learning from the log: what is repeated is the same to the bit, however it was cut short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from revealed.decide.policy import LearningPolicy
from revealed.errors import StoreError
from revealed.serve.learner import ROLE, Pupil, learn
from revealed.serve.lessons import Shown, feedback_of, taught
from revealed.serve.snapshots import Snapshot, Snapshots, state_of
from revealed.store.open import open_store
from revealed.store.protocol import Answered, DecisionRow, OutcomeRow, Store
from tests.serve.world import OFFERS, fresh, made


def decided(store: Store, n: int, seed: int = 0, policy: str = "offers") -> list[DecisionRow]:
    """Write decisions made by lot, each with its outcome."""
    rng = np.random.default_rng(seed)
    rows = [
        DecisionRow(
            number, policy, "0-abc", 1000.0 + number, json.dumps({"device": ["phone", "desktop"][rng.integers(2)]}),
            json.dumps([OFFERS[rng.integers(5)]]), "[0.2]", f"person {rng.integers(50)}",
        )
        for number in store.lease(n)
    ]  # fmt: skip
    store.write(rows, [OutcomeRow(row.number, 1, float(rng.random() < 0.3), 2000.0, 2000.0) for row in rows])
    return rows


def test_a_posterior_is_a_function_of_the_lessons(tmp_path) -> None:
    """Repeated from the start, from a checkpoint, or never interrupted: the same bytes."""
    where = made(tmp_path)
    store = open_store(where)
    pupil = Pupil.resumed(store, "offers", "offers")
    for turn in range(12):
        decided(store, 1 + 7 * turn, turn)
        assert pupil.look(float(turn))
        if turn == 6:
            pupil.keep(1e9)
            assert store.checkpoint("offers").lesson == 7  # type: ignore[union-attr]
    assert pupil.policy.model.n_answers == sum(1 + 7 * turn for turn in range(12))
    again = Pupil.resumed(store, "offers", "offers")
    assert again.lesson == pupil.lesson
    assert state_of(again.policy) == state_of(pupil.policy)
    from_the_start = fresh()
    before = 0
    for lesson in store.lessons_after("offers", 0):
        from_the_start, odd = taught(from_the_start, list(store.answers_after(before, lesson.outcomes_to, "offers")))
        before = lesson.outcomes_to
        assert not odd
    assert state_of(from_the_start) == state_of(pupil.policy)
    assert not pupil.look(99.0)
    store.close()


def test_policies_learn_from_their_own_outcomes(tmp_path) -> None:
    from revealed.serve.enrolment import enrol

    store = open_store(made(tmp_path))
    enrol(store, "others", fresh(), 0.0)
    first, second = Pupil.resumed(store, "offers", "offers"), Pupil.resumed(store, "others", "others")
    decided(store, 10, policy="others")
    assert not first.look(1.0)
    assert not store.lessons_after("offers", 0)
    assert second.look(1.0)
    decided(store, 5)
    assert first.look(2.0)
    assert (first.policy.model.n_answers, second.policy.model.n_answers) == (5, 10)
    assert state_of(Pupil.resumed(store, "offers", "offers").policy) == state_of(first.policy)
    store.close()


def test_feedback_has_the_context_the_attributes_and_the_propensity() -> None:
    policy = fresh(
        features={"formula": "C(offer) + price + C(device):C(offer)", "item": ["price"]},
        log={"decision": "visit", "action": "offer", "reward": "clicked", "person": "member"},
    )
    row = DecisionRow(
        7, "offers", "v", 5.0, '{"device": 5, "unused": 1}', '["news", "gift"]', "[0.5, 0.25]", None, None,
        '[{"offer": "gift", "price": 2}, {"offer": "news", "price": 3.5}]',
    )  # fmt: skip
    feedback = feedback_of(policy, [Shown(row, 2, OutcomeRow(7, 2, 0.5, 6.0, 6.0))])
    assert (feedback.n_rows, feedback.propensity.tolist(), feedback.reward.tolist()) == (1, [0.25], [0.5])
    cells = {name: feedback.column(name).to_pylist() for name in ("offer", "price", "device", "member")}
    assert cells == {"offer": ["gift"], "price": [2], "device": ["5"], "member": ["decision 7"]}


def test_what_nothing_can_be_learned_from_does_not_stop_the_others(tmp_path) -> None:
    policy = fresh()

    def answer(seq: int, context: str) -> Answered:
        row = DecisionRow(seq, "offers", "v", 5.0, context, '["news"]', "[1.0]")
        return Answered(seq, OutcomeRow(seq, 1, 1.0, 6.0, 6.0), row)

    sound = [answer(1, '{"device": "phone"}'), answer(3, '{"device": "desktop"}')]
    learned, odd = taught(policy, [sound[0], answer(2, "{}"), sound[1]])
    assert (odd, learned.model.n_answers) == (1, 2)
    assert taught(policy, []) == (policy, 0)


def test_snapshots_are_whole_and_told_once(tmp_path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    assert snapshots.news("a/b") is None
    policy = fresh()
    snapshots.publish("a/b", Snapshot(policy, 3, 5.0))
    found = snapshots.news("a/b")
    assert found is not None
    assert (found.lesson, found.learned, found.policy.version) == (3, 5.0, policy.version)
    assert snapshots.news("a/b") is None
    next(iter((tmp_path / "snapshots").glob("*.json"))).write_text('{"lesson": ')
    assert snapshots.news("a/b") is None


def test_two_learners_by_mistake_one_refuses(tmp_path) -> None:
    where = made(tmp_path)
    store = open_store(where)
    assert store.hold(ROLE, "somebody", 60.0)
    with pytest.raises(StoreError, match="another learner"):
        learn(store, Snapshots(tmp_path / "s"), Event(), time.time)
    done = subprocess.run(
        [sys.executable, "-m", "revealed.serve.learner", where, str(tmp_path / "s")],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("learner: another learner")
    store.release(ROLE, "somebody")
    store.close()


def test_a_learner_killed_again_and_again_knows_the_same(tmp_path, capsys) -> None:
    """kill -9 at random moments while outcomes come; afterwards the posterior is that of the lessons, repeated."""
    where, snapshots = made(tmp_path), Snapshots(tmp_path / "snapshots")
    store, rng = open_store(where), np.random.default_rng(5)
    kills, written = 0, 0
    for turn in range(4):
        command = [sys.executable, "-m", "revealed.serve.learner", where, str(tmp_path / "snapshots")]
        learner = subprocess.Popen(command)
        deadline, known = time.monotonic() + 60, len(store.lessons_after("offers", 0))
        written += len(decided(store, 5, 100 * turn + 50))
        while len(store.lessons_after("offers", 0)) == known and time.monotonic() < deadline:
            time.sleep(0.01)  # until it has started
        stop = time.monotonic() + 0.5 * rng.random()
        while time.monotonic() < stop:
            written += len(decided(store, int(rng.integers(1, 30)), 100 * turn))
            time.sleep(0.01)
        learner.send_signal(signal.SIGKILL)
        learner.wait()
        kills += 1
        store.release(ROLE, f"{os.uname().nodename}:{learner.pid}")
    pupil = Pupil.resumed(store, "offers", "offers")
    while pupil.look(1e9):
        pass
    lessons = store.lessons_after("offers", 0)
    assert [lesson.number for lesson in lessons] == list(range(1, len(lessons) + 1))
    assert pupil.policy.model.n_answers == written
    policy: LearningPolicy = fresh()
    before = 0
    for lesson in lessons:
        policy, _ = taught(policy, list(store.answers_after(before, lesson.outcomes_to, "offers")))
        before = lesson.outcomes_to
    assert state_of(policy) == state_of(pupil.policy)
    assert isinstance(snapshots.news("offers"), Snapshot)
    with capsys.disabled():
        sys.stdout.write(
            f"\n  learner killed {kills} times: {written:,} outcomes written, {len(lessons)} lessons, none lost\n"
        )
    store.close()


def test_a_folder_that_is_not_there(tmp_path) -> None:
    with pytest.raises(StoreError):
        open_store(tmp_path / "nowhere" / "log.db")
    assert not Path(tmp_path / "nowhere").exists()


# ---- late answers ----------------------------------------------------------------------------------------------------

LATE = {
    "log": {"decision": "visit", "action": "offer", "reward": "clicked", "time": "shown"},
    "delay": {"answered": "answered", "unit": "seconds", "mean": 30.0, "zero": "nothing-yet"},
}


def test_silence_is_learned_for_what_it_says_and_replaced_when_the_answer_comes(tmp_path) -> None:
    """Decisions without an answer lower what is believed; answers that come later raise it; repeated, the same bits."""
    store = open_store(made(tmp_path, fresh(**LATE)))
    pupil = Pupil.resumed(store, "offers", "offers")
    context = json.dumps({"device": "phone"})
    numbers = list(store.lease(60))
    rows = [DecisionRow(n, "offers", "0-a", 1000.0, context, '["news"]', "[0.5]") for n in numbers]
    store.write(rows, [])
    assert pupil.look(1000.5)
    assert not pupil.look(1001.0)  # nothing new
    believed = [pupil.policy.model.posterior.mean[0]]
    store.write([], [OutcomeRow(n, 1, 1.0, 1020.0, 1020.0) for n in numbers[:20]])
    assert pupil.look(1021.0)
    believed.append(pupil.policy.model.posterior.mean[0])
    more = [DecisionRow(n, "offers", "0-a", 1022.0, context, '["gift"]', "[0.5]") for n in store.lease(5)]
    # One is answered in the same lesson, by a clock that is ahead; one before it was made, by one that is behind.
    store.write(
        more, [OutcomeRow(more[0].number, 1, 1.0, 5000.0, 1022.1), OutcomeRow(more[1].number, 1, 1.0, 3.0, 1022.1)]
    )
    assert pupil.look(1010.0)  # the clock has stepped back; time has not
    assert pupil.lesson.at == 1021.0
    assert pupil.odd == 0
    late = pupil.policy.late
    assert late is not None
    assert late.summary()["n_answered"] == 22
    assert late.summary()["n_pending"] == 43
    assert believed[0] < 0.2
    assert believed[1] > believed[0] + 0.2
    again = Pupil.resumed(store, "offers", "offers")
    assert state_of(again.policy) == state_of(pupil.policy)
    pupil.keep(1e9)
    store.write([], [OutcomeRow(numbers[30], 1, 1.0, 1024.0, 1024.0)])
    assert pupil.look(1025.0)
    from_checkpoint = Pupil.resumed(store, "offers", "offers")
    assert from_checkpoint.policy.late is not None
    assert from_checkpoint.policy.late.summary() == pupil.policy.late.summary()  # type: ignore[union-attr]
    assert state_of(from_checkpoint.policy) == state_of(pupil.policy)
    store.close()

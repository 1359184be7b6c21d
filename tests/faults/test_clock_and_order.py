"""A clock that steps back; outcomes early, late, twice, in any order, or after their person was forgotten."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from time import monotonic
from time import time as now

import pytest

from revealed.serve import service as service_module
from revealed.serve.learner import ROLE, Pupil
from revealed.serve.lessons import taught
from revealed.serve.snapshots import state_of
from revealed.store.open import open_store
from tests.serve.world import Learning, fresh, made, request, serving


class Clock:
    """A clock that goes on by itself, and can be set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        """Return seconds since 1970, as this clock has it."""
        return now() + self.ahead

    def monotonic(self) -> float:
        """Return seconds that only go on."""
        return monotonic()


def test_a_place_held_before_the_clock_stepped_back_is_free(tmp_path) -> None:
    now = [10_000.0]
    store = open_store(tmp_path / "log.db", clock=lambda: now[0])
    assert store.hold(ROLE, "a learner that was killed", 10.0)
    assert not store.hold(ROLE, "another", 10.0)
    now[0] -= 50.0  # it may be alive, with a clock that is a little ahead
    assert not store.hold(ROLE, "another", 10.0)
    now[0] -= 3600.0  # else nobody would learn for an hour
    assert store.hold(ROLE, "another", 10.0)
    assert not store.hold(ROLE, "a learner that was killed", 10.0)
    store.close()


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_a_step_of_the_clock_loses_nothing(tmp_path, monkeypatch, step) -> None:
    clock, where = Clock(), made(tmp_path)
    monkeypatch.setattr(service_module, "time", clock)

    async def scenario() -> None:
        async with serving(where) as client:
            for i in range(60):
                if i == 30:
                    clock.ahead = step
                decided = (await client.post("/v1/decide", json=request(id=f"visit {i}"))).json()
                told = (
                    await client.post("/v1/outcome", json={"decision": decided["decision"], "reward": i % 2})
                ).json()
                assert told["new"] == 1
            until = monotonic() + 30
            while monotonic() < until:
                lessons = (await client.get("/ready")).json()["policies"]["offers"]["lesson"]
                if lessons and reading.lessons_after("offers", 0)[-1].outcomes_to == 60:
                    break
                await asyncio.sleep(0.02)

    reading = open_store(where)
    with Learning(where, clock.time):
        asyncio.run(scenario())
    lessons = reading.lessons_after("offers", 0)
    assert lessons[-1].outcomes_to == 60
    made_at = [row.made for _, row in reading.decisions_after(0, 60, "offers")]
    assert (made_at[30] < made_at[29]) == (step < 0)  # as told, never put in order by it
    pupil = Pupil.resumed(reading, "offers", "offers")
    policy, before = fresh(), 0
    for lesson in lessons:
        policy, _ = taught(policy, list(reading.answers_in_slot(before, lesson.outcomes_to, "offers")))
        before = lesson.outcomes_to
    assert pupil.policy.model.n_answers == 60
    assert state_of(policy) == state_of(pupil.policy)
    reading.close()


def test_a_clock_that_steps_back_in_the_midst_of_a_lesson_does_not_end_learning(tmp_path) -> None:
    where, calls = made(tmp_path), itertools.count()

    def clock() -> float:
        return now() - 3600.0 * next(calls)  # at each look

    async def scenario() -> None:
        async with serving(where) as client:
            for count in range(1, 4):
                decided = (await client.post("/v1/decide", json=request())).json()
                await client.post("/v1/outcome", json={"decision": decided["decision"], "reward": 1})
                deadline = monotonic() + 15
                while [lesson.outcomes_to for lesson in reading.lessons_after("offers", 0)][-1:] != [count]:
                    assert monotonic() < deadline
                    await asyncio.sleep(0.02)

    reading = open_store(where)
    with Learning(where, clock):
        asyncio.run(scenario())
    reading.close()


def test_outcomes_in_any_order_early_late_and_twice_count_once(tmp_path) -> None:
    where, chance = made(tmp_path), random.Random(4)

    async def scenario() -> None:
        async with serving(where) as client:

            async def tell(decision: str, reward: float, **more: object) -> str:
                answer = await client.post("/v1/outcome", json={"decision": decision, "reward": reward, **more})
                return str(next(kind for kind, number in answer.json().items() if number))

            assert await tell("visit 0", 1.0) == "unknown"  # before its decision: it is to be sent again
            names = {}
            for i in range(40):
                names[i] = (await client.post("/v1/decide", json=request(id=f"visit {i}", person=f"p{i % 4}"))).json()
            order = [i for i in names for _ in range(3)]
            chance.shuffle(order)
            verdicts: dict[int, list[str]] = {i: [] for i in names}
            for i in order:
                name = names[i]["decision"] if chance.random() < 0.5 else f"visit {i}"
                when = chance.choice([None, 0.0, 1e9, time.time() + 1e6])
                verdicts[i].append(await tell(name, float(i % 2), **({} if when is None else {"time": when})))
            assert all(found == ["new", "known", "known"] for found in verdicts.values())
            assert await tell("visit 1", 0.0) == "different"
            assert (await client.delete("/v1/people/p1")).json() == {"decisions": 10}
            # What is late for somebody who was forgotten counts for nothing, by whichever name.
            assert await tell(names[1]["decision"], 1.0) == "unknown"
            assert await tell("visit 5", 1.0) == "unknown"
            again = (await client.post("/v1/decide", json=request(id="visit 1"))).json()
            assert again["decision"] != names[1]["decision"]  # its number is not given again
            assert await tell("visit 1", 1.0) == "new"

    with Learning(where):
        asyncio.run(scenario())
    store = open_store(where)
    decisions, outcomes = store.ends()
    assert len(list(store.answers_in_slot(0, outcomes, "offers"))) == 31
    assert not [row for _, row in store.decisions_after(0, decisions, "offers") if row.person == "p1"]
    pupil = Pupil.resumed(store, "offers", "offers")
    while pupil.look(time.time()):
        pass
    assert pupil.odd == 0
    store.close()

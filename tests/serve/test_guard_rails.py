"""What one client sends keeps nobody else waiting: labels made up, rewards that cannot be."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from revealed.decide.many import Desk, Request
from revealed.decide.policy import LearningPolicy
from revealed.serve import lessons
from revealed.serve.counts import Counts
from revealed.serve.lessons import taught
from revealed.serve.line import LineOptions
from revealed.serve.service import ServiceOptions
from revealed.serve.snapshots import state_of
from revealed.store.protocol import Answered, DecisionRow, OutcomeRow
from tests.serve.world import Learning, fresh, made, request, serving


def answer(number: int, device: str = "phone", reward: float = 1.0) -> Answered:
    """Return a decision for a device with its outcome."""
    context = f'{{"device": "{device}"}}'
    decision = DecisionRow(number, "offers", "0", 0.0, context, '["news"]', "[0.5]")
    return Answered(number, OutcomeRow(number, 1, reward, 0.0, 0.0), decision)


def test_what_was_never_met_waits_behind_all_others(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, real, order = made(tmp_path), Desk._alone, list[str]()

    def slow(self: Desk, wanted: Request) -> Any:
        order.append("one by one")
        time.sleep(0.02)
        return real(self, wanted)

    monkeypatch.setattr(Desk, "_alone", slow)
    options = ServiceOptions(open=True, refresh=0.01, line=LineOptions(each=0.03))

    async def scenario() -> None:
        async with serving(where, options) as client:
            many = client.post("/v1/decide/batch", json={"requests": [request() for _ in range(12)]})
            waiting = asyncio.create_task(many)
            while len(order) < 3:
                await asyncio.sleep(0)
            assert (await client.get("/health")).status_code == 200
            order.append("health")
            assert all(one["decision"] for one in (await waiting).json()["decisions"])

    asyncio.run(scenario())
    assert order.count("one by one") == 12
    assert order.index("health") < 8


def test_labels_made_up_do_not_grow_a_policy_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lessons.MOST, "full", 12)
    policy, odd = taught(fresh(), [answer(number, f"device {number}") for number in range(3)])
    assert odd == 0
    some = [answer(10 + number, f"made up {number}") for number in range(20)]
    some[5] = answer(15, "device 1", 0.0)
    policy, odd = taught(policy, some)
    # The first two that are new have two parameters each; after that only what was met is learned from.
    assert (odd, policy.space.n_params, policy.model.n_answers) == (17, 12, 6)
    assert state_of(policy) == state_of(
        taught(taught(fresh(), [answer(n, f"device {n}") for n in range(3)])[0], some)[0]
    )


def test_an_odd_row_does_not_lift_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lessons.MOST, "full", 12)
    some = [answer(number, f"made up {number}") for number in range(20)]
    some[7] = replace(some[7], decision=some[7].decision._replace(shown='[""]'))
    policy, odd = taught(fresh(), some)
    assert policy.space.n_params == 12
    assert odd + policy.model.n_answers == 20


def test_rewards_that_cannot_be_are_left_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, learned = LearningPolicy.learn, []

    def counted(self: LearningPolicy, *given: Any, **more: Any) -> LearningPolicy:
        learned.append(given)
        return real(self, *given, **more)

    monkeypatch.setattr(LearningPolicy, "learn", counted)
    some = [answer(number, reward=499.0 if number % 3 else 1.0) for number in range(300)]
    policy, odd = taught(fresh(), some)
    assert (odd, policy.model.n_answers, len(learned)) == (200, 100, 1)


def test_metrics_tell_what_is_left_out_and_whether_anybody_learns(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> str:
        async with serving(where) as client:
            for reward in (1, 499):
                decision = (await client.post("/v1/decide", json=request())).json()["decision"]
                await client.post("/v1/outcome", json={"decision": decision, "reward": reward})
            for _ in range(500):
                text = (await client.get("/metrics")).text
                if 'revealed_left_out{policy="offers"} 1' in text:
                    return text
                await asyncio.sleep(0.02)
            raise AssertionError(text)

    with Learning(where):
        text = asyncio.run(scenario())
    assert 'revealed_outcomes_since_lesson{policy="offers"} 0' in text
    assert "revealed_stale 0" in text
    assert "revealed_learner_silence_seconds" in text


def test_each_metric_is_told_in_one_piece() -> None:
    text = Counts().text({'b{of="1"}': 1.0, "a": 2.0, 'b{of="2"}': 3.0})
    lines = [line for line in text.splitlines() if "revealed_request" not in line]
    assert lines == [
        "# TYPE revealed_a gauge",
        "revealed_a 2",
        "# TYPE revealed_b gauge",
        'revealed_b{of="1"} 1',
        'revealed_b{of="2"} 3',
    ]
    kinds = Counter(line for line in text.splitlines() if line.startswith("# TYPE"))
    assert max(kinds.values()) == 1

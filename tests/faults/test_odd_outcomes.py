"""One outcome that nothing can be learned from must not end learning: it would be met again at each start."""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
import numpy as np
import pytest

from revealed.serve.learner import Pupil
from revealed.serve.lessons import taught
from revealed.serve.snapshots import policy_of, state_of
from revealed.store.open import open_store
from tests.serve.world import OFFERS, fresh, made, serving

FEATURES = {"features": {"formula": "C(offer) + price + C(offer):age"}}
#: What clients may write for numbers; each is decided on or refused with a reason.
AGES = [30.0, 30, True, "30", None, 2**63 + 5, -(2**63), 2**53 + 1, float("nan"), float("inf"), 1e300, 1e150, 0.0, -0.0]
PRICES = [1.0, 1, True, "7", 2**64 - 1, 1e-300]
REWARDS = [1.0, 0.0, 0.5, -3.0, 1e300, 7.0, 1e154, -1e308, 2.0, 5e-324]


@pytest.mark.parametrize("link", ["logit", "gaussian", "poisson"])
def test_odd_numbers_do_not_end_learning(tmp_path, capsys, link) -> None:
    policy = fresh(**FEATURES, learn={"link": link})
    where = made(tmp_path, policy)
    counts = {200: 0, 422: 0}

    async def scenario() -> None:
        async with serving(where) as client:

            async def sent(path: str, content: object) -> tuple[int, dict[str, object]]:
                headers = {"content-type": "application/msgpack"}
                answer = await client.post(path, content=msgspec.msgpack.encode(content), headers=headers)
                return answer.status_code, msgspec.msgpack.decode(answer.content)

            for i in range(48):
                age, price = AGES[i % len(AGES)], PRICES[i % len(PRICES)]
                if i % 3 == 0:
                    age, price = 0.3 + 0.001 * i, 0.5
                candidates = [{"offer": offer, "price": price} for offer in OFFERS]
                status, told = await sent("/v1/decide", {"context": {"age": age}, "candidates": candidates})
                counts[status] += 1
                if status == 200:
                    reward = float(i % 2) if i % 3 == 0 else REWARDS[i % len(REWARDS)]
                    assert (await sent("/v1/outcome", {"decision": told["decision"], "reward": reward}))[0] == 200

    asyncio.run(scenario())
    store = open_store(where)
    pupil = Pupil.resumed(store, "offers", "offers")
    with np.errstate(all="ignore"):
        while pupil.look(time.time()):
            pass
        answers = list(store.answers_in_slot(0, store.ends()[1], "offers"))
        again, odd = taught(policy, answers)
    store.close()
    learned = pupil.policy.model.n_answers
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {link}: {counts[200]} odd and sound decisions answered, {counts[422]} refused; "
            f"{learned} outcomes learned from, {pupil.odd} left out\n"
        )
    assert learned + pupil.odd == counts[200]
    # Of a Poisson's counts a single huge one, which is learned, may leave nothing to be learned after it.
    assert learned >= (1 if link == "poisson" else 16)
    assert pupil.odd > 0
    assert (state_of(again), odd) == (state_of(pupil.policy), pupil.odd)
    read = policy_of(state_of(pupil.policy))
    assert np.isfinite(read.model.posterior.mean).all()
    candidates = [{"offer": offer, "price": 1.0} for offer in OFFERS]
    assert read.decide({"age": 0.3}, candidates, seed=5).shown

"""A service that decides on layouts: the best is found, what may not be never is, and a restart changes no bit."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import SpecificationError
from revealed.serve.learner import Pupil
from revealed.serve.snapshots import state_of
from revealed.store.open import open_store
from tests.serve.test_service import run
from tests.serve.world import Learning, made, serving

SLOTS = {"headline": ["question", "claim"], "image": ["people", "product", "none"], "order": ["price", "reviews"]}
NEVER = [{"headline": "claim", "image": ["none"]}]
FALLBACK = "headline=claim, image=people, order=price"
LAYOUTS: dict[str, Any] = {
    "layout": {"slots": SLOTS, "never": NEVER, "option": 1.0, "pair": 1.0},
    "features": {"categorical": ["device"]},
    "business": {"fallback": [FALLBACK]},
}


def layouts(**sections: Any) -> LearningPolicy:
    """Return a policy of layouts that has learned nothing."""
    return LearningPolicy.fresh(Specification.from_dict(LAYOUTS | sections), seed=1)


async def told(client: httpx.AsyncClient, n_answers: int) -> None:
    """Wait until deciders have learned from so many outcomes."""
    for _ in range(2000):
        policies = (await client.get("/v1/policies")).json()
        if all(one["version"].startswith(f"{n_answers}-") for one in policies):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not learned: {policies}")


def test_the_best_layout_is_soon_shown_and_what_may_not_be_never(tmp_path) -> None:
    """For each device another one is the best, and only pairs say which."""
    best = {"phone": ("question", "none", "reviews"), "desktop": ("claim", "product", "price")}
    rng = np.random.default_rng(3)
    where, shown, asked, rounds = made(tmp_path, layouts()), Counter[str](), 0, 10

    def reward(device: str, layout: Mapping[str, str]) -> float:
        hits = sum(layout[slot] == option for slot, option in zip(SLOTS, best[device], strict=True))
        return float(rng.random() < (0.05, 0.1, 0.2, 0.7)[hits])

    async def scenario() -> None:
        nonlocal asked
        async with serving(where) as client:
            for turn in range(rounds):
                devices = [("phone", "desktop")[i % 2] for i in range(60 if turn else 4)]
                requests = [{"context": {"device": device}} for device in devices]
                answer = await client.post("/v1/decide/batch", json={"requests": requests})
                outcomes = []
                for device, one in zip(devices, answer.json()["decisions"], strict=True):
                    layout = one["layout"]
                    assert list(layout) == list(SLOTS)
                    assert one["shown"] == [", ".join(f"{slot}={option}" for slot, option in layout.items())]
                    assert not (layout["headline"] == "claim" and layout["image"] == "none")
                    assert 1 / 256 <= one["propensity"] <= 1
                    outcomes.append({"decision": one["decision"], "reward": reward(device, layout)})
                    if turn >= rounds - 3:
                        shown[device, tuple(layout.values()) == best[device]] += 1  # type: ignore[index]
                await client.post("/v1/outcome/batch", json={"outcomes": outcomes})
                asked += len(outcomes)
                await told(client, asked)

    with Learning(where):
        run(scenario())
    for device in best:
        right, wrong = shown[device, True], shown[device, False]  # type: ignore[index]
        assert right > 2 * wrong, (device, right, wrong)


def test_what_is_learned_is_repeated_bit_for_bit_and_known_to_a_shadow_whose_slots_stand_otherwise(tmp_path) -> None:
    where = made(tmp_path, layouts())
    turned = LAYOUTS | {"layout": {"slots": dict(reversed(SLOTS.items())), "pairs": [["image", "headline"]]},
                        "business": {}}  # fmt: skip
    rng = np.random.default_rng(5)

    async def scenario() -> None:
        async with serving(where) as client:
            new = {"name": "turned", "slot": "offers", "specification": turned}
            assert (await client.post("/v1/policies", json=new)).status_code == 201
            for turn in range(3):
                requests = [{"context": {"device": f"device {turn}"}, "id": f"{turn}/{i}"} for i in range(20)]
                answer = (await client.post("/v1/decide/batch", json={"requests": requests})).json()
                outcomes = [
                    {"decision": one["decision"], "reward": float(rng.random() < 0.4)} for one in answer["decisions"]
                ]
                await client.post("/v1/outcome/batch", json={"outcomes": outcomes})
                await told(client, 20 * (turn + 1))
            again = await client.post("/v1/decide/batch", json={"requests": requests})
            assert [one["layout"] for one in again.json()["decisions"]] == [
                one["layout"] for one in answer["decisions"]
            ]  # asked before: the same answer, layout and all

    with Learning(where):
        run(scenario())
    store = open_store(where)
    ended = {name: store.checkpoint(name).state for name in ("offers", "turned")}  # type: ignore[union-attr]
    for state in ended.values():
        policy = LearningPolicy.from_dict(json.loads(state))
        assert policy.model.n_answers == 60
        assert state_of(policy) == state
    store._database.rows("DELETE FROM checkpoints WHERE lesson > 0", ())
    for name, state in ended.items():
        assert state_of(Pupil.resumed(store, name, "offers").policy) == state
    store.close()


def test_json_msgpack_fall_back_and_what_a_client_may_ask(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path, layouts())) as client:
            ask: dict[str, Any] = {"context": {"device": "phone"}, "id": "visit 1"}
            told = (await client.post("/v1/decide", json=ask)).json()
            packed = await client.post(
                "/v1/decide", content=msgspec.msgpack.encode(ask), headers={"content-type": "application/msgpack"}
            )
            assert msgspec.msgpack.decode(packed.content) == told
            assert set(told["layout"]) == set(SLOTS)
            one = {"headline": "claim", "image": "people", "order": "reviews"}
            few = {"context": {"device": "phone"}, "candidates": [one, FALLBACK]}
            for _ in range(5):
                answer = (await client.post("/v1/decide", json=few)).json()
                assert answer["layout"]["headline"] == "claim"
                assert answer["layout"]["image"] == "people"
            for wrong, why in (
                ({"context": {}}, "device"),
                ({"context": {"device": "phone"}, "count": 2}, "all its slots"),
                ({"context": {"device": "phone"}, "candidates": [one | {"image": "none"}]}, "not allowed"),
                ({"context": {"device": "phone"}, "candidates": [one | {"image": "dog"}]}, "no option 'dog'"),
                ({"context": {"device": "phone"}, "candidates": ["headline=claim"]}, "no layout"),
                ({"context": {"device": "phone"}, "candidates": [one, one]}, "twice"),
            ):
                refused = await client.post("/v1/decide", json=wrong)
                assert refused.status_code == 422, wrong
                assert why in refused.json()["error"]
            await client.patch("/v1/policies/offers", json={"state": "stopped"})
            stopped = (await client.post("/v1/decide", json=ask | {"id": "visit 2"})).json()
            assert stopped["fallback"] == "stopped"
            assert stopped["layout"] == {"headline": "claim", "image": "people", "order": "price"}

    run(scenario())


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"layout": {}}, "needs slots"),
        ({"layout": {"slots": {"image": ["cat"]}}}, "only the option 'cat'"),
        ({"layout": {"slots": {"image": ["cat", "cat"]}}}, "'cat' twice"),
        ({"layout": {"slots": {"image": "cat"}}}, "a list of texts"),
        ({"layout": {"slots": {"image": ["cat, dog", "dog"]}}}, "neither a slot nor an option"),
        ({"layout": {"slots": {"a=b": ["cat", "dog"]}}}, "cannot be called"),
        ({"layout": {"slots": SLOTS, "never": [{"headline": "claim", "picture": "none"}]}}, "no slot 'picture'"),
        ({"layout": {"slots": SLOTS, "never": ["claim"]}}, "never lists"),
        (
            {"layout": {"slots": SLOTS, "never": [{"headline": SLOTS["headline"], "image": SLOTS["image"]}]}},
            "no layout is allowed",
        ),
        ({"layout": {"slots": SLOTS, "pairs": [["image", "picture"]]}}, "no slot 'picture'"),
        ({"layout": {"slots": SLOTS, "pairs": ["image"]}}, "lists pairs of slots"),
        ({"layout": {"slots": SLOTS, "by_context": ["picture"]}}, "no slot 'picture'"),
        ({"layout": {"slots": SLOTS, "option": 0}}, "above 0"),
        ({"layout": {"slots": SLOTS, "width": 1}}, "no 'width'"),
        ({"layout": {"slots": {f"slot {i}": ["a", "b"] for i in range(13)}}}, "8,192 combinations"),
        ({"features": {"formula": "C(image)"}}, "the fields of the context alone"),
        ({"features": {"categorical": ["image"]}}, "a slot of [layout] and a field"),
        ({"layout": {"slots": {"action": ["a", "b"]}}, "business": {}}, "the log's column"),
        ({"business": {"fallback": ["claim"]}}, "no layout 'claim'"),
        ({"slate": {"size": 2}}, "keep one"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(sections, why) -> None:
    with pytest.raises(SpecificationError) as error:
        layouts(**sections)
    assert why in str(error.value)

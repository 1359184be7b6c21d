"""Several policies for one thing: in the shadow, for a share of persons, promoted, rolled back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from revealed.errors import SpecificationError
from revealed.serve.changes import Changes
from revealed.serve.enrolment import enrol
from revealed.serve.roster import LIVE, SHADOW, Roster, Standing
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from tests.serve.test_service import ask, run
from tests.serve.world import SPECIFICATION, Learning, fresh, made, request, serving

GREEDY = SPECIFICATION | {"explore": {"rule": "greedy"}}


async def changed(client: httpx.AsyncClient, method: str, path: str, **content: Any) -> dict[str, Any]:
    """Make a change, and return what is answered."""
    answer = await client.request(method, path, json=content)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def states(client: httpx.AsyncClient) -> dict[str, tuple[str, float, bool]]:
    """Return state, share and whether it leads of each policy."""
    told = (await client.get("/v1/policies")).json()
    return {each["name"]: (each["state"], each["share"], each["leads"]) for each in told}


def test_from_the_shadow_to_the_lead_and_back(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            created = await changed(client, "POST", "/v1/policies", name="greedy", slot="offers", specification=GREEDY)
            assert (created["state"], created["leads"], created["slot"]) == (SHADOW, False, "offers")
            deadline = time.monotonic() + 10
            while (await client.get("/v1/policies")).json()[0]["version"] is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert (await ask(client, "/v1/decide", request(person="ann"))).json()["policy"] == "offers"
            assert (await ask(client, "/v1/decide", request(policy="greedy"))).status_code == 422
            await changed(client, "PATCH", "/v1/policies/greedy", state="live", share=0.3)
            people = [f"person {i}" for i in range(400)]
            batch = {"requests": [request(person=person) for person in people]}
            first, again = [
                [one["policy"] for one in (await ask(client, "/v1/decide/batch", batch)).json()["decisions"]]
                for _ in range(2)
            ]
            assert first == again  # sticky
            assert 80 < Counter(first)["greedy"] < 160
            await changed(client, "PATCH", "/v1/policies/greedy", share=0.6)
            more = [one["policy"] for one in (await ask(client, "/v1/decide/batch", batch)).json()["decisions"]]
            assert all(now == "greedy" for now, before in zip(more, first, strict=True) if before == "greedy")
            await changed(client, "POST", "/v1/policies/greedy/promote")
            assert await states(client) == {"greedy": (LIVE, 1.0, True), "offers": (SHADOW, 1.0, False)}
            assert (await ask(client, "/v1/decide", request(person="ann"))).json()["policy"] == "greedy"
            assert (await ask(client, "/v1/decide", request(policy="offers"))).json()["policy"] == "greedy"  # the slot
            back = await changed(client, "POST", "/v1/slots/offers/rollback")
            assert (back["name"], back["leads"]) == ("offers", True)
            assert await states(client) == {"greedy": (SHADOW, 1.0, False), "offers": (LIVE, 1.0, True)}

    run(scenario())


def test_a_shadow_learns_from_the_others_decisions_from_the_first_on(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            for turn in range(2):
                batch = {"requests": [request(id=f"{turn}/{i}") for i in range(100)]}
                decided = (await ask(client, "/v1/decide/batch", batch)).json()["decisions"]
                outcomes = [{"decision": one["decision"], "reward": 1.0} for one in decided]
                await ask(client, "/v1/outcome/batch", {"outcomes": outcomes})
                if not turn:
                    await changed(client, "POST", "/v1/policies", name="greedy", slot="offers", specification=GREEDY)
            deadline = time.monotonic() + 20
            while True:
                told = {each["name"]: each["version"] for each in (await client.get("/v1/policies")).json()}
                if all(version and version.startswith("200-") for version in told.values()):
                    return
                assert time.monotonic() < deadline, told
                await asyncio.sleep(0.05)

    with Learning(where):
        run(scenario())


def test_what_would_leave_nobody_to_decide_is_refused(tmp_path) -> None:
    store = open_store(made(tmp_path))
    changes = Changes(store, lambda: 5.0)
    for name in ("second", "third"):
        assert changes.create(name, fresh(explore={"rule": "greedy"}), "offers", "rk_a")
        assert not changes.create(name, fresh(explore={"rule": "greedy"}), "offers", "rk_a")
    with pytest.raises(SpecificationError, match="another policy 'second'"):
        changes.create("second", fresh(explore={"rule": "greedy"}), None, "rk_a")
    changes.change("second", LIVE, 0.5, "rk_a")
    for name, state, share, why in (
        ("offers", SHADOW, None, "promote another one first"),
        ("offers", None, 0.5, "promote another one first"),
        ("third", LIVE, None, "a share between 0 and 0.5"),
        ("third", LIVE, 0.6, "a share between 0 and 0.5"),
        ("third", LIVE, float("nan"), "a share between"),
        ("third", "alive", None, "did you mean 'live'"),
        ("fourth", LIVE, 0.1, "no policy 'fourth'"),
    ):
        with pytest.raises(SpecificationError, match=why):
            changes.change(name, state, share, "rk_a")
    with pytest.raises(SpecificationError, match="no other policy has decided"):
        changes.roll_back("offers", "rk_a")
    with pytest.raises(SpecificationError, match="no slot 'offer'"):
        changes.roll_back("offer", "rk_a")
    changes.promote("third", "rk_a")
    found = {row.name: (row.state, row.share, row.before) for row in store.policies()}
    assert found == {"offers": (SHADOW, 1.0, None), "second": (LIVE, 0.5, None), "third": (LIVE, 1.0, "offers")}
    assert [note["act"] for note in store.notes(9)] == ["promote", "live, 50% of persons", "create", "create"]
    store.close()


def test_who_decides() -> None:
    from revealed.store.protocol import PolicyRow

    rows = [
        PolicyRow("a", "{}", LIVE, 0.2, 0.0, "s"),
        PolicyRow("b", "{}", LIVE, 1.0, 0.0, "s"),
        PolicyRow("c", "{}", LIVE, 0.3, 0.0, "s"),
        PolicyRow("d", "{}", SHADOW, 1.0, 0.0, "s"),
    ]
    roster = Roster({row.name: Standing(row, fresh(), 0, 0.0) for row in rows})
    people = [f"person {i}" for i in range(5000)]
    shares = Counter(roster.deciding("s", person).name for person in people)
    assert {name: round(count / 5000, 1) for name, count in shares.items()} == {"a": 0.2, "b": 0.5, "c": 0.3}
    drawn = Counter(roster.deciding(None, None).name for _ in range(5000))
    assert {name: round(count / 5000, 1) for name, count in drawn.items()} == {"a": 0.2, "b": 0.5, "c": 0.3}
    assert roster.deciding("c", "anybody").name == "c"
    with pytest.raises(SpecificationError, match="'d' is shadow, and decides nothing"):
        roster.deciding("d", None)
    other = PolicyRow("z", "{}", LIVE, 1.0, 0.0, "t")
    two = Roster(roster.standings | {"z": Standing(other, fresh(), 0, 0.0)})
    with pytest.raises(SpecificationError, match="say which policy is to decide: s, t"):
        two.deciding(None, "ann")
    assert two.deciding("t", "ann").name == "z"


def test_without_a_learner_for_long_the_fall_back_is_shown(tmp_path) -> None:
    where = made(tmp_path)
    options = ServiceOptions(open=True, refresh=0.01, stale=0.5)

    async def until(client: httpx.AsyncClient, fallback: str | None) -> None:
        deadline = time.monotonic() + 20
        while (await ask(client, "/v1/decide", request())).json().get("fallback") != fallback:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with serving(where, options) as client:
            await until(client, "stale")
            with Learning(where):
                await until(client, None)
            await until(client, "stale")

    run(scenario())


def test_a_second_policy_by_hand(tmp_path) -> None:
    store = open_store(made(tmp_path))
    assert enrol(store, "second", fresh(), 0.0, "offers")
    assert {row.name: row.state for row in store.policies()} == {"offers": LIVE, "second": SHADOW}
    store.close()

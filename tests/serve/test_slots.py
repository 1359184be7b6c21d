"""Several policies for one thing: in the shadow, for a share of persons, promoted, rolled back."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from threading import Thread
from typing import Any

import httpx
import pytest

from revealed.errors import SpecificationError
from revealed.serve.changes import Changes
from revealed.serve.enrolment import enrol
from revealed.serve.roster import LIVE, SHADOW, STATES, Roster, Standing, leads
from revealed.serve.service import ServiceOptions
from revealed.serve.snapshots import Snapshot, state_of
from revealed.store.open import open_store
from revealed.store.protocol import Checkpoint, PolicyRow
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
        changes.create("second", fresh(), "offers", "rk_a")
    assert not changes.create("second", fresh(explore={"rule": "greedy"}), None, "rk_a")  # it stays in its slot
    with pytest.raises(SpecificationError, match="'second' stands in the slot 'offers', not in 'third'"):
        changes.create("second", fresh(explore={"rule": "greedy"}), "third", "rk_a")
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


def act(changes: Changes, what: str) -> None:
    """Make one of the changes that another process may make at the same moment."""
    if what == "stop":
        changes.change("second", "stopped", None, "rk_a")
    elif what == "share":
        changes.change("second", None, 0.3, "rk_a")
    elif what.startswith("promote"):
        changes.promote(what.split()[1], "rk_a")
    else:
        changes.create(what, fresh(explore={"rule": "greedy"}), "new", "rk_a")


@pytest.mark.parametrize(("first", "second"), [("stop", "share"), ("promote second", "promote third"), ("one", "two")])
def test_changes_at_the_same_moment_are_both_made(first, second, tmp_path, monkeypatch) -> None:
    where = made(tmp_path)
    store, other = open_store(where), open_store(where)
    for name in ("second", "third"):
        enrol(store, name, fresh(), 0.0, "offers")
    Changes(store, time.time).change("second", LIVE, 0.1, "rk_a")
    beside, write = Thread(target=act, args=(Changes(other, time.time), second)), store.put_policy

    def write_after_another(row: PolicyRow) -> None:
        if beside.ident is None:
            beside.start()
            beside.join(0.3)  # it ends, unless it waits for this change
        write(row)

    monkeypatch.setattr(store, "put_policy", write_after_another)
    act(Changes(store, time.time), first)
    beside.join(20)
    rows = {row.name: row for row in store.policies()}
    assert sum(leads(row) for row in rows.values() if row.slot == "offers") == 1
    assert sum(leads(row) for row in rows.values() if row.slot == "new") == (first == "one")
    if first == "stop":
        assert (rows["second"].state, rows["second"].share) == ("stopped", 0.3)
    store.close()
    other.close()


@pytest.mark.parametrize("share", [-3.0, 0.0, 5.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["offers", "second"])
@pytest.mark.parametrize("state", [None, *STATES])
def test_a_share_that_is_none_is_refused(name, share, state, tmp_path) -> None:
    store = open_store(made(tmp_path))
    enrol(store, "second", fresh(), 0.0, "offers")
    before = store.policies()
    with pytest.raises(SpecificationError, match="a share between 0 and 1 of persons"):
        Changes(store, time.time).change(name, state, share, "rk_a")
    assert store.policies() == before
    store.close()


@pytest.mark.parametrize(
    "name", ["", "a/b", "\t", "x\n y", ".", "..", " ", " a", "長" * 65, "\u202egnp", "a\0", "\ud800"]
)
def test_a_name_that_cannot_be_asked_for_is_refused(name, tmp_path) -> None:
    store = open_store(made(tmp_path))
    with pytest.raises(SpecificationError, match="cannot be the name of a policy: 1 to 64 printable letters"):
        enrol(store, name, fresh(), 0.0)
    with pytest.raises(SpecificationError, match="cannot be the name of a slot: 1 to 64 printable letters"):
        enrol(store, "second", fresh(), 0.0, name)
    assert [row.name for row in store.policies()] == ["offers"]
    for sound in ("a", "長" * 64, "Ann's offers? 100%", "a.b\\c"):
        assert enrol(store, sound, fresh(), 0.0, f"of {sound[:61]}")
    store.close()


def test_policies_of_a_name_that_is_now_refused_are_served_and_taught(tmp_path) -> None:
    where, names = made(tmp_path), ("長" * 200, "", "a/b", "..")
    store, policy = open_store(where), fresh()
    for name in names:  # as an earlier release took them in
        store.add_checkpoint(Checkpoint(name, 0, state_of(policy)))
        store.put_policy(
            PolicyRow(name, json.dumps(policy.specification.to_dict(), sort_keys=True), LIVE, 1.0, 0.0, name)
        )
        assert not enrol(store, name, policy, 5.0)
    assert enrol(store, "next", policy, 5.0, names[0])  # what takes the place of one of them
    store.close()

    async def scenario() -> None:
        async with serving(where) as client:
            for name in names:
                made = (await ask(client, "/v1/decide", request(policy=name))).json()
                await ask(client, "/v1/outcome", {"decision": made["decision"], "reward": 1.0})
            deadline = time.monotonic() + 20
            while True:
                told = {each["name"]: each["version"] for each in (await client.get("/v1/policies")).json()}
                if all(told[name].startswith("1-") for name in (*names, "next")):
                    return
                assert time.monotonic() < deadline, told
                await asyncio.sleep(0.05)

    with Learning(where):
        run(scenario())


def test_who_decides() -> None:
    rows = [
        PolicyRow("a", "{}", LIVE, 0.2, 0.0, "s"),
        PolicyRow("b", "{}", LIVE, 1.0, 0.0, "s"),
        PolicyRow("c", "{}", LIVE, 0.3, 0.0, "s"),
        PolicyRow("d", "{}", SHADOW, 1.0, 0.0, "s"),
    ]
    roster = Roster({row.name: Standing(row, Snapshot(fresh(), 0, 0.0)) for row in rows})
    people = [f"person {i}" for i in range(5000)]
    shares = Counter(roster.deciding("s", person).name for person in people)
    assert {name: round(count / 5000, 1) for name, count in shares.items()} == {"a": 0.2, "b": 0.5, "c": 0.3}
    drawn = Counter(roster.deciding(None, None).name for _ in range(5000))
    assert {name: round(count / 5000, 1) for name, count in drawn.items()} == {"a": 0.2, "b": 0.5, "c": 0.3}
    assert roster.deciding("c", "anybody").name == "c"
    with pytest.raises(SpecificationError, match="'d' is shadow, and decides nothing"):
        roster.deciding("d", None)
    other = PolicyRow("z", "{}", LIVE, 1.0, 0.0, "t")
    two = Roster(roster.standings | {"z": Standing(other, Snapshot(fresh(), 0, 0.0))})
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

"""Ids of clients: what one was decided stays so, whatever the policy's state; what nobody knows is kept by its name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import httpx
import pytest

from revealed.serve.enrolment import enrol
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow
from revealed.store.sql import SqlStore
from tests.serve.test_service import ask, run
from tests.serve.world import fresh, made, request, serving

NOTHING = {"new": 0, "known": 0, "different": 0, "unknown": 0}


async def is_stopped(client: httpx.AsyncClient) -> None:
    assert (await client.patch("/v1/policies/offers", json={"state": "stopped"})).status_code == 200


@pytest.mark.parametrize("fallback", [["news"], []])
def test_what_an_id_was_decided_is_answered_when_the_policy_is_stopped(tmp_path, fallback: Sequence[str]) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path, fresh(business={"fallback": fallback}))) as client:
            first = (await ask(client, "/v1/decide", request(id="visit 1"))).json()
            await is_stopped(client)
            other = {"fallback": "stopped", "decision": None} if fallback else {"error": None}
            sent = [request(id="visit 1"), request(id="visit 2"), request(id="visit 1"), request()]
            found = (await ask(client, "/v1/decide/batch", {"requests": sent})).json()["decisions"]
            assert [found[0], found[2]] == [first, first]
            for place in (1, 3):
                assert other.keys() <= found[place].keys()
                assert found[place].get("fallback") == other.get("fallback")
            told = (await ask(client, "/v1/outcome", {"decision": "visit 1", "reward": 1})).json()
            assert told == NOTHING | {"new": 1}  # of what was shown both times

    run(scenario())


def test_what_an_id_was_decided_is_answered_when_nobody_learns(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path), ServiceOptions(open=True, refresh=0.01, stale=0.7)) as client:
            first = (await ask(client, "/v1/decide", request(id="visit 1"))).json()
            assert first["decision"]
            while (await ask(client, "/v1/decide", request())).json().get("fallback") != "stale":
                await asyncio.sleep(0.02)
            assert (await ask(client, "/v1/decide", request(id="visit 1"))).json() == first
            assert (await ask(client, "/v1/decide", request(id="visit 2"))).json()["fallback"] == "stale"

    run(scenario())


def test_only_ids_are_looked_up_and_only_where_nothing_is_decided(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, real = list[list[str]](), SqlStore.asked

    def asked(self: SqlStore, ids: Sequence[str]) -> Mapping[str, DecisionRow]:
        looked.append(list(ids))
        return real(self, ids)

    monkeypatch.setattr(SqlStore, "asked", asked)

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            for wanted in (request(), request(id="visit 1")):
                await ask(client, "/v1/decide", wanted)
            await is_stopped(client)
            await ask(client, "/v1/decide", request())
            assert looked == []
            await ask(client, "/v1/decide", request(id="visit 1"))
            assert looked == [["visit 1"]]

    run(scenario())


def test_an_id_of_one_slot_is_refused_on_another(tmp_path) -> None:
    where = made(tmp_path)
    store = open_store(where)
    enrol(store, "banner", fresh(business={}), time.time())
    store.close()
    sides = [{"offer": "left"}, {"offer": "right"}]

    async def scenario() -> None:
        async with serving(where) as client:
            wanted = [request(id="page 1", policy="offers"), request(id="page 1", policy="banner", candidates=sides)]
            for _ in range(2):  # in one group, and after it
                first, other = (await ask(client, "/v1/decide/batch", {"requests": wanted})).json()["decisions"]
                assert first["policy"] == "offers"
                assert other == {"error": "the id 'page 1' is of a decision on 'offers': give another on 'banner'"}
            alone = await ask(client, "/v1/decide", wanted[1])
            assert alone.status_code == 422
            assert (await client.patch("/v1/policies/banner", json={"state": "stopped"})).status_code == 200
            assert (await ask(client, "/v1/decide", wanted[1])).text == alone.text
            assert (await ask(client, "/v1/decide", wanted[0])).json() == first
            assert (await ask(client, "/v1/outcome", {"decision": "page 1", "reward": 1})).json()["new"] == 1

    run(scenario())


def test_names_that_an_index_cannot_hold_are_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            for text, status in (("\u5024" * 682, 200), ("\u5024" * 683, 400), ("a" * 1024, 200), ("a" * 1025, 400)):
                for sent in (request(id=text), request(person=text)):
                    assert (await ask(client, "/v1/decide", sent)).status_code == status
                told = await ask(client, "/v1/outcome", {"decision": text, "reward": 1})
                assert told.status_code == status
            refused = await ask(client, "/v1/decide", request(id="\u5024" * 683))
            assert refused.json() == {"error": "id: 1 to 1,024 letters, 2,048 bytes at most, none of them NUL"}

    run(scenario())


def test_outcomes_that_nobody_knows_are_kept_each_by_its_name(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            names = [f"order {i}" for i in range(59)] + ["<b>order</b>"]
            sent = {"outcomes": [{"decision": name, "reward": 1, "time": 1000} for name in names]}
            for _ in range(2):
                assert (await ask(client, "/v1/outcome/batch", sent)).json() == NOTHING | {"unknown": 60}
            decided = (await ask(client, "/v1/decide", request(id="order 7"))).json()
            again = {"decision": "order 7", "reward": 1, "time": 1000}
            assert (await ask(client, "/v1/outcome", again)).json() == NOTHING | {"new": 1}
            assert (await ask(client, "/v1/outcome", again | {"reward": 0})).json() == NOTHING | {"different": 1}
            strays = (await client.get("/v1/strays")).json()
            assert [stray["name"] for stray in strays] == [decided["decision"], *reversed(names)]
            assert {stray["decision"] for stray in strays[1:]} == {-1}
            page = (await client.get("/console/log/strays")).text
            assert f">{decided['decision']}</a>" in page
            assert "<td>order 58</td>" in page
            assert "<td>&lt;b&gt;order&lt;/b&gt;</td>" in page

    run(scenario())

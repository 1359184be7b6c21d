"""The service, asked as clients ask: decisions, outcomes, keys, and all that may be wrong with a request."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from revealed.errors import SpecificationError, StoreError
from revealed.serve import line as line_module
from revealed.serve.app import Limits
from revealed.serve.enrolment import enrol
from revealed.serve.gate import SCOPES, Gate, GateError, new_key
from revealed.serve.line import LineOptions
from revealed.serve.names import Names
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from tests.serve.world import Learning, fresh, made, request, serving


def run(scenario) -> None:
    """Run a scenario to its end."""
    asyncio.run(asyncio.wait_for(scenario, 30))


async def ask(client: httpx.AsyncClient, path: str, content: object, **more: object) -> httpx.Response:
    """Send a message as JSON."""
    return await client.post(path, json=content, **more)  # type: ignore[arg-type]


def test_a_decision_is_on_disk_before_it_is_answered(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            answer = (await ask(client, "/v1/decide", request(person="ann"))).json()
            other = open_store(where)
            number = Names(other.secret()).number(answer["decision"])
            assert number is not None
            row = other.decision(number)
            other.close()
            assert row is not None
            assert json.loads(row.shown) == answer["shown"]
            assert json.loads(row.propensities) == answer["propensities"] == [answer["propensity"]]
            assert (row.person, json.loads(row.context), row.version) == ("ann", {"device": "phone"}, answer["version"])

    run(scenario())


def test_the_same_id_is_decided_once_and_the_same_outcome_counts_once(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            first = (await ask(client, "/v1/decide", request(id="visit 1"))).json()
            again = (await ask(client, "/v1/decide", request(id="visit 1", context={"device": "desktop"}))).json()
            assert first == again
            at_once = await asyncio.gather(*(ask(client, "/v1/decide", request(id="visit 2")) for _ in range(20)))
            assert len({answer.text for answer in at_once}) == 1
            for name, expected in (("visit 1", "new"), (first["decision"], "known")):
                taken = (await ask(client, "/v1/outcome", {"decision": name, "reward": 1})).json()
                assert taken == {"new": 0, "known": 0, "different": 0, "unknown": 0} | {expected: 1}
            mixed = [
                {"decision": first["decision"], "reward": 0},
                {"decision": first["decision"], "reward": 1, "position": 2},
                {"decision": "nobody", "reward": 1},
                {"decision": "visit 2", "reward": 0.5},
            ]
            taken = (await ask(client, "/v1/outcome/batch", {"outcomes": mixed})).json()
            assert taken == {"new": 1, "known": 0, "different": 1, "unknown": 2}
            whys = [stray["why"] for stray in (await client.get("/v1/strays")).json()]
            assert sorted(whys) == ["different", "unknown", "unknown"]
            told = (await client.get(f"/v1/decisions/{first['decision']}")).json()
            assert [outcome["reward"] for outcome in told["outcomes"]] == [1.0]

    run(scenario())


def test_what_is_learned_decides_within_a_second(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            for turn in range(6):
                batch = {"requests": [request(id=f"{turn}/{i}") for i in range(100)]}
                decided = (await ask(client, "/v1/decide/batch", batch)).json()["decisions"]
                outcomes = [{"decision": one["decision"], "reward": float(one["shown"] == ["gift"])} for one in decided]
                assert (await ask(client, "/v1/outcome/batch", {"outcomes": outcomes})).json()["new"] == 100
                before, started = (await client.get("/ready")).json()["policies"]["offers"]["lesson"], time.monotonic()
                while (await client.get("/ready")).json()["policies"]["offers"]["lesson"] == before or turn == -1:
                    assert time.monotonic() - started < 10
                    await asyncio.sleep(0.02)
            batch = {"requests": [request() for _ in range(50)]}
            decided = (await ask(client, "/v1/decide/batch", batch)).json()["decisions"]
            assert sum(one["shown"] == ["gift"] for one in decided) > 45
            assert all(one["version"].startswith("600-") for one in decided)

    with Learning(where):
        run(scenario())


def test_msgpack(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            headers = {"content-type": "application/msgpack"}
            answer = await client.post("/v1/decide", content=msgspec.msgpack.encode(request()), headers=headers)
            assert answer.headers["content-type"] == "application/msgpack"
            assert len(msgspec.msgpack.decode(answer.content)["shown"]) == 1

    run(scenario())


GOOD = json.dumps(request()).encode()
BAD = {
    "no JSON": (b"{", 400),
    "not UTF-8": (b'{"context": {"device": "\xff"}}', 400),
    "empty": (b"", 400),
    "a list": (b"[]", 400),
    "a field nobody knows": (b'{"contxt": {}}', 400),
    "a nested context": (b'{"context": {"device": {"kind": "phone"}}}', 400),
    "nested deeply": (b'{"context": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    "not a number": (b'{"context": {"device": NaN}}', 400),
    "count of text": (b'{"count": "2"}', 400),
    "an empty person": (b'{"person": ""}', 400),
    "a person with NUL": (b'{"person": "a\\u0000b"}', 400),
    "a long id": (b'{"id": "' + b"x" * 2000 + b'"}', 400),
    "a context that lacks what is needed": (b'{"candidates": [{"offer": "news"}]}', 422),
    "nobody to choose among": (b'{"context": {"device": "phone"}, "candidates": []}', 422),
    "nobody met yet": (b'{"context": {"device": "phone"}}', 422),
    "more than there are": (GOOD[:-1] + b', "count": 9}', 422),
    "another policy": (GOOD[:-1] + b', "policy": "offer"}', 422),
    "too long": (b" " * (1 << 20) + GOOD, 413),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_requests_are_told_and_the_next_one_is_answered(what, tmp_path) -> None:
    content, status = BAD[what]

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            headers = {"content-type": "application/json"}
            answer = await client.post("/v1/decide", content=content, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.json()["error"]
            assert (await client.post("/v1/decide", content=GOOD, headers=headers)).status_code == 200

    run(scenario())


def test_bad_outcomes_take_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            name = (await ask(client, "/v1/decide", request())).json()["decision"]
            sound = {"decision": name, "reward": 1}
            wrong: tuple[dict[str, Any], ...] = (
                {"outcomes": []},
                {"outcomes": [sound, {"decision": name}]},
                {"outcomes": [sound, {"decision": name, "reward": "much"}]},
                {"outcomes": [sound, {"decision": name, "reward": 1, "position": 2**40}]},
                {"outcomes": [sound, {"decision": "a\0b", "reward": 1}]},
                {"outcomes": [sound] * 1001},
            )
            for content in wrong:
                answer = await ask(client, "/v1/outcome/batch", content)
                assert answer.status_code in (400, 413), content
            raw = f'{{"outcomes": [{{"decision": "{name}", "reward": 1e999}}]}}'
            headers = {"content-type": "application/json"}
            assert (await client.post("/v1/outcome/batch", content=raw, headers=headers)).status_code == 400
            assert (await ask(client, "/v1/outcome", sound)).json()["new"] == 1  # none of those before was taken

    run(scenario())


def test_only_what_is_meant_for_a_path(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            assert (await client.get("/v1/decide")).status_code == 405
            assert (await client.post("/v1/decide", data={"context": "{}"})).status_code == 415  # as a form could send
            assert (await client.get("/nowhere")).status_code == 404
            assert (await client.get("/v1/decisions/nobody")).status_code == 404
            assert (await client.get("/health")).json() == {"status": "alive"}
            assert "access-control-allow-origin" not in (await client.get("/health")).headers

    run(scenario())


def test_openapi_describes_what_is_sent_and_answered(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            told = (await client.get("/openapi.json")).json()
            schemas = told["components"]["schemas"]
            assert set(schemas["DecideRequest"]["properties"]) >= {"context", "candidates", "person", "id"}
            answer = (await ask(client, "/v1/decide", request())).json()
            assert set(answer) <= set(schemas["Decided"]["properties"])
            for path in told["paths"]:
                concrete = path.replace("{name}", "x").replace("{person}", "x")
                assert (await client.options(concrete)).status_code == 405, path  # there is such a path

    run(scenario())


# ---- keys ---------------------------------------------------------------------------------------------------------


def test_keys_open_what_they_are_for(tmp_path) -> None:
    where = made(tmp_path)
    store = open_store(where)
    keys = {}
    for scope in SCOPES:
        keys[scope], row = new_key([scope], "a test", time.time())
        store.put_key(row)
    store.close()

    async def scenario() -> None:
        async with serving(where, ServiceOptions()) as client:
            wanted = {
                "decide": ("POST", "/v1/decide", request()),
                "outcome": ("POST", "/v1/outcome", {"decision": "x", "reward": 1}),
                "read": ("GET", "/v1/policies", None),
                "admin": ("DELETE", "/v1/people/ann", None),
            }
            for needed, (method, path, content) in wanted.items():
                for scope, key in keys.items():
                    headers = {"authorization": f"Bearer {key}"}
                    answer = await client.request(method, path, json=content, headers=headers)
                    assert answer.status_code == (200 if scope in (needed, "admin") else 403), (needed, scope)
                for wrong in ("", "Bearer", "Bearer rk_x", f"Basic {keys['admin']}", f"Bearer {keys['admin']}x"):
                    headers = {"authorization": wrong} if wrong else {}
                    answer = await client.request(method, path, json=content, headers=headers)
                    assert answer.status_code == 401
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert keys["admin"] not in answer.text
            assert (await client.get("/health")).status_code == 200

    run(scenario())


def test_expired_revoked_and_frequent_keys() -> None:
    now = [1000.0]
    good, row = new_key(["decide"], "", now[0], expires=2000.0)
    gone, revoked = new_key(["decide"], "", now[0])
    keys = [
        row,
        new_key(["read"], "", 0.0)[1],
        type(revoked)(**{k: getattr(revoked, k) for k in revoked.__slots__} | {"revoked": 5.0}),
    ]
    gate = Gate(keys, 2.0, lambda: now[0], lambda: now[0])
    for _ in range(2):
        assert gate.let(f"Bearer {good}", "decide").id == row.id
    with pytest.raises(GateError) as told:
        gate.let(f"Bearer {good}", "decide")
    assert (told.value.status, told.value.wait) == (429, 0.5)
    now[0] += 0.5
    gate.let(f"Bearer {good}", "decide")
    with pytest.raises(GateError, match="not a key"):
        gate.let(f"Bearer {gone}", "decide")
    now[0] = 2000.0
    with pytest.raises(GateError, match="expired"):
        gate.let(f"Bearer {good}", "decide")


def test_names_cannot_be_made_up() -> None:
    names, others = Names(b"a" * 32), Names(b"b" * 32)
    for number in (1, 2, 255, 256, 2**40):
        name = names.name(number)
        assert names.number(name) == number
        assert others.number(name) is None
        assert names.number(name[:-2] + ("AA" if name[-2:] != "AA" else "BA")) is None
    for odd in ("", "x" * 22, "é" * 22, "A" * 21, "A" * 23, "=" * 22, "\0" * 22):
        assert names.number(odd) is None


# ---- when it cannot -----------------------------------------------------------------------------------------------


def test_a_full_line_sends_away_and_takes_nothing(tmp_path) -> None:
    options = ServiceOptions(open=True, line=LineOptions(waiting=10))

    async def scenario() -> None:
        async with serving(made(tmp_path), options) as client:
            answer = await ask(client, "/v1/decide/batch", {"requests": [request()] * 11})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            answers = await asyncio.gather(*(ask(client, "/v1/decide", request()) for _ in range(200)))
            codes = [one.status_code for one in answers]
            assert set(codes) <= {200, 503}
            metrics = (await client.get("/metrics")).text
            assert f"revealed_decisions_total {codes.count(200)}" in metrics

    run(scenario())


def test_without_a_store_decisions_fall_back_and_outcomes_are_sent_away(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            sound = (await ask(client, "/v1/decide", request())).json()

            def full(*_: object) -> None:
                raise StoreError("the disk is full")

            with monkeypatch.context() as patched:
                patched.setattr(line_module.Line, "_write", full)
                answer = (await ask(client, "/v1/decide", request())).json()
                assert (answer["decision"], answer["shown"], answer["propensity"]) == (None, ["news"], None)
                assert answer["fallback"]
                told = await ask(client, "/v1/outcome", {"decision": sound["decision"], "reward": 1})
                assert told.status_code == 503
                assert "retry-after" in told.headers
            assert (await ask(client, "/v1/outcome", {"decision": sound["decision"], "reward": 1})).json()["new"] == 1

    run(scenario())


def test_a_policy_is_stopped_and_let_on(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            assert (await client.patch("/v1/policies/offers", json={"state": "stoped"})).status_code == 422
            assert (await client.patch("/v1/policies/offers", json={"state": "stopped"})).status_code == 200
            answer = (await ask(client, "/v1/decide", request())).json()
            assert (answer["shown"], answer["fallback"]) == (["news"], "stopped")
            await client.patch("/v1/policies/offers", json={"state": "live"})
            assert "fallback" not in (await ask(client, "/v1/decide", request())).json()

    run(scenario())


def test_people_are_forgotten(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            mine = [(await ask(client, "/v1/decide", request(person="ann"))).json()["decision"] for _ in range(3)]
            other = (await ask(client, "/v1/decide", request(person="bob"))).json()["decision"]
            await ask(client, "/v1/outcome", {"decision": mine[0], "reward": 1})
            assert (await client.delete("/v1/people/ann")).json() == {"decisions": 3}
            assert [(await client.get(f"/v1/decisions/{name}")).status_code for name in [*mine, other]] == [404] * 3 + [
                200
            ]

    run(scenario())


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path) -> None:
    options = ServiceOptions(open=True, limits=Limits(seconds=0.1))

    async def scenario() -> None:
        async with serving(made(tmp_path), options) as client:

            async def slowly() -> AsyncIterator[bytes]:
                yield b'{"context"'
                await asyncio.sleep(5)
                yield b": {}}"

            headers = {"content-type": "application/json"}
            answer = await client.post("/v1/decide", content=slowly(), headers=headers)
            assert answer.status_code == 408

    run(scenario())


def test_another_policy_of_the_same_name_and_late_answers_are_refused(tmp_path) -> None:
    store = open_store(made(tmp_path))
    with pytest.raises(SpecificationError, match="another policy 'offers'"):
        enrol(store, "offers", fresh(explore={"rule": "greedy"}), 0.0)
    enrol(store, "offers", fresh(), 0.0)
    late = fresh(delay={"mean": 2.0}, log={"action": "offer", "time": "shown"})
    with pytest.raises(SpecificationError, match="wants names for when"):
        enrol(store, "late", late, 0.0)
    assert [row.name for row in store.policies()] == ["offers"]
    store.close()

"""The client against a real service, and against a network that fails."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import numpy as np
import pytest

from revealed.client import (
    AsyncClient,
    Client,
    Decided,
    DecideRequest,
    OutcomeRequest,
    Refused,
    RefusedError,
    Retries,
    ServiceError,
    Taken,
    UnavailableError,
)
from revealed.client.retries import Attempts, seconds_of
from revealed.errors import RevealedError, SpecificationError
from revealed.serve.gate import new_key
from revealed.serve.messages import Candidate
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from tests.client.world import Script, gone, lost, says
from tests.serve.world import OFFERS, listening, made

CANDIDATES: list[Candidate] = [{"offer": offer} for offer in OFFERS]
DECIDED = {"decision": "a", "shown": ["news"], "propensity": 0.5, "propensities": [0.5], "policy": "p", "version": "1"}
#: Tries often, hardly waits.
OFTEN = Retries(attempts=4, pause=0.001, longest=0.002)


def scripted(*lines: object, retries: Retries = OFTEN) -> tuple[Client, Script]:
    """Return a client whose attempts are answered as told."""
    script = Script(*lines)  # type: ignore[arg-type]
    return Client("http://service", retries=retries, transport=script), script


def test_everything_a_client_asks_is_answered_by_a_service(tmp_path) -> None:
    where = made(tmp_path)
    with listening(where) as url, Client(url) as client:
        assert client.health()
        assert client.ready().ready
        assert client.ready().policies["offers"].state == "live"
        first = client.decide({"device": "phone"}, CANDIDATES, person="ann/b?", id="visit/1")
        assert client.decide({"device": "desktop"}, CANDIDATES, id="visit/1") == first
        assert first.shown[0] in OFFERS
        assert 0 < (first.propensity or 0) <= 1
        requests = [DecideRequest({"device": "phone"}, candidates=CANDIDATES), DecideRequest(policy="no such")]
        second, wrong = client.decide_many(requests)
        assert isinstance(second, Decided)
        assert isinstance(wrong, Refused)
        assert second.decision is not None
        assert client.outcome("visit/1", 1.0) == Taken(1, 0, 0, 0)
        told = [OutcomeRequest("visit/1", 1.0), OutcomeRequest(second.decision, 0.0), OutcomeRequest("nobody", 1.0)]
        assert client.outcomes(told) == Taken(1, 1, 0, 1)
        looked_up = client.decision("visit/1")
        assert (looked_up.decision, looked_up.person, looked_up.shown) == (first.decision, "ann/b?", first.shown)
        assert [outcome.reward for outcome in looked_up.outcomes] == [1.0]
        assert looked_up.explanation is not None
        assert [one.label for one in looked_up.explanation.contributions] == first.shown
        (policy,) = client.policies()
        assert (policy.name, policy.specification["business"]["fallback"]) == ("offers", ["news"])
        assert client.forget("ann/b?") == 1
        for odd in (".", "..", "../..", "%2E", " ", "é\n"):
            decided = client.decide({"device": "phone"}, CANDIDATES, person=odd, id=odd)
            assert client.decision(odd).decision == decided.decision
            assert [client.forget(f"{odd}\n"), client.forget(odd), client.forget(odd)] == [0, 1, 0]
        with pytest.raises(RefusedError, match="no decision 'visit/1'") as refused:
            client.decision("visit/1")
        assert refused.value.status == 404


def test_the_same_is_awaited(tmp_path) -> None:
    async def scenario(url: str) -> None:
        async with AsyncClient(url) as client:
            assert await client.health()
            assert (await client.ready()).ready
            many = await asyncio.gather(*(client.decide({"device": "phone"}, CANDIDATES) for _ in range(20)))
            names = [one.decision for one in many if one.decision is not None]
            assert len(set(names)) == 20
            assert (await client.outcome(names[0], 1)).new == 1
            assert (await client.outcomes([OutcomeRequest(name, 0) for name in names[1:]])).new == 19
            assert (await client.decision(names[0])).outcomes[0].reward == 1
            assert len(await client.policies()) == 1
            assert await client.forget("nobody") == 0
            two = await client.decide_many([DecideRequest({"device": "phone"}, candidates=CANDIDATES)] * 2)
            assert isinstance(two[0], Decided)

    with listening(made(tmp_path)) as url:
        asyncio.run(scenario(url))


def test_both_clients_take_the_same() -> None:
    def told(kind: type) -> dict[str, str]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(what)) for name, what in found if not name.startswith("_")}

    assert told(Client) == told(AsyncClient)
    assert len(told(Client)) == 10


def test_a_decision_whose_answer_was_lost_is_not_made_twice(tmp_path) -> None:
    where = made(tmp_path)

    class Losing(httpx.HTTPTransport):
        """Sends what it is given, and loses the first answer."""

        sent = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            self.sent += 1
            return lost(request) if self.sent % 2 else answer

    with listening(where) as url, Client(url, retries=OFTEN, transport=Losing()) as client:
        decided = client.decide({"device": "phone"}, CANDIDATES)
        client.decide_many([DecideRequest({"device": "phone"}, candidates=CANDIDATES)] * 3)
        assert client.outcome(str(decided.decision), 1.0) == Taken(0, 1, 0, 0)
    store = open_store(where)
    decisions, outcomes = store.ends()
    found = [row for _, row in store.decisions_after(0, decisions, "offers")]
    store.close()
    assert (len(found), outcomes) == (4, 1)


@pytest.mark.parametrize("failure", [lost, gone, *(says(status, {"error": "busy"}) for status in (429, 500, 502, 503))])
def test_what_is_temporary_is_tried_again_with_the_same_id(failure) -> None:
    client, script = scripted(failure, failure, says(200, DECIDED))
    assert client.decide({}).decision == "a"
    sent = [json.loads(request.content)["id"] for request in script.requests]
    assert len(sent) == 3
    assert len(set(sent)) == 1
    client.decide({})
    assert json.loads(script.requests[-1].content)["id"] != sent[0]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_what_is_wrong_is_told_at_once(status) -> None:
    client, script = scripted(says(status, {"error": "no such policy"}))
    with pytest.raises(RefusedError, match=f"{status}.*no such policy") as refused:
        client.decide({}, fallback=["news"])
    assert (refused.value.status, refused.value.reason, len(script.requests)) == (status, "no such policy", 1)
    assert isinstance(refused.value, RevealedError)


def test_it_gives_up_with_one_clear_error_or_falls_back() -> None:
    client, script = scripted(gone)
    with pytest.raises(
        UnavailableError, match="no answer from http://service: ConnectError .*refused; given up after 4"
    ):
        client.decide({})
    assert len(script.requests) == 4
    decided = client.decide({}, fallback=["news", "guide"], policy="offers")
    assert (decided.decision, decided.shown, decided.propensity, decided.policy) == (
        None,
        ["news", "guide"],
        None,
        "offers",
    )
    assert "no answer from http://service" in str(decided.fallback)
    many = client.decide_many([DecideRequest(), DecideRequest()], fallback=["news"])
    assert [(one.shown, bool(one.fallback)) for one in many if isinstance(one, Decided)] == [(["news"], True)] * 2
    assert not client.health()
    with pytest.raises(UnavailableError):
        client.outcome("a", 1)


def test_retry_after_is_honoured_as_far_as_there_is_time() -> None:
    client, _ = scripted(says(503, {"error": "full"}, retry_after="1"), says(200, DECIDED))
    began = time.monotonic()
    client.decide({})
    assert 1.0 <= time.monotonic() - began < 3.0
    client, script = scripted(says(429, {"error": "too often"}, retry_after="60"))
    with pytest.raises(UnavailableError, match="status 429, too often; given up after 1 attempt .* wait 60 seconds"):
        client.decide({})
    assert len(script.requests) == 1


def test_waits_double_and_are_drawn_and_end(monkeypatch) -> None:
    waits = []
    for _ in range(200):
        attempts = Attempts(Retries(attempts=5, pause=0.1, longest=0.3, within=100), "there")
        waits.append([attempts.pause("gone") for _ in range(4)])
        with pytest.raises(UnavailableError, match="5 attempts"):
            attempts.pause("gone")
    low, high = np.min(waits, axis=0), np.max(waits, axis=0)
    assert np.allclose(low, [0.05, 0.1, 0.15, 0.15], rtol=0.1)
    assert np.allclose(high, [0.1, 0.2, 0.3, 0.3], rtol=0.1)
    late = Attempts(Retries(within=1), "there")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    with pytest.raises(UnavailableError, match="1 attempt in 2"):
        late.pause("gone")


def test_retry_after_may_be_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 < seconds_of(format_datetime(soon, usegmt=True)) <= 30
    assert seconds_of(format_datetime(soon - timedelta(days=1))) == 0
    assert (seconds_of("tomorrow"), seconds_of("-3"), seconds_of("²"), seconds_of(None)) == (0, 0, 0, 0)


def test_a_service_that_is_slow_is_not_waited_for_beyond_the_limit() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"]["read"] <= 0.05
        time.sleep(0.04)
        return lost(request)

    client, _ = scripted(slow, retries=Retries(attempts=100, pause=0.001, within=0.2))
    client._timeout = 0.05
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        client.decide({})
    assert time.monotonic() - began < 1


def test_not_ready_is_told_with_why_and_not_tried_again() -> None:
    client, script = scripted(says(503, {"status": "not ready", "reason": "the disk is full"}, retry_after="1"))
    readiness = client.ready()
    assert (readiness.ready, readiness.reason, len(script.requests)) == (False, "the disk is full", 1)


def test_keys_open_what_they_are_for(tmp_path) -> None:
    where = made(tmp_path)
    key, row = new_key(["outcome"], "a page", 0.0)
    store = open_store(where)
    store.put_key(row)
    store.close()
    with listening(where, ServiceOptions(refresh=0.01)) as url, Client(url, key) as client:
        assert client.outcome("nobody", 1).unknown == 1
        with pytest.raises(RefusedError, match=r"403.*not for decide"):
            client.decide({})
        assert key not in repr(client)
        with Client(url) as keyless, pytest.raises(RefusedError, match="401"):
            keyless.policies()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://shop", "http://", ""])
def test_what_is_no_address_is_refused(url) -> None:
    with pytest.raises(SpecificationError, match="not the address of a service"):
        Client(url)


def test_what_cannot_be_sent_is_told_before_it_is() -> None:
    client, script = scripted(says(200, DECIDED))
    for reward in (float("nan"), float("inf")):
        with pytest.raises(SpecificationError, match="finite"):
            client.outcome("a", reward)
    with pytest.raises(SpecificationError, match="object"):
        client.decide({"what": object()})
    assert not script.requests
    client.decide({"x": np.float32(0.5), "n": np.int64(3), "b": np.bool_(True)})
    assert json.loads(script.requests[0].content)["context"] == {"x": 0.5, "n": 3, "b": True}
    for wrong in (Retries, Retries):
        with pytest.raises(SpecificationError):
            wrong(attempts=0)
    with pytest.raises(SpecificationError):
        Client("http://service", timeout=0)


def test_another_server_is_not_taken_for_a_service() -> None:
    for content in ({"hello": "world"}, [1, 2]):
        client, _ = scripted(says(200, content))
        for ask in ("decide", "policies", "health", "ready"):
            with pytest.raises(ServiceError, match="is the address that of one"):
                getattr(client, ask)()
        with pytest.raises(ServiceError, match="is the address that of one"):
            client.decide_many([DecideRequest()])


def test_importing_the_client_is_quick_and_light() -> None:
    code = (
        "import sys, time, httpx, msgspec; began = time.process_time(); import revealed.client;"
        "took = time.process_time() - began; held = {'numpy', 'scipy', 'pyarrow', 'starlette', 'apsw', 'duckdb'};"
        "print(took, held & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    took, _, held = done.stdout.strip().partition(" ")
    assert held == "set()"
    assert float(took) < 0.2

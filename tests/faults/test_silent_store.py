"""A store that does not answer, or whose answer is lost: nobody waits long; outcomes count for what was shown."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from revealed.errors import StoreError
from revealed.serve.line import LineOptions
from revealed.serve.service import ServiceOptions
from revealed.serve.store_thread import StoreThread
from revealed.store.sql import SqlStore
from tests.serve.world import made, request, serving

OPTIONS = ServiceOptions(open=True, refresh=0.01, line=LineOptions(patience=0.6))


def test_who_waits_for_a_silent_store_is_answered_and_so_is_who_comes_then(tmp_path, monkeypatch) -> None:
    write, silent = SqlStore.write, [0.0]

    def slow(self: SqlStore, decisions: Sequence[Any], outcomes: Sequence[Any]) -> Any:
        time.sleep(silent[0])
        return write(self, decisions, outcomes)

    monkeypatch.setattr(SqlStore, "write", slow)

    async def scenario() -> None:
        async with serving(made(tmp_path), OPTIONS) as client:
            assert (await client.post("/v1/decide", json=request())).json()["decision"]
            silent[0] = 2.5
            for longest in (1.6, 0.5, 0.5):  # the first waits; then it is known
                started = time.monotonic()
                decided, told = await asyncio.gather(
                    client.post("/v1/decide", json=request()),
                    client.post("/v1/outcome", json={"decision": "x", "reward": 1}),
                )
                assert time.monotonic() - started < longest
                assert (decided.json()["decision"], decided.json()["shown"]) == (None, ["news"])
                assert (told.status_code, told.headers["retry-after"]) == (503, "1")
            assert (await client.get("/ready")).status_code == 503
            assert (await client.get("/v1/strays")).status_code == 503
            silent[0] = 0.0
            until = time.monotonic() + 5
            while (await client.get("/ready")).status_code != 200:
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            assert (await client.post("/v1/decide", json=request())).json()["decision"]

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_after_a_lost_answer_outcomes_count_for_what_was_shown(tmp_path, monkeypatch) -> None:
    """Who asked by an id gets no fall-back: its outcome, told by that id, would count for what was decided."""
    write, losing = SqlStore.write, [False]

    def lost(self: SqlStore, decisions: Sequence[Any], outcomes: Sequence[Any]) -> Any:
        done = write(self, decisions, outcomes)
        if losing[0]:
            error = StoreError("the server does not answer")
            error.unsure = True
            raise error
        return done

    monkeypatch.setattr(SqlStore, "write", lost)

    async def scenario() -> None:
        async with serving(made(tmp_path), OPTIONS) as client:
            losing[0] = True
            assert (await client.post("/v1/decide", json=request(id="visit 1"))).status_code == 503
            assert (await client.post("/v1/decide", json=request())).json()["fallback"] is not None
            losing[0] = False
            decided = (await client.post("/v1/decide", json=request(id="visit 1"))).json()
            told = (await client.post("/v1/outcome", json={"decision": "visit 1", "reward": 1})).json()
            assert told["new"] == 1
            kept = (await client.get(f"/v1/decisions/{decided['decision']}")).json()
            assert kept["shown"] == decided["shown"]
            losing[0] = True
            outcome = {"decision": (await _other(client, losing)), "reward": 1}
            assert (await client.post("/v1/outcome", json=outcome)).status_code == 503
            losing[0] = False
            assert (await client.post("/v1/outcome", json=outcome)).json()["known"] == 1  # sent again, it counts once

    asyncio.run(asyncio.wait_for(scenario(), 30))


async def _other(client: Any, losing: list[bool]) -> str:
    """Return the name of another decision."""
    losing[0] = False
    name = str((await client.post("/v1/decide", json=request())).json()["decision"])
    losing[0] = True
    return name


def test_who_is_told_to_stop_while_a_group_is_written_stops() -> None:
    async def scenario() -> None:
        thread, written = StoreThread(5.0), threading.Event()
        writing = asyncio.create_task(thread.in_time(written.wait))
        await asyncio.sleep(0.05)
        writing.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):  # not taken for a store that does not answer
                await writing
        finally:
            written.set()
            thread.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))

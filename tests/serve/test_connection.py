"""The short way of a connection: what is remembered of a client's requests changes no answer, and lets nobody in."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from revealed.serve import connection
from revealed.serve.connection import Connection, connections
from revealed.serve.gate import new_key
from revealed.serve.service import ServiceOptions, application
from revealed.store.open import open_store
from tests.serve.world import made, request

DECIDE = json.dumps(request()).encode()
WRONG = DECIDE.replace(b"phone", b"pho\x00e")  # as long, and not JSON


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.closing, self.some = b"", False, asyncio.Event()

    def write(self, data: Any) -> None:
        self.said += data
        self.some.set()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.some.set()

    abort = close

    def pause_reading(self) -> None:
        """Nothing comes but what the test gives."""

    resume_reading = pause_reading


class Server:
    """A service, and connections to it without a network."""

    def __init__(self, app: Any, options: ServiceOptions) -> None:
        self.kind = connections(options.limits, lambda: app.service)
        self.config = uvicorn.Config(app, http=self.kind, lifespan="off", log_level="critical", timeout_keep_alive=1)
        self.config.load()
        self.state = ServerState()

    def connected(self) -> tuple[Connection, Wire]:
        """Return a new connection."""
        loop = asyncio.get_running_loop()
        made, wire = self.kind(config=self.config, server_state=self.state, app_state={}, _loop=loop), Wire()
        made.connection_made(wire)
        return made, wire

    async def said(self, pieces: Sequence[bytes], answers: int) -> list[int]:
        """Return the statuses of the answers to what comes in pieces; fewer if the connection is closed."""
        made, wire = self.connected()
        for piece in pieces:
            if not wire.closing:
                made.data_received(piece)
            await asyncio.sleep(0)
        return await self.statuses(made, wire, answers)

    async def statuses(self, made: Connection, wire: Wire, answers: int) -> list[int]:
        """Return the statuses of so many answers, and close the connection."""
        until = time.monotonic() + 5
        while len(found := _statuses(wire)) < answers and not wire.closing and time.monotonic() < until:
            wire.some.clear()
            await asyncio.wait_for(wire.some.wait(), 5)
        wire.closing = True
        made.connection_lost(None)
        return found


def _statuses(wire: Wire) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", wire.said)]


@asynccontextmanager
async def serving(where: str, **options: Any) -> AsyncIterator[Server]:
    """Yield the service of a store."""
    told = ServiceOptions(**{"open": True, "stale": 0.0, "refresh": 0.01} | options)
    app = application(where, Path(f"{where}.snapshots"), told)
    async with app._open() as opened:
        app._application = opened
        yield Server(app, told)


def post(body: bytes, path: str = "/v1/decide", more: bytes = b"", told: int | None = None) -> bytes:
    """Return a request."""
    length = len(body) if told is None else told
    return b"POST %b HTTP/1.1\r\nhost: localhost\r\n%bcontent-length: %d\r\n\r\n%b" % (
        path.encode(),
        more,
        length,
        body,
    )


def test_the_next_request_that_begins_alike_needs_no_parser(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as server:
            made_, wire = server.connected()
            made_.data_received(post(DECIDE))
            await asyncio.wait_for(wire.some.wait(), 5)
            parser, made_.parser = made_.parser, None  # type: ignore[assignment]
            for answers, body in enumerate((DECIDE, WRONG, DECIDE), start=2):
                made_.data_received(post(body))
                while len(_statuses(wire)) < answers:
                    await asyncio.sleep(0.001)
            made_.parser = parser
            assert await server.statuses(made_, wire, 4) == [200, 200, 400, 200]
            names = [json.loads(body)["decision"] for body in re.findall(rb'\{"decision".*?\}', wire.said)]
            assert len(set(names)) == 3
            # Another client's, too; of another length, path or header it is read.
            assert await server.said([post(DECIDE)], 1) == [200]
            assert len(server.kind.beginnings) == 1
            outcome = post(b'{"decision": "a", "reward": 1}', "/v1/outcome")
            for other in (post(DECIDE + b" "), post(DECIDE, more=b"x: y\r\n"), outcome):
                assert await server.said([other], 1) == [200]
            assert len(server.kind.beginnings) == 4

    asyncio.run(asyncio.wait_for(scenario(), 30))


REQUESTS = {
    "right": (post(DECIDE), 200),
    "longer": (post(DECIDE + b"  "), 200),
    "wrong": (post(WRONG), 400),
    "behind an empty line": (b"\r\n" + post(DECIDE), 200),
    "behind empty lines": (b"\r\n\r\n\r\n" + post(DECIDE), 200),
    "with two lines in its body": (post(DECIDE + b"\r\n\r\n"), 200),
    "with a request in its body": (post(post(DECIDE)), 400),
    "in chunks": (
        b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(DECIDE), DECIDE),
        200,
    ),
    "elsewhere": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
    "of another kind": (post(DECIDE, more=b"content-type: text/plain\r\n"), 415),
    "not from here": (post(DECIDE).replace(b"localhost", b"evil.test"), 421),
    "from two": (post(DECIDE, more=b"host: evil.test\r\n"), 421),
    "from two, the other way": (post(DECIDE, more=b"host: localhost\r\n").replace(b"localhost", b"evil.test", 1), 421),
    "from a page": (post(DECIDE, more=b"origin: https://evil.test\r\n"), 403),
}


def test_however_requests_come_in_pieces_they_are_answered_as_if_nothing_were_remembered(tmp_path) -> None:
    """In pieces cut anywhere, or one request each; with all beginnings known, each request's status is its own."""
    chance = random.Random(1)

    def pieces(asked: Sequence[str]) -> list[bytes]:
        whole = b"".join(REQUESTS[name][0] for name in asked)
        ends = list(accumulate(len(REQUESTS[name][0]) for name in asked))
        cuts = [chance.randrange(len(whole)) for _ in range(chance.choice((0, 0, 1, 4)))]
        if chance.random() < 0.5:  # below each header
            cuts += [found.end() for found in re.finditer(rb"\r\n\r\n", whole)]
        places = sorted({0, len(whole), *cuts, *(ends if chance.random() < 0.7 else ())})
        return [whole[start:stop] for start, stop in pairwise(places)]

    async def scenario() -> None:
        async with serving(made(tmp_path)) as server:
            for data, status in REQUESTS.values():
                assert await server.said([data], 1) == [status]  # now it is remembered, if it can be
            heads = list(server.kind.beginnings)
            assert len(heads) > 2
            assert all(head.strip().startswith(b"POST") and head.endswith(b"\r\n\r\n") for head in heads), heads
            begun = b"POST /v1/decide HTTP/1.1\r\ncontent-type: text/plain\r\nx: "  # the next piece is of its header
            assert await server.said([begun, post(DECIDE)], 1) == [415]
            for _ in range(400):
                asked = chance.choices(sorted(REQUESTS), k=chance.randint(1, 6))
                assert await server.said(pieces(asked), len(asked)) == [REQUESTS[name][1] for name in asked], asked

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_what_is_remembered_is_bounded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_KNOWN", 8)

    async def scenario() -> None:
        async with serving(made(tmp_path)) as server:
            for number in range(20):
                assert await server.said([post(DECIDE, more=b"x: %d\r\n" % number)], 1) == [200]
                assert len(server.kind.beginnings) <= 8
            server.kind.beginnings.clear()
            assert await server.said([post(DECIDE, more=b"x: %b\r\n" % (b"y" * 4000))], 1) == [200]
            assert not server.kind.beginnings

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_key_is_asked_for_each_time(tmp_path) -> None:
    """One that is revoked, or is used too often, is refused though its request is known by heart."""
    where, now = made(tmp_path), time.time()
    store = open_store(where)
    keys = [new_key(["decide"], "a page", now) for _ in range(2)]
    for _, row in keys:
        store.put_key(row)

    async def scenario() -> None:
        asked = [post(DECIDE, more=b"authorization: Bearer %b\r\n" % key.encode()) for key, _ in keys]
        async with serving(where, open=False) as server:
            assert await server.said([asked[0]] * 2, 2) == [200, 200]
            store.put_key(replace(keys[0][1], revoked=time.time()))
            until = time.monotonic() + 10
            while await server.said([asked[0]], 1) != [401]:
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            assert await server.said([asked[1]], 1) == [200]
        async with serving(where, open=False, rate=2.0) as server:
            assert await server.said([asked[1]] * 4, 4) == [200, 200, 429, 429]

    asyncio.run(asyncio.wait_for(scenario(), 30))
    store.close()


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        ([], 1.5),
        ([post(DECIDE)], 1.0),
        ([b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"], 1.0),
        ([post(DECIDE), b"\r\n"], 1.0),
        ([b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\r\n"], 1.0),
        ([post(DECIDE) + b"POST /v1"], 1.5),
        ([post(DECIDE), post(DECIDE)[:-5]], 1.5),
    ],
)
def test_a_connection_that_rests_is_closed(tmp_path, before, seconds) -> None:
    """After some time without a request (30 seconds in service), or without the rest of one."""

    async def scenario() -> None:
        async with serving(made(tmp_path)) as server:
            server.kind.patience = 1.5
            made_, wire = server.connected()
            began = time.monotonic()
            for piece in before:
                made_.data_received(piece)
                await asyncio.wait_for(wire.some.wait(), 5)
            wire.some.clear()
            await asyncio.wait_for(wire.some.wait(), 5)
            assert wire.closing
            assert time.monotonic() - began >= seconds - 0.05

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_connection_that_is_used_is_not_closed(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as server:
            server.kind.patience = 1.5
            made_, wire = server.connected()
            until, answers = time.monotonic() + 3.5, 0
            while time.monotonic() < until:
                made_.data_received(post(DECIDE))
                answers += 1
                await asyncio.sleep(0.7)
            assert not wire.closing
            assert await server.statuses(made_, wire, answers) == [200] * answers

    asyncio.run(asyncio.wait_for(scenario(), 30))

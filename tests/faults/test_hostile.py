"""Requests that are malformed, huge, nested, cut, slow: answered or closed, never a 500, and nobody else waits."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from revealed.serve.app import Limits
from revealed.serve.decider import Told
from revealed.serve.listening import listening_on
from revealed.serve.service import ServiceOptions
from tests.faults.running import ask, eventually
from tests.serve.world import made, request

DECIDE = json.dumps(request()).encode()
SECONDS = 1.0
CLOSE = "connection: close\r\n"


@dataclass
class Decider:
    """One decider process."""

    process: subprocess.Popen[bytes]
    port: int
    said: Path

    def send(self, data: bytes, wait: float = 5.0) -> bytes:
        """Return all that is answered to some bytes, until the other side closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            try:
                connection.sendall(data)
                return everything(connection, wait)
            except ConnectionError:
                return b""

    def well(self) -> bool:
        """Return whether it decides as ever."""
        status, told = ask(self.port, "POST", "/v1/decide", request())
        return status == 200 and told["decision"] is not None

    @property
    def memory(self) -> int:
        """Its memory in bytes."""
        told = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(told[1]) * resource.getpagesize()


def everything(connection: socket.socket, wait: float) -> bytes:
    """Return what comes until the end, or nothing comes for some seconds."""
    connection.settimeout(wait)
    said = b""
    try:
        while more := connection.recv(1 << 16):
            said += more
            connection.settimeout(0.3)
    except (TimeoutError, ConnectionError):
        pass
    return said


def statuses(said: bytes) -> list[int]:
    """Return the statuses of the answers in what was said."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def post(body: bytes, path: str = "/v1/decide", kind: str = "application/json", more: str = "") -> bytes:
    """Return a request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


@contextmanager
def deciding(folder: Path, files: int | None = None, **limits: float) -> Iterator[Decider]:
    """Yield a decider process."""
    where = made(folder)
    listening = listening_on("127.0.0.1", 0)
    options = ServiceOptions(limits=Limits(**({"seconds": SECONDS} | limits)), open=True)  # type: ignore[arg-type]
    told = Told(where, f"{where}.snapshots", listening.fileno(), options)
    command = [sys.executable, "-m", "revealed.serve.decider"]
    if files is not None:
        command = ["prlimit", f"--nofile={files}:{files}", *command]
    said = folder / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=[listening.fileno()],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(told) + b"\n")
    process.stdin.flush()
    decider = Decider(process, listening.getsockname()[1], said)
    listening.close()
    try:
        eventually(decider.well, 30.0, said.read_text)
        yield decider
    finally:
        process.stdin.close()  # as when the supervisor has gone
        assert process.wait(20) in (0, -15), said.read_text()


@pytest.fixture(scope="module")
def decider(tmp_path_factory) -> Iterator[Decider]:
    with deciding(tmp_path_factory.mktemp("hostile")) as found:
        yield found
        assert "Traceback" not in found.said.read_text()


DEEP = 100_000
BAD_BODIES = {
    "nothing": b"",
    "half": DECIDE[:20],
    "a word": b"hello",
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"context":' * DEEP + b"1" + b"}" * DEEP,
    "a deep context": b'{"context": {"device": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "NaN": b'{"context": {"device": NaN}}',
    "Infinity": b'{"context": {"device": -Infinity}}',
    "a number beyond all": b'{"context": {"device": 1e999}}',
    "a number of many digits": b'{"context": {"device": ' + b"9" * 100_000 + b"}}",
    "not UTF-8": b'{"context": {"device": "\xff\xfe"}}',
    "half a character": b'{"context": {"device": "\\ud800"}}',
    "NUL in a person": b'{"person": "a\\u0000b"}',
    "a context that is a list": b'{"context": ["device"]}',
    "a number for a text": b'{"person": 5}',
    "a text for a number": b'{"count": "5"}',
    "minus one": b'{"count": -1, "candidates": ["news"]}',
    "very many": b'{"count": 1000000000000000000000000, "candidates": ["news"]}',
    "more than there are": b'{"count": 2147483648, "candidates": ["news"]}',
    "a policy with a long name": b'{"policy": "' + b"x" * 900_000 + b'"}',
    "a label that is long": b'{"candidates": ["' + b"x" * 900_000 + b'"]}',
    "very many candidates": b'{"candidates": [' + b",".join(b'"%d"' % i for i in range(90_000)) + b"]}",
    "the same candidate twice": b'{"candidates": ["news", "news"]}',
    "an unknown field": b'{"contexts": {}}',
    "a BOM": b"\xef\xbb\xbf{}",
    "a candidate without its label": b'{"candidates": [{"price": 1}]}',
    "a label that is a number": b'{"candidates": [{"offer": 1e308}]}',
    "huge numbers in a candidate": b'{"candidates": [{"offer": "news", "price": 1e308}]}',
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_bad_bodies_are_told_within_a_second(decider, what) -> None:
    for path in ("/v1/decide", "/v1/outcome", "/v1/decide/batch", "/v1/outcome/batch"):
        started = time.monotonic()
        found = statuses(decider.send(post(BAD_BODIES[what], path, more=CLOSE)))
        assert len(found) == 1, (path, found)
        # A label nobody has seen is one to learn of: it is decided on.
        assert found[0] in (200, 400, 413, 422), (path, found)
        assert time.monotonic() - started < 3.0
    assert decider.well()


def test_a_key_twice_counts_as_its_last(decider) -> None:
    """As everywhere in JSON; what is kept is what was decided on."""
    answer = decider.send(post(b'{"person": "ann", "person": "bob", ' + DECIDE[1:]))
    assert statuses(answer) == [200]
    name = json.loads(answer.partition(b"\r\n\r\n")[2])["decision"]
    assert ask(decider.port, "GET", f"/v1/decisions/{name}")[1]["person"] == "bob"


_START = b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\n"
BAD_REQUESTS = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no version": b"GET /\r\n\r\n",
    "a bare line": b"\r\n\r\n\r\nhello\r\n\r\n",
    "no colon": b"GET /health HTTP/1.1\r\nhost x\r\n\r\n",
    "a NUL in a header": b"GET /health HTTP/1.1\r\nhost: a\0b\r\n\r\n",
    "length and chunks": _START
    + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    + b"GET /v1/strays HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "chunks and length": _START + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": _START + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "chunked and something": _START + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a length below nothing": _START + b"content-length: -5\r\n\r\nhello",
    "a length of many digits": _START + b"content-length: " + b"9" * 50 + b"\r\n\r\nhello",
    "a length of letters": _START + b"content-length: abc\r\n\r\nhello",
    "a chunk beyond all": _START + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "a chunk of letters": _START + b"transfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n",
    "bytes in the path": b"GET /v1/policies/\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "a space before the colon": _START + b"content-length : 5\r\n\r\nhello",
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_bad_requests_are_refused_or_closed(decider, what) -> None:
    found = statuses(decider.send(BAD_REQUESTS[what], 2 * SECONDS + 2))
    assert found in ([], [400], [404]), found
    assert decider.well()


@pytest.mark.parametrize(
    "path",
    ["/v1/decisions/%00", "/v1/decisions/%ff%fe", "/v1/decisions/" + "a" * 8000, "/v1/decisions/..%2f..%2fetc%2fpasswd",
     "/v1/decisions/'; DROP TABLE decisions; --".replace(" ", "%20"), "/v1/policies/%E2%82%AC", "//", "/v1//decide"],
)  # fmt: skip
def test_odd_paths(decider, path) -> None:
    for method in ("GET", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PUT"):
        found = statuses(decider.send(f"{method} {path} HTTP/1.1\r\n{CLOSE}content-length: 2\r\n\r\n[]".encode(), 2.0))
        assert len(found) == 1, (method, found)
        assert 400 <= found[0] < 500, (method, found)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"state": 5}', b'{"state": "gone"}', b"[" * DEEP, b"\xff"])
def test_bad_changes_are_told(decider, body) -> None:
    head = f"PATCH /v1/policies/offers HTTP/1.1\r\n{CLOSE}content-length: {len(body)}\r\n\r\n"
    found = statuses(decider.send(head.encode() + body))
    assert found in ([400], [422]), found


def test_pipelined_requests_are_answered_in_order(decider) -> None:
    asked = [b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", post(DECIDE), post(b"{"), post(DECIDE)] * 50
    said = decider.send(b"".join(asked))
    assert statuses(said) == [200, 200, 400, 200] * 50


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/v1/decide", "application/json", DECIDE),
        ("/v1/decide", "application/msgpack", msgspec.msgpack.encode(request())),
        ("/v1/decide", "application/json", b'{"policy": "none"}'),
        ("/v1/decide", "application/json", b'{"person": ""}'),
        ("/v1/decide", "application/json", b"{"),
        ("/v1/decide", "text/plain", DECIDE),
        ("/v1/decide/batch", "application/json", b'{"requests": [%b, {"policy": "none"}]}' % DECIDE),
        ("/v1/decide/batch", "application/json", b'{"requests": []}'),
        ("/v1/outcome", "application/json", b'{"decision": "nobody", "reward": 1}'),
        ("/v1/outcome", "application/msgpack", b"\xff"),
        ("/v1/outcome/batch", "application/json", b'{"outcomes": [{"decision": "nobody", "reward": 1}]}'),
    ],
)
def test_the_short_way_and_the_long_one_answer_the_same(decider, path: str, kind: str, body: bytes) -> None:
    """A body whose length is told goes the short way (connection.py), one in chunks through the application."""
    start = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{CLOSE}content-type: {kind}\r\n".encode()
    short = decider.send(start + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    long = decider.send(start + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    heads, contents = zip(*(said.split(b"\r\n\r\n", 1) for said in (short, long)), strict=True)
    told = [
        {line for line in head.lower().split(b"\r\n") if not line.startswith((b"date", b"content-length"))}
        for head in heads
    ]
    assert told[0] == told[1]
    assert b"connection: close" in told[0]
    decode = msgspec.msgpack.decode if b"content-type: application/msgpack" in told[0] else msgspec.json.decode
    answers = [decode(content) for content in contents]
    for answer in answers:
        for one in (answer, *answer.get("decisions", ())):
            for drawn in ("decision", "shown", "propensity", "propensities"):  # the next number, the next draw
                one.pop(drawn, None)
    assert answers[0] == answers[1]


def test_the_short_way_asks_for_the_name_too(decider) -> None:
    for more, status in ((b"evil.example", 421), (b"evil.example:80", 421), (b"localhost:80", 200)):
        assert statuses(decider.send(post(DECIDE, more=CLOSE).replace(b"localhost", more, 1), 2.0)) == [status]


def test_a_body_in_chunks_is_read_and_a_long_one_is_not(decider) -> None:
    head = b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    one_by_one = b"".join(b"1\r\n%c\r\n" % byte for byte in DECIDE) + b"0\r\n\r\n"
    assert statuses(decider.send(head + one_by_one)) == [200]
    assert statuses(decider.send(head + one_by_one[:-5] + b"0\r\nx-late: 1\r\n\r\n")) == [200]
    before = decider.memory
    long = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert statuses(decider.send(head + long * 40)) in ([413], [])
    assert decider.well()
    assert decider.memory - before < 60e6


@pytest.mark.parametrize("where", ["line", "header", "headers", "trailer", "length told"])
def test_what_never_ends_is_closed_with_memory_bounded(decider, where) -> None:
    start = {
        "line": b"GET /",
        "header": b"GET /health HTTP/1.1\r\nx: ",
        "headers": b"GET /health HTTP/1.1\r\n",
        "trailer": _START + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ",
        "length told": b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n",
    }[where]
    piece = b"x: y\r\n" * 10_000 if where == "headers" else b"y" * 60_000
    before, sent = decider.memory, 0
    with socket.create_connection(("127.0.0.1", decider.port), timeout=5) as connection:
        try:
            connection.sendall(start)
            for _ in range(2000):
                connection.sendall(piece)
                sent += len(piece)
        except (ConnectionError, TimeoutError):
            pass
    assert sent < 60e6, "120 MB were taken"
    assert decider.memory - before < 60e6
    assert decider.well()


def test_slow_clients_are_closed_and_nobody_waits_for_them(decider, capsys) -> None:
    """Slow loris: headers, bodies, silence and answers that are never read, held by many at once."""
    held = {
        "silent": b"",
        "half a line": b"POST /v1/dec",
        "half a header": b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-",
        "half a body": post(DECIDE + b" " * 100)[:-90],
        "a request, then half": post(DECIDE) + b"POST /v1",
        "half a body elsewhere": b"GET /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhell",
    }
    chance = random.Random(3)
    with ExitStack() as stack:
        slow = []
        for what, data in held.items():
            for _ in range(60):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", decider.port)))
                connection.sendall(data)
                slow.append((what, connection))
        took = []
        until = time.monotonic() + 2 * SECONDS + 1.5
        while time.monotonic() < until:
            started = time.monotonic()
            assert decider.well()
            took.append(time.monotonic() - started)
            for _, connection in chance.sample(slow, 20):  # a letter now and then
                with suppress(OSError):
                    connection.send(b"a")
            time.sleep(0.05)
        closed: Counter[str] = Counter()
        for what, connection in slow:
            closed[what] += ended(connection)
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {len(slow)} slow clients, {sum(closed.values())} closed after {2 * SECONDS:g} s; "
            f"{len(took)} others answered meanwhile, the slowest in {1000 * max(took):.0f} ms\n"
        )
    assert closed == dict.fromkeys(held, 60)
    assert max(took) < 2 * SECONDS  # nobody waited until the slow ones were closed


def ended(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection."""
    connection.settimeout(1.0)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def test_who_does_not_read_is_closed(decider) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", decider.port))
        connection.settimeout(1.0)
        before, started = decider.memory, time.monotonic()
        closed = False
        while not closed and time.monotonic() - started < 4 * SECONDS + 5:
            try:
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 50)
            except TimeoutError:
                pass
            except ConnectionError:
                closed = True
        assert closed
        assert decider.memory - before < 60e6
    assert decider.well()


def test_more_connections_than_files_are_answered_503_and_then_there_is_room(tmp_path) -> None:
    with deciding(tmp_path, files=160) as decider, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", decider.port)))
        assert ask(decider.port, "GET", "/health")[0] == 503
        eventually(decider.well, 3 * SECONDS + 3)
        assert "Traceback" not in decider.said.read_text()


def test_who_is_closed_with_several_requests_unanswered_is_no_error(decider) -> None:
    """One request is being answered, others wait behind it, and what was said is not read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", decider.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 200)
        time.sleep(2 * SECONDS + 1.5)
        assert ended(connection)
    assert decider.well()
    assert "Traceback" not in decider.said.read_text()

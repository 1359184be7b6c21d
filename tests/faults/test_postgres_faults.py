"""The service on PostgreSQL: restarted and cut off under load, followed elsewhere, its password never told."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import psycopg
import pytest

from revealed.serve.service import folder_beside
from tests.faults.ledger import checked
from tests.faults.running import LONG, Running, ask, eventually, running, shopping
from tests.house.postgres import _run, binaries
from tests.serve.world import request

#: Seconds without a network.
CUT = 60.0 if LONG else 5.0


@pytest.fixture
def empty(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS revealed CASCADE")
    return postgres_url


class Wire:
    """A wire to a server that can be cut: nothing passes and nothing is said, as when a cable is pulled."""

    def __init__(self, host: str, port: int) -> None:
        self.target, self.whole, self._stop = (host, port), Event(), Event()
        self.whole.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        """Carry bytes between pairs of sockets."""
        chosen = selectors.DefaultSelector()
        chosen.register(self._listening, selectors.EVENT_READ)
        other: dict[socket.socket, socket.socket] = {}
        while not self._stop.is_set():
            if not self.whole.is_set():
                self.whole.wait(0.05)
                continue
            for key, _ in chosen.select(0.05):
                found = key.fileobj
                if found is self._listening:
                    near = self._listening.accept()[0]
                    try:
                        far = socket.create_connection(self.target)
                    except OSError:  # the server is starting again
                        near.close()
                        continue
                    for here, there in ((near, far), (far, near)):
                        other[here] = there
                        chosen.register(here, selectors.EVENT_READ)
                    continue
                if not isinstance(found, socket.socket) or found not in other:
                    continue
                try:
                    data = found.recv(1 << 16)
                    other[found].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    for each in (found, other[found]):
                        other.pop(each, None)
                        chosen.unregister(each)
                        each.close()
        for each in [*other, self._listening]:
            each.close()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self.whole.set()
        self._thread.join()


@contextmanager
def wire_to(url: str) -> Iterator[tuple[Wire, str]]:
    """Yield a wire to a server, and the address at its near end."""
    parts = urlsplit(url)
    wire = Wire(str(parts.hostname), int(parts.port or 5432))
    try:
        yield wire, url.replace(f":{parts.port}/", f":{wire.port}/")
    finally:
        wire.close()


def _restart(url: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    _run(
        [
            binaries() / "pg_ctl",
            "-D",
            Path(row[0]),
            "-l",
            Path(row[0]).parent / "log",
            "-m",
            "immediate",
            "-w",
            "restart",
        ]
    )


def test_restarted_and_cut_off_under_load(empty, tmp_path, capsys) -> None:
    password = str(urlsplit(empty).password)
    with wire_to(empty) as (wire, address), running(tmp_path, store=address) as service:
        with shopping(service.port, 3, pause=0.01) as shoppers:

            def going_on(seconds: float) -> float:
                before = sum(len(each.told) for each in shoppers)
                return eventually(lambda: sum(len(each.told) for each in shoppers) > before + 10, seconds, service_said)

            def service_said() -> str:
                return service.said

            going_on(20.0)
            _restart(empty)
            restarted = going_on(30.0)
            wire.whole.clear()
            cut_at, slowest, kinds = time.monotonic(), 0.0, set()
            while time.monotonic() - cut_at < CUT:
                started = time.monotonic()
                status, told = ask(service.port, "POST", "/v1/decide", request())
                kinds.add((status, bool(told.get("fallback")) if status == 200 else None))
                status, _ = ask(service.port, "POST", "/v1/outcome", {"decision": "x", "reward": 1})
                kinds.add((status, None))
                slowest = max(slowest, time.monotonic() - started)
                time.sleep(0.2)
            assert ask(service.port, "GET", "/ready")[0] == 503
            assert ask(service.port, "GET", "/health")[0] == 200
            wire.whole.set()
            cut = going_on(60.0)
        assert service.stop() == 0
        said = service.said
    told = checked(empty, shoppers, tmp_path / folder_beside(address))
    with capsys.disabled():
        sys.stdout.write(
            f"\n  PostgreSQL restarted (going on after {restarted:.1f} s), network cut for {CUT:g} s (answered within "
            f"{slowest:.1f} s: {sorted(map(str, kinds))}; going on after {cut:.1f} s): {told}\n"
        )
    assert kinds == {(200, True), (503, None)}
    assert slowest < 6.0
    assert password not in said
    assert not [path for path in tmp_path.rglob("*") if password in str(path)]


def test_deciders_elsewhere_follow_the_store(empty, tmp_path) -> None:
    """A service on another machine, which shares the database and no folder, knows what the first has learned."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running(tmp_path / "a", store=empty) as first, running(tmp_path / "b", store=empty) as second:
        with shopping(first.port, 2) as shoppers:
            eventually(lambda: sum(len(each.told) for each in shoppers) > 20, 30.0, lambda: first.said)

        def lesson(service: Running) -> int:
            return int(ask(service.port, "GET", "/ready")[1]["policies"]["offers"]["lesson"])

        def together() -> bool:
            return lesson(first) == lesson(second) > 0

        assert eventually(together, 10.0) < 10.0
        assert not (tmp_path / "b" / folder_beside(empty)).exists()
        versions = {ask(each.port, "POST", "/v1/decide", request())[1]["version"] for each in (first, second)}
        assert len(versions) == 1
        # The first machine goes; the other's learner takes over.
        first.stop()
        before = lesson(second)
        with shopping(second.port, 2) as more:
            for each in more:
                each.name = f"more-{each.name}"
            eventually(lambda: lesson(second) > before, 25.0, lambda: second.said)
        assert second.stop() == 0
        assert "ended with" not in second.said  # a learner that waits does not die of it
    checked(empty, [*shoppers, *more])

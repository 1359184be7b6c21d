"""A service in processes of its own, started as its users start it, and clients that never lose their patience."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.serve.world import request

#: How many processes to kill in a longer run; 0 in the normal one.
LONG = int(os.environ.get("REVEALED_LONG_FAULTS", "0"))
POLICY = """
[features]
formula = "C(offer) + C(device) + C(offer):C(device)"

[business]
fallback = ["news"]

[log]
decision = "visit"
action = "offer"
reward = "clicked"
"""


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """``revealed serve`` on loopback.

    Parameters
    ----------
    folder : Path
        Where it runs; what it says is appended to ``said`` there.
    store : str
    options : sequence of str
    environment : mapping, optional
        Beside this process's own.
    """

    folder: Path
    store: str = "log.db"
    options: Sequence[str] = ("--without-keys",)
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; clients may have to ask again until it answers."""
        (self.folder / "offers.toml").write_text(POLICY)
        command = [sys.executable, "-m", "revealed", "serve", "offers.toml", "--port", str(self.port), *self.options]
        environment = {**os.environ, "REVEALED_STORE": self.store, "OMP_NUM_THREADS": "1", **self.environment}
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=said, stderr=said, env=environment)

    def stop(self) -> int:
        """Stop it as a system does; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def said(self) -> str:
        """All that it and its children have said."""
        return (self.folder / "said").read_text()

    def wait(self, seconds: float = 30.0) -> None:
        """Wait until it is ready."""

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.said
            return ask(self.port, "GET", "/ready")[0] == 200

        eventually(ready, seconds, lambda: self.said)

    def children(self) -> dict[str, list[int]]:
        """Return the processes it has started, by what they are."""
        assert self.process is not None
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        found: dict[str, list[int]] = {"decider": [], "learner": []}
        for line in listed.stdout.splitlines():
            pid, parent, command = line.split(maxsplit=2)
            for what in found:
                if int(parent) == self.process.pid and f"revealed.serve.{what}" in command:
                    found[what].append(int(pid))
        return found


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Running]:
    """Yield a service that is ready; end it, whatever happens in between."""
    service = Running(folder, **options)
    service.start()
    try:
        service.wait()
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.stop()


def eventually(good: Callable[[], bool], seconds: float, why: Callable[[], object] = lambda: "") -> float:
    """Wait until something holds; return how long it took."""
    started = time.monotonic()
    while not good():
        assert time.monotonic() - started < seconds, why()
        time.sleep(0.02)
    return time.monotonic() - started


def ask(
    port: int, method: str, path: str, content: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Return the status and the answer of one request; status 0 if there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(text) if kind.startswith("application/json") else text.decode()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()


@dataclass
class Shopper:
    """A client in a thread: decides and tells outcomes, each sent again with the same id until it is acknowledged."""

    name: str
    port: int
    stop: Event = field(default_factory=Event)
    pause: float = 0.0
    #: The acknowledged answers by our ids, and our ids whose outcome was acknowledged, with its reward.
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    sent: int = 0
    unanswered: int = 0
    sent_away: int = 0
    fallbacks: int = 0
    odd: list[tuple[int, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        self._thread = Thread(target=self._shop)

    def __enter__(self) -> Shopper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()
        self._connection.close()

    def _shop(self) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            asked, reward = f"{self.name}-{number}", float(number % 3 == 0)
            decided = self._until_acknowledged("/v1/decide", request(id=asked, person=self.name))
            if decided is None:
                return
            self.decided[asked] = decided
            if self._until_acknowledged("/v1/outcome", {"decision": decided["decision"], "reward": reward}) is None:
                return
            self.told[asked] = reward
            if self.pause:
                self.stop.wait(self.pause)

    def _until_acknowledged(self, path: str, content: object) -> dict[str, Any] | None:
        while not self.stop.is_set():
            self.sent += 1
            try:
                self._connection.request("POST", path, json.dumps(content), {"content-type": "application/json"})
                answer = self._connection.getresponse()
                told = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                self.unanswered += 1
                self._connection.close()
                self.stop.wait(0.05)
                continue
            if answer.status == 200 and (path != "/v1/decide" or told.get("decision") is not None):
                return dict(told)
            if answer.status == 200:
                self.fallbacks += 1
            elif answer.status == 503:
                self.sent_away += 1
            else:
                self.odd.append((answer.status, told))
            self.stop.wait(0.1)
        return None


@contextmanager
def shopping(port: int, count: int, pause: float = 0.0) -> Iterator[list[Shopper]]:
    """Yield clients at work; stop them at the end."""
    shoppers = [Shopper(f"s{i}", port, pause=pause) for i in range(count)]
    for shopper in shoppers:
        shopper.__enter__()
    try:
        yield shoppers
    finally:
        for shopper in shoppers:
            shopper.stop.set()
        for shopper in shoppers:
            shopper.__exit__()

"""Keeps the learner and the deciders of a service running. Imports its own room and errors.

A child that dies is started again, after a pause that grows while it keeps dying. What was acknowledged is on disk, and
what the learner knew is repeated from the log. Children end when the supervisor does, however that ends
(:mod:`.parent`).
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import msgspec

from revealed.errors import SpecificationError
from revealed.serve import parent
from revealed.serve.decider import Told
from revealed.serve.learner import Place
from revealed.serve.service import ServiceOptions

_SHORTEST_PAUSE, _LONGEST_PAUSE, _PATIENCE = 0.2, 10.0, 15.0
#: Seconds after which a child is taken to have started well: dying later, it is started again without a long pause.
_WELL = 3.0


@dataclass(eq=False)
class _Child:
    name: str
    module: str
    told: msgspec.Struct
    fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = _SHORTEST_PAUSE
    again_at: float = 0.0

    def start(self) -> None:
        self.process = parent.started(self.module, self.told, self.fds)
        self.started = time.monotonic()

    def end(self, sign: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)


@dataclass(eq=False)
class Supervisor:
    """A service on one machine.

    Parameters
    ----------
    store : str
    snapshots : Path
    listening : socket
    options : ServiceOptions
    deciders : int
    tell : callable
        Takes a line for who watches.
    encryption : pair of str, optional
        The files of a certificate and its private key, for TLS.
    """

    store: str
    snapshots: Path
    listening: socket.socket
    options: ServiceOptions
    deciders: int
    tell: Callable[[str], None]
    encryption: tuple[str, str] | None = None
    _children: list[_Child] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then deciders answer who waits, and the learner writes what it knows."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._stop)
        fd = self.listening.fileno()
        decider = Told(self.store, str(self.snapshots), fd, self.options, self.encryption)
        # One name for all learners that follow each other here: the next does not wait for a dead one's hold to end.
        who = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"
        learner = Place(self.store, str(self.snapshots), who)
        self._children.append(_Child("learner", "revealed.serve.learner", learner, ()))
        self._children += [
            _Child(f"decider {i + 1}", "revealed.serve.decider", decider, (fd,)) for i in range(self.deciders)
        ]
        for child in self._children:
            child.start()
        while not self._stopping:
            self._look()
            time.sleep(0.05)
        deciders = [child for child in self._children if child.name != "learner"]
        self._end(deciders)
        self._end([child for child in self._children if child.name == "learner"])

    def _stop(self, _sign: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _look(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.again_at:
                    child.start()
                continue
            code = child.process.poll()
            if code is None:
                continue
            if child.process.stdin is not None:
                child.process.stdin.close()
            well = now - child.started > _WELL
            child.pause = _SHORTEST_PAUSE if well else min(2 * child.pause, _LONGEST_PAUSE)
            child.process, child.again_at = None, now + child.pause
            self.tell(f"{child.name} ended with {code}; started again in {child.pause:.1f} seconds")

    def _end(self, children: Sequence[_Child]) -> None:
        for child in children:
            child.end(signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        for child in children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.end(signal.SIGKILL)
                child.process.wait()


def listening_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    SpecificationError
        If that address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SpecificationError(f"cannot listen on {host}:{port}: {reason}; choose another --port or --host") from None
    found.set_inheritable(True)
    return found

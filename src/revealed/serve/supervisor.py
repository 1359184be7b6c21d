"""Keeps the learner and the deciders of a service running. Imports its own room.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from revealed.serve.crew import Child
from revealed.serve.decider import Told
from revealed.serve.learner import Place
from revealed.serve.service import ServiceOptions

_PATIENCE = 15.0


@dataclass(eq=False)
class Supervisor:
    """A service on one machine.

    Parameters
    ----------
    store : str
    snapshots : Path
    listening : socket
    options : ServiceOptions
    crew : sequence of Child
        A learner and deciders, begun (:mod:`.crew`).
    tell : callable
        Takes a line for who watches.
    encryption : pair of str, optional
        The files of a certificate and its private key, for TLS.
    """

    store: str
    snapshots: Path
    listening: socket.socket
    options: ServiceOptions
    crew: Sequence[Child]
    tell: Callable[[str], None]
    encryption: tuple[str, str] | None = None
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
        told = {child: learner if child.name == "learner" else decider for child in self.crew}
        for child in self.crew:
            child.start(told[child])
        while not self._stopping:
            self._look(told)
            time.sleep(0.05)
        self._end([child for child in self.crew if told[child] is decider])
        self._end([child for child in self.crew if told[child] is learner])

    def _stop(self, _sign: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _look(self, told: Mapping[Child, object]) -> None:
        now = time.monotonic()
        for child in self.crew:
            if child.process is None:
                if now >= child.again_at:
                    child.start(told[child])
                continue
            code = child.ended(now)
            if code is not None:
                self.tell(f"{child.name} ended with {code}; started again in {child.pause:.1f} seconds")

    def _end(self, children: Sequence[Child]) -> None:
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

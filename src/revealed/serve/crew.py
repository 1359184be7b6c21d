"""The processes of a service, begun before it is known what they are to do. Imports parent.

To import what they need takes them a second and more. So they begin while the command still reads the policy and brings
it into the log, and wait to be told; where nothing comes of it they are ended.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from revealed.serve import parent

#: Seconds before a child that died is started again, at first; and seconds after which it had started well.
SHORTEST_PAUSE, LONGEST_PAUSE, WELL = 0.2, 10.0, 3.0


@dataclass(eq=False)
class Child:
    """A process of the service.

    Parameters
    ----------
    name : str
    module : str
        What it runs.
    fds : tuple of int
        What it inherits that is open.
    process : Popen or None
        None where it does not run.
    started, pause, again_at : float
        When it was begun; how long it is to wait when it has died, and until when.
    """

    name: str
    module: str
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = SHORTEST_PAUSE
    again_at: float = 0.0

    def begin(self) -> None:
        """Begin it: it imports what it needs, and waits."""
        self.process = parent.begun(self.module, self.fds)
        self.started = time.monotonic()

    def start(self, what: object) -> None:
        """Tell it what to do; begin it first where it does not run."""
        if self.process is None:
            self.begin()
        assert self.process is not None
        parent.tell(self.process, what)

    def end(self, sign: int) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)

    def ended(self, now: float) -> int | None:
        """Return with which code it has ended, once, and say when it is to be started again; None where it runs."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return None
        self.leave()
        well = now - self.started > WELL
        self.pause = SHORTEST_PAUSE if well else min(2 * self.pause, LONGEST_PAUSE)
        self.again_at = now + self.pause
        return code

    def leave(self) -> None:
        """Wait until it has ended, and leave nothing of it open."""
        if self.process is not None:
            self.process.wait()
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process = None


@contextmanager
def begun(listening: int, deciders: int) -> Iterator[list[Child]]:
    """Begin a learner and some deciders on a socket; whichever still runs at the end is ended.

    Parameters
    ----------
    listening : int
        The descriptor of a socket that listens, and can be inherited.
    deciders : int
    """
    crew = [Child("learner", "revealed.serve.learner")]
    crew += [Child(f"decider {i + 1}", "revealed.serve.decider", (listening,)) for i in range(deciders)]
    try:
        for child in crew:
            child.begin()
        yield crew
    finally:
        for child in crew:
            child.end(signal.SIGKILL)
        for child in crew:
            child.leave()

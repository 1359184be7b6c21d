"""How a process of the service starts a child, which ends when its parent has gone. Imports nothing of ours.

The parent writes a line to the child's standard input and keeps it open. The system closes it when the parent ends,
also where that was killed: so no learner keeps its place and no decider its port without anybody to end them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import msgspec


def begun(module: str, fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Begin a child, which waits to be told what to do.

    Parameters
    ----------
    module : str
        Of ours; what it is to run.
    fds : tuple of int
        What it inherits that is open.
    """
    # A group of its own: Ctrl-C in a terminal reaches the supervisor, which ends its children in order.
    return subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module], stdin=subprocess.PIPE, pass_fds=fds, start_new_session=True
    )


def tell(child: subprocess.Popen[bytes], what: object) -> None:
    """Tell a child what to do, as JSON: on standard input, as everybody on the machine can read arguments."""
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # it has died already
        child.stdin.write(msgspec.json.encode(what) + b"\n")
        child.stdin.flush()


def started(module: str, what: object) -> subprocess.Popen[bytes]:
    """Begin a child, and tell it what to do."""
    child = begun(module)
    tell(child, what)
    return child


def told() -> bytes:
    """Return the line on standard input."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(sys.stdin.fileno(), 1 << 16)
        if not more:
            sys.exit("nothing was told on standard input: the supervisor starts this (revealed serve)")
        line += more
    return line


def when_it_has_gone(end: Callable[[], object]) -> None:
    """Call a function when standard input has ended, from a thread of its own."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1 << 16):
            pass
        end()

    Thread(target=wait, name="parent", daemon=True).start()

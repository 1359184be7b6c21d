"""How a child of the supervisor is told what to do, and ends when the supervisor has gone. Imports errors only.

The supervisor writes a line to the child's standard input and keeps it open. The system closes it when the supervisor
ends, also where that was killed: so no learner keeps its place and no decider its port without anybody to end them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Thread


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

"""Processes that do something with a store, forked from the tests' own: they start at once and leave nothing behind."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Process:
    """A process at work, with what it returns in the end as text."""

    pid: int
    reading: int

    def result(self) -> str:
        """Wait for its end; return what it said."""
        said = b""
        while more := os.read(self.reading, 1 << 16):
            said += more
        os.close(self.reading)
        assert os.waitpid(self.pid, 0)[1] == 0, said.decode()
        return said.decode()


def forked() -> int:
    """Fork; return 0 in the child.

    JAX, where another test has imported it, warns that its threads are lost. The child asks nothing of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return os.fork()


def start(act: Callable[[], object]) -> Process:
    """Fork a process that does it; it ends without closing what it has opened, as one that was killed."""
    reading, writing = os.pipe()
    pid = forked()
    if pid:
        os.close(writing)
        return Process(pid, reading)
    code = 1
    try:
        os.write(writing, str(act()).encode())
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent
        os.write(writing, repr(error).encode())
    finally:
        os._exit(code)

"""Rings at a moment, to some hundredths of a millisecond. Imports nothing of ours.

The timers of event loops know whole milliseconds, as long as what is to be measured. The system's alarm is finer; it
rings in a program's main thread only, so elsewhere the loop's own timer does.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from time import perf_counter

#: An alarm set to no time at all would be none.
_LEAST = 2e-5


class Bell:
    """Calls something at a moment, one at a time.

    Parameters
    ----------
    ring : callable
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._fine = threading.current_thread() is threading.main_thread()
        self._timer: asyncio.TimerHandle | None = None
        if self._fine:
            self._loop.add_signal_handler(signal.SIGALRM, ring)

    def at(self, moment: float) -> None:
        """Ring at a moment of :func:`time.perf_counter`, or now if it is past."""
        wait = max(moment - perf_counter(), _LEAST)
        if self._fine:
            signal.setitimer(signal.ITIMER_REAL, wait)
        else:
            self._timer = self._loop.call_later(wait, self._ring)

    def close(self) -> None:
        """Ring no more."""
        if self._fine:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._loop.remove_signal_handler(signal.SIGALRM)
        elif self._timer is not None:
            self._timer.cancel()

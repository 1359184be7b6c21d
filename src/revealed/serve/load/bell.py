"""Rings at a moment, to some hundredths of a millisecond. Imports nothing of ours.

The timers of event loops know whole milliseconds, as long as what is to be measured. Those of Linux are finer, and a
file that can be read when it is time; an alarm would be a signal, which costs as much again as a request does to send.
Elsewhere the loop's own timer rings.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from time import perf_counter

#: Of timerfd_create and timerfd_settime (Linux; Python has them from 3.13 on): the clock of ``perf_counter``, and that
#: moments are by it.
_MONOTONIC, _ABSOLUTE = 1, 1
_NANOSECONDS = 10**9


class _Moment(ctypes.Structure):
    """``struct itimerspec``: how often again, and when; all 0 is never."""

    _fields_ = (("again", ctypes.c_long * 2), ("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Bell:
    """Calls something at a moment, one at a time; must be closed.

    Parameters
    ----------
    ring : callable
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._file, self._moment, system = -1, _Moment(), ctypes.CDLL(None)
        if hasattr(system, "timerfd_create"):
            self._set = system.timerfd_settime
            self._file = system.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file >= 0:
            self._loop.add_reader(self._file, self._rung)

    def at(self, moment: float) -> None:
        """Ring at a moment of :func:`time.perf_counter`, or now if it is past."""
        if self._file < 0:
            self._timer = self._loop.call_later(max(moment - perf_counter(), 0.0), self._ring)
            return
        self._moment.seconds, self._moment.nanoseconds = divmod(int(moment * _NANOSECONDS), _NANOSECONDS)
        self._set(self._file, _ABSOLUTE, ctypes.byref(self._moment), None)

    def _rung(self) -> None:
        try:
            os.read(self._file, 8)  # else it could still be read, and rang on
        except BlockingIOError:  # it was set to another moment meanwhile
            return
        self._ring()

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

"""The one thread that uses the store: in turn, and not waited for without end. Imports errors only."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread, get_native_id
from typing import Any, Generic, TypeVar

from revealed.errors import StoreError

Found = TypeVar("Found")

#: Seconds for which the loop does nothing else while a group is written. The thread that writes would wait for the loop
#: at each statement else, half a millisecond each; what comes meanwhile is read in one go afterwards.
_ASIDE = 0.005


class _Work(Generic[Found]):
    """Something to do, by locks alone: an executor's future costs a tenth of what writing a small group does."""

    def __init__(self, work: Callable[[], Found]) -> None:
        self._work, self._claim, self._under_way = work, Lock(), Lock()
        self._found: list[Found] = []
        self._error: BaseException | None = None
        self._then: Callable[[], None] | None = None
        self._under_way.acquire()

    def __call__(self) -> None:
        """Do it, unless it has been given up; its turn has come all the same."""
        try:
            if self.claim():
                self._found.append(self._work())
        except BaseException as error:  # noqa: BLE001 - told to who waits
            self._error = error
        finally:
            self._under_way.release()
            if self._then is not None:
                self._then()

    def claim(self) -> bool:
        """Return whether nobody did so before: who does it, or who gives it up before it has begun."""
        return self._claim.acquire(blocking=False)

    def done_within(self, seconds: float) -> bool:
        """Wait for so long at most, and return whether it is done."""
        if not self._under_way.acquire(timeout=seconds):
            return False
        self._under_way.release()
        return True

    async def noticed_within(self, seconds: float) -> bool:
        """Let the loop go on, for so long at most, and return whether it is done."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def end() -> None:
            if not done.done():
                done.set_result(None)

        def notice() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(end)

        self._then = notice
        if not self.done_within(0):  # else it was done before it knew whom to tell
            await asyncio.wait((done,), timeout=seconds)
        return self.done_within(0)

    def result(self) -> Found:
        """Return what was found, or raise what went wrong; once it is done."""
        if self._error is not None:
            raise self._error
        return self._found[0]


class _Place:
    """Where the thread runs: beside a caller that does nothing meanwhile, on its processor.

    What the work needs is in that one's cache, and nobody has to be woken elsewhere, which takes a virtual machine
    longer than the work. Woken there, it would take the processor at once from who has yet to let go of the
    interpreter, only to wait for that; so it waits until the processor is free (SCHED_BATCH), wherever it is. Where a
    system cannot do so (all but Linux), or forbids it, nothing is done.

    Parameters
    ----------
    thread : int, optional
        The system's number of the thread.
    """

    def __init__(self, thread: int | None) -> None:
        self._thread, self._caller, self._at = thread or 0, 0, -1
        self._here: Callable[[], int] | None = None
        if sys.platform == "linux" and thread:
            with suppress(OSError, AttributeError):
                self._here = ctypes.CDLL(None).sched_getcpu
                os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))

    def bring(self) -> None:
        """Bring the thread to who calls."""
        if self._here is not None:
            here = self._here()
            if here >= 0 and here != self._at:
                self._at, self._caller = here, get_native_id()
                self._move({here})

    def let_go(self) -> None:
        """Let it go wherever who brought it may."""
        if self._at >= 0:
            self._at = -1
            with suppress(OSError):
                self._move(os.sched_getaffinity(self._caller))

    def _move(self, to: set[int]) -> None:
        try:
            os.sched_setaffinity(self._thread, to)
        except OSError:
            self._here = None


class StoreThread:
    """The thread.

    Parameters
    ----------
    patience : float
        Seconds after which work that is waited for in time is given up, and until it ends all that comes then.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._line: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._turns: deque[Future[Any]] = deque()  # that are waited for without haste
        self._stuck: _Work[Any] | None = None
        self._closed = False
        self._thread = Thread(target=self._run, name="store", daemon=True)
        self._thread.start()
        self._place = _Place(self._thread.native_id)

    def close(self) -> bool:
        """End it, once what it does is done; return whether it has ended: what hangs is not waited for."""
        self._closed = True
        self._line.put(None)
        self._thread.join(self._patience)
        return not self._thread.is_alive()

    async def in_turn(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Do something with the store when it is its turn: one thread uses it. StoreError while that is stuck."""
        self._require_awake()
        future: Future[Found] = Future()
        self._turns.append(future)
        self._line.put(partial(self._fulfil, future, partial(work, *arguments)))
        return await asyncio.wrap_future(future)

    async def in_time(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Do something with the store; StoreError if it takes too long, though it may be done all the same, later."""
        self._require_awake()
        under_way = _Work(partial(work, *arguments))
        if not self._turns:
            self._place.bring()
        self._line.put(under_way)
        if under_way.done_within(_ASIDE):  # most often, and nobody has fought over a turn
            return under_way.result()
        self._place.let_go()
        if await under_way.noticed_within(self._patience):
            return under_way.result()
        self._stuck = under_way
        error = StoreError(f"the store has not answered for {self._patience:g} seconds")
        error.unsure = not under_way.claim()  # if it has not begun, it never will
        raise error

    def _run(self) -> None:
        while (work := self._line.get()) is not None:
            work()

    def _require_awake(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")
        if self._stuck is not None and not self._stuck.done_within(0):
            raise StoreError("the store does not answer")

    def _fulfil(self, future: Future[Found], work: Callable[[], Found]) -> None:
        if not future.set_running_or_notify_cancel():
            self._turns.popleft()
            return
        try:
            found = self._unhurried(work)
        except BaseException as error:  # noqa: BLE001 - told to who waits
            future.set_exception(error)
        else:
            future.set_result(found)

    def _unhurried(self, work: Callable[[], Found]) -> Found:
        self._place.let_go()  # others go on meanwhile
        try:
            return work()
        finally:
            self._turns.popleft()  # they are done in their order; before anybody is told

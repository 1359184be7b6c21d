"""The one thread that uses the store: in turn, and not waited for without end. Imports errors only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from revealed.errors import StoreError

Found = TypeVar("Found")

#: Seconds for which the loop does nothing else while a group is written. The thread that writes would wait for the loop
#: at each statement else, half a millisecond each; what comes meanwhile is read in one go afterwards.
_ASIDE = 0.005


class StoreThread:
    """The thread.

    Parameters
    ----------
    patience : float
        Seconds after which work that is waited for in time is given up, and until it ends all that comes then.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._stuck: Future[Any] | None = None

    def close(self) -> None:
        """End it, once what it does is done."""
        self._thread.shutdown()

    async def in_turn(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Do something with the store when it is its turn: one thread uses it. StoreError while that is stuck."""
        self._require_awake()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def in_time(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Do something with the store; StoreError if it takes too long, though it may be done all the same, later."""
        self._require_awake()
        under_way = self._thread.submit(work, *arguments)
        try:
            return under_way.result(_ASIDE)  # most often it is done by then, and nobody has fought over a turn
        except TimeoutError:
            if under_way.done():  # just now, or it is its own
                return under_way.result()
        future = asyncio.wrap_future(under_way)
        await asyncio.wait((future,), timeout=self._patience)
        if future.done():
            return future.result()
        self._stuck = under_way
        error = StoreError(f"the store has not answered for {self._patience:g} seconds")
        error.unsure = not under_way.cancel()  # if it has not begun, it never will
        future.cancel()
        raise error

    def _require_awake(self) -> None:
        if self._stuck is not None and not self._stuck.done():
            raise StoreError("the store does not answer")

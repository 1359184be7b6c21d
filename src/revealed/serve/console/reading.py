"""The console's own look into the store: a connection and a thread that deciding never waits for. Imports store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from revealed.store.protocol import Store

Given = ParamSpec("Given")
Found = TypeVar("Found")


class Reading:
    """Reads a store that is opened when somebody first looks.

    Parameters
    ----------
    opener : callable
        Opens the store.
    """

    def __init__(self, opener: Callable[[], Store]) -> None:
        self._opener = opener
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="console")

    async def __call__(
        self, work: Callable[Concatenate[Store, Given], Found], *given: Given.args, **named: Given.kwargs
    ) -> Found:
        """Return what some work finds in the store.

        Raises
        ------
        StoreError
            If the store cannot be opened or read.
        """
        return await self.beside(self._with_store, work, *given, **named)

    async def beside(self, work: Callable[..., Found], *given: Any, **named: Any) -> Found:
        """Return what some work computes, in the console's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*given, **named))

    def _with_store(self, work: Callable[..., Found], *given: Any, **named: Any) -> Found:
        if self._store is None:
            self._store = self._opener()
        return work(self._store, *given, **named)

    def close(self) -> None:
        """Close the store; nothing is read after that."""
        self._thread.shutdown()
        if self._store is not None:
            self._store.close()

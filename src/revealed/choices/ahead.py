"""Reading one part ahead in the background. Imports nothing of ours."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Part = TypeVar("Part")


class _Worker(Generic[Part]):
    """Takes parts from an iterator in a thread and hands them over one at a time."""

    def __init__(self, parts: Callable[[], Iterator[Part]]) -> None:
        self._parts = parts
        self._handed: queue.Queue[tuple[bool, Part | BaseException | None]] = queue.Queue(maxsize=1)
        self._stopped = threading.Event()
        # A daemon, so that a program that ends without closing its iterators is not kept waiting.
        self._thread = threading.Thread(target=self._run, name="revealed-read-ahead", daemon=True)

    def _run(self) -> None:
        try:
            for part in self._parts():
                if not self._hand((False, part)):
                    return
            self._hand((True, None))
        except BaseException as error:  # noqa: BLE001  (raised again by the thread that takes the parts)
            self._hand((True, error))

    def _hand(self, item: tuple[bool, Part | BaseException | None]) -> bool:
        while not self._stopped.is_set():
            try:
                self._handed.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Part]:
        self._thread.start()
        try:
            while True:
                last, item = self._handed.get()
                if isinstance(item, BaseException):
                    raise item
                if last:
                    return
                yield item  # type: ignore[misc]
                del item  # a part must not live on while the next is waited for
        finally:
            self._stopped.set()
            self._thread.join(timeout=10)


def read_ahead(parts: Callable[[], Iterator[Part]]) -> Iterator[Part]:
    """Yield what an iterator yields, its next part being made in a thread while the last one is used.

    When the consumer stops early, or is interrupted, the thread stops at its next part.
    """
    return iter(_Worker(parts))

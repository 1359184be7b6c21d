"""Arrays kept from block to block, a set for each thread. Imports no room.

Fresh arrays of some 100 kB cost more than the arithmetic on them: the allocator maps and unmaps pages for each, and
with several threads every unmapping interrupts the other cores. So a block's arrays are taken from here and overwritten
by the next. They are aligned to cache lines, so that vectorised sums take the same steps wherever they are.
"""

from __future__ import annotations

import threading
from math import prod

import numpy as np


class Workspace:
    """Named arrays of doubles, grown to the largest size asked for; one holds what it does until asked for again."""

    def __init__(self) -> None:
        self._flat: dict[str, np.ndarray] = {}

    def array(self, name: str, *shape: int) -> np.ndarray:
        """Return the array of a name, in a shape, with whatever it held before."""
        size = prod(shape)
        flat = self._flat.get(name)
        if flat is None or len(flat) < size:
            raw = np.empty(size + 8)
            flat = self._flat[name] = raw[(-raw.ctypes.data // 8) % 8 :]
        return flat[:size].reshape(shape)


class _Local(threading.local):
    def __init__(self) -> None:
        self.workspace = Workspace()


_LOCAL = _Local()


def workspace() -> Workspace:
    """Return the workspace of the calling thread."""
    return _LOCAL.workspace

"""BLAS on one thread while blocks are summed: blocks are small, so engines use threads over them. Imports no room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread within the block."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes about a millisecond; they do not change after numpy is imported.
    return ThreadpoolController()

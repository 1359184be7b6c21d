"""Requests over several connections at once, as fast as they are answered: for bench.serve."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

import uvloop

from revealed.serve.load.wire import Address, asked, closed, connected, post


def told_at_once(address: Address, bodies: list[bytes], connections: int) -> float:
    """Return the seconds until all batches of outcomes are acknowledged; RuntimeError if one is not."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_told(address, bodies, connections))


async def _told(address: Address, bodies: list[bytes], connections: int) -> float:
    left = deque(post("/v1/outcome/batch", body) for body in bodies)
    wires = [await connected(address) for _ in range(connections)]

    async def one(at: int) -> None:
        while left:
            status, body = await asked(wires[at], left.popleft())
            if status != 200:
                raise RuntimeError(f"{status}: {body!r}")

    began = perf_counter()
    await asyncio.gather(*map(one, range(connections)))
    took = perf_counter() - began
    await closed(wires)
    return took

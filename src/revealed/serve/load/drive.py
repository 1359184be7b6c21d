"""Puts a service under load and measures it: closed loop or open loop. Imports its own room and errors.

In a *closed* loop each connection asks again when it has its answer: as fast as it goes. In an *open* loop requests
come when they come, whether or not those before have been answered, as visitors do: at random moments, so many a second
on average. What each took counts from the moment at which it was due. Counted from when it was sent, a service that
stands still for a second would be told of one slow answer and not of all who waited (coordinated omission; G. Tene,
"How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import msgspec
import uvloop

from revealed.errors import SpecificationError
from revealed.serve.load.bell import Bell
from revealed.serve.load.found import Found
from revealed.serve.load.visitors import Visitors, labels
from revealed.serve.load.wire import Address, Wire, asked, closed, connected, head, post
from revealed.serve.messages import Refused, Taken

#: Visitors that are made before the clock starts; after them the same come again.
_MOST_VISITORS = 40_000
#: Seconds after which an answer is waited for no longer, between looks, before a connection is made anew, and after an
#: answer that was none; and attempts to tell a batch of outcomes.
_PATIENCE, _LOOKS, _AGAIN, _PAUSE, _ATTEMPTS = 10.0, 0.05, 0.2, 0.05, 20


class _Decided(msgspec.Struct):
    decision: str | None
    shown: list[str]
    fallback: str | None = None


@dataclass(frozen=True)
class LoadOptions:
    """How a service is put under load.

    Parameters
    ----------
    seconds : float
    rate : float, optional
        Decisions a second, in an open loop; without it a closed loop.
    connections : int
        At most, besides the one for outcomes.
    delay : float
        Seconds from a decision to its outcome.
    batch : int
        Outcomes sent at once, at most.
    key : str, optional
    tell : bool
        Whether outcomes are told at all.
    """

    seconds: float = 10.0
    rate: float | None = None
    connections: int = 32
    delay: float = 1.0
    batch: int = 100
    key: str | None = None
    tell: bool = True

    def __post_init__(self) -> None:
        sizes = {"seconds": self.seconds, "connections": self.connections, "batch": self.batch}
        for name, value in sizes.items() if self.rate is None else {**sizes, "rate": self.rate}.items():
            if not value > 0:
                raise SpecificationError(f"a load test needs {name} above 0, not {value!r}")
        if self.delay < 0:
            raise SpecificationError(f"an outcome does not come before its decision: a delay of {self.delay!r}")


def driven(address: Address, visitors: Visitors, options: LoadOptions) -> Found:
    """Return what a load test finds.

    Raises
    ------
    SpecificationError
        If there is no service, or it does not decide for such visitors.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Load(address, visitors, options).run())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep what is there from being looked through for garbage: 50 ms, told as the service's by all who wait then."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Load:
    """A load test."""

    def __init__(self, address: Address, visitors: Visitors, options: LoadOptions) -> None:
        self.address, self.visitors, self.options, self.found = address, visitors, options, Found()
        self._head = head("/v1/decide", options.key)
        self._decode = msgspec.json.Decoder(_Decided).decode
        self._items = {label: item for item, label in enumerate(labels())}
        self._idle: list[Wire] = []
        self._wires: set[Wire] = set()
        self._late: deque[float] = deque()
        self._untold: deque[tuple[float, bytes]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = self._ends = self._next_due = 0.0
        self._asking, self._answering = False, True
        self._arrivals = random.Random(visitors.seed)  # noqa: S311 - a simulation

    async def run(self) -> Found:
        """Do it."""
        outcomes = await connected(self.address)
        try:
            self.visitors = await fitting(outcomes, self.visitors, self.options.key)
            self._prepare()
            for _ in range(self.options.connections):
                self._idle.append(await connected(self.address, self._lost))
            self._wires.update(self._idle)
            with _undisturbed():
                began_cpu = time.process_time()
                telling = asyncio.create_task(self._tell(outcomes))
                await self._ask()
                await self._drain()
            self._answering = False
            await telling
            self.found.cpu, self.found.seconds = time.process_time() - began_cpu, self.options.seconds
        finally:
            for task in self._tasks:
                task.cancel()
            await closed([outcomes, *self._wires])
        return self.found

    def _prepare(self) -> None:
        expected = _MOST_VISITORS
        if self.options.rate is not None:
            expected = min(expected, int(self.options.rate * self.options.seconds * 1.1) + 1000)
        self._some = self.visitors.some(0, expected)
        self._chances, self._best = self._some.truth.mean(axis=1), self._some.truth.max(axis=1)

    # ---- asking ---------------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        self._began = perf_counter()
        self._ends, self._asking = self._began + self.options.seconds, True
        bell = None
        if self.options.rate is None:
            while self._idle:
                self._send(self._idle.pop(), perf_counter())
        else:
            bell = Bell(self._arrive)
            self._bell, self._next_due = bell, self._began
            self._arrive()
        while perf_counter() < self._ends:
            await asyncio.sleep(min(_LOOKS, max(self._ends - perf_counter(), 0.001)))
            self._look()
        self._asking = False
        if bell is not None:
            bell.close()

    def _arrive(self) -> None:
        """Send what is due; whoever finds no connection free waits for one."""
        now = perf_counter()
        while self._next_due <= now and self._next_due < self._ends:
            if self._idle:
                self._send(self._idle.pop(), self._next_due)
            else:
                self._late.append(self._next_due)
                self.found.due += 1
            self._next_due += self._arrivals.expovariate(self.options.rate or 1.0)
        if self._asking and self._next_due < self._ends:
            self._bell.at(self._next_due)

    def _send(self, wire: Wire, due: float, known: bool = False) -> None:
        visitor = self.found.due % len(self._some)
        self.found.due += not known
        body = self._some.bodies[visitor]
        wire.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), partial(self._answered, wire, visitor, due))

    def _answered(self, wire: Wire, visitor: int, due: float, status: int, body: bytes, now: float) -> None:
        if status == 200:
            self.found.took.append(now - due)
            self._earn(visitor, body, now)
        else:
            self.found.errors[_kind(status, body)] += 1
            if wire.open and status:
                asyncio.get_running_loop().call_later(_PAUSE, self._go_on, wire)
            return
        self._go_on(wire)

    def _go_on(self, wire: Wire) -> None:
        if not wire.open:
            return
        if self._late:
            self._send(wire, self._late.popleft(), known=True)
        elif self._asking and self.options.rate is None:
            self._send(wire, perf_counter())
        else:
            self._idle.append(wire)

    def _earn(self, visitor: int, body: bytes, now: float) -> None:
        decided = self._decode(body)
        if decided.decision is None:
            self.found.fallbacks += 1
            return
        item = self._items[decided.shown[0]]
        reward = int(self._some.answers[visitor, item])
        earned = self.found.earned[min(int(4 * (now - self._began) / self.options.seconds), 3)]
        earned.decisions += 1
        earned.reward += reward
        earned.expected += float(self._some.truth[visitor, item])
        earned.best += float(self._best[visitor])
        earned.chance += float(self._chances[visitor])
        if self.options.tell:
            told = b'{"decision":"%b","reward":%d}' % (decided.decision.encode(), reward)
            self._untold.append((now + self.options.delay, told))

    # ---- connections ----------------------------------------------------------------------------------------------

    def _lost(self, wire: Wire) -> None:
        self._wires.discard(wire)
        if wire in self._idle:
            self._idle.remove(wire)
        task = asyncio.get_running_loop().create_task(self._replace())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        while self._answering:
            await asyncio.sleep(_AGAIN)
            try:
                wire = await connected(self.address, self._lost)
            except SpecificationError:
                self.found.errors["no connection"] += 1
                continue
            self._wires.add(wire)
            self._go_on(wire)
            return

    def _look(self) -> None:
        """Give up what has been waited for too long."""
        before = perf_counter() - _PATIENCE
        for wire in [wire for wire in self._wires if wire.busy and wire.since < before]:
            wire.give_up()

    async def _drain(self) -> None:
        """Wait for those who were asked; who is not answered then never was."""
        until = perf_counter() + _PATIENCE
        while (self._late or any(wire.busy for wire in self._wires)) and perf_counter() < until:
            await asyncio.sleep(0.005)
        for wire in [wire for wire in self._wires if wire.busy]:
            wire.give_up()
        if self._late:
            self.found.errors["never asked: all connections were waiting"] += len(self._late)

    # ---- telling --------------------------------------------------------------------------------------------------

    async def _tell(self, wire: Wire) -> None:
        """Send outcomes when they are due, in batches; at the end all that are left."""
        while self._answering or self._untold:
            due = perf_counter() if self._answering else float("inf")
            batch: list[bytes] = []
            while self._untold and len(batch) < self.options.batch and self._untold[0][0] <= due:
                batch.append(self._untold.popleft()[1])
            if batch:
                wire = await self._told(wire, batch)
            else:
                await asyncio.sleep(_LOOKS)
        wire.close()

    async def _told(self, wire: Wire, batch: list[bytes]) -> Wire:
        """Send a batch until it is acknowledged; return the connection, a new one if need be."""
        request = post("/v1/outcome/batch", b'{"outcomes":[%b]}' % b",".join(batch), self.options.key)
        for _ in range(_ATTEMPTS):
            began = perf_counter()
            status, body = await asked(wire, request)
            if status == 200:
                self.found.told.append(perf_counter() - began)
                self.found.outcomes.update(msgspec.structs.asdict(msgspec.json.decode(body, type=Taken)))
                return wire
            self.found.errors[f"outcomes: {_kind(status, body)}"] += 1
            await asyncio.sleep(_AGAIN)
            if not wire.open:
                try:
                    wire = await connected(self.address)
                except SpecificationError:
                    self.found.errors["outcomes: no connection"] += 1
        self.found.errors["outcomes given up"] += len(batch)
        return wire


async def fitting(wire: Wire, visitors: Visitors, key: str | None) -> Visitors:
    """Return the visitors as the service can decide for them: with candidates, if it has not met the items.

    Raises
    ------
    SpecificationError
        If it cannot.
    """
    reason = b""
    for told in (visitors.told_candidates, True):
        fit = Visitors(visitors.seed, visitors.policy, told)
        status, reason = await asked(wire, post("/v1/decide", fit.some(0, 1).bodies[0], key))
        if status == 200:
            return fit
        if status in (401, 403):
            raise SpecificationError(f"the service wants a key for decide and outcome: {_kind(status, reason)}; --key")
    raise SpecificationError(
        f"the service does not decide for visitors of the simulated store: {_kind(status, reason)}; serve a policy "
        "made for it, as revealed loadtest --write-policy store.json writes"
    )


def _kind(status: int, body: bytes) -> str:
    """Return what went wrong, in words that are the same for the same thing."""
    if not status:
        return body.decode()
    try:
        reason = msgspec.json.decode(body, type=Refused).error
    except msgspec.DecodeError:
        reason = "no reason"
    return f"{status}" if status in (429, 503) else f"{status} {reason}"

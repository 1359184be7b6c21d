"""The service of a store: opened, kept up to date, closed. Imports its own room, decide, store and errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError, StoreError
from revealed.serve.app import Application, Limits, Service
from revealed.serve.counts import Counts
from revealed.serve.gate import Gate
from revealed.serve.lessons import require_servable
from revealed.serve.line import Line, LineOptions
from revealed.serve.names import Names
from revealed.serve.other_routes import OtherRoutes
from revealed.serve.roster import LIVE, Roster, Standing
from revealed.serve.snapshots import Snapshots, policy_of, state_of
from revealed.store.open import open_store
from revealed.store.protocol import Checkpoint, PolicyRow, Store


@dataclass(frozen=True)
class ServiceOptions:
    """How a service runs.

    Parameters
    ----------
    limits : Limits
    line : LineOptions
    rate : float
        Requests a second for each key; 0 for any number.
    open : bool
        Without keys: for a service that nobody else can reach.
    refresh : float
        Seconds between looks at what was learned.
    """

    limits: Limits = field(default_factory=Limits)
    line: LineOptions = field(default_factory=LineOptions)
    rate: float = 0.0
    open: bool = False
    refresh: float = 0.1


def enrol(store: Store, name: str, policy: LearningPolicy, now: float) -> None:
    """Write a policy into a store, if it is not there yet.

    Raises
    ------
    SpecificationError
        If another policy of that name is there, or a service cannot teach it.
    """
    require_servable(policy)
    specification = json.dumps(policy.specification.to_dict(), sort_keys=True)
    known = next((row for row in store.policies() if row.name == name), None)
    if known is None:
        store.add_checkpoint(Checkpoint(name, 0, state_of(policy)))
        store.put_policy(PolicyRow(name, specification, LIVE, 1.0, now))
    elif known.specification != specification:
        raise SpecificationError(
            f"the store has another policy {name!r}, made of another specification; give this one another --name"
        )


def folder_beside(store: str) -> Path:
    """Return the folder for the snapshots of a store in a file."""
    path = store.removeprefix("sqlite:///")
    return Path(f"{path}.snapshots")


def application(where: str, snapshots: Path, options: ServiceOptions | None = None) -> Application:
    """Return the ASGI application that serves a store; it opens the store when it starts.

    Parameters
    ----------
    where : str
        As for :func:`revealed.store.open.open_store`.
    snapshots : Path
        Where the learner writes them.
    options : ServiceOptions, optional
    """
    return _Opened(where, Snapshots(snapshots), options or ServiceOptions())


class _Opened:
    """The application, with the store open between the start and the end of its server."""

    def __init__(self, where: str, snapshots: Snapshots, options: ServiceOptions) -> None:
        self.where, self.snapshots, self.options = where, snapshots, options
        self._service: Service | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._service is not None:
            await self._service(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        opened = self._open()
        try:
            self._service = await opened.__aenter__()
        except Exception as error:  # noqa: BLE001 - the server tells it, and ends
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await opened.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Service]:
        store = open_store(self.where)
        roster = Roster({row.name: self._standing(store, row) for row in store.policies()})
        gate = None if self.options.open else Gate(store.keys(), self.options.rate, time.monotonic, time.time)
        line = Line(store, Names(store.secret()), roster, Counts(), time.time, self.options.line)
        await line.start()
        others = OtherRoutes(line, gate).application()
        following = asyncio.create_task(self._follow(line, gate))
        yield Service(line, gate, others, self.options.limits)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await line.stop()
        store.close()

    def _standing(self, store: Store, row: PolicyRow) -> Standing:
        kept = store.checkpoint(row.name)
        if kept is None:
            raise StoreError(f"the store has no checkpoint of the policy {row.name!r}")
        standing = Standing(row.name, row.state, policy_of(kept.state), kept.lesson, 0.0)
        news = self.snapshots.news(row.name)
        if news is not None and news.lesson >= kept.lesson:
            standing.take(news.policy, news.lesson, news.learned)
        return standing

    async def _follow(self, line: Line, gate: Gate | None) -> None:
        """Take what was learned, new policies and new keys."""
        loop, looked = asyncio.get_running_loop(), 0.0
        while True:
            await asyncio.sleep(self.options.refresh)
            for name, standing in line.roster.standings.items():
                news = await loop.run_in_executor(None, self.snapshots.news, name)
                if news is not None and news.lesson > standing.lesson:
                    standing.take(news.policy, news.lesson, news.learned)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                with suppress(StoreError):
                    await self._refresh(line, gate)

    async def _refresh(self, line: Line, gate: Gate | None) -> None:
        if gate is not None:
            gate.keys = {key.id: key for key in await line.in_turn(line.store.keys)}
        for row in await line.in_turn(line.store.policies):
            standing = line.roster.standings.get(row.name)
            if standing is None:
                line.roster.standings[row.name] = await line.in_turn(self._standing, line.store, row)
            else:
                standing.state = row.state

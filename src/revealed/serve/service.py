"""The service of a store: opened, kept up to date, closed. Imports its own room, decide, store and errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from revealed.errors import StoreError
from revealed.serve.app import Application, Limits, Service
from revealed.serve.console.app import Console
from revealed.serve.console.judge import Judge
from revealed.serve.console.what_if import FitFile
from revealed.serve.counts import Counts
from revealed.serve.gate import Gate
from revealed.serve.learner import ROLE
from revealed.serve.line import Line, LineOptions
from revealed.serve.names import Names
from revealed.serve.origins import Origins
from revealed.serve.other_routes import OtherRoutes
from revealed.serve.roster import Roster, Standing
from revealed.serve.snapshots import Snapshot, Snapshots, policy_of
from revealed.store.open import is_shared, open_store
from revealed.store.protocol import PolicyRow, Store


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
        Without keys, for this machine alone: it answers at localhost, 127.0.0.1 and ::1 only.
    refresh : float
        Seconds between looks at what was learned.
    stale : float
        Seconds without a learner after which policies that have a fall-back show it; 0 for never.
    origins : tuple of str
        Whose pages may ask for decisions in a browser, besides its own: :func:`~.origins.require_origins`.
    fits : tuple of FitFile
        What the console can ask what if.
    """

    limits: Limits = field(default_factory=Limits)
    line: LineOptions = field(default_factory=LineOptions)
    rate: float = 0.0
    open: bool = False
    refresh: float = 0.1
    stale: float = 600.0
    origins: tuple[str, ...] = ()
    fits: tuple[FitFile, ...] = ()


def folder_beside(store: str) -> Path:
    """Return the folder for the snapshots of a store: beside its file; of one on a server, in the working folder.

    Two databases have two folders, and no password is in their names.
    """
    if is_shared(store):
        return Path(f"revealed-{blake2b(_database_of(store).encode(), digest_size=6).hexdigest()}.snapshots")
    return Path(f"{store.removeprefix('sqlite:///')}.snapshots")


def _database_of(store: str) -> str:
    """Return what tells one database from another: the server and its name, nothing of who asks."""
    parts = urlsplit(store)
    options = {name: value for name, value in parse_qsl(parts.query) if name in ("host", "port", "dbname")}
    return f"{parts.netloc.rpartition('@')[2]}{parts.path} {sorted(options.items())}"


def application(where: str, snapshots: Path, options: ServiceOptions | None = None) -> Opened:
    """Return the ASGI application that serves a store; it opens the store when it starts.

    Parameters
    ----------
    where : str
        As for :func:`revealed.store.open.open_store`.
    snapshots : Path
        Where the learner writes them.
    options : ServiceOptions, optional
    """
    return Opened(where, Snapshots(snapshots), options or ServiceOptions())


class Opened:
    """The application, with the store open between the start and the end of its server; see :func:`application`."""

    def __init__(self, where: str, snapshots: Snapshots, options: ServiceOptions) -> None:
        self.where, self.snapshots, self.options = where, snapshots, options
        #: What answers hot requests, from the start of the server on.
        self.service: Service | None = None
        self._application: Application | None = None
        self._heard = time.monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or live through a server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is not None:
            await self._application(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        opened = self._open()
        try:
            self._application = await opened.__aenter__()
        except Exception as error:  # noqa: BLE001 - the server tells it, and ends
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await opened.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Application]:
        store = open_store(self.where)
        roster = Roster({row.name: self._standing(store, row) for row in store.policies()})
        gate = None if self.options.open else Gate(store.keys(), self.options.rate, time.monotonic, time.time)
        line = Line(store, Names(store.secret()), roster, Counts(), time.time, self.options.line)
        await line.start()
        console = Console(
            line, gate, store.secret(), lambda: open_store(self.where), Judge(self.where), self.options.fits
        )
        others = OtherRoutes(line, gate).application(console.route())
        following = asyncio.create_task(self._follow(line, gate))
        self.service = Service(line, gate, others, self.options.limits)
        yield Origins(self.service, self.options.origins, here=gate is None)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        idle = await line.stop()
        console.close()
        if idle:  # else closing would wait for a disk that hangs
            store.close()

    def _standing(self, store: Store, row: PolicyRow) -> Standing:
        kept = store.checkpoint(row.name)
        if kept is None:
            raise StoreError(f"the store has no checkpoint of the policy {row.name!r}")
        standing = Standing(row, Snapshot(policy_of(kept.state), kept.lesson, 0.0))
        news = self.snapshots.news(row.name)
        if news is not None and news.lesson >= kept.lesson:
            standing.take(news)
        return standing

    async def _follow(self, line: Line, gate: Gate | None) -> None:
        """Take what was learned, new policies and new keys; whatever goes wrong, look again later."""
        looked = 0.0
        while True:
            await asyncio.sleep(self.options.refresh)
            try:
                await self._take_news(line)
                if time.monotonic() - looked > 1:
                    looked = time.monotonic()
                    await self._refresh(line, gate)
            except Exception:  # noqa: BLE001 - a file that cannot be read now must not end learning for good
                line.counts.add("refresh_errors", 1)

    async def _take_news(self, line: Line) -> None:
        loop = asyncio.get_running_loop()
        for name, standing in line.roster.standings.items():
            news = await loop.run_in_executor(None, self.snapshots.news, name)
            if news is not None and news.lesson > standing.lesson:
                standing.take(news)

    async def _refresh(self, line: Line, gate: Gate | None) -> None:
        if gate is not None:
            gate.keys = {key.id: key for key in await line.in_turn(line.store.keys)}
        if await line.in_turn(line.store.is_held, ROLE):
            self._heard = time.monotonic()
        line.roster.silence = time.monotonic() - self._heard
        line.roster.is_stale = 0 < self.options.stale < line.roster.silence
        rows = await line.in_turn(line.store.policies)
        line.roster.told(rows)
        for row in rows:
            standing = line.roster.standings.get(row.name)
            if standing is None:
                line.roster.standings[row.name] = await line.in_turn(self._standing, line.store, row)
            else:
                await self._follow_store(line, standing)

    async def _follow_store(self, line: Line, standing: Standing) -> None:
        """Take the last checkpoint where it is ahead of the snapshots: the learner may be on another machine."""
        lessons = await line.in_turn(line.store.lessons_after, standing.name, standing.lesson)
        if not lessons:
            return
        kept = await line.in_turn(line.store.checkpoint, standing.name)
        if kept is not None and kept.lesson > standing.lesson:
            learned = next((lesson.at for lesson in lessons if lesson.number == kept.lesson), lessons[-1].at)
            standing.take(Snapshot(policy_of(kept.state), kept.lesson, learned))

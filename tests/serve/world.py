"""A service to try: a policy of five offers, its store in a folder, and a client that needs no network."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import uvicorn

from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.serve.enrolment import enrol
from revealed.serve.learner import learn
from revealed.serve.service import ServiceOptions, application
from revealed.serve.snapshots import Snapshots
from revealed.store.open import open_store

OFFERS = ("coupon", "gift", "guide", "news", "trial")
SPECIFICATION = {
    "features": {"formula": "C(offer) + C(device) + C(offer):C(device)"},
    "business": {"fallback": ["news"]},
    "log": {"decision": "visit", "action": "offer", "reward": "clicked"},
}


def fresh(**sections: Any) -> LearningPolicy:
    """Return a policy that has learned nothing."""
    return LearningPolicy.fresh(Specification.from_dict(SPECIFICATION | sections), seed=1)


def request(**fields: Any) -> dict[str, Any]:
    """Return a request for one of the five offers."""
    return {"context": {"device": "phone"}, "candidates": [{"offer": offer} for offer in OFFERS]} | fields


def made(folder: Path, policy: LearningPolicy | None = None) -> str:
    """Return a store with a policy in it."""
    where = str(folder / "log.db")
    store = open_store(where)
    enrol(store, "offers", policy or fresh(), time.time())
    store.close()
    return where


@asynccontextmanager
async def serving(where: str, options: ServiceOptions | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a service in this process."""
    app = application(where, Path(f"{where}.snapshots"), options or ServiceOptions(open=True, refresh=0.01))
    async with _lifespan(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


@contextmanager
def listening(where: str, options: ServiceOptions | None = None) -> Iterator[str]:
    """Yield the address of a service on loopback, in a thread of its own."""
    taken = socket.create_server(("127.0.0.1", 0))
    app = application(where, Path(f"{where}.snapshots"), options or ServiceOptions(open=True, refresh=0.01))
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="on", log_level="critical", ws="none"))
    thread = Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    import asyncio

    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, told.get, sent.put))
    await told.put({"type": "lifespan.startup"})
    answer = await sent.get()
    assert answer["type"] == "lifespan.startup.complete", answer
    yield
    await told.put({"type": "lifespan.shutdown"})
    await task


class Learning:
    """A learner in a thread of its own, for the length of a block."""

    def __init__(self, where: str, clock: Callable[[], float] = time.time) -> None:
        self.where, self.clock, self.stop = where, clock, Event()
        self.thread = Thread(target=self._run)

    def _run(self) -> None:
        store = open_store(self.where, clock=self.clock)
        learn(store, Snapshots(Path(f"{self.where}.snapshots")), self.stop, self.clock, pause=0.005)
        store.close()

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(20)

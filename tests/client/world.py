"""A service in a thread of its own, on a port of its own; and transports that fail as networks do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import uvicorn

from revealed.serve.service import ServiceOptions, application


@contextmanager
def listening(where: str, options: ServiceOptions | None = None) -> Iterator[str]:
    """Yield the address of a service of a store."""
    app = application(where, Path(f"{where}.snapshots"), options or ServiceOptions(open=True, refresh=0.01))
    taken = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="on", log_level="warning"))
    thread = Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


class Script(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers each attempt as the script says; the last line goes on for ever."""

    def __init__(self, *lines: Callable[[httpx.Request], httpx.Response]) -> None:
        self.lines, self.requests = list(lines), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.lines[min(len(self.requests), len(self.lines)) - 1](request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def lost(request: httpx.Request) -> httpx.Response:
    """Lose the answer on its way."""
    raise httpx.ReadTimeout("nothing came", request=request)


def gone(request: httpx.Request) -> httpx.Response:
    """Be no longer there."""
    raise httpx.ConnectError("connection refused", request=request)


def says(status: int, content: object, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Answer a status and a JSON document."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, json=content, headers=told, request=request)

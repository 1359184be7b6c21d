"""A service in a thread of its own, on a port of its own; and transports that fail as networks do."""

from __future__ import annotations

from collections.abc import Callable

import httpx


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

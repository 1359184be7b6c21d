"""Which pages of other sites may ask for decisions: none, unless told (CORS). Imports its own room and errors.

A browser says in the header ``Origin`` whose page makes it ask. It hides the answer from the page unless the service
names that origin, but asks all the same; so a foreign page is refused before anything is decided or written. Cookies
have no part in it: credentials are never allowed. Source: the Fetch standard, sections 3.2 and 4.8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from revealed.errors import SpecificationError
from revealed.serve.app import HOT, Application, Headers, Receive, Scope, Send
from revealed.serve.messages import Refused

#: What pages may ask for; all else is for programs and for the service's own pages.
OPEN = frozenset(HOT)
_REMEMBERED = b"7200"  # seconds; the most that any browser heeds


def require_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins as browsers write them.

    Raises
    ------
    SpecificationError
        For what is none, such as ``*``.

    Examples
    --------
    >>> require_origins(["https://Shop.example/"])
    ('https://shop.example',)
    """
    found = []
    for origin in origins:
        parts = urlsplit(origin)
        bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in ("http", "https") or not parts.hostname or "*" in origin or not bare:
            raise SpecificationError(f"not the origin of a page: {origin!r}; each one is like https://shop.example")
        found.append(f"{parts.scheme}://{parts.netloc}".lower())
    return tuple(dict.fromkeys(found))


class Origins:
    """An application that pages of some other sites may ask for decisions, and no others.

    Parameters
    ----------
    application : ASGI application
    allowed : iterable of str
        Origins, such as ``https://shop.example``.
    """

    def __init__(self, application: Application, allowed: Iterable[str]) -> None:
        self._application, self._allowed = application, frozenset(origin.encode() for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        origin = None
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"origin":
                    origin = value
                    break
        if origin is None or scope["path"] not in OPEN:
            await self._application(scope, receive, send)
        elif origin not in self._allowed:
            if _is_own(origin, scope):
                await self._application(scope, receive, send)
            else:
                reason = "pages of that origin may not ask here: start the service with --allow-origin"
                content = msgspec.json.encode(Refused(reason))
                await _answer(send, 403, [(b"content-type", b"application/json"), (b"vary", b"origin")], content)
        elif scope["method"] == "OPTIONS":
            await _answer(send, 204, _allowing(origin) + _METHODS, b"")
        else:
            await self._application(scope, receive, _adding(send, _allowing(origin)))


_METHODS: Headers = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", _REMEMBERED),
]


def _is_own(origin: bytes, scope: Scope) -> bool:
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return bool(host) and origin.partition(b"://")[2] == host


def _allowing(origin: bytes) -> Headers:
    exposed = (b"access-control-expose-headers", b"retry-after")
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), exposed]


def _adding(send: Send, more: Headers) -> Send:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _answer(send: Send, status: int, headers: Headers, content: bytes) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

"""Which pages of other sites may ask for decisions: none, unless told (CORS). Imports its own room and errors.

A browser says in the header ``Origin`` whose page makes it ask. It hides the answer from the page unless the service
names that origin, but asks all the same; so a foreign page is refused before anything is decided or written. Cookies
have no part in it: credentials are never allowed. Source: the Fetch standard, sections 3.2 and 4.8.

Whoever owns a name may let it point here (DNS rebinding): to a browser, pages of that name are then of the service's
own origin. Where keys are asked for, such a page has none; a service without keys answers to this machine's names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from revealed.errors import SpecificationError
from revealed.serve.app import HOT, Application, Headers, Receive, Scope, Send
from revealed.serve.messages import Refused

#: What pages may ask for; all else is for programs and for the service's own pages.
OPEN = frozenset(HOT)
#: The console's forms carry a token of their own, and browsers hide their origin, as its pages tell them to.
_GUARDED = "/console/"
_SCRIPT = "/revealed.js"
_HERE = re.compile(rb"(localhost\.?|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1\])(:\d+)?\Z", re.IGNORECASE)
_NOT_HERE = (
    "without keys, the service answers at localhost and 127.0.0.1 alone; start it with keys to be asked elsewhere"
)
_NOT_THEIRS = "pages of that origin may not ask here: start the service with --allow-origin"
_NOT_FOR_PAGES = (
    "this is not for pages of other sites; if it is the service's own, let the proxy between pass on the header Host"
)
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


def is_here(host: bytes) -> bool:
    """Return whether the header ``Host`` is a name of this machine, which nobody else can give to theirs.

    Examples
    --------
    >>> is_here(b"localhost:8000"), is_here(b"[::1]"), is_here(b"localhost.shop.example")
    (True, True, False)
    """
    return _HERE.match(host) is not None


class Origins:
    """An application that pages of some other sites may ask for decisions, and no others.

    Parameters
    ----------
    application : ASGI application
    allowed : iterable of str
        Origins, such as ``https://shop.example``.
    here : bool
        It answers only where it is asked for by a name of this machine; for a service without keys.
    """

    def __init__(self, application: Application, allowed: Iterable[str], here: bool = False) -> None:
        self._application, self._allowed = application, frozenset(origin.encode() for origin in allowed)
        self._here = here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if self._here and not all(map(is_here, hosts)):
            await _refuse(send, 421, _NOT_HERE)
        elif origin is None or path == _SCRIPT or path.startswith(_GUARDED):
            await self._application(scope, receive, send)
        elif path in OPEN and origin in self._allowed:
            if scope["method"] == "OPTIONS":
                await _answer(send, 204, _allowing(origin) + _METHODS, b"")
            else:
                await self._application(scope, receive, _adding(send, _allowing(origin)))
        elif origin.partition(b"://")[2] in hosts:
            await self._application(scope, receive, send)
        else:
            await _refuse(send, 403, _NOT_THEIRS if path in OPEN else _NOT_FOR_PAGES)


_METHODS: Headers = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", _REMEMBERED),
]


def _allowing(origin: bytes) -> Headers:
    exposed = (b"access-control-expose-headers", b"retry-after")
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), exposed]


def _adding(send: Send, more: Headers) -> Send:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _refuse(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"vary", b"origin")]
    await _answer(send, status, headers, msgspec.json.encode(Refused(reason)))


async def _answer(send: Send, status: int, headers: Headers, content: bytes) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

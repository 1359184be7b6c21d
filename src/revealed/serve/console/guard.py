"""Who may see and do what in the console, and what a browser may do with its pages. Imports its own room and serve.

Every form brings back its session's token, so that another site cannot send one in somebody's name; the cookie goes to
no other site. Without keys the service is for this machine alone, and answers to its names only (:mod:`..origins`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import Response

from revealed.serve.console.sessions import LENGTH, Session, Sessions
from revealed.serve.gate import Gate
from revealed.store.protocol import KeyRow

COOKIE, PLACE = "revealed_console", "/console"
_LONGEST_FORM, _MOST_FIELDS = 1 << 16, 20
_INSIDE = re.compile(r"/console/[a-z/-]*(\?[\x21-\x7e]*)?\Z")

#: What a browser is told with every answer: nothing from elsewhere, nothing inline, in no frame, kept nowhere.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class TurnedAwayError(Exception):
    """A request that may not pass.

    Parameters
    ----------
    status : int
        Of HTTP.
    reason : str
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Viewer:
    """Who looks.

    Parameters
    ----------
    session : Session
    token : str
        For forms.
    key : str
        The API key's identifier; empty where no keys are needed.
    admin : bool
    """

    session: Session
    token: str
    key: str
    admin: bool

    @property
    def who(self) -> str:
        """What the audit log calls them."""
        return self.key or "nobody"


class Guard:
    """Knows who looks, by a cookie.

    Parameters
    ----------
    gate : Gate, optional
        None lets everybody on this machine do everything.
    sessions : Sessions
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, gate: Gate | None, sessions: Sessions, clock: Callable[[], float]) -> None:
        self.gate, self.sessions, self._clock = gate, sessions, clock

    def viewer(self, request: Request) -> Viewer | None:
        """Return who asks; None if they have to sign in."""
        session = self.sessions.read(request.cookies.get(COOKIE))
        if self.gate is None:
            session = session or self.sessions.opened()
            return Viewer(session, self.sessions.token(session), "", True)
        row = None if session is None else self._key(session.key)
        if session is None or row is None:
            return None
        return Viewer(session, self.sessions.token(session), row.id, "admin" in row.scopes)

    def _key(self, identity: str) -> KeyRow | None:
        """Return a key that still opens the console."""
        assert self.gate is not None
        row = self.gate.keys.get(identity)
        if row is None or row.revoked is not None or (row.expires is not None and row.expires <= self._clock()):
            return None
        return row if {"read", "admin"} & set(row.scopes) else None

    def visitor(self, request: Request) -> Session:
        """Return the session of somebody who has still to sign in."""
        return self.sessions.read(request.cookies.get(COOKIE)) or self.sessions.opened()

    async def form(self, request: Request) -> dict[str, str]:
        """Return the fields of a form of the one who sends it.

        Raises
        ------
        TurnedAwayError
            If it is not one of ours, or does not bring back the token of its session.
        """
        told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if told != "application/x-www-form-urlencoded":
            raise TurnedAwayError(415, "send this from its page")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                raise TurnedAwayError(413, "a form that is too long")
        try:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError:
            raise TurnedAwayError(400, "a form that cannot be read") from None
        session = self.sessions.read(request.cookies.get(COOKIE))
        if session is None or not self.sessions.is_token(session, fields.get("token", "")):
            raise TurnedAwayError(403, "this form is not of this session: go back, load its page again, and send it")
        return fields

    def remember(self, request: Request, response: Response, session: Session) -> None:
        """Let the browser keep a session."""
        if request.cookies.get(COOKIE) == self.sessions.cookie(session):
            return
        response.set_cookie(
            COOKIE,
            self.sessions.cookie(session),
            max_age=int(LENGTH),
            path=PLACE,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )


def login_for(request: Request) -> str:
    """Return where to sign in, to come back to what was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = asked if request.method == "GET" else f"{PLACE}/"
    return f"{PLACE}/login?next={quote(wanted, safe='')}"


def inside(path: str) -> str:
    """Return a path of the console, or its first page for anything else."""
    return path if _INSIDE.match(path) else f"{PLACE}/"


def guarded(
    application: Callable[..., Awaitable[None]],
) -> Callable[..., Awaitable[None]]:
    """Return an application whose every answer tells the browser what it may do."""

    async def answering(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = b"no-cache" if "/static/" in scope["path"] else b"no-store"
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *more, (b"cache-control", kept)]
            await send(message)

        await application(scope, receive, sending)

    return answering

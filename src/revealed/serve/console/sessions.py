"""Who looks at the console: signed sessions, and the tokens of its forms. Imports nothing of ours.

A session is its own proof: what it says is signed with the store's secret, so that any process which serves the store
knows it, and none has to keep it. It names an API key, not more: whoever revokes the key ends its sessions.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

#: How long one is signed in, in seconds.
LENGTH = 8 * 3600.0


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is known again.

    Parameters
    ----------
    id : str
        32 random letters.
    key : str
        The API key's identifier; empty before signing in.
    ends : int
        In seconds since 1970.
    """

    id: str
    key: str
    ends: int


class Sessions:
    """The sessions of one store's console.

    Parameters
    ----------
    secret : bytes
        The store's.
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret, self._clock = secret[:64], clock

    def opened(self, key: str = "") -> Session:
        """Return a new session, for a key or for nobody yet."""
        return Session(secrets.token_hex(16), key, int(self._clock() + LENGTH))

    def cookie(self, session: Session) -> str:
        """Return a session as the browser keeps it."""
        told = f"{session.id}.{session.key}.{session.ends}"
        return f"{told}.{self._signed(told, b'console session')}"

    def read(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie; None if it is not ours, or has ended."""
        told, _, signature = (cookie or "").rpartition(".")
        if not compare_digest(signature.encode(), self._signed(told, b"console session").encode()):
            return None
        identity, key, ends = told.split(".")
        return Session(identity, key, int(ends)) if self._clock() < int(ends) else None

    def token(self, session: Session) -> str:
        """Return what each form of a session must bring back: no other site can know it."""
        return self._signed(session.id, b"console form")

    def is_token(self, session: Session, token: str) -> bool:
        """Return whether a form is of a session, in constant time."""
        return compare_digest(token.encode(), self.token(session).encode())

    def _signed(self, told: str, purpose: bytes) -> str:
        return blake2b(told.encode(), key=self._secret, digest_size=24, person=purpose).hexdigest()

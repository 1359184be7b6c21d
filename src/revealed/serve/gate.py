"""Who may do what: keys with scopes, and how often. Imports store and errors.

A key is ``rk_`` and an identifier, by which it is found and spoken of, a dot, and 32 random bytes. Only its digest is
kept; as it is random, a fast one does. Digests are compared in constant time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from revealed.errors import SpecificationError, nearest
from revealed.store.protocol import KeyRow

SCOPES = ("decide", "outcome", "read", "admin")
_NOBODY = KeyRow("", b"\0" * 32, (), "", 0.0)


def digest_of(key: str) -> bytes:
    """Return what is kept of a key."""
    return blake2b(key.encode(), digest_size=32, person=b"revealed key").digest()


def new_key(scopes: Sequence[str], note: str, now: float, expires: float | None = None) -> tuple[str, KeyRow]:
    """Return a key, which is told once, and what is kept of it.

    Raises
    ------
    SpecificationError
        For a scope that there is not, or none.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise SpecificationError(f"no scope {scope!r}; {nearest(scope, SCOPES)}")
    if not scopes:
        raise SpecificationError(f"a key without a scope opens nothing; scopes are {', '.join(SCOPES)}")
    identity = "rk_" + secrets.token_hex(6)
    key = f"{identity}.{secrets.token_urlsafe(32)}"
    return key, KeyRow(identity, digest_of(key), tuple(dict.fromkeys(scopes)), note, now, expires)


class GateError(Exception):
    """A request that may not pass.

    Parameters
    ----------
    status : int
        Of HTTP: 401, 403 or 429.
    reason : str
    wait : float
        After how many seconds it may be tried again, if that helps.
    """

    def __init__(self, status: int, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.wait = status, reason, wait


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Gate:
    """Lets requests pass that have a key for what they want.

    Parameters
    ----------
    keys : sequence of KeyRow
    rate : float
        Requests a second that a key may make, in bursts of up to a second's; 0 for any number.
    clock, wall : callable
        Seconds that never go back, and seconds since 1970.
    """

    def __init__(
        self, keys: Sequence[KeyRow], rate: float, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._rate, self._clock, self._wall = rate, clock, wall
        self._buckets: dict[str, _Bucket] = {}
        self.keys = {key.id: key for key in keys}

    def let(self, header: str | None, scope: str) -> KeyRow:
        """Return the key of a request, by its Authorization header.

        Raises
        ------
        GateError
            Without a key, with a wrong, expired or revoked one, with one that is for something else, or too often.
        """
        scheme, _, key = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise GateError(401, "no key: send the header 'Authorization: Bearer rk_…'")
        identity = key.partition(".")[0]
        row = self.keys.get(identity, _NOBODY)
        right = compare_digest(row.digest, digest_of(key))
        if not right or row is _NOBODY or row.revoked is not None:
            raise GateError(401, "not a key of this service")
        if row.expires is not None and self._wall() >= row.expires:
            raise GateError(401, f"the key {row.id} has expired")
        if scope not in row.scopes and "admin" not in row.scopes:
            raise GateError(403, f"the key {row.id} is for {', '.join(row.scopes)}, not for {scope}")
        if self._rate:
            self._count(row.id)
        return row

    def _count(self, identity: str) -> None:
        now = self._clock()
        bucket = self._buckets.get(identity)
        if bucket is None:
            bucket = self._buckets[identity] = _Bucket(max(self._rate, 1.0), now)
        bucket.left = min(max(self._rate, 1.0), bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.left < 1:
            raise GateError(429, f"more than {self._rate:g} requests a second", (1 - bucket.left) / self._rate)
        bucket.left -= 1

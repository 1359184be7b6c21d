"""What a decision is called outside: its number with a keyed digest, not to be made up. Imports store's protocol.

An outcome may come from a page in somebody's browser. If decisions were called 17, 18, 19, anybody could tell what came
of the decisions of others.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest

from revealed.store.protocol import DecisionRow, OutcomeRow, Store

_LENGTH = 22
_DIGEST = 8
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Names:
    """The names of one store's decisions.

    Parameters
    ----------
    secret : bytes
        Kept in the store, the same for all who serve it.
    """

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(key=secret[:64], digest_size=_DIGEST, person=b"decision")

    def name(self, number: int) -> str:
        """Return the name of a decision: 22 letters."""
        told = number.to_bytes(8, "big")
        return b2a_base64(told + self._digest(told))[:_LENGTH].translate(_URL_SAFE).decode()

    def number(self, name: str) -> int | None:
        """Return the number of a decision, or None if it is no name of this store's."""
        if len(name) != _LENGTH or not name.isascii():
            return None
        try:
            told = urlsafe_b64decode(name + "==")
        except ValueError:
            return None
        return int.from_bytes(told[:8], "big") if compare_digest(told[8:], self._digest(told[:8])) else None

    def found(self, store: Store, name: str) -> tuple[DecisionRow | None, Sequence[OutcomeRow]]:
        """Return a decision by its name or a client's own id, and what came of it."""
        number = self.number(name)
        row = store.decision(number) if number is not None else store.asked([name]).get(name)
        return row, () if row is None else store.outcomes_of(row.number)

    def _digest(self, told: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(told)
        return keyed.digest()

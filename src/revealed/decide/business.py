"""Rules of the business about what may be shown to whom. Imports errors only.

Rules come before exploration: what is not eligible has propensity zero, and a pin leaves nothing to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool

from revealed.errors import SpecificationError

#: What the version ends with where a person of the holdout group was decided for.
HOLDOUT = "/holdout"


@dataclass(frozen=True)
class Business:
    """Blocked actions, a pinned one, and a holdout group.

    Parameters
    ----------
    blocked : tuple of str
        Actions that are never shown.
    pinned : str, optional
        The action shown first whenever it is among the candidates.
    holdout : float
        The share of persons to whom any eligible action is shown by lot, so that what the policy gains can be measured.
        Who is among them is decided by the person's label and the salt, always the same.
    salt : str
        Another salt, another holdout group.
    fallback : tuple of str
        What a service shows, from the top, when the policy cannot decide; nothing is learned of that.
    """

    blocked: tuple[str, ...] = ()
    pinned: str | None = None
    holdout: float = 0.0
    salt: str = ""
    fallback: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.holdout <= 1:
            raise SpecificationError(f"the holdout share must be from 0 to 1, not {self.holdout!r}")
        if self.pinned is not None and self.pinned in self.blocked:
            raise SpecificationError(f"{self.pinned!r} is pinned and blocked; it cannot be both")

    def unblocked(self, actions: Sequence[str]) -> Bool[np.ndarray, " actions"]:
        """Return which of some candidates may be shown, in any place.

        Raises
        ------
        SpecificationError
            If none may.
        """
        mask = np.array([action not in self.blocked for action in actions], dtype=bool)
        if not mask.any():
            raise SpecificationError(
                "no candidate is eligible: " + (f"all {len(actions)} are blocked" if actions else "none was given")
            )
        return mask

    def eligible(self, actions: Sequence[str]) -> Bool[np.ndarray, " actions"]:
        """Return which of some candidates may be shown first: the pinned one alone, if it is among them.

        Raises
        ------
        SpecificationError
            If none may.
        """
        if self.pinned in actions:
            return np.array([action == self.pinned for action in actions])
        return self.unblocked(actions)

    def holds_out(self, person: str | int | None) -> bool:
        """Return whether a person is in the holdout group; nobody without a label is."""
        if person is None or not self.holdout:
            return False
        digest = blake2b(f"{self.salt}\0{person}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.holdout * 2**64

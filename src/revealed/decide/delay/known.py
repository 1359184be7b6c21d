"""Which decisions a policy has met, so that answers find theirs. Imports choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int, UInt64

from revealed.choices.feedback import Feedback
from revealed.choices.keys import combine, keys_of
from revealed.choices.kinds import is_text
from revealed.decide.delay.saved import packed, unpacked

#: Decisions beyond this many are no longer told from new ones by name, but by their time; the oldest go first.
REMEMBERED = 1_000_000

Keys = UInt64[np.ndarray, " some"]


@dataclass(frozen=True, eq=False)
class Known:
    """Decisions by name.

    Parameters
    ----------
    key : ndarray of uint64, shape (known,)
        Hashes of the decision and, where there are such, the position; rising.
    ticket : ndarray of int64, shape (known,)
        Of the ledger.
    action : ndarray of uint64, shape (known,)
        Hashes of what was shown.
    decided : ndarray of float64, shape (known,)
        When.
    since : float
        What was decided by then and is not here has been forgotten.
    """

    key: Keys
    ticket: Int[np.ndarray, " some"]
    action: Keys
    decided: Float[np.ndarray, " some"]
    since: float = -np.inf

    @classmethod
    def none(cls) -> Known:
        """Return no decisions."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0))

    def __len__(self) -> int:
        return len(self.key)

    def find(self, keys: UInt64[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
        """Return the place of each key, -1 for those that are not known."""
        if not len(self):
            return np.full(len(keys), -1)
        place = np.searchsorted(self.key, keys).clip(max=len(self) - 1)
        return np.where(self.key[place] == keys, place, -1)

    def plus(self, other: Known) -> Known:
        """Return these and further decisions."""
        key = np.append(self.key, other.key)
        order = np.argsort(key, kind="stable")
        ticket, action = np.append(self.ticket, other.ticket), np.append(self.action, other.action)
        decided = np.append(self.decided, other.decided)
        return Known(key[order], ticket[order], action[order], decided[order], self.since)

    def forgotten(self, lasting: Bool[np.ndarray, " known"]) -> Known:
        """Return at most :data:`REMEMBERED` of them, the latest, and in any case those that must last."""
        extra = len(self) - max(REMEMBERED, int(lasting.sum()))
        if extra <= 0:
            return self
        others = np.flatnonzero(~lasting)
        gone = others[np.argsort(self.decided[others], kind="stable")[:extra]]
        stay = np.ones(len(self), dtype=bool)
        stay[gone] = False
        since = max(self.since, float(self.decided[gone].max()))
        return Known(self.key[stay], self.ticket[stay], self.action[stay], self.decided[stay], since)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        data: dict[str, Any] = {name: packed(getattr(self, name)) for name in ("key", "ticket", "action", "decided")}
        return {**data, "since": self.since if np.isfinite(self.since) else None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Known:
        """Return what :meth:`to_dict` wrote."""
        key, ticket, action, decided = (unpacked(data[name]) for name in ("key", "ticket", "action", "decided"))
        return cls(key, ticket, action, decided, -np.inf if data["since"] is None else float(data["since"]))


def names_of(feedback: Feedback) -> tuple[UInt64[np.ndarray, " rows"], UInt64[np.ndarray, " rows"]]:
    """Return the key of the decision (and position) of each row, and the key of what was shown.

    Numbers have the keys of their text, so that a CSV file and a Parquet file name the same decision.
    """
    columns = feedback.columns
    keys = _keys(feedback.table.column(columns.decision))
    if columns.position is not None:
        keys = combine(keys, _keys(feedback.table.column(columns.position)))
    return keys, _keys(feedback.table.column(columns.action))


def _keys(column: pa.ChunkedArray) -> UInt64[np.ndarray, " rows"]:
    return keys_of(column if is_text(column.type) else column.cast(pa.string()))

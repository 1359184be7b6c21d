"""Which persons a policy under test decides for: a share of them, the same ones as far as can be. Imports store.

Persons are thrown into lots by a digest of their name and the slot's. Each policy wants the lots in an order of its own
and takes as many as its share is, in the order of policies' names, of those that are left. So a larger share adds
persons and takes none away, and of the others' persons few change when a policy comes or goes: those whose lot both
wanted. Lots of one that is put into the shadow or stopped stay its own, so that nobody else's persons change, until all
others are taken.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import blake2b

from revealed.store.protocol import PolicyRow

#: Lots of a slot.
_LOTS = 10_000

#: Policies, each with its share.
_Wanted = tuple[tuple[str, float], ...]


class Shares:
    """Says which policy under test decides for somebody; it keeps whose the lots of each slot are."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Wanted, _Wanted, Sequence[str | None]]] = {}

    def tried_for(self, slot: str, rows: Sequence[PolicyRow], person: str | None, live: str) -> str | None:
        """Return the name of the policy under test that decides for somebody, if one does.

        Parameters
        ----------
        slot : str
        rows : sequence of PolicyRow
            The policies of the slot, by name.
        person : str, optional
            For nobody in particular it is drawn.
        live : str
            The state of those that decide.
        """
        awake = tuple((row.name, row.share) for row in rows if row.share < 1 and row.state == live)
        if not awake:
            return None
        asleep = tuple((row.name, row.share) for row in rows if 0 < row.share < 1 and row.state != live)
        kept = self._kept.get(slot)
        if kept is None or kept[:2] != (awake, asleep):
            kept = self._kept[slot] = awake, asleep, _owners(slot, awake, asleep)
        name = kept[2][_lot_of(slot, person)]
        return name if any(name == one for one, _ in awake) else None


def _owners(slot: str, awake: _Wanted, asleep: _Wanted) -> Sequence[str | None]:
    """Return whose each lot is; those of one that is asleep are the last to be taken by others."""
    owners: list[str | None] = [None] * _LOTS
    sleeping = {name for name, _ in asleep}
    for name, share in sorted((*awake, *asleep)):
        numbers = random.Random(f"{slot}\0{name}")  # noqa: S311 - the same for all versions of Python, and no secret
        order = sorted(range(_LOTS), key=[numbers.random() for _ in range(_LOTS)].__getitem__)
        count = max(1, round(share * _LOTS))
        free = [lot for lot in order if owners[lot] is None]
        if name not in sleeping:
            free += [lot for lot in order if owners[lot] in sleeping]
        for lot in free[:count]:
            owners[lot] = name
    return owners


def _lot_of(slot: str, person: str | None) -> int:
    """Return the lot that a person is in, always the same."""
    if person is None:
        return random.randrange(_LOTS)  # noqa: S311 - whom a policy is tried on is no secret
    digest = blake2b(f"{slot}\0{person}".encode(), digest_size=8, person=b"slot").digest()
    return int.from_bytes(digest, "big") % _LOTS

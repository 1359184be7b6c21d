"""Which persons a policy under test decides for: a share of them, the same ones as far as can be. Imports store.

Persons are thrown into lots by a digest of their name and the slot's. Each policy wants the lots in an order of its own
and takes as many as its share is, in the order of policies' names, of those that are left. So a larger share adds
persons and takes none away, and of the others' persons few change when a policy comes or goes: those whose lot both
wanted. Lots of one that is put into the shadow or stopped stay its own, so that nobody else's persons change.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from revealed.store.protocol import PolicyRow

#: Lots of a slot.
_LOTS = 10_000


def tried_for(slot: str, rows: Sequence[PolicyRow], person: str | None, live: str) -> str | None:
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
    wanted = [(row.name, row.share) for row in rows if row.share < 1 and row.state == live]
    if not wanted:
        return None
    asleep = [(row.name, row.share) for row in rows if 0 < row.share < 1 and row.state != live]
    if sum(share for _, share in (*wanted, *asleep)) > 1:
        asleep = []  # those that decide come first
    name = _owners(slot, tuple(sorted((*wanted, *asleep))))[_lot_of(slot, person)]
    return name if name in dict(wanted) else None


@lru_cache(maxsize=64)
def _owners(slot: str, wanted: tuple[tuple[str, float], ...]) -> tuple[str | None, ...]:
    """Return whose each lot is."""
    owners: list[str | None] = [None] * _LOTS
    for name, share in wanted:
        numbers = random.Random(f"{slot}\0{name}")  # noqa: S311 - the same for all versions of Python, and no secret
        order = sorted(range(_LOTS), key=[numbers.random() for _ in range(_LOTS)].__getitem__)
        for lot in [lot for lot in order if owners[lot] is None][: max(1, round(share * _LOTS))]:
            owners[lot] = name
    return tuple(owners)


def _lot_of(slot: str, person: str | None) -> int:
    """Return the lot that a person is in, always the same."""
    if person is None:
        return random.randrange(_LOTS)  # noqa: S311 - whom a policy is tried on is no secret
    digest = blake2b(f"{slot}\0{person}".encode(), digest_size=8, person=b"slot").digest()
    return int.from_bytes(digest, "big") % _LOTS

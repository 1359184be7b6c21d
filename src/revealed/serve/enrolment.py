"""How a policy comes into a store. Imports decide, store, its own room and errors."""

from __future__ import annotations

import json
from shlex import quote

from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError
from revealed.serve.lessons import require_servable
from revealed.serve.roster import LIVE, SHADOW
from revealed.serve.snapshots import state_of
from revealed.store.protocol import Checkpoint, Milestone, PolicyRow, Store

#: What is in addresses, on pages and in names of files.
LONGEST = 64


def enrol(store: Store, name: str, policy: LearningPolicy, now: float, slot: str | None = None) -> bool:
    """Write a policy into a store, if it is not there yet; return whether it was not.

    Parameters
    ----------
    store : Store
    name : str
        1 to 64 printable letters, none of them ``/``. One that is there already, under whatever name, stays.
    policy : LearningPolicy
    now : float
    slot : str, optional
        What it decides on, named alike; by default a slot of its own name. The first policy in a slot decides, those
        that come later begin in the shadow: they learn from what the others decide, from the first decision on.

    Raises
    ------
    SpecificationError
        If another policy of that name is there, a name is none, or a service cannot teach it.
    """
    specification, state = json.dumps(policy.specification.to_dict(), sort_keys=True), state_of(policy)
    with store.transaction():  # another process that enrols one waits
        rows = store.policies()
        known = next((row for row in rows if row.name == name), None)
        if slot is None:
            slot = name if known is None else known.slot
        if known is not None:
            _require_same(known, specification, slot)
            return False
        require_servable(policy)  # what is there was so when it came, and goes on
        _require_name("a policy", name)
        there = [row for row in rows if row.slot == slot]
        if not there:
            _require_name("a slot", slot)
        store.add_checkpoint(Checkpoint(name, 0, state))
        # What was decided before may be what it was learned from, elsewhere.
        store.add_milestone(Milestone(name, 0, policy.model.n_answers, store.ends()[0], now), state)
        store.put_policy(PolicyRow(name, specification, SHADOW if there else LIVE, 1.0, now, slot))
    return True


def _require_name(what: str, text: str) -> None:
    leads_elsewhere = "/" in text or text in (".", "..")  # as a part of an address
    if 0 < len(text) <= LONGEST and text.isprintable() and text == text.strip() and not leads_elsewhere:
        return
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    raise SpecificationError(
        f"{shown!r} cannot be the name of {what}: 1 to {LONGEST} printable letters, without '/' and without a space at "
        "an end, and not '.' or '..'; choose another one"
    )


def _require_same(known: PolicyRow, specification: str, slot: str) -> None:
    name = known.name
    if known.specification != specification:
        raise SpecificationError(
            f"the store has another policy {name!r}, made of another specification; give this one another name and "
            f"the slot {known.slot!r}, to learn in its shadow until it is promoted (--name NAME --slot "
            f"{quote(known.slot)})"
        )
    if known.slot != slot:
        raise SpecificationError(
            f"the policy {name!r} stands in the slot {known.slot!r}, not in {slot!r}, and stays there; name that slot"
        )

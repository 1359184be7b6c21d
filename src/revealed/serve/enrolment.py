"""How a policy comes into a store. Imports decide, store, its own room and errors."""

from __future__ import annotations

import json

from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError
from revealed.serve.lessons import require_servable
from revealed.serve.roster import LIVE, SHADOW
from revealed.serve.snapshots import state_of
from revealed.store.protocol import Checkpoint, Milestone, PolicyRow, Store


def enrol(store: Store, name: str, policy: LearningPolicy, now: float, slot: str | None = None) -> bool:
    """Write a policy into a store, if it is not there yet; return whether it was not.

    Parameters
    ----------
    store : Store
    name : str
    policy : LearningPolicy
    now : float
    slot : str, optional
        What it decides on; by default a slot of its own name. The first policy in a slot decides, those that come
        later begin in the shadow: they learn from what the others decide, from the first decision on.

    Raises
    ------
    SpecificationError
        If another policy of that name is there, or a service cannot teach it.
    """
    require_servable(policy)
    slot = slot or name
    specification = json.dumps(policy.specification.to_dict(), sort_keys=True)
    known = next((row for row in store.policies() if row.name == name), None)
    if known is None:
        state = state_of(policy)
        store.add_checkpoint(Checkpoint(name, 0, state))
        # What was decided before may be what it was learned from, elsewhere.
        store.add_milestone(Milestone(name, 0, policy.model.n_answers, store.ends()[0], now), state)
        leads = not any(row.slot == slot for row in store.policies())
        store.put_policy(PolicyRow(name, specification, LIVE if leads else SHADOW, 1.0, now, slot))
    elif (known.specification, known.slot) != (specification, slot):
        raise SpecificationError(
            f"the store has another policy {name!r}, made of another specification; give this one another name"
        )
    return known is None

"""The visitors of a simulated store as requests, and what they make of what is shown. Imports choices and decide.

The truth is known (:class:`~revealed.choices.store_world.StoreWorld`): so is what a decision could have earned, and
what it would have earned by lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from revealed.choices.feedback import read_feedback
from revealed.choices.store_world import StoreWorld
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification

N_ITEMS = 20
#: Digits behind the point of what is known of a visitor: what is sent is what is true.
_DIGITS = 4
_FIRST_LOG = 400


def store_world(seed: int = 1) -> StoreWorld:
    """Return the store: 20 items of 5 attributes, 10 things known of a visitor, all 50 products of the two."""
    return StoreWorld(n_items=N_ITEMS, n_context=11, n_item_attributes=6, base_rate=0.1, visits_per_person=5, seed=seed)


@dataclass(frozen=True, eq=False)
class Visitors:
    """Visitors who come one after the other.

    Parameters
    ----------
    seed : int
        Of the run; the store stays.
    policy : str, optional
        Which policy is asked.
    told_candidates : bool
        Whether each request says what may be shown, with attributes, as for a policy that has not met the items.
    """

    seed: int = 0
    policy: str | None = None
    told_candidates: bool = False

    @cached_property
    def world(self) -> StoreWorld:
        """The store."""
        return store_world()

    def some(self, first: int, count: int) -> Some:
        """Return visitors by number, with what they will answer to each item."""
        visits = self.world.visits(first, count, seed=self.seed)
        visits = replace(visits, context=np.round(visits.context, _DIGITS))
        truth = self.world.probability(visits)
        luck = np.random.default_rng((self.seed, first)).random(count)
        return Some(self._bodies(visits.context[:, 1:], visits.persons), truth, luck[:, None] < truth)

    def _bodies(self, context: Float[np.ndarray, "n 10"], persons: Int[np.ndarray, " n"]) -> list[bytes]:
        names = context_names(self.world)
        more = b"" if self.policy is None else b',"policy":' + msgspec.json.encode(self.policy)
        if self.told_candidates:
            more += b',"candidates":' + msgspec.json.encode(items(self.world))
        encode = msgspec.json.Encoder().encode
        return [
            b'{"person":"visitor %d","context":%b%b}' % (person, encode(dict(zip(names, known, strict=True))), more)
            for person, known in zip(persons.tolist(), context.tolist(), strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Some:
    """Visitors, one a row.

    Parameters
    ----------
    bodies : list of bytes
        Requests for a decision, as JSON.
    truth : array
        The probability of a reward for each item.
    answers : array of bool
        Whether each item would be rewarded.
    """

    bodies: list[bytes]
    truth: Float[np.ndarray, "n 20"]
    answers: np.ndarray

    def __len__(self) -> int:
        return len(self.bodies)


def labels() -> list[str]:
    """Return what the items are called."""
    return [f"item {number}" for number in range(1, N_ITEMS + 1)]


def context_names(world: StoreWorld) -> list[str]:
    """Return what is known of a visitor."""
    return [name for name in world.feature_names if name.startswith("x") and ":" not in name]


def items(world: StoreWorld) -> list[dict[str, str | float]]:
    """Return the items with their attributes."""
    names = _attribute_names(world)
    return [
        {"item": label, **{name: float(value) for name, value in zip(names, row[1:].tolist(), strict=True)}}
        for label, row in zip(labels(), np.round(world.tastes.attributes, 6), strict=True)
    ]


def _attribute_names(world: StoreWorld) -> list[str]:
    return [name for name in world.feature_names if name.startswith("a")]


def specification(world: StoreWorld) -> dict[str, object]:
    """Return what a policy for the store is made of: its 65 features and a constant."""
    attributes, known = _attribute_names(world), context_names(world)
    pairs = [name for name in world.feature_names if ":" in name]
    return {
        "features": {"numeric": [*attributes, *known], "interactions": pairs, "item": attributes},
        "business": {"fallback": labels()[:1]},
        "log": {"decision": "visit", "action": "item", "reward": "bought", "propensity": "propensity"},
    }


def store_policy(rows: int = _FIRST_LOG) -> LearningPolicy:
    """Return a policy that knows the items, having learned from a few visits of people who were shown any by lot."""
    world = store_world()
    visits = world.visits(0, rows, seed=2**20)
    shown = np.arange(rows) % N_ITEMS
    columns: dict[str, Sequence[object]] = {
        "visit": list(range(rows)),
        "item": [labels()[item] for item in shown.tolist()],
        "bought": world.answer(visits, shown).reward.tolist(),
        "propensity": [1 / N_ITEMS] * rows,
    }
    for name, values in zip(context_names(world), visits.context.T[1:], strict=True):
        columns[name] = values.tolist()
    told = items(world)
    for name in _attribute_names(world):
        columns[name] = [told[item][name] for item in shown.tolist()]
    feedback = read_feedback(
        pa.table(columns), action="item", decision="visit", reward="bought", propensity="propensity"
    )
    return LearningPolicy.fresh(Specification.from_dict(specification(world)), 1).learn(feedback)

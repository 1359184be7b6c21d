"""The fixed logistic world that bandit libraries are compared on here. Imports its own folder.

20 items with 5 attributes; the context is one and 8 standard normals; the 50 joint features are the outer product of
context and attributes, the context outer, and then the first 5 columns of the context, which move all items alike.
The numbers are those of the project's reference environment, drawn the same way. Its protocol: 100,000 rounds,
decide and learn in batches of 100, contexts and answers from one generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from revealed.choices.store_world.delays import Delay
from revealed.choices.store_world.tastes import Truth
from revealed.choices.store_world.world import StoreWorld

_SEED = 20260101
_N_ITEMS, _N_CONTEXT, _N_ATTRIBUTES, _N_EFFECTS = 20, 9, 5, 5


@dataclass(frozen=True, eq=False)
class BernoulliStore:
    """The reference environment, number for number; and as a :class:`StoreWorld`, for all that one can do.

    Examples
    --------
    >>> store = BernoulliStore()
    >>> store.features(store.contexts(np.random.default_rng(0), 3)).shape
    (3, 20, 50)
    """

    @cached_property
    def truth(self) -> Truth:
        """Attributes and tastes, in the order in which the reference draws them."""
        rng = np.random.default_rng(_SEED)
        attributes = rng.normal(size=(_N_ITEMS, _N_ATTRIBUTES)) / np.sqrt(_N_ATTRIBUTES)
        attributes[:, 0] = 1 / np.sqrt(_N_ATTRIBUTES)
        tastes = (rng.normal(size=_N_CONTEXT * _N_ATTRIBUTES) * 0.45).reshape(_N_CONTEXT, _N_ATTRIBUTES)
        effects = rng.normal(size=_N_EFFECTS) * 0.3
        tastes[0, 0] += -3.0 * np.sqrt(_N_ATTRIBUTES)  # an intercept of -3 on the logit
        return Truth(
            attributes=attributes,
            tastes=tastes,
            fixed=np.zeros_like(tastes),
            context_effects=effects,
            item_effects=np.zeros(0),
            has_one=False,
        )

    @cached_property
    def theta(self) -> Float[np.ndarray, " 50"]:
        """The parameters."""
        return np.concatenate([self.truth.tastes.ravel(), self.truth.context_effects])

    def world(self, delay: Delay | None = None) -> StoreWorld:
        """Return the store, with late answers if told so."""
        return StoreWorld(
            n_items=_N_ITEMS,
            n_context=_N_CONTEXT,
            n_item_attributes=_N_ATTRIBUTES,
            delay=delay,
            truth=self.truth,
            seed=_SEED,
        )

    # ---- as the reference has it ----------------------------------------------------------------------------------

    def contexts(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count 9"]:
        """Draw contexts from a generator, as the reference does."""
        context = rng.normal(size=(count, _N_CONTEXT))
        context[:, 0] = 1.0
        return context

    def features(self, context: Float[np.ndarray, "count 9"]) -> Float[np.ndarray, "count 20 50"]:
        """Return the joint features of each item for each context."""
        return self.truth.features(context)

    def probabilities(self, context: Float[np.ndarray, "count 9"]) -> Float[np.ndarray, "count 20"]:
        """Return the true probability of a reward for each item, with the reference's own roundings."""
        return np.asarray(1 / (1 + np.exp(-(self.features(context) @ self.theta))))


__all__ = ["BernoulliStore"]

"""The truth of a store: what its items are, and what they are worth to whom. Imports its own folder.

The utility of item j to a visitor with context x at time t is linear in parameters,

    utility = x' B(t) a_j + x' c + b_j

with attributes a_j, tastes B, effects c of the context and b_j of the item itself. Without drift a generalised linear
model on :meth:`Truth.features` is well specified, and its parameters are :attr:`Truth.theta`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from revealed.choices.store_world.drift import Drift
from revealed.choices.store_world.links import RewardLink, intercept_for
from revealed.choices.store_world.streams import normals
from revealed.choices.store_world.sums import weighted, weighted_some

_LARGEST_MAP = 2**20  # the most numbers in the matrix that turns a context into features in one product

#: Products of more numbers than this go to several threads, which wait for each other longer than they work.
_ONE_THREAD = 2**18


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """What is true of the items and of tastes.

    Parameters
    ----------
    attributes : array, shape (n_items, n_attributes)
        Of each item.
    tastes : array, shape (n_context, n_attributes)
        What a unit of each attribute adds to utility for each unit of the context, at time 0.
    fixed : array, shape (n_context, n_attributes)
        The same, for what does not drift: the intercept.
    context_effects : array, shape (n_effects,)
        What the first columns of the context add whatever is shown.
    item_effects : array, shape (n_items,) or (0,)
        What each item adds by itself.
    own : bool
        Whether each item has an attribute of its own and no other, and so tastes of its own.
    has_one : bool
        Whether the first attribute is one for every item, so that the first parameter is the intercept.
    """

    attributes: Float[np.ndarray, "n_items n_attributes"]
    tastes: Float[np.ndarray, "n_context n_attributes"]
    fixed: Float[np.ndarray, "n_context n_attributes"]
    context_effects: Float[np.ndarray, " n_effects"]
    item_effects: Float[np.ndarray, " n_effects_of_items"]
    own: bool = False
    has_one: bool = True

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.attributes)

    @property
    def n_features(self) -> int:
        """How many features an item has for a visitor, K."""
        return self.tastes.size + len(self.context_effects) + len(self.item_effects)

    # ---- names ----------------------------------------------------------------------------------------------------

    @property
    def context_names(self) -> tuple[str, ...]:
        """The constant ``1``, then ``x1``, ``x2``, …, as many digits as sort as they count."""
        return ("1", *_numbered("x", range(1, len(self.tastes))))

    @property
    def item_names(self) -> tuple[str, ...]:
        """``item00``, ``item01``, …: as many digits as sort as they count."""
        return _numbered("item", range(self.n_items))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """``1``, ``a1``, ``a2``, …; the names of the items where each has its own."""
        if self.own:
            return self.item_names
        names = _numbered("a", range(self.tastes.shape[1]))
        return ("1", *names[1:]) if self.has_one else names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature: ``x1:a2`` for a product, ``1`` for the constant."""
        joint = [_product(x, a) for x in self.context_names for a in self.attribute_names]
        return (*joint, *self.context_names[: len(self.context_effects)], *self.item_names[: len(self.item_effects)])

    # ---- parameters -----------------------------------------------------------------------------------------------

    def theta_at(self, time: float, drift: Drift | None, seed: int) -> Float[np.ndarray, " K"]:
        """Return the parameters at a time, in the order of the features."""
        units = np.eye(len(self.tastes))
        tastes = self._liking(units, np.full(len(units), float(time)), drift, seed)
        return np.concatenate([tastes.ravel(), self.context_effects, self.item_effects])

    # ---- features -------------------------------------------------------------------------------------------------

    def features(
        self, context: Float[np.ndarray, "count n_context"], items: Int[np.ndarray, "count some"] | None = None
    ) -> Float[np.ndarray, "count some K"]:
        """Return the features of all items, or of some, for each visitor.

        They are the outer product of the context with the attributes (the context outer), then the first columns of
        the context where they have effects of their own, then one indicator for each item where items have.
        """
        count = len(context)
        if items is None and self._map is not None:
            features = np.empty((count, self._map.shape[1]))
            size = max(1, _ONE_THREAD // self._map.size)
            for start in range(0, count, size):
                np.matmul(context[start : start + size], self._map, out=features[start : start + size])
            return features.reshape(count, self.n_items, self.n_features)
        if items is None:
            items = np.broadcast_to(np.arange(self.n_items), (count, self.n_items))
        return self._features_of(context, items)

    def _features_of(
        self, context: Float[np.ndarray, "count n_context"], items: Int[np.ndarray, "count some"]
    ) -> Float[np.ndarray, "count some K"]:
        count = len(context)
        features = np.zeros((count, items.shape[1], self.n_features))
        n_joint, n_effects = self.tastes.size, len(self.context_effects)
        joint = features[:, :, :n_joint].reshape(count, items.shape[1], *self.tastes.shape)
        np.multiply(context[:, None, :, None], self.attributes[items][:, :, None, :], out=joint)
        assert np.shares_memory(joint, features) or not features.size
        features[:, :, n_joint : n_joint + n_effects] = context[:, None, :n_effects]
        if len(self.item_effects):
            np.put_along_axis(features, (n_joint + n_effects + items)[:, :, None], context[:, :1, None], axis=2)
        return features

    @cached_property
    def _map(self) -> Float[np.ndarray, "n_context all"] | None:
        """The matrix by which a context becomes the features of all items, for each of them is linear in it."""
        n_context = len(self.tastes)
        if n_context * self.n_items * self.n_features > _LARGEST_MAP:
            return None
        units = np.eye(n_context)
        items = np.broadcast_to(np.arange(self.n_items), (n_context, self.n_items))
        of_units = self._features_of(units, items)
        return of_units.reshape(n_context, -1)

    # ---- utility --------------------------------------------------------------------------------------------------

    def utility(
        self,
        context: Float[np.ndarray, "count n_context"],
        time: Float[np.ndarray, " count"],
        items: Int[np.ndarray, "count some"] | None,
        drift: Drift | None,
        seed: int,
    ) -> Float[np.ndarray, "count some"]:
        """Return the utility of all items, or of some, to each visitor at that time."""
        liking = self._liking(context, time, drift, seed)
        if items is None:
            total = liking if self.own else weighted(liking, self._by_attribute)
        elif self.own:
            total = np.take_along_axis(liking, items, axis=1)
        else:
            total = weighted_some(liking, self.attributes[items])
        if len(self.context_effects):
            some = context[:, : len(self.context_effects)]
            total = total + weighted(some, self.context_effects[:, None])
        if len(self.item_effects):
            total = total + (self.item_effects if items is None else self.item_effects[items])
        return total

    def _liking(
        self,
        context: Float[np.ndarray, "count n_context"],
        time: Float[np.ndarray, " count"],
        drift: Drift | None,
        seed: int,
    ) -> Float[np.ndarray, "count n_attributes"]:
        """Return what a unit of each attribute is worth to each visitor."""
        if drift is None:
            return weighted(context, self._now)
        return np.asarray(drift.liking(self.tastes, context, time, seed) + weighted(context, self.fixed))

    @cached_property
    def _now(self) -> Float[np.ndarray, "n_context n_attributes"]:
        return np.asarray(self.tastes + self.fixed)

    @cached_property
    def _by_attribute(self) -> Float[np.ndarray, "n_attributes n_items"]:
        return np.ascontiguousarray(self.attributes.T)


@dataclass(frozen=True, kw_only=True)
class TasteLaw:
    """What a world's truth is drawn from; the fields are those of ``StoreWorld``."""

    n_items: int
    n_context: int
    n_item_attributes: int | None
    taste: float
    item_effect: float
    base_rate: float

    def draw(self, link: RewardLink, seed: int) -> Truth:
        """Draw a truth whose mean reward at time 0, over visitors and items, is the base rate."""
        own = self.n_item_attributes is None
        n_attributes = self.n_items if own else int(self.n_item_attributes or 1)
        attributes = np.eye(self.n_items) if own else np.ones((self.n_items, n_attributes))
        if n_attributes > 1 and not own:
            drawn = normals(seed, "items", 0, self.n_items, n_attributes)
            attributes[:, 1:] = drawn[:, 1:] / np.sqrt(n_attributes - 1)
        size = self.taste / np.sqrt(self.n_context)
        tastes = size * normals(seed, "tastes", 0, self.n_context, n_attributes)
        effects = np.zeros(0)
        if self.item_effect:
            effects = self.item_effect * normals(seed, "items", self.n_items, self.n_items, n_attributes)[:, 0]
        fixed = np.zeros_like(tastes)
        if not own:
            tastes[0, 0] = 0.0  # the intercept, which the base rate says
        by_item = weighted(attributes, np.ascontiguousarray(tastes.T))
        centre = by_item[:, 0] + (effects if len(effects) else 0.0)
        intercept = intercept_for(link, self.base_rate, centre, np.sqrt((by_item[:, 1:] ** 2).sum(axis=1)))
        fixed[0, :] = intercept if own else 0.0
        fixed[0, 0] = intercept
        return Truth(
            attributes=attributes,
            tastes=tastes,
            fixed=fixed,
            context_effects=np.zeros(0),
            item_effects=effects,
            own=own,
        )


def _numbered(stem: str, numbers: range) -> tuple[str, ...]:
    """Return names with as many digits as the last one needs, so that they sort as they count."""
    digits = len(str(max(numbers.stop - 1, 0)))
    return tuple(f"{stem}{number:0{digits}d}" for number in numbers)


def _product(first: str, second: str) -> str:
    """Return the name of a product; the constant has none, but alone."""
    return ":".join(name for name in (first, second) if name != "1") or "1"


__all__ = ["TasteLaw", "Truth"]

"""Floors: how much of a slate each category gets at least, and what may stand where for that. Imports errors only.

A floor is met by looking ahead: at each position only those candidates are allowed after which all floors can still
be met. Whether they can is decided exactly, by a search over what the positions left may hold; candidates differ in
this only by which floors they serve, so the search is over few kinds of candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.categories import Categories
from revealed.errors import SpecificationError

#: Shares are met up to this.
TOLERANCE = 1e-9
#: States after which the search gives up.
PATIENCE = 5_000

State = tuple[int, tuple[float, ...], tuple[int, ...]]


def require_floors(floors: Mapping[str, float], categories: Categories, size: int) -> None:
    """Refuse floors of categories that are not there, or that are neither a count nor a share."""
    for name, least in floors.items():
        categories.code(name)
        if isinstance(least, bool) or not isinstance(least, int | float):
            raise SpecificationError(f"the floor of {name!r} is {least!r}; give a count (2) or a share (0.3)")
        if isinstance(least, int) and not 0 < least <= size:
            raise SpecificationError(
                f"the floor of {name!r} is {least} of {size} positions; a count is from 1 to {size}"
            )
        if isinstance(least, float) and not 0 < least <= 1:
            raise SpecificationError(f"the floor of {name!r} is the share {least}; a share is above 0, at most 1")


@dataclass(eq=False)
class FloorPlan:
    """What is still owed to each floor, and which kinds of candidates are left, as a slate is filled from the top.

    Parameters
    ----------
    names : tuple of str
        The categories with a floor.
    parts : array, shape (size, floors)
        What an item of the category in each position counts for: 1, or its share of the exposure.
    owed : array, shape (floors,)
        What each floor still needs.
    kind : array of int, shape (groups,)
        Which floors the candidates of each group serve, as an index into ``kinds``.
    kinds : array of bool, shape (kinds, floors)
    left : array of int, shape (kinds,)
        Candidates left of each kind.
    """

    names: tuple[str, ...]
    parts: Float[np.ndarray, "size floors"]
    owed: Float[np.ndarray, " floors"]
    kind: Int[np.ndarray, " groups"]
    kinds: Bool[np.ndarray, "kinds floors"]
    left: Int[np.ndarray, " kinds"]
    _known: dict[State, bool] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        floors: Mapping[str, float],
        categories: Categories,
        sets: Int[np.ndarray, "groups most"],
        eligible: Int[np.ndarray, " groups"],
        positions: Float[np.ndarray, " size"],
    ) -> FloorPlan:
        """Return the plan of an empty slate.

        Parameters
        ----------
        floors : mapping of str to int or float
            Counts of items, or shares of the exposure.
        categories : Categories
        sets : array of int, shape (groups, most)
        eligible : array of int, shape (groups,)
            Candidates that may be shown, by group.
        positions : array, shape (size,)
            Examination probabilities in the order in which positions are filled.

        Raises
        ------
        SpecificationError
            If no slate meets all floors.
        """
        require_floors(floors, categories, len(positions))
        serves = np.stack([(sets == categories.code(name)).any(axis=1) for name in floors], axis=1)
        kinds, kind = np.unique(serves, axis=0, return_inverse=True)
        left = np.bincount(kind.ravel(), weights=eligible, minlength=len(kinds)).astype(np.intp)
        counted = np.array([isinstance(least, int) for least in floors.values()])
        share = positions / positions.sum()
        parts = np.where(counted[None, :], 1.0, share[:, None])
        plan = cls(tuple(floors), parts, np.array(list(floors.values()), float), kind.ravel(), kinds, left)
        if not plan._reachable(0, plan.owed, plan.left):
            asked = ", ".join(f"{name!r} {least}" for name, least in floors.items())
            there = ", ".join(f"{name!r} {int(left @ kinds[:, f])}" for f, name in enumerate(floors))
            raise SpecificationError(
                f"no slate of {len(positions)} meets all floors ({asked}); candidates there are: {there}. Lower a "
                "floor, or let more candidates in"
            )
        return plan

    @property
    def disjoint(self) -> bool:
        """Whether no candidate serves two floors."""
        return bool((self.kinds[self.left > 0].sum(axis=1) <= 1).all())

    def allowed(self, position: int) -> Bool[np.ndarray, " groups"]:
        """Return which groups may stand in a position, all those before it being filled."""
        fine = np.zeros(len(self.kinds), bool)
        for kind in np.flatnonzero(self.left > 0):
            owed, left = self._after(position, int(kind), self.owed, self.left)
            fine[kind] = self._reachable(position + 1, owed, left)
        return np.asarray(fine[self.kind])

    def unmet(self) -> tuple[str, ...]:
        """Return the floors that still need something."""
        return tuple(name for name, owed in zip(self.names, self.owed, strict=True) if owed > TOLERANCE)

    def place(self, position: int, group: int) -> None:
        """Note that a candidate of a group stands in a position."""
        self.owed, self.left = self._after(position, int(self.kind[group]), self.owed, self.left)

    def _after(
        self, position: int, kind: int, owed: Float[np.ndarray, " floors"], left: Int[np.ndarray, " kinds"]
    ) -> tuple[Float[np.ndarray, " floors"], Int[np.ndarray, " kinds"]]:
        fewer = left.copy()
        fewer[kind] -= 1
        return np.maximum(owed - self.parts[position] * self.kinds[kind], 0.0), fewer

    def _reachable(self, position: int, owed: Float[np.ndarray, " floors"], left: Int[np.ndarray, " kinds"]) -> bool:
        needs = owed > TOLERANCE
        if not needs.any():
            return True
        # Even if every position left served it, and however its candidates were placed.
        if (owed > self.parts[position:].sum(axis=0) + TOLERANCE).any():
            return False
        remaining = len(self.parts) - position
        state = (position, tuple(np.round(owed, 9).tolist()), tuple(np.minimum(left, remaining).tolist()))
        if state not in self._known:
            if len(self._known) > PATIENCE:
                raise SpecificationError(
                    "the floors leave so little room that no slate was found in reasonable time; lower a floor a little"
                )
            self._known[state] = False  # a state never leads back to itself: positions only go down
            served = (self.kinds & needs).sum(axis=1)
            self._known[state] = any(
                self._reachable(position + 1, *self._after(position, int(kind), owed, left))
                for kind in np.argsort(-served, kind="stable")
                if left[kind] > 0
            )
        return self._known[state]

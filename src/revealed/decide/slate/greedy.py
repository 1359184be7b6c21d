"""Lazy greedy: the slate that plain greedy would find, without looking at every candidate again. Imports errors only.

What an item adds only falls as more is shown and as positions are looked at less. So what it added when last evaluated
bounds what it adds now (Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions"), and
only items with a high bound are evaluated again. Two things make it fast in numpy: of candidates in the same
categories only the best one left is looked at (:class:`Groups`), and a pool of the highest bounds is evaluated as a
whole rather than one by one from a heap. If something outside the pool could win, all bounds are renewed.

Ties go to the higher score, then to the candidate that comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.floors import FloorPlan
from revealed.decide.slate.objective import Coverage, gains_of

#: How many groups are evaluated at each position.
POOL = 2048
#: The score of a candidate that may not be shown or is shown already: scores are 0 or more.
GONE = -1.0


@dataclass(eq=False)
class Shelf:
    """The candidates left, and the best of each group.

    Parameters
    ----------
    objective : Coverage
    eligible : array of bool, shape (candidates,), optional
        Who may be shown; by default all.
    """

    objective: Coverage
    eligible: Bool[np.ndarray, " candidates"] | None = None

    def __post_init__(self) -> None:
        categories = self.objective.categories
        # A bonus sets apart candidates in the same categories: the best of them is no longer known beforehand.
        self.groups = categories.groups if self.objective.bonus is None else categories.singles
        self.scores = self.objective.scores[self.groups.order]
        if self.eligible is not None:
            self.scores[~self.eligible[self.groups.order]] = GONE
        self.best = np.maximum.reduceat(self.scores, self.groups.starts)

    def counts(self) -> Int[np.ndarray, " groups"]:
        """Return the candidates left in each group."""
        return np.add.reduceat((self.scores >= 0).astype(np.intp), self.groups.starts)

    def first_of(self, group: int) -> int:
        """Return the best candidate left of a group."""
        start = self.groups.starts[group]
        block = self.scores[start : start + self.groups.sizes[group]]
        return int(self.groups.order[start + int(block.argmax())])

    def take(self, group: int) -> int:
        """Return the best candidate left of a group, and take it off."""
        start = self.groups.starts[group]
        block = self.scores[start : start + self.groups.sizes[group]]
        at = int(block.argmax())
        block[at] = GONE
        self.best[group] = block.max()
        return int(self.groups.order[start + at])

    def bonus(self, groups: Int[np.ndarray, " some"] | slice) -> Float[np.ndarray, " some"] | float:
        """Return what items are worth besides."""
        return 0.0 if self.objective.bonus is None else self.objective.bonus[groups]


@dataclass(frozen=True, eq=False)
class Filled:
    """A slate in the order in which its positions were filled.

    Parameters
    ----------
    items : array of int, shape (size,)
    gains : array, shape (size,)
        What each added when it was chosen.
    binding : tuple of str
        Floors for whose sake something was chosen that was not the best.
    disjoint : bool
        Whether no candidate serves two floors.
    """

    items: Int[np.ndarray, " size"]
    gains: Float[np.ndarray, " size"]
    binding: tuple[str, ...]
    disjoint: bool


class Greedy:
    """One greedy run: fills positions one after the other.

    Parameters
    ----------
    shelf : Shelf
    positions : array, shape (size,)
        Examination probabilities, none above the one before.
    floors : FloorPlan, optional
    """

    def __init__(self, shelf: Shelf, positions: Float[np.ndarray, " size"], floors: FloorPlan | None = None) -> None:
        self.shelf, self.positions, self.floors = shelf, positions, floors
        self.weights = shelf.objective.padded_weights()
        self.spent = shelf.objective.padded_shown()
        self.pool: Int[np.ndarray, " pool"] = np.zeros(0, np.intp)
        self.outside = self.steepest = np.inf  # nothing is known yet: the first position renews the pool

    def run(self) -> Filled:
        """Fill all positions."""
        items, gains = np.zeros(len(self.positions), np.intp), np.zeros(len(self.positions))
        binding: dict[str, None] = {}
        disjoint = self.floors is None or self.floors.disjoint
        for place, examined in enumerate(self.positions):
            room = 1.0 / (1.0 + self.spent)
            allowed = None if self.floors is None else self.floors.allowed(place)
            group, gains[place] = self._best(place, room, allowed)
            if self.floors is not None:
                freely, most = self._best(place, room, None)
                if freely != group and most > gains[place]:
                    binding.update(dict.fromkeys(self._served(group)))
                self.floors.place(place, group)
            sets = self.shelf.groups.sets[group]
            items[place] = self.shelf.take(group)
            np.add.at(self.spent, sets, examined * self.shelf.objective.scores[items[place]])
            self.spent[-1] = 0.0
        return Filled(items, gains, tuple(binding), disjoint)

    def _served(self, group: int) -> tuple[str, ...]:
        assert self.floors is not None
        serves = self.floors.kinds[self.floors.kind[group]]
        return tuple(name for name in self.floors.unmet() if serves[self.floors.names.index(name)])

    def _best(
        self, place: int, room: Float[np.ndarray, " one_more"], allowed: Bool[np.ndarray, " groups"] | None
    ) -> tuple[int, float]:
        """Return the group that adds most among those allowed, and what it adds."""
        examined = float(self.positions[place])
        gains = self._gains(self.pool, examined, room, allowed)
        most = gains.max(initial=-np.inf)
        if most > min(self.outside, examined * self.steepest):  # of those outside, none can even draw level
            return self._one_of(self.pool[gains == most]), float(most)
        every = slice(None)
        gains = self._gains(every, examined, room, None)
        self._renew(gains, place, room)
        if allowed is not None:
            gains[~allowed] = -np.inf
        most = gains.max()
        return self._one_of(np.flatnonzero(gains == most)), float(most)

    def _gains(
        self,
        groups: Int[np.ndarray, " some"] | slice,
        examined: float,
        room: Float[np.ndarray, " one_more"],
        allowed: Bool[np.ndarray, " groups"] | None,
    ) -> Float[np.ndarray, " some"]:
        best = self.shelf.best[groups]
        gains = gains_of(self.shelf.groups.sets[groups], examined * np.maximum(best, 0.0), self.weights, room)
        gains += examined * self.shelf.bonus(groups)
        gains[best < 0] = -np.inf
        if allowed is not None:
            gains[~allowed[groups]] = -np.inf
        return gains

    def _renew(self, gains: Float[np.ndarray, " groups"], place: int, room: Float[np.ndarray, " one_more"]) -> None:
        """Put those that may add most at the positions after this one into the pool."""
        self.steepest = np.inf
        bounds = gains
        if len(gains) <= POOL:
            self.pool, self.outside = np.arange(len(gains)), -np.inf
            return
        examined, last = self.positions[place], self.positions[-1]
        if examined > last:
            # What is looked at less adds less: at most in proportion to the slope at nothing shown of it.
            later = self.positions[place + 1]
            slopes = self._slopes(room)
            if self.shelf.objective.bonus is None:
                bounds = np.minimum(gains, later * slopes)
            else:  # an item that costs something costs less there
                bounds = np.maximum(later * slopes, last * slopes)
        ranked = np.argpartition(bounds, len(bounds) - POOL)
        self.pool, left_out = ranked[-POOL:], ranked[:-POOL]
        self.outside = float(bounds[left_out].max())
        if examined > last:
            self.steepest = float(slopes[left_out].max())

    def _slopes(self, room: Float[np.ndarray, " one_more"]) -> Float[np.ndarray, " groups"]:
        """Return what each would add per unit of examination, if little looked at."""
        per_score, shelf = self.weights * room, self.shelf
        slopes = np.zeros(len(shelf.best))
        for column in shelf.groups.sets.T:
            slopes += per_score[column]
        slopes *= np.maximum(shelf.best, 0.0)
        slopes += shelf.bonus(slice(None))
        slopes += 1e-12 * np.abs(slopes)  # rounding must not put a bound below what it bounds
        slopes[shelf.best < 0] = -np.inf
        return slopes

    def _one_of(self, groups: Int[np.ndarray, " some"]) -> int:
        """Break a tie: the higher score, then the candidate that comes first."""
        if len(groups) == 1:
            return int(groups[0])
        best = self.shelf.best[groups]
        highest = groups[best == best.max()]
        return int(min(highest, key=lambda group: self.shelf.first_of(int(group))))

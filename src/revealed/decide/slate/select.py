r"""The slate to show. Imports errors only.

Positions are filled from the one most looked at, each with what adds most. Where all are looked at alike, that is at
least :math:`1 - (1 - 1/K)^K \geq 1 - 1/e` of the best slate's value (Nemhauser, Wolsey and Fisher 1978). Where they
are not, it is at least one half: each position of the best slate adds, on top of ours, no more than what we put there
added, since the candidate was either still to be had, or stands in a better place already. With floors that no
candidate serves two of, and positions alike, slates that can still meet them form a matroid, for which greedy has one
half too (Fisher, Nemhauser and Wolsey 1978). For other floors, and for negative bonuses, nothing is promised
beforehand. The bound that comes with each slate tells how near it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.bound import upper_bound
from revealed.decide.slate.categories import Categories
from revealed.decide.slate.checks import require_length, require_positive
from revealed.decide.slate.floors import FloorPlan
from revealed.decide.slate.greedy import Filled, Greedy, Shelf
from revealed.decide.slate.objective import Coverage
from revealed.errors import SpecificationError


@dataclass(frozen=True, eq=False)
class Slate:
    """What to show, in order.

    Parameters
    ----------
    order : array of int, shape (size,)
        The candidate in each position.
    positions : array, shape (size,)
        The examination probability of each position.
    gains : array, shape (size,)
        What each added to the value when it was chosen.
    value : float
    upper_bound : float
        No slate of these candidates is worth more, floors or not; infinite if it was not asked for.
    guarantee : float
        The part of the best slate's value that greedy has for certain, whatever the scores; 0 where nothing is known.
    binding : tuple of str
        Floors for whose sake something was shown that was not the best.
    """

    order: Int[np.ndarray, " size"]
    positions: Float[np.ndarray, " size"]
    gains: Float[np.ndarray, " size"]
    value: float
    upper_bound: float
    guarantee: float
    binding: tuple[str, ...] = ()

    @property
    def optimality(self) -> float:
        """The part of the best value that this slate has at least, by its bound or beforehand."""
        known = self.value / self.upper_bound if 0 < self.upper_bound < np.inf else float(self.upper_bound == 0)
        return max(self.guarantee, known)

    def exposure(self, categories: Categories) -> dict[str, float]:
        """Return the share of the exposure that each category has; an item counts for each of its categories."""
        seen = np.zeros(len(categories.labels) + 1)
        sets = categories.sets[self.order]
        np.add.at(seen, sets, np.broadcast_to(self.positions[:, None], sets.shape))
        return dict(zip(categories.labels, (seen[:-1] / self.positions.sum()).tolist(), strict=True))


def select(
    objective: Coverage,
    size: int,
    *,
    positions: Float[np.ndarray, " size"] | None = None,
    floors: Mapping[str, float] | None = None,
    eligible: Bool[np.ndarray, " candidates"] | None = None,
    bound: bool = True,
) -> Slate:
    """Return the greedy slate: exact greedy, found lazily.

    Parameters
    ----------
    objective : Coverage
    size : int
        How many to show.
    positions : array, shape (size,), optional
        How likely each position is looked at, above 0, in any order and unit; by default all alike.
        :func:`fit_positions` estimates them.
    floors : mapping of str to int or float, optional
        For categories: an ``int`` is the least number of items, a ``float`` the least share of the exposure.
    eligible : array of bool, shape (candidates,), optional
        Who may be shown; by default all.
    bound : bool
        Whether to work out the upper bound too.

    Returns
    -------
    Slate

    Raises
    ------
    SpecificationError
        If there are no candidates, or fewer than positions; a floor's category is not known; no slate meets the
        floors.
    DataError
        If positions are not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from revealed.decide.slate import Categories, Coverage, select
    >>> categories = Categories.of(["shoes", "shoes", "hats"])
    >>> select(Coverage(np.array([0.9, 0.8, 0.5]), categories), 2).order.tolist()
    [0, 2]
    """
    _require_candidates(objective, size, eligible)
    examined = np.ones(size) if positions is None else positions
    require_length(examined, size, "positions", "positions of the slate")
    require_positive(examined, "positions")
    places = np.argsort(-examined, kind="stable")
    descending = examined[places]
    shelf = Shelf(objective, eligible)
    plan = None
    if floors:
        plan = FloorPlan.of(floors, objective.categories, shelf.groups.sets, shelf.counts(), descending)
    filled = Greedy(shelf, descending, plan).run()
    order, gains = np.empty(size, np.intp), np.empty(size)
    order[places], gains[places] = filled.items, filled.gains
    return Slate(
        order=order,
        positions=examined,
        gains=gains,
        value=objective.value(filled.items, descending),
        upper_bound=upper_bound(objective, descending, filled.items, eligible) if bound else float("inf"),
        guarantee=_guarantee(objective, descending, filled, plan),
        binding=filled.binding,
    )


def _guarantee(
    objective: Coverage, positions: Float[np.ndarray, " size"], filled: Filled, plan: FloorPlan | None
) -> float:
    alike = bool(positions[0] == positions[-1])
    if objective.bonus is not None and objective.bonus.min() < 0:
        return 0.0
    if plan is not None:
        return 0.5 if alike and filled.disjoint else 0.0
    return 1.0 - (1.0 - 1.0 / len(positions)) ** len(positions) if alike else 0.5


def _require_candidates(objective: Coverage, size: int, eligible: Bool[np.ndarray, " candidates"] | None) -> None:
    if size < 1:
        raise SpecificationError(f"a slate of {size} shows nothing; ask for 1 or more")
    n_candidates = len(objective.scores)
    if eligible is not None and len(eligible) != n_candidates:
        raise SpecificationError(f"eligible has {len(eligible):,} entries for {n_candidates:,} candidates")
    there = n_candidates if eligible is None else int(np.count_nonzero(eligible))
    if there == 0:
        of = f" of {n_candidates:,}" if n_candidates else ""
        raise SpecificationError(f"no candidate{of} is eligible; let some in, or show what you show without a policy")
    if size > there:
        raise SpecificationError(
            f"a slate of {size} needs {size} candidates, and {there} {'is' if there == 1 else 'are'} eligible; ask for "
            f"at most {there}"
        )

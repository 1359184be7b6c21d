r"""A slate being filled from the top: what each candidate would add, as rules of exploration ask. Imports explore.

With :math:`s_i` the expected answer to candidate :math:`i` under some draw, :math:`e_k` the examination of position
:math:`k`, :math:`c` the categories and :math:`b_i` what a candidate is worth besides,

.. math::
   f = \frac1\sigma \sum_c \log\Big(1 + \sigma \sum_{k:\, i_k \in c} e_k s_{i_k}^+\Big)
   + \sum_k e_k \big(b_{i_k} - s_{i_k}^-\big)

which is the coverage of :class:`revealed.decide.slate.Coverage`, made weaker or stronger by :math:`\sigma`: as
:math:`\sigma \to 0` expected answers simply add. Each place is decided by a draw of its own, so given what stands
above, a candidate's propensity is exactly the share of the pool of draws in which it adds most (of one pool, as in
``docs/design/exploration.md``), and that of the slate is their product. One draw for all places would make most slates
as rare as one draw in the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.outlook import ManyOutlook, require_finite
from revealed.decide.slate.categories import Categories, Groups
from revealed.decide.slate.checks import LARGEST
from revealed.decide.slate.floors import FloorPlan
from revealed.errors import SpecificationError

#: Scores of candidates under draws that are worked on at a time: 16 MiB.
_AT_ONCE = 1 << 21

OneRow = Float[np.ndarray, "one actions"]


@dataclass(frozen=True, eq=False)
class Worth:
    """What slates out of some candidates are worth, whatever their scores.

    Parameters
    ----------
    positions : array, shape (size,)
        Examination of each position, none above the one before.
    code : array of int, shape (candidates,)
        The category of each candidate; all 0 where there are none.
    groups : Groups
        Candidates of which only the best left can be next.
    answers : callable, optional
        From linear predictors to expected answers; by default scores are the predictors themselves.
    scale : float
        How fast returns diminish within a category; 0 for not at all.
    bonus : array, shape (candidates,), optional
        What candidates are worth besides.
    plan : FloorPlan, optional
        Of the empty slate, in the order of the groups.
    """

    positions: Float[np.ndarray, " size"]
    code: Int[np.ndarray, " candidates"]
    groups: Groups
    answers: Callable[[Float[np.ndarray, " predictors"]], Float[np.ndarray, " predictors"]] | None = None
    scale: float = 0.0
    bonus: Float[np.ndarray, " candidates"] | None = None
    plan: FloorPlan | None = None

    @classmethod
    def plain(cls, n_candidates: int, size: int) -> Worth:
        """Return that of slates in which each thing counts for itself, and by its linear predictor."""
        every, one = np.arange(n_candidates), np.zeros(1, np.intp)
        groups = Groups(every, one, np.array([n_candidates]), np.zeros((1, 1), np.intp))
        return cls(np.ones(size), np.zeros(n_candidates, np.intp), groups)

    @classmethod
    def by_category(
        cls,
        positions: Float[np.ndarray, " size"],
        categories: Categories,
        bonus: Float[np.ndarray, " candidates"] | None,
    ) -> Worth:
        """Return that of slates out of candidates that are each in one category at most, without diminishing returns.

        A bonus sets apart candidates of the same category: the best of them is no longer known beforehand.
        """
        groups = categories.groups if bonus is None else categories.singles
        code = categories.sets[:, 0] if categories.sets.shape[1] else np.zeros(len(categories), np.intp)
        return cls(positions, code, groups, bonus=bonus)

    def scores(self, predictors: Float[np.ndarray, "rows candidates"]) -> Float[np.ndarray, "rows candidates"]:
        """Return the scores of linear predictors."""
        if self.answers is None:
            return predictors
        with np.errstate(over="ignore"):  # a draw of counts far out
            scores = self.answers(predictors.ravel())
        return np.asarray(np.clip(scores, -LARGEST, LARGEST).reshape(predictors.shape))

    def added(
        self,
        scores: Float[np.ndarray, "rows some"],
        code: Int[np.ndarray, " some"],
        bonus: Float[np.ndarray, " some"] | None,
        spent: Float[np.ndarray, "rows categories"],
        place: int,
    ) -> Float[np.ndarray, "rows some"]:
        """Return what each of some candidates adds in a place, under each of several draws.

        Parameters
        ----------
        scores : array, shape (rows, some)
        code : array of int, shape (some,)
        bonus : array, shape (some,), optional
        spent : array, shape (rows, categories)
            Scores times examination that stand above, by category.
        place : int
        """
        examined = self.positions[place]
        if self.scale == 0:
            gains = examined * scores
        else:
            room = self.scale * examined / (1.0 + self.scale * spent)
            gains = np.log1p(np.maximum(scores, 0.0) * room[:, code]) / self.scale
            gains += examined * np.minimum(scores, 0.0)
        return np.asarray(gains if bonus is None else gains + examined * bonus)

    def filled(
        self,
        scores: Float[np.ndarray, "rows candidates"],
        unblocked: Bool[np.ndarray, " candidates"],
        first: Bool[np.ndarray, " candidates"],
    ) -> Int[np.ndarray, "rows size"]:
        """Return the greedy slate under each of several draws."""
        rows, shown = np.arange(len(scores)), np.zeros((len(scores), len(self.positions)), np.intp)
        left, spent = np.tile(unblocked, (len(scores), 1)), np.zeros((len(scores), self.n_categories))
        plans = [] if self.plan is None else [copy(self.plan) for _ in rows]
        for place, examined in enumerate(self.positions):
            open_ = left & first if place == 0 else left.copy()
            for row, plan in enumerate(plans):
                open_[row] &= plan.allowed(place)[self.group]
            gains = np.where(open_, self.added(scores, self.code, self.bonus, spent, place), -np.inf)
            shown[:, place] = best = gains.argmax(axis=1)
            spent[rows, self.code[best]] += examined * np.maximum(scores[rows, best], 0.0)
            left[rows, best] = False
            for row, plan in enumerate(plans):
                plan.place(place, int(self.group[best[row]]))
        return shown

    @cached_property
    def n_categories(self) -> int:
        """How many categories there are, at least 1."""
        return int(self.code.max(initial=0)) + 1

    @cached_property
    def rank(self) -> Int[np.ndarray, " candidates"]:
        """Where each candidate stands in the order of the groups."""
        rank = np.empty(len(self.code), np.intp)
        rank[self.groups.order] = np.arange(len(rank))
        return rank

    @cached_property
    def group(self) -> Int[np.ndarray, " candidates"]:
        """The group of each candidate."""
        return np.searchsorted(self.groups.starts, self.rank, side="right") - 1


class _Draws:
    """What is left under several draws, and the best of each group.

    Expected answers rise with linear predictors, so the best are found by these.
    """

    def __init__(
        self, worth: Worth, predictors: Float[np.ndarray, "rows candidates"], left: Bool[np.ndarray, " candidates"]
    ) -> None:
        self.worth = worth
        order = worth.groups.order
        self.code = worth.code[order[worth.groups.starts]]
        self.bonus = None if worth.bonus is None else worth.bonus[order]  # then each is its own group
        self.predictors = predictors[:, order]
        self.predictors[:, ~left[order]] = -np.inf
        best = np.maximum.reduceat(self.predictors, worth.groups.starts, axis=1)
        self.best = worth.scores(best)
        self.gone = best[0] == -np.inf
        self.spent = np.zeros((len(predictors), worth.n_categories))

    def take(self, place: int, item: int) -> None:
        """Note that a candidate stands in a place."""
        worth = self.worth
        at, group = int(worth.rank[item]), int(worth.group[item])
        scores = worth.scores(self.predictors[:, at : at + 1])[:, 0]
        self.spent[:, worth.code[item]] += worth.positions[place] * np.maximum(scores, 0.0)
        self.predictors[:, at] = -np.inf
        best = self._block(group).max(axis=1, keepdims=True)
        self.best[:, group] = worth.scores(best)[:, 0]
        self.gone[group] = best[0, 0] == -np.inf

    def count(self, place: int, allowed: Bool[np.ndarray, " groups"] | None) -> Int[np.ndarray, " candidates"]:
        """Return under how many draws each candidate adds most."""
        gains = self.worth.added(self.best, self.code, self.bonus, self.spent, place)
        gains[:, self.gone if allowed is None else self.gone | ~allowed] = -np.inf
        first = gains.argmax(axis=1)
        counts = np.zeros(len(self.worth.code), np.intp)
        for group in np.unique(first).tolist():
            at = self.worth.groups.starts[group] + self._block(group)[first == group].argmax(axis=1)
            np.add.at(counts, self.worth.groups.order[at], 1)
        return counts

    def _block(self, group: int) -> Float[np.ndarray, "rows size"]:
        start = self.worth.groups.starts[group]
        return self.predictors[:, start : start + self.worth.groups.sizes[group]]


class Page:
    """An outlook on the next place of a slate: rules of exploration see what candidates add to what stands above.

    Parameters
    ----------
    base : ManyOutlook
        Of one decision: what is believed of each candidate by itself. Its number is that of the first place; those
        below have the numbers that follow.
    worth : Worth
    unblocked : array of bool, shape (candidates,)
        Which may be shown.
    first : array of bool, shape (candidates,)
        Which may be shown in the first place.
    """

    def __init__(
        self,
        base: ManyOutlook,
        worth: Worth,
        unblocked: Bool[np.ndarray, " candidates"],
        first: Bool[np.ndarray, " candidates"],
    ) -> None:
        self.base, self.worth = base, worth
        self.shown: list[int] = []
        self._first, self._left = first, unblocked.copy()
        self._plan = copy(worth.plan)
        self._pools: dict[tuple[float, int], list[_Draws]] = {}
        self._open()

    @property
    def number(self) -> int:
        """The number of the next place."""
        return int(self.base.numbers[0]) + len(self.shown)

    @property
    def eligible(self) -> Bool[np.ndarray, "one actions"]:
        """Which may be shown next."""
        return self._eligible[None]

    def means(self) -> OneRow:
        """Return what each would add if answers were as expected."""
        return self._added(self._expected)

    def deviations(self) -> OneRow:
        """Return how much more each would add if its linear predictor were one standard deviation higher."""
        higher = self._added(self._expected + self.base.deviations())
        return np.asarray(higher - self.means())

    def under_draw(self, width: float) -> OneRow:
        """Return what each would add under the place's own draw."""
        own = replace(self.base, numbers=np.array([self.number]))
        return self._added(own.under_draw(width))

    def shares(self, width: float) -> OneRow:
        """Return in which share of the pool each adds most."""
        if np.count_nonzero(self._eligible) == 1:
            return self._eligible[None].astype(np.float64)
        place = len(self.shown)
        draws = self._pool(width)
        counts = sum(some.count(place, self._allowed) for some in draws)
        return np.asarray(counts / self.base.source.size)[None]

    def show(self, item: int) -> None:
        """Put a candidate into the next place.

        Raises
        ------
        SpecificationError
            If floors leave nothing for the place after it.
        """
        place = len(self.shown)
        if self._plan is not None:
            self._plan.place(place, int(self.worth.group[item]))
        for draws in self._pools.values():
            for some in draws:
                some.take(place, item)
        self.shown.append(item)
        self._left[item] = False
        if len(self.shown) < len(self.worth.positions):
            self._open()

    def _open(self) -> None:
        """Work out what may stand in the next place."""
        self._eligible, self._allowed = self._left & self._first if not self.shown else self._left.copy(), None
        if self._plan is not None:
            self._allowed = self._plan.allowed(len(self.shown))
            self._eligible &= self._allowed[self.worth.group]
            if not self._eligible.any():
                raise SpecificationError(
                    "what is pinned leaves no slate that meets all floors; lower a floor, or do not pin it"
                )

    @cached_property
    def _expected(self) -> OneRow:
        return self.base.means()

    def _added(self, predictors: OneRow) -> OneRow:
        worth = self.worth
        scores, spent = worth.scores(predictors), np.zeros((1, worth.n_categories))
        for place, item in enumerate(self.shown):
            spent[0, worth.code[item]] += worth.positions[place] * max(scores[0, item], 0.0)
        return worth.added(scores, worth.code, worth.bonus, spent, len(self.shown))

    def _pool(self, width: float) -> list[_Draws]:
        block = self.number // self.base.source.size
        known = self._pools.get((width, block))
        if known is None:
            require_finite(self.base.features)
            params, features = self.base.source.pool(self.base.belief, width, block), self.base.features[0]
            step = max(1, _AT_ONCE // len(features))
            parts = [params[start : start + step] @ features.T for start in range(0, len(params), step)]
            before = self._left.copy()
            before[self.shown] = True
            known = [_Draws(self.worth, part, before) for part in parts]
            for draws in known:
                for place, item in enumerate(self.shown):
                    draws.take(place, item)
            self._pools = {(width, block): known}
        return known

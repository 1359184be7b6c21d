"""Layouts with true interactions: slots, the options of each, and what goes with what. Imports its own folder.

The utility of layout A to a visitor with context x is

    W0 + Σ_j W_j(A) + Σ_{j<k} W_jk(A) + Σ_l x_l Wc_l + Σ_{l,j} x_l Wc_lj(A)

as in Hill, Nassif, Liu, Iyer and Vishwanathan (2017), "An efficient bandit algorithm for realtime multivariate
optimization", KDD. Effects sum to zero over the options of each slot, so that each of them is identified: no main
effect hides in an interaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.store_world.links import RewardLink, intercept_for, link_named
from revealed.choices.store_world.streams import normals, uniforms
from revealed.choices.store_world.sums import weighted
from revealed.choices.store_world.visits import Answers, Visits
from revealed.errors import DataError, Problem, SpecificationError, nearest

#: The best layout is found by looking at each, so there is a limit to how many there are.
MOST_LAYOUTS = 2**18

_BLOCK = 2**22  # how many utilities are looked at at once

#: A slot and one of its options.
Option = tuple[str, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayoutWorld:
    """Layouts whose true effects are drawn from a seed.

    Parameters
    ----------
    slots : mapping
        How many options each slot has: ``{"headline": 3, "image": 2}``.
    n_context : int
        How many columns the context has, the first of them one.
    main, interaction, context_effect : float
        The standard deviations of the effects of an option, of a pair of options in two slots, and of a unit of the
        context, alone and with each option; before they are made to sum to zero.
    forbidden : sequence of pairs of (slot, option)
        Which options do not go together: ``[(("headline", 1), ("image", 0))]``.
    link : "logit" or "probit"
    base_rate : float
        The mean reward over visitors and all layouts.
    seed : int
        The world's. A run's seed moves visitors and answers only.

    Raises
    ------
    SpecificationError
        For slots, options or sizes that make no sense, or if no layout is allowed.

    Examples
    --------
    >>> world = LayoutWorld(slots={"headline": 3, "image": 2}, forbidden=[(("headline", 1), ("image", 0))], seed=1)
    >>> world
    LayoutWorld(headline 3 × image 2: 6 layouts, 5 allowed)
    >>> visits = world.visits(0, 2)
    >>> layouts, probability = world.best(visits.context)
    >>> world.regret(layouts, visits.context)
    array([0., 0.])
    """

    slots: Mapping[str, int]
    n_context: int = 1
    main: float = 0.3
    interaction: float = 0.2
    context_effect: float = 0.2
    forbidden: Sequence[tuple[Option, Option]] = field(default=())
    link: str = "logit"
    base_rate: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not self.slots or min(self.slots.values()) < 1:
            raise SpecificationError(f"a layout needs slots with an option at least each, not {dict(self.slots)}")
        if self.n_layouts > MOST_LAYOUTS:
            raise SpecificationError(
                f"{self.n_layouts:,} layouts are more than the {MOST_LAYOUTS:,} that are looked at for the best one; "
                "make it fewer slots or options"
            )
        if self.n_context < 1:
            raise SpecificationError(f"n_context counts the constant, so it is at least 1, not {self.n_context}")
        for name in ("main", "interaction", "context_effect"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SpecificationError(f"{name}, a standard deviation, must not be negative: {getattr(self, name)}")
        if self.link not in ("logit", "probit"):
            raise SpecificationError(f"no link {self.link!r} for layouts; {nearest(self.link, ('logit', 'probit'))}")
        for pair in self.forbidden:
            self._check_pair(pair)
        if not self.allowed(self.layouts).any():
            raise SpecificationError("no layout is allowed; take back some of forbidden")
        _ = self.theta  # refuses a base rate that cannot be

    def _check_pair(self, pair: tuple[Option, Option]) -> None:
        for slot, option in pair:
            if slot not in self.slots:
                raise SpecificationError(f"forbidden names no slot {slot!r}; {nearest(slot, self.slots)}")
            if not 0 <= option < self.slots[slot]:
                raise SpecificationError(f"slot {slot!r} has options 0 to {self.slots[slot] - 1}, no {option}")
        if pair[0][0] == pair[1][0]:
            raise SpecificationError(f"slot {pair[0][0]!r} shows one option, so a forbidden pair names two slots")

    def __repr__(self) -> str:
        slots = " × ".join(f"{name} {count}" for name, count in self.slots.items())
        n_allowed = int(self.allowed(self.layouts).sum())
        return f"LayoutWorld({slots}: {self.n_layouts:,} layouts, {n_allowed:,} allowed)"

    # ---- layouts --------------------------------------------------------------------------------------------------

    @property
    def n_layouts(self) -> int:
        """How many layouts there are, allowed or not."""
        count = 1
        for n_options in self.slots.values():
            count *= int(n_options)
        return count

    @cached_property
    def layouts(self) -> Int[np.ndarray, "layouts slots"]:
        """All layouts, allowed or not: the option in each slot; the last slot changes fastest."""
        sizes = tuple(self.slots.values())
        return np.stack(np.unravel_index(np.arange(self.n_layouts), sizes), axis=1)

    def allowed(self, layouts: Int[np.ndarray, "n slots"]) -> Bool[np.ndarray, " n"]:
        """Return which layouts show no forbidden pair."""
        place = {name: number for number, name in enumerate(self.slots)}
        allowed = np.ones(len(layouts), dtype=bool)
        for (one, option), (other, its_option) in self.forbidden:
            allowed &= (layouts[:, place[one]] != option) | (layouts[:, place[other]] != its_option)
        return allowed

    # ---- the truth ------------------------------------------------------------------------------------------------

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each parameter: ``1``, ``headline=2``, ``headline=2:image=0``, ``x1``, ``x1:headline=2``."""
        options = [f"{slot}={option}" for slot, count in self.slots.items() for option in range(count)]
        pairs = [f"{options[one]}:{options[other]}" for one, other in self._pairs.tolist()]
        context = [f"x{column}" for column in range(1, self.n_context)]
        return ("1", *options, *pairs, *context, *(f"{x}:{option}" for x in context for option in options))

    def features(
        self, layouts: Int[np.ndarray, "n slots"], context: Float[np.ndarray, "n n_context"]
    ) -> Float[np.ndarray, "n K"]:
        """Return the features of layouts for visitors, in the order of the names: an indicator for each option."""
        shown = self._indicators(layouts)
        pairs = shown[:, self._pairs[:, 0]] * shown[:, self._pairs[:, 1]]
        rest = context[:, 1:]
        crossed = (rest[:, :, None] * shown[:, None, :]).reshape(len(layouts), -1)
        return np.concatenate([np.ones((len(layouts), 1)), shown, pairs, rest, crossed], axis=1)

    @cached_property
    def theta(self) -> Float[np.ndarray, " K"]:
        """The parameters, in the order of the names; their indicators' effects sum to zero over each slot."""
        main, pairs, alone, crossed = self._drawn
        of_layouts = np.column_stack([self._base, self._slopes.T]) if self.n_context > 1 else self._base[:, None]
        spread = np.sqrt(((of_layouts[:, 1:] + alone) ** 2).sum(axis=1))
        intercept = intercept_for(self._reward, self.base_rate, of_layouts[:, 0], spread)
        return np.concatenate([[intercept], main, pairs, alone, crossed.ravel()])

    def effect(
        self, layouts: Int[np.ndarray, "n slots"], context: Float[np.ndarray, "n n_context"]
    ) -> Float[np.ndarray, " n"]:
        """Return what a layout adds to utility: main effects, interactions, and those with the context.

        Raises
        ------
        DataError
            For layouts that there are not, with their rows.
        """
        self._require_context(context)
        number = self._numbers(layouts)
        effect = self._base[number]
        for column in range(1, self.n_context):
            effect = effect + context[:, column] * self._slopes[column - 1, number]
        return np.asarray(effect)

    def probability(
        self, layouts: Int[np.ndarray, "n slots"], context: Float[np.ndarray, "n n_context"]
    ) -> Float[np.ndarray, " n"]:
        """Return the true expected reward of a layout for each visitor.

        Raises
        ------
        DataError
            For layouts that there are not, with their rows.
        """
        return np.asarray(self._reward.mean(self.effect(layouts, context) + self._of_visitors(context)))

    def best(
        self, context: Float[np.ndarray, "n n_context"]
    ) -> tuple[Int[np.ndarray, "n slots"], Float[np.ndarray, " n"]]:
        """Return the best allowed layout for each visitor and its expected reward, having looked at each of them."""
        best = self.layouts[self.best_numbers(context)]
        return best, self.probability(best, context)

    def best_numbers(self, context: Float[np.ndarray, "n n_context"]) -> Int[np.ndarray, " n"]:
        """Return the number, among all layouts, of the best allowed one for each visitor; the first of equals."""
        self._require_context(context)
        allowed = np.flatnonzero(self.allowed(self.layouts))
        if self.n_context == 1:
            return np.full(len(context), allowed[np.argmax(self._base[allowed])])
        found = np.empty(len(context), dtype=np.int64)
        size = max(1, _BLOCK // len(allowed))
        base, slopes = self._base[allowed], self._slopes[:, allowed]
        for start in range(0, len(context), size):
            block = slice(start, start + size)
            rows = context[block]
            effect = np.repeat(base[None, :], len(rows), axis=0)
            for column in range(1, self.n_context):  # in the order of `effect`, to the bit
                effect += rows[:, column, None] * slopes[column - 1]
            found[block] = np.argmax(effect, axis=1)
        return allowed[found]

    def regret(
        self, layouts: Int[np.ndarray, "n slots"], context: Float[np.ndarray, "n n_context"]
    ) -> Float[np.ndarray, " n"]:
        """Return how much more the best allowed layout would have earned in expectation, for each visitor: exact.

        Raises
        ------
        DataError
            For layouts that there are not, or are forbidden, with their rows.
        """
        self.require(layouts)
        return np.asarray(self.best(context)[1] - self.probability(layouts, context))

    # ---- visits ---------------------------------------------------------------------------------------------------

    def visits(self, first: int, count: int, *, seed: int = 0) -> Visits:
        """Return visitors, as :meth:`StoreWorld.visits` does."""
        context = np.ones((count, self.n_context))
        if self.n_context > 1:
            context[:, 1:] = normals(seed, "context", first, count, self.n_context - 1)
        index = np.arange(first, first + count)
        return Visits(first, seed, context, index.astype(np.float64), index)

    def answer(self, layouts: Int[np.ndarray, "n slots"], visits: Visits, *, seed: int | None = None) -> Answers:
        """Return what came of a layout for each visit: at once.

        Raises
        ------
        DataError
            For layouts that there are not, or are forbidden, with their rows.
        """
        self.require(layouts)
        run = visits.seed if seed is None else seed
        uniform = uniforms(run, "answers", visits.first, len(visits), 1)[:, 0]
        reward = self._reward.reward(self.probability(layouts, visits.context), uniform)
        return Answers(reward, np.zeros(len(visits)), np.ones(len(visits), dtype=bool), visits.time)

    def require(self, layouts: Int[np.ndarray, "n slots"]) -> None:
        """Refuse layouts that there are not, or that are forbidden.

        Raises
        ------
        DataError
            With their rows.
        """
        self._numbers(layouts)
        _refuse(~self.allowed(layouts), "forbidden layouts", "show allowed ones: see LayoutWorld.allowed")

    def _require_context(self, context: Float[np.ndarray, "n n_context"]) -> None:
        if context.shape[1] != self.n_context:
            raise SpecificationError(f"a context has {self.n_context} columns here, not {context.shape[1]}")

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _numbers(self, layouts: Int[np.ndarray, "n slots"]) -> Int[np.ndarray, " n"]:
        sizes = np.array(list(self.slots.values()))
        if layouts.shape[1] != len(sizes):
            raise SpecificationError(f"a layout has an option for each of {len(sizes)} slots, not {layouts.shape[1]}")
        odd = np.asarray(((layouts < 0) | (layouts >= sizes)).any(axis=1))
        _refuse(odd, "options that a slot does not have", f"the slots have options from 0 to below {sizes.tolist()}")
        return np.asarray(np.ravel_multi_index(tuple(layouts.T), tuple(sizes)))

    def _indicators(self, layouts: Int[np.ndarray, "n slots"]) -> Float[np.ndarray, "n options"]:
        self._numbers(layouts)
        shown = np.zeros((len(layouts), sum(self.slots.values())))
        np.put_along_axis(shown, layouts + self._starts, 1.0, axis=1)
        return shown

    @cached_property
    def _starts(self) -> Int[np.ndarray, " slots"]:
        """The number of the first option of each slot among all options."""
        sizes = np.array(list(self.slots.values()))
        return np.asarray(np.cumsum(sizes) - sizes)

    @cached_property
    def _pairs(self) -> Int[np.ndarray, "pairs 2"]:
        """The two options of each pair, from two slots."""
        options = [range(start, start + count) for start, count in zip(self._starts, self.slots.values(), strict=True)]
        pairs = [(a, b) for one, other in combinations(options, 2) for a in one for b in other]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def _reward(self) -> RewardLink:
        return link_named(self.link, 1.0)

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Main effects, interactions, effects of the context alone and with each option; all sum to zero."""
        sizes = list(self.slots.values())
        n_options, n_pairs, n_rest = sum(sizes), len(self._pairs), self.n_context - 1
        drawn = normals(self.seed, "layout", 0, 1, n_options + n_pairs + n_rest + n_rest * n_options)[0]
        main, pairs, alone, crossed = np.split(drawn, np.cumsum([n_options, n_pairs, n_rest]))
        main = self._centred(self.main * main[None, :])[0]
        crossed = self._centred(self.context_effect * crossed.reshape(n_rest, n_options))
        tables, used = [], 0
        for one, other in combinations(sizes, 2):
            table = self.interaction * pairs[used : used + one * other].reshape(one, other)
            used += one * other
            table = table - table.mean(axis=0)
            tables.append((table - table.mean(axis=1, keepdims=True)).ravel())
        return main, np.concatenate([*tables, np.zeros(0)]), self.context_effect * alone, crossed

    def _centred(self, effects: Float[np.ndarray, "n options"]) -> Float[np.ndarray, "n options"]:
        """Return the effects less their mean over the options of each slot."""
        sizes = np.array(list(self.slots.values()))
        if not len(effects):
            return effects
        means = np.add.reduceat(effects, self._starts, axis=1) / sizes
        return np.asarray(effects - np.repeat(means, sizes, axis=1))

    @cached_property
    def _base(self) -> Float[np.ndarray, " layouts"]:
        """What each layout adds to utility whoever sees it."""
        main, pairs, _, _ = self._drawn
        options = self.layouts + self._starts
        base = main[options].sum(axis=1)
        used = 0
        for (one, n_one), (other, n_other) in combinations(enumerate(self.slots.values()), 2):
            table = pairs[used : used + n_one * n_other].reshape(n_one, n_other)
            used += n_one * n_other
            base += table[self.layouts[:, one], self.layouts[:, other]]
        return np.asarray(base)

    @cached_property
    def _slopes(self) -> Float[np.ndarray, "rest layouts"]:
        """What each layout adds to utility for a unit of each column of the context but the first."""
        crossed = self._drawn[3]
        slopes = np.zeros((len(crossed), self.n_layouts))
        for slot, start in enumerate(self._starts):
            slopes += crossed[:, start + self.layouts[:, slot]]
        return slopes

    def _of_visitors(self, context: Float[np.ndarray, "n n_context"]) -> Float[np.ndarray, " n"]:
        """Return the utility that does not depend on the layout."""
        alone = np.concatenate([self.theta[:1], self._drawn[2]])
        return weighted(context, alone[:, None])[:, 0]


def _refuse(odd: Bool[np.ndarray, " n"], what: str, remedy: str) -> None:
    if odd.any():
        rows = tuple((np.flatnonzero(odd)[:5] + 1).tolist())
        raise DataError("layouts shown", [Problem(what, remedy, rows=rows, count=int(odd.sum()))])


__all__ = ["MOST_LAYOUTS", "LayoutWorld", "Option"]

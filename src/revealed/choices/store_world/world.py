"""A simulated store: visitors, items, what is shown, what comes of it. The truth is known, so regret is exact.

A world is drawn from its seed and stays: items, tastes and how they drift, what delays depend on. A run's seed moves
visitors and their answers only. All of it is a function of seeds and the visit's number: whoever asks for visits 40
to 100 gets what somebody got who asked for visits 0 to 100. Imports its own folder and the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from revealed.choices.store_world.delays import Delay
from revealed.choices.store_world.drift import Drift
from revealed.choices.store_world.items import Arrivals
from revealed.choices.store_world.layouts import LayoutWorld
from revealed.choices.store_world.links import RewardLink, link_named
from revealed.choices.store_world.positions import best_value, examination
from revealed.choices.store_world.shown import Items, require_shown
from revealed.choices.store_world.streams import normals, uniforms
from revealed.choices.store_world.tastes import TasteLaw, Truth
from revealed.choices.store_world.visits import Answers, Visits
from revealed.errors import SpecificationError

#: The share of the variance of the context that stays from visit to visit of a person.
PERSON_SHARE = 0.5

Layouts = Int[np.ndarray, "count slots"]


@dataclass(frozen=True, eq=False, kw_only=True)
class StoreWorld:
    """A store whose truth is known.

    Parameters
    ----------
    n_items : int
        How many items there are in all.
    n_context : int
        How many columns the context has; the first is one, the others are standard normal.
    n_item_attributes : int, optional
        How many attributes an item has; the first is one, so that the context and the constant have effects of their
        own. None: each item has tastes of its own (disjoint arms), and learning of one says nothing of another.
    link : "logit", "probit", "gaussian" or "poisson"
        How utility turns into reward.
    base_rate : float
        The mean reward at time 0 of items shown at random where they are seen.
    taste : float
        About the standard deviation of utility among the items, for a visitor.
    item_effect : float
        The standard deviation of what items add to utility that their attributes do not explain. If above 0, each
        item has a feature of its own.
    noise : float
        The standard deviation of Gaussian rewards.
    visits_per_person : int
        How many successive visits are one person's. Half the variance of their context stays.
    arrivals : Arrivals, optional
        When items arrive and leave.
    drift : Drift, optional
        How tastes change: :class:`RandomWalk` or :class:`Seasons`.
    delay : Delay, optional
        How late answers come. A "no" then never comes. Without it all is known at once.
    positions : sequence of float, optional
        With which probability each position is seen; one position, always seen, by default.
    layout : LayoutWorld, optional
        How the page can be laid out: what a layout adds to utility, whatever items are shown.
    truth : Truth, optional
        Instead of one drawn; then it says the base rate, the tastes and the item effects.
    seed : int
        The world's.

    Raises
    ------
    SpecificationError
        For sizes and names that make no sense.

    Examples
    --------
    >>> world = StoreWorld(n_items=20, n_context=10, n_item_attributes=5, seed=1)
    >>> world
    StoreWorld(20 items, 10 × 5 tastes, logit)
    >>> visits = world.visits(0, 1000, seed=7)
    >>> best = world.probability(visits).argmax(axis=1)
    >>> int(world.answer(visits, best).reward.sum()), int(world.answer(visits, 0 * best).reward.sum())
    (167, 29)
    >>> float(world.regret(visits, best).max())
    0.0
    """

    n_items: int = 20
    n_context: int = 10
    n_item_attributes: int | None = 5
    link: str = "logit"
    base_rate: float = 0.05
    taste: float = 1.0
    item_effect: float = 0.0
    noise: float = 1.0
    visits_per_person: int = 1
    arrivals: Arrivals | None = None
    drift: Drift | None = None
    delay: Delay | None = None
    positions: Sequence[float] | None = None
    layout: LayoutWorld | None = None
    truth: Truth | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("n_items", "n_context", "n_item_attributes", "visits_per_person"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SpecificationError(f"{name} must be at least 1, not {value}")
        for name in ("taste", "item_effect"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SpecificationError(f"{name}, a standard deviation, must not be negative: {getattr(self, name)}")
        if self.seed < 0:
            raise SpecificationError(f"a seed must not be negative, not {self.seed}")
        if self.n_positions > self.n_items:
            raise SpecificationError(f"{self.n_positions} positions for {self.n_items} items")
        if self.arrivals is not None and not self.n_positions <= self.arrivals.initial <= self.n_items:
            raise SpecificationError(
                f"arrivals start with {self.arrivals.initial} items; it takes one for each of {self.n_positions} "
                f"positions, and there are {self.n_items}"
            )
        if self.layout is not None and self.layout.n_context != self.n_context:
            raise SpecificationError(f"layout has n_context={self.layout.n_context}, the store {self.n_context}")
        # Looking at the tastes draws them, which refuses a base rate that cannot be.
        if (self.tastes.n_items, len(self.tastes.tastes)) != (self.n_items, self.n_context):
            raise SpecificationError(
                f"truth has {self.tastes.n_items} items and {len(self.tastes.tastes)} columns of context; "
                f"the store has n_items={self.n_items}, n_context={self.n_context}"
            )

    def __repr__(self) -> str:
        late = [
            name for name in ("arrivals", "drift", "delay", "positions", "layout") if getattr(self, name) is not None
        ]
        size = " × ".join(map(str, self.tastes.tastes.shape))
        return f"StoreWorld({self.n_items} items, {', '.join([f'{size} tastes', self.link, *late])})"

    # ---- the truth ------------------------------------------------------------------------------------------------

    @cached_property
    def tastes(self) -> Truth:
        """What is true of the items and of tastes."""
        if self.truth is not None:
            return self.truth
        law = TasteLaw(
            n_items=self.n_items,
            n_context=self.n_context,
            n_item_attributes=self.n_item_attributes,
            taste=self.taste,
            item_effect=self.item_effect,
            base_rate=self.base_rate,
        )
        return law.draw(self._reward, self.seed)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature."""
        return self.tastes.feature_names

    @property
    def theta(self) -> Float[np.ndarray, " K"]:
        """The parameters at time 0, in the order of the features."""
        return self.theta_at(0.0)

    def theta_at(self, time: float) -> Float[np.ndarray, " K"]:
        """Return the parameters at a time, in the order of the features."""
        return self.tastes.theta_at(time, self.drift, self.seed)

    @property
    def n_positions(self) -> int:
        """How many items are shown at most."""
        return len(self.examination)

    @cached_property
    def examination(self) -> Float[np.ndarray, " positions"]:
        """The probability with which each position is seen."""
        return examination(self.positions)

    # ---- visits ---------------------------------------------------------------------------------------------------

    def visits(self, first: int, count: int, *, seed: int = 0) -> Visits:
        """Return ``count`` visits from number ``first`` on, one a round.

        Parameters
        ----------
        first, count : int
        seed : int
            The run's.

        Raises
        ------
        SpecificationError
            For a negative number, or if there is a visit for which the store has too few items.
        """
        index = np.arange(first, first + count)
        persons = index // self.visits_per_person
        context = np.ones((count, self.n_context))
        width = self.n_context - 1
        if width:
            context[:, 1:] = normals(seed, "context", first, count, width)
        if width and self.visits_per_person > 1 and count:
            since = int(persons[0])
            stays = normals(seed, "person", since, int(persons[-1]) - since + 1, width)[persons - since]
            context[:, 1:] *= np.sqrt(1 - PERSON_SHARE)
            context[:, 1:] += np.sqrt(PERSON_SHARE) * stays
        time = index.astype(np.float64)
        eligible = None
        if self.arrivals is not None:
            eligible = self.arrivals.eligible(time, self.n_items)
            few = np.flatnonzero(eligible.sum(axis=1) < self.n_positions)
            if len(few):
                raise SpecificationError(
                    f"at time {time[few[0]]:g} the store has fewer items than its {self.n_positions} positions; "
                    "give more items, a longer lifetime, or arrivals in quicker succession"
                )
        return Visits(int(first), int(seed), context, time, persons, eligible)

    def features(
        self, visits: Visits, items: Int[np.ndarray, "count some"] | None = None
    ) -> Float[np.ndarray, "count some K"]:
        """Return the features of items for each visit.

        They are the products of the context with the item's attributes, the context outer; then, in a world with
        ``item_effect``, an indicator for each item. A generalised linear model on them is well specified.

        Parameters
        ----------
        visits : Visits
        items : array of int, shape (count, some), optional
            Of which items; of all by default.
        """
        return self.tastes.features(visits.context, items)

    # ---- what would come of it ------------------------------------------------------------------------------------

    def probability(self, visits: Visits, layouts: Layouts | None = None) -> Float[np.ndarray, "count n_items"]:
        """Return the true expected reward of each item where it is seen, at the time of each visit.

        Parameters
        ----------
        visits : Visits
        layouts : array of int, shape (count, slots), optional
            The layout each visitor sees; needed in a store with layouts, and only there.
        """
        return self._mean(visits, None, self._of_layouts(visits, layouts))

    def expected(self, visits: Visits, shown: Items, layouts: Layouts | None = None) -> Float[np.ndarray, " count"]:
        """Return the true expected reward of what is shown to each visitor, summed over positions.

        Raises
        ------
        DataError
            For items that are not in the store then, or shown twice, with their rows.
        """
        slates = require_shown(shown, visits, self.n_items, self.n_positions)
        means = self._mean(visits, slates, self._of_layouts(visits, layouts))
        total = np.zeros(len(visits))
        for place in range(slates.shape[1]):
            total += means[:, place] * self.examination[place]
        return total

    def best(self, visits: Visits, width: int = 1) -> Float[np.ndarray, " count"]:
        """Return the expected reward of the best slate of a width, in the best layout, for each visit."""
        layouts = None
        if self.layout is not None:  # the mean rises with utility, so the best layout is the same for all items
            layouts = self.layout.layouts[self.layout.best_numbers(visits.context)]
        means = self._mean(visits, None, self._of_layouts(visits, layouts))
        if visits.eligible is not None:
            means = np.where(visits.eligible, means, -np.inf)
        return best_value(means, self.examination[:width])

    def regret(self, visits: Visits, shown: Items, layouts: Layouts | None = None) -> Float[np.ndarray, " count"]:
        """Return how much more the best choice would have earned in expectation, for each visit: exact.

        Parameters
        ----------
        visits : Visits
        shown : array of int, shape (count,) or (count, positions)
            The items shown, by number, the first position first.
        layouts : array of int, shape (count, slots), optional
            The layout each visitor sees; needed in a store with layouts, and only there.

        Raises
        ------
        DataError
            For items that are not in the store then, or shown twice, and layouts that are forbidden, with their rows.
        """
        earned = self.expected(visits, shown, layouts)
        best = self.best(visits, 1 if shown.ndim == 1 else shown.shape[1])
        # Sums of a slate in two orders differ by rounding errors.
        return np.asarray(np.maximum(best - earned, 0.0))

    def answer(
        self, visits: Visits, shown: Items, layouts: Layouts | None = None, *, seed: int | None = None
    ) -> Answers:
        """Return what came of what was shown.

        Parameters
        ----------
        visits : Visits
        shown : array of int, shape (count,) or (count, positions)
            The items shown, by number, the first position first.
        layouts : array of int, shape (count, slots), optional
            The layout each visitor sees; needed in a store with layouts, and only there.
        seed : int, optional
            The run's; that of the visits by default.

        Raises
        ------
        DataError
            For items that are not in the store then, or shown twice, and layouts that are forbidden, with their rows.
        """
        slates = require_shown(shown, visits, self.n_items, self.n_positions)
        width, places = slates.shape[1], self.n_positions
        run = visits.seed if seed is None else seed
        drawn = uniforms(run, "answers", visits.first, len(visits), 3 * places)
        means = self._mean(visits, slates, self._of_layouts(visits, layouts))
        seen = drawn[:, places : places + width] < self.examination[:width]
        reward = np.where(seen, self._reward.reward(means, drawn[:, :width]), 0.0)
        delay = np.zeros(slates.shape)
        if self.delay is not None:
            delay = self.delay.draw(drawn[:, 2 * places : 2 * places + width], visits.context, self.seed)
            silent = (reward == 0) if self._reward.no_is_silent else ~seen
            delay[silent] = np.inf
        shape = shown.shape
        return Answers(reward.reshape(shape), delay.reshape(shape), seen.reshape(shape), visits.time)

    # ---- a log ----------------------------------------------------------------------------------------------------

    def log(
        self,
        n: int,
        *,
        policy: Callable[[Visits], np.ndarray] | str = "uniform",
        seed: int = 0,
        until: float | None = None,
    ) -> pa.Table:
        """Return the log that the store would keep of ``n`` visits; :class:`StoreLog` writes one of any size to disk.

        Parameters
        ----------
        n : int
        policy, seed, until
            As in :class:`StoreLog`.

        Returns
        -------
        pyarrow.Table
            With columns ``decision``, ``person``, ``time``, ``action``, ``position``, ``propensity``, ``reward``,
            ``answered_at`` (missing where none comes), the context and the attributes of what was shown.
        """
        from revealed.choices.store_world.logs import StoreLog

        return StoreLog(self, n, policy, seed, until).table()

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _mean(
        self,
        visits: Visits,
        items: Int[np.ndarray, "count some"] | None,
        of_layouts: Float[np.ndarray, " count"] | None,
    ) -> Float[np.ndarray, "count some"]:
        if visits.context.shape[1] != self.n_context:
            raise SpecificationError(
                f"the visits have {visits.context.shape[1]} columns of context, this store {self.n_context}; "
                "take visits from the store they are for"
            )
        utility = self.tastes.utility(visits.context, visits.time, items, self.drift, self.seed)
        return self._reward.mean(utility if of_layouts is None else utility + of_layouts[:, None])

    def _of_layouts(self, visits: Visits, layouts: Layouts | None) -> Float[np.ndarray, " count"] | None:
        if (layouts is None) != (self.layout is None):
            raise SpecificationError(
                "this store has no layouts; make it with layout=LayoutWorld(…), or leave layouts out"
                if self.layout is None
                else "this store has layouts: say which one each visitor sees, as layouts="
            )
        if layouts is None or self.layout is None:
            return None
        self.layout.require(layouts)
        return self.layout.effect(layouts, visits.context)

    @cached_property
    def _reward(self) -> RewardLink:
        return link_named(self.link, self.noise)


__all__ = ["PERSON_SHARE", "StoreWorld"]

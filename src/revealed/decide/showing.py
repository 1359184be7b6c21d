"""What a policy would show in one context, place by place, and how likely. Imports its own room, models and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from revealed.decide.explore import Explorer
from revealed.decide.explore.explorer import Choice
from revealed.decide.explore.outlook import ManyOutlook
from revealed.decide.explore.propensity import drawn
from revealed.decide.slate.categories import Categories
from revealed.decide.slate.floors import FloorPlan
from revealed.decide.slate.learned import Price
from revealed.decide.slate.page import Page, Worth
from revealed.decide.slate.specified import Slates
from revealed.errors import DataError, Problem, SpecificationError

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy

#: Numbers of random numbers that a decision may use: one a place.
PLACES = 64
#: Where the random numbers of decisions on a single thing start: one for each, so that 256 of them share a pool.
SINGLES = 1 << 61
#: How many numbers decisions can have: beyond, places and single things would share random numbers.
NUMBERS = SINGLES // PLACES
#: Of the random numbers that marginals are drawn with, and slates walked through; pools of draws and lots have 0 and 1.
_MARGINALS, _WALKS = 2, 3

Record = Mapping[str, Any]
OfCandidates = Float[np.ndarray, " candidates"]


@dataclass(frozen=True, eq=False)
class Showing:
    """The candidates of one context, what is believed of them, and what may stand where.

    Parameters
    ----------
    labels : tuple of str
    base : ManyOutlook
        What is believed of each by itself.
    worth : Worth
    unblocked, first : array of bool, shape (candidates,)
        Which may be shown, and which first.
    explorer : Explorer
    by_lot : bool
        Whether what is eligible is shown by lot, to the holdout group.
    measures : mapping of str to array, shape (candidates,)
        The attributes that goals are of.
    """

    labels: tuple[str, ...]
    base: ManyOutlook
    worth: Worth
    unblocked: Bool[np.ndarray, " candidates"]
    first: Bool[np.ndarray, " candidates"]
    explorer: Explorer
    by_lot: bool
    measures: Mapping[str, OfCandidates]

    @classmethod
    def of(
        cls,
        policy: LearningPolicy,
        context: Record,
        candidates: Sequence[str | Record] | None = None,
        count: int | None = None,
        by_lot: bool = False,
    ) -> Showing:
        """Return what a policy knows and may do in a context; see :meth:`LearningPolicy.decide`."""
        records = policy.catalogue.candidates(candidates)
        labels = _labels(policy, records)
        slates, business = policy.specification.slate, policy.specification.business
        size = count if count is not None else 1 if slates is None else slates.size
        if policy.specification.layout is not None and size != 1:
            raise SpecificationError(f"a layout fills all its slots at once: cannot show {size}; leave the count out")
        unblocked = business.unblocked(labels)
        there = int(np.count_nonzero(unblocked))
        if not 1 <= size <= min(there, PLACES):
            of = f"{len(labels)} candidates" + (f", of which {there} eligible" if there < len(labels) else "")
            raise SpecificationError(f"cannot show {size} of {of} (at most {PLACES} at once)")
        base = policy.explorer.outlook(*policy.believed(context, records), 0)
        worth, measures = Worth.plain(len(labels), size), dict[str, OfCandidates]()
        if slates is not None:
            column = policy.catalogue.column
            measures = {name: _numbers(records, name, column) for name in slates.goals}
            worth = _worth(policy, slates, _categories(policy, slates, records), measures, size)
            worth = _diminishing(worth, slates, policy, base, unblocked)
            if slates.floors:
                worth = replace(worth, plan=_plan(slates, _categories(policy, slates, records), worth, unblocked))
        first = business.eligible(labels)
        showing = cls(labels, base, worth, unblocked, first, policy.explorer, by_lot, measures)
        return showing.priced(policy.slates.prices) if policy.slates.prices else showing

    def page(self, number: int) -> Page:
        """Return the empty slate of a decision.

        Raises
        ------
        SpecificationError
            If there is no decision of that number.
        """
        if not 0 <= number < NUMBERS:
            raise SpecificationError(f"decisions are numbered from 0 to 2**55 - 1, not {number!r}")
        first = SINGLES + number if len(self.worth.positions) == 1 else number * PLACES
        base = replace(self.base, numbers=np.array([first]))
        return Page(base, self.worth, self.unblocked, self.first)

    def decide(self, number: int) -> tuple[list[int], list[float]]:
        """Return what a decision shows, and the propensity of each given what stands above."""
        page, chances = self.page(number), []
        for _ in self.worth.positions:
            choice = self._by_lot(page) if self.by_lot else self.explorer.choose_by(page, page.number)
            page.show(choice.action)
            chances.append(choice.propensity)
        return page.shown, chances

    def priced(self, prices: Sequence[Price]) -> Showing:
        """Return the same at other prices of levels to keep, which are 0 here."""
        bonus = np.zeros(len(self.labels)) if self.worth.bonus is None else self.worth.bonus.copy()
        for price in prices:
            bonus += price.value / self.worth.positions.sum() * self.measures[price.goal.name]
        return replace(self, worth=replace(self.worth, bonus=bonus))

    def given_above(self, number: int, shown: Sequence[int]) -> Float[np.ndarray, "places candidates"]:
        """Return how likely a decision shows each candidate in each place, given what stands above it.

        Parameters
        ----------
        number : int
        shown : sequence of int
            What stands there, not necessarily by this decision. Below what it never would show there, where it makes no
            difference, all stays as it was.
        """
        page, rows = self.page(number), []
        for item in shown:
            rows.append(self._probabilities(page))
            if rows[-1][item] == 0:
                rows += [rows[-1]] * (len(shown) - len(rows))
                break
            page.show(item)
        return np.stack(rows)

    def walked(self, number: int) -> Float[np.ndarray, "places candidates"]:
        """Return how likely a decision shows each candidate in each place, given what it shows above it."""
        page, rows = self.page(number), []
        for uniform in self._generator(number, _WALKS).random(len(self.worth.positions)):
            rows.append(self._probabilities(page))
            page.show(int(drawn(rows[-1][None], np.array([uniform]))[0]))
        return np.stack(rows)

    def marginals(self, number: int, shown: Sequence[int], chances: Sequence[float], n_draws: int) -> list[float]:
        """Return how likely a decision shows each thing in its place, whatever stands elsewhere.

        Averages of its probability given what stands above, exact, over slates that are drawn again, and over the one
        shown, so that none is 0.

        Parameters
        ----------
        number : int
        shown : sequence of int
        chances : sequence of float
            As :meth:`decide` gives them.
        n_draws : int
        """
        generator = self._generator(number, _MARGINALS)
        sums = np.array(chances)
        for _ in range(n_draws):
            page = self.page(number)
            for place, item in enumerate(shown):
                probabilities = self._probabilities(page)
                sums[place] += probabilities[item]
                page.show(int(generator.choice(len(probabilities), p=probabilities / probabilities.sum())))
        means = sums / (n_draws + 1)
        means[0] = chances[0]  # nothing stands above it
        return [float(mean) for mean in means]

    def _generator(self, number: int, purpose: int) -> np.random.Generator:
        key = np.array([self.explorer.seed, purpose], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(counter=np.array([0, 0, number, 0], np.uint64), key=key))

    def _probabilities(self, page: Page) -> OfCandidates:
        if self.by_lot:
            eligible = page.eligible[0]
            return np.asarray(eligible / np.count_nonzero(eligible))
        return self.explorer.probabilities_by(page)

    def _by_lot(self, page: Page) -> Choice:
        places = np.flatnonzero(page.eligible[0])
        key = np.array([self.explorer.seed, page.number], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        return Choice(int(places[generator.integers(len(places))]), 1 / len(places))


def _labels(policy: LearningPolicy, records: Sequence[Record]) -> tuple[str, ...]:
    if not records:
        raise SpecificationError("no candidate was given, and none met so far; learn first, or give candidates")
    labels = tuple(str(record[policy.catalogue.column]) for record in records)
    if len(set(labels)) < len(labels):
        twice = next(label for number, label in enumerate(labels) if label in labels[:number])
        raise SpecificationError(f"the candidate {twice!r} is given twice; give each once")
    return labels


def _column(records: Sequence[Record], name: str, label: str) -> list[Any]:
    """Return an attribute of candidates that [slate] needs."""
    cells = [record.get(name) for record in records]
    lacking = [str(record[label]) for record, cell in zip(records, cells, strict=True) if cell is None]
    if lacking:
        what = f"no {name!r} of {', '.join(lacking[:3])}, which [slate] needs"
        raise DataError("candidates", [Problem(what, "give it, or leave the candidate out", count=len(lacking))])
    return cells


def _numbers(records: Sequence[Record], name: str, label: str) -> OfCandidates:
    cells = _column(records, name, label)
    for record, cell in zip(records, cells, strict=True):
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not np.isfinite(cell):
            what = f"{name!r} of {record[label]} is {cell!r}, and a goal of [slate]"
            raise DataError("candidates", [Problem(what, "goals are of attributes that are finite numbers")])
    return np.array(cells, dtype=np.float64)


def _categories(policy: LearningPolicy, slates: Slates, records: Sequence[Record]) -> Categories:
    """Return the category of each candidate; those of all actions met so far have a name."""
    if slates.category is None:
        return Categories((), np.zeros((len(records), 0), np.intp))
    named = [str(cell) for cell in _column(records, slates.category, policy.catalogue.column)]
    met = (attributes.get(slates.category) for attributes in policy.catalogue.actions.values())
    labels = sorted({*named, *(str(name) for name in met if name is not None)})
    codes = {name: code for code, name in enumerate(labels)}
    return Categories(tuple(labels), np.array([[codes[name]] for name in named], dtype=np.intp))


def _worth(
    policy: LearningPolicy,
    slates: Slates,
    categories: Categories,
    measures: Mapping[str, OfCandidates],
    size: int,
) -> Worth:
    """Return what slates are worth, returns not yet diminishing."""
    positions = _positions(policy, slates, size)
    bonus = np.zeros(len(categories))
    for name, goal in slates.goals.items():
        if not isinstance(goal, Mapping):
            bonus += goal * measures[name]
    return Worth.by_category(positions, categories, bonus if slates.goals else None)


def _positions(policy: LearningPolicy, slates: Slates, size: int) -> Float[np.ndarray, " size"]:
    known = slates.positions
    if slates.positions == "estimated":
        known = policy.slates.examination
    if not len(known):
        return np.ones(size)
    if size > len(known):
        told = "told by the log" if slates.positions == "estimated" else "given in [slate]"
        raise SpecificationError(
            f"cannot show {size}: how much a position is looked at is {told} for {len(known)}; show at most so many"
        )
    return np.array([examined / known[0] for examined in known[:size]])


def _diminishing(
    worth: Worth, slates: Slates, policy: LearningPolicy, base: ManyOutlook, unblocked: Bool[np.ndarray, " candidates"]
) -> Worth:
    """Return the worth with expected answers for scores, relative to the best, if more than their order counts."""
    diverse = slates.category is not None and slates.diversity > 0
    if not diverse and worth.bonus is None:
        return worth
    worth = replace(worth, answers=policy.model.link.mean)
    best = float(worth.scores(base.means())[0, unblocked].max())
    return replace(worth, scale=slates.diversity / best) if diverse and best > 0 else worth


def _plan(
    slates: Slates, categories: Categories, worth: Worth, unblocked: Bool[np.ndarray, " candidates"]
) -> FloorPlan:
    counts = np.bincount(worth.group[unblocked], minlength=len(worth.groups.sets))
    return FloorPlan.of(slates.floors, categories, worth.groups.sets, counts, worth.positions)

"""What would be chosen if something were different: shares, counts, surplus. Imports models to choices.

Both worlds are predicted by the model, for the choice situations of a log (sample enumeration), so a change of nothing
changes nothing; what was chosen in fact does not enter. See :mod:`revealed.answer.grammar` for how changes are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.change import Change
from revealed.answer.grammar import read_change
from revealed.answer.interval import (
    Estimate,
    Estimates,
    IntervalOptions,
    fit_warnings,
    interval_assumptions,
    intervals,
)
from revealed.answer.money import USUAL_COSTS, Money, money_of, usual_costs
from revealed.answer.population import EVERYONE, Population, in_memory, population_of
from revealed.answer.predict import Groups, sums, sums_and_logsums
from revealed.answer.scenario import Scenario
from revealed.answer.support import SUPPORT_NOTE, added_notes, effect_warnings, log_warnings, support_warnings
from revealed.answer.surplus import (
    NO_INCOME_EFFECT,
    SegmentSurplus,
    by_cases,
    segment_surplus,
    surplus_table,
    surplus_values,
)
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.fit import Fit

#: Shares that move by less than this have not moved.
_STILL = 1e-12


@dataclass(frozen=True)
class ShareChange:
    """The share of an alternative in a segment, before and after.

    Parameters
    ----------
    segment : str
        "all" for everyone.
    alternative : str
    before, after, difference : Estimate
        Shares of choices, between 0 and 1, and their difference.
    count_before, count_after : float
        Expected (weighted) numbers of choices.
    """

    segment: str
    alternative: str
    before: Estimate
    after: Estimate
    difference: Estimate
    count_before: float
    count_after: float


@dataclass(frozen=True, repr=False)
class WhatIf(Answer):
    """What would be chosen if something were different.

    Parameters
    ----------
    changes : tuple of str
        What was changed, in order.
    shares : tuple of ShareChange
        By segment, everyone first, then by alternative, new ones last.
    surplus : tuple of SegmentSurplus
        The change of consumer surplus by segment, everyone first; empty where no cost is known.
    cost : str or None
        What surplus is measured in.
    """

    changes: tuple[str, ...]
    shares: tuple[ShareChange, ...]
    surplus: tuple[SegmentSurplus, ...]
    cost: str | None
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def alternatives(self) -> tuple[str, ...]:
        """The alternatives, new ones last."""
        return unique(tuple(item.alternative for item in self.shares))

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments, everyone first."""
        return unique(tuple(item.segment for item in self.shares))

    def share(self, alternative: str, segment: str = EVERYONE) -> ShareChange:
        """Return the share of an alternative in a segment."""
        for item in self.shares:
            if (item.alternative, item.segment) == (alternative, segment):
                return item
        strange = alternative not in self.alternatives
        known, what = (self.alternatives, alternative) if strange else (self.segments, segment)
        raise SpecificationError(f"no {what!r} in this answer; {nearest(what, known)}")

    def table(self) -> Table:
        """Return one row per segment and alternative; the change and its interval are in percentage points."""
        first = (Column("segment", "text"),) if len(self.segments) > 1 else ()
        columns = (
            *first,
            Column("alternative", "text"),
            Column("before", "share"),
            Column("after", "share"),
            Column("change (points)", "points"),
            Column("low", "points"),
            Column("high", "points"),
            Column("choices before"),
            Column("choices after"),
        )
        rows = tuple(
            (
                *((item.segment,) if first else ()),
                item.alternative,
                item.before.value,
                item.after.value,
                *(item.difference.value, item.difference.low, item.difference.high),
                item.count_before,
                item.count_after,
            )
            for item in self.shares
        )
        title = f"What if {'; '.join(self.changes)}" if self.changes else "What if nothing changes"
        return Table(title, columns, rows, unique(self.warnings, self.assumptions))

    def tables(self) -> tuple[Table, ...]:
        """Return the shares and, where a cost is known, the change of consumer surplus."""
        surplus = self.surplus_table()
        return (self.table(),) if surplus is None else (self.table(), surplus)

    def surplus_table(self) -> Table | None:
        """Return the change of consumer surplus, one row per segment; None where no cost is known."""
        if not self.surplus or self.cost is None:
            return None
        notes = ("positive: better off",)
        return surplus_table("Change of consumer surplus", self.cost, self.surplus, notes)


def whatif(
    fit: Fit,
    log: ChoiceLog,
    *changes: str | Change,
    by: str | None = None,
    cost: str | None = None,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> WhatIf:
    """Return shares and consumer surplus before and after some changes, overall and by segment.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        The choice situations to change, for instance the ones the model was fitted to.
    *changes : str or Change
        Such as ``"cost[alternative == 'train'] *= 1.1"``, ``"available[alternative == 'car'] = 0"``,
        ``"remove train"``, ``"add hyperloop like train: cost = 2 * cost, time /= 3"``, one after the other; or
        :class:`Set`, :class:`Remove` and :class:`Add`. See :mod:`revealed.answer.grammar`.
    by : str, optional
        A column of the case: answers by its values too.
    cost : str, optional
        The column or parameter that is money, for surplus. By default the one column in the utility that is called
        cost, price, fare, toll or fee, if it can serve.
    level : float
    method : {"delta", "simulation"}
        Delta intervals of shares are taken on the log-odds.
    options : IntervalOptions, optional

    Raises
    ------
    SpecificationError
        For a change that cannot be read or made, or a cost given that is no money.
    DataError
        If changes bring missing cells into play.
    """
    log = in_memory(log)
    population = population_of(log, by)
    scenario = Scenario.of(log)
    for change in map(read_change, changes):
        scenario = change.apply(scenario)
    scenario.require_choice()
    money, money_notes, unnamed = _money(fit, log, cost)
    worlds = _Worlds.of(fit, log, scenario, population, money)
    function = worlds.values if money is None else by_cases(worlds.values, log.n_cases)
    found = intervals(fit, function, level=level, method=method, options=options)
    shares, surplus = worlds.read(found)
    idle = effect_warnings(fit, scenario)
    if changes and not idle and all(abs(item.difference.value) < _STILL for item in shares):
        idle = ["the changes have no effect: what they touch has no part in the utility of those alternatives"]
    notes = (*log_warnings(fit, log), *idle, *support_warnings(fit, log, scenario), *added_notes(fit, log, scenario))
    return WhatIf(
        changes=tuple(text for text, _ in scenario.changes),
        shares=shares,
        surplus=surplus,
        cost=None if money is None else money.name,
        assumptions=(
            f"the choice situations of {log.source}, weighted as there; nothing else adapts",
            *((SUPPORT_NOTE,) if set(scenario.touched) - {scenario.available_column} else ()),
            *((NO_INCOME_EFFECT,) if money else ()),
            *unnamed,
            *fit.model.assumptions,
            *interval_assumptions(fit, options),
        ),
        warnings=unique(fit_warnings(fit), notes, money_notes),
    )


@dataclass(frozen=True, eq=False)
class _Worlds:
    """The log before and after, as sums by segment and alternative."""

    fit: Fit
    before: ChoiceLog
    after: ChoiceLog
    groups_before: Groups
    groups_after: Groups
    labels: tuple[str, ...]
    population: Population
    money: Money | None

    @classmethod
    def of(cls, fit: Fit, log: ChoiceLog, scenario: Scenario, population: Population, money: Money | None) -> _Worlds:
        n = len(scenario.labels)
        groups_before = Groups.of(log, population, log.alternative_codes, n)
        groups_after = Groups.of(scenario.log, population, scenario.codes, n)
        return cls(fit, log, scenario.log, groups_before, groups_after, scenario.labels, population, money)

    def values(self, points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        """Return shares before, shares after, their difference and the change of surplus, side by side."""
        law = self.fit.law
        gain = np.empty((len(points), 0))
        if self.money is None:
            before = sums(law, self.before, points, self.groups_before)
            after = sums(law, self.after, points, self.groups_after)
        else:
            before, logsum_before = sums_and_logsums(law, self.before, points, self.groups_before)
            after, logsum_after = sums_and_logsums(law, self.after, points, self.groups_after)
            gains = self.money.gains(self.fit, points, (self.before, self.after), (logsum_before, logsum_after))
            gain = surplus_values(gains, self.population)
        before, after = self._shares(before), self._shares(after)
        return np.hstack([before, after, after - before, gain])

    def read(self, found: Estimates) -> tuple[tuple[ShareChange, ...], tuple[SegmentSurplus, ...]]:
        """Return what the values mean."""
        n, segments = len(self.labels), self.population.labels
        size = n * len(segments)
        before, after = (found.part(slice(k * size, (k + 1) * size)).between_zero_and_one() for k in (0, 1))
        difference = found.part(slice(2 * size, 3 * size))
        totals = self.population.with_everyone(self.population.totals[None])[0]
        shares = tuple(
            ShareChange(
                segment,
                label,
                before[i],
                after[i],
                difference[i],
                float(before.value[i] * totals[s]),
                float(after.value[i] * totals[s]),
            )
            for s, segment in enumerate(segments)
            for i, label in enumerate(self.labels, s * n)
        )
        gains = found.part(slice(3 * size, len(found)))
        return shares, segment_surplus(gains, self.population) if len(gains) else ()

    def _shares(self, sums_by_group: Float[np.ndarray, "points groups"]) -> Float[np.ndarray, "points shares"]:
        segmented = sums_by_group.reshape(len(sums_by_group), len(self.population.segments), -1)
        totals = self.population.with_everyone(self.population.totals[None])
        shares = self.population.with_everyone(segmented) / totals[:, :, None]
        return np.asarray(shares.reshape(len(sums_by_group), -1))


def _money(fit: Fit, log: ChoiceLog, cost: str | None) -> tuple[Money | None, list[str], list[str]]:
    """Return how utility becomes money: by the cost given, which must do, or by the usual one, if it can serve.

    Without it there is no surplus, and the reason why comes second if the usual cost fails, third if there is none.
    """
    if cost is not None:
        return money_of(fit, log, cost), [], []
    usual = usual_costs(fit, log)
    if len(usual) != 1:
        return None, [], [_no_usual_cost(usual)]
    try:
        return money_of(fit, log, usual[0]), [], []
    except SpecificationError as error:
        return None, [f"no surplus: {error}"], []


def _no_usual_cost(found: Sequence[str]) -> str:
    """Return why there is no surplus where no single column of the utility has the name of a cost."""
    if found:
        return f"no surplus: several columns of the utility may be money ({', '.join(found)}); name one as the cost"
    usual = f"{', '.join(USUAL_COSTS[:-1])} or {USUAL_COSTS[-1]}"
    return f"no surplus: nothing in the utility is called {usual}; name what is money as the cost"

r"""Consumer surplus from logsums. Imports models to choices.

What people are better off by a change, in money: the difference of the expected maximum utility divided by the marginal
utility of money (Small and Rosen 1981, "Applied welfare economics with discrete choice models"; Williams 1977),

.. math:: \Delta E(\mathrm{CS}_n) = \frac{1}{\alpha_n}\Big(\log\sum_j e^{v^1_{nj}} - \log\sum_j e^{v^0_{nj}}\Big)

for the logit, :math:`\alpha_n` being minus the cost coefficient. It is the compensating variation where the marginal
utility of money does not change with the sums at stake. Where :math:`\alpha` differs between people (a mixed logit with
a log-normal cost coefficient, the classes of a latent-class logit), it is the mean over each person's draws, or over
classes by the person's probability of each, of the quotient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.interval import (
    Estimate,
    Estimates,
    IntervalOptions,
    fit_warnings,
    interval_assumptions,
    intervals,
)
from revealed.answer.money import money_of
from revealed.answer.population import Population, in_memory, population_of
from revealed.answer.predict import in_turn
from revealed.answer.support import log_warnings
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.fit import Fit

NO_INCOME_EFFECT = "no income effect: the marginal utility of money does not change with the sums at stake"


@dataclass(frozen=True)
class SegmentSurplus:
    """The surplus of a segment, in units of the cost.

    Parameters
    ----------
    segment : str
    n_choices : float
        Weighted choices in it.
    per_choice : Estimate
        The weighted mean over its choices.
    total : Estimate
        The weighted sum.
    """

    segment: str
    n_choices: float
    per_choice: Estimate
    total: Estimate


@dataclass(frozen=True, repr=False)
class Surplus(Answer):
    """Consumer surplus, or its change.

    Parameters
    ----------
    cost : str
    segments : tuple of SegmentSurplus
        Everyone first.
    change : bool
        Whether it is a change; a level by itself holds an unknown constant.
    """

    cost: str
    segments: tuple[SegmentSurplus, ...]
    change: bool
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, segment: str) -> SegmentSurplus:
        """Return one segment."""
        for item in self.segments:
            if item.segment == segment:
                return item
        raise SpecificationError(
            f"no segment {segment!r}; {nearest(segment, [item.segment for item in self.segments])}"
        )

    def table(self) -> Table:
        """Return one row per segment."""
        title = "Change of consumer surplus" if self.change else "Consumer surplus, up to a constant"
        return surplus_table(title, self.cost, self.segments, unique(self.warnings, self.assumptions))


def surplus_table(title: str, cost: str, segments: tuple[SegmentSurplus, ...], notes: tuple[str, ...]) -> Table:
    """Return surplus as a table, one row per segment."""
    columns = (
        Column("segment", "text"),
        Column("choices"),
        Column("per choice"),
        Column("low"),
        Column("high"),
        Column("total"),
        Column("total low"),
        Column("total high"),
    )
    rows = tuple(
        (
            item.segment,
            item.n_choices,
            *(item.per_choice.value, item.per_choice.low, item.per_choice.high),
            *(item.total.value, item.total.low, item.total.high),
        )
        for item in segments
    )
    return Table(f"{title} (in units of {cost})", columns, rows, notes)


def surplus(
    fit: Fit,
    log: ChoiceLog,
    *,
    cost: str,
    after: ChoiceLog | None = None,
    by: str | None = None,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> Surplus:
    """Return the change of consumer surplus from one log to another, or its level in one.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        Before.
    cost : str
        The column or parameter that is money. It must enter linearly and weigh the same in all alternatives of a case.
    after : ChoiceLog, optional
        The same cases after a change; :func:`revealed.answer.whatif.whatif` makes such changes from text. Without it,
        the level: good for comparing segments under one model only, as it holds an unknown constant.
    by : str, optional
        A column of the case: surplus by its values too.
    level, method, options
        Of the intervals; see :func:`revealed.answer.interval.intervals`.

    Raises
    ------
    SpecificationError
        If the cost is not linear (a difference of logsums is then no money), has the wrong sign, or the two logs are
        not of the same cases.
    """
    log = in_memory(log)
    if after is not None:
        after = in_memory(after)
        if after.n_cases != log.n_cases or not after.case_labels.equals(log.case_labels):
            raise SpecificationError("the logs before and after must hold the same cases, in the same order")
    population = population_of(log, by)
    money = money_of(fit, log, cost)

    def function(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        return surplus_values(money.gains(fit, points, (log, after)), population)

    found = intervals(fit, by_cases(function, log.n_cases), level=level, method=method, options=options)
    notes = (
        [] if after is not None else ["a level of surplus holds an unknown constant: only differences have a meaning"]
    )
    return Surplus(
        cost=cost,
        segments=segment_surplus(found, population),
        change=after is not None,
        assumptions=(NO_INCOME_EFFECT, *fit.model.assumptions, *interval_assumptions(fit, options)),
        warnings=unique(fit_warnings(fit), log_warnings(fit, log), notes),
    )


def case_surplus(fit: Fit, log: ChoiceLog, *, cost: str, after: ChoiceLog | None = None) -> Float[np.ndarray, " cases"]:
    """Return the (change of) consumer surplus of each case, in units of the cost; see :func:`surplus`."""
    log = in_memory(log)
    money = money_of(fit, log, cost)
    after = None if after is None else in_memory(after)
    return np.asarray(money.gains(fit, fit.params[None], (log, after))[0])


def surplus_values(
    gains: Float[np.ndarray, "points cases"], population: Population
) -> Float[np.ndarray, "points values"]:
    """Return the weighted sum of gains by segment, everyone first."""
    sums = np.stack(
        [
            np.bincount(population.codes, row * population.weight, len(population.segments))
            for row in np.broadcast_to(gains, (len(gains), len(population.codes)))
        ]
    )
    return population.with_everyone(sums)


def segment_surplus(totals: Estimates, population: Population) -> tuple[SegmentSurplus, ...]:
    """Return the surplus of each segment from its total."""
    sizes = population.with_everyone(population.totals[None])[0]
    return tuple(
        SegmentSurplus(segment, float(size), _divided(totals[index], float(size)), totals[index])
        for index, (segment, size) in enumerate(zip(population.labels, sizes, strict=True))
    )


def by_cases(
    function: Callable[[Float[np.ndarray, "some K"]], Float[np.ndarray, "some values"]], n_cases: int
) -> Callable[[Float[np.ndarray, "points K"]], Float[np.ndarray, "points values"]]:
    """Return a function of parameter vectors that takes only so many at a time as memory allows."""

    def bounded(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        return in_turn(function, points, n_cases)

    return bounded


def _divided(estimate: Estimate, by: float) -> Estimate:
    value, error = estimate.value / by, estimate.standard_error / by
    return Estimate(value, error, estimate.low / by, estimate.high / by, estimate.level, estimate.method)

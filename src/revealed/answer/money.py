r"""The marginal utility of money, from the coefficient of a cost. Imports models to choices.

Differences of logsums become money when divided by :math:`\alpha_n`, what one unit of money adds to utility (Small and
Rosen 1981). That needs the cost to enter linearly and alike for all alternatives of a case. Where one term of the
utility holds the cost, :math:`\alpha` is minus its coefficient. Where several do (``cost + cost:income``), it is
measured: a sum added to the cost of every alternative must lower the logsum in proportion and change no probability.
Where that coefficient differs between people (a mixed logit, a latent-class logit), the difference of logsums at a draw
or in a class is divided by the :math:`\alpha` there, and then averaged: what a person with such tastes would pay, and
the mean over people. Where a change moves memberships in classes, those of before it count: whoever is of a class gains
by what it values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.classes import Kind, kinds_of, utility_designs
from revealed.answer.predict import logsums
from revealed.answer.random_cost import cost_differs, distributions, require_worth_in
from revealed.choices.expression import names_in
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.design import Design, DesignColumn, Indicator, Numeric
from revealed.models.fit import Fit
from revealed.models.latent import LatentLaw
from revealed.models.law import Law
from revealed.models.logit import LogitLaw
from revealed.models.mixed.law import MixedLaw
from revealed.models.mixed.moments import require_mean_of_inverse

#: Names by which a cost is known when none is given.
USUAL_COSTS = ("cost", "price", "fare", "toll", "fee")


@dataclass(frozen=True, eq=False)
class Money:
    """How utility becomes money.

    Parameters
    ----------
    name : str
        The cost, as the user named it.
    index : int or None
        The cost's parameter, where one coefficient says it all; in a latent-class logit, that among each class's own.
    slope : float
        What a unit of money adds to that parameter's design column.
    raised : ChoiceLog or None
        Otherwise, the log with ``rise`` added to the cost of every alternative.
    rise : float
    drawn : str or None
        The design column of the cost, where its coefficient differs between people.
    """

    name: str
    index: int | None
    slope: float = 1.0
    raised: ChoiceLog | None = None
    rise: float = 1.0
    drawn: str | None = None

    def gains(
        self,
        fit: Fit,
        points: Float[np.ndarray, "points K"],
        logs: tuple[ChoiceLog, ChoiceLog | None],
        found: tuple[Float[np.ndarray, "points cases"], Float[np.ndarray, "points cases"]] | None = None,
    ) -> Float[np.ndarray, "points cases"]:
        """Return the change of surplus of each case in money, or its level where nothing changes.

        Parameters
        ----------
        fit : Fit
        points : ndarray of float64, shape (points, K)
        logs : tuple of ChoiceLog
            Before and after (or None).
        found : tuple of ndarray of float64, shape (points, cases), optional
            Their logsums, where they are known already.
        """
        before, after = logs
        if isinstance(fit.law, LatentLaw):
            share = np.stack([fit.law.shares(before, params) for params in points])
            logit = LogitLaw(fit.law.design)
            each = [self._divided(logit, at, logs, None) for at in fit.law.each_class(points)]
            return np.asarray(sum(share[:, :, k] * gain for k, gain in enumerate(each)))
        if self.drawn is not None:
            assert isinstance(fit.law, MixedLaw)
            level = fit.law.logsums_over_cost(before, points, self.drawn)
            rise = level if after is None else fit.law.logsums_over_cost(after, points, self.drawn) - level
            return np.asarray(rise / self.slope)
        return self._divided(fit.law, points, logs, found)

    def _divided(
        self,
        law: Law,
        points: Float[np.ndarray, "points K"],
        logs: tuple[ChoiceLog, ChoiceLog | None],
        found: tuple[Float[np.ndarray, "points cases"], Float[np.ndarray, "points cases"]] | None,
    ) -> Float[np.ndarray, "points cases"]:
        """Return the gains of people with one set of coefficients: the change of logsums over what money is to them."""
        before, after = logs
        first = logsums(law, before, points) if found is None else found[0]
        if found is not None:
            rise = found[1] - first
        else:
            rise = first if after is None else logsums(law, after, points) - first
        return np.asarray(rise / self.utility(law, points, first))

    def utility(
        self, law: Law, points: Float[np.ndarray, "points K"], before: Float[np.ndarray, "points cases"]
    ) -> Float[np.ndarray, "points cases_or_1"]:
        """Return the marginal utility of money: one for all cases, or one each.

        Parameters
        ----------
        law : Law
        points : ndarray of float64, shape (points, K)
        before : ndarray of float64, shape (points, cases)
            The logsums at those points.
        """
        if self.index is not None:
            return -self.slope * points[:, [self.index]]
        assert self.raised is not None
        return np.asarray((before - logsums(law, self.raised, points)) / self.rise)


def money_of(fit: Fit, log: ChoiceLog, cost: str) -> Money:
    """Return how utility becomes money by a cost.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
    cost : str
        A column of the log that is in the utility, or a parameter.

    Raises
    ------
    SpecificationError
        If it is neither, does not enter linearly, or a unit of it matters more for some alternatives than for others;
        or if the marginal utility of money comes out at zero or below, be it in one class.
    """
    variable, terms = _terms(fit, log, cost)
    if cost_differs(fit, [term.name for term in terms]):
        return _drawn(fit, log, cost, variable, terms)
    money = None
    require_worth_in(fit, [term.name for term in terms])
    kinds = kinds_of(fit)
    if len(terms) == 1 and terms[0].name in kinds[0].law.names:
        slope = _slope(terms[0], variable, log)
        if slope is not None:
            money = Money(cost, kinds[0].law.names.index(terms[0].name), slope)
    money = money or _measured(kinds, log, cost, variable)
    for kind in kinds:
        _require_value(money, fit, log, kind)
    return money


def _require_value(money: Money, fit: Fit, log: ChoiceLog, kind: Kind) -> None:
    """Raise SpecificationError unless money is worth something to people with one set of coefficients."""
    at_estimates = kind.params[None]
    before = logsums(kind.law, log, at_estimates)
    if not np.isfinite(before).all():
        raise SpecificationError(f"a {fit.model.title.lower()} gives no logsum, so there is no surplus to compute")
    found = money.utility(kind.law, at_estimates, before)
    if not (found > 0).all():
        share = float((found <= 0).mean())
        whom = "" if share == 1 else f" for {share:.1%} of the cases"
        raise SpecificationError(
            f"a higher {money.name!r} does not lower utility{kind.among}{whom}: with such a sign there is no value in "
            "money; check the specification"
        )


def _drawn(fit: Fit, log: ChoiceLog, cost: str, variable: str, terms: Sequence[DesignColumn]) -> Money:
    """Return how utility becomes money where the coefficient of the cost differs between people."""
    name = terms[0].name
    slope = _slope(terms[0], variable, log) if len(terms) == 1 else None
    if slope is None or not slope > 0:
        raise SpecificationError(
            f"the coefficient of the cost {cost!r} differs between people and {cost!r} enters "
            f"{', '.join(term.name for term in terms)}: surplus then needs one term, with the cost alone"
        )
    require_worth_in(fit, [name])
    require_mean_of_inverse(distributions(fit), fit.params, name)
    return Money(cost, None, slope, drawn=name)


def usual_costs(fit: Fit, log: ChoiceLog) -> list[str]:
    """Return the columns in the utility that are called cost, price or the like."""
    variables = {name for design in utility_designs(fit) for name in design.variables}
    return [name for name in sorted(variables) if name.casefold() in USUAL_COSTS and name in log.column_names]


def variables_of(factors: Sequence[Numeric | Indicator]) -> set[str]:
    """Return the columns that the numeric factors of a term use."""
    return {name for factor in factors if isinstance(factor, Numeric) for name in names_in(factor.expression)}


def _terms(fit: Fit, log: ChoiceLog, cost: str) -> tuple[str, list[DesignColumn]]:
    """Return the column that is money, and the design columns it enters."""
    columns = [column for design in utility_designs(fit) for column in design.columns]
    variables = {name for column in columns for name in variables_of(column.factors)}
    if cost in variables:
        return cost, [column for column in columns if cost in variables_of(column.factors)]
    named = [column for column in columns if column.name == cost]
    if not named:
        known = sorted({*variables, *(column.name for column in columns)})
        raise SpecificationError(f"no cost {cost!r} in the utility; {nearest(cost, known)}")
    linear = [name for name in sorted(variables_of(named[0].factors)) if _slope(named[0], name, log) is not None]
    if len(linear) != 1:
        raise SpecificationError(
            f"the term {cost!r} is not linear in one column, so a unit of it is no fixed sum of money; "
            "surplus needs a cost that enters linearly"
        )
    return linear[0], [column for column in columns if linear[0] in variables_of(column.factors)]


def _slope(term: DesignColumn, variable: str, log: ChoiceLog) -> float | None:
    """Return what a unit of a column adds to a term, if it is the same wherever the term is not held at zero."""
    if any(isinstance(factor, Indicator) and factor.column != log.columns.alternative for factor in term.factors):
        return None  # other segments have another slope, or none
    numeric = tuple(factor for factor in term.factors if isinstance(factor, Numeric))
    if numeric == (Numeric(variable),):
        return 1.0
    design = Design((DesignColumn("term", numeric),), {})
    rise = _scale(log, variable)
    values = [design.matrix(_with_added(log, variable, times * rise))[0] for times in (0, 1, 2)]
    first, second = values[1] - values[0], values[2] - values[1]
    usable = np.isfinite(values).all(axis=0)
    steps = first[usable & (first != 0)] / rise
    tolerance = 1e-9 * np.abs(steps).max(initial=0.0)
    if not len(steps) or np.ptp(steps) > tolerance or np.abs(second - first)[usable].max() > tolerance * rise:
        return None
    return float(steps.mean())


def _measured(kinds: Sequence[Kind], log: ChoiceLog, cost: str, variable: str) -> Money:
    """Return the marginal utility of money measured by raising the cost of every alternative."""
    rise = _scale(log, variable)
    once, twice = _with_added(log, variable, rise), _with_added(log, variable, 2 * rise)
    for kind in kinds:
        zero, one, two = (kind.law.predict(each, kind.params) for each in (log, once, twice))
        first, second = zero.logsum - one.logsum, one.logsum - two.logsum
        shifted = np.abs(one.probability - zero.probability).max(initial=0.0) > 1e-7
        bent = np.abs(second - first).max(initial=0.0) > 1e-7 * max(1.0, np.abs(first).max(initial=0.0))
        if shifted or bent:
            why = (
                "does not enter linearly"
                if bent and not shifted
                else "has another weight in some alternatives than in others, or does not enter linearly"
            )
            raise SpecificationError(
                f"the cost {cost!r} {why}, so a difference of logsums is no sum of money; "
                "name the one linear coefficient that is (cost=…), or fit a utility linear in the cost"
            )
    return Money(cost, None, raised=once, rise=rise)


def _with_added(log: ChoiceLog, variable: str, amount: float) -> ChoiceLog:
    return log.with_columns({variable: log.numbers(variable).astype(np.float64) + amount})


def _scale(log: ChoiceLog, variable: str) -> float:
    """Return the spread of a column, or one if it has none."""
    values = log.numbers(variable)
    values = values[np.isfinite(values)]
    spread = float(np.std(values, dtype=np.float64)) if len(values) else 0.0
    return spread if spread > 0 else 1.0

r"""Diversion: where the choices go that an alternative loses. Imports models to choices.

Of the choices that leave :math:`j` when one of its attributes worsens a little, or when it is gone, the share that goes
to :math:`i` is

.. math:: D_{ji} = -\frac{\partial S_i / \partial x_j}{\partial S_j / \partial x_j}
   \qquad\text{or}\qquad D_{ji} = \frac{S_i^{-j} - S_i}{S_j}

with :math:`S_i` the sum of probabilities over the choice situations and :math:`S_i^{-j}` that without :math:`j` (Conlon
and Mortimer 2021, "Empirical properties of diversion ratios", RAND Journal of Economics 52(4), 693-726). In a logit for
one choice situation both are :math:`P_i / (1 - P_j)`; in a nested one alternatives of the same nest get more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.elasticity import MOST_ALTERNATIVES, column_in_utility, rows_of
from revealed.answer.interval import Estimate, IntervalOptions, fit_warnings, interval_assumptions, intervals
from revealed.answer.population import in_memory, population_of
from revealed.answer.predict import Groups, sums
from revealed.answer.scenario import Scenario
from revealed.answer.support import log_warnings
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.fit import Fit

#: The change of an attribute, as a share of its spread: truncation and rounding are both about 1e-9.
_STEP = 1e-4


@dataclass(frozen=True)
class DiversionRatio:
    """Of the choices that leave one alternative, the share that goes to another.

    Parameters
    ----------
    of, to : str
    ratio : Estimate
    """

    of: str
    to: str
    ratio: Estimate


@dataclass(frozen=True, repr=False)
class Diversion(Answer):
    """Diversion ratios.

    Parameters
    ----------
    attribute : str or None
        What worsens; None where the alternative is taken away.
    items : tuple of DiversionRatio
        By the alternative left, then by the one that gains.
    """

    attribute: str | None
    items: tuple[DiversionRatio, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def find(self, of: str, to: str) -> Estimate:
        """Return one ratio: of the choices that leave ``of``, the share that goes to ``to``."""
        for item in self.items:
            if (item.of, item.to) == (of, to):
                return item.ratio
        known = [f"{item.of} to {item.to}" for item in self.items]
        raise SpecificationError(f"no diversion of {of!r} to {to!r}; {nearest(f'{of} to {to}', known)}")

    def table(self) -> Table:
        """Return a square: a row per alternative left, a column per one that gains."""
        gains = unique(tuple(item.to for item in self.items))
        cells = {(item.of, item.to): item.ratio.value for item in self.items}
        columns = (Column("of those who leave", "text"), *(Column(label, "share") for label in gains))
        rows = tuple(
            (of, *(cells.get((of, to)) for to in gains)) for of in unique(tuple(item.of for item in self.items))
        )
        what = "each is taken away" if self.attribute is None else f"{self.attribute} of each changes a little"
        return Table(f"Diversion ratios when {what}", columns, rows, unique(self.warnings, self.assumptions))

    def details(self) -> Table:
        """Return one row per ratio, with its interval."""
        columns = (
            Column("of those who leave", "text"),
            Column("go to", "text"),
            Column("share", "share"),
            Column("standard error"),
            Column("low", "share"),
            Column("high", "share"),
        )
        rows = tuple(
            (item.of, item.to, e.value, e.standard_error, e.low, e.high) for item in self.items for e in (item.ratio,)
        )
        return Table(self.table().title, columns, rows, unique(self.warnings, self.assumptions))


def diversion(
    fit: Fit,
    log: ChoiceLog,
    attribute: str | None = None,
    *,
    of: Sequence[str] | None = None,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> Diversion:
    """Return where the choices go that alternatives lose.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        The choice situations they are summed over.
    attribute : str, optional
        A column of numbers in the utility, such as the price: of those who leave when it rises a little. Without it, of
        those who would have chosen the alternative were it there (their second choice).
    of : sequence of str, optional
        The alternatives left; by default each in turn.
    level, method, options
        Of the intervals; see :func:`revealed.answer.interval.intervals`.

    Raises
    ------
    SpecificationError
        If the attribute is not in the utility, an alternative is unknown, or taking one away leaves nothing to choose.
    """
    log = in_memory(log)
    labels = log.facts.levels.labels
    if of is None and len(labels) > MOST_ALTERNATIVES:
        raise SpecificationError(f"{len(labels):,} alternatives make {len(labels) ** 2:,} ratios; name some: of=[…]")
    targets = [str(label) for label in ((of,) if isinstance(of, str) else of or labels)]
    base = log.with_facts(log.facts)
    if attribute is None:
        worlds = [(_gone(base, label), log) for label in targets]
    else:
        worlds = [
            (_moved(fit, base, attribute, label, +1), _moved(fit, base, attribute, label, -1)) for label in targets
        ]
    population = population_of(log)
    groups = Groups.of(log, population, log.alternative_codes, len(labels))
    places = [labels.index(label) for label in targets]

    def function(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        ratios = []
        for place, (one, other) in zip(places, worlds, strict=True):
            change = sums(fit.law, one, points, groups) - sums(fit.law, other, points, groups)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios.append(np.delete(-change / change[:, [place]], place, axis=1))
        return np.hstack(ratios)

    found = intervals(fit, function, level=level, method=method, options=options).between_zero_and_one()
    pairs = [(label, to) for label in targets for to in labels if to != label]
    return Diversion(
        attribute,
        tuple(DiversionRatio(label, to, found[i]) for i, (label, to) in enumerate(pairs)),
        (
            f"the choice situations of {log.source}, weighted as there; nothing else adapts",
            *fit.model.assumptions,
            *interval_assumptions(fit, options),
        ),
        unique(fit_warnings(fit), log_warnings(fit, log)),
    )


def _gone(log: ChoiceLog, label: str) -> ChoiceLog:
    """Return the log with an alternative available to nobody."""
    rows = rows_of(log, label)
    scenario = Scenario.of(log)
    column = scenario.available_column
    without = scenario.with_columns({column: np.where(rows, 0.0, scenario.numbers(column))})
    without.require_choice()
    return without.log


def _moved(fit: Fit, log: ChoiceLog, attribute: str, label: str, sign: int) -> ChoiceLog:
    """Return the log with an attribute of an alternative a little higher or lower."""
    column = column_in_utility(fit, log, attribute)
    values = np.asarray(log.numbers(column), dtype=np.float64)
    spread = float(np.nanstd(values[np.isfinite(values)])) or 1.0
    return log.with_columns({column: np.where(rows_of(log, label), values + sign * _STEP * spread, values)})

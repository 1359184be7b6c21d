r"""Elasticities of choice, own and cross, aggregate and per case. Imports models to choices.

The aggregate elasticity of the share of :math:`i` with respect to an attribute of :math:`j` is the percentage by which
:math:`S_i = \sum_n w_n P_{ni}` changes when :math:`x_{nj}` rises by one percent for everybody,

.. math:: E_{ij} = \frac{\partial \log S_i}{\partial \log x_j} = \frac{\sum_n w_n P_{ni} E_{nij}}{\sum_n w_n P_{ni}},
   \qquad E_{nij} = \frac{\partial \log P_{ni}}{\partial \log x_{nj}}

that is the mean of the elasticities of the cases, weighted by their probabilities (Ben-Akiva and Lerman 1985, section
5.5; Train 2009, section 3.6). It is computed by changing the attribute, so any utility will do: :math:`\log x`,
interactions, thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from revealed.answer.base import Answer, unique
from revealed.answer.interval import Estimate, IntervalOptions, fit_warnings, interval_assumptions, intervals
from revealed.answer.population import EVERYONE, Population, in_memory, population_of
from revealed.answer.predict import Groups, sums
from revealed.answer.support import log_warnings
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest
from revealed.models.fit import Fit

#: The relative change for point elasticities: truncation and rounding are both about 1e-9.
_STEP = 1e-4
#: With more alternatives than this, those whose attribute changes must be named.
MOST_ALTERNATIVES = 50


@dataclass(frozen=True)
class Elasticity:
    """One elasticity.

    Parameters
    ----------
    segment : str
    of : str
        The alternative whose attribute changes, or "all" where the attribute is one of the case.
    on : str
        The alternative whose share responds.
    elasticity : Estimate
    """

    segment: str
    of: str
    on: str
    elasticity: Estimate


@dataclass(frozen=True, repr=False)
class Elasticities(Answer):
    """Elasticities of shares with respect to an attribute.

    Parameters
    ----------
    attribute : str
    items : tuple of Elasticity
        By segment, then by the alternative whose attribute changes, then by the one whose share responds.
    arc : float or None
        The relative change of an arc elasticity; None for point elasticities.
    """

    attribute: str
    items: tuple[Elasticity, ...]
    arc: float | None
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def find(self, of: str, on: str, segment: str = EVERYONE) -> Estimate:
        """Return one elasticity: of the share of ``on`` with respect to the attribute of ``of``."""
        for item in self.items:
            if (item.of, item.on, item.segment) == (of, on, segment):
                return item.elasticity
        known = sorted({f"{item.of} on {item.on}" for item in self.items})
        raise SpecificationError(f"no elasticity of {of!r} on {on!r} in {segment!r}; {nearest(f'{of} on {on}', known)}")

    def table(self) -> Table:
        """Return a square: a row per alternative whose share responds, a column per one whose attribute changes."""
        changed = unique(tuple(item.of for item in self.items))
        cells = {(item.segment, item.on, item.of): item.elasticity.value for item in self.items}
        rows = {(item.segment, item.on): None for item in self.items}
        segments = unique(tuple(item.segment for item in self.items))
        first = (Column("segment", "text"),) if len(segments) > 1 else ()
        columns = (*first, Column("share of", "text"), *(Column(label) for label in changed))
        return Table(
            f"{'Arc e' if self.arc else 'E'}lasticities with respect to {self.attribute}",
            columns,
            tuple(
                ((segment,) if first else ()) + (on, *(cells[segment, on, of] for of in changed))
                for segment, on in rows
            ),
            unique(self.warnings, self.assumptions),
        )

    def details(self) -> Table:
        """Return one row per elasticity, with its interval."""
        columns = (
            Column("segment", "text"),
            Column(f"{self.attribute} of", "text"),
            Column("share of", "text"),
            Column("elasticity"),
            Column("standard error"),
            Column("low"),
            Column("high"),
        )
        rows = tuple(
            (item.segment, item.of, item.on, e.value, e.standard_error, e.low, e.high)
            for item in self.items
            for e in (item.elasticity,)
        )
        return Table(self.table().title, columns, rows, unique(self.warnings, self.assumptions))


def elasticities(
    fit: Fit,
    log: ChoiceLog,
    attribute: str,
    *,
    of: Sequence[str] | None = None,
    by: str | None = None,
    arc: float | None = None,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> Elasticities:
    """Return own and cross elasticities of shares with respect to an attribute.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        The choice situations they are averaged over, for instance the ones the model was fitted to.
    attribute : str
        A column of numbers in the utility. One that is the same for all alternatives of a case (income) changes for
        all of them at once.
    of : sequence of str, optional
        The alternatives whose attribute changes; by default each in turn.
    by : str, optional
        A column of the case: elasticities by its values too.
    arc : float, optional
        A relative change (0.1 for ten percent more) for arc elasticities, ``log(S'/S) / log(1 + arc)``; by default
        point elasticities.
    level, method, options
        Of the intervals; see :func:`revealed.answer.interval.intervals`.

    Raises
    ------
    SpecificationError
        If the attribute is not in the utility, holds labels, or is zero wherever it would change.

    Notes
    -----
    NaN, with a warning, for the share of an alternative that has none in a segment.
    """
    log = in_memory(log)
    if arc is not None and not (np.isfinite(arc) and arc > -1 and arc != 0):
        raise SpecificationError(f"arc must be a relative change above -1 and not zero, such as 0.1, not {arc!r}")
    population = population_of(log, by)
    column = column_in_utility(fit, log, attribute)
    targets = _targets(log, column, attribute, of)
    notes = [note for label, rows in targets.items() for note in _zero_notes(log, column, attribute, label, rows)]
    labels = log.facts.levels.labels
    groups = Groups.of(log, population, log.alternative_codes, len(labels))
    up, down = (1 + arc, 1.0) if arc is not None else (1 + _STEP, 1 - _STEP)
    base = log.with_facts(log.facts)
    pairs = [(_scaled(base, column, rows, up), _scaled(base, column, rows, down)) for rows in targets.values()]

    def function(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        with np.errstate(invalid="ignore"):  # an alternative without a share has no elasticity: NaN
            found = [
                (_log_shares(fit, high, points, groups, population) - _log_shares(fit, low, points, groups, population))
                / np.log(up / down)
                for high, low in pairs
            ]
        return np.stack(found, axis=2).reshape(len(points), -1)  # (points, segments x alternatives, targets)

    estimates = intervals(fit, function, level=level, method=method, options=options)
    n_alternatives, n_targets = len(labels), len(targets)
    items = tuple(
        Elasticity(segment, of_label, on, estimates[(s * n_alternatives + i) * n_targets + t])
        for s, segment in enumerate(population.labels)
        for t, of_label in enumerate(targets)
        for i, on in enumerate(labels)
    )
    notes += unique([_no_share(item) for item in items if np.isnan(item.elasticity.value)])
    return Elasticities(
        attribute=attribute,
        items=items,
        arc=arc,
        assumptions=(
            f"an equal percentage change of {attribute} in every choice situation of {log.source}",
            *fit.model.assumptions,
            *interval_assumptions(fit, options),
        ),
        warnings=unique(fit_warnings(fit), log_warnings(fit, log), notes),
    )


def case_elasticities(fit: Fit, log: ChoiceLog, attribute: str, of: str) -> Float[np.ndarray, " rows"]:
    """Return, for each row, the elasticity of its choice probability with respect to an attribute of one alternative.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
    attribute : str
    of : str
        The alternative whose attribute changes.

    Returns
    -------
    ndarray of float64, shape (rows,)
        NaN where the row is not available, as it has no probability that could change.
    """
    log = in_memory(log)
    column = column_in_utility(fit, log, attribute)
    rows = rows_of(log, of)
    base = log.with_facts(log.facts)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.log(fit.probabilities(_scaled(base, column, rows, 1 + _STEP)))
        down = np.log(fit.probabilities(_scaled(base, column, rows, 1 - _STEP)))
        return np.asarray((up - down) / np.log((1 + _STEP) / (1 - _STEP)))


def column_in_utility(fit: Fit, log: ChoiceLog, attribute: str) -> str:
    """Return the column of an attribute of numbers that is in the utility.

    Raises
    ------
    SpecificationError
        If it holds labels, or is not in the utility.
    """
    column = log.column_name(attribute)
    if log.is_categorical(column):
        raise SpecificationError(f"{attribute!r} holds labels, which have no percentage; use whatif to change them")
    used = tuple(dict.fromkeys(log.column_name(name) for design in fit.law.designs for name in design.variables))
    if column not in used:
        raise SpecificationError(
            f"{attribute!r} is not in the utility, so all its elasticities are zero; {nearest(attribute, used)}"
        )
    return column


def _targets(
    log: ChoiceLog, column: str, attribute: str, of: Sequence[str] | None
) -> dict[str, Bool[np.ndarray, " rows"]]:
    """Return the rows that change together, by name: an alternative's, or all where the attribute is the case's."""
    values = log.numbers(column)
    of = (of,) if isinstance(of, str) else of
    if bool((values == np.repeat(values[log.offsets[:-1]], log.sizes)).all()) and log.sizes.max(initial=0) > 1:
        if of is not None:
            raise SpecificationError(f"{attribute!r} belongs to the case, not to an alternative; leave of= away")
        return {EVERYONE: np.ones(log.n_rows, bool)}
    labels = log.facts.levels.labels
    if of is None and len(labels) > MOST_ALTERNATIVES:
        raise SpecificationError(
            f"{len(labels):,} alternatives make {len(labels) ** 2:,} elasticities; name those whose "
            f"{attribute} changes: of=[…]"
        )
    return {str(label): rows_of(log, str(label)) for label in (labels if of is None else of)}


def rows_of(log: ChoiceLog, label: str) -> Bool[np.ndarray, " rows"]:
    """Return the rows of an alternative.

    Raises
    ------
    SpecificationError
        If there is none of that name.
    """
    labels = log.facts.levels.labels
    if label not in labels:
        raise SpecificationError(f"no alternative {label!r} in {log.source}; {nearest(label, labels)}")
    return np.asarray(log.alternative_codes == labels.index(label))


def _zero_notes(log: ChoiceLog, column: str, attribute: str, label: str, rows: Bool[np.ndarray, " rows"]) -> list[str]:
    """Say where a percentage change is none, or turns the sign."""
    here = rows if log.available is None else rows & log.available
    values = log.numbers(column)[here]
    zero, negative = int((values == 0).sum()), int((values < 0).sum())
    if zero == len(values):
        return [f"{attribute!r} of {label!r} is zero everywhere, so a percentage of it is nothing: use whatif instead"]
    notes = []
    if zero:
        notes.append(
            f"{attribute!r} of {label!r} is zero in {zero:,} of {len(values):,} rows, which count as elasticity zero"
        )
    if negative:
        notes.append(
            f"{attribute!r} of {label!r} is below zero in {negative:,} of {len(values):,} rows: signs turn there"
        )
    return notes


def _no_share(item: Elasticity) -> str:
    where = "" if item.segment == EVERYONE else f" in segment {item.segment!r}"
    return f"{item.on!r} has no share{where} (can it be chosen there?), so no elasticities"


def _scaled(log: ChoiceLog, column: str, rows: Bool[np.ndarray, " rows"], factor: float) -> ChoiceLog:
    values = np.asarray(log.numbers(column), dtype=np.float64)
    return log.with_columns({column: np.where(rows, values * factor, values)})


def _log_shares(
    fit: Fit, log: ChoiceLog, points: Float[np.ndarray, "points K"], groups: Groups, population: Population
) -> Float[np.ndarray, "points shares"]:
    """Return the logarithm of the summed probabilities by segment and alternative, everyone first."""
    found = sums(fit.law, log, points, groups).reshape(len(points), len(population.segments), -1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(population.with_everyone(found)).reshape(len(points), -1))

"""Whether a scenario stays within what the data have seen, and whether it matters at all. Imports models to choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from revealed.answer.scenario import Scenario
from revealed.choices.expression import Labels
from revealed.choices.log import ChoiceLog
from revealed.models.design import Design, Indicator
from revealed.models.fit import Fit
from revealed.models.nested.model import NestModel

SUPPORT_NOTE = "observed ranges are those of each alternative in the log given, one attribute at a time"


def effect_warnings(fit: Fit, scenario: Scenario) -> list[str]:
    """Return which changes of a scenario touch nothing, or nothing that the utility knows."""
    used = set(columns_of(fit.law.designs, scenario.log))
    notes = [f"{change!r} touches no row: its condition never holds" for change, rows in scenario.changes if not rows]
    return notes + [
        f"{column!r} has no effect: it is not in the utility"
        for column in scenario.touched
        if column != scenario.available_column and column not in used
    ]


def support_warnings(fit: Fit, log: ChoiceLog, scenario: Scenario) -> list[str]:
    """Return where a scenario leaves the data's support.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        Before the changes.
    scenario : Scenario
        After them.
    """
    notes = []
    for column in columns_of(fit.law.designs, log):
        if column in scenario.touched and (changed := changed_rows(log, scenario, column)).any():
            if scenario.log.is_categorical(column):
                notes += unknown_labels(fit.law.designs, scenario, column)
            else:
                notes += _beyond_range(log, scenario, column, changed)
    return notes


def columns_of(designs: Sequence[Design], log: ChoiceLog) -> tuple[str, ...]:
    """Return the columns that the utility uses."""
    names = [name for design in designs for name in (*design.variables, *design.categories)]
    return tuple(dict.fromkeys(log.column_name(name) for name in names))


def log_warnings(fit: Fit, log: ChoiceLog) -> list[str]:
    """Return what in a log is strange to a fit."""
    strange = [label for label in log.facts.levels.labels if label not in fit.data.alternatives]
    if not strange:
        return []
    return [f"{', '.join(strange)}: not among the alternatives of the fit, so their own terms are zero"]


def added_notes(fit: Fit, log: ChoiceLog, scenario: Scenario) -> list[str]:
    """Say which constants an added alternative has, which the data cannot tell."""
    notes = []
    model = np.asarray(scenario.log.codes(log.columns.alternative, log.facts.levels))
    for code in range(len(log.facts.levels), len(scenario.labels)):
        label = scenario.labels[code]
        bearer = log.facts.levels.labels[int(model[scenario.codes == code][0])]
        terms = [
            column.name
            for design in fit.law.designs
            for column in design.columns
            for factor in column.factors
            if isinstance(factor, Indicator) and factor.column == log.columns.alternative and bearer in factor.levels
        ]
        reference = [design.references.get(log.columns.alternative) for design in fit.law.designs]
        if terms:
            which = f"the terms of {bearer!r} ({', '.join(terms)})"
        elif bearer in reference:
            which = f"the constant of {bearer!r}, the reference: zero"
        else:
            which = f"no constant, as {bearer!r}"
        if isinstance(fit.model, NestModel) and (nests := fit.model.nests_of(bearer)):
            which += f", and its place in the nest {' and '.join(map(repr, nests))}"
        notes.append(f"{label!r} is new: nobody has chosen it, so its constant is not in the data; it is given {which}")
    return notes


def changed_rows(log: ChoiceLog, scenario: Scenario, column: str) -> np.ndarray:
    """Return where an available row differs from the row it stems from."""
    if scenario.log.is_categorical(column):
        old, new = Scenario.of(log).values(column), scenario.values(column)
        assert isinstance(old, Labels)
        assert isinstance(new, Labels)
        moved = Labels(old.codes[scenario.origin], old.labels)
        changed = ~np.asarray(new.equals(moved))
    else:
        before, after = log.numbers(column)[scenario.origin], scenario.log.numbers(column)
        changed = (before != after) & ~(np.isnan(before) & np.isnan(after))
    if scenario.log.available is not None:
        changed &= scenario.log.available
    return np.asarray(changed)


def _beyond_range(log: ChoiceLog, scenario: Scenario, column: str, changed: np.ndarray) -> list[str]:
    """Return a note for each alternative with changed values outside of what was observed for it."""
    n_observed = len(log.facts.levels)
    low, high = ranges_of(log, column, log.alternative_codes, n_observed, np.ones(log.n_rows, dtype=bool))
    notes = []
    after = np.asarray(scenario.log.numbers(column), dtype=np.float64)
    for code in np.unique(scenario.codes[changed]):
        new = code >= n_observed
        bottom, top = (low.min(), high.max()) if new else (low[code], high[code])
        if not bottom <= top:
            continue  # never available: there is no range
        rows = changed & (scenario.codes == code)
        outside = outside_of(after[rows], bottom, top)
        count = int((outside > 0).sum())
        if count:
            of = "of all alternatives " if new else ""
            notes.append(
                f"{column!r} of {scenario.labels[code]!r} leaves its observed range {of}({bottom:.6g} to {top:.6g}) "
                f"in {count:,} of {len(outside):,} changed rows, by up to {outside.max():.6g}: "
                "there the answer rests on the form of the utility, not on data"
            )
    return notes


def ranges_of(
    log: ChoiceLog, column: str, codes: np.ndarray, n: int, rows: np.ndarray
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return from where to where a column goes in some rows that can be chosen, by a code below ``n``."""
    values = np.asarray(log.numbers(column), dtype=np.float64)
    seen = rows & np.isfinite(values) if log.available is None else rows & np.isfinite(values) & log.available
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, codes[seen], values[seen])
    np.maximum.at(high, codes[seen], values[seen])
    return low, high


def outside_of(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return how far beyond a range values are, zero where they are within it or at its ends but for rounding."""
    far = np.maximum(low - values, values - high)
    return np.where(far > 1e-9 * max(abs(low), abs(high)), far, 0.0)


def unknown_labels(designs: Sequence[Design], scenario: Scenario, column: str) -> list[str]:
    """Return a note for each label that the model has no term for."""
    values = scenario.values(column)
    assert isinstance(values, Labels)
    present = {values.labels[code] for code in np.unique(values.codes) if code >= 0}
    known: set[str] = set()
    reference = None
    for design in designs:
        reference = design.references.get(column, reference)
        for term in design.columns:
            for factor in term.factors:
                if isinstance(factor, Indicator) and factor.column == column:
                    known |= set(factor.levels)
    strange = sorted(present - known - {reference})
    return [
        f"{label!r} of {column!r} is unknown to the model: its terms are zero, as for {reference or 'no level'!r}"
        for label in strange
    ]

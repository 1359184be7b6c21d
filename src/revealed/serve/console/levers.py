"""What can be moved in a what-if: each number of each alternative that has a part in the choices. Imports answer.

A lever moves a column for one alternative, in percent of what it is (or of its spread, where it may be below zero), or
for all of them where it is the same on all rows of a case, as an income is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.answer.change import Set, quoted
from revealed.answer.scenario import Scenario
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.fit import Fit

#: A lever reaches as far as the data, but at least from the one to the other and at most so far, in percent.
_LEAST, _MOST, _USUAL, _STEP = -90, 200, 50, 5
#: Cases that are looked at to see whether a lever moves anything, and what is no move of a probability.
_LOOKED, _STILL = 500, 1e-12

Kind = Literal["scale", "shift", "flag"]


@dataclass(frozen=True)
class Lever:
    """A number that can be moved.

    Parameters
    ----------
    name : str
        What it is called in a form: the column, and the alternative where it is of one.
    column : str
    alternative : str or None
        None moves it for all.
    kind : {"scale", "shift", "flag"}
        Percent of what it is; percent of ``spread``, added; or 0 or 1 in place of what it is.
    mean, low, high : float
        Where it is available, in the data.
    spread : float
        What 100 percent of a shift are.
    least, most : int
        How far it can be moved.
    where : str or None
        The condition that a row is of the alternative.
    """

    name: str
    column: str
    alternative: str | None
    kind: Kind
    mean: float
    low: float
    high: float
    spread: float
    least: int
    most: int
    where: str | None

    def mean_at(self, moved: float) -> float:
        """Return the mean of the column after a move."""
        if self.kind == "flag":
            return moved
        return self.mean * (1 + moved / 100) if self.kind == "scale" else self.mean + self.spread * moved / 100

    def change(self, moved: float) -> Set:
        """Return the change that a move is."""
        if self.kind == "flag":
            return Set(self.column, f"{moved:g}", self.where)
        if self.kind == "scale":
            return Set(self.column, f"{1 + moved / 100:.12g}", self.where, "*=")
        return Set(self.column, f"{self.spread * moved / 100:.12g}", self.where, "+=")

    def moved(self, text: str) -> float | None:
        """Return how far a form says to move it; None where it stays.

        Raises
        ------
        SpecificationError
            If that is no number, or out of reach.
        """
        if not text.strip():
            return None
        try:
            number = float(text)
        except ValueError:
            number = np.nan
        if self.kind == "flag" and number in (0, 1):
            return number
        if self.kind == "flag" or not self.least <= number <= self.most:
            reach = "0 or 1, or nothing" if self.kind == "flag" else f"a number from {self.least} to {self.most}"
            raise SpecificationError(f"the move of {self.name} is {reach}, not {text[:40]!r}")
        return number or None


def levers_of(fit: Fit, log: ChoiceLog) -> tuple[Lever, ...]:
    """Return the levers of a fit on some choices, those of everybody first, then by alternative.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        Choices with the columns of its utility.
    """
    scenario = Scenario.of(log)
    everybody: list[Lever] = []
    by_alternative: dict[str, list[Lever]] = {label: [] for label in scenario.labels}
    for column in _columns(fit, scenario):
        values = np.asarray(log.numbers(column), dtype=np.float64)
        seen = np.isfinite(values) if log.available is None else np.isfinite(values) & log.available
        if _is_of_cases(log, values, seen):
            everybody += _lever(scenario, column, None, values, seen)
            continue
        for label, own in by_alternative.items():
            own += _lever(scenario, column, label, values, seen)
    found = [*everybody, *(lever for own in by_alternative.values() for lever in own)]
    return tuple(_that_matter(fit, log, found))


def _columns(fit: Fit, scenario: Scenario) -> list[str]:
    """Return the columns of numbers in the utility that may be changed."""
    names = dict.fromkeys(name for design in fit.law.designs for name in design.variables)
    columns = []
    for name in names:
        try:
            columns.append(scenario.column_to_set(name))
        except SpecificationError:  # it has a role
            continue
    free = [column for column in dict.fromkeys(columns) if column != scenario.available_column]
    return [column for column in free if not scenario.log.is_categorical(column)]


def _is_of_cases(log: ChoiceLog, values: Float[np.ndarray, " rows"], seen: Bool[np.ndarray, " rows"]) -> bool:
    """Return whether a column is the same on all rows of each case, in cases that have several."""
    starts = log.offsets[:-1]
    low = np.minimum.reduceat(np.where(seen, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(seen, values, -np.inf), starts)
    return bool((high <= low).all()) and int(log.sizes.max()) > 1


def _lever(
    scenario: Scenario,
    column: str,
    label: str | None,
    values: Float[np.ndarray, " rows"],
    seen: Bool[np.ndarray, " rows"],
) -> list[Lever]:
    """Return the lever of a column for an alternative; none where it is never available."""
    rows = seen if label is None else seen & scenario.rows_of(label)
    own = values[rows]
    if not len(own):
        return []
    everyones = values[seen]
    mean, low, high = float(own.mean()), float(own.min()), float(own.max())
    spread = high - low or float(np.ptp(everyones)) or 1.0
    kind: Kind = "shift"
    least, most = -100.0, 100.0
    if ((everyones == 0) | (everyones == 1)).all():
        kind = "flag"
    elif low < 0 or high == 0:
        least, most = 100 * (low - mean) / spread, 100 * (high - mean) / spread
    else:
        least, most, kind = 100 * (low / mean - 1), 100 * (high / mean - 1), "scale"
    name = quoted(column) if label is None else f"{quoted(column)} of {quoted(label)}"
    return [
        Lever(
            name=name,
            column=column,
            alternative=label,
            kind=kind,
            mean=mean,
            low=low,
            high=high,
            spread=spread,
            least=max(_LEAST, min(_STEP * floor(least / _STEP), -_USUAL)),
            most=min(_MOST, max(_STEP * ceil(most / _STEP), _USUAL)),
            where=None if label is None else _is(scenario, label),
        )
    ]


def _is(scenario: Scenario, label: str) -> str:
    """Return the condition that a row is of an alternative, as short as it can be."""
    column = scenario.log.columns.alternative
    return f"{column} == {label!r}" if column.isidentifier() else scenario.is_alternative(label)


def _that_matter(fit: Fit, log: ChoiceLog, levers: Sequence[Lever]) -> list[Lever]:
    """Return the levers that move the choices of some cases: not an income where it is in no term, say."""
    some = log.take_cases(spread_evenly(log.n_cases, _LOOKED))
    scenario = Scenario.of(some)
    before = fit.law.predict(some, fit.params).probability
    kept = []
    for lever in levers:
        changed = lever.change(1.0 if lever.kind != "flag" else float(lever.mean < 0.5)).apply(scenario)
        after = fit.law.predict(changed.log, fit.params).probability
        if not (np.abs(after - before) <= _STILL).all():  # where it is undefined, too: asking tells why
            kept.append(lever)
    return kept


def spread_evenly(n: int, most: int) -> Int[np.ndarray, " some"]:
    """Return at most so many of the numbers from 0 to ``n``, at equal distances."""
    count = min(n, most)
    return np.arange(count, dtype=np.int64) * n // count

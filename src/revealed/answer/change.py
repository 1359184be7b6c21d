"""Changes to what can be chosen: an attribute, who may choose what, a new alternative. Imports choices.

As objects here; as text in :mod:`revealed.answer.grammar`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from revealed.answer.scenario import Scenario
from revealed.choices.expression import Labels, evaluate
from revealed.errors import SpecificationError

_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda _, value: value,
    "+=": lambda before, value: before + value,
    "-=": lambda before, value: before - value,
    "*=": lambda before, value: before * value,
    "/=": lambda before, value: before / value,
}


@runtime_checkable
class Change(Protocol):
    """One change: from what can be chosen to what could be."""

    def apply(self, scenario: Scenario) -> Scenario:
        """Return the scenario after the change."""
        ...


@dataclass(frozen=True)
class Set:
    """Give a column new values, everywhere or where a condition holds.

    Parameters
    ----------
    column : str
        An attribute, or the role ``available`` (0 or 1; added when the log has none).
    value : str or float
        A number, or an expression on columns; for a column of labels, a label in quotes.
    where : str, optional
        A condition on columns.
    operator : {"=", "+=", "-=", "*=", "/="}
    """

    column: str
    value: str | float
    where: str | None = None
    operator: str = "="

    def __post_init__(self) -> None:
        if self.operator not in _OPERATIONS:
            raise SpecificationError(f"no operator {self.operator!r}; there are: {' '.join(_OPERATIONS)}")

    def __str__(self) -> str:
        column = self.column if self.column.isidentifier() else f"`{self.column}`"
        return f"{column}{f'[{self.where}]' if self.where else ''} {self.operator} {self.value}"

    def apply(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the column changed.

        Raises
        ------
        SpecificationError
            For unknown columns or labels, a role that cannot change, or values that are not finite.
        """
        column = scenario.column_to_set(self.column)
        rows = self._rows(scenario)
        value = evaluate(str(self.value), scenario.values)
        if isinstance(value, str | Labels):
            changed = self._with_labels(scenario, column, value, rows)
        else:
            changed = self._with_numbers(scenario, column, value, rows)
        return changed.told(str(self), int(rows.sum()))

    def _rows(self, scenario: Scenario) -> Bool[np.ndarray, " rows"]:
        if self.where is None:
            return np.ones(scenario.log.n_rows, bool)
        rows = np.asarray(evaluate(self.where, scenario.values))
        if rows.dtype != bool:
            raise SpecificationError(
                f"the condition {self.where!r} is not true or false; write for instance [income > 50]"
            )
        return np.broadcast_to(rows, (scenario.log.n_rows,))

    def _with_numbers(self, scenario: Scenario, column: str, value: Any, rows: Bool[np.ndarray, " rows"]) -> Scenario:
        if scenario.log.is_categorical(column):
            raise SpecificationError(
                f"{column!r} holds labels; write one in quotes: {column} = 'electric' (in {str(self)!r})"
            )
        before = scenario.numbers(column)
        try:
            numbers = np.broadcast_to(np.asarray(value, dtype=np.float64), rows.shape)
        except (TypeError, ValueError):
            raise SpecificationError(f"{self.value!r} is not one number per row (in {str(self)!r})") from None
        with np.errstate(all="ignore"):
            after = np.where(rows, _OPERATIONS[self.operator](before, numbers), before)
        scenario.require_finite(before, after, str(self))
        if column == scenario.log.columns.available and not np.isin(after[rows], (0.0, 1.0)).all():
            raise SpecificationError(f"what is available is 0 or 1 (in {str(self)!r})")
        return scenario.with_columns({column: after})

    def _with_labels(
        self, scenario: Scenario, column: str, value: str | Labels, rows: Bool[np.ndarray, " rows"]
    ) -> Scenario:
        if self.operator != "=":
            raise SpecificationError(f"labels can be set but not reckoned with: use '=' (in {str(self)!r})")
        if not scenario.log.is_categorical(column):
            raise SpecificationError(f"{column!r} holds numbers, not labels such as {self.value} (in {str(self)!r})")
        if isinstance(value, str):
            new = pa.array([value]).take(pa.array(np.zeros(len(rows), np.int64)))
        else:
            new = pa.array([*value.labels, None], pa.string()).take(pa.array(value.codes % (len(value.labels) + 1)))
        old = scenario.log.table.column(column).cast(pa.string()).combine_chunks()
        return scenario.with_columns({column: pc.if_else(pa.array(rows), new, old)})


@dataclass(frozen=True)
class Remove:
    """Take alternatives away: they stay in the log, available to nobody.

    Parameters
    ----------
    *alternatives : str
    """

    alternatives: tuple[str, ...]

    def __init__(self, *alternatives: str) -> None:
        if not alternatives:
            raise SpecificationError("name the alternative to remove, for instance Remove('train')")
        object.__setattr__(self, "alternatives", alternatives)

    def __str__(self) -> str:
        return f"remove {', '.join(map(quoted, self.alternatives))}"

    def apply(self, scenario: Scenario) -> Scenario:
        """Return the scenario without the alternatives."""
        column = scenario.available_column
        rows = np.logical_or.reduce([scenario.rows_of(label) for label in self.alternatives])
        available = np.where(rows, 0.0, scenario.numbers(column))
        return scenario.with_columns({column: available}).told(str(self), int(rows.sum()))


@dataclass(frozen=True)
class Add:
    """Add an alternative beside one that it resembles, wherever that one is.

    Parameters
    ----------
    alternative : str
        What the new one is called.
    like : str
        The one whose attributes, availability and constants it takes over.
    changes : tuple of Set
        What is different about it; expressions and conditions see the attributes taken over.
    constants_of : str, optional
        The alternative whose constants and other terms of its own it has; by default those of ``like``. Constants are
        measured against the reference alternative of the fit: naming that one gives a constant of zero.
    """

    alternative: str
    like: str
    changes: tuple[Set, ...] = ()
    constants_of: str | None = None

    def __str__(self) -> str:
        constants = f" with constants of {quoted(self.constants_of)}" if self.constants_of else ""
        changes = f": {', '.join(map(str, self.changes))}" if self.changes else ""
        return f"add {quoted(self.alternative)} like {quoted(self.like)}{constants}{changes}"

    def apply(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the alternative added."""
        added = scenario.with_alternative(self.alternative, self.like, self.constants_of or self.like)
        own = scenario.is_alternative(self.alternative)
        for change in self.changes:
            where = own if change.where is None else f"{own} and ({change.where})"
            added = replace(change, where=where).apply(added)
        rows = int(added.rows_of(self.alternative).sum())
        return replace(added, changes=scenario.changes).told(str(self), rows)


def quoted(label: str) -> str:
    """Return a label as a change in text names it."""
    return label if re.fullmatch(r"[^\s,:'\"]+", label) else repr(label)

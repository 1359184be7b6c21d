"""Design columns and how a block of them is filled. Imports choices and the errors only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from revealed.choices.cells import find_bad_cells
from revealed.choices.expression import Labels, evaluate, names_in
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError


@dataclass(frozen=True)
class Numeric:
    """A number per row: a column, or an expression on columns."""

    expression: str


@dataclass(frozen=True)
class Indicator:
    """One where a column has one of some levels, zero elsewhere."""

    column: str
    levels: tuple[str, ...]


Factor = Numeric | Indicator


@dataclass(frozen=True)
class DesignColumn:
    """A named product of factors; its coefficient is a parameter of the same name."""

    name: str
    factors: tuple[Factor, ...]


#: Fills ``out`` with rows ``start`` to ``stop`` of one factor.
_Fill = Callable[[int, int, np.ndarray], None]


@dataclass(frozen=True, eq=False)
class Design:
    """The columns that make up a linear utility.

    Parameters
    ----------
    columns : tuple of DesignColumn
    references : mapping
        The reference level of each categorical column in use.
    """

    columns: tuple[DesignColumn, ...]
    references: Mapping[str, str]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The numeric columns of the log in use."""
        found: dict[str, None] = {}
        for column in self.columns:
            for factor in column.factors:
                if isinstance(factor, Numeric):
                    found.update(dict.fromkeys(names_in(factor.expression)))
        return tuple(found)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The categorical columns of the log in use."""
        factors = [factor for column in self.columns for factor in column.factors]
        return tuple(dict.fromkeys(factor.column for factor in factors if isinstance(factor, Indicator)))

    @cached_property
    def _prepared(self) -> WeakKeyDictionary[ChoiceLog, list[list[_Fill]]]:
        return WeakKeyDictionary()

    def fill(self, log: ChoiceLog, start: int, stop: int, out: Float[np.ndarray, "K rows"]) -> None:
        """Write rows ``start`` to ``stop`` of the design into ``out``, one row of it per column."""
        prepared = self._prepared.get(log)
        if prepared is None:
            prepared = self._prepared[log] = self._prepare(log)
        scratch = None
        for row, (first, *others) in zip(out, prepared, strict=True):
            first(start, stop, row)
            for factor in others:
                scratch = np.empty(stop - start) if scratch is None else scratch
                factor(start, stop, scratch)
                row *= scratch

    def matrix(self, log: ChoiceLog) -> Float[np.ndarray, "K rows"]:
        """Return the whole design of a (small) log, one row per column."""
        out = np.empty((len(self.columns), log.n_rows))
        self.fill(log, 0, log.n_rows, out)
        return out

    def require_clean(self, log: ChoiceLog) -> None:
        """Raise DataError listing the missing and infinite cells of the columns in use, or what makes such values."""
        problems = find_bad_cells(log, self.variables, labels=self.categories) or [
            problem
            for column in self.columns
            for factor in column.factors
            if isinstance(factor, Numeric) and (problem := _undefined(factor.expression, log)) is not None
        ]
        if problems:
            raise DataError(log.source, list(dict.fromkeys(problems)))

    def _prepare(self, log: ChoiceLog) -> list[list[_Fill]]:
        known: dict[Factor, _Fill] = {}
        prepared = []
        for column in self.columns:
            if not column.factors:
                raise SpecificationError(f"the design column {column.name!r} is empty")
            for factor in column.factors:
                if factor not in known:
                    known[factor] = _fill_of(factor, log)
            prepared.append([known[factor] for factor in column.factors])
        return prepared

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "columns": [
                {
                    "name": column.name,
                    "factors": [
                        {"numeric": factor.expression}
                        if isinstance(factor, Numeric)
                        else {"column": factor.column, "levels": list(factor.levels)}
                        for factor in column.factors
                    ],
                }
                for column in self.columns
            ],
            "references": dict(self.references),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Design:
        """Return the design that :meth:`to_dict` wrote."""
        columns = [
            DesignColumn(
                column["name"],
                tuple(
                    Numeric(factor["numeric"])
                    if "numeric" in factor
                    else Indicator(factor["column"], tuple(factor["levels"]))
                    for factor in column["factors"]
                ),
            )
            for column in data["columns"]
        ]
        return cls(tuple(columns), dict(data["references"]))


def _fill_of(factor: Factor, log: ChoiceLog) -> _Fill:
    if isinstance(factor, Numeric):
        return _copy_of(_numbers(factor.expression, log))
    column = log.column_name(factor.column)
    levels = log.levels_of(column)
    codes = log.codes(column, levels)
    wanted = [levels.labels.index(level) for level in factor.levels if level in levels.labels]
    if len(wanted) == 1:
        return _equal_to(codes, wanted[0])
    return _copy_of(np.isin(codes, wanted).astype(np.float64))


def _copy_of(values: np.ndarray) -> _Fill:
    def fill(start: int, stop: int, out: np.ndarray) -> None:
        out[:] = values[start:stop]

    return fill


def _equal_to(codes: np.ndarray, code: int) -> _Fill:
    def fill(start: int, stop: int, out: np.ndarray) -> None:
        np.equal(codes[start:stop], code, out=out)

    return fill


def _undefined(expression: str, log: ChoiceLog) -> Problem | None:
    """Say where an expression has no finite value, if anywhere."""
    bad = ~np.isfinite(_numbers(expression, log))
    if log.available is not None:
        bad &= log.available
    rows = np.flatnonzero(bad)
    if not len(rows):
        return None
    shown = rows[:5]
    cases = np.searchsorted(log.offsets, shown, side="right") - 1
    return Problem(
        what=f"{expression} is not a finite number",
        remedy="check the expression's domain (logarithms and roots need positive numbers), or leave those cases out",
        cases=tuple(str(log.case_labels[int(case)].as_py()) for case in cases),
        count=len(rows),
    )


def _numbers(expression: str, log: ChoiceLog) -> np.ndarray:
    """Return an expression's value on each row; a plain column is not copied."""

    def lookup(name: str) -> np.ndarray | Labels:
        column = log.column_name(name)
        if log.is_categorical(column):
            levels = log.levels_of(column)
            return Labels(log.codes(column, levels), levels.labels, strict=False)
        values = log.numbers(column)
        return values if values.dtype.kind == "f" else values.astype(np.float64)

    value = evaluate(expression, lookup)
    if isinstance(value, Labels):
        raise SpecificationError(f"column {expression!r} holds labels, not numbers; write C({expression})")
    values = np.asarray(value)
    if values.dtype.kind not in "fiu":
        values = values.astype(np.float64)
    return np.broadcast_to(values, (log.n_rows,))

"""Formulas over products or agents as columns of numbers, and how these move with the price. Imports models, choices.

A formula is a sum of terms; a constant is there only where ``1`` is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.choices.expression import Labels, evaluate, names_in
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.utility import CATEGORICAL, IDENTITY, formula_terms

Lookup = Callable[[str], np.ndarray | Labels]


#: Numbers from here on in size could not be squared and added up.
LARGEST = 1e100


@dataclass(frozen=True)
class Terms:
    """A formula, term by term.

    Parameters
    ----------
    names : tuple of str
        The terms as written, one a column.
    factors : tuple of tuple of str
        The expressions whose product is the column; none for the constant.
    """

    names: tuple[str, ...]
    factors: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, formula: str) -> Terms:
        """Read a formula.

        Raises
        ------
        SpecificationError
            If it cannot be read, names a term twice, or holds a categorical term.
        """
        names: list[str] = []
        factors: list[tuple[str, ...]] = []
        for term in formula_terms(formula):
            for text in term:
                if CATEGORICAL.match(text):
                    raise SpecificationError(
                        f"{text} in {formula!r}: demand on markets takes numbers only; name the column in absorb= for "
                        "fixed effects, or write an indicator, I(region == 'EU')"
                    )
            name = ":".join(term)
            if name in names:
                raise SpecificationError(f"the term {name} stands twice in {formula!r}")
            names.append(name)
            factors.append(tuple(_inside(text) for text in term if text != "1"))
        return cls(tuple(names), tuple(factors))

    def __len__(self) -> int:
        return len(self.names)

    def depend_on(self, *columns: str) -> tuple[bool, ...]:
        """Return for each column of the formula whether it uses one of the columns of the data."""
        return tuple(any(set(names_in(text)) & set(columns) for text in factors) for factors in self.factors)

    def values(self, lookup: Lookup, rows: int, source: str) -> Float[np.ndarray, "rows K"]:
        """Return the columns.

        Raises
        ------
        DataError
            If a cell is missing or not finite.
        SpecificationError
            For a column that is not there, or that holds labels.
        """
        matrix = np.ones((rows, len(self)))
        for place, factors in enumerate(self.factors):
            for text in factors:
                value: Any = evaluate(text, lookup)
                if isinstance(value, Labels):
                    raise SpecificationError(f"the column {text!r} of {source} holds labels, not numbers; absorb it")
                matrix[:, place] *= value
        bad = ~(np.abs(matrix) < LARGEST)
        if bad.any():
            remedy = f"drop these rows, or write a term that is finite there, and below {LARGEST:g}"
            raise DataError(source, [self._problem(bad[:, k], int(k), remedy) for k in np.flatnonzero(bad.any(axis=0))])
        return matrix

    def _problem(self, bad: np.ndarray, place: int, remedy: str) -> Problem:
        rows = np.flatnonzero(bad)
        first = tuple(int(row) + 1 for row in rows[:5])
        return Problem("missing or not finite", remedy, where=self.names[place], rows=first, count=len(rows))

    def slopes(self, lookup: Lookup, rows: int, column: str = "prices") -> Float[np.ndarray, "rows K"]:
        """Return the derivative of each column with respect to one of the data, which they must be linear in.

        Raises
        ------
        SpecificationError
            For a term that is not linear in it.
        """

        def at(level: float) -> Float[np.ndarray, "rows K"]:
            def replaced(name: str) -> np.ndarray | Labels:
                return np.full(rows, level) if name == column else lookup(name)

            matrix = np.ones((rows, len(self)))
            for place in np.flatnonzero(self.depend_on(column)):
                for text in self.factors[place]:
                    with np.errstate(all="ignore"):
                        matrix[:, place] *= np.asarray(evaluate(text, replaced))
            return matrix

        zero, one, two = at(0.0), at(1.0), at(2.0)
        with np.errstate(invalid="ignore"):
            linear = np.isclose(two - one, one - zero, rtol=1e-9, atol=1e-12).all(axis=0)
        for place in np.flatnonzero(~linear):
            raise SpecificationError(
                f"the term {self.names[place]} is not linear in {column}; elasticities, mark-ups and new prices are "
                f"there only for terms such as {column} and {column}:x"
            )
        return np.asarray(one - zero)


def _inside(text: str) -> str:
    match = IDENTITY.match(text)
    return match.group("inside") if match else text

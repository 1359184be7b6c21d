r"""Which random coefficients there are, and which of their parameters are estimated. Imports choices and the errors.

Agent :math:`i` values product :math:`j` by :math:`\delta_j + \mu_{ij}`, where

.. math:: \mu_{ij} = \sum_k x_{jk}\Big(\sum_l \Sigma_{kl} \nu_{il} + \sum_d \Pi_{kd} y_{id}\Big)

Draws :math:`\nu` and demographics :math:`y` play the same part, so :math:`C = (\Sigma, \Pi)` is one matrix here. An
entry that starts at zero is held at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError, nearest

#: A matrix, its diagonal, or ``{row: start}`` and ``{row: {column: start}}``.
Starts = Any


@dataclass(frozen=True, eq=False)
class Tastes:
    """The matrix of coefficients of tastes.

    Parameters
    ----------
    random : tuple of str
        The terms with a random coefficient, K2 of them.
    draws : tuple of int
        Which columns of sigma have draws; the first of them takes ``nodes0``, and so on.
    demographics : tuple of str
    start : ndarray of float64, shape (K2, V)
        Sigma (the columns that have draws) beside pi; zeros are held.
    """

    random: tuple[str, ...]
    draws: tuple[int, ...]
    demographics: tuple[str, ...]
    start: Float[np.ndarray, "K2 V"]

    @classmethod
    def of(cls, random: tuple[str, ...], demographics: tuple[str, ...], sigma: Starts, pi: Starts) -> Tastes:
        """Return tastes from starts of sigma and pi.

        Raises
        ------
        SpecificationError
            If they do not fit the terms.
        """
        spread = _matrix("sigma", sigma, random, random)
        if np.triu(spread, 1).any():
            raise SpecificationError("sigma is lower triangular: a row may use the draws of the rows above it and its")
        shifts = _matrix("pi", pi, random, demographics)
        draws = tuple(int(place) for place in np.flatnonzero(spread.any(axis=0)))
        return cls(random, draws, demographics, np.hstack([spread[:, list(draws)], shifts]))

    @property
    def free(self) -> tuple[tuple[int, int], ...]:
        """The places of what is estimated: sigma first, row by row, then pi."""
        found = [(int(k), int(v)) for k, v in np.argwhere(self.start != 0)]
        return tuple(sorted(found, key=lambda place: place[1] >= len(self.draws)))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, as ``free``."""
        return tuple(self._name(k, v) for k, v in self.free)

    def _name(self, k: int, v: int) -> str:
        if v >= len(self.draws):
            return f"pi[{self.random[k]}, {self.demographics[v - len(self.draws)]}]"
        column = self.draws[v]
        return f"sigma[{self.random[k]}]" if column == k else f"sigma[{self.random[k]}, {self.random[column]}]"

    @property
    def values(self) -> Float[np.ndarray, " P"]:
        """The starts of what is estimated."""
        return np.array([self.start[place] for place in self.free])

    def matrix(self, values: Float[np.ndarray, " P"]) -> Float[np.ndarray, "K2 V"]:
        """Return the matrix with some values of what is estimated."""
        filled = np.zeros_like(self.start)
        for place, value in zip(self.free, values, strict=True):
            filled[place] = value
        return filled


def _matrix(what: str, given: Starts, rows: tuple[str, ...], columns: tuple[str, ...]) -> Float[np.ndarray, "rows V"]:
    matrix = np.zeros((len(rows), len(columns)))
    if given is None:
        return matrix
    if isinstance(given, Mapping):
        for row, cells in given.items():
            k = _place(row, rows, "random coefficient")
            cells = cells if isinstance(cells, Mapping) else {row: cells}
            for column, value in cells.items():
                matrix[k, _place(column, columns, f"column of {what}")] = float(value)
    else:
        array = np.asarray(given, dtype=np.float64)
        if array.ndim == 1 and what == "sigma":
            array = np.diag(array)
        if array.shape != matrix.shape:
            raise SpecificationError(
                f"{what} has the shape {array.shape}; rows are {', '.join(rows) or 'none'} and columns "
                f"{', '.join(columns) or 'none'}, so it must be {matrix.shape}"
            )
        matrix = array.copy()
    if not np.isfinite(matrix).all():
        raise SpecificationError(f"{what} starts at a number that is not finite")
    return matrix


def _place(name: object, known: tuple[str, ...], what: str) -> int:
    if str(name) not in known:
        raise SpecificationError(f"no {what} {str(name)!r}; {nearest(str(name), known)}")
    return known.index(str(name))

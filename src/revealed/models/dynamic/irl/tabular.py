"""Functions by table: one number for each state and action seen, and nothing elsewhere. Imports its own room.

With the shares of a panel this is exact: nothing is smoothed, nothing guessed. Where a state or an action in it was
never seen, the answer is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from revealed.models.dynamic.irl.function_class import Function, Iteration, Rows
from revealed.models.dynamic.irl.trajectories import Trajectories


@dataclass(frozen=True)
class Tabular:
    """One number for each state and action."""

    title: ClassVar[str] = "table"
    iteration: ClassVar[Iteration] = Iteration(1_000_000, 1e-12)

    def needs(self, columns: int) -> int:  # noqa: ARG002
        """Return how many rows a regression needs: where there are none, a table says so itself."""
        return 1

    def policy(self, data: Trajectories) -> Function:
        """Return the logarithms of the shares of actions; minus infinity for one never taken in a state seen."""
        cells = Cells.of(data.states)
        counts = cells.sums(cells.place(data.states), data.actions, data.n_actions, data.weights)
        total = counts.sum(axis=1, keepdims=True)
        share = counts / np.where(total > 0, total, 1.0)
        logs = np.log(share, out=np.full_like(share, -np.inf), where=share > 0)
        return TableFunction(cells, np.where(total > 0, logs, np.nan))

    def regression(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> TabularRegression:
        """Return means by cell."""
        return TabularRegression(rows, at)


class TabularRegression:
    """Means of the targets in each cell; :class:`~.function_class.Regression`."""

    def __init__(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> None:
        self._cells = Cells.of(rows.states)
        self._rows = rows
        self._place = self._cells.place(rows.states)
        self._at = self._cells.place(at)
        self._total = self._cells.sums(self._place, rows.output, rows.n_outputs, rows.weights)
        self._known = self._total > 0
        self._mean = np.full(self._total.shape, np.nan)

    def fit(self, targets: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m outputs"]:
        """Fit, and return the means of the states named before, NaN where no row tells of them."""
        rows = self._rows
        sums = self._cells.sums(self._place, rows.output, rows.n_outputs, rows.weights * targets)
        self._mean[self._known] = sums[self._known] / self._total[self._known]
        return np.where(self._at[:, None] >= 0, self._mean[self._at], np.nan)

    def function(self) -> Function:
        """Return the table of the last fit as a function."""
        return TableFunction(self._cells, self._mean.copy())


@dataclass(frozen=True, eq=False)
class Cells:
    """Distinct states, each with its place.

    Parameters
    ----------
    rows : ndarray of float64, shape (cells, d)
    """

    rows: Float[np.ndarray, "cells d"]

    @classmethod
    def of(cls, states: Float[np.ndarray, "n d"]) -> Cells:
        """Return the distinct ones of some states."""
        return cls(_distinct(states)[0])

    @cached_property
    def places(self) -> dict[bytes, int]:
        """The place of each state by its bytes."""
        return {row.tobytes(): place for place, row in enumerate(self.rows)}

    def place(self, states: Float[np.ndarray, "m d"]) -> Int[np.ndarray, " m"]:
        """Return the place of each state, -1 for one that is not there."""
        distinct, inverse = _distinct(states)
        found = np.array([self.places.get(row.tobytes(), -1) for row in distinct], dtype=np.int64)
        return np.asarray(found[inverse])

    def sums(
        self,
        place: Int[np.ndarray, " n"],
        output: Int[np.ndarray, " n"],
        n_outputs: int,
        numbers: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, "cells outputs"]:
        """Return sums of numbers by cell and output."""
        found = np.bincount(place * n_outputs + output, numbers, len(self.places) * n_outputs)
        return found.reshape(-1, n_outputs)


@dataclass(frozen=True, eq=False)
class TableFunction:
    """A row of numbers for each state of a table, NaN for any other; :data:`~.function_class.Function`.

    Parameters
    ----------
    cells : Cells
    table : ndarray of float64, shape (cells, outputs)
    """

    cells: Cells
    table: Float[np.ndarray, "cells outputs"]

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return the rows of some states."""
        place = self.cells.place(states)
        return np.where(place[:, None] >= 0, self.table[place], np.nan)


def _distinct(states: Float[np.ndarray, "m d"]) -> tuple[Float[np.ndarray, "distinct d"], Int[np.ndarray, " m"]]:
    """Return the distinct states, and which of them each is."""
    cells = np.asarray(states, dtype=np.float64) + 0.0  # adding zero makes minus zero zero, which has other bytes
    if cells.shape[1] == 1:  # numbers sort faster than rows
        distinct, inverse = np.unique(cells[:, 0], return_inverse=True)
        return distinct[:, None], inverse
    distinct, inverse = np.unique(cells, axis=0, return_inverse=True)
    return distinct, inverse.reshape(-1)

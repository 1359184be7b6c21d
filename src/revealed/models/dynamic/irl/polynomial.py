r"""Functions linear in powers and products of the state. Imports its own room.

Choice probabilities are a multinomial logit on :math:`\phi(s)`, with the ridge
:math:`\tfrac{\lambda}{2}\lVert w\rVert^2` on all coefficients but constants; regressions are least squares on the same,
each action with coefficients of its own. States are standardised first, so the ridge does not depend on units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.function_class import Function, Iteration, Rows
from revealed.models.dynamic.irl.scaling import Scaling, log_shares
from revealed.models.dynamic.irl.tabular import Cells
from revealed.models.dynamic.irl.trajectories import Can, Trajectories, can_be_taken


@dataclass(frozen=True)
class Polynomial:
    """Polynomials of the state.

    Parameters
    ----------
    degree : int
        1 for linear, 2 with squares and products, ….
    ridge : float
        In units of choices: what one observation weighs about one.
    """

    degree: int = 2
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if self.degree < 1 or not self.ridge > 0:
            raise SpecificationError(f"a degree of one or more and a ridge above zero: {self.degree}, {self.ridge}")

    @property
    def title(self) -> str:
        """What it is called in results."""
        return f"polynomial of degree {self.degree}"

    @property
    def iteration(self) -> Iteration:
        """Cheap rounds: until nothing changes."""
        return Iteration(20_000, 1e-8)

    def needs(self, columns: int) -> int:
        """Return how many rows a regression on states of some columns needs: one for each coefficient."""
        return comb(columns + self.degree, self.degree)

    def policy(self, data: Trajectories) -> Function:
        """Return the log-probabilities of a multinomial logit on powers and products."""
        scaling = Scaling.of(data.states)
        states, counts, can = _counted(data)
        x = self.features(scaling(states))
        shape = (x.shape[1], data.n_actions)
        total = counts.sum(axis=1, keepdims=True)
        ridge = np.full(shape, self.ridge)
        ridge[0] = 0.0

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            params = flat.reshape(shape)
            logs = log_shares(x @ params, can)
            slope = x.T @ (total * np.exp(logs) - counts) + ridge * params
            fit = -float((counts * np.where(counts > 0, logs, 0.0)).sum())
            return fit + 0.5 * float((ridge * params**2).sum()), slope.ravel()

        begin = np.zeros(shape[0] * shape[1])
        params = minimize(
            loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 2_000, "gtol": 1e-6, "ftol": 1e-14}
        ).x.reshape(shape)
        return LogPowers(PowersFunction(self, scaling, params), data.available)

    def regression(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> PolynomialRegression:
        """Return ridge regressions, one for each output."""
        return PolynomialRegression(self, rows, at)

    def features(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n K"]:
        """Return a constant, then all powers and products up to the degree."""
        products = [
            np.prod(x[:, list(columns)], axis=1)
            for degree in range(1, self.degree + 1)
            for columns in combinations_with_replacement(range(x.shape[1]), degree)
        ]
        return np.column_stack([np.ones(len(x)), *products])


class PolynomialRegression:
    """Ridge regressions with known factors; :class:`~.function_class.Regression`."""

    def __init__(self, family: Polynomial, rows: Rows, at: Float[np.ndarray, "m d"]) -> None:
        self._family, self._scaling = family, Scaling.of(rows.states)
        x = family.features(self._scaling(rows.states))
        self._at = family.features(self._scaling(at))
        ridge = np.full(x.shape[1], family.ridge)
        ridge[0] = 1e-9
        self._parts = []
        for output in range(rows.n_outputs):
            some = np.flatnonzero(rows.output == output)
            weighted = (x[some] * rows.weights[some, None]).T
            self._parts.append((some, weighted, cho_factor(weighted @ x[some] + np.diag(ridge))))
        self._params = np.zeros((x.shape[1], rows.n_outputs))

    def fit(self, targets: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m outputs"]:
        """Fit, and return predictions at the states named before."""
        for output, (some, weighted, factor) in enumerate(self._parts):
            # The ridge draws towards the mean of the targets: what is far from all rows is guessed to be usual.
            mean = float(targets[some].mean()) if len(some) else 0.0
            self._params[:, output] = cho_solve(factor, weighted @ (targets[some] - mean))
            self._params[0, output] += mean
        return self._at @ self._params

    def function(self) -> Function:
        """Return the polynomials of the last fit."""
        return PowersFunction(self._family, self._scaling, self._params.copy())


def _counted(
    data: Trajectories,
) -> tuple[Float[np.ndarray, "cells d"], Float[np.ndarray, "cells A"], Bool[np.ndarray, "cells A"] | None]:
    """Return the states with a choice, how often each action was taken in them, and which can be."""
    cells = Cells.of(data.states)
    counts = cells.sums(cells.place(data.states), data.actions, data.n_actions, data.weights)
    if data.available is None:
        return cells.rows, counts, None
    can = data.mask(cells.rows)
    free = can.sum(axis=1) > 1  # where there is no choice, nothing is told
    return cells.rows[free], counts[free], can[free]


@dataclass(frozen=True, eq=False)
class PowersFunction:
    """Polynomials of the state, one an output; :data:`~.function_class.Function`.

    Parameters
    ----------
    family : Polynomial
    scaling : Scaling
    params : ndarray of float64, shape (K, outputs)
    """

    family: Polynomial
    scaling: Scaling
    params: Float[np.ndarray, "K outputs"]

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return the polynomials at some states."""
        return np.asarray(self.family.features(self.scaling(states)) @ self.params)


@dataclass(frozen=True, eq=False)
class LogPowers:
    """Log-probabilities of a multinomial logit on polynomials.

    Parameters
    ----------
    score : PowersFunction
    available : callable, optional
    """

    score: PowersFunction
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return log-probabilities at some states."""
        score = self.score(states)
        return log_shares(score, can_be_taken(self.available, states, score.shape[1]))

r"""What a function of the state may look like: the two things an estimator asks of a class of functions.

Imports its own room. A class fits choice probabilities, and regresses numbers on states and actions. Each of
:mod:`.tabular`, :mod:`.polynomial`, :mod:`.neural` and :mod:`.boosted` is one class; estimators know only this page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from revealed.models.dynamic.irl.trajectories import Trajectories

#: From states, shape (m, d), to numbers, one column an action. NaN where a class knows nothing.
Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Iteration:
    """How long a fitted iteration goes on.

    Parameters
    ----------
    rounds : int
        The most regressions.
    tolerance : float
        What may be left of the way to the fixed point, relative to the largest value (at least one).
    exact : bool
        Whether a regression has no chance in it, so that a round can be extrapolated.
    """

    rounds: int
    tolerance: float
    exact: bool = True


@runtime_checkable
class Regression(Protocol):
    """Least squares on fixed rows, again and again for other targets."""

    def fit(self, targets: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m outputs"]:
        """Fit, and return predictions at the places named when the regression was made."""
        ...

    def function(self) -> Function:
        """Return the function of the last fit."""
        ...


@runtime_checkable
class FunctionClass(Protocol):
    """A class of functions of the state."""

    @property
    def title(self) -> str:
        """What it is called in results."""
        ...

    @property
    def iteration(self) -> Iteration:
        """How long fitted iterations with it go on."""
        ...

    def needs(self, columns: int) -> int:
        """Return how many rows a regression on states of some columns needs at least."""
        ...

    def policy(self, data: Trajectories) -> Function:
        """Return the logarithms of choice probabilities, estimated by maximum likelihood."""
        ...

    def regression(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> Regression:
        """Return a regression on rows whose predictions are wanted at some states."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """What a regression stands on: a function has several outputs, and each row tells of one.

    Parameters
    ----------
    states : ndarray of float64, shape (n, d)
    output : ndarray of int64, shape (n,)
        Which output a row tells of: the action taken, say.
    n_outputs : int
    weights : ndarray of float64, shape (n,)
    """

    states: Float[np.ndarray, "n d"]
    output: Int[np.ndarray, " n"]
    n_outputs: int
    weights: Float[np.ndarray, " n"]

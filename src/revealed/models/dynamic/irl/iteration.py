r"""Fitted iteration: :math:`Q \leftarrow \Pi\,[\text{flow} + \gamma \sum_a \mu_a Q_a(s')]`. Imports its own room.

Targets are numbers when a regression sees them: no slope goes through them. A method that lets it through minimises
the squared Bellman residual, whose minimum is elsewhere where transitions are random (Baird 1995). As averages do not
expand, the iteration is a :math:`\gamma`-contraction for tables; least squares may expand where actions lead away from
what the rows tell of, which the status says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.models.dynamic.irl.function_class import Function, Iteration, Regression

#: Values this many times the largest they can be come of an iteration that expands.
_ASTRAY = 100.0


@dataclass(frozen=True, eq=False)
class Fixed:
    """The end of a fitted iteration.

    Parameters
    ----------
    function : callable
        From states to values, one column an output.
    rounds : int
    left : float
        A bound of what is left of the way to the fixed point, relative to the largest value (at least one).
    converged : bool
        Whether that is below the tolerance.
    of : str
        What ``left`` is a part of.
    """

    function: Function
    rounds: int
    left: float
    converged: bool
    of: str = "of values"


def fixed_point(
    regression: Regression,
    flow: Float[np.ndarray, " n"],
    mix: Float[np.ndarray, "n outputs"],
    discount: float,
    iteration: Iteration,
) -> Fixed:
    """Iterate to the fixed point.

    Parameters
    ----------
    regression : Regression
        On n rows, with predictions at their next states.
    flow : ndarray of float64, shape (n,)
        What each row earns.
    mix : ndarray of float64, shape (n, outputs)
        The weight of each output at the next state.
    discount : float
    iteration : Iteration

    Returns
    -------
    Fixed
        Not to converge is status, not an error. NaN of the regression where ``mix`` is above zero stays NaN.
    """
    most = _ASTRAY * max(float(np.abs(flow).max()), 1.0) / (1 - discount)
    # Where to begin does not matter for the end, and the mean is what a contraction is slowest with.
    later = np.full(len(flow), float(flow.mean()) / (1 - discount))
    left, rounds = np.inf, 0
    while rounds < iteration.rounds:
        rounds += 1
        predicted = regression.fit(flow + discount * later)
        after = (np.where(mix > 0, predicted, 0.0) * mix).sum(axis=1)
        size = max(float(np.abs(after).max()), 1.0)
        change = after - later
        left = float(np.abs(change).max()) * discount / (1 - discount) / size
        later = after
        if iteration.exact:
            # What moves all values alike fades by the discount factor only: how far it goes is known (MacQueen 1966).
            later = after + float(change.mean()) * discount / (1 - discount)
        if not left > iteration.tolerance or not size < most:
            break
    return Fixed(regression.function(), rounds, left, bool(left <= iteration.tolerance))

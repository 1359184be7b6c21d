r"""The value of a decision process: soft Bellman equations, for ever or to a horizon. Imports its own room.

.. math::
   Q(s, a) = r(s, a) + \gamma \sum_{s'} T_a(s, s') V(s'), \qquad V(s) = \alpha \log \sum_a e^{Q(s, a) / \alpha},
   \qquad \pi(a | s) = e^{(Q(s, a) - V(s)) / \alpha}

For ever, a few successive approximations and then Newton–Kantorovich steps, which are policy iterations (Rust 1987;
Iskhakov, Lee, Rust, Schjerning and Seo 2016): each solves :math:`(I - \gamma T_\pi) \Delta = \Gamma V - V`, and the
error squares. The constant by which Euler's number shifts all values is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, bicgstab, spilu

from revealed.models.dynamic.process import DecisionProcess, Transitions


@dataclass(frozen=True)
class SolveOptions:
    """How far to solve.

    Parameters
    ----------
    tolerance : float
        The largest change of a value, relative to the largest value (at least one), that ends the solving.
    contractions : int
        Successive approximations before the first Newton step.
    most : int
        The most Newton steps.
    """

    tolerance: float = 1e-12
    contractions: int = 2
    most: int = 50


@dataclass(frozen=True, eq=False)
class Solution:
    """What decision makers do, and what it is worth.

    Parameters
    ----------
    value : ndarray of float64, shape (S,), or (T, S) with a horizon
    action_value, policy : ndarray of float64, shape (S, A), or (T, S, A)
        :math:`Q` (minus infinity where an action is not available), and choice probabilities.
    converged : bool
    steps : int
        Newton steps.
    residual : float
        The largest change of a value in the last step, relative to the largest value.
    """

    value: np.ndarray
    action_value: np.ndarray
    policy: np.ndarray
    converged: bool
    steps: int
    residual: float


def choose(
    process: DecisionProcess, action_value: Float[np.ndarray, "S A"]
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S A"]]:
    """Return the value and the choice probabilities that action values make; minus infinity is never taken."""
    scale = process.scale
    top = action_value.max(axis=1)
    weight = np.exp((action_value - top[:, None]) / scale)
    total = weight.sum(axis=1)
    return top + scale * np.log(total), weight / total[:, None]


def action_values(
    process: DecisionProcess, reward: Float[np.ndarray, "S A"], value: Float[np.ndarray, " S"]
) -> Float[np.ndarray, "S A"]:
    """Return the value of each action, minus infinity where it is not available."""
    found = reward + process.discount * process.expected(value)
    return found if process.available is None else np.where(process.available, found, -np.inf)


def solved(
    process: DecisionProcess,
    reward: Float[np.ndarray, "S A"],
    start: Float[np.ndarray, " S"] | None = None,
    options: SolveOptions | None = None,
) -> Solution:
    """Solve a decision process for given rewards.

    Parameters
    ----------
    process : DecisionProcess
    reward : ndarray of float64, shape (S, A)
    start : ndarray of float64, shape (S,), optional
        Where to start from: values of a process nearby.
    options : SolveOptions, optional

    Returns
    -------
    Solution
        Not to converge is status, not an error.
    """
    if process.horizon is not None:
        return _backwards(process, reward, process.horizon)
    options = options or SolveOptions()
    value = np.zeros(process.n_states) if start is None else start
    for _ in range(options.contractions):
        value = choose(process, action_values(process, reward, value))[0]
    residual, steps = np.inf, 0
    while True:
        worth = action_values(process, reward, value)
        after, policy = choose(process, worth)
        size = max(float(np.abs(after).max()), 1.0)
        before, residual = residual, float(np.abs(after - value).max()) / size
        # Near the end rounding is all that is left: a step that does not halve the change is the last.
        if residual < options.tolerance or (residual < 1e3 * options.tolerance and residual > 0.5 * before):
            return Solution(after, worth, policy, True, steps, residual)
        if steps >= options.most or not np.isfinite(residual):
            return Solution(after, worth, policy, False, steps, residual)
        value = value + forward(process, process.under(policy), after - value)
        steps += 1


def forward(
    process: DecisionProcess, under: np.ndarray | Transitions, flow: Float[np.ndarray, " S *rest"]
) -> Float[np.ndarray, " S *rest"]:
    r"""Return what flows are worth to who follows a policy for ever: :math:`(I - \gamma T_\pi)^{-1}` times the flows.

    Parameters
    ----------
    process : DecisionProcess
    under : matrix, shape (S, S)
        Transitions under the policy.
    flow : ndarray of float64, shape (S,) or (S, K)
    """
    if isinstance(under, np.ndarray):
        return np.linalg.solve(np.eye(len(under)) - process.discount * under, flow)
    matrix = sparse.csc_array(sparse.eye_array(process.n_states, format="csr") - process.discount * under)
    rough = spilu(matrix, drop_tol=1e-4, fill_factor=4)
    helper = LinearOperator(matrix.shape, rough.solve)
    columns = flow.reshape(process.n_states, -1)
    found = np.empty_like(columns)
    for number, column in enumerate(columns.T):
        found[:, number], failed = bicgstab(matrix, column, rtol=1e-12, atol=0.0, M=helper, maxiter=2_000)
        if failed:  # a direct solution takes longer, and always comes
            found[:, number] = sparse.linalg.spsolve(matrix, column)
    return found.reshape(flow.shape)


def _backwards(process: DecisionProcess, reward: np.ndarray, horizon: int) -> Solution:
    """Solve from the last period on; nothing is worth anything after it."""
    shape = (horizon, process.n_states, process.n_actions)
    value, worth, policy = np.zeros(shape[:2]), np.empty(shape), np.empty(shape)
    after = np.zeros(process.n_states)
    for period in reversed(range(horizon)):
        worth[period] = action_values(process, reward, after)
        value[period], policy[period] = choose(process, worth[period])
        after = value[period]
    return Solution(value, worth, policy, True, 0, 0.0)

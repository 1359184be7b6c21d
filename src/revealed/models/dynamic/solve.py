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

from revealed.models.dynamic.process import DecisionProcess, Transitions

#: What an iterative solution may leave, relative to the right-hand side.
_RESIDUAL = 1e-11


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

    def messages(self) -> list[str]:
        """Return what is wrong with it, in words."""
        if self.converged:
            return []
        return [f"the values were not solved: the last step still changed them by {self.residual:.1e}"]


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
    process: DecisionProcess,
    under: np.ndarray | Transitions,
    flow: Float[np.ndarray, " S *rest"],
    start: Float[np.ndarray, " S *rest"] | None = None,
) -> Float[np.ndarray, " S *rest"]:
    r"""Return what flows are worth to who follows a policy for ever: :math:`(I - \gamma T_\pi)^{-1}` times the flows.

    Parameters
    ----------
    process : DecisionProcess
    under : matrix, shape (S, S)
        Transitions under the policy.
    flow : ndarray of float64, shape (S,) or (S, K)
    start : ndarray of float64, optional
        A guess; saves time where matrices are sparse.
    """
    if isinstance(under, np.ndarray):
        return np.linalg.solve(np.eye(len(under)) - process.discount * under, flow)
    columns = flow.reshape(process.n_states, -1)
    guess = np.zeros_like(columns) if start is None else start.reshape(columns.shape).copy()
    found = _settled(under, process.discount, columns, guess)
    return found.reshape(flow.shape)


def _settled(under: Transitions, discount: float, flow: np.ndarray, found: np.ndarray) -> Float[np.ndarray, "S K"]:
    r"""Solve :math:`W = F + \gamma T W` for all columns at once, which reads the matrix once for all.

    BiCGSTAB (van der Vorst 1992), each column with numbers of its own, without a preconditioner: the eigenvalues lie
    within a disc of radius gamma around one already. Where it breaks down, period after period is added up, which is
    slower, and sure.
    """
    enough = _RESIDUAL * np.maximum(np.abs(flow).max(axis=0), 1e-300)

    def left(guess: np.ndarray) -> np.ndarray:
        return np.asarray(flow - guess + discount * (under @ guess))

    residual = left(found)
    shadow, direction = residual.copy(), residual.copy()
    rho = _dot(shadow, residual)
    with np.errstate(all="ignore"):
        for _ in range(2_000):
            if (np.abs(residual).max(axis=0) <= enough).all():
                break
            moved = direction - discount * (under @ direction)
            alpha = _zero_over_zero(rho, _dot(shadow, moved))
            half = residual - alpha * moved
            turned = half - discount * (under @ half)
            omega = _zero_over_zero(_dot(turned, half), _dot(turned, turned))
            found += alpha * direction + omega * half
            residual = half - omega * turned
            before, rho = rho, _dot(shadow, residual)
            direction = residual + _zero_over_zero(rho * alpha, before * omega) * (direction - omega * moved)
    found[:, ~np.isfinite(found).all(axis=0)] = 0.0
    while True:
        residual = left(found)
        # What the iteration's own residual says may have drifted from the truth: a last look, at the truth.
        if (np.abs(residual).max(axis=0) <= 10 * enough).all():
            return found
        found += residual


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("sk,sk->k", a, b))


def _zero_over_zero(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return a quotient, zero where there is nothing left to divide."""
    return np.where(denominator == 0, 0.0, numerator / np.where(denominator == 0, 1.0, denominator))


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

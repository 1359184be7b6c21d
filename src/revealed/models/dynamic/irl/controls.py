"""What any recovered reward must be compared with: rewards that cost nothing to make up. Imports its own room."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from revealed.models.dynamic.irl.function_class import Function
from revealed.models.dynamic.irl.trajectories import Trajectories


def zero_reward(data: Trajectories) -> Function:
    """Return the reward that is zero everywhere: its squared error is what there is to explain."""
    n_actions = data.n_actions
    return lambda states: np.zeros((len(states), n_actions))


def static_log_odds(log_policy: Function, anchor: int, scale: float = 1.0) -> Function:
    """Return the reward of who does not look ahead: log-odds against the anchor, times the scale.

    That is what PQR comes to for a discount factor of zero and an anchor's reward of zero.
    """

    def reward(states: np.ndarray) -> np.ndarray:
        logs = log_policy(states)
        return np.asarray(scale * (logs - logs[:, [anchor]]))

    return reward


def log_probability(log_policy: Function, scale: float = 1.0) -> Function:
    """Return log-probabilities as rewards, which ignores the future and knows no anchor."""
    return lambda states: scale * log_policy(states)


def negative_log_likelihood(
    log_policy: Function, states: Float[np.ndarray, "m d"], actions: Int[np.ndarray, " m"]
) -> float:
    """Return the mean negative log-likelihood of choices: of cloned behaviour, log(A) for one that knows nothing."""
    return -float(log_policy(states)[np.arange(len(actions)), actions].mean())

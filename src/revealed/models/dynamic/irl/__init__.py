"""Inverse reinforcement learning with an anchor: rewards as functions of any state. Imports dynamic and choices."""

from revealed.models.dynamic.irl.controls import log_probability, negative_log_likelihood, static_log_odds, zero_reward
from revealed.models.dynamic.irl.genpqr import GenPQR
from revealed.models.dynamic.irl.neural import Neural
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.pqr import PQR
from revealed.models.dynamic.irl.recovered import RecoveredReward, Sweep
from revealed.models.dynamic.irl.tabular import Tabular
from revealed.models.dynamic.irl.trajectories import Trajectories

__all__ = [
    "PQR",
    "GenPQR",
    "Neural",
    "Polynomial",
    "RecoveredReward",
    "Sweep",
    "Tabular",
    "Trajectories",
    "log_probability",
    "negative_log_likelihood",
    "static_log_odds",
    "zero_reward",
]

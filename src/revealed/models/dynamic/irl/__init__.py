"""Inverse reinforcement learning with an anchor: rewards as functions of any state. Imports dynamic and choices."""

from revealed.models.dynamic.irl.airl import AIRL
from revealed.models.dynamic.irl.boosted import Boosted
from revealed.models.dynamic.irl.bootstrap import RewardBootstrap, Spread, bootstrapped_reward
from revealed.models.dynamic.irl.controls import log_probability, negative_log_likelihood, static_log_odds, zero_reward
from revealed.models.dynamic.irl.debiased import CrossFitted, Debiased, cross_fitted
from revealed.models.dynamic.irl.finite import fit_on, recover_on
from revealed.models.dynamic.irl.genpqr import GenPQR
from revealed.models.dynamic.irl.gladius import GLADIUS
from revealed.models.dynamic.irl.maxent import MaxEnt
from revealed.models.dynamic.irl.neural import Neural
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.pqr import PQR
from revealed.models.dynamic.irl.recovered import RecoveredReward, Sweep
from revealed.models.dynamic.irl.tabular import Tabular
from revealed.models.dynamic.irl.trajectories import Trajectories

__all__ = [
    "AIRL",
    "GLADIUS",
    "PQR",
    "Boosted",
    "CrossFitted",
    "Debiased",
    "GenPQR",
    "MaxEnt",
    "Neural",
    "Polynomial",
    "RecoveredReward",
    "RewardBootstrap",
    "Spread",
    "Sweep",
    "Tabular",
    "Trajectories",
    "bootstrapped_reward",
    "cross_fitted",
    "fit_on",
    "log_probability",
    "negative_log_likelihood",
    "recover_on",
    "static_log_odds",
    "zero_reward",
]

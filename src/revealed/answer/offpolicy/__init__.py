"""Is the new policy better? What it would have earned, from a log of another. Imports answer's base and choices.

Give :func:`evaluate` a log with propensities (:class:`~revealed.choices.feedback.Feedback`) and a policy: any object
with ``probabilities(feedback)``, an array of probabilities, or a mapping from actions to probabilities.
"""

from revealed.answer.offpolicy.compare import Difference, PolicyComparison, compare_policies
from revealed.answer.offpolicy.direct import DirectMethod
from revealed.answer.offpolicy.doubly_robust import DoublyRobust
from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.intervals import Bootstrap, EmpiricalBernstein, Interval, Normal
from revealed.answer.offpolicy.judge import evaluate, evaluate_each
from revealed.answer.offpolicy.overlap import Limits, Overlap
from revealed.answer.offpolicy.passes import asked_once
from revealed.answer.offpolicy.rewards import Foretold, RewardModel
from revealed.answer.offpolicy.ridge import RidgeRewards
from revealed.answer.offpolicy.slate_order import prefix_probability, slate_probability
from revealed.answer.offpolicy.slates import (
    SlateCascade,
    SlateEstimator,
    SlateIndependent,
    SlateRewardInteraction,
    SlateStandard,
    compare_slates,
    evaluate_slates,
)
from revealed.answer.offpolicy.target import Logged
from revealed.answer.offpolicy.tuning import ErrorBound, Slope, Tuned
from revealed.answer.offpolicy.value import PolicyValue, PolicyValues
from revealed.answer.offpolicy.weighting import InversePropensity
from revealed.answer.offpolicy.weights import Clipped, Plain, Shrunk, SubGaussian, Switched, Weights

__all__ = [
    "Bootstrap",
    "Clipped",
    "Difference",
    "DirectMethod",
    "DoublyRobust",
    "EmpiricalBernstein",
    "ErrorBound",
    "Estimator",
    "Foretold",
    "Interval",
    "InversePropensity",
    "Limits",
    "Logged",
    "Normal",
    "Overlap",
    "Plain",
    "PolicyComparison",
    "PolicyValue",
    "PolicyValues",
    "RewardModel",
    "RidgeRewards",
    "Shrunk",
    "SlateCascade",
    "SlateEstimator",
    "SlateIndependent",
    "SlateRewardInteraction",
    "SlateStandard",
    "Slope",
    "SubGaussian",
    "Switched",
    "Tuned",
    "Weights",
    "asked_once",
    "compare_policies",
    "compare_slates",
    "evaluate",
    "evaluate_each",
    "evaluate_slates",
    "prefix_probability",
    "slate_probability",
]

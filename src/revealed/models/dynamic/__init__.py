"""Choices over time: decision processes, their estimators, and what they rest on. Imports models to choices."""

from revealed.models.dynamic.bootstrap import Bootstrap, bootstrapped
from revealed.models.dynamic.ccp import ConditionalChoice
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import FreeReward, RecoveredFit
from revealed.models.dynamic.membership import Membership
from revealed.models.dynamic.model import DynamicModel
from revealed.models.dynamic.nfxp import NestedFixedPoint
from revealed.models.dynamic.npl import NestedPseudoLikelihood
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution, SolveOptions, solved
from revealed.models.dynamic.space import StateSpace
from revealed.models.dynamic.temporal import TemporalDifference
from revealed.models.dynamic.transitions import Counted, EstimatedTransitions, by_columns, by_increments, counted
from revealed.models.dynamic.types import TypesFit, UnobservedTypes, bootstrapped_types

__all__ = [
    "Bootstrap",
    "ConditionalChoice",
    "Counted",
    "DecisionProcess",
    "DynamicFit",
    "DynamicModel",
    "EstimatedTransitions",
    "FreeReward",
    "LinearReward",
    "Membership",
    "NestedFixedPoint",
    "NestedPseudoLikelihood",
    "Panel",
    "RecoveredFit",
    "Solution",
    "SolveOptions",
    "StateSpace",
    "TemporalDifference",
    "TypesFit",
    "UnobservedTypes",
    "bootstrapped",
    "bootstrapped_types",
    "by_columns",
    "by_increments",
    "counted",
    "solved",
]

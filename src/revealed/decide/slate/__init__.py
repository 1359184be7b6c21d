"""Slates: several things shown at once, in order, diverse, and with the probability that they were shown.

Imports errors only.
"""

from revealed.decide.slate.categories import Categories
from revealed.decide.slate.goals import AtLeast, Multipliers, blend
from revealed.decide.slate.objective import Coverage
from revealed.decide.slate.positions import PositionEffects, fit_positions
from revealed.decide.slate.probability import PlackettLuce, SlatePropensity, estimate_propensity
from revealed.decide.slate.select import Slate, select
from revealed.decide.slate.tastes import Tastes

__all__ = [
    "AtLeast",
    "Categories",
    "Coverage",
    "Multipliers",
    "PlackettLuce",
    "PositionEffects",
    "Slate",
    "SlatePropensity",
    "Tastes",
    "blend",
    "estimate_propensity",
    "fit_positions",
    "select",
]

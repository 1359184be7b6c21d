"""Combinations: which option in each slot, with what they do alone, in pairs and in context. Imports models to choices.

After Hill, Nassif, Liu, Iyer and Vishwanathan, "An efficient bandit algorithm for realtime multivariate optimization"
(KDD 2017, arXiv 1810.09558). :class:`LayoutLearner` learns as answers arrive; :func:`read_tests` and :func:`fit_tests`
start from a table of past A/B tests.
"""

from revealed.decide.layout.context import Category, Context, Number
from revealed.decide.layout.decision import LayoutDecision
from revealed.decide.layout.design import Design, Priors
from revealed.decide.layout.effects import Effect, effects_of
from revealed.decide.layout.learner import LayoutLearner
from revealed.decide.layout.past import TestsFit, fit_tests
from revealed.decide.layout.ranking import RankedLayout, Ranking
from revealed.decide.layout.rivals import CombinationBandit, SlotBandits
from revealed.decide.layout.search import Found, Search, SearchOptions
from revealed.decide.layout.simulation import LayoutWorld, regret_of
from revealed.decide.layout.space import LayoutSpace, Slot
from revealed.decide.layout.table import LayoutTests, read_tests

__all__ = [
    "Category",
    "CombinationBandit",
    "Context",
    "Design",
    "Effect",
    "Found",
    "LayoutDecision",
    "LayoutLearner",
    "LayoutSpace",
    "LayoutTests",
    "LayoutWorld",
    "Number",
    "Priors",
    "RankedLayout",
    "Ranking",
    "Search",
    "SearchOptions",
    "Slot",
    "SlotBandits",
    "TestsFit",
    "effects_of",
    "fit_tests",
    "read_tests",
    "regret_of",
]

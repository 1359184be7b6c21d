"""Explorers: from a posterior to what is shown, and with exactly which propensity. Imports models to choices.

:class:`Explorer` decides by a rule, one of :class:`Thompson` (the default), :class:`TopTwo`, :class:`UpperConfidence`,
:class:`EpsilonGreedy` and :class:`Greedy`, with a floor and a cap on any action's propensity.
"""

from revealed.decide.explore.epsilon_greedy import EpsilonGreedy
from revealed.decide.explore.explorer import Choice, Choices, Explorer
from revealed.decide.explore.greedy import Greedy
from revealed.decide.explore.propensity import Limits
from revealed.decide.explore.protocol import Rule
from revealed.decide.explore.rules import rule_named
from revealed.decide.explore.thompson import Thompson
from revealed.decide.explore.top_two import TopTwo
from revealed.decide.explore.upper_confidence import UpperConfidence

__all__ = [
    "Choice",
    "Choices",
    "EpsilonGreedy",
    "Explorer",
    "Greedy",
    "Limits",
    "Rule",
    "Thompson",
    "TopTwo",
    "UpperConfidence",
    "rule_named",
]

"""The rules by their names. Imports its own room and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from revealed.decide.explore.epsilon_greedy import EpsilonGreedy
from revealed.decide.explore.greedy import Greedy
from revealed.decide.explore.protocol import Rule
from revealed.decide.explore.thompson import Thompson
from revealed.decide.explore.top_two import TopTwo
from revealed.decide.explore.upper_confidence import UpperConfidence
from revealed.errors import SpecificationError, nearest

RULES = {rule.name: rule for rule in (Thompson, TopTwo, UpperConfidence, EpsilonGreedy, Greedy)}


def rule_named(name: str, **options: float) -> Rule:
    """Return a rule by its name: thompson, top_two, upper_confidence, epsilon_greedy or greedy.

    Raises
    ------
    SpecificationError
        If there is no such rule, or it has no such option.
    """
    if name not in RULES:
        raise SpecificationError(f"no rule of exploration {name!r}; {nearest(name, RULES)}")
    known = [field.name for field in fields(RULES[name])]
    for option in options:
        if option not in known:
            raise SpecificationError(f"the rule {name!r} has no option {option!r}; {nearest(option, known)}")
    rule: Rule = RULES[name](**options)
    return rule


def rule_from_dict(data: Mapping[str, Any]) -> Rule:
    """Return the rule that ``to_dict`` wrote."""
    return rule_named(str(data["rule"]), **{key: value for key, value in data.items() if key != "rule"})

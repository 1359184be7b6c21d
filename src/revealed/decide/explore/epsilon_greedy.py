"""Epsilon-greedy: the best action, now and then any. Imports its own room and errors.

Sutton and Barto, "Reinforcement learning" (2nd edition, 2018), section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from revealed.decide.explore.protocol import OfActions, Outlook, best_of
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class EpsilonGreedy:
    """Show the action of the highest mean, or any eligible one, all equally likely.

    Parameters
    ----------
    epsilon : float
        How often it is any, between 0 and 1.
    """

    epsilon: float = 0.05
    name: ClassVar[str] = "epsilon_greedy"

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise SpecificationError(f"epsilon must be between 0 and 1, not {self.epsilon!r}")

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return ``epsilon / eligible`` for each, and the rest for the best."""
        eligible = outlook.eligible
        any_of = eligible / eligible.sum(axis=1, keepdims=True)
        shown: OfActions = self.epsilon * any_of + (1 - self.epsilon) * best_of(outlook.means(), eligible)
        return shown

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name, "epsilon": self.epsilon}

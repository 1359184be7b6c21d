"""Upper confidence bounds: the action that may be the best. Imports its own room.

Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article recommendation" (WWW 2010),
equation 5, with the posterior's standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from revealed.decide.explore.protocol import OfActions, Outlook, best_of
from revealed.decide.explore.thompson import require_width


@dataclass(frozen=True)
class UpperConfidence:
    """Show the action of the highest ``mean + width · standard deviation`` of its linear predictor.

    Parameters
    ----------
    width : float
        Above zero.
    """

    width: float = 0.7
    name: ClassVar[str] = "upper_confidence"

    def __post_init__(self) -> None:
        require_width(self.width)

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return one for the action of the highest bound."""
        return best_of(self.scores(outlook), outlook.eligible)

    def scores(self, outlook: Outlook) -> OfActions:
        """Return the bounds."""
        return outlook.means() + self.width * outlook.deviations()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name, "width": self.width}

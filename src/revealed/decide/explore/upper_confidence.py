"""Upper confidence bounds: the action that may be the best. Imports its own room.

Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article recommendation" (WWW 2010),
equation 5, with the posterior's standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from revealed.decide.explore.protocol import OfActions, Outlook, equally_best_of
from revealed.decide.explore.thompson import require_width


@dataclass(frozen=True)
class UpperConfidence:
    """Show the action of the highest ``mean + width · standard deviation`` of its linear predictor.

    Of actions of which nothing is known all have the same bound. The paper leaves open which is shown: here one by lot,
    so that a batch of decisions learns of all of them, not of one.

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
        """Return one for the action of the highest bound; those that are equally high share it."""
        return equally_best_of(outlook.means() + self.width * outlook.deviations(), outlook.eligible)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name, "width": self.width}

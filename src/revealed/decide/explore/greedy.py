"""Greedy: always what is believed to be the best, nothing to learn. Imports its own room.

For comparison, and for people who are not to be experimented with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from revealed.decide.explore.protocol import OfActions, Outlook, best_of


@dataclass(frozen=True)
class Greedy:
    """Show the action of the highest mean."""

    name: ClassVar[str] = "greedy"

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return one for the action of the highest mean."""
        return best_of(self.scores(outlook), outlook.eligible)

    def scores(self, outlook: Outlook) -> OfActions:
        """Return the means."""
        return outlook.means()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name}

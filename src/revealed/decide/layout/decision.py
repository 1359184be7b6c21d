"""What was decided: a layout, how it was found, and how likely it was. Imports choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from revealed.choices.policy import Decision
from revealed.decide.layout.search import Method
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class LayoutDecision:
    """A layout to show.

    Parameters
    ----------
    layout : dict from str to str
        The option in each slot.
    options : tuple of int
        The same as numbers, as a row of what ``learn`` takes.
    method : {"exhaustive", "hill climbing"}
        How the best layout of the draw was looked for.
    propensity : float or None
        The probability with which it was shown, given the pool of draws; None if there was but one draw, of which
        no probability can be told.
    policy_version : str
        Which policy, learned from what.
    """

    layout: dict[str, str]
    options: tuple[int, ...]
    method: Method
    propensity: float | None
    policy_version: str

    def logged(self, decision: str | int) -> Decision:
        """Return the decision as logs keep it, under a name by which answers find it.

        Raises
        ------
        SpecificationError
            If its propensity is not known.
        """
        if self.propensity is None:
            raise SpecificationError("the propensity of a single draw is not known; decide with pool=100, say")
        shown = tuple(f"{slot}={option}" for slot, option in self.layout.items())
        return Decision(shown, self.propensity, self.policy_version, decision)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "layout": dict(self.layout),
            "method": self.method,
            "propensity": self.propensity,
            "policy_version": self.policy_version,
        }

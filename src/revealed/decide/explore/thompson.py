r"""Thompson sampling: an action is shown as often as it is believed to be the best. Imports its own room and errors.

Thompson (1933); for generalised linear models Chapelle and Li, "An empirical evaluation of Thompson sampling" (2011),
whose posterior reshaping :math:`\alpha` (section 3) multiplies the draws' distance from the mean: ``width`` here. One
is probability matching, to the letter. A half is the default: it has less regret than one in every world tried
(``docs/design/exploration.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from revealed.decide.explore.protocol import OfActions, Outlook
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class Thompson:
    """Show the best action under one draw from the posterior, another for each decision.

    Parameters
    ----------
    width : float
        Multiplies the draw's distance from the mean; above zero.
    """

    width: float = 0.5
    name: ClassVar[str] = "thompson"

    def __post_init__(self) -> None:
        require_width(self.width)

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return the share of draws in which each action is the best."""
        return outlook.shares(self.width)

    def scores(self, outlook: Outlook) -> OfActions:
        """Return the linear predictors under the decision's own draw."""
        return outlook.under_draw(self.width)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name, "width": self.width}


def require_width(width: float) -> None:
    """Raise SpecificationError unless a width is a finite number above zero."""
    if not (np.isfinite(width) and width > 0):
        raise SpecificationError(f"the width must be a finite number above zero, not {width!r}; Greedy() has no width")

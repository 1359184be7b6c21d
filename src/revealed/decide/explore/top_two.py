r"""Top-two Thompson sampling: now and then the best but one, to tell the two apart. Imports its own room and errors.

Russo, "Simple Bayesian algorithms for best-arm identification" (COLT 2016), section 3.3: the best action of a draw is
shown with probability :math:`\beta`; else draws are repeated until another one is the best, which is shown. With
:math:`\alpha_a` the probability that :math:`a` is the best of a draw, that shows :math:`a` with probability

.. math:: \alpha_a\Big(\beta + (1-\beta) \sum_{j \ne a} \frac{\alpha_j}{1-\alpha_j}\Big).

It finds the best action soon, and pays for that in regret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from revealed.decide.explore.protocol import OfActions, Outlook
from revealed.decide.explore.thompson import require_width
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class TopTwo:
    """Show the best action of a draw, or the best of another draw that favours another action.

    Where all draws of the pool favour one action, that one is shown: there is no other to tell it from.

    Parameters
    ----------
    beta : float
        How often it is the first; above 0, at most 1, which is Thompson sampling.
    width : float
        Multiplies the draws' distance from the mean; above zero.
    """

    beta: float = 0.5
    width: float = 1.0
    name: ClassVar[str] = "top_two"

    def __post_init__(self) -> None:
        require_width(self.width)
        if not 0 < self.beta <= 1:
            raise SpecificationError(f"beta must be above 0 and at most 1, not {self.beta!r}")

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return the probabilities in the formula above, for the shares of the pool."""
        share = outlook.shares(self.width)
        certain = share == 1
        odds = share / np.where(certain, 1.0, 1 - share)
        odds[certain] = 0.0
        shown: OfActions = share * (self.beta + (1 - self.beta) * (odds.sum(axis=1, keepdims=True) - odds))
        shown[certain] = 1.0
        return shown

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.name, "beta": self.beta, "width": self.width}

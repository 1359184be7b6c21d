r"""Inverse propensity: what was shown, weighted to what the policy would have shown. Imports parts and weights.

.. math::
   \hat V = \frac1n \sum_i w_i r_i, \qquad \hat V_{sn} = \frac{\sum_i w_i r_i}{\sum_i w_i}, \qquad
   w_i = \frac{\pi(a_i|x_i)}{\pi_0(a_i|x_i)}

Horvitz and Thompson (1952); self-normalised: Swaminathan and Joachims (2015), "The self-normalized estimator".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.parts import Parts, Rounds
from revealed.answer.offpolicy.weights import Plain, Weights

PROPENSITIES = "the propensities in the log are those with which things were shown"
OVERLAP = "whatever the policy would show had a chance to be shown"
BIASED = "the weights are changed to lower the variance, which biases the value; the interval does not hold that bias"


@dataclass(frozen=True)
class InversePropensity(Estimator):
    """Inverse propensity weighting (IPS).

    Parameters
    ----------
    weights : Weights
        What is done to the weights: ``Clipped(10)`` is clipped IPS, ``SubGaussian(0.1)`` sub-Gaussian IPS.
    normalised : bool
        Divide by the sum of the weights rather than by the number of rows: a little biased, mostly far less
        variable, and never outside of the range of rewards (SNIPS).
    """

    weights: Weights = field(default_factory=Plain)
    normalised: bool = False
    citation: ClassVar[str] = "Horvitz and Thompson (1952); Swaminathan and Joachims (2015)"

    @property
    def name(self) -> str:
        """What tables call it."""
        kind = "self-normalised inverse propensity" if self.normalised else "inverse propensity"
        return f"{kind}, {self.weights}" if str(self.weights) else kind

    @property
    def needs_model(self) -> bool:
        """Whether it asks a model of rewards."""
        return False

    @property
    def summed(self) -> tuple[str, ...]:
        """Weighted rewards, and weights if normalised; none where weights are changed."""
        if type(self) is not InversePropensity or type(self.weights) is not Plain:  # what somebody made of it asks rows
            return ()
        return ("weighted", "weight") if self.normalised else ("weighted",)

    def parts(self, rounds: Rounds) -> Parts:
        """Return the weighted rewards."""
        weight = self.weights.of(rounds.weight)
        weighted = rounds.weighted if weight is rounds.weight else weight * rounds.reward
        return Parts(None, weighted, weight) if self.normalised else Parts(weighted)

    def width(self, span: float, largest: float | None) -> float | None:
        """Return the largest weight times the span of rewards."""
        most = self.weights.most(largest)
        return None if most is None or self.normalised else most * span

    def assumptions(self) -> tuple[str, ...]:
        """Return what the value leans on."""
        return (PROPENSITIES, OVERLAP, *([BIASED] if self.weights.biased else []))

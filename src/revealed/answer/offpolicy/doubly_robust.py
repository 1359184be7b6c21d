r"""Doubly robust: a model of rewards, corrected by weighted residuals. Imports parts and weights.

.. math::
   \hat V = \frac1n \sum_i \Big[ \sum_a \pi(a|x_i)\, \hat q(x_i, a) + \hat w_i\,(r_i - \hat q(x_i, a_i)) \Big]

Dudík, Erhan, Langford and Li (2014), "Doubly robust policy evaluation and optimization". The weights
:math:`\hat w` may be changed: switched off it is Switch-DR, shrunk it is DRos, sub-Gaussian it is SGDR; see
:mod:`revealed.answer.offpolicy.weights`. Self-normalised, the residuals are divided by the mean weight (SNDR).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.parts import Parts, Rounds
from revealed.answer.offpolicy.weighting import BIASED, OVERLAP
from revealed.answer.offpolicy.weights import Plain, Weights


@dataclass(frozen=True)
class DoublyRobust(Estimator):
    """Doubly robust (DR): right if the propensities are, and the closer the model of rewards the more precise.

    Parameters
    ----------
    weights : Weights
        What is done to the weights: ``Switched(10)`` is Switch-DR, ``Shrunk(100)`` DR with optimistic shrinkage,
        ``SubGaussian(0.1)`` sub-Gaussian DR, ``Clipped(10)`` clipped DR.
    normalised : bool
        Divide the residuals by the mean weight (SNDR).
    """

    weights: Weights = field(default_factory=Plain)
    normalised: bool = False
    citation: ClassVar[str] = "Dudík, Erhan, Langford and Li (2014), Doubly robust policy evaluation and optimization"

    @property
    def name(self) -> str:
        """What tables call it."""
        kind = "self-normalised doubly robust" if self.normalised else "doubly robust"
        return f"{kind}, {self.weights}" if str(self.weights) else kind

    @property
    def needs_model(self) -> bool:
        """Whether it asks a model of rewards."""
        return True

    def parts(self, rounds: Rounds) -> Parts:
        """Return what the model foretells, with the weighted residuals."""
        weight = self.weights.of(rounds.weight)
        if self.normalised:
            return Parts(rounds.expected, weight * rounds.residual, weight)
        assert rounds.expected is not None
        terms = weight * rounds.residual
        terms += rounds.expected
        return Parts(terms)

    def width(self, span: float, largest: float | None) -> float | None:
        """Return the span of rewards and twice the largest weight times it; the model foretells within the span."""
        most = self.weights.most(largest)
        return None if most is None or self.normalised else (1 + 2 * most) * span

    def assumptions(self) -> tuple[str, ...]:
        """Return what the value leans on."""
        biased = [BIASED] if self.weights.biased else []
        return ("the propensities in the log are right, or the model of rewards is", OVERLAP, *biased)

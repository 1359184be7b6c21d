r"""The direct method: what a model of rewards foretells of the policy. Imports parts.

.. math:: \hat V = \frac1n \sum_i \sum_a \pi(a|x_i)\, \hat q(x_i, a)

Beygelzimer and Langford (2009), "The offset tree for learning with partial labels".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.parts import Parts, Rounds

MODEL_ERROR = "the interval holds who happened to come, not how far the model of rewards is off"


@dataclass(frozen=True)
class DirectMethod(Estimator):
    """The direct method (DM): as good as its model of rewards, and no log can say how good that is."""

    citation: ClassVar[str] = "Beygelzimer and Langford (2009)"
    uses_weights: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What tables call it."""
        return "direct method"

    @property
    def needs_model(self) -> bool:
        """Whether it asks a model of rewards."""
        return True

    def parts(self, rounds: Rounds) -> Parts:
        """Return what the model foretells of the policy on each row."""
        return Parts(rounds.expected)

    def width(self, span: float, largest: float | None) -> float | None:  # noqa: ARG002  (no weights)
        """Return the span of rewards, within which the model is taken to foretell."""
        return span

    def assumptions(self) -> tuple[str, ...]:
        """Return what the value leans on."""
        return ("the model of rewards is right, also for what was seldom shown",)

"""What an estimator of a policy's value is: a law from rounds to parts. Imports nothing of ours but parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from revealed.answer.offpolicy.parts import Parts, Rounds


class Estimator(ABC):
    """An estimator of what a policy would have earned.

    Attributes
    ----------
    citation : str
        Where it comes from.
    uses_weights : bool
        Whether it weighs rows by importance, so that it needs a log that shows what the policy would show.
    """

    citation: ClassVar[str]
    uses_weights: ClassVar[bool] = True

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @property
    @abstractmethod
    def needs_model(self) -> bool:
        """Whether it asks a model of rewards."""

    @property
    def summed(self) -> tuple[str, ...]:
        """The columns ("weight", "weighted") of which it asks the sums alone; none where it asks for rows."""
        return ()

    @abstractmethod
    def parts(self, rounds: Rounds) -> Parts:
        """Return the rows whose mean, or ratio of means, is the value."""

    @abstractmethod
    def width(self, span: float, largest: float | None) -> float | None:
        """Return how far apart the terms of two rows can be.

        Parameters
        ----------
        span : float
            How far apart rewards can be, and 0 and any reward.
        largest : float or None
            What no weight exceeds; None where not known.

        Returns
        -------
        float or None
            None where there is no such bound.
        """

    @abstractmethod
    def assumptions(self) -> tuple[str, ...]:
        """Return what the value leans on."""

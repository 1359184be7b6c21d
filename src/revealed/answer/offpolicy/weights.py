r"""What is done to importance weights so that a few do not decide. Imports nothing of ours but errors and parts.

Every change but none lowers the variance and biases the value; each file of estimators takes any of them. With
:math:`w = \pi/\pi_0`:

- as they are: :math:`w` (Horvitz and Thompson 1952);
- clipped: :math:`\min(w, c)` (Ionides 2008);
- switched off: :math:`w\,1(w \le \tau)` (Wang, Agarwal and Dudík 2017);
- shrunk optimistically: :math:`\lambda w/(w^2 + \lambda)` (Su, Dimakopoulou, Krishnamurthy and Dudík 2020);
- sub-Gaussian: :math:`w/(1 - \lambda + \lambda w)` (Metelli, Russo and Restelli 2021, harmonic).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from revealed.answer.offpolicy.parts import Rows
from revealed.errors import SpecificationError


class Weights(ABC):
    """What is done to importance weights.

    Attributes
    ----------
    biased : bool
        Whether the value is biased by it.
    """

    biased: ClassVar[bool]

    @abstractmethod
    def of(self, weight: Rows) -> Rows:
        """Return the weights that count."""

    @abstractmethod
    def most(self, largest: float | None) -> float | None:
        """Return what no weight that counts can exceed, where no weight exceeds ``largest``; None where not known."""

    @abstractmethod
    def __str__(self) -> str:
        """Return it in words; nothing for weights as they are."""


@dataclass(frozen=True)
class Plain(Weights):
    """Weights as they are."""

    biased: ClassVar[bool] = False

    def of(self, weight: Rows) -> Rows:
        """Return the weights."""
        return weight

    def most(self, largest: float | None) -> float | None:
        """Return ``largest``."""
        return largest

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class Clipped(Weights):
    """Weights clipped.

    Parameters
    ----------
    largest : float
        What larger weights are set to; above 0.
    """

    largest: float
    biased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_positive("largest", self.largest)

    def of(self, weight: Rows) -> Rows:
        """Return the weights, at most ``largest``."""
        return np.asarray(np.minimum(weight, self.largest))

    def most(self, largest: float | None) -> float | None:
        """Return the smaller of the two."""
        return self.largest if largest is None else min(largest, self.largest)

    def __str__(self) -> str:
        return f"weights clipped at {self.largest:.4g}"


@dataclass(frozen=True)
class Switched(Weights):
    """Rows whose weight is too large do not count (with a reward model: it answers for them).

    Parameters
    ----------
    largest : float
        The largest weight that counts; above 0.
    """

    largest: float
    biased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_positive("largest", self.largest)

    def of(self, weight: Rows) -> Rows:
        """Return the weights, 0 where above ``largest``."""
        return np.asarray(weight * (weight <= self.largest))

    def most(self, largest: float | None) -> float | None:
        """Return the smaller of the two."""
        return self.largest if largest is None else min(largest, self.largest)

    def __str__(self) -> str:
        return f"weights above {self.largest:.4g} switched off"


@dataclass(frozen=True)
class Shrunk(Weights):
    """Weights shrunk optimistically: small ones hardly, large ones towards zero.

    Parameters
    ----------
    strength : float
        The smaller, the more they shrink; above 0. No weight exceeds half its square root.
    """

    strength: float
    biased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_positive("strength", self.strength)

    def of(self, weight: Rows) -> Rows:
        """Return the shrunk weights."""
        return np.asarray(self.strength * weight / (weight * weight + self.strength))

    def most(self, largest: float | None) -> float | None:
        """Return the top of the curve, or its height at ``largest`` if that comes before."""
        top = float(np.sqrt(self.strength))
        if largest is None or largest >= top:
            return top / 2
        return self.strength * largest / (largest * largest + self.strength)

    def __str__(self) -> str:
        return f"weights shrunk with strength {self.strength:.4g}"


@dataclass(frozen=True)
class SubGaussian(Weights):
    """Weights drawn towards one, so that the error has tails as light as a Gaussian's.

    Parameters
    ----------
    strength : float
        From 0, weights as they are, to 1, all weights one (that of rows the policy never shows stays 0).
    """

    strength: float
    biased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise SpecificationError(f"strength lies between 0 and 1, not {self.strength!r}")

    def of(self, weight: Rows) -> Rows:
        """Return the weights, drawn towards one."""
        if self.strength == 1:  # then 0 / 0 where the weight is 0
            return np.where(weight > 0, 1.0, 0.0)
        return np.asarray(weight / (1 - self.strength + self.strength * weight))

    def most(self, largest: float | None) -> float | None:
        """Return the end of the curve, or its height at ``largest``."""
        if largest is not None:
            return largest / (1 - self.strength + self.strength * largest)
        return 1 / self.strength if self.strength else None

    def __str__(self) -> str:
        return f"weights sub-Gaussian with strength {self.strength:.4g}"


def _require_positive(name: str, value: float) -> None:
    if not value > 0:  # not a number fails too
        raise SpecificationError(f"{name} must be above 0, not {value!r}")

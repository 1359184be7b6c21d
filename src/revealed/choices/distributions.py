"""What the attributes of simulated choices are drawn from. Imports numpy and the errors only.

Every distribution draws single-precision numbers straight into the array it is given, so that a simulation makes no
copies and its values are the same whether they are stored in 32 or 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from revealed.errors import SpecificationError

#: What a drawn value belongs to: each row its own, one for all rows of a case, or one for all cases of a person.
Varies = Literal["row", "case", "person"]
Values = Float32[np.ndarray, " size"]


@runtime_checkable
class Distribution(Protocol):
    """Anything that can fill an array with draws and says what the draws vary over."""

    @property
    def varies(self) -> Varies:
        """Whether each row, each case or each person has a value of its own."""
        ...

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        ...


@dataclass(frozen=True)
class Normal:
    """Normal with a mean and a standard deviation."""

    mean: float = 0.0
    deviation: float = 1.0
    varies: Varies = "row"

    def __post_init__(self) -> None:
        _require(self.deviation >= 0, "the deviation of a Normal must not be negative", self)
        _finite(self, self.mean, self.deviation)

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        rng.standard_normal(out=out, dtype=np.float32)
        if self.deviation != 1.0:
            out *= np.float32(self.deviation)
        if self.mean != 0.0:
            out += np.float32(self.mean)


@dataclass(frozen=True)
class LogNormal:
    """The exponential of a normal: positive and skewed, as prices and incomes are."""

    mean: float = 0.0
    deviation: float = 1.0
    varies: Varies = "row"

    def __post_init__(self) -> None:
        _require(self.deviation >= 0, "the deviation of a LogNormal must not be negative", self)
        # The largest float32 is exp(88.7), and eight deviations are never drawn.
        _require(abs(self.mean) + 8 * self.deviation < 88, "a LogNormal this wide leaves single precision", self)

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        Normal(self.mean, self.deviation).draw(rng, out)
        np.exp(out, out=out)


@dataclass(frozen=True)
class Uniform:
    """Uniform between two ends."""

    low: float = 0.0
    high: float = 1.0
    varies: Varies = "row"

    def __post_init__(self) -> None:
        _finite(self, self.low, self.high)
        _require(self.low <= self.high, "the low end of a Uniform must not be above the high end", self)

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        rng.random(out=out, dtype=np.float32)
        out *= np.float32(self.high - self.low)
        out += np.float32(self.low)


@dataclass(frozen=True)
class Bernoulli:
    """One with a probability, else zero."""

    probability: float = 0.5
    varies: Varies = "row"

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, "the probability of a Bernoulli must lie between 0 and 1", self)

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        rng.random(out=out, dtype=np.float32)
        np.less(out, np.float32(self.probability), out=out)


@dataclass(frozen=True)
class Levels:
    """One of a few values, each as likely: the levels of an experimental design."""

    values: Sequence[float]
    varies: Varies = "row"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        _require(len(self.values) > 0, "Levels needs at least one value", self)
        _finite(self, *self.values)

    def draw(self, rng: np.random.Generator, out: Values) -> None:
        """Fill ``out`` with draws."""
        picked = rng.integers(len(self.values), size=len(out))
        np.take(np.asarray(self.values, np.float32), picked, out=out)


def _require(holds: bool, message: str, distribution: object) -> None:
    if not holds:
        raise SpecificationError(f"{message}: {distribution}")


def _finite(distribution: object, *values: float) -> None:
    _require(bool(np.isfinite(values).all()), "a distribution needs finite numbers", distribution)


__all__ = ["Bernoulli", "Distribution", "Levels", "LogNormal", "Normal", "Uniform", "Varies"]

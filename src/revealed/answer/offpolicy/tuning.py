r"""The setting of changed weights chosen from the log itself. Imports intervals and weights.

- SLOPE (Su, Srinath and Krishnamurthy 2020, "Adaptive estimator selection for off-policy evaluation", algorithm 1):
  from the widest interval to the narrowest, go on while intervals agree with all before. It needs no bound on the bias.
- The estimated bound on the mean squared error (Su, Dimakopoulou et al. 2020, "Doubly robust off-policy evaluation with
  shrinkage"): variance plus the square of an upper bound on the bias.

Both are as the Open Bandit Pipeline (0.5.7) has them, whose default is SLOPE.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from scipy.special import stdtrit

from revealed.answer.offpolicy.doubly_robust import DoublyRobust
from revealed.answer.offpolicy.intervals import Unsure
from revealed.answer.offpolicy.parts import Rounds
from revealed.answer.offpolicy.weighting import InversePropensity
from revealed.answer.offpolicy.weights import Clipped, Shrunk, SubGaussian, Switched, Weights
from revealed.errors import SpecificationError


class Rule(ABC):
    """How a setting is chosen."""

    @abstractmethod
    def choose(self, rounds: Rounds, candidates: Sequence[InversePropensity | DoublyRobust]) -> int:
        """Return which of the candidates is best."""


@dataclass(frozen=True)
class Slope(Rule):
    """SLOPE.

    Parameters
    ----------
    delta : float
        One less the confidence of each (one-sided) interval.
    """

    delta: float = 0.1

    def __post_init__(self) -> None:
        _require_share(self.delta)

    def choose(self, rounds: Rounds, candidates: Sequence[InversePropensity | DoublyRobust]) -> int:
        """Return the narrowest interval that agrees with all wider ones."""
        n_rows = len(rounds.reward)
        if n_rows < 2:
            return 0  # one row has no interval
        found = [Unsure.of(candidate.parts(rounds)) for candidate in candidates]
        value = np.array([one.value for one in found])
        half = float(stdtrit(n_rows - 1, 1 - self.delta)) * np.array([one.error for one in found])
        order = np.argsort(half)[::-1]
        for i in range(1, len(order)):
            before, now = order[:i], order[i]
            if (np.abs(value[before] - value[now]) > half[now] + (np.sqrt(6) - 1) * half[before]).any():
                return int(order[i - 1])
        return int(order[-1])


@dataclass(frozen=True)
class ErrorBound(Rule):
    """The smallest estimated bound on the mean squared error.

    Parameters
    ----------
    delta : float
        One less the confidence of the bound on the bias.
    """

    delta: float = 0.1

    def __post_init__(self) -> None:
        _require_share(self.delta)

    def choose(self, rounds: Rounds, candidates: Sequence[InversePropensity | DoublyRobust]) -> int:
        """Return the candidate of the smallest bound; of equals the first."""
        weight, n_rows = rounds.weight, len(rounds.reward)
        log_term = float(np.log(2 / self.delta))
        slack = np.sqrt(2 * (weight @ weight / n_rows) * log_term / n_rows)
        slack += 2 * float(weight.max()) * log_term / (3 * n_rows)
        bounds = []
        for candidate in candidates:
            outcome = rounds.residual if candidate.needs_model else rounds.reward
            bias = abs(float((weight - candidate.weights.of(weight)) @ outcome / n_rows)) + slack
            bounds.append(Unsure.of(candidate.parts(rounds)).variance + bias**2)
        return int(np.argmin(np.nan_to_num(bounds, nan=np.inf)))  # not a number: no weight is left


@dataclass(frozen=True)
class Tuned:
    """An estimator whose change of weights is chosen from the log; it can stand wherever one can.

    Parameters
    ----------
    estimator : InversePropensity or DoublyRobust
        What the weights are for.
    candidates : type or sequence of Weights
        The kind of change, such as ``Switched``, whose settings then follow from the weights; or the changes.
    rule : Rule
    """

    estimator: InversePropensity | DoublyRobust
    candidates: type[Weights] | tuple[Weights, ...]
    rule: Rule = field(default_factory=Slope)
    citation: ClassVar[str] = "Su, Srinath and Krishnamurthy (2020), Adaptive estimator selection"

    def __post_init__(self) -> None:
        if isinstance(self.candidates, tuple) and not self.candidates:
            raise SpecificationError("give at least one change of weights to choose from")
        if isinstance(self.candidates, type) and self.candidates not in (Clipped, Switched, Shrunk, SubGaussian):
            raise SpecificationError(f"{self.candidates.__name__} has no setting to choose")

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.estimator.name}, tuned"

    @property
    def needs_model(self) -> bool:
        """Whether it asks a model of rewards."""
        return self.estimator.needs_model

    @property
    def uses_weights(self) -> bool:
        """Whether it weighs rows by importance: it does."""
        return True

    def settled(self, rounds: Rounds) -> InversePropensity | DoublyRobust:
        """Return the estimator with the best change of weights."""
        weights = settings_of(self.candidates, rounds) if isinstance(self.candidates, type) else self.candidates
        each = [replace(self.estimator, weights=weight) for weight in weights]
        return each[self.rule.choose(rounds, each)]

    def assumptions(self) -> tuple[str, ...]:
        """Return what the value leans on."""
        return (*self.estimator.assumptions(), "the interval does not hold that the weights were tuned on the log")


def settings_of(kind: type[Weights], rounds: Rounds) -> tuple[Weights, ...]:
    """Return settings of a change of weights, from hardly any to strong, by powers of two."""
    if kind is SubGaussian:
        return tuple(SubGaussian(strength) for strength in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0))
    largest = max(float(rounds.weight.max()), 1.0)
    steps = [largest / 2**k for k in range(int(np.log2(largest)) + 1)]
    if kind is Shrunk:
        return tuple(Shrunk(10 * step**2) for step in steps)
    if kind is Clipped:
        return tuple(Clipped(step) for step in steps)
    return tuple(Switched(step) for step in steps)


def _require_share(delta: float) -> None:
    if not 0 < delta < 1:
        raise SpecificationError(f"delta lies between 0 and 1, not {delta!r}")

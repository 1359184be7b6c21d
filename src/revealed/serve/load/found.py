"""What a load test found: how many, how fast, what went wrong, what was earned. Imports nothing of ours."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_SHARES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}


@dataclass(eq=False)
class Earned:
    """What decisions earned, could have earned, and would have earned by lot.

    Parameters
    ----------
    decisions : int
    reward : float
    expected, best, chance : float
        By the truth: of what was shown, of the best item, and of any by lot.
    """

    decisions: int = 0
    reward: float = 0.0
    expected: float = 0.0
    best: float = 0.0
    chance: float = 0.0

    def to_dict(self) -> dict[str, float | None]:
        """Return JSON-ready data, all but the number a decision."""
        n = max(self.decisions, 1)
        lost, by_lot = (self.best - self.expected) / n, (self.best - self.chance) / n
        return {
            "decisions": self.decisions,
            "reward": self.reward / n,
            "regret": lost,
            "regret_of_chance": by_lot,
            "of_chance": lost / by_lot if by_lot else None,
        }


@dataclass(eq=False)
class Found:
    """What was found.

    Parameters
    ----------
    seconds : float
        In which decisions were asked for.
    due : int
        Decisions that were to be asked for.
    took, told : array of float
        Seconds until each decision was answered, and each batch of outcomes acknowledged.
    fallbacks : int
        Answers that were no decision of the policy's.
    errors : Counter
        By kind.
    outcomes : Counter
        By what the service said became of them.
    earned : list of Earned
        In each quarter of the time.
    cpu : float
        Seconds that the one who asked took of a processor.
    """

    seconds: float = 0.0
    due: int = 0
    took: array[float] = field(default_factory=lambda: array("d"))
    told: array[float] = field(default_factory=lambda: array("d"))
    fallbacks: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    earned: list[Earned] = field(default_factory=lambda: [Earned() for _ in range(4)])
    cpu: float = 0.0

    @property
    def answered(self) -> int:
        """How many decisions were answered."""
        return len(self.took)

    @property
    def in_all(self) -> Earned:
        """What was earned in all."""
        parts = [vars(part) for part in self.earned]
        return Earned(**{name: sum(part[name] for part in parts) for name in parts[0]})

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; durations in milliseconds."""
        asked = max(self.answered + sum(self.outcomes.values()), 1)
        return {
            "seconds": self.seconds,
            "due": self.due,
            "answered": self.answered,
            "share_answered": self.answered / self.due if self.due else None,
            "fallbacks": self.fallbacks,
            "decisions_per_second": self.answered / self.seconds if self.seconds else None,
            "decision_ms": milliseconds(self.took),
            "outcomes": dict(self.outcomes),
            "outcome_batch_ms": milliseconds(self.told),
            "errors": dict(self.errors),
            "all": self.in_all.to_dict(),
            "last_quarter": self.earned[-1].to_dict(),
            "generator_cpu_us": 1e6 * self.cpu / asked,
        }


def milliseconds(seconds: array[float]) -> dict[str, float | None]:
    """Return percentiles in milliseconds, None where there is nothing.

    >>> milliseconds(array("d", [0.001, 0.003]))["p50"]
    2.0
    """
    if not seconds:
        return dict.fromkeys(_SHARES)
    values = np.percentile(np.frombuffer(seconds), list(_SHARES.values()))
    return {name: float(1e3 * value) for name, value in zip(_SHARES, values, strict=True)}

r"""What every estimator makes of a log: rows whose mean, or ratio of means, is the value. Imports the engine's loops.

With rows :math:`i`, :math:`V = \bar a + \bar b/\bar c`: plain terms :math:`a_i`, and a numerator :math:`b_i` over a
denominator :math:`c_i` where the estimator is self-normalised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from revealed.engine.loops import WeighedRows

Rows = Float[np.ndarray, " rows"]
Groups = Int[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Rounds:
    r"""What estimators see of a log and a policy: the whole log, or some rows of it.

    Parameters
    ----------
    reward : array, shape (rows,)
        :math:`r_i`.
    weight : array, shape (rows,)
        :math:`w_i = \pi(a_i|x_i)/\pi_0(a_i|x_i)`.
    expected : array, shape (rows,), or None
        :math:`\sum_a \pi(a|x_i)\,\hat q(x_i, a)`: what the reward model foretells of the policy. None without a model.
    foretold : array, shape (rows,), or None
        :math:`\hat q(x_i, a_i)`: what it foretells of what was shown.
    binary : bool
        It is known that each reward is 0 or 1.
    summed : WeighedRows or None
        What weights and weighted rewards add up to, where a compiled loop made them.
    """

    reward: Rows
    weight: Rows
    expected: Rows | None = None
    foretold: Rows | None = None
    binary: bool = False
    summed: WeighedRows | None = None

    @classmethod
    def joined(cls, blocks: Iterable[Rounds]) -> Rounds:
        """Return blocks of rows as one."""
        each = list(blocks)
        expected = [block.expected for block in each if block.expected is not None]
        foretold = [block.foretold for block in each if block.foretold is not None]
        return cls(
            np.concatenate([block.reward for block in each]),
            np.concatenate([block.weight for block in each]),
            np.concatenate(expected) if expected else None,
            np.concatenate(foretold) if foretold else None,
            all(block.binary for block in each),
        )

    @property
    def largest(self) -> float:
        """The largest weight."""
        return float(np.maximum.reduce(self.weight)) if self.summed is None else self.summed.largest

    @property
    def n_zero(self) -> int:
        """How many weights are zero."""
        if self.summed is not None:
            return int(self.summed.n_zero)
        return 0 if np.minimum.reduce(self.weight) > 0 else len(self.weight) - int(np.count_nonzero(self.weight))

    @cached_property
    def weighted(self) -> Rows:
        """The rewards, weighted."""
        return np.asarray(self.weight * self.reward) if self.summed is None else self.summed.weighted

    @cached_property
    def rewarded(self) -> Rows:
        """The weights of rows whose reward is not zero; zeros elsewhere."""
        return self.weighted if self.binary else np.asarray(self.weight * (self.reward != 0))

    @cached_property
    def residual(self) -> Rows:
        """What the reward model did not foretell; the reward itself without a model."""
        return self.reward if self.foretold is None else self.reward - self.foretold


@dataclass(frozen=True, eq=False)
class Parts:
    """An estimate in parts; see the head of this module.

    Parameters
    ----------
    plain : array, shape (rows,), or None
    numerator, denominator : array, shape (rows,), or None
        Both or neither.
    """

    plain: Rows | None
    numerator: Rows | None = None
    denominator: Rows | None = None

    @property
    def columns(self) -> tuple[Rows, ...]:
        """The plain terms, or numerator and denominator, or all three in this order."""
        return tuple(column for column in (self.plain, self.numerator, self.denominator) if column is not None)

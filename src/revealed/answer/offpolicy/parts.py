r"""What every estimator makes of a log: rows whose mean, or ratio of means, is the value. Imports nothing of ours.

With rows :math:`i`, :math:`V = \bar a + \bar b/\bar c`: plain terms :math:`a_i`, and a numerator :math:`b_i` over a
denominator :math:`c_i` where the estimator is self-normalised. The error of :math:`V` is, to first order, the mean of
the influences :math:`a_i - \bar a + (b_i - (\bar b/\bar c)\,c_i)/\bar c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

Rows = Float[np.ndarray, " rows"]
Groups = Int[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Rounds:
    r"""What estimators see of a log and a policy.

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
    """

    reward: Rows
    weight: Rows
    expected: Rows | None = None
    foretold: Rows | None = None

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
    def is_mean(self) -> bool:
        """Whether the value is a mean over rows, not a ratio of such."""
        return self.denominator is None

    @cached_property
    def value(self) -> float:
        """The estimate."""
        mean = 0.0 if self.plain is None else float(self.plain.mean())
        if self.numerator is None or self.denominator is None:
            return mean
        return mean + float(self.numerator.mean() / self.denominator.mean())

    @property
    def columns(self) -> list[Rows]:
        """The plain terms (zeros if none), and numerator and denominator if there are."""
        if self.numerator is None or self.denominator is None:
            assert self.plain is not None
            return [self.plain]
        plain = np.zeros(len(self.numerator)) if self.plain is None else self.plain
        return [plain, self.numerator, self.denominator]

    def influence(self) -> Rows:
        """Return what each row adds to the error of the value; their mean is zero."""
        if self.numerator is None or self.denominator is None:
            assert self.plain is not None
            return np.asarray(self.plain - self.value)
        scale = self.denominator.mean()
        ratio = self.numerator.mean() / scale
        own = (self.numerator - ratio * self.denominator) / scale
        return np.asarray(own if self.plain is None else own + (self.plain - self.plain.mean()))


def summed(rows: Rows, groups: Groups | None) -> Float[np.ndarray, " groups"]:
    """Return the sum over the rows of each group; without groups each row is its own."""
    return rows if groups is None else np.bincount(groups, rows)


def standard_error(influence: Rows, groups: Groups | None) -> float:
    r"""Return the standard error of a mean of influences, rows of a group depending on each other as they may.

    :math:`\sqrt{\frac{G}{G-1} \sum_g (\sum_{i \in g} \phi_i)^2}/n`; NaN for a single group.
    """
    sums = summed(influence, groups)
    count = len(sums)
    if count < 2:
        return float("nan")
    return float(np.sqrt(sums @ sums * (count / (count - 1))) / len(influence))

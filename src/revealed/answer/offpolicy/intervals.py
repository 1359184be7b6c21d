r"""Intervals of a policy's value: asymptotic, bootstrap by person, empirical Bernstein. Imports totals.

What one person did is one draw: rows of a person (or decision) may depend on each other as they like.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtrit

from revealed.answer.base import require_whole
from revealed.answer.offpolicy.parts import Groups, Parts, Rows
from revealed.answer.offpolicy.totals import Totals, gradient_of, values_of
from revealed.errors import SpecificationError

#: The bootstrap first throws persons at random into this many lots if there are more; see :class:`Bootstrap`.
MOST_LOTS = 20_000

SINGLE = "there is a single person: nothing says how persons differ"

#: Persons (or rows, where each is its own) below which answers say how few they are.
FEW_PERSONS = 30


@dataclass(frozen=True, eq=False)
class Unsure:
    """An estimate, or the difference of two on the same rows, as intervals see it.

    Parameters
    ----------
    totals : Totals
        Of the columns of the estimate, then of those of what is taken from it.
    n_first : int
        The number of columns of the estimate itself.
    columns : tuple of arrays, each of shape (rows,), or None
        The columns; None where they were not kept.
    groups : array of int, shape (rows,), or None
        The person of each row: 0, 1, …; None where each row is its own.
    width : float or None
        How far apart the terms of two rows can be; None where there is no bound, or the value is no mean.
    """

    totals: Totals
    n_first: int
    columns: tuple[Rows, ...] | None = None
    groups: Groups | None = None
    width: float | None = None

    @classmethod
    def of(cls, parts: Parts, groups: Groups | None = None, width: float | None = None) -> Unsure:
        """Return an estimate of a whole log."""
        columns = parts.columns
        return cls(Totals.of_whole(columns, groups), len(columns), columns, groups, width)

    def less(self, other: Unsure) -> Unsure:
        """Return the difference of two estimates whose columns were kept."""
        assert self.columns is not None
        assert other.columns is not None
        columns = self.columns + other.columns
        width = None if self.width is None or other.width is None else self.width + other.width
        return Unsure(Totals.of_whole(columns, self.groups), self.n_first, columns, self.groups, width)

    @property
    def is_mean(self) -> bool:
        """Whether the value is a mean over rows, or the difference of two, not made of ratios."""
        return self.n_first == 1 and len(self.totals.sums) <= 3

    def values(self, sums: Float[np.ndarray, "draws columns"]) -> Float[np.ndarray, " draws"]:
        """Return the estimate, or the difference, from each of several rows of sums; NaN without a denominator."""
        first, less = sums[:, : 1 + self.n_first], sums[:, [0, *range(1 + self.n_first, sums.shape[1])]]
        return values_of(first) - values_of(less) if less.shape[1] > 1 else values_of(first)

    @cached_property
    def value(self) -> float:
        """The estimate, or the difference; NaN where a denominator is zero."""
        return float(self.values(self.totals.sums[None])[0])

    @cached_property
    def error(self) -> float:
        """The standard error; NaN for a single person."""
        return self.totals.error(self._gradient)

    @cached_property
    def variance(self) -> float:
        """The square of the error, the persons taken for all there are."""
        return self.totals.variance(self._gradient)

    @property
    def _gradient(self) -> Float[np.ndarray, " columns"]:
        sums, last = self.totals.sums, 1 + self.n_first
        gradient = np.zeros(len(sums))
        gradient[:last] = gradient_of(sums[:last])
        if len(sums) > last:
            less = gradient_of(sums[[0, *range(last, len(sums))]])
            gradient[0] -= less[0]
            gradient[last:] = -less[1:]
        return gradient


@dataclass(frozen=True)
class Bounds:
    """What is known of rewards and weights before any is seen.

    Parameters
    ----------
    lowest, highest : float
        Between which rewards lie, and a model of rewards foretells.
    largest_weight : float or None
        What no weight can exceed.
    """

    lowest: float
    highest: float
    largest_weight: float | None

    @property
    def span(self) -> float:
        """How far apart rewards can be, and 0 and any reward."""
        return max(self.highest, 0.0) - min(self.lowest, 0.0)

    def require(self, rows: Rows, what: str) -> None:
        """Raise SpecificationError unless numbers lie within the bounds."""
        low, high = float(rows.min()), float(rows.max())
        if low < self.lowest or high > self.highest:
            raise SpecificationError(
                f"{what} run from {low:g} to {high:g}, beyond {self.lowest:g} to {self.highest:g}: say "
                "EmpiricalBernstein(lowest=…, highest=…)"
            )

    def require_weights(self, weight: Rows) -> None:
        """Raise SpecificationError if a weight exceeds what no weight was said to exceed."""
        largest = float(weight.max())
        if self.largest_weight is not None and largest > self.largest_weight * (1 + 1e-9):
            raise SpecificationError(
                f"a row has weight {largest:g}, beyond largest_weight={self.largest_weight:g}: that bound has to hold "
                "for whatever the two policies can do"
            )


@dataclass(frozen=True)
class Ends:
    """An interval.

    Parameters
    ----------
    low, high : float
        NaN where there is none.
    lacking : str
        Why there is none.
    """

    low: float
    high: float
    lacking: str = ""


class Interval(ABC):
    """A way to draw up an interval."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def ends(self, unsure: Unsure, level: float) -> Ends:
        """Return the interval."""

    @property
    def needs_columns(self) -> bool:
        """Whether it asks for the columns of the whole log, not their totals alone."""
        return True

    @property
    def bounds(self) -> Bounds | None:
        """What it takes to be known of rewards and weights; None where it asks for nothing."""
        return None


def _student(n_persons: int, level: float) -> float:
    """Return how many standard errors a two-sided interval reaches."""
    return float(stdtrit(n_persons - 1, 0.5 * (1 + level)))


def _none(why: str) -> Ends:
    return Ends(float("nan"), float("nan"), why)


@dataclass(frozen=True)
class Normal(Interval):
    """Asymptotic: the value and so many standard errors, clustered by person.

    So many as Student's t says, of as many degrees of freedom as there are persons, less one: few persons leave their
    error unsure, too (Cameron and Miller 2015, "A practitioner's guide to cluster-robust inference", section VI). Too
    short where few heavy weights decide, as the variance is then underestimated too.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        return "normal"

    @property
    def needs_columns(self) -> bool:
        """Whether it asks for the columns of the whole log: it does not."""
        return False

    def ends(self, unsure: Unsure, level: float) -> Ends:
        """Return the interval."""
        if not np.isfinite(unsure.error):
            return _none(SINGLE)
        half = _student(unsure.totals.n_persons, level) * unsure.error
        return Ends(unsure.value - half, unsure.value + half)


@dataclass(frozen=True)
class Bootstrap(Interval):
    """Percentiles over logs in which persons are drawn with replacement (Efron 1979; by person: Field and Welsh 2007).

    The percentiles are a little farther out than the level's, as draws out of few persons vary too little (Hesterberg
    2015, "What teachers should know about the bootstrap": the expanded percentile interval). Draws never leave the
    range of the persons, which holds their median with probability :math:`1 - 2^{1-G}` for :math:`G` of them: where
    that is less than the level, there is no interval.

    Above twenty thousand persons, they are first thrown at random into twenty thousand lots, and lots are drawn: sums
    over lots have the same variance and skewness in expectation, at a cost that no longer grows.

    Parameters
    ----------
    draws : int
        Logs drawn.
    seed : int
        The same seed gives the same interval.
    """

    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(self.draws, "draws", 100)
        require_whole(self.seed, "seed", 0)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"bootstrap by person, {self.draws:,} draws, seed {self.seed}"

    def ends(self, unsure: Unsure, level: float) -> Ends:
        """Return the interval."""
        sums = _by_person(unsure)
        if len(sums) < 2:
            return _none(SINGLE)
        if 2.0 ** (1 - len(sums)) > 1 - level:
            return _none(f"{len(sums)} persons are too few for a bootstrap of {100 * level:g}%; Normal() takes as few")
        rng = np.random.default_rng(self.seed)
        values = unsure.values(self._totals(_in_lots(sums, rng), rng))
        if not np.isfinite(values).all():
            return _none("in some draws nobody saw what the policy would show")
        above = 100 * float(ndtr(_student(len(sums), level) * np.sqrt(len(sums) / (len(sums) - 1))))
        low, high = np.percentile(values, [100 - above, above])
        return Ends(float(low), float(high))

    def _totals(
        self, sums: Float[np.ndarray, "lots columns"], rng: np.random.Generator
    ) -> Float[np.ndarray, "draws columns"]:
        """Return the sums over the lots of each draw."""
        n_lots = len(sums)
        counts = np.empty((min(self.draws, 64), n_lots))
        totals = np.empty((self.draws, sums.shape[1]))
        for start in range(0, self.draws, len(counts)):
            some = min(len(counts), self.draws - start)
            for row in range(some):
                counts[row] = np.bincount(rng.integers(0, n_lots, n_lots), minlength=n_lots)
            totals[start : start + some] = counts[:some] @ sums
        return totals


def _in_lots(sums: Float[np.ndarray, "persons columns"], rng: np.random.Generator) -> Float[np.ndarray, "lots columns"]:
    if len(sums) <= MOST_LOTS:
        return sums
    lot = rng.permutation(len(sums)) % MOST_LOTS
    return np.column_stack([np.bincount(lot, column, MOST_LOTS) for column in sums.T])


def _by_person(unsure: Unsure) -> Float[np.ndarray, "persons columns"]:
    """Return the number of rows of each person, and the sums of their columns."""
    assert unsure.columns is not None
    if unsure.groups is None:
        return np.column_stack([np.ones(len(unsure.columns[0])), *unsure.columns])
    sums = [np.bincount(unsure.groups, column) for column in unsure.columns]
    return np.column_stack([np.bincount(unsure.groups), *sums])


@dataclass(frozen=True)
class EmpiricalBernstein(Interval):
    r"""Holds for any number of rows, given bounds on rewards and weights (Maurer and Pontil 2009, theorem 4).

    For :math:`G` persons with sums in a range of width :math:`b` and sample variance :math:`s^2`, with probability
    :math:`1-\delta` on both sides together,
    :math:`|\hat V - V| \le \sqrt{2 s^2 \ln(4/\delta)/G} + 7 b \ln(4/\delta)/(3(G-1))`. Wide, but never too short. It
    needs a mean of bounded terms: no self-normalised value, and weights clipped, shrunk, or bounded by
    ``largest_weight``. The bound is yours to know: the largest weight *seen* is none.

    Parameters
    ----------
    lowest, highest : float
        Between which rewards lie (and a reward model foretells).
    largest_weight : float, optional
        What no weight can exceed: one over the smallest propensity that the policy that was running ever has.
    """

    lowest: float = 0.0
    highest: float = 1.0
    largest_weight: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lowest) and np.isfinite(self.highest) and self.lowest < self.highest):
            raise SpecificationError(f"rewards lie between finite ends, not {self.lowest!r} and {self.highest!r}")
        if self.largest_weight is not None and not self.largest_weight > 0:
            raise SpecificationError(f"largest_weight must be above 0, not {self.largest_weight!r}")

    @property
    def name(self) -> str:
        """What tables call it."""
        return "empirical Bernstein"

    @property
    def bounds(self) -> Bounds:
        """The bounds given."""
        return Bounds(self.lowest, self.highest, self.largest_weight)

    def ends(self, unsure: Unsure, level: float) -> Ends:
        """Return the interval."""
        if not unsure.is_mean:
            return _none("a self-normalised value is a ratio: empirical Bernstein bounds means only")
        if unsure.width is None:
            return _none("no bound on the weights: give largest_weight=…, or clip or shrink them")
        count, n_rows = unsure.totals.n_persons, unsure.totals.sums[0]
        if count < 2:
            return _none(SINGLE)
        most_rows = 1 if unsure.groups is None else int(np.bincount(unsure.groups).max())
        scale = count / n_rows  # so that the mean over persons is the mean over rows
        terms = np.array([0.0, 1.0, -1.0][: len(unsure.totals.sums)])
        variance = scale**2 * unsure.totals.variance(terms) / (count - 1)
        log_term = float(np.log(4 / (1 - level)))
        spread = np.sqrt(2 * variance * log_term / count)
        half = float(spread + 7 * unsure.width * most_rows * scale * log_term / (3 * (count - 1)))
        return Ends(unsure.value - half, unsure.value + half)

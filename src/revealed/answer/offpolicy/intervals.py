r"""Intervals of a policy's value: asymptotic, bootstrap by person, empirical Bernstein. Imports parts.

What one person did is one draw: rows of a person (or decision) may depend on each other as they like.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from revealed.answer.base import require_whole
from revealed.answer.interval import quantile
from revealed.answer.offpolicy.parts import Groups, Parts, Rows, standard_error, summed
from revealed.errors import SpecificationError

#: The bootstrap first throws persons at random into this many lots if there are more; see :class:`Bootstrap`.
MOST_LOTS = 20_000


@dataclass(frozen=True, eq=False)
class Unsure:
    """An estimate, or the difference of two on the same rows, as intervals see it.

    Parameters
    ----------
    first : Parts
    less : Parts or None
        What is taken from it.
    groups : array of int, shape (rows,), or None
        The person of each row: 0, 1, …; None where each row is its own.
    width : float or None
        How far apart the terms of two rows can be; None where there is no bound, or the value is no mean.
    """

    first: Parts
    less: Parts | None
    groups: Groups | None
    width: float | None

    @property
    def value(self) -> float:
        """The estimate, or the difference."""
        return self.first.value - (0.0 if self.less is None else self.less.value)

    @cached_property
    def error(self) -> float:
        """The standard error."""
        own = self.first.influence()
        if self.less is not None:
            own = own - self.less.influence()
        return standard_error(own, self.groups)


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
    def bounds(self) -> Bounds | None:
        """What it takes to be known of rewards and weights; None where it asks for nothing."""
        return None


def _none(why: str) -> Ends:
    return Ends(float("nan"), float("nan"), why)


@dataclass(frozen=True)
class Normal(Interval):
    """Asymptotic: the value and so many standard errors, clustered by person.

    Too short where few heavy weights decide, as the variance is then underestimated too.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        return "normal"

    def ends(self, unsure: Unsure, level: float) -> Ends:
        """Return the interval."""
        half = quantile(level) * unsure.error
        if not np.isfinite(half):
            return _none("there is a single person: nothing says how persons differ")
        return Ends(unsure.value - half, unsure.value + half)


@dataclass(frozen=True)
class Bootstrap(Interval):
    """Percentiles over logs in which persons are drawn with replacement (Efron 1979; by person: Field and Welsh 2007).

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
        columns = [*unsure.first.columns, *([] if unsure.less is None else unsure.less.columns)]
        n_rows = len(columns[0])
        sums = np.column_stack([summed(column, unsure.groups) for column in (np.ones(n_rows), *columns)])
        if len(sums) < 2:
            return _none("there is a single person: nothing says how persons differ")
        rng = np.random.default_rng(self.seed)
        totals = self._totals(_in_lots(sums, rng), rng)
        n_first = len(unsure.first.columns)
        values = _values(totals[:, 0], totals[:, 1 : 1 + n_first])
        if unsure.less is not None:
            values = values - _values(totals[:, 0], totals[:, 1 + n_first :])
        if not np.isfinite(values).all():
            return _none("in some draws nobody saw what the policy would show")
        low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
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


def _values(
    rows: Float[np.ndarray, " draws"], totals: Float[np.ndarray, "draws columns"]
) -> Float[np.ndarray, " draws"]:
    """Return the value of each draw from its sums: plain terms, and numerator and denominator if there are."""
    plain = totals[:, 0] / rows
    if totals.shape[1] == 1:
        return np.asarray(plain)
    empty = totals[:, 2] == 0
    ratio = totals[:, 1] / np.where(empty, 1.0, totals[:, 2])
    return np.asarray(np.where(empty, np.nan, plain + ratio))


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
        if not (unsure.first.is_mean and (unsure.less is None or unsure.less.is_mean)):
            return _none("a self-normalised value is a ratio: empirical Bernstein bounds means only")
        if unsure.width is None:
            return _none("no bound on the weights: give largest_weight=…, or clip or shrink them")
        terms = unsure.first.columns[0] - (0.0 if unsure.less is None else unsure.less.columns[0])
        sums = summed(terms, unsure.groups)
        count, n_rows = len(sums), len(terms)
        if count < 2:
            return _none("there is a single person: nothing says how persons differ")
        most_rows = 1 if unsure.groups is None else int(np.bincount(unsure.groups).max())
        scale = count / n_rows  # so that the mean over persons is the mean over rows
        log_term = float(np.log(4 / (1 - level)))
        spread = np.sqrt(2 * np.var(sums * scale, ddof=1) * log_term / count)
        half = float(spread + 7 * unsure.width * most_rows * scale * log_term / (3 * (count - 1)))
        return Ends(unsure.value - half, unsure.value + half)

r"""Whether a log can say anything of a policy: overlap, and reasons to refuse. Imports totals.

- Effective sample size :math:`(\sum w)^2/\sum w^2` (Kish 1965): how many rows of even weight would say as much.
- :math:`E[w] = 1` where the log shows whatever the policy would and propensities are right (Li, Chen, Kleinberg
  et al. 2015 use it as a check); a mean weight away from 1 beyond chance says that one of the two fails.
- The share of the policy's choices that are actions never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from revealed.answer.offpolicy.parts import Groups, Rounds
from revealed.answer.offpolicy.totals import Moments, Sums, Tally, Totals, blocks, gradient_of
from revealed.errors import SpecificationError

#: The largest weight whose square and sums are sure to be finite, with room to spare.
_MOST_WEIGHT = 1e100

#: How far the mean weight may be from one for want of digits: as far as a policy's probabilities may be.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Limits:
    """Where a log is held to say too little, and no number is given.

    Parameters
    ----------
    least_effective : float
        The smallest effective sample size.
    most_never_logged : float
        The largest share of the policy's choices that may be actions the log never shows.
    least_p_value : float
        The smallest p-value of the mean weight being one.
    """

    least_effective: float = 30.0
    most_never_logged: float = 0.01
    least_p_value: float = 1e-4

    def __post_init__(self) -> None:
        if not self.least_effective >= 0:
            raise SpecificationError(f"least_effective must be 0 or more, not {self.least_effective!r}")
        for name in ("most_never_logged", "least_p_value"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecificationError(f"{name} lies between 0 and 1, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Overlap:
    """How far a log shows what a policy would show.

    Parameters
    ----------
    n_rows : int
        Rows with an answer.
    effective_sample_size : float
        Rows of even weight that would say as much.
    effective_rewards : float
        The same among rows whose reward is not zero.
    mean_weight, mean_weight_error : float
        Should be one within chance; its standard error.
    p_value : float
        Of the mean weight being one, two-sided, by Student's t of as many degrees as persons less one; 1 where all
        weights are one.
    largest_weight, largest_share : float
        The largest weight, and its share of all.
    unseen_share : float
        The share of rows that the policy would never have shown.
    never_logged : float or None
        The share of the policy's choices that are actions the log never shows; None where not known.
    """

    n_rows: int
    effective_sample_size: float
    effective_rewards: float
    mean_weight: float
    mean_weight_error: float
    p_value: float
    largest_weight: float
    largest_share: float
    unseen_share: float
    never_logged: float | None

    def refusals(self, limits: Limits) -> tuple[str, ...]:
        """Return why the log cannot say what the policy is worth; nothing where it can."""
        found = []
        if self.never_logged is not None and self.never_logged > limits.most_never_logged:
            found.append(
                f"{self.never_logged:.1%} of what the policy would show was never shown: nothing is known of it"
            )
        if self.effective_sample_size < limits.least_effective:
            found.append(
                f"the weights leave an effective sample of {self.effective_sample_size:.1f} rows out of "
                f"{self.n_rows:,}, fewer than {limits.least_effective:g}"
            )
        if self.p_value < limits.least_p_value:
            why = (
                "the log leaves out what the policy would show" if self.mean_weight < 1 else "propensities are too low"
            )
            found.append(
                f"the mean weight is {self.mean_weight:.4g} (standard error {self.mean_weight_error:.2g}) where it "
                f"should be 1: {why}, or the propensities are not those of the log"
            )
        return tuple(found)

    def warnings(self) -> tuple[str, ...]:
        """Return where the log says little."""
        found = []
        if self.never_logged:
            found.append(f"{self.never_logged:.2%} of what the policy would show was never shown")
        if self.effective_sample_size < 0.01 * self.n_rows:
            found.append(
                f"the weights leave an effective sample of {self.effective_sample_size:,.0f} rows out of "
                f"{self.n_rows:,}"
            )
        if self.largest_share > 0.05:
            found.append(f"one row carries {self.largest_share:.1%} of all weight")
        if self.effective_rewards < 30:
            found.append(
                f"rewards that are not zero amount to {self.effective_rewards:.1f} rows after weighting: intervals "
                "that lean on large samples are too short"
            )
        if self.p_value < 0.01:
            found.append(f"the mean weight is {self.mean_weight:.4g}, off from 1 by more than chance likely does")
        return tuple(found)


class Weighed:
    """What overlap needs of weights, taken block by block."""

    def __init__(self) -> None:
        self._rows = Tally()
        self._rewarded: list[tuple[float, float]] = []
        self._largest = 0.0
        self._n_zero = 0

    def add(self, rounds: Rounds, moments: Moments | None = None) -> None:
        """Take in some rows; what is asked of their columns is left in ``moments`` for others.

        Raises
        ------
        SpecificationError
            If a weight is so large that its square could not be told from infinity.
        """
        self._look_at(rounds.largest, rounds.n_zero)
        moments = Moments(rounds) if moments is None else moments
        self._rows.add((rounds.weight,), moments)
        self._rewarded.append(moments.of(rounds.rewarded)[1:])

    def add_sums(self, sums: Sums) -> None:
        """Take in all rows of a log by their sums; each reward is 0 or 1.

        Raises
        ------
        SpecificationError
            As :meth:`add`.
        """
        self._look_at(sums.largest, sums.n_zero)
        self._rows = sums.tally("weight")
        self._rewarded.append(sums.rewarded)

    def _look_at(self, largest: float, n_zero: int) -> None:
        if not largest <= _MOST_WEIGHT:
            raise SpecificationError(
                f"a row has weight {largest:.3g}, as its propensity is next to zero: give the probability with which "
                "the row was shown"
            )
        self._largest = max(self._largest, largest)
        self._n_zero += n_zero

    def overlap(self, never_logged: float | None, persons: Totals | None = None) -> Overlap:
        """Return how far a log shows what a policy would show.

        Parameters
        ----------
        never_logged : float or None
            The share of the policy's choices that are actions the log never shows; None where not known.
        persons : Totals, optional
            Of the weights, by person; by default each row is its own.
        """
        rows = self._rows.totals()
        persons = rows if persons is None else persons
        n_rows, total = (float(figure) for figure in rows.sums)
        squares = float(rows.products[1, 1]) + total * total / n_rows
        mean = total / n_rows
        error = persons.error(gradient_of(persons.sums))
        return Overlap(
            n_rows=int(n_rows),
            effective_sample_size=_effective(total, squares),
            effective_rewards=_effective(*np.sum(self._rewarded, axis=0).tolist()),
            mean_weight=mean,
            mean_weight_error=error,
            p_value=_p_value(mean, error, persons.n_persons),
            largest_weight=self._largest,
            largest_share=self._largest / total if total else 0.0,
            unseen_share=self._n_zero / n_rows,
            never_logged=never_logged,
        )


def overlap_of(rounds: Rounds, groups: Groups | None, never_logged: float | None) -> Overlap:
    """Return how far a whole log shows what a policy would show."""
    weighed = Weighed()
    for rows in blocks(len(rounds.weight)):
        weighed.add(Rounds(rounds.reward[rows], rounds.weight[rows]))
    persons = None if groups is None else Totals.of_whole((rounds.weight,), groups)
    return weighed.overlap(never_logged, persons)


def _effective(total: float, squares: float) -> float:
    return total * total / squares if squares else 0.0


def _p_value(mean: float, error: float, n_persons: int) -> float:
    """Return the p-value of a mean weight of one; weights that do not vary leave nothing to chance."""
    off = abs(mean - 1)
    if off <= _ROUNDING:
        return 1.0
    if not error > 0:  # a single group too, whose error is not known
        return 1.0 if np.isnan(error) else 0.0
    return 2 * float(stdtr(n_persons - 1, -off / error))

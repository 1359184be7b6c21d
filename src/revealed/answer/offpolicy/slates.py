r"""Several things shown at once: what a policy of slates would have earned for each slate. Imports value.

With positions :math:`k`, rewards :math:`r_k`, and :math:`w` the ratio of the two policies' probabilities:

- standard: :math:`\sum_k w_{1:K} r_k`, of the whole slate: no assumption, much variance;
- independent: :math:`\sum_k w_k r_k`, of the item in its place: right if a click depends on its own item only
  (Li, Abbasi-Yadkori, Kveton et al. 2018);
- reward interaction: :math:`\sum_k w_{1:k} r_k`, of the item and all above: right if people read from the top
  (McInerney, Brost, Chandar et al. 2020);
- cascade doubly robust: :math:`\sum_k w_{1:k}(r_k - \hat q_k(a_k)) + w_{1:k-1} \sum_a \pi(a|a_{1:k-1})\,\hat q_k(a)`
  (Kiyohara, Saito, Matsuhiro et al. 2022), likewise, with a model of the reward from :math:`k` on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.base import unique
from revealed.answer.interval import require_level
from revealed.answer.offpolicy.intervals import Interval, Normal, Unsure
from revealed.answer.offpolicy.overlap import Limits, Overlap, overlap_of
from revealed.answer.offpolicy.parts import Groups, Parts, Rounds, Rows
from revealed.answer.offpolicy.value import PolicyValue
from revealed.choices.feedback import Feedback
from revealed.errors import DataError, Problem, SpecificationError


@dataclass(frozen=True, eq=False)
class Slates:
    """Rows of feedback as slates, each from the top down.

    Parameters
    ----------
    order : array of int, shape (rows,)
        The rows, slate by slate, position by position.
    slate : array of int, shape (rows,)
        The slate of each of them: 0, 1, …
    first : array of int, shape (slates,)
        Where each slate begins.
    """

    order: Int[np.ndarray, " rows"]
    slate: Int[np.ndarray, " rows"]
    first: Int[np.ndarray, " slates"]

    @classmethod
    def of(cls, feedback: Feedback) -> Slates:
        """Return the slates of feedback: the things shown by one decision.

        Raises
        ------
        SpecificationError
            If it has no positions.
        """
        if feedback.columns.position is None:
            raise SpecificationError("slates need the position of what was shown: read feedback with position=…")
        order = np.lexsort((feedback.position, feedback.decision_codes))
        slate = feedback.decision_codes[order]
        return cls(order, slate, np.flatnonzero(np.concatenate([[True], slate[1:] != slate[:-1]])))

    def prefix_products(self, rows: Rows) -> Rows:
        """Return, for rows in their order, the product from the top of the slate down to each."""
        # One position at a time: products of logs would lose digits, and zeros.
        product = rows.copy()
        place = np.arange(len(rows)) - self.first[self.slate]
        for k in range(1, int(place.max(initial=0)) + 1):
            at = np.flatnonzero(place == k)
            product[at] *= product[at - 1]
        return product

    def sums(self, rows: Rows) -> Float[np.ndarray, " slates"]:
        """Return the sum over each slate."""
        return np.add.reduceat(rows, self.first)


def prefix_probability(feedback: Feedback, conditional: Rows) -> Rows:
    """Return the probability of each item and all above it, from that of each given what stands above."""
    slates = Slates.of(feedback)
    result = np.empty(feedback.n_rows)
    result[slates.order] = slates.prefix_products(conditional[slates.order])
    return result


def slate_probability(feedback: Feedback, conditional: Rows) -> Rows:
    """Return the probability of the whole slate on each of its rows, from that of each item given what stands above."""
    slates = Slates.of(feedback)
    last = np.append(slates.first[1:], len(slates.slate)) - 1
    result = np.empty(feedback.n_rows)
    result[slates.order] = slates.prefix_products(conditional[slates.order])[last][slates.slate]
    return result


class SlateEstimator(ABC):
    """An estimator of what a policy of slates would have earned for each slate."""

    assumption: ClassVar[str]
    citation: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def terms(self, slates: Slates, reward: Rows, weight: Rows) -> Float[np.ndarray, " slates"]:
        """Return the term of each slate; rewards and weights of rows in the order of the slates."""

    @abstractmethod
    def width(self, span: float, largest: float | None, longest: int) -> float | None:
        """Return how far apart the terms of two slates of at most ``longest`` items can be."""


class _Weighted(SlateEstimator):
    """Rewards times weights, whatever the weights are of."""

    def terms(self, slates: Slates, reward: Rows, weight: Rows) -> Float[np.ndarray, " slates"]:
        """Return the weighted rewards of each slate."""
        return slates.sums(weight * reward)

    def width(self, span: float, largest: float | None, longest: int) -> float | None:
        """Return the largest weight times the rewards of the longest slate."""
        return None if largest is None else largest * span * longest


@dataclass(frozen=True)
class SlateStandard(_Weighted):
    """Standard IPS. Probabilities are those of the whole slate, the same on each of its rows."""

    assumption: ClassVar[str] = "nothing on how people look at a slate"
    citation: ClassVar[str] = "Precup, Sutton and Singh (2000)"

    @property
    def name(self) -> str:
        """What tables call it."""
        return "standard slate inverse propensity"


@dataclass(frozen=True)
class SlateIndependent(_Weighted):
    """Independent IPS. Probabilities are those of the item in its place, whatever stands elsewhere."""

    assumption: ClassVar[str] = "what comes of an item depends on the item and its place only"
    citation: ClassVar[str] = "Li, Abbasi-Yadkori, Kveton et al. (2018), Offline evaluation of ranking policies"

    @property
    def name(self) -> str:
        """What tables call it."""
        return "independent inverse propensity"


@dataclass(frozen=True)
class SlateRewardInteraction(_Weighted):
    """Reward-interaction IPS. Probabilities are those of the item and all above; see :func:`prefix_probability`."""

    assumption: ClassVar[str] = "people look from the top: what comes of an item depends on it and those above"
    citation: ClassVar[str] = (
        "McInerney, Brost, Chandar et al. (2020), Counterfactual evaluation of slate recommendations"
    )

    @property
    def name(self) -> str:
        """What tables call it."""
        return "reward-interaction inverse propensity"


@dataclass(frozen=True, eq=False)
class SlateCascade(SlateEstimator):
    """Cascade doubly robust. Probabilities are those of the item and all above; see :func:`prefix_probability`.

    Parameters
    ----------
    foretold : array, shape (rows,)
        What a model of rewards foretells of each row and those below, given what stands above.
    expected : array, shape (rows,)
        The same, averaged over what the policy to be judged would show there.
    """

    foretold: Rows
    expected: Rows
    assumption: ClassVar[str] = SlateRewardInteraction.assumption
    citation: ClassVar[str] = (
        "Kiyohara, Saito, Matsuhiro et al. (2022), Doubly robust off-policy evaluation for ranking"
    )

    @classmethod
    def of(cls, feedback: Feedback, rewards: Float[np.ndarray, "rows actions"], each: np.ndarray) -> SlateCascade:
        """Return the estimator from what is foretold of each action, and the policy's probability of each.

        Parameters
        ----------
        feedback : Feedback
        rewards, each : array, shape (rows, actions)
            Given what stands above.
        """
        shape = (feedback.n_rows, len(feedback.actions))
        if rewards.shape != shape or each.shape != shape:
            raise SpecificationError(
                f"rewards and probabilities have shapes {rewards.shape} and {each.shape}, not {shape}"
            )
        if not np.allclose(each.sum(axis=1), 1, rtol=0, atol=1e-6) or each.min() < 0:
            raise SpecificationError("the policy's probabilities of each action do not sum to 1 on every row")
        shown = rewards[np.arange(shape[0]), feedback.action_codes]
        return cls(shown, np.einsum("ra,ra->r", rewards, each))

    @property
    def name(self) -> str:
        """What tables call it."""
        return "cascade doubly robust"

    def terms(self, slates: Slates, reward: Rows, weight: Rows) -> Float[np.ndarray, " slates"]:
        """Return the sums of the corrected rewards of each slate."""
        before = np.concatenate([[1.0], weight[:-1]])
        before[slates.first] = 1.0
        own = weight * (reward - self.foretold[slates.order])
        return slates.sums(own + before * self.expected[slates.order])

    def width(self, span: float, largest: float | None, longest: int) -> float | None:  # noqa: ARG002
        """Return None: what is foretold of a row and those below has no bound that is known here."""
        return None


def evaluate_slates(
    feedback: Feedback,
    probability: Rows,
    estimator: SlateEstimator,
    *,
    propensity: Rows | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyValue:
    """Return what a policy of slates would have earned for each slate, from a log of another policy.

    Parameters
    ----------
    feedback : Feedback
        With positions; each row has an answer.
    probability : array, shape (rows,)
        The probability with which the policy to be judged would have shown it: of the whole slate, of the item in its
        place, or of the item and all above, as the estimator asks.
    estimator : SlateEstimator
    propensity : array, shape (rows,), optional
        The same of the policy that was running; by default the propensities of the log.
    interval, level, limits
        As for :func:`revealed.answer.offpolicy.evaluate`.

    Raises
    ------
    SpecificationError
        If the log has no positions, or probabilities do not fit it.
    DataError
        If rows have no answer: half a slate has no value.
    """
    require_level(level)
    slates = Slates.of(feedback)
    _require_answers(feedback)
    logged = feedback.propensity if propensity is None else propensity
    _require(feedback, probability, "probability", above_zero=False)
    _require(feedback, logged, "propensity", above_zero=True)
    weight = (probability / logged)[slates.order]
    reward = feedback.reward[slates.order]
    persons = feedback.person_codes[slates.order]
    interval, limits = interval or Normal(), limits or Limits()
    overlap = _overlap(estimator, slates, reward, weight, persons)
    refused = overlap.refusals(limits)
    of_slate = persons[slates.first]
    groups = None if int(of_slate.max()) + 1 == len(of_slate) else of_slate
    value = error = low = high = float("nan")
    lacking: tuple[str, ...] = ()
    if not refused:
        parts = Parts(estimator.terms(slates, reward, weight))
        unsure = Unsure(parts, None, groups, _width(estimator, interval, slates, reward))
        ends = interval.ends(unsure, level)
        value, error, low, high = parts.value, unsure.error, ends.low, ends.high
        lacking = (f"no interval: {ends.lacking}",) if ends.lacking else ()
    return PolicyValue(
        policy="policy of slates",
        estimator=estimator.name,
        value=value,
        standard_error=error,
        low=low,
        high=high,
        level=level,
        interval=interval.name,
        overlap=overlap,
        n_persons=len(of_slate) if groups is None else int(groups.max()) + 1,
        pending=0,
        refused=refused,
        assumptions=("the propensities are those with which slates were shown", estimator.assumption),
        warnings=unique(lacking, overlap.warnings()),
    )


def _overlap(estimator: SlateEstimator, slates: Slates, reward: Rows, weight: Rows, persons: Groups) -> Overlap:
    if isinstance(estimator, SlateStandard):  # one weight a slate
        return overlap_of(Rounds(slates.sums(reward), weight[slates.first]), persons[slates.first], None)
    return overlap_of(Rounds(reward, weight), persons, None)


def _width(estimator: SlateEstimator, interval: Interval, slates: Slates, reward: Rows) -> float | None:
    bounds = interval.bounds
    if bounds is None:
        return None
    bounds.require(reward, "rewards")
    longest = int(np.diff(np.append(slates.first, len(reward))).max())
    return estimator.width(bounds.span, bounds.largest_weight, longest)


def _require_answers(feedback: Feedback) -> None:
    lacking = np.flatnonzero(~feedback.answered)
    if len(lacking):
        rows = tuple(feedback.row_numbers(lacking[:5]).tolist())
        remedy = "wait for the answers, or leave out the whole of these slates"
        raise DataError(feedback.source, [Problem("rows without an answer", remedy, rows=rows, count=len(lacking))])


def _require(feedback: Feedback, rows: Rows, what: str, *, above_zero: bool) -> None:
    if rows.shape != (feedback.n_rows,):
        raise SpecificationError(f"{what} has shape {rows.shape}, not ({feedback.n_rows},)")
    fine = (rows <= 1 + 1e-6) & ((rows > 0) if above_zero else (rows >= 0))
    if not fine.all():
        least = "above 0" if above_zero else "0 or more"
        first = int(np.argmax(~fine))
        raise SpecificationError(f"each {what} is {least} and at most 1; row {first} (from 0) has {rows[first]:g}")

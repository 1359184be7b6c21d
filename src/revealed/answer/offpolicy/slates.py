r"""Several things shown at once: what a policy of slates would have earned for each. Imports compare and slate_ridge.

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
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from revealed.answer.offpolicy.compare import LOGGED, PolicyComparison, comparison_of
from revealed.answer.offpolicy.intervals import Interval, Normal, Unsure
from revealed.answer.offpolicy.judged import Judged
from revealed.answer.offpolicy.overlap import Limits, Overlap, overlap_of
from revealed.answer.offpolicy.parts import Groups, Parts, Rounds, Rows
from revealed.answer.offpolicy.ridge import RidgeRewards
from revealed.answer.offpolicy.slate_order import Slates, rows_of
from revealed.answer.offpolicy.slate_ridge import cascade_foretold
from revealed.answer.offpolicy.totals import bounded
from revealed.answer.offpolicy.value import PolicyValue
from revealed.choices.feedback import Feedback
from revealed.errors import DataError, Problem, SpecificationError
from revealed.evidence.level import require_level

_PROPENSITIES = "the propensities are those with which slates were shown"
#: How far probabilities may be from summing to one.
_TOLERANCE = 1e-6


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

    Mostly made by :meth:`of`.

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
    def of(cls, feedback: Feedback, each: np.ndarray, rewards: RidgeRewards | np.ndarray | None = None) -> SlateCascade:
        """Return the estimator for a log and a policy.

        Parameters
        ----------
        feedback : Feedback
            With positions; each row has an answer.
        each : array, shape (rows, actions)
            The probability with which the policy to be judged would show each action in the place of the row, given
            what stands above it.
        rewards : RidgeRewards or array, shape (rows, actions), optional
            Settings of the ridge regressions that foretell rewards, ``RidgeRewards()`` by default; or what is foretold
            of each action in the place of the row *and of all below it*, were these shown by the policy.

        Returns
        -------
        SlateCascade
            The value is right whatever is foretold; the better, the surer it is.

        Raises
        ------
        SpecificationError
            If arrays have another shape, probabilities do not sum to one on a row, what is foretold is not finite, or
            there are fewer persons than folds.
        DataError
            If rows have no answer.
        """
        shape = (feedback.n_rows, len(feedback.actions))
        each = _of_actions(each, shape, "each")
        with np.errstate(invalid="ignore"):  # infinities of both signs
            fine = np.abs(each.sum(axis=1) - 1) <= _TOLERANCE
        if not fine.all() or each.min() < 0:
            raise SpecificationError("the policy's probabilities of each action do not sum to 1 on every row")
        if rewards is None or isinstance(rewards, RidgeRewards):
            _require_answers(feedback)
            return cls(*cascade_foretold(feedback, Slates.of(feedback), each, rewards or RidgeRewards()))
        rewards = _of_actions(rewards, shape, "rewards")
        if not np.isfinite(rewards).all():
            raise SpecificationError("the rewards foretold are not all finite")
        return cls(rewards[np.arange(shape[0]), feedback.action_codes], np.einsum("ra,ra->r", rewards, each))

    @property
    def name(self) -> str:
        """What tables call it."""
        return "cascade doubly robust"

    def terms(self, slates: Slates, reward: Rows, weight: Rows) -> Float[np.ndarray, " slates"]:
        """Return the sums of the corrected rewards of each slate."""
        if len(self.foretold) != len(reward):
            raise SpecificationError(
                f"the estimator was made for a log of {len(self.foretold):,} rows, not of {len(reward):,}: make it of "
                "the log to be used"
            )
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
        What people are taken to do; see the head of this module.
    propensity : array, shape (rows,), optional
        The same of the policy that was running; by default the propensities of the log.
    interval : Interval, optional
        By default :class:`Normal`. A slate is one draw, and all slates of a person are.
    level : float
        Of the interval, between 0 and 1.
    limits : Limits, optional
        Where the log is held to say too little; by default ``Limits()``.

    Returns
    -------
    PolicyValue
        In units of the reward, summed over a slate, for each slate; without a number, but with reasons, where the log
        cannot say.

    Raises
    ------
    SpecificationError
        If the log has no positions, probabilities do not fit it, a weight is beyond all bounds, or rewards lie outside
        of the bounds an interval was given.
    DataError
        If rows have no answer: half a slate has no value.

    Examples
    --------
    >>> from revealed.choices.feedback import read_feedback
    >>> page = {"decision": [i // 2 for i in range(80)], "position": [1, 2] * 40, "action": ["hat", "cap"] * 40,
    ...         "reward": [1, 0] * 40, "propensity": [0.5, 1.0] * 40}
    >>> feedback = read_feedback(page, position="position")
    >>> evaluate_slates(feedback, feedback.propensity, SlateIndependent()).value
    1.0
    """
    judge = _Judge.of(feedback, propensity, interval, level, limits)
    return judge.judged("policy of slates", probability, estimator).value


def compare_slates(
    feedback: Feedback,
    probability: Rows,
    estimator: SlateEstimator,
    *,
    name: str = "policy of slates",
    propensity: Rows | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyComparison:
    """Judge a policy of slates beside the one that was running: the same slates tell, so the interval is paired.

    Parameters
    ----------
    feedback, probability, estimator, propensity, interval, level, limits
        As for :func:`evaluate_slates`.
    name : str
        Of the policy.

    Returns
    -------
    PolicyComparison
        Of the policy and the one that was running, for each slate.

    Raises
    ------
    SpecificationError, DataError
        As :func:`evaluate_slates` does.
    """
    judge = _Judge.of(feedback, propensity, interval, level, limits)
    return comparison_of([judge.logged(), judge.judged(name, probability, estimator)], judge.interval)


@dataclass(frozen=True, eq=False)
class _Judge:
    """A log of slates set up to judge policies on it: rows in the order of the slates."""

    feedback: Feedback
    slates: Slates
    logged_with: Rows
    reward: Rows
    persons: Groups
    interval: Interval
    level: float
    limits: Limits

    @classmethod
    def of(
        cls, feedback: Feedback, propensity: Rows | None, interval: Interval | None, level: float, limits: Limits | None
    ) -> _Judge:
        require_level(level)
        slates = Slates.of(feedback)
        _require_answers(feedback)
        logged = _require(feedback, feedback.propensity if propensity is None else propensity, "propensity", least=0.0)
        order = slates.order
        return cls(
            feedback,
            slates,
            logged,
            feedback.reward[order],
            feedback.person_codes[order],
            interval or Normal(),
            level,
            limits or Limits(),
        )

    @cached_property
    def groups(self) -> Groups | None:
        """The person of each slate; None where each slate is its own."""
        of_slate = self.persons[self.slates.first]
        return None if int(of_slate.max()) + 1 == len(of_slate) else of_slate

    def logged(self) -> Judged:
        """Return the value of the policy that was running."""
        rounds = Rounds(self.reward, np.ones(len(self.reward)))
        value = self._empty(LOGGED, "mean reward", overlap_of(rounds, self.persons, None), ())
        width = None
        if self.interval.bounds is not None:
            self.interval.bounds.require(self.reward, "rewards")
            width = self.interval.bounds.span * self.slates.longest
        with bounded():
            unsure = Unsure.of(Parts(self.slates.sums(self.reward)), self.groups, width)
        return Judged.of(value, unsure, self.interval)

    def judged(self, name: str, probability: Rows, estimator: SlateEstimator) -> Judged:
        """Return the value of a policy."""
        if not isinstance(estimator, SlateEstimator):
            raise SpecificationError(f"an estimator of slates is an object such as SlateStandard(), not {estimator!r}")
        would = _require(self.feedback, probability, "probability")
        with np.errstate(over="ignore"):  # infinite weights are refused where weights are summed up
            weight = (would / self.logged_with)[self.slates.order]
        overlap = _overlap(estimator, self.slates, self.reward, weight, self.persons)
        value = self._empty(name, estimator.name, overlap, (_PROPENSITIES, estimator.assumption))
        value = replace(value, refused=overlap.refusals(self.limits))
        if value.refused:
            return Judged(value, None)
        with bounded():
            parts = Parts(estimator.terms(self.slates, self.reward, weight))
            unsure = Unsure.of(parts, self.groups, _width(estimator, self.interval, self.slates, self.reward, weight))
        return Judged.of(value, unsure, self.interval)

    def _empty(self, name: str, estimator: str, overlap: Overlap, assumptions: tuple[str, ...]) -> PolicyValue:
        nothing = float("nan")
        return PolicyValue(
            policy=name,
            estimator=estimator,
            value=nothing,
            standard_error=nothing,
            low=nothing,
            high=nothing,
            level=self.level,
            interval=self.interval.name,
            overlap=overlap,
            n_persons=len(self.slates.first) if self.groups is None else int(self.groups.max()) + 1,
            pending=0,
            refused=(),
            assumptions=assumptions,
            warnings=overlap.warnings(),
        )


def _overlap(estimator: SlateEstimator, slates: Slates, reward: Rows, weight: Rows, persons: Groups) -> Overlap:
    if isinstance(estimator, SlateStandard):  # one weight a slate
        return overlap_of(Rounds(slates.sums(reward), weight[slates.first]), persons[slates.first], None)
    return overlap_of(Rounds(reward, weight), persons, None)


def _width(estimator: SlateEstimator, interval: Interval, slates: Slates, reward: Rows, weight: Rows) -> float | None:
    bounds = interval.bounds
    if bounds is None:
        return None
    bounds.require(reward, "rewards")
    bounds.require_weights(weight)
    return estimator.width(bounds.span, bounds.largest_weight, slates.longest)


def _require_answers(feedback: Feedback) -> None:
    lacking = np.flatnonzero(~feedback.answered)
    if len(lacking):
        rows = tuple(feedback.row_numbers(lacking[:5]).tolist())
        remedy = "wait for the answers, or leave out the whole of these slates"
        raise DataError(feedback.source, [Problem("rows without an answer", remedy, rows=rows, count=len(lacking))])


def _require(feedback: Feedback, given: Any, what: str, least: float | None = None) -> Rows:
    """Return probabilities of rows, checked: 0 or more, or above ``least``."""
    rows = rows_of(feedback, given, what)
    fine = (rows <= 1 + _TOLERANCE) & ((rows >= 0) if least is None else (rows > least))
    if not fine.all():
        bound = "0 or more" if least is None else f"above {least:g}"
        first = int(np.argmax(~fine))
        raise SpecificationError(f"each {what} is {bound} and at most 1; row {first} (from 0) has {rows[first]:g}")
    return rows


def _of_actions(given: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiub" or given.shape != shape:
        found = given.shape if isinstance(given, np.ndarray) else type(given).__name__
        raise SpecificationError(f"{what} has shape {found}; give numbers of shape {shape}: rows by actions")
    return given.astype(np.float64, copy=False)

"""A log set up to judge policies on it, and the two questions users ask it. Imports passes and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from revealed.answer.base import unique
from revealed.answer.offpolicy.direct import MODEL_ERROR
from revealed.answer.offpolicy.doubly_robust import DoublyRobust
from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.intervals import Interval, Normal, Unsure
from revealed.answer.offpolicy.judged import Judged
from revealed.answer.offpolicy.overlap import Limits, Overlap, Weighed, overlap_of
from revealed.answer.offpolicy.parts import Groups, Parts, Rounds
from revealed.answer.offpolicy.passes import rounds_of, sums_of
from revealed.answer.offpolicy.rewards import Foretold, Rewards, foretold_by
from revealed.answer.offpolicy.ridge import RidgeRewards
from revealed.answer.offpolicy.target import PolicyLike, Target, target_of
from revealed.answer.offpolicy.totals import Moments, Tally, bounded
from revealed.answer.offpolicy.tuning import Tuned
from revealed.answer.offpolicy.value import PolicyValue, PolicyValues
from revealed.answer.offpolicy.weighting import InversePropensity
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError
from revealed.evidence.level import require_level

_FUTURE = "who comes and what they like stays as in the log"
_NO_WEIGHT = "no weight is left: every row is one that the policy never shows, or whose weight was switched off"


def evaluate(
    feedback: Feedback,
    policy: PolicyLike,
    estimator: Estimator | Tuned | None = None,
    *,
    rewards: Rewards | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyValue:
    """Return what a policy would have earned for each thing shown, from a log of another policy.

    Parameters
    ----------
    feedback : Feedback
        What was shown, with which probability, and what came of it. Rows without an answer are left out.
    policy : Chooser, array, mapping or Logged
        The policy to be judged: anything with ``probabilities(feedback)``; an array of probabilities, of what was shown
        (rows,) or of each action (rows, actions) in the order of ``feedback.actions``; a mapping from actions to
        probabilities, the same on each row; ``Logged()`` for the policy that was running.
    estimator : Estimator or Tuned, optional
        By default doubly robust where the probability of each action is known, else self-normalised inverse propensity.
    rewards : RewardModel, array or callable, optional
        Expected rewards, (rows, actions) or (actions,), for estimators that ask for them; by default
        :class:`RidgeRewards` on action and position.
    interval : Interval, optional
        By default :class:`Normal`.
    level : float
        Of the interval, between 0 and 1.
    limits : Limits, optional
        Where the log is held to say too little; by default ``Limits()``.

    Returns
    -------
    PolicyValue
        In units of the reward, for each row; without a number, but with reasons, where the log cannot say.

    Raises
    ------
    SpecificationError
        If the policy or the model of rewards does not fit the log, a weight is beyond all bounds, rewards lie outside
        of the bounds an interval was given, or the level is none.

    Examples
    --------
    >>> from revealed.choices.feedback import read_feedback
    >>> shown = {"decision": range(60), "action": ["hat", "cap"] * 30, "reward": [1, 0] * 30, "propensity": [0.5] * 60}
    >>> evaluate(read_feedback(shown), {"hat": 0.75, "cap": 0.25}, InversePropensity()).value
    0.75
    """
    judge = Judge.of(feedback, rewards=rewards, interval=interval, level=level, limits=limits)
    return judge.judged(policy, estimator).value


def evaluate_each(
    feedback: Feedback,
    policy: PolicyLike,
    estimators: Sequence[Estimator | Tuned],
    *,
    rewards: Rewards | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyValues:
    """Return what a policy would have earned by several estimators, in one pass over the log.

    Estimators that lean on different things and agree are worth more than one.

    Parameters
    ----------
    estimators : sequence of Estimator or Tuned
        At least one.
    feedback, policy, rewards, interval, level, limits
        As for :func:`evaluate`.

    Returns
    -------
    PolicyValues
        One value for each estimator, in their order.

    Raises
    ------
    SpecificationError
        If there is no estimator, and as :func:`evaluate`.
    """
    if not isinstance(estimators, Sequence) or not estimators:
        raise SpecificationError("give at least one estimator: evaluate_each(feedback, policy, (DoublyRobust(), …))")
    judge = Judge.of(feedback, rewards=rewards, interval=interval, level=level, limits=limits)
    values = tuple(one.value for one in judge.judged_each(policy, estimators))
    notes = unique(*(value.warnings for value in values))
    return PolicyValues(values, unique(*(value.assumptions for value in values)), notes)


@dataclass(frozen=True, eq=False)
class Judge:
    """A log with all that stays the same from policy to policy.

    Parameters
    ----------
    feedback : Feedback
        The rows that have an answer.
    answered : array of bool, shape (all rows,), or None
        Which they are; None where all have one.
    groups : array of int, shape (rows,), or None
        Persons; None where each row is its own.
    rewards : RewardModel, array or callable
        The model of rewards; an array has the rows that have an answer.
    interval : Interval
    level : float
        Of the interval.
    limits : Limits
    foretold : dict
        What the model of rewards foretells, once asked; kept here, as fitting it is what costs.
    """

    feedback: Feedback
    answered: Bool[np.ndarray, " all_rows"] | None
    groups: Groups | None
    rewards: Rewards
    interval: Interval
    level: float
    limits: Limits
    foretold: dict[str, Foretold]

    @classmethod
    def of(
        cls,
        feedback: Feedback,
        *,
        rewards: Rewards | None,
        interval: Interval | None,
        level: float,
        limits: Limits | None,
    ) -> Judge:
        """Set a log up to judge policies on it.

        Raises
        ------
        SpecificationError
            If it is no feedback, no interval, or no level.
        """
        if not isinstance(feedback, Feedback):
            raise SpecificationError(f"give feedback, as read_feedback returns it, not {type(feedback).__name__}")
        if not isinstance(interval, Interval | None):
            raise SpecificationError(f"an interval is an object such as Normal(), not {interval!r}")
        require_level(level)
        answered = None if bool(feedback.answered.all()) else feedback.answered
        kept = feedback if answered is None else feedback.take(answered)
        given = RidgeRewards() if rewards is None else rewards
        if isinstance(given, np.ndarray) and given.ndim == 2:  # (actions,) has no rows to leave out
            given = _of_rows(given, answered)
        return cls(kept, answered, groups_of(kept), given, interval or Normal(), level, limits or Limits(), {})

    def judged(
        self, policy: PolicyLike, estimator: Estimator | Tuned | None, name: str = "policy", *, keep: bool = False
    ) -> Judged:
        """Return the value of a policy; see :meth:`judged_each`."""
        return self.judged_each(policy, (estimator,), name, keep=keep)[0]

    def judged_each(
        self,
        policy: PolicyLike,
        estimators: Sequence[Estimator | Tuned | None],
        name: str = "policy",
        *,
        keep: bool = False,
    ) -> list[Judged]:
        """Return the values of a policy by several estimators.

        Parameters
        ----------
        policy : Chooser, array, mapping or Logged
        estimators : sequence of Estimator, Tuned or None
            None stands for the default.
        name : str
            Of the policy.
        keep : bool
            Keep the columns of the whole log, so that policies can be compared row by row.
        """
        for estimator in estimators:
            if not isinstance(estimator, Estimator | Tuned | None):
                raise SpecificationError(f"an estimator is an object such as DoublyRobust(), not {estimator!r}")
        if not self.feedback.n_rows:
            return [self._nothing(name, estimator or InversePropensity()) for estimator in estimators]
        target = target_of(self.feedback, policy, self.answered)
        chosen = [estimator or _default(target) for estimator in estimators]
        foretold = self._foretold(target, chosen)
        corrected = any(estimator.needs_model and estimator.uses_weights for estimator in chosen)
        stream = rounds_of(self.feedback, target, foretold, corrected=corrected)
        whole = keep or self.groups is not None or self.interval.needs_columns or self._too_few(target)
        if whole or (any(isinstance(estimator, Tuned) for estimator in chosen) and not target.logging):
            return self._of_whole(Rounds.joined(stream), target, chosen, name)
        return self._of_stream(stream, target, chosen, name)

    def _too_few(self, target: Target) -> bool:
        """Whether whatever weighs rows will be refused: no effective sample is larger than the log."""
        return not target.logging and self.feedback.n_rows < self.limits.least_effective

    def _foretold(self, target: Target, estimators: list[Estimator | Tuned]) -> Foretold | None:
        asking = [estimator for estimator in estimators if estimator.needs_model]
        if target.logging or not asking:
            return None
        if target.each is None:
            raise SpecificationError(
                "a model of rewards needs the probability of each action: give an array of (rows, actions), a mapping, "
                "or a Chooser that returns them"
            )
        if self._too_few(target) and all(estimator.uses_weights for estimator in asking):
            return None  # no model is fitted for what will be refused
        if "all" not in self.foretold:
            self.foretold["all"] = foretold_by(self.rewards, self.feedback, self.groups)
        return self.foretold["all"]

    def _of_stream(
        self, stream: Iterator[Rounds], target: Target, estimators: list[Estimator | Tuned], name: str
    ) -> list[Judged]:
        """Return values from sums taken block by block."""
        settled = [None if target.logging else _plain(estimator) for estimator in estimators]
        weighed, tallies = Weighed(), [Tally() for _ in estimators]
        asked = [() if estimator is None else estimator.summed for estimator in settled]
        sums = sums_of(self.feedback, target) if all(asked) else None
        if sums is not None:
            weighed.add_sums(sums)
            tallies = [sums.tally(*columns) for columns in asked]
        with bounded():
            for rounds in stream if sums is None else ():
                moments = Moments(rounds)
                weighed.add(rounds, moments)
                for tally, estimator in zip(tallies, settled, strict=True):
                    tally.add(_parts(estimator, rounds).columns, moments)
        overlap = weighed.overlap(target.never_logged(self.feedback))
        values = [self._empty(name, estimator, overlap, target) for estimator in estimators]
        totals = [tally.totals() for tally in tallies]
        unsure = [Unsure(sums, len(sums.sums) - 1) for sums in totals]
        return [self._judged(*each) for each in zip(values, settled, unsure, strict=True)]

    def _of_whole(self, rounds: Rounds, target: Target, estimators: list[Estimator | Tuned], name: str) -> list[Judged]:
        """Return values from columns of the whole log: what persons of several rows, and most intervals, ask for."""
        overlap = overlap_of(rounds, self.groups, target.never_logged(self.feedback))
        found = []
        for estimator in estimators:
            value = self._empty(name, estimator, overlap, target)
            if value.refused:
                found.append(Judged(value, None))
                continue
            settled: Estimator | None = None
            if not target.logging:
                with bounded():
                    settled = estimator.settled(rounds) if isinstance(estimator, Tuned) else estimator
            with bounded():
                unsure = Unsure.of(_parts(settled, rounds), self.groups, self._width(rounds, settled))
            found.append(self._judged(value, settled, unsure))
        return found

    def _judged(self, value: PolicyValue, settled: Estimator | None, unsure: Unsure) -> Judged:
        """Return a value with its number and interval."""
        if value.refused:
            return Judged(value, None)
        if np.isnan(unsure.value):
            return Judged(replace(value, refused=(_NO_WEIGHT,)), None)
        by_model = settled is not None and not settled.uses_weights
        value = replace(value, estimator="mean reward" if settled is None else settled.name)
        return Judged.of(value, unsure, self.interval, (MODEL_ERROR,) if by_model else ())

    def _width(self, rounds: Rounds, estimator: Estimator | None) -> float | None:
        bounds = self.interval.bounds
        if bounds is None:
            return None
        bounds.require(rounds.reward, "rewards")
        if estimator is None:
            return bounds.span
        for rows in (rounds.expected, rounds.foretold):
            if rows is not None and estimator.needs_model:
                bounds.require(rows, "rewards that the model foretells")
        if estimator.uses_weights:
            bounds.require_weights(rounds.weight)
        return estimator.width(bounds.span, bounds.largest_weight)

    def _empty(
        self, name: str, estimator: Estimator | Tuned, overlap: Overlap, target: Target | None = None
    ) -> PolicyValue:
        """Return a value without a number, and why the log cannot say; nothing is refused without a target."""
        weighs = target is not None and not target.logging and estimator.uses_weights
        pending = 0 if self.answered is None else int(np.count_nonzero(~self.answered))
        late = (f"{pending:,} rows without an answer were left out: right only if they are like the others",)
        nothing = float("nan")
        return PolicyValue(
            policy=name,
            estimator=estimator.name,
            value=nothing,
            standard_error=nothing,
            low=nothing,
            high=nothing,
            level=self.level,
            interval=self.interval.name,
            overlap=overlap,
            n_persons=self.feedback.n_rows if self.groups is None else int(self.groups.max()) + 1,
            pending=pending,
            refused=overlap.refusals(self.limits) if weighs else (),
            assumptions=(*estimator.assumptions(), _FUTURE),
            warnings=((*late,) if pending else ()) + overlap.warnings(),
        )

    def _nothing(self, name: str, estimator: Estimator | Tuned) -> Judged:
        blank = Overlap(0, 0.0, 0.0, 0.0, float("nan"), 1.0, 0.0, 0.0, 0.0, None)
        value = replace(self._empty(name, estimator, blank), refused=("no row has an answer yet",))
        return Judged(value, None)


def groups_of(feedback: Feedback) -> Groups | None:
    """Return the persons of rows as 0, 1, …, or None where each row is its own."""
    if feedback.columns.person is None and feedback.columns.position is None:
        return None
    codes = feedback.person_codes
    return None if not len(codes) or int(codes.max()) + 1 == len(codes) else codes


def _parts(estimator: Estimator | None, rounds: Rounds) -> Parts:
    """Return what an estimator makes of rows; None stands for the policy that was running."""
    return Parts(rounds.reward) if estimator is None else estimator.parts(rounds)


def _plain(estimator: Estimator | Tuned) -> Estimator:
    assert isinstance(estimator, Estimator)  # what is tuned asks for the whole log
    return estimator


def _default(target: Target) -> Estimator:
    return InversePropensity(normalised=True) if target.each is None and not target.logging else DoublyRobust()


def _of_rows(given: Any, answered: np.ndarray | None) -> Any:
    """Return the rows of an array that have an answer; anything else as it is."""
    if answered is None or not isinstance(given, np.ndarray) or len(given) != len(answered):
        return given
    return given[answered]

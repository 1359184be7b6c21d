"""What a policy would have earned, from a log of another: a value with an interval, or a refusal. Imports choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from revealed.answer.base import Answer, unique
from revealed.answer.interval import require_level
from revealed.answer.offpolicy.direct import MODEL_ERROR
from revealed.answer.offpolicy.doubly_robust import DoublyRobust
from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.intervals import Interval, Normal, Unsure
from revealed.answer.offpolicy.overlap import Limits, Overlap, overlap_of
from revealed.answer.offpolicy.parts import Groups, Parts, Rounds
from revealed.answer.offpolicy.rewards import Foretold, Rewards, foretold_by, of_policy
from revealed.answer.offpolicy.ridge import RidgeRewards
from revealed.answer.offpolicy.target import PolicyLike, Target, target_of
from revealed.answer.offpolicy.tuning import Tuned
from revealed.answer.offpolicy.weighting import InversePropensity
from revealed.answer.table import Cell, Column, Table
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError

_FUTURE = "who comes and what they like stays as in the log"


@dataclass(frozen=True, repr=False)
class PolicyValue(Answer):
    """What a policy would have earned for each thing shown (for each slate, if slates were judged).

    Parameters
    ----------
    policy, estimator : str
        What was judged, and how.
    value, standard_error, low, high : float
        NaN where refused; the ends are NaN where the interval cannot be drawn, for what ``warnings`` say.
    level : float
        The confidence level.
    interval : str
        How the interval was made.
    overlap : Overlap
        How far the log shows what the policy would show.
    n_persons : int
        Persons (or decisions, where persons are not known) in the rows with an answer.
    pending : int
        Rows without an answer, which were left out.
    refused : tuple of str
        Why no number is given; empty where one is.
    """

    policy: str
    estimator: str
    value: float
    standard_error: float
    low: float
    high: float
    level: float
    interval: str
    overlap: Overlap
    n_persons: int
    pending: int
    refused: tuple[str, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per figure."""
        percent = f"{100 * self.level:g}%"
        rows: list[tuple[Cell, ...]] = [
            ("value", _shown(self.value)),
            ("standard error", _shown(self.standard_error)),
            (f"{percent} low", _shown(self.low)),
            (f"{percent} high", _shown(self.high)),
            ("rows with an answer", f"{self.overlap.n_rows:,}"),
            ("persons", f"{self.n_persons:,}"),
            ("effective sample size", f"{self.overlap.effective_sample_size:,.1f}"),
            ("mean weight", _shown(self.overlap.mean_weight)),
            ("largest weight", _shown(self.overlap.largest_weight)),
        ]
        notes = unique([f"refused: {reason}" for reason in self.refused], self.warnings, self.assumptions)
        columns = (Column("figure", "text"), Column(self.policy, "text"))
        return Table(f"Value of a policy, {self.estimator}", columns, tuple(rows), notes)

    def summary(self) -> str:
        """Return the answer in a sentence."""
        if self.refused:
            return f"{self.policy}: the log cannot say ({'; '.join(self.refused)})"
        interval = (
            f" ({100 * self.level:g}% interval {self.low:.4g} to {self.high:.4g})" if self.low == self.low else ""
        )
        return f"{self.policy}: {self.value:.4g}{interval}, {self.estimator}, {self.interval}"


@dataclass(frozen=True, repr=False)
class PolicyValues(Answer):
    """A policy judged by several estimators.

    Parameters
    ----------
    values : tuple of PolicyValue
        One for each estimator.
    """

    values: tuple[PolicyValue, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, estimator: str) -> PolicyValue:
        """Return the value by the name of its estimator."""
        return {value.estimator: value for value in self.values}[estimator]

    def table(self) -> Table:
        """Return one row per estimator."""
        percent = f"{100 * self.values[0].level:g}%"
        columns = (
            Column("estimator", "text"),
            Column("value"),
            Column("standard error"),
            Column(f"{percent} low"),
            Column(f"{percent} high"),
            Column("", "text"),
        )
        rows = tuple(
            (v.estimator, v.value, v.standard_error, v.low, v.high, "refused" if v.refused else "") for v in self.values
        )
        refused = unique(*(v.refused for v in self.values))
        notes = unique([f"refused: {reason}" for reason in refused], self.warnings, self.assumptions)
        return Table(f"Value of {self.values[0].policy}", columns, rows, notes)


@dataclass(frozen=True, eq=False)
class Judged:
    """A value with what others are compared with it by.

    Parameters
    ----------
    value : PolicyValue
    unsure : Unsure or None
        None where refused.
    """

    value: PolicyValue
    unsure: Unsure | None


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
        (rows,) or of each action (rows, actions); a mapping from actions to probabilities, the same on each row.
    estimator : Estimator, optional
        By default doubly robust where the probability of each action is known, else self-normalised inverse propensity.
    rewards : RewardModel, array or callable, optional
        Expected rewards, (rows, actions) or (actions,), for estimators that ask for them; by default
        :class:`RidgeRewards` on action and position.
    interval : Interval, optional
        By default :class:`Normal`.
    level : float
        Between 0 and 1.
    limits : Limits, optional
        Where the log is held to say too little.

    Raises
    ------
    SpecificationError
        If the policy or the model of rewards does not fit the log.
    """
    judge = Judge.of(feedback, rewards=rewards, interval=interval, level=level, limits=limits)
    return judge.judged(policy, estimator).value


def evaluate_each(
    feedback: Feedback,
    policy: PolicyLike,
    estimators: tuple[Estimator | Tuned, ...],
    *,
    rewards: Rewards | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyValues:
    """Return what a policy would have earned by several estimators, what they share computed once.

    Estimators that lean on different things and agree are worth more than one; see :func:`evaluate` for the parameters.
    """
    if not estimators:
        raise SpecificationError("give at least one estimator")
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
        """Set a log up to judge policies on it."""
        require_level(level)
        answered = None if bool(feedback.answered.all()) else feedback.answered
        kept = feedback if answered is None else feedback.take(answered)
        given = RidgeRewards() if rewards is None else rewards
        if isinstance(given, np.ndarray) and given.ndim == 2:  # (actions,) has no rows to leave out
            given = _of_rows(given, answered)
        return cls(kept, answered, groups_of(kept), given, interval or Normal(), level, limits or Limits(), {})

    def judged(self, policy: PolicyLike, estimator: Estimator | Tuned | None, name: str = "policy") -> Judged:
        """Return the value of a policy."""
        return self.judged_each(policy, (estimator,), name)[0]

    def judged_each(
        self, policy: PolicyLike, estimators: tuple[Estimator | Tuned | None, ...], name: str = "policy"
    ) -> list[Judged]:
        """Return the values of a policy by several estimators."""
        if not self.feedback.n_rows:
            return [self._nothing(name, estimator or InversePropensity()) for estimator in estimators]
        target = target_of(self.feedback, _of_rows(policy, self.answered))
        chosen = [estimator or _default(target) for estimator in estimators]
        asks = not target.logging and any(estimator.needs_model for estimator in chosen)
        rounds = self._rounds(target, asks)
        overlap = overlap_of(rounds, self.groups, target.never_logged)
        return [self._judged(rounds, overlap, target, estimator, name) for estimator in chosen]

    def _rounds(self, target: Target, with_model: bool) -> Rounds:
        reward = self.feedback.reward
        weight = np.ones(len(reward)) if target.logging else target.shown / self.feedback.propensity
        if not with_model:
            return Rounds(reward, weight)
        if target.each is None:
            raise SpecificationError(
                "a model of rewards needs the probability of each action: give an array of (rows, actions), a mapping, "
                "or a Chooser that returns them"
            )
        if "all" not in self.foretold:
            self.foretold["all"] = foretold_by(self.rewards, self.feedback, self.groups)
        return Rounds(reward, weight, *of_policy(self.foretold["all"], target, self.feedback.action_codes))

    def _judged(
        self, rounds: Rounds, overlap: Overlap, target: Target, estimator: Estimator | Tuned, name: str
    ) -> Judged:
        refused = () if target.logging or not estimator.uses_weights else overlap.refusals(self.limits)
        value = self._empty(name, estimator, overlap, refused)
        if refused:
            return Judged(value, None)
        settled: Estimator | None = None
        if not target.logging:
            settled = estimator.settled(rounds) if isinstance(estimator, Tuned) else estimator
        parts = Parts(rounds.reward) if settled is None else settled.parts(rounds)
        unsure = Unsure(parts, None, self.groups, self._width(rounds, settled))
        ends = self.interval.ends(unsure, self.level)
        lacking = (f"no interval: {ends.lacking}",) if ends.lacking else ()
        if settled is not None and not settled.uses_weights:
            lacking = (*lacking, MODEL_ERROR)
        error = unsure.error
        value = replace(
            value,
            estimator="mean reward" if settled is None else settled.name,
            value=parts.value,
            standard_error=error,
            low=ends.low,
            high=ends.high,
            warnings=(*lacking, *value.warnings),
        )
        return Judged(value, unsure)

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
        return estimator.width(bounds.span, bounds.largest_weight)

    def _empty(
        self, name: str, estimator: Estimator | Tuned, overlap: Overlap, refused: tuple[str, ...]
    ) -> PolicyValue:
        """Return a value without a number."""
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
            refused=refused,
            assumptions=(*estimator.assumptions(), _FUTURE),
            warnings=((*late,) if pending else ()) + overlap.warnings(),
        )

    def _nothing(self, name: str, estimator: Estimator | Tuned) -> Judged:
        blank = Overlap(0, 0.0, 0.0, 0.0, float("nan"), 1.0, 0.0, 0.0, 0.0, None)
        value = self._empty(name, estimator, blank, ("no row has an answer yet",))
        return Judged(replace(value, n_persons=0), None)


def groups_of(feedback: Feedback) -> Groups | None:
    """Return the persons of rows as 0, 1, …, or None where each row is its own."""
    if feedback.columns.person is None and feedback.columns.position is None:
        return None
    codes = feedback.person_codes
    return None if not len(codes) or int(codes.max()) + 1 == len(codes) else codes


def _default(target: Target) -> Estimator:
    return InversePropensity(normalised=True) if target.each is None and not target.logging else DoublyRobust()


def _of_rows(given: Any, answered: np.ndarray | None) -> Any:
    """Return the rows of an array that have an answer; anything else as it is."""
    if answered is None or not isinstance(given, np.ndarray) or len(given) != len(answered):
        return given
    return given[answered]


def _shown(value: float) -> str:
    return "?" if value != value else f"{value:.6g}"

"""Several policies on one log: their differences with intervals, and which to choose. Imports judge.

The same persons judge all policies, so differences are much surer than the values: their intervals are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from revealed.answer.base import Answer, unique
from revealed.answer.offpolicy.estimator import Estimator
from revealed.answer.offpolicy.intervals import Interval, Unsure
from revealed.answer.offpolicy.judge import Judge
from revealed.answer.offpolicy.judged import Judged
from revealed.answer.offpolicy.overlap import Limits
from revealed.answer.offpolicy.rewards import Rewards
from revealed.answer.offpolicy.target import Logged, PolicyLike
from revealed.answer.offpolicy.tuning import Tuned
from revealed.answer.offpolicy.value import PolicyValue
from revealed.answer.table import Cell, Column, Table
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError, nearest

#: What the policy that was running is called.
LOGGED = "logged"

#: What a difference must exceed, as a share of the values, not to be rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """How much more a policy earns than the baseline.

    Parameters
    ----------
    policy : str
    value, standard_error, low, high : float
        With the interval of this difference alone.
    joint_low, joint_high : float
        An interval that holds for all differences together (Bonferroni): what a choice among many leans on.
    """

    policy: str
    value: float
    standard_error: float
    low: float
    high: float
    joint_low: float
    joint_high: float


@dataclass(frozen=True, repr=False)
class PolicyComparison(Answer):
    """Several policies judged on one log.

    Parameters
    ----------
    values : tuple of PolicyValue
        The baseline first.
    differences : tuple of Difference
        From the baseline; policies refused are not among them.
    baseline : str
    best : str
        The policy of the highest value among those not refused.
    selected : str
        The best if it is better than the baseline beyond doubt (its joint interval lies above zero, by more than
        rounding), else the baseline.
    """

    values: tuple[PolicyValue, ...]
    differences: tuple[Difference, ...]
    baseline: str
    best: str
    selected: str
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, policy: str) -> PolicyValue:
        """Return the value of a policy."""
        return {value.policy: value for value in self.values}[policy]

    def difference(self, policy: str) -> Difference:
        """Return how much more a policy earns than the baseline.

        Raises
        ------
        SpecificationError
            If there is no such policy, it was refused, or it is the baseline.
        """
        found = {one.policy: one for one in self.differences}
        if policy not in found:
            raise SpecificationError(f"no difference for {policy!r}; {nearest(policy, found)}")
        return found[policy]

    def table(self) -> Table:
        """Return one row per policy."""
        percent = f"{100 * self.values[0].level:g}%"
        columns = (
            Column("policy", "text"),
            Column("value"),
            Column(f"{percent} low"),
            Column(f"{percent} high"),
            Column("effective sample"),
            Column(f"over {self.baseline}"),
            Column("joint low"),
            Column("joint high"),
            Column("", "text"),
        )
        found = {one.policy: one for one in self.differences}
        rows: list[tuple[Cell, ...]] = []
        for value in self.values:
            one = found.get(value.policy)
            over: tuple[Cell, ...] = (None, None, None) if one is None else (one.value, one.joint_low, one.joint_high)
            state = "refused" if value.refused else "selected" if value.policy == self.selected else ""
            effective = value.overlap.effective_sample_size
            rows.append((value.policy, value.value, value.low, value.high, round(effective, 1), *over, state))
        refused = [f"{value.policy} refused: {reason}" for value in self.values for reason in value.refused]
        notes = unique(refused, self.warnings, self.assumptions)
        return Table("Policies on one log", columns, tuple(rows), notes)

    def summary(self) -> str:
        """Return the answer in a sentence."""
        if self.selected == self.baseline:
            return f"{self.selected}: no policy is better beyond doubt (the best by value is {self.best})"
        one = self.difference(self.selected)
        return (
            f"{self.selected}: better than {self.baseline} by {one.value:.4g} "
            f"(joint interval {one.joint_low:.4g} to {one.joint_high:.4g})"
        )


def compare_policies(
    feedback: Feedback,
    policies: Mapping[str, PolicyLike],
    estimator: Estimator | Tuned | None = None,
    *,
    baseline: str = LOGGED,
    rewards: Rewards | None = None,
    interval: Interval | None = None,
    level: float = 0.95,
    limits: Limits | None = None,
) -> PolicyComparison:
    """Judge several policies on one log, and select.

    Parameters
    ----------
    feedback : Feedback
    policies : mapping
        Name to policy, as :func:`evaluate` takes them.
    estimator : Estimator, optional
        As for :func:`evaluate`; use one for all.
    baseline : str
        The name of the policy to beat; by default the one that was running, which need not be among ``policies``.
    rewards, interval, level, limits
        As for :func:`evaluate`.

    Raises
    ------
    SpecificationError
        If there is no policy, or no such baseline.
    """
    named: dict[str, PolicyLike] = dict(policies)
    if not named:
        raise SpecificationError("give the policies to compare: {'new': policy, …}")
    if baseline == LOGGED and LOGGED not in named:
        named[LOGGED] = Logged()
    if baseline not in named:
        raise SpecificationError(f"no policy {baseline!r} to beat; {nearest(baseline, named)}")
    order = [baseline, *(name for name in named if name != baseline)]
    judge = Judge.of(feedback, rewards=rewards, interval=interval, level=level, limits=limits)
    judged = [judge.judged(named[name], estimator, name, keep=True) for name in order]
    return comparison_of(judged, judge.interval)


def comparison_of(judged: Sequence[Judged], interval: Interval) -> PolicyComparison:
    """Return policies beside each other; the first is the baseline."""
    base, level = judged[0], judged[0].value.level
    n_rivals = max(len(judged) - 1, 1)
    differences = (
        []
        if base.unsure is None
        else [
            _difference(one.value.policy, one.unsure.less(base.unsure), interval, level, n_rivals)
            for one in judged[1:]
            if one.unsure is not None
        ]
    )
    baseline, best = base.value.policy, _best(judged)
    largest = max((abs(one.value.value) for one in judged if not one.value.refused), default=0.0)
    beyond = {one.policy for one in differences if one.joint_low > _ROUNDING * largest}
    notes = [f"{one.value.policy}: {note}" for one in judged for note in one.value.warnings]
    joint = (f"joint intervals hold for {n_rivals} differences together with {100 * level:g}%",)
    return PolicyComparison(
        values=tuple(one.value for one in judged),
        differences=tuple(differences),
        baseline=baseline,
        best=best,
        selected=best if best in beyond else baseline,
        assumptions=unique(*(one.value.assumptions for one in judged), joint if n_rivals > 1 else ()),
        warnings=unique(notes),
    )


def _difference(policy: str, unsure: Unsure, interval: Interval, level: float, n_rivals: int) -> Difference:
    alone, joint = interval.ends(unsure, level), interval.ends(unsure, 1 - (1 - level) / n_rivals)
    return Difference(policy, unsure.value, unsure.error, alone.low, alone.high, joint.low, joint.high)


def _best(judged: Sequence[Judged]) -> str:
    """Return the policy of the highest value, or the baseline if there is none."""
    told = [one.value for one in judged if not one.value.refused]
    return max(told, key=lambda value: value.value).policy if told else judged[0].value.policy

"""The demo's chapter on a policy that learns, and on how little is proven. Imports report to choices when run."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revealed.answer.offpolicy import PolicyComparison
    from revealed.choices.feedback import Feedback
    from revealed.decide.policy import LearningPolicy
    from revealed.report.content import Section

#: What the policy is made of; the demo writes it down as ``policy.toml``.
SPECIFICATION = """\
[features]
formula = "C(alternative) + affinity + C(user_feature_0) + C(user_feature_1) + C(position)"

[learn]
meta_prior = true

[explore]
floor = 0.001

[log]
decision = "case"
action = "alternative"
reward = "chosen"
position = "position"
"""
NAME = "learned"
#: The gain to be seen, relative to what is earned now.
_GAIN = 0.1


@dataclass(frozen=True)
class Lesson:
    """What came of learning from the first half of a log and judging by the second.

    Parameters
    ----------
    policy : LearningPolicy
    comparison : PolicyComparison
        On the second half.
    n_learned, n_judged : int
        Showings in each half.
    clicks_learned, clicks_judged : int
        Clicks in each half.
    needed_live, needed_logged : int
        Showings it takes to see a gain of 10%: where two ways run side by side, and offline from a log like this one.
    """

    policy: LearningPolicy
    comparison: PolicyComparison
    n_learned: int
    n_judged: int
    clicks_learned: int
    clicks_judged: int
    needed_live: int
    needed_logged: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        names = ("n_learned", "n_judged", "clicks_learned", "clicks_judged", "needed_live", "needed_logged")
        return {name: getattr(self, name) for name in names} | {"comparison": self.comparison.to_dict()}


def learn_a_policy() -> Lesson:
    """Learn on the first half in time of the Open Bandit sample, and judge on the second."""
    import numpy as np

    from revealed.answer.offpolicy import compare_policies
    from revealed.choices.datasets import open_bandit
    from revealed.choices.feedback import Feedback
    from revealed.decide.policy import LearningPolicy
    from revealed.decide.specification import Specification

    log = Feedback.from_log(open_bandit(), position="position")
    when = log.column("time").to_numpy()
    order = np.argsort(when, kind="stable")
    half = len(order) // 2
    before, after = log.take(order[:half]), log.take(order[half:])
    policy = LearningPolicy.fresh(Specification.from_dict(tomllib.loads(SPECIFICATION))).learn(before)
    rate, n_actions = float(log.reward.mean()), len(log.actions)
    return Lesson(
        policy=policy,
        comparison=compare_policies(after, {NAME: policy}),
        n_learned=before.n_rows,
        n_judged=after.n_rows,
        clicks_learned=_clicks(before),
        clicks_judged=_clicks(after),
        needed_live=rows_needed_live(rate, _GAIN),
        needed_logged=rows_needed_logged(rate, _GAIN, n_actions),
    )


def rows_needed_live(rate: float, gain: float) -> int:
    """Return how many showings, half of them each way, show a relative gain at 5% two-sided with a power of 80%."""
    # Each half of n rows estimates its rate p with variance p (1 - p) / (n / 2), and the difference to be seen is g p:
    #   n = (z_0.975 + z_0.8)² · 4 p (1 - p) / (g p)².
    return round(_quantiles() ** 2 * 4 * rate * (1 - rate) / (gain * rate) ** 2)


def rows_needed_logged(rate: float, gain: float, n_actions: int) -> int:
    """Return how many rows of a log that shows all actions evenly show that gain of a policy sure of its action."""
    # The weight w is K where the log shows the policy's action, in one row of K, else 0. The difference from what was
    # logged is the mean of (w - 1) r, whose variance is, with r = r² and the same rate p for all actions,
    #   E (w - 1)² r = p ((K - 1)² / K + (K - 1) / K) = p (K - 1);  n = (z_0.975 + z_0.8)² · (K - 1) p / (g p)².
    return round(_quantiles() ** 2 * (n_actions - 1) * rate / (gain * rate) ** 2)


def chapter_of(lesson: Lesson, number: int) -> Section:
    """Return the chapter of the story."""
    from revealed.report.content import Section, Text

    logged, learned = lesson.comparison["logged"], lesson.comparison[NAME]
    columns = ("policy", "value", "95% low", "95% high")
    table = lesson.comparison.table()
    places = [[column.heading for column in table.columns].index(name) for name in columns]
    short = replace(
        table,
        title="",
        notes=(),
        columns=tuple(table.columns[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in table.rows),
    )
    first = (
        "What to show can be learned too. A fashion store showed its items by lot, all 80 alike, and kept what was "
        f"clicked (Open Bandit, 2019). A policy learned from the first {lesson.n_learned:,} showings, with "
        f"{lesson.clicks_learned} clicks. The next {lesson.n_judged:,}, with {lesson.clicks_judged} clicks, tell what "
        "it would have earned, in clicks a showing:"
    )
    one = lesson.comparison.difference(NAME)
    apart = f"{1000 * one.low:+.2f} to {1000 * one.high:+.2f}"
    verdict = (
        f"The policy brings {1000 * one.value:.2f} more clicks in 1,000 showings [{apart}] than the lot."
        if lesson.comparison.selected == NAME
        else f"Is {1000 * learned.value:.2f} in 1,000 showings more than {1000 * logged.value:.2f}? The log cannot "
        f"tell: the difference may be anything from {apart}. So the lot stays, until there is proof."
    )
    need = (
        f"So few clicks prove next to nothing. To see a gain of {_GAIN:.0%}, four times out of five and with 95% "
        f"confidence, it takes about {_rounded(lesson.needed_live)} showings where both run side by side, and about "
        f"{_rounded(lesson.needed_logged)} of a log such as this, where one row in 80 shows what a policy would show."
    )
    return Section(f"{number}. What should a store show?", (Text(first), short, Text(verdict), Text(need)))


def _clicks(log: Feedback) -> int:
    return int(log.reward.sum())


def _quantiles() -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)


def _rounded(count: int) -> str:
    """Return a number to two digits, as it is a rough one."""
    return f"{int(float(f'{count:.1e}')):,}"

"""What was found of versions of policies: typed messages. Imports nothing of ours.

Apart from :mod:`.judging`, so that who shows them need not load what it takes to judge.
"""

from __future__ import annotations

import msgspec


class Judged(msgspec.Struct):
    """A policy as it once was, on decisions made after that.

    Parameters
    ----------
    policy, version : str
    lesson, answers : int
        Its last lesson, and the outcomes it had learned from.
    at : float
        When that was, in seconds since 1970.
    count, read, answered : int
        Decisions of the whole log since then; those on its slot that were read; those of them it was judged on.
    shown, value : float, optional
        What was shown earned a decision, and what the policy would have; none where the log cannot say.
    low, high : float, optional
        Its 95% interval.
    by, by_low, by_high : float, optional
        The difference, with an interval that holds for all of the slot together.
    effective : float
        Decisions of even weight that would say as much.
    refused, warnings : list of str
        Why the log cannot say; where it says little.
    missing : float
        The share of what it would show that had no chance to be shown.
    error : float, optional
        The standard error of the difference.
    slack : pair of float
        How much lower and higher the value may be for what is missing; it is in the intervals.
    """

    policy: str
    version: str
    lesson: int
    answers: int
    at: float
    count: int
    read: int = 0
    answered: int = 0
    shown: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    by: float | None = None
    by_low: float | None = None
    by_high: float | None = None
    effective: float = 0.0
    refused: list[str] = []
    warnings: list[str] = []
    missing: float = 0.0
    error: float | None = None
    slack: tuple[float, float] = (0.0, 0.0)


class Judgement(msgspec.Struct):
    """The versions of a slot's policies.

    Parameters
    ----------
    end : int
        The last ``seq`` of decisions that was there.
    took : float
        Seconds.
    versions : list of Judged
        By policy, the oldest first.
    """

    end: int
    took: float
    versions: list[Judged]

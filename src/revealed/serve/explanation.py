"""What is told of a decision that is looked up: typed messages. Imports nothing of ours.

Clients pass over fields that a newer service adds.
"""

from __future__ import annotations

from typing import Any

import msgspec


class OutcomeTold(msgspec.Struct):
    """What came of something shown, as the log has it.

    Parameters
    ----------
    position : int
        From 1.
    reward : float
    came, received : float
        When it happened and when it was received, in seconds since 1970 (UTC).
    """

    position: int
    reward: float
    came: float
    received: float


class CandidateTold(msgspec.Struct):
    """What might have been shown first.

    Parameters
    ----------
    label : str
    chance : float
        Of being shown first.
    score, deviation : float
        The mean and the standard deviation of what is believed of it, on the scale of the link.
    shown : bool
        Whether it was shown, in whatever place.
    """

    label: str
    chance: float
    score: float
    deviation: float
    shown: bool


class Part(msgspec.Struct):
    """A feature of something shown, and what it adds to the score.

    Parameters
    ----------
    feature : str
    value, effect : float
        Its value, and the mean of its parameter.
    adds : float
        One times the other.
    """

    feature: str
    value: float
    effect: float
    adds: float


class Contribution(msgspec.Struct):
    """What makes the score of something shown.

    Parameters
    ----------
    label : str
    score : float
        The mean of its linear predictor: the sum of what its parts add.
    parts : list of Part
        All of them, those that add or take most first.
    """

    label: str
    score: float
    parts: list[Part]


class Explanation(msgspec.Struct):
    """A decision computed again, by what the policy knows now.

    Parameters
    ----------
    version : str
        Of the policy that did.
    lesson : int
        The last lesson that it knows.
    same : bool
        Whether that is the version which decided; another has learned since, and its numbers are not those of then.
    agrees : bool, optional
        For the same version, whether it shows the same with the same propensities.
    link : str
        On whose scale scores are.
    by_lot : bool
        Whether the person is in the holdout group, for whom lots are drawn.
    n_candidates : int
        How many there were; the likeliest are told.
    candidates : list of CandidateTold
        The likeliest first.
    contributions : list of Contribution
        Of each thing shown that is still among the candidates, from the top.
    """

    version: str
    lesson: int
    same: bool
    agrees: bool | None
    link: str
    by_lot: bool
    n_candidates: int
    candidates: list[CandidateTold]
    contributions: list[Contribution]


class DecisionTold(msgspec.Struct):
    """A decision, looked up.

    Parameters
    ----------
    decision, policy, version : str
    made : float
        In seconds since 1970 (UTC).
    person : str, optional
    context : dict
    shown : list of str
    propensities : list of float
        Of each position, given those above.
    outcomes : list of OutcomeTold
    draw : int, optional
        The number by which its random numbers were taken.
    layout : dict, optional
        The option of each slot, of a policy of layouts.
    explanation : Explanation, optional
        The decision computed again.
    unexplained : str, optional
        Why it cannot be.
    """

    decision: str
    policy: str
    version: str
    made: float
    person: str | None
    context: dict[str, Any]
    shown: list[str]
    propensities: list[float]
    outcomes: list[OutcomeTold]
    draw: int | None = None
    layout: dict[str, str] | None = None
    explanation: Explanation | None = None
    unexplained: str | None = None

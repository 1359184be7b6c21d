"""What a service answers beside decisions and acknowledgements, as typed messages. Imports nothing of ours.

Fields that a newer service adds are passed over.
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


class PolicyTold(msgspec.Struct):
    """A policy of a service.

    Parameters
    ----------
    name, state : str
    changed : float
        When its state was last changed, in seconds since 1970 (UTC).
    specification : dict
    version : str, optional
    lesson : int, optional
        The last lesson that the decider who answered knows.
    """

    name: str
    state: str
    changed: float
    specification: dict[str, Any]
    version: str | None = None
    lesson: int | None = None


class StandingTold(msgspec.Struct):
    """What a decider knows of a policy.

    Parameters
    ----------
    state, version : str
    lesson : int
    since_lesson : float, optional
        Seconds since the last lesson; None before the first.
    """

    state: str
    version: str
    lesson: int
    since_lesson: float | None = None


class Readiness(msgspec.Struct):
    """Whether a service can decide and write.

    Parameters
    ----------
    status : str
        ``ready``, or not.
    reason : str
        Why not.
    policies : dict
    """

    status: str
    reason: str = ""
    policies: dict[str, StandingTold] = msgspec.field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it can."""
        return self.status == "ready"

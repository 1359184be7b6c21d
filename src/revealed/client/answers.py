"""What a service answers beside decisions and acknowledgements, as typed messages. Imports nothing of ours.

Fields that a newer service adds are passed over.
"""

from __future__ import annotations

from typing import Any

import msgspec


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

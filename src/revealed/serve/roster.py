"""Which policies decide, and what each knows by now. Imports decide, store and errors."""

from __future__ import annotations

from dataclasses import dataclass

from revealed.decide.many import Desk
from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError, nearest

LIVE, STOPPED = "live", "stopped"
STATES = (LIVE, STOPPED)


class Standing:
    """A policy in service.

    Parameters
    ----------
    name : str
    state : str
        ``live``, or ``stopped``: then its fall-back is shown.
    policy : LearningPolicy
        As of the last snapshot.
    lesson : int
        The last lesson in it.
    learned : float
        When that was learned, in seconds since 1970.
    """

    def __init__(self, name: str, state: str, policy: LearningPolicy, lesson: int, learned: float) -> None:
        self.name, self.state = name, state
        self.take(policy, lesson, learned)

    def take(self, policy: LearningPolicy, lesson: int, learned: float) -> None:
        """Go on with what was learned since."""
        self.desk, self.lesson, self.learned = Desk(policy), lesson, learned

    @property
    def policy(self) -> LearningPolicy:
        """The policy as it is known here."""
        return self.desk.policy

    @property
    def fallback(self) -> tuple[str, ...]:
        """What is shown when the policy cannot decide; empty if it does not say."""
        return self.policy.specification.business.fallback


@dataclass(eq=False)
class Roster:
    """The policies of a service, by name.

    Parameters
    ----------
    standings : dict
    """

    standings: dict[str, Standing]

    def named(self, name: str | None) -> Standing:
        """Return a policy, by name or as the only one.

        Raises
        ------
        SpecificationError
            If there is none of that name, or several and no name.
        """
        if name is None:
            if len(self.standings) == 1:
                return next(iter(self.standings.values()))
            raise SpecificationError(
                f"say which policy is to decide: {', '.join(sorted(self.standings)) or 'none yet'}"
            )
        if name not in self.standings:
            raise SpecificationError(f"no policy {name!r}; {nearest(name, self.standings)}")
        return self.standings[name]

"""What a policy is: it decides what to show, says with which probability, and learns. Imports its own room only.

Whoever judges policies (``answer``) takes any object that satisfies these protocols, and knows nothing of how
it decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError, nearest


@dataclass(frozen=True)
class Decision:
    """What was shown, and with which probability: what must be logged so that it can be learned from later.

    Parameters
    ----------
    shown : tuple of str
        The labels of what was shown, in order of position.
    propensity : float
        The probability with which the policy showed just this, above 0 and at most 1.
    policy_version : str
        Which policy, learned from what, decided.
    decision : str or int
        The name of the decision, by which its answers find it.

    Raises
    ------
    SpecificationError
        If nothing is shown, or the propensity is no probability above 0.
    """

    shown: tuple[str, ...]
    propensity: float
    policy_version: str
    decision: str | int

    def __post_init__(self) -> None:
        if not self.shown:
            raise SpecificationError(f"decision {self.decision!r} shows nothing; a decision shows at least one thing")
        if not 0 < self.propensity <= 1:  # not a number fails too
            raise SpecificationError(
                f"decision {self.decision!r} has propensity {self.propensity!r}; what was shown had a probability "
                "above 0, at most 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {**asdict(self), "shown": list(self.shown)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Rebuild a decision from :meth:`to_dict`.

        Raises
        ------
        SpecificationError
            If a field lacks, or there is one too many.
        """
        fields = ("shown", "propensity", "policy_version", "decision")
        for name in fields:
            if name not in data:
                raise SpecificationError(f"a decision needs its {name!r}; {nearest(name, map(str, data))}")
        for name in data:
            if name not in fields:
                raise SpecificationError(f"a decision has no {name!r}; {nearest(name, fields)}")
        return cls(tuple(data["shown"]), float(data["propensity"]), str(data["policy_version"]), data["decision"])


@runtime_checkable
class Policy(Protocol):
    """What decides. Pure given a seed: same inputs, same seed, same decision, on any machine."""

    @property
    def version(self) -> str:
        """Which policy this is, learned from what; it changes when the policy learns."""
        ...

    def decide(self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]], *, seed: int) -> Decision:
        """Return what to show to somebody in a context, out of candidates."""
        ...

    def learn(self, outcomes: Feedback) -> Policy:
        """Return the policy that has learned from what was shown and what came of it."""
        ...


@runtime_checkable
class Chooser(Protocol):
    """What says how likely it would have been to show things: all that is needed to judge it on another's log."""

    def probabilities(self, feedback: Feedback) -> np.ndarray:
        """Return probabilities for each row of a log of feedback, given its context and position.

        Returns
        -------
        array of float64, shape (rows,) or (rows, actions)
            With which it would have shown what was shown; or each action, in the order of ``feedback.actions``.
        """
        ...

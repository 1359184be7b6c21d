"""What a policy is: it decides what to show, says with which probability, and learns. Imports its own room only.

Whoever judges policies (``answer``) takes any object that satisfies these protocols, and knows nothing of how
it decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isclose, prod
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
    propensities : tuple of float
        For each position: the probability of showing that there, given what stands above; their product is the
        propensity. Empty where it is not known; of a single thing it is the propensity.
    marginals : tuple of float
        For each position: the probability of showing that there, whatever stands elsewhere. Empty where nobody asked.

    Raises
    ------
    SpecificationError
        If nothing is shown, a probability is none above 0, or probabilities do not agree.
    """

    shown: tuple[str, ...]
    propensity: float
    policy_version: str
    decision: str | int
    propensities: tuple[float, ...] = ()
    marginals: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.shown:
            raise SpecificationError(f"decision {self.decision!r} shows nothing; a decision shows at least one thing")
        if len(self.shown) == 1 and not self.propensities:
            object.__setattr__(self, "propensities", (self.propensity,))
        for name, each in (("propensities", self.propensities), ("marginals", self.marginals)):
            if each and len(each) != len(self.shown):
                raise SpecificationError(
                    f"decision {self.decision!r} shows {len(self.shown)} things and has {len(each)} {name}; "
                    "give one each"
                )
        for chance in (self.propensity, *self.propensities, *self.marginals):
            if not 0 < chance <= 1:  # not a number fails too
                raise SpecificationError(
                    f"decision {self.decision!r} has propensity {chance!r}; what was shown had a probability "
                    "above 0, at most 1"
                )
        if self.propensities and not isclose(prod(self.propensities), self.propensity, rel_tol=1e-6):
            raise SpecificationError(
                f"decision {self.decision!r} has propensity {self.propensity!r}, but those of its positions make "
                f"{prod(self.propensities)!r}; it is their product"
            )

    @classmethod
    def of_one(cls, label: str, propensity: float, policy_version: str, decision: str | int) -> Decision:
        """Return a decision that shows one thing, as services make them by the thousand: a fifth of the time."""
        if not 0 < propensity <= 1:
            return cls((label,), propensity, policy_version, decision)  # which has the words
        one = object.__new__(cls)
        one.__dict__.update(
            shown=(label,),
            propensity=propensity,
            policy_version=policy_version,
            decision=decision,
            propensities=(propensity,),
            marginals=(),
        )
        return one

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each thing shown, as a log keeps them: add the context, the reward when it has come.

        The columns are decision, position (from 1), action, propensity (given what stands above) and, where it is
        known, marginal.

        Raises
        ------
        SpecificationError
            If propensities of positions are not known.
        """
        if not self.propensities:
            raise SpecificationError(f"decision {self.decision!r} has no propensities of its positions to log")
        rows: list[dict[str, Any]] = [
            {"decision": self.decision, "position": place, "action": label, "propensity": chance}
            for place, (label, chance) in enumerate(zip(self.shown, self.propensities, strict=True), start=1)
        ]
        for row, marginal in zip(rows, self.marginals, strict=False):
            row["marginal"] = marginal
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        data = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return data if self.marginals else {name: value for name, value in data.items() if name != "marginals"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        """Rebuild a decision from :meth:`to_dict`; one that was written without propensities of positions has none.

        Raises
        ------
        SpecificationError
            If a field lacks, or there is one too many.
        """
        needed, known = ("shown", "propensity", "policy_version", "decision"), [field.name for field in fields(cls)]
        for name in needed:
            if name not in data:
                raise SpecificationError(f"a decision needs its {name!r}; {nearest(name, map(str, data))}")
        for name in data:
            if name not in known:
                raise SpecificationError(f"a decision has no {name!r}; {nearest(name, known)}")
        each = {name: tuple(map(float, data.get(name, ()))) for name in ("propensities", "marginals")}
        version = str(data["policy_version"])
        return cls(tuple(data["shown"]), float(data["propensity"]), version, data["decision"], **each)


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

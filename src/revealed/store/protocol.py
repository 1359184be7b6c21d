"""What a durable log of decisions and outcomes is, whatever it is kept in. Imports errors only.

The same tests run on each store (``tests/store``). All that is returned was on disk before; what raises
:class:`~revealed.errors.StoreError` was not written, or is answered as written when it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

#: The decision of an outcome whose client calls it by a name that nobody knows.
NOBODY_KNOWS = -1


class DecisionRow(NamedTuple):
    """A decision as it is kept.

    Parameters
    ----------
    number : int
        Its number in this store, leased (:meth:`Store.lease`) and never given twice.
    policy : str
        The name of the policy.
    version : str
        Which version of it decided: what it had learned.
    made : float
        When, in seconds since 1970 (UTC).
    context : str
        What was known, as a JSON object.
    shown : str
        The labels shown, from the top, as a JSON array.
    propensities : str
        The probability of each given those above, as a JSON array.
    person : str, optional
    asked : str, optional
        The client's own id of the decision: the same id is decided once.
    candidates : str, optional
        The candidates that were given, as a JSON array; without them it was the policy's catalogue.
    """

    number: int
    policy: str
    version: str
    made: float
    context: str
    shown: str
    propensities: str
    person: str | None = None
    asked: str | None = None
    candidates: str | None = None


class OutcomeRow(NamedTuple):
    """What came of something shown.

    Parameters
    ----------
    decision : int
        The decision's number, or ``NOBODY_KNOWS``.
    position : int
        Of what was shown there, from 1.
    reward : float
    came : float
        When it happened, in seconds since 1970 (UTC), as the client tells it.
    received : float
        When it was received.
    name : str
        What the client calls a decision that nobody knows; empty for others. It is kept among the strays.
    """

    decision: int
    position: int
    reward: float
    came: float
    received: float
    name: str = ""


class Verdict(StrEnum):
    """What became of an outcome that was sent."""

    NEW = "new"
    #: The same outcome was there already: it counts once.
    KNOWN = "known"
    #: Another outcome is there already for the same position: this one is kept among the strays.
    DIFFERENT = "different"
    #: No such decision is known, or it has no such position: kept among the strays.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A stretch of the log that a policy learns at once.

    Parameters
    ----------
    policy : str
    number : int
        From 1, without gaps.
    decisions_to, outcomes_to : int
        It goes up to these ``seq``, included, and starts after those of the lesson before.
    at : float
        The moment of learning, in seconds since 1970 (UTC): what pending answers are judged by.
    """

    policy: str
    number: int
    decisions_to: int
    outcomes_to: int
    at: float


@dataclass(frozen=True, slots=True)
class Answered:
    """An outcome with the decision that it is of.

    Parameters
    ----------
    seq : int
        The outcome's place in the order of commitment.
    outcome : OutcomeRow
    decision : DecisionRow
    """

    seq: int
    outcome: OutcomeRow
    decision: DecisionRow


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A policy after a lesson, as bytes that its writer knows how to read.

    Parameters
    ----------
    policy : str
    lesson : int
        The last lesson in it; 0 before the first.
    state : bytes
    """

    policy: str
    lesson: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Milestone:
    """A policy as it once was, kept to be judged on what was decided since; its state is kept beside it.

    Parameters
    ----------
    policy : str
    lesson : int
        The last lesson in it; 0 as it was enrolled.
    answers : int
        Outcomes it had learned from.
    decisions_to : int
        It has learned from no decision above this ``seq``.
    at : float
        When that was, in seconds since 1970 (UTC).
    """

    policy: str
    lesson: int
    answers: int
    decisions_to: int
    at: float


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy as the service knows it.

    Parameters
    ----------
    name : str
    specification : str
        As JSON.
    state : str
        ``live``, ``shadow`` or ``stopped``.
    share : float
        The share of persons that a live policy under test decides for; 1 for the one that decides for all others.
    changed : float
        When its state was last changed, in seconds since 1970 (UTC).
    slot : str
        What it decides on. Policies in a slot learn from each other's decisions.
    before : str, optional
        The policy that decided for all before this one did.
    """

    name: str
    specification: str
    state: str
    share: float
    changed: float
    slot: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key; never the key itself.

    Parameters
    ----------
    id : str
        The first letters of the key, by which it is found and spoken of.
    digest : bytes
        Of the whole key.
    scopes : tuple of str
    note : str
        Whose it is.
    made : float
    expires : float, optional
    revoked : float, optional
    """

    id: str
    digest: bytes
    scopes: tuple[str, ...]
    note: str
    made: float
    expires: float | None = None
    revoked: float | None = None


@runtime_checkable
class Store(Protocol):
    """The durable log. Safe to call from one thread at a time; open one for each process."""

    # ---- decisions and outcomes -----------------------------------------------------------------------------------

    def lease(self, count: int) -> range:
        """Return so many numbers for decisions, which nobody else gets, also after a crash."""
        ...

    def write(
        self, decisions: Sequence[DecisionRow], outcomes: Sequence[OutcomeRow]
    ) -> tuple[Sequence[DecisionRow], Sequence[Verdict]]:
        """Write decisions, then outcomes, in one transaction, and return when it is on disk.

        Returns the decisions that stand, the one written first where the same id was asked for again, and a verdict for
        each outcome.
        """
        ...

    def decision(self, number: int) -> DecisionRow | None:
        """Return a decision by its number."""
        ...

    def asked(self, ids: Sequence[str]) -> Mapping[str, DecisionRow]:
        """Return the decisions that were asked for by ids of clients, of those that are known."""
        ...

    def outcomes_of(self, number: int) -> Sequence[OutcomeRow]:
        """Return the outcomes of a decision, by position."""
        ...

    def outcomes_among(self, numbers: Sequence[int]) -> Sequence[OutcomeRow]:
        """Return the outcomes of some decisions, in no order."""
        ...

    def decisions_before(self, seq: int, limit: int) -> Sequence[tuple[int, DecisionRow]]:
        """Return the last decisions below a ``seq``, of all policies, each with its own, the last first."""
        ...

    def decisions_of(self, person: str, limit: int) -> Sequence[DecisionRow]:
        """Return a person's decisions of the highest numbers, the highest first."""
        ...

    def decisions_after(self, seq: int, to: int, policy: str) -> Iterator[tuple[int, DecisionRow]]:
        """Yield decisions of a policy with their ``seq``, above one and up to another, in order."""
        ...

    def answers_after(self, seq: int, to: int, policy: str) -> Iterator[Answered]:
        """Yield outcomes of a policy's decisions, above one ``seq`` and up to another, in order."""
        ...

    def answers_in_slot(self, seq: int, to: int, slot: str) -> Iterator[Answered]:
        """Yield outcomes of decisions of all policies in a slot, above one ``seq`` and up to another, in order."""
        ...

    def decisions_in_slot(self, seq: int, to: int, slot: str) -> Iterator[tuple[int, DecisionRow]]:
        """Yield decisions of all policies in a slot with their ``seq``, above one and up to another, in order."""
        ...

    def ends(self) -> tuple[int, int]:
        """Return the last ``seq`` of decisions and of outcomes, 0 where there is none."""
        ...

    def strays(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the latest outcomes that count for nothing, each with why, and its ``name`` where it has one."""
        ...

    # ---- learning -------------------------------------------------------------------------------------------------

    def lessons_after(self, policy: str, number: int) -> Sequence[Lesson]:
        """Return the lessons of a policy after one, in order."""
        ...

    def add_lesson(self, lesson: Lesson) -> None:
        """Write a lesson; StoreError if it does not follow the last one."""
        ...

    def checkpoint(self, policy: str) -> Checkpoint | None:
        """Return the last checkpoint of a policy."""
        ...

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; older ones of the policy but the last three are dropped."""
        ...

    def milestones(self, policy: str) -> Sequence[Milestone]:
        """Return the milestones of a policy, the oldest first."""
        ...

    def milestone_state(self, milestone: Milestone) -> bytes | None:
        """Return the policy at a milestone, as for a checkpoint; None where that is kept no more."""
        ...

    def add_milestone(self, milestone: Milestone, state: bytes) -> None:
        """Write a milestone; of the policy's older ones the first and the last six are kept."""
        ...

    def judgement(self, slot: str) -> tuple[float, str] | None:
        """Return when the policies of a slot were last judged, and what was found, as JSON."""
        ...

    def put_judgement(self, slot: str, at: float, found: str) -> None:
        """Write what was found of the policies of a slot; what was found before is dropped."""
        ...

    def hold(self, role: str, who: str, seconds: float) -> bool:
        """Take or keep a role, such as that of the learner, for some seconds; False if another holds it."""
        ...

    def release(self, role: str, who: str) -> None:
        """Give a role back."""
        ...

    def is_held(self, role: str) -> bool:
        """Return whether somebody holds a role."""
        ...

    def secret(self) -> bytes:
        """Return 32 random bytes, the same for all who open this store: what names of decisions are made with."""
        ...

    # ---- administration -------------------------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block that is one transaction, with nobody else writing; nothing of it is there if it fails."""
        ...

    def policies(self) -> Sequence[PolicyRow]:
        """Return all policies, by name."""
        ...

    def put_policy(self, row: PolicyRow) -> None:
        """Write a policy, or what has changed of it."""
        ...

    def keys(self) -> Sequence[KeyRow]:
        """Return all keys, revoked ones too."""
        ...

    def put_key(self, row: KeyRow) -> None:
        """Write a key, or what has changed of it."""
        ...

    def note(self, who: str, act: str, about: str) -> None:
        """Write an act of administration into the audit log."""
        ...

    def notes(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the latest acts of administration."""
        ...

    def forget(self, person: str) -> int:
        """Take a person's decisions and outcomes out; return how many decisions there were."""
        ...

    def drop_before(self, moment: float) -> int:
        """Take out the decisions made before a moment, and their outcomes; return how many."""
        ...

    def settle(self) -> None:
        """Do, beside those who write, what would otherwise keep one of them waiting now and then."""
        ...

    def close(self) -> None:
        """Close it; a second time does nothing."""
        ...

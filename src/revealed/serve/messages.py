"""What is sent and answered: typed messages, as JSON or msgpack. Imports nothing of ours.

Decoding checks types and refuses fields it does not know, so that a typing error is told instead of ignored. A context
is flat: values are text, numbers, booleans or null.
"""

from __future__ import annotations

from typing import Any

import msgspec

Scalar = str | int | float | bool | None
Context = dict[str, Scalar]
Candidate = str | dict[str, Scalar]


class DecideRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A decision that is wanted.

    Parameters
    ----------
    context : dict
        What is known of whom it is for, when and where.
    policy : str, optional
        Which policy is to decide; not needed where there is one.
    person : str, optional
        Whom it is for: the same person is always decided for by the same version under test, and can be forgotten.
    candidates : list, optional
        What may be shown: labels, or records with the label and attributes. By default all that the policy knows.
    count : int, optional
        How many to show; by default what the policy says.
    id : str, optional
        A name of your own, for one slot: asked again by the same one, the same decision is answered.
    """

    context: Context = msgspec.field(default_factory=dict)
    policy: str | None = None
    person: str | None = None
    candidates: list[Candidate] | None = None
    count: int | None = None
    id: str | None = None


class Decided(msgspec.Struct, omit_defaults=True):
    """A decision.

    Parameters
    ----------
    decision : str, optional
        Its name, to be sent with its outcome; a fall-back, which nothing is learned from, has none.
    shown : list of str
    propensity : float, optional
        With which probability just this is shown.
    propensities : list of float
        Of each position, given those above.
    policy, version : str
    fallback : str, optional
        Why it is not the policy's own decision.
    layout : dict, optional
        The option of each slot, from a policy of layouts.
    """

    decision: str | None
    shown: list[str]
    propensity: float | None
    propensities: list[float]
    policy: str
    version: str
    fallback: str | None = None
    layout: dict[str, str] | None = None


class Refused(msgspec.Struct, omit_defaults=True):
    """What is wrong with a request."""

    error: str


class OutcomeRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What came of a decision.

    Parameters
    ----------
    decision : str
        Its name, or the ``id`` that it was asked with.
    reward : float
    position : int
        Of what it is about, from 1.
    time : float, optional
        When it happened, in seconds since 1970 (UTC); by default now.
    """

    decision: str
    reward: float
    position: int = 1
    time: float | None = None


class DecideBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Several decisions."""

    requests: list[DecideRequest]


class DecidedBatch(msgspec.Struct):
    """A decision, or what is wrong, for each request."""

    decisions: list[Decided | Refused]


class OutcomeBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Several outcomes."""

    outcomes: list[OutcomeRequest]


class Taken(msgspec.Struct):
    """What became of outcomes, all of which are on disk.

    Parameters
    ----------
    new : int
        Those that count.
    known : int
        Those that had been sent before.
    different, unknown : int
        Those kept among the strays: another outcome is there for the same place, or nobody knows the decision.
    """

    new: int
    known: int
    different: int
    unknown: int


class NewPolicy(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A policy to take in.

    Parameters
    ----------
    name : str
    specification : dict
        What it is made of: the sections of a policy's TOML file.
    slot : str, optional
        What it decides on, where another policy does already; then it begins in the shadow.
    seed : int
        Of its exploration.
    """

    name: str
    specification: dict[str, Any]
    slot: str | None = None
    seed: int = 0


class PolicyChange(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be different about a policy.

    Parameters
    ----------
    state : str, optional
        ``live``, ``shadow`` or ``stopped``.
    share : float, optional
        The share of persons for whom it decides while another decides for the others.
    """

    state: str | None = None
    share: float | None = None

"""A decision as the store keeps it, and back. Imports choices, its own room and store's protocol."""

from __future__ import annotations

import msgspec

from revealed.choices.policy import Decision
from revealed.serve.messages import DecideRequest
from revealed.store.protocol import DecisionRow

_encoded = msgspec.json.Encoder().encode


def row_of(policy: str, made: float, request: DecideRequest, number: int, decision: Decision) -> DecisionRow:
    """Return a decision as it is kept.

    Parameters
    ----------
    policy : str
        The name of the one that decided.
    made : float
        When, in seconds since 1970 (UTC).
    request : DecideRequest
    number : int
        The decision's, leased from the store.
    decision : Decision
    """
    return DecisionRow(
        number,
        policy,
        decision.policy_version,
        made,
        _encoded(request.context).decode(),
        _encoded(decision.shown).decode(),
        _encoded(decision.propensities).decode(),
        request.person,
        request.id,
        None if request.candidates is None else _encoded(request.candidates).decode(),
    )


def shown_in(row: DecisionRow) -> tuple[list[str], list[float]]:
    """Return what a decision showed, from the top, and the probability of each given those above."""
    return msgspec.json.decode(row.shown), msgspec.json.decode(row.propensities)

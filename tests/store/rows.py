"""Rows for tests of stores."""

from __future__ import annotations

from typing import Any

from revealed.store.protocol import DecisionRow, OutcomeRow

CONTEXT = '{"device": "phone", "hour": 17, "member": true, "visits": 12, "tenure": 3.25}'


def decision(number: int, **other: Any) -> DecisionRow:
    """Return a decision that showed two things."""
    about: dict[str, Any] = {
        "policy": "offers",
        "version": "v1",
        "made": 1e9 + number,
        "context": CONTEXT,
        "shown": '["coupon", "gift"]',
        "propensities": "[0.25, 0.5]",
    }
    return DecisionRow(number=number, **about | other)


def outcome(number: int, position: int = 1, reward: float = 1.0, **other: Any) -> OutcomeRow:
    """Return what came of it a minute later."""
    about: dict[str, Any] = {"came": 1e9 + number + 60, "received": 1e9 + number + 61}
    return OutcomeRow(decision=number, position=position, reward=reward, **about | other)


def spoiled(row: Any, **wrong: Any) -> Any:
    """Return a row with values of the wrong type, which only tests' own checks keep from being made."""
    return row._replace(**wrong)

"""A value with what others are compared with it by, from a sum to an interval. Imports intervals and value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from revealed.answer.offpolicy.intervals import FEW_PERSONS, Interval, Unsure
from revealed.answer.offpolicy.value import PolicyValue


@dataclass(frozen=True, eq=False)
class Judged:
    """A value with what others are compared with it by.

    Parameters
    ----------
    value : PolicyValue
    unsure : Unsure or None
        None where refused.
    """

    value: PolicyValue
    unsure: Unsure | None

    @classmethod
    def of(cls, value: PolicyValue, unsure: Unsure, interval: Interval, notes: Sequence[str] = ()) -> Judged:
        """Return a value, as yet without a number, with its number and interval."""
        ends = interval.ends(unsure, value.level)
        lacking = (f"no interval: {ends.lacking}",) if ends.lacking else ()
        if 1 < unsure.totals.n_persons < FEW_PERSONS:
            few = f"only {unsure.totals.n_persons} persons tell how persons differ: intervals may be too short"
            notes = (few, *notes)
        numbered = replace(
            value,
            value=unsure.value,
            standard_error=unsure.error,
            low=ends.low,
            high=ends.high,
            warnings=(*lacking, *notes, *value.warnings),
        )
        return cls(numbered, unsure)

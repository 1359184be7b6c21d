"""What slates refuse at the door, in one place so that it reads the same. Imports errors only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import DataError, Problem, SpecificationError

#: Beyond this, sums and products of scores would no longer be finite.
LARGEST = 1e100
SHOWN = 5


def refuse(source: str, bad: Bool[np.ndarray, " n"], what: str, remedy: str) -> None:
    """Raise a DataError that names the first offending entries, counted from 0; return if there are none."""
    if bad.any():
        first = np.flatnonzero(bad)[:SHOWN].tolist()
        entries = f"entr{'ies' if len(first) > 1 else 'y'} {', '.join(map(str, first))}"
        count = int(bad.sum())
        where = entries if count <= len(first) else f"{entries}; {count:,} in all"
        raise DataError(source, [Problem(what, remedy, where, count=count)])


def require_nonnegative(values: Float[np.ndarray, " n"], source: str) -> None:
    """Refuse numbers that are negative, missing or beyond all bounds."""
    if len(values) and not (values.min() >= 0 and values.max() <= LARGEST):  # not a number fails too
        bad = ~((values >= 0) & (values <= LARGEST))
        refuse(source, bad, f"numbers that are negative, missing or above {LARGEST:g}", "give finite ones, 0 or more")


def require_finite(values: Float[np.ndarray, " n"], source: str) -> None:
    """Refuse numbers that are missing or beyond all bounds."""
    if len(values) and not (values.min() >= -LARGEST and values.max() <= LARGEST):
        bad = ~(np.abs(values) <= LARGEST)
        refuse(source, bad, f"numbers that are missing or beyond ±{LARGEST:g}", "give finite ones")


def require_positive(values: Float[np.ndarray, " n"], source: str) -> None:
    """Refuse numbers that are not above 0, missing or beyond all bounds."""
    refuse(source, ~((values > 0) & (values <= LARGEST)), "numbers that are not above 0", "give finite ones above 0")


def require_length(values: np.ndarray, length: int, source: str, of: str) -> None:
    """Refuse an array that does not have one entry for each of something."""
    if values.shape != (length,):
        raise SpecificationError(
            f"{source} has shape {values.shape}; one number for each of the {length:,} {of} is due"
        )

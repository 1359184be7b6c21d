"""What a policy wants to show, checked. Imports its own folder and the errors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from revealed.choices.store_world.visits import Visits
from revealed.errors import DataError, Problem, SpecificationError

#: Items by number: one for each visit, or for each of its positions.
Items = Int[np.ndarray, "count *positions"]


def require_shown(shown: Items, visits: Visits, n_items: int, n_positions: int) -> Int[np.ndarray, "count width"]:
    """Return what is shown with a column for each position.

    Raises
    ------
    SpecificationError
        If the shape does not fit the visits and the positions.
    DataError
        For items that there are not, that are not in the store then, or that are shown twice, with their rows.
    """
    slates = shown[:, None] if shown.ndim == 1 else shown
    if slates.ndim != 2 or len(slates) != len(visits) or not 1 <= slates.shape[1] <= n_positions:
        raise SpecificationError(
            f"shown has shape {shown.shape}; {len(visits)} visits with up to {n_positions} positions need "
            f"({len(visits)},) or ({len(visits)}, positions)"
        )
    _refuse((slates < 0) | (slates >= n_items), "items that there are not", f"items have numbers 0 to {n_items - 1}")
    if visits.eligible is not None:
        there = np.take_along_axis(visits.eligible, slates, axis=1)
        _refuse(~there, "items that are not in the store then", "show what visits.eligible allows")
    if slates.shape[1] > 1:
        in_order = np.sort(slates, axis=1)
        twice = in_order[:, 1:] == in_order[:, :-1]
        _refuse(twice, "items shown twice to one visitor", "show different items at the positions")
    return slates


def _refuse(odd: np.ndarray, what: str, remedy: str) -> None:
    bad = odd.any(axis=1)
    if bad.any():
        rows = tuple((np.flatnonzero(bad)[:5] + 1).tolist())
        raise DataError("what is shown", [Problem(what, remedy, rows=rows, count=int(bad.sum()))])


__all__ = ["Items", "require_shown"]

r"""Limits on propensities, and lots drawn by them. Imports errors only.

Limits move probabilities to the nearest ones (in squares) that obey them,

.. math:: \min_q \sum_a (q_a - p_a)^2 \quad\text{with}\quad \text{floor} \le q_a \le \text{cap},\ \sum_a q_a = 1,

which is :math:`q_a = \min(\max(p_a + c, \text{floor}), \text{cap})` for the number :math:`c` that makes them sum to one
(the Kuhn-Tucker conditions). Scaling in place of shifting would leave a cap's excess nowhere to go if the others had no
probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.errors import SpecificationError

OfActions = Float[np.ndarray, "n actions"]

#: The share of decisions left to chance from which on that is worth a warning.
_MUCH = 0.5


@dataclass(frozen=True)
class Limits:
    """A floor and a cap on the propensity of any eligible action.

    A limit may not be possible: a floor of .3 for four, or of .01 for 120; a cap of .4 for two. It then is
    ``1 / eligible``, the nearest that is, and all is shown by lot.

    Parameters
    ----------
    floor : float
        At least 0: how likely anything eligible is shown, at least.
    cap : float
        At most 1: how likely anything is shown, at most.
    """

    floor: float = 0.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= self.cap <= 1 or self.cap == 0:
            raise SpecificationError(
                f"the floor and the cap must be 0 <= floor <= cap <= 1 with a cap above 0, not {self.floor!r} and "
                f"{self.cap!r}"
            )

    @property
    def bind(self) -> bool:
        """Whether they ever change anything."""
        return self.floor > 0 or self.cap < 1

    def warnings(self, n_eligible: int) -> tuple[str, ...]:
        """Return what a floor leaves to chance among so many, where that is half of all decisions or more."""
        share = min(self.floor * n_eligible, 1.0)
        if share < _MUCH or n_eligible < 2:
            return ()
        told = f"a floor of {self.floor:g} for each of {n_eligible:,} actions leaves {share:.0%} of decisions to chance"
        return (f"{told}, whatever was learned; a floor of {0.1 / n_eligible:.1g} would leave a tenth",)

    def applied(self, probabilities: OfActions, eligible: Bool[np.ndarray, "n actions"]) -> OfActions:
        """Return the nearest probabilities that obey the limits; 0 where not eligible."""
        even = 1 / eligible.sum(axis=1, keepdims=True)
        low, high = np.minimum(self.floor, even), np.maximum(self.cap, even)
        # The sum of min(max(p + c, low), high) rises with c, in straight lines between these:
        bends = np.sort(
            np.concatenate([np.where(eligible, bound - probabilities, 0.0) for bound in (low, high)], axis=1), axis=1
        )
        moved = np.clip(probabilities[:, None, :] + bends[:, :, None], low[:, :, None], high[:, :, None])
        sums = np.where(eligible[:, None, :], moved, 0.0).sum(axis=2)
        n, row = bends.shape[1], np.arange(len(bends))
        right = np.clip((sums < 1).sum(axis=1), 1, n - 1)
        left = right - 1
        rise = sums[row, right] - sums[row, left]
        part = np.where(rise > 0, (1 - sums[row, left]) / np.where(rise > 0, rise, 1.0), 0.0)
        shift = bends[row, left] + np.clip(part, 0.0, 1.0) * (bends[row, right] - bends[row, left])
        return np.where(eligible, np.clip(probabilities + shift[:, None], low, high), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"floor": self.floor, "cap": self.cap}


def drawn(probabilities: OfActions, uniforms: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return an action of each row, drawn by its probabilities with a number between 0 and 1."""
    reached = probabilities.cumsum(axis=1)
    number = (reached <= (uniforms * reached[:, -1])[:, None]).sum(axis=1)
    return np.asarray(number, dtype=np.int64)

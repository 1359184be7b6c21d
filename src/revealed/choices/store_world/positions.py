"""Who looks where: the position-based model of examination. Imports the errors only.

What stands at a position is seen with the position's probability, whatever it is and whatever else is shown, and is
answered only if seen. Craswell, Zoeter, Taylor and Ramsey (2008), "An experimental comparison of click
position-bias models", WSDM.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError


def examination(positions: Sequence[float] | None) -> Float[np.ndarray, " positions"]:
    """Return the probability with which each position is seen; one position that always is, where none are given.

    Raises
    ------
    SpecificationError
        If there are none, or one is no probability above 0.
    """
    seen = np.array([1.0] if positions is None else list(positions), dtype=np.float64)
    if not len(seen) or not ((seen > 0) & (seen <= 1)).all():
        raise SpecificationError(f"positions are seen with probabilities above 0, at most 1, not {seen.tolist()}")
    return seen


def best_value(
    means: Float[np.ndarray, "count n_items"], seen: Float[np.ndarray, " positions"]
) -> Float[np.ndarray, " count"]:
    """Return the expected reward of the best slate: the best items where most are seen (rearrangement inequality).

    Parameters
    ----------
    means : array, shape (count, n_items)
        The expected reward of each item where it is seen; minus infinity where it may not be shown.
    seen : array, shape (positions,)
        The probability with which each position is seen.
    """
    if len(seen) == 1:
        return np.asarray(means.max(axis=1) * seen[0])
    width = len(seen)
    top = np.partition(means, means.shape[1] - width, axis=1)[:, -width:]
    top.sort(axis=1)
    return np.asarray(top @ np.sort(seen))


__all__ = ["best_value", "examination"]

"""Products of matrices whose bits do not depend on the size of the batch. Imports nothing of ours.

A linear algebra library adds in another order for one row than for a thousand. What it adds up here decides whether
somebody buys, so the order is fixed instead; the inner dimension is small.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def weighted(weights: Float[np.ndarray, "count m"], rows: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "count n"]:
    """Return ``weights @ rows``, added in the order of the rows."""
    total = np.zeros((len(weights), rows.shape[1]))
    for column, row in zip(weights.T, rows, strict=True):
        total += column[:, None] * row
    return total


def weighted_some(
    weights: Float[np.ndarray, "count m"], picked: Float[np.ndarray, "count k m"]
) -> Float[np.ndarray, "count k"]:
    """Return ``(weights[:, None] * picked).sum(2)``, added in the order of :func:`weighted`."""
    total = np.zeros(picked.shape[:2])
    for column in range(weights.shape[1]):
        total += weights[:, column, None] * picked[:, :, column]
    return total


__all__ = ["weighted", "weighted_some"]

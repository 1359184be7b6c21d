"""States and scores on the scale that function classes work on. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class Scaling:
    """Centre and spread of each column of the states; a column that never varies keeps its scale.

    Parameters
    ----------
    centre, spread : ndarray of float64, shape (d,)
    """

    centre: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]

    @classmethod
    def of(cls, states: Float[np.ndarray, "n d"]) -> Scaling:
        """Return the scaling that makes some states standard."""
        spread = states.std(axis=0)
        return cls(states.mean(axis=0), np.where(spread > 1e-12, spread, 1.0))

    def __call__(self, states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return states on the scale."""
        return np.asarray((states - self.centre) / self.spread)


def log_shares(
    score: Float[np.ndarray, "*rows A"], available: Bool[np.ndarray, "... A"] | None = None
) -> Float[np.ndarray, "*rows A"]:
    """Return the logarithms of softmax probabilities: minus infinity for what is not available."""
    if available is not None:
        score = np.where(available, score, -np.inf)
    shifted = score - score.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))

"""Candidates of a few features out of millions: beliefs about their scores alone. Imports its own room and models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.decide.explore.protocol import Belief
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.features.rows import Rows


@dataclass(frozen=True, eq=False)
class ScoreBelief:
    """A Gaussian belief about the scores of the candidates of one decision, which stand in for parameters.

    Parameters
    ----------
    mean : ndarray of float64, shape (actions,)
    root : ndarray of float64, shape (actions, actions)
        The symmetric square root of their covariance: there is one only, and it takes equal scores too.
    """

    mean: Float[np.ndarray, " actions"]
    root: Float[np.ndarray, "actions actions"]

    @property
    def n_params(self) -> int:
        """The number of candidates."""
        return len(self.mean)

    def predictor(
        self, rows: Float[np.ndarray, "rows actions"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """Return mean and variance of each row's linear predictor."""
        spread = rows @ self.root
        return rows @ self.mean, np.einsum("rk,rk->r", spread, spread)

    def draw(self, normals: Float[np.ndarray, "draws actions"]) -> Float[np.ndarray, "draws actions"]:
        """Return scores drawn from the belief."""
        return np.asarray(self.mean + normals @ self.root)


def condensed(posterior: Belief, rows: Rows) -> tuple[Belief, Float[np.ndarray, "actions K"]]:
    """Return a belief and dense features that make the same scores as a posterior and sparse rows.

    With a diagonal posterior it is about the scores themselves, so its cost depends on the rows' entries, not on the
    number of parameters.
    """
    if not isinstance(posterior, DiagonalPosterior):
        return posterior, rows.dense()
    active, place = np.unique(rows.index, return_inverse=True)
    local = np.zeros((len(rows), len(active)))
    local[rows.row, place] = rows.value
    precision = posterior.precision[active]
    scaled = local / np.sqrt(precision)
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return ScoreBelief(local @ (posterior.shift[active] / precision), root), np.eye(len(rows))

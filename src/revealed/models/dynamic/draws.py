"""Estimates from persons drawn again, as a fit keeps them, and shares of types. Imports its own room.

A fit keeps them, and not the panel that would tell them again, so that whoever asks it what if needs one file and waits
for no estimation. Transitions of all draws are kept on the moves that any of them knows, so they take little room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse

from revealed.models.dynamic.process import DecisionProcess, Transitions
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution


@dataclass(frozen=True, eq=False)
class TypeShares:
    """How many are of which type that nobody observes.

    Parameters
    ----------
    shares : ndarray of float64, shape (types,)
    covariances : mapping
        ``{kind: (K + types - 1, K + types - 1)}``: of parameters and all shares but the last, together.
    log_likelihood : float
        Of the choices, types unknown.
    """

    shares: Float[np.ndarray, " types"]
    covariances: Mapping[str, np.ndarray]
    log_likelihood: float

    def errors(self, kind: str) -> Float[np.ndarray, " types"]:
        """Return the standard errors of the shares."""
        free = len(self.shares) - 1
        sums = np.vstack([np.eye(free), -np.ones(free)])  # the last share is what is left
        spread = sums @ self.covariances[kind][-free:, -free:] @ sums.T
        return np.asarray(np.sqrt(np.maximum(np.diag(spread), 0.0)))


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the persons of one draw tell.

    Parameters
    ----------
    params : ndarray of float64, shape (K,)
    process : DecisionProcess
        With their transitions.
    linear : LinearReward
    solution : Solution
    shares : ndarray of float64, shape (types,), optional
    """

    params: Float[np.ndarray, " K"]
    process: DecisionProcess
    linear: LinearReward
    solution: Solution
    shares: Float[np.ndarray, " types"] | None = None


@dataclass(frozen=True, eq=False)
class Draws:
    """Estimates from persons drawn again.

    Parameters
    ----------
    params : ndarray of float64, shape (D, K)
    transitions : tuple of tuple of csr_array, optional
        Of each draw, by action; None where they are known by rule, and the same in all.
    failed : int
        Draws without an estimate, which are left out.
    shares : ndarray of float64, shape (D, types), optional
    solutions : tuple of Solution, optional
        Of each draw, where they are at hand; a file has none.
    """

    params: Float[np.ndarray, "D K"]
    transitions: tuple[tuple[Transitions, ...], ...] | None
    failed: int = 0
    shares: Float[np.ndarray, "D types"] | None = None
    solutions: tuple[Solution, ...] | None = None

    def __post_init__(self) -> None:
        for given in (self.transitions, self.shares, self.solutions):
            if given is not None and len(given) != len(self.params):
                raise ValueError(f"{len(given)} parts of {len(self.params)} draws")

    def __len__(self) -> int:
        return len(self.params)

    @property
    def told(self) -> str:
        """What standard errors and intervals by these draws are worth, in words."""
        known = "with transitions estimated again in each"
        if self.transitions is None:
            known = "of parameters alone, as transitions are known by rule"
        return f"standard errors and intervals are by {len(self)} draws of persons (bootstrap), {known}"


def packed(transitions: tuple[tuple[Transitions, ...], ...]) -> tuple[list[Transitions], list[np.ndarray]]:
    """Return for each action where any draw has a move, as ones, and the probabilities there, shape (D, moves)."""
    wheres, numbers = [], []
    for matrices in zip(*transitions, strict=True):
        where = sparse.csr_array(sum((matrix != 0 for matrix in matrices[1:]), matrices[0] != 0).astype(np.float64))
        where.data[:] = 1.0
        where.sort_indices()
        row = np.repeat(np.arange(where.shape[0]), np.diff(where.indptr))
        wheres.append(where)
        numbers.append(np.stack([np.asarray(matrix[row, where.indices]).ravel() for matrix in matrices]))
    return wheres, numbers


def unpacked(wheres: list[Transitions], numbers: list[np.ndarray]) -> tuple[tuple[Transitions, ...], ...]:
    """Return the transitions of each draw that :func:`packed` packed."""
    found = []
    for each in zip(*numbers, strict=True):
        matrices = []
        for where, values in zip(wheres, each, strict=True):
            matrix = sparse.csr_array((values, where.indices.copy(), where.indptr.copy()), shape=where.shape)
            matrix.eliminate_zeros()
            matrices.append(matrix)
        found.append(tuple(matrices))
    return tuple(found)

r"""Moments of instruments with errors, linear parameters concentrated out, weights and covariances. Imports the errors.

With :math:`y(\theta)` the mean utilities (and, below them, marginal costs), regressors :math:`X` and instruments
:math:`Z` (block-diagonal, fixed effects partialled out) and weights :math:`W = L L^\top`, the objective is
:math:`q(\theta) = \min_\beta \|L^\top Z^\top (y(\theta) - X\beta)\|^2 / N`. The minimum over :math:`\beta` is a
projection, so :math:`q` is the square of a residual, and its Jacobian that of :math:`y` under the same projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

#: Below this share of the largest, an eigenvalue of the scaled moments is rounding error.
_RANK = 1e-14


@dataclass(frozen=True, eq=False)
class FixedEffects:
    """Groups of rows with a constant of their own.

    Parameters
    ----------
    codes : tuple of ndarray of int64, each shape (N,)
        The groups of each column that is absorbed.
    """

    codes: tuple[Int[np.ndarray, " N"], ...] = ()

    @property
    def constants(self) -> int:
        """How many constants of their own groups have; several ways of grouping share one each."""
        return sum(len(np.unique(codes)) for codes in self.codes) - max(len(self.codes) - 1, 0)

    def removed(self, matrix: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
        """Return columns without what the groups explain; several ways by alternating projections."""
        result = matrix.copy()
        for _ in range(10_000):
            before = result.copy() if len(self.codes) > 1 else result
            for codes in self.codes:
                result = result - _means(codes, result)[codes]
            if len(self.codes) < 2 or np.abs(result - before).max() <= 1e-14 * max(np.abs(matrix).max(), 1e-300):
                break
        return result


def _means(codes: Int[np.ndarray, " N"], matrix: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "groups K"]:
    counts = np.bincount(codes)
    sums = np.column_stack([np.bincount(codes, column) for column in matrix.T]) if matrix.shape[1] else None
    return np.zeros((len(counts), 0)) if sums is None else np.asarray(sums / counts[:, None])


@dataclass(frozen=True, eq=False)
class Side:
    """Demand or supply: its regressors and instruments, without what fixed effects explain.

    Parameters
    ----------
    names : tuple of str
        The linear parameters.
    regressors : ndarray of float64, shape (N, K)
    instruments : ndarray of float64, shape (N, M)
    effects : FixedEffects
    """

    names: tuple[str, ...]
    regressors: Float[np.ndarray, "N K"]
    instruments: Float[np.ndarray, "N M"]
    effects: FixedEffects


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of one side or both.

    Parameters
    ----------
    sides : tuple of Side
    clusters : ndarray of int64, shape (N,), or None
        Groups of products whose errors may be correlated.
    """

    sides: tuple[Side, ...]
    clusters: Int[np.ndarray, " N"] | None = None

    @property
    def n(self) -> int:
        """How many products there are."""
        return len(self.sides[0].instruments)

    def of(self, columns: Sequence[Float[np.ndarray, "N P"]]) -> Float[np.ndarray, "M P"]:
        """Return instruments times columns, side by side."""
        return np.vstack([side.instruments.T @ part for side, part in zip(self.sides, columns, strict=True)])

    def of_regressors(self) -> Float[np.ndarray, "M K"]:
        """Return instruments times regressors, block-diagonal."""
        blocks = [side.instruments.T @ side.regressors for side in self.sides]
        whole = np.zeros((sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks)))
        row = column = 0
        for block in blocks:
            whole[row : row + len(block), column : column + block.shape[1]] = block
            row, column = row + len(block), column + block.shape[1]
        return whole

    def first_weights(self) -> Float[np.ndarray, "M rank"]:
        """Return the weights of two-stage least squares, as a root: the inverse of Z'Z / N side by side."""
        covariance = np.zeros((sum(s.instruments.shape[1] for s in self.sides),) * 2)
        row = 0
        for side in self.sides:
            width = side.instruments.shape[1]
            covariance[row : row + width, row : row + width] = side.instruments.T @ side.instruments / self.n
            row += width
        return root_of_inverse(covariance)

    def covariance(
        self, errors: Sequence[Float[np.ndarray, " N"]], *, centred: bool = True
    ) -> Float[np.ndarray, "M M"]:
        """Return the covariance of the moments, robust or clustered."""
        each = np.hstack([side.instruments * u[:, None] for side, u in zip(self.sides, errors, strict=True)])
        if centred:
            each = each - each.mean(axis=0)
        if self.clusters is not None:
            each = np.column_stack([np.bincount(self.clusters, column) for column in each.T])
        return np.asarray(each.T @ each / self.n)


@dataclass(frozen=True, eq=False)
class Concentrated:
    """The projection that minimises over linear parameters.

    Parameters
    ----------
    moments : Moments
    root : ndarray of float64, shape (M, rank)
        L of the weights.
    """

    moments: Moments
    root: Float[np.ndarray, "M rank"]

    def __post_init__(self) -> None:
        weighted = self.root.T @ self.moments.of_regressors()
        object.__setattr__(self, "_weighted", weighted)
        object.__setattr__(self, "_basis", np.linalg.qr(weighted)[0])

    _weighted: Float[np.ndarray, "rank K"] = None  # type: ignore[assignment]
    _basis: Float[np.ndarray, "rank K"] = None  # type: ignore[assignment]

    def residual(self, columns: Sequence[Float[np.ndarray, "N P"]]) -> Float[np.ndarray, "rank P"]:
        """Return what remains of weighted moments; of y its square is the objective, of dy the residual's Jacobian."""
        weighted = self.root.T @ self.moments.of(columns) / np.sqrt(self.moments.n)
        return np.asarray(weighted - self._basis @ (self._basis.T @ weighted))

    def linear(self, columns: Sequence[Float[np.ndarray, "N 1"]]) -> Float[np.ndarray, " K"]:
        """Return the linear parameters at the minimum."""
        return np.asarray(np.linalg.lstsq(self._weighted, self.root.T @ self.moments.of(columns)[:, 0], rcond=None)[0])

    def errors(
        self, columns: Sequence[Float[np.ndarray, "N 1"]], linear: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, " N"], ...]:
        """Return the structural errors of each side."""
        found, first = [], 0
        for side, column in zip(self.moments.sides, columns, strict=True):
            last = first + side.regressors.shape[1]
            found.append(side.effects.removed(column)[:, 0] - side.regressors @ linear[first:last])
            first = last
        return tuple(found)

    def parameter_covariance(
        self, columns: Sequence[Float[np.ndarray, "N P"]], covariance: Float[np.ndarray, "M M"]
    ) -> Float[np.ndarray, "Q Q"]:
        """Return the sandwich covariance of all parameters: those that y depends on, then the linear ones."""
        slopes = np.hstack([self.moments.of(columns), -self.moments.of_regressors()]) / self.moments.n
        weighted = self.root.T @ slopes
        scale = 1 / np.maximum(np.linalg.norm(weighted, axis=0), 1e-300)
        left, values, right = np.linalg.svd(weighted * scale, full_matrices=False)
        told = values > _RANK * values[0]
        inverse = scale[:, None] * (right[told].T / values[told]) @ left[:, told].T
        spread = inverse @ self.root.T @ covariance @ self.root @ inverse.T / self.moments.n
        untold = (np.abs(right[~told]) > 1e-6).any(axis=0)
        spread[untold], spread[:, untold] = np.nan, np.nan
        return np.asarray((spread + spread.T) / 2)


def independent(matrix: Float[np.ndarray, "N M"]) -> int:
    """Return how many columns are linearly independent."""
    if not matrix.shape[1]:
        return 0
    size = np.linalg.norm(matrix, axis=0)
    return int(np.linalg.matrix_rank(matrix / np.where(size > 0, size, 1.0), tol=1e-9))


def root_of_inverse(matrix: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M rank"]:
    """Return L with L L' the inverse of a covariance, of as many columns as it has independent directions."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
    kept = values > _RANK * values[-1]
    return np.asarray(scale[:, None] * vectors[:, kept] / np.sqrt(values[kept]))

r"""Gradient boosting of small trees, in numpy. Imports nothing of ours.

Trees are oblivious (Kohavi and Li 1995; Prokhorenkova et al. 2018): all nodes of a level ask the same question, so a
leaf is a number of bits, and each leaf holds a number for every output. Columns are cut at quantiles once, and the best
question of a level comes from sums by leaf, column and bin (Friedman 2001; Chen and Guestrin 2016 for the gain).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Bins:
    """Where columns are cut.

    Parameters
    ----------
    edges : tuple of ndarray of float64, shape (cuts,), one for each column
    """

    edges: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, x: Float[np.ndarray, "n d"], most: int) -> Bins:
        """Return cuts between some numbers: at quantiles, or between all levels of a column that has few."""
        edges = []
        for column in x.T:
            levels = np.unique(column)
            if len(levels) > most:
                edges.append(np.unique(np.quantile(column, np.linspace(0, 1, most + 1)[1:-1])))
            else:
                edges.append((levels[1:] + levels[:-1]) / 2)
        return cls(tuple(edges))

    @property
    def most(self) -> int:
        """The number of bins of the column that has most."""
        return 1 + max(map(len, self.edges))

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Int[np.ndarray, "m d"]:
        """Return the bin of each number."""
        return np.column_stack(
            [np.searchsorted(edges, column) for edges, column in zip(self.edges, x.T, strict=True)]
        ).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Tree:
    """Questions, one a level, and what each leaf says.

    Parameters
    ----------
    columns, cuts : tuple of int
        Is the bin of the column above the cut?
    leaves : ndarray of float64, shape (leaves, outputs)
    """

    columns: tuple[int, ...]
    cuts: tuple[int, ...]
    leaves: Float[np.ndarray, "leaves outputs"]

    def place(self, bins: Int[np.ndarray, "m d"]) -> Int[np.ndarray, " m"]:
        """Return the leaf of each row."""
        found = np.zeros(len(bins), dtype=np.int32)
        for level, (column, cut) in enumerate(zip(self.columns, self.cuts, strict=True)):
            found |= (bins[:, column] > cut).astype(np.int32) << level
        return found

    def __call__(self, bins: Int[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return what the leaves say."""
        return np.asarray(self.leaves[self.place(bins)])


def grown(
    bins: Int[np.ndarray, "n d"],
    n_bins: int,
    slope: Float[np.ndarray, "n outputs"],
    weight: Float[np.ndarray, "n outputs"],
    *,
    depth: int,
    ridge: float,
    rate: float,
) -> Tree:
    r"""Return the tree that lowers the second-order loss most, level by level.

    Parameters
    ----------
    bins : ndarray of int, shape (n, d)
    n_bins : int
    slope, weight : ndarray of float64, shape (n, outputs)
        The negative slope of the loss in what a row is told, and its curvature.
    depth : int
    ridge : float
        :math:`\lambda` in a leaf's :math:`\sum\text{slope} / (\sum\text{weight} + \lambda)`.
    rate : float
        What a tree's leaves are shrunk by.
    """
    half = slope.shape[1]
    both = np.concatenate([slope, weight], axis=1)
    leaf, columns, cuts = np.zeros(len(bins), dtype=np.int32), [], []
    sums = _sums(bins, n_bins, leaf, both, 1)
    for level in range(depth):
        if level:  # of two new leaves one is what the other leaves of both
            above = np.flatnonzero(leaf >> (level - 1))
            one = _sums(bins[above], n_bins, leaf[above] - (1 << (level - 1)), both[above], 1 << (level - 1))
            sums = np.concatenate([sums - one, one])
        below = sums.cumsum(axis=2)
        gain = np.zeros(below.shape[1:3])
        for side in (below, below[:, :, -1:] - below):
            gain += (side[..., :half] ** 2 / (np.maximum(side[..., half:], 0.0) + ridge)).sum(axis=(0, 3))
        column, cut = divmod(int(np.argmax(gain)), n_bins)
        leaf |= (bins[:, column] > cut).astype(np.int32) << level
        columns.append(column)
        cuts.append(cut)
    total = _sums(np.zeros((len(bins), 1), dtype=np.int32), 1, leaf, both, 1 << depth)[:, 0, 0]
    return Tree(tuple(columns), tuple(cuts), rate * total[:, :half] / (total[:, half:] + ridge))


def _sums(
    bins: Int[np.ndarray, "n d"], n_bins: int, leaf: Int[np.ndarray, " n"], both: Float[np.ndarray, "n k"], leaves: int
) -> Float[np.ndarray, "leaves d bins k"]:
    """Return sums by leaf, column and bin."""
    n, d = bins.shape
    key = leaf[:, None] * (d * n_bins) + (np.arange(d) * n_bins).astype(np.int32) + bins
    shape = (n, leaves * d * n_bins)
    told = sparse.csr_array((np.ones(n * d), key.ravel(), np.arange(0, n * d + 1, d)), shape=shape)
    return np.asarray((told.T @ both).reshape(leaves, d, n_bins, -1))

"""A batch of sparse rows: what a linear predictor is computed from. Imports the errors only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from revealed.errors import DataError, Problem, SpecificationError


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix of which only the entries that are there are kept, row after row (compressed sparse rows).

    Parameters
    ----------
    starts : ndarray of int64, shape (n + 1,)
        Where each row's entries start in ``index`` and ``value``, and where the last row's end.
    index : ndarray of int64, shape (nnz,)
        The parameter of each entry, 0 to ``n_params - 1``, no parameter twice in a row.
    value : ndarray of float64, shape (nnz,)
        Its value, finite.
    n_params : int
        The number of columns :math:`K`.
    unseen : Unseen, optional
        What rows read from records hold beside that: entries for which there is no parameter yet.
    """

    starts: Int64[np.ndarray, " starts"]
    index: Int64[np.ndarray, " nnz"]
    value: Float64[np.ndarray, " nnz"]
    n_params: int
    unseen: Unseen | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return len(self.index)

    @cached_property
    def row(self) -> Int64[np.ndarray, " nnz"]:
        """The row of each entry, so that sums by row are ``np.bincount(rows.row, weights, len(rows))``."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @classmethod
    def of_dense(cls, matrix: Float64[np.ndarray, "n K"]) -> Rows:
        """Return the entries of a matrix that are not zero.

        Raises
        ------
        DataError
            For NaN or infinite entries, with their rows.
        """
        bad = ~np.isfinite(matrix).all(axis=1)
        if bad.any():
            at = np.flatnonzero(bad)
            column = int(np.flatnonzero(~np.isfinite(matrix[at[0]]))[0])
            problem = Problem(
                "entries that are no finite numbers",
                "put finite numbers there, or leave those rows out",
                where=f"column {column} first",
                rows=tuple(int(i) + 1 for i in at[:5]),
                count=len(at),
            )
            raise DataError("matrix", [problem])
        row, index = np.nonzero(matrix)
        starts = np.zeros(len(matrix) + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(matrix)), out=starts[1:])
        return cls(starts, index.astype(np.int64), matrix[row, index], matrix.shape[1])

    def dense(self) -> Float64[np.ndarray, "n K"]:
        """Return the matrix with its zeros; entries without a parameter are not in it."""
        out = np.zeros((len(self), self.n_params))
        out[self.row, self.index] = self.value
        return out

    def times(self, params: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " n"]:
        r"""Return the linear predictor :math:`X\theta`, of the entries that have a parameter."""
        if len(params) != self.n_params:
            raise SpecificationError(f"{len(params):,} parameters for rows of {self.n_params:,}")
        sums = np.bincount(self.row, self.value * params[self.index], len(self))
        return sums.astype(np.float64, copy=False)  # of no entries at all they would be whole numbers

    def take(self, rows: Int64[np.ndarray, " m"]) -> Rows:
        """Return some rows, in the order asked for; a row may be taken more than once."""
        n_entries = np.diff(self.starts)[rows]
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(n_entries, out=starts[1:])
        entry = np.repeat(self.starts[:-1][rows] - starts[:-1], n_entries) + np.arange(starts[-1])
        unseen = None if self.unseen is None else self.unseen.take(rows)
        return Rows(starts, self.index[entry], self.value[entry], self.n_params, unseen)

    def slice(self, start: int, stop: int) -> Rows:
        """Return rows ``start`` to ``stop`` (not included); their entries are views, not copies."""
        if not 0 <= start <= stop <= len(self):
            raise SpecificationError(f"no rows {start} to {stop} in a batch of {len(self)}")
        first, last = int(self.starts[start]), int(self.starts[stop])
        unseen = None if self.unseen is None else self.unseen.slice(start, stop)
        starts = self.starts[start : stop + 1] - first
        return Rows(starts, self.index[first:last], self.value[first:last], self.n_params, unseen)

    def widened(self, n_params: int) -> Rows:
        """Return the same rows as rows of a space that has grown to ``n_params`` parameters since."""
        if n_params < self.n_params:
            raise SpecificationError(f"rows of {self.n_params:,} parameters do not fit {n_params:,}")
        return Rows(self.starts, self.index, self.value, n_params, self.unseen)


@dataclass(frozen=True, eq=False)
class Unseen:
    r"""What rows hold for which there is no parameter yet: values never seen before, alone or in a pair.

    The linear predictor of the rows is :math:`X\theta + X_+\theta_+`, and all that is known of the further parameters
    :math:`\theta_+` is the prior of their groups: so a model adds :math:`X_+ m_g` to the mean and
    :math:`X_+^2 \sigma_g^2` to the variance, and rows that share a value never seen before share its draw.

    Parameters
    ----------
    entries : Rows
        :math:`X_+`, with as many rows as the batch and a column for each further parameter.
    group : ndarray of int64, shape (n_new,)
        The group of each further parameter.
    names : tuple of str
        Its name.
    """

    entries: Rows
    group: Int64[np.ndarray, " n_new"]
    names: tuple[str, ...]

    def take(self, rows: Int64[np.ndarray, " m"]) -> Unseen:
        """Return what some rows hold; see :meth:`Rows.take`."""
        return Unseen(self.entries.take(rows), self.group, self.names)

    def slice(self, start: int, stop: int) -> Unseen:
        """Return what a range of rows holds; see :meth:`Rows.slice`."""
        return Unseen(self.entries.slice(start, stop), self.group, self.names)

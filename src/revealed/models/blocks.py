"""Blocks of cases and sums within their choice sets, equal in size or not. Imports choices only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.log import BLOCK_CASES, ChoiceLog, Partition
from revealed.models.workspace import workspace

#: A block is cut where the arrays it is worked out in would hold more doubles than this (16 MiB): numpy's calls are
#: then long enough (15 µs and more) for threads to run beside each other, and the arrays stay in the third-level cache.
BLOCK_DOUBLES = 1 << 21


class Block(NamedTuple):
    """Cases ``case_start`` to ``case_stop`` of a log, which are its rows ``row_start`` to ``row_stop``."""

    case_start: int
    case_stop: int
    row_start: int
    row_stop: int


def blocks_of(partition: Partition, width: int) -> Iterator[Block]:
    """Yield the blocks of a partition: BLOCK_CASES cases, or equal parts of so many where that would be too large.

    Boundaries depend on the place in the whole log alone, so sums over blocks are the same for any partition.

    Parameters
    ----------
    partition : Partition
    width : int
        The doubles per row that working on a block takes.
    """
    offsets, most_rows = partition.log.offsets, max(BLOCK_DOUBLES // max(width, 1), 1)
    for case, end in _runs(partition):
        rows = int(offsets[end] - offsets[case])
        rows = -(-rows // -(-rows // most_rows)) if rows else 0
        while case < end:
            row = int(offsets[case])
            stop = int(np.searchsorted(offsets, row + rows, side="right")) - 1
            stop = min(max(stop, case + 1), end)
            yield Block(case, stop, row, int(offsets[stop]))
            case = stop


def _runs(partition: Partition) -> Iterator[tuple[int, int]]:
    """Yield the runs of cases between which blocks are cut: all of them, or the evenly spaced ones of a sample."""
    if partition.run:
        for start in range(partition.start, partition.stop, partition.stride):
            yield start, min(start + partition.run, partition.stop)
        return
    start = partition.start
    while start < partition.stop:
        end = min(start + BLOCK_CASES - (partition.log.first_case + start) % BLOCK_CASES, partition.stop)
        yield start, end
        start = end


@dataclass(frozen=True, eq=False)
class ChoiceSets:
    """The choice sets of a block: sums and maxima over the rows of each case.

    Parameters
    ----------
    size : int or None
        Rows per case where all cases have the same number, else None.
    starts : ndarray of int64, shape (cases,)
        The first row of each case, counted from the block's first.
    sizes : ndarray of int64, shape (cases,)
        Rows of each case.
    available : ndarray of bool, shape (rows,), optional
        Where the alternative could be chosen; None when all could.
    """

    size: int | None
    starts: Int[np.ndarray, " cases"]
    sizes: Int[np.ndarray, " cases"]
    available: Bool[np.ndarray, " rows"] | None

    @classmethod
    def of(cls, log: ChoiceLog, block: Block) -> ChoiceSets:
        """Return the choice sets of a block of a log."""
        cases = slice(block.case_start, block.case_stop)
        available = None if log.available is None else log.available[block.row_start : block.row_stop]
        return cls(log.uniform_size, log.offsets[cases] - block.row_start, log.sizes[cases], available)

    def times(self, copies: int) -> ChoiceSets:
        """Return the choice sets of the block repeated, one copy after the other."""
        if copies == 1:
            return self
        rows = int(self.sizes.sum())
        starts = (self.starts + rows * np.arange(copies)[:, None]).reshape(-1)
        available = None if self.available is None else np.tile(self.available, copies)
        return ChoiceSets(self.size, starts, np.tile(self.sizes, copies), available)

    def sum(self, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " cases"]:
        """Return the sum over each case's rows."""
        if self.size is not None:
            # A product with ones beats a reduction over a short axis several times.
            return values.reshape(-1, self.size) @ np.ones(self.size)
        return np.add.reduceat(values, self.starts)

    def sum_each(self, matrix: Float[np.ndarray, "K rows"]) -> Float[np.ndarray, "K cases"]:
        """Return the sum over each case's rows, for each row of a matrix; in the workspace."""
        sums = workspace().array("sums by case", len(matrix), len(self.sizes))
        if self.size is not None:
            np.matmul(matrix.reshape(-1, self.size), np.ones(self.size), out=sums.reshape(-1))
        else:
            np.add.reduceat(matrix, self.starts, axis=1, out=sums)
        return sums

    def max(self, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " cases"]:
        """Return the maximum over each case's rows."""
        return np.maximum.reduceat(values, self.starts)

    def spread(self, per_case: Float[np.ndarray, " cases"]) -> Float[np.ndarray, " rows"]:
        """Return each case's value on each of its rows."""
        return np.repeat(per_case, self.sizes if self.size is None else self.size)

    def softmax(
        self, utility: Float[np.ndarray, " rows"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " cases"]]:
        """Return choice probabilities (in the workspace) and logsums; no utility is too large, and none is clipped."""
        masked = utility if self.available is None else np.where(self.available, utility, -np.inf)
        probability = workspace().array("probability", len(utility))
        if self.size is not None:
            # One row per alternative: reductions then run along the cases, several times faster than over short axes.
            weight = workspace().array("weight", self.size, len(self.sizes))
            np.copyto(weight, masked.reshape(-1, self.size).T)
            top = weight.max(axis=0)
            weight -= top
            np.exp(weight, out=weight)
            total = weight.sum(axis=0)
            weight /= total
            np.copyto(probability.reshape(-1, self.size), weight.T)
        else:
            top = self.max(masked)
            np.subtract(masked, self.spread(top), out=probability)
            np.exp(probability, out=probability)
            total = self.sum(probability)
            probability /= self.spread(total)
        return probability, top + np.log(total)


def gram(a: Float[np.ndarray, "K rows"], b: Float[np.ndarray, "L rows"]) -> Float[np.ndarray, "K L"]:
    """Return ``a @ b.T`` for few rows that are long.

    As one batched product, for two reasons measured on numpy 2.4 with OpenBLAS 0.3: OpenBLAS has a path for small
    products (up to a million multiplications) twice as fast as its general one at such shapes, and numpy lets go of
    the interpreter only where the product has 500 entries or more, counting the batch, so that threads run beside it.
    """
    (k, rows), others = a.shape, len(b)
    if not k * others:
        return np.zeros((k, others))
    pieces = max(-(-k * others * rows // _SMALL_PRODUCT), -(-512 // (k * others)))
    length = rows // pieces
    if length < 64:
        return np.asarray(a @ b.T)
    body = length * pieces
    left = a[:, :body].reshape(k, pieces, length).swapaxes(0, 1)
    right = b[:, :body].reshape(others, pieces, length).transpose(1, 2, 0)
    total: Float[np.ndarray, "K L"] = (left @ right).sum(axis=0)
    if body < rows:
        total += a[:, body:] @ b[:, body:].T
    return total


_SMALL_PRODUCT = 900_000

"""The nests of a block of cases: leaves in branches in cases, and sums up and down. Imports choices.

A *leaf* is an alternative in one of its nests in one choice situation; the leaves of a nest in one choice situation
are a *branch*. Leaves that no nest parameter concerns make up one branch too: as the scale there is one, it
changes nothing.
Where all cases of a block have the same alternatives in the same order, sums over branches are products with a matrix
of zeros and ones, four times as fast as sums over runs of unequal length.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from revealed.choices.log import ChoiceLog
from revealed.models.blocks import Block, ChoiceSets
from revealed.models.nested.memberships import Memberships
from revealed.models.workspace import workspace


@dataclass(frozen=True, eq=False)
class Branches:
    """The branches of a block as runs of its leaves: sums, maxima, and back.

    Parameters
    ----------
    starts, sizes : ndarray of int64, shape (branches,)
        The first leaf of each branch, and how many there are.
    pattern : ndarray of float64, shape (leaves of a case, branches of a case), optional
        One where the leaf is in the branch, where all cases are alike.
    """

    starts: Int[np.ndarray, " branches"]
    sizes: Int[np.ndarray, " branches"]
    pattern: Float[np.ndarray, "leaves_of_a_case branches_of_a_case"] | None

    def sum(self, values: Float[np.ndarray, " leaves"]) -> Float[np.ndarray, " branches"]:
        """Return the sum over each branch's leaves."""
        if self.pattern is not None:
            return np.asarray(values.reshape(-1, len(self.pattern)) @ self.pattern).reshape(-1)
        return np.add.reduceat(values, self.starts)

    def sum_each(self, matrix: Float[np.ndarray, "K leaves"]) -> Float[np.ndarray, "K branches"]:
        """Return the sum over each branch's leaves, for each row of a matrix; in the workspace."""
        sums = workspace().array("sums by branch", len(matrix), len(self.sizes))
        if self.pattern is not None:
            width, height = self.pattern.shape
            np.matmul(matrix.reshape(-1, width), self.pattern, out=sums.reshape(-1, height))
        else:
            np.add.reduceat(matrix, self.starts, axis=1, out=sums)
        return sums

    def max(self, values: Float[np.ndarray, " leaves"]) -> Float[np.ndarray, " branches"]:
        """Return the maximum over each branch's leaves."""
        return np.maximum.reduceat(values, self.starts)

    def spread(self, per_branch: Num[np.ndarray, " branches"]) -> Num[np.ndarray, " leaves"]:
        """Return each branch's value on each of its leaves."""
        return np.repeat(per_branch, self.sizes)


@dataclass(frozen=True, eq=False)
class NestBlock:
    """The nests of a block of cases.

    Parameters
    ----------
    rows : ndarray of int64, shape (leaves,), optional
        The block's row that each leaf is; None where they are the rows in their order.
    member : ndarray of int64, shape (leaves,)
        Which membership each leaf is.
    nest : ndarray of int64, shape (branches,)
        The nest of each branch; the number of nests for the branch without a parameter.
    within : Branches
        The branches as runs of leaves.
    among : ChoiceSets
        The cases as runs of branches.
    """

    rows: Int[np.ndarray, " leaves"] | None
    member: Int[np.ndarray, " leaves"]
    nest: Int[np.ndarray, " branches"]
    within: Branches
    among: ChoiceSets

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return len(self.member)

    @property
    def n_cases(self) -> int:
        """The number of cases."""
        return len(self.among.sizes)

    def leaves(self, rows: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " leaves"]:
        """Return the value of each leaf from those of the block's rows."""
        return rows if self.rows is None else rows[self.rows]

    @property
    def leaf_rows(self) -> Int[np.ndarray, " leaves"]:
        """The block's row that each leaf is."""
        return np.arange(self.n_leaves) if self.rows is None else self.rows

    def rows_of(self, leaves: Float[np.ndarray, " leaves"], n_rows: int) -> Float[np.ndarray, " rows"]:
        """Return the sum of each row's leaves, zero where it has none."""
        return leaves if self.rows is None else np.bincount(self.rows, leaves, n_rows)

    def branch_cases(self) -> Int[np.ndarray, " branches"]:
        """Return the case of each branch."""
        return np.repeat(np.arange(self.n_cases), self.among.sizes)


class Nests:
    """Finds the nests of blocks; those of blocks whose cases differ are kept for the next pass.

    What a block looks like depends on its own rows alone, so that sums over it have the same bits whatever log or
    batch it is read from.
    """

    def __init__(self, memberships: Memberships) -> None:
        self.memberships = memberships
        self._kept: WeakKeyDictionary[ChoiceLog, dict[Block, NestBlock]] = WeakKeyDictionary()
        self._members: WeakKeyDictionary[ChoiceLog, Int[np.ndarray, "labels_and_one 2"]] = WeakKeyDictionary()

    def of(self, log: ChoiceLog, block: Block) -> NestBlock:
        """Return the nests of a block of a log."""
        kept = self._kept.setdefault(log, {})
        if block in kept:
            return kept[block]
        rows = slice(block.row_start, block.row_stop)
        sizes = log.sizes[block.case_start : block.case_stop]
        codes = log.alternative_codes[rows]
        if log not in self._members:
            self._members[log] = self.memberships.of_labels(log.facts.levels.labels)
        members = self._members[log]
        available = None if log.available is None else log.available[rows]
        size = int(sizes[0])
        alike = (available is None or available.all()) and (sizes == size).all()
        if alike and (codes.reshape(-1, size) == codes[:size]).all():
            leaf_rows, member = self._leaves(members[codes[:size]], np.zeros(size, np.int64), None)
            return self._alike(leaf_rows, member, size, len(sizes))
        cases = np.repeat(np.arange(len(sizes)), sizes)
        leaf_rows, member = self._leaves(members[codes], cases, available)
        kept[block] = found = self._unlike(leaf_rows, member, cases[leaf_rows], len(codes))
        return found

    def _leaves(
        self,
        members: Int[np.ndarray, "rows 2"],
        cases: Int[np.ndarray, " rows"],
        available: Bool[np.ndarray, " rows"] | None,
    ) -> tuple[Int[np.ndarray, " leaves"], Int[np.ndarray, " leaves"]]:
        """Return row and membership of each leaf that is available, those of a case nest by nest."""
        rows = np.arange(len(members)) if available is None else np.flatnonzero(available)
        first, times = members[rows].T
        place = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
        rows, member = np.repeat(rows, times), np.repeat(first, times) + place
        key = cases[rows] * (len(self.memberships.nests) + 1) + self.memberships.nest[member]
        order = np.argsort(key, kind="stable")
        return rows[order], member[order]

    def _alike(
        self, rows: Int[np.ndarray, " leaves"], member: Int[np.ndarray, " leaves"], size: int, n_cases: int
    ) -> NestBlock:
        """Return the block of cases that all are like one."""
        nest = self.memberships.nest[member]
        starts = np.flatnonzero(np.concatenate([[True], nest[1:] != nest[:-1]]))
        sizes = np.diff(starts, append=len(nest))
        pattern = (np.repeat(np.arange(len(starts)), sizes)[:, None] == np.arange(len(starts))).astype(np.float64)
        cases = np.arange(n_cases)[:, None]
        same = len(rows) == size and bool((rows == np.arange(size)).all())
        return NestBlock(
            None if same else (cases * size + rows).reshape(-1),
            np.tile(member, n_cases),
            np.tile(nest[starts], n_cases),
            Branches((cases * len(nest) + starts).reshape(-1), np.tile(sizes, n_cases), pattern),
            ChoiceSets(len(starts), np.arange(n_cases) * len(starts), np.full(n_cases, len(starts)), None),
        )

    def _unlike(
        self,
        rows: Int[np.ndarray, " leaves"],
        member: Int[np.ndarray, " leaves"],
        cases: Int[np.ndarray, " leaves"],
        n_rows: int,
    ) -> NestBlock:
        """Return the block of cases that differ."""
        nest = self.memberships.nest[member]
        new = (nest[1:] != nest[:-1]) | (cases[1:] != cases[:-1])
        starts = np.flatnonzero(np.concatenate([[True], new]))
        of_case = cases[starts]
        first = np.flatnonzero(np.concatenate([[True], of_case[1:] != of_case[:-1]]))
        same = len(rows) == n_rows and bool((rows == np.arange(n_rows)).all())
        return NestBlock(
            None if same else rows,
            member,
            nest[starts],
            Branches(starts, np.diff(starts, append=len(nest)), None),
            ChoiceSets(None, first, np.diff(first, append=len(starts)), None),
        )

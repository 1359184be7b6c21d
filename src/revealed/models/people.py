"""The people of a log with all their choices, in blocks padded to one shape. Imports evidence and choices.

A person belongs to the part of a log that holds the person's first choice situation, with all their choices wherever
they are; so the parts of a log share out its people, and sums over parts are sums over people. Without persons, every
choice situation is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.log import ChoiceLog, Partition
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.blocks import blocks_of
from revealed.models.design import Design

#: A block holds persons for which utilities at all draws are about so many doubles (512 KiB), so that they stay in the
#: second-level cache; at least one person.
BLOCK_UTILITIES = 1 << 16


@dataclass(frozen=True, eq=False)
class Panel:
    """The people of a log.

    Parameters
    ----------
    order : ndarray of int64, shape (cases,)
        The cases, those of a person together, persons by their first case.
    starts : ndarray of int64, shape (persons + 1,)
        Where each person's cases begin in ``order``.
    attributes : ndarray of float64, shape (rows + 1, columns)
        The design, zero where not available, and a row of zeros.
    of_case : ndarray of int64, shape (cases,)
        The person of each case.
    """

    order: Int[np.ndarray, " cases"]
    starts: Int[np.ndarray, " persons_and_one"]
    attributes: Float[np.ndarray, "rows_and_one columns"]
    of_case: Int[np.ndarray, " cases"]

    @classmethod
    def of(cls, log: ChoiceLog, design: Design) -> Panel:
        """Return the people of a log.

        Raises
        ------
        DataError
            If cells in use are missing or infinite.
        """
        _, first, person = np.unique(log.person_codes, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        of_case = rank[person]
        order = np.argsort(of_case, kind="stable")
        sizes = np.bincount(of_case, minlength=len(first))
        attributes = np.zeros((log.n_rows + 1, len(design.columns)))
        attributes[:-1] = design.matrix(log).T
        if log.available is not None:
            attributes[:-1][~log.available] = 0.0  # those cells may be missing
        if not np.isfinite(attributes).all():
            design.require_clean(log)
        return cls(order, np.concatenate([[0], np.cumsum(sizes)]), attributes, of_case)

    @property
    def n_persons(self) -> int:
        """The number of people."""
        return len(self.starts) - 1

    @property
    def first_cases(self) -> Int[np.ndarray, " persons"]:
        """The first case of each person, in rising order."""
        return np.asarray(self.order[self.starts[:-1]])

    def blocks(
        self, partition: Partition, draws: int, utilities: int = BLOCK_UTILITIES, least: int = 1
    ) -> Iterator[Int[np.ndarray, " persons"]]:
        """Yield the persons of a partition block by block, those alike in size together.

        Blocks depend on the place in the whole log alone, so sums over them are the same for any partition.

        Parameters
        ----------
        partition : Partition
        draws : int
            Of each person.
        utilities : int
            About as many are in a block.
        least : int
            Rows that a person counts for at least.
        """
        log, first = partition.log, self.first_cases
        for run in blocks_of(partition, 1):
            start, stop = np.searchsorted(first, [run.case_start, run.case_stop])
            persons = np.arange(start, stop)
            if not len(persons):
                continue
            cases = np.diff(self.starts)[persons]
            widest = np.maximum.reduceat(log.sizes[self.order], self.starts[:-1])[persons]
            persons = persons[np.lexsort((widest, cases))]
            cells = np.maximum(np.diff(self.starts)[persons] * int(widest.max()), least) * draws
            while len(persons):
                # All of a block are padded to its largest, which is its last.
                most = np.arange(1, len(persons) + 1) * cells
                count = max(int(np.searchsorted(most, utilities, side="right")), 1)
                yield np.sort(persons[:count])
                persons, cells = persons[count:], cells[count:]


@dataclass(frozen=True, eq=False)
class PeopleBlock:
    """Some persons with their choices, padded: each has as many cases, and each case as many rows, as the largest.

    Parameters
    ----------
    persons : ndarray of int64, shape (persons,)
    n_cases : int
        Cases that are no padding.
    x : ndarray of float64, shape (persons, cases, rows, columns)
        Attributes less the mean of what was chosen in the case.
    closed : ndarray of bool, shape (persons, cases, rows), optional
        Where there is no alternative that could be chosen; None when all could. One of a padding case counts as open.
    size : ndarray of float64, shape (persons, cases)
        How often each case counts in the person's likelihood; zero for padding.
    weight : ndarray of float64, shape (persons,)
        How often each person counts: the mean weight of the person's choices that have one above zero.
    """

    persons: Int[np.ndarray, " persons"]
    n_cases: int
    x: Float[np.ndarray, "persons cases rows columns"]
    closed: Bool[np.ndarray, "persons cases rows"] | None
    size: Float[np.ndarray, "persons cases"]
    weight: Float[np.ndarray, " persons"]

    @classmethod
    def of(cls, log: ChoiceLog, panel: Panel, persons: Int[np.ndarray, " persons"]) -> PeopleBlock:
        """Return persons of a log with their choices."""
        counts = panel.starts[persons + 1] - panel.starts[persons]
        place = np.arange(int(counts.max()))
        real = place < counts[:, None]
        cases = panel.order[np.where(real, panel.starts[persons][:, None] + place, 0)]
        sizes = np.where(real, log.sizes[cases], 0)
        inside = np.arange(int(sizes.max())) < sizes[:, :, None]
        rows = np.where(inside, log.offsets[cases][:, :, None] + np.arange(inside.shape[2]), log.n_rows)
        x = panel.attributes[rows]
        closed = ~inside
        if log.available is not None:
            closed |= ~np.append(log.available, False)[rows]
        size = np.where(real, log.choices_per_case[cases], 0.0)
        if log.chosen_rows is not None:
            x -= panel.attributes[np.where(real, log.chosen_rows[cases], log.n_rows)][:, :, None]
        else:
            chosen = np.append(log.chosen, 0.0)[rows]
            x -= np.einsum("ptj,ptjk->ptk", chosen, x)[:, :, None] / np.maximum(size, 1.0)[:, :, None, None]
        x[closed] = 0.0
        closed[~real, 0] = False
        weight = np.ones(len(persons))
        if log.weights is not None:
            weights = np.where(real, log.weights[cases], 0.0)
            # The mean over choices that count: one of weight zero is as good as not there.
            weight = weights.sum(axis=1) / np.maximum((weights > 0).sum(axis=1), 1)
            size *= np.where(weight[:, None] > 0, weights / np.where(weight > 0, weight, 1.0)[:, None], 1.0)
        return cls(persons, int(counts.sum()), x, closed if closed.any() else None, size, weight)


@runtime_checkable
class PeopleSums(Protocol):
    """What the choices of a block of people say at some parameters."""

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood, weighted."""
        ...

    def scores(self) -> Float[np.ndarray, "persons K"]:
        """Return the score of each person, weighted."""
        ...

    def squares(self) -> tuple[Float[np.ndarray, "persons K"], Float[np.ndarray, "K K"]]:
        """Return the score of each person, weighted, and the information of the block."""
        ...


def added_up(
    tally: Tally, log: ChoiceLog, panel: Panel, blocks: Iterable[tuple[PeopleBlock, PeopleSums]], ledger: bool
) -> Evidence:
    """Return the evidence of blocks of people; a score is of a person."""
    for people, sums in blocks:
        information = None
        with np.errstate(all="ignore"):  # what is not finite is refused by the tally
            if tally.detail >= Detail.INFORMATION:
                scores, information = sums.squares()
            else:
                scores = sums.scores()
        outer = scores.T @ scores if tally.detail >= Detail.OUTER else None
        tally.add(people.n_cases, sums.log_likelihood, scores.sum(axis=0), information, outer)
        if ledger:
            first = panel.first_cases[people.persons]
            tally.enter(log.person_codes[first].astype(np.int64), log.first_case + int(first[0]), scores)
    return tally.evidence()

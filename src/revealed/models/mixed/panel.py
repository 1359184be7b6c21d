"""The people of a log with all their choices, in blocks padded to one shape. Imports choices.

A person belongs to the part of a log that holds the person's first choice situation, with all their choices wherever
they are; so the parts of a log share out its people, and sums over parts are sums over people. Without persons, every
choice situation is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from revealed.choices.levels import label_of
from revealed.choices.log import ChoiceLog, Partition
from revealed.models.blocks import blocks_of
from revealed.models.design import Design
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.draws import Draws

#: A block holds persons for which utilities at all draws are about so many doubles (512 KiB), so that they stay in the
#: second-level cache; at least one person.
BLOCK_UTILITIES = 1 << 16
#: Draws are kept from pass to pass where they are not more than so many doubles (256 MiB), else made anew.
MOST_KEPT = 1 << 25


@dataclass(frozen=True, eq=False)
class Panel:
    """The people of a log.

    Parameters
    ----------
    order : ndarray of int64, shape (cases,)
        The cases, those of a person together, persons by their first case.
    starts : ndarray of int64, shape (persons + 1,)
        Where each person's cases begin in ``order``.
    keys : ndarray of uint64, shape (persons,)
        The key of each person's draws.
    attributes : ndarray of float64, shape (rows + 1, columns)
        The design, zero where not available, and a row of zeros.
    of_case : ndarray of int64, shape (cases,)
        The person of each case.
    """

    order: Int[np.ndarray, " cases"]
    starts: Int[np.ndarray, " persons_and_one"]
    keys: UInt64[np.ndarray, " persons"]
    attributes: Float[np.ndarray, "rows_and_one columns"]
    of_case: Int[np.ndarray, " cases"]

    @classmethod
    def of(cls, log: ChoiceLog, design: Design, draws: Draws) -> Panel:
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
        labels = log.case_labels if log.columns.person is None else log.first_cells(log.columns.person)
        attributes = np.zeros((log.n_rows + 1, len(design.columns)))
        attributes[:-1] = design.matrix(log).T
        if log.available is not None:
            attributes[:-1][~log.available] = 0.0  # those cells may be missing
        if not np.isfinite(attributes).all():
            design.require_clean(log)
        keys = draws.keys(label_of(labels[int(case)].as_py()) for case in np.sort(first))
        return cls(order, np.concatenate([[0], np.cumsum(sizes)]), keys, attributes, of_case)

    @property
    def first_cases(self) -> Int[np.ndarray, " persons"]:
        """The first case of each person, in rising order."""
        return np.asarray(self.order[self.starts[:-1]])

    def blocks(self, partition: Partition, draws: int) -> Iterator[Int[np.ndarray, " persons"]]:
        """Yield the persons of a partition block by block, those alike in size together.

        Blocks depend on the place in the whole log alone, so sums over them are the same for any partition.
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
            cells = np.diff(self.starts)[persons] * int(widest.max()) * draws
            while len(persons):
                # All of a block are padded to its largest, which is its last.
                most = np.arange(1, len(persons) + 1) * cells
                count = max(int(np.searchsorted(most, BLOCK_UTILITIES, side="right")), 1)
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
        How often each person counts.
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
            weight = weights.sum(axis=1) / counts
            size *= np.where(weight[:, None] > 0, weights / np.where(weight > 0, weight, 1.0)[:, None], 1.0)
        return cls(persons, int(counts.sum()), x, closed if closed.any() else None, size, weight)


class Panels:
    """Finds the people of logs and their draws, and keeps them for the next pass."""

    def __init__(self, design: Design, coefficients: Coefficients, draws: Draws) -> None:
        self.design, self.coefficients, self.draws = design, coefficients, draws
        self._kept: WeakKeyDictionary[ChoiceLog, Panel] = WeakKeyDictionary()
        self._variates: WeakKeyDictionary[ChoiceLog, Float[np.ndarray, "all random draws"]] = WeakKeyDictionary()

    def of(self, log: ChoiceLog) -> Panel:
        """Return the people of a log."""
        if log not in self._kept:
            self._kept[log] = Panel.of(log, self.design, self.draws)
        return self._kept[log]

    def variates(
        self, log: ChoiceLog, persons: Int[np.ndarray, " persons"]
    ) -> Float[np.ndarray, "persons random draws"]:
        """Return the draws of some people of a log, in the shapes of the distributions."""
        panel = self.of(log)
        n, dims = len(panel.keys), len(self.coefficients.random)
        if n * dims * self.draws.count > MOST_KEPT:
            return self._made(panel, persons)
        if log not in self._variates:
            kept = np.empty((n, dims, self.draws.count))
            for some in np.array_split(np.arange(n), -(-n * dims * self.draws.count // BLOCK_UTILITIES)):
                kept[some] = self._made(panel, some)
            self._variates[log] = kept
        return np.asarray(self._variates[log][persons])

    def _made(self, panel: Panel, persons: Int[np.ndarray, " persons"]) -> Float[np.ndarray, "persons random draws"]:
        return self.coefficients.variates(self.draws.uniform(panel.keys[persons], len(self.coefficients.random)))

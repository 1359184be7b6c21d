"""The decisions a ledger still holds, as columns that grow and shrink. Imports models' rows of features.

Rows of features are kept sparse, so that parameters may be many, and may become more.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.glm.features.rows import Rows

#: What has become of a decision, one byte each for as long as the ledger lives. Of those closed (without an answer) and
#: settled (with one) nothing is kept apart; overdue are those whose answer came when they were closed.
PENDING, ANSWERED, CLOSED, FORGOTTEN, SETTLED, OVERDUE = 1, 2, 3, 4, 5, 6

Index = Int[np.ndarray, " some"]
Matrix = Float[np.ndarray, "some K"]


class Live:
    """Columns of the decisions held, by rising ticket.

    Parameters
    ----------
    n_params, n_covariates : int
    """

    COLUMNS: ClassVar[dict[str, type[Any]]] = {
        "ticket": np.int64,
        "decided": np.float64,
        "answer": np.float64,  # -1 while there is none
        "truth": np.float64,  # -1 where not told
        "weight": np.float64,  # of the answer
        "before": np.float64,  # the time elapsed when last looked at
        "used": np.float64,  # the share still to come, then
        "plain": np.bool_,  # entered while no law was known: as the naive do it
        "entries": np.int64,  # of the row of features
    }
    #: Several cells a decision; those that it has no use for are zero.
    TABLES: ClassVar[dict[str, type[Any]]] = {
        "index": np.int64,  # the parameter of each entry of the row of features
        "value": np.float64,  # and its value
        "covariates": np.float64,
        "precision": np.float64,  # of the site: see `sites.py`
        "shift": np.float64,
        "lasting_precision": np.float64,  # of what an answer did not take out
        "lasting_shift": np.float64,
    }

    def __init__(self, n_params: int, n_covariates: int) -> None:
        self.size = 0
        self.n_params = n_params
        self._complete = True  # each row has an entry for each parameter there was, in order
        self._columns: dict[str, np.ndarray] = {name: np.zeros(0, dtype) for name, dtype in self.COLUMNS.items()}
        for name, dtype in self.TABLES.items():
            self._columns[name] = np.zeros((0, n_covariates if name == "covariates" else 1), dtype)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column or a table, to read and to write."""
        return self._columns[name][: self.size]

    def rows(self, some: Index) -> Rows | Matrix:
        """Return the features of some decisions; as a matrix where each has all."""
        if self._complete and self["value"].shape[1] == self.n_params:
            return np.asarray(self["value"][some])
        entries = self["entries"][some]
        starts = np.zeros(len(some) + 1, np.int64)
        np.cumsum(entries, out=starts[1:])
        here = np.arange(self["index"].shape[1]) < entries[:, None]
        return Rows(starts, self["index"][some][here], self["value"][some][here], self.n_params)

    def append(
        self,
        ticket: Int[np.ndarray, " new"],
        decided: Float[np.ndarray, " new"],
        rows: Rows,
        covariates: Float[np.ndarray, "new C"],
        truth: Float[np.ndarray, " new"],
    ) -> None:
        """Add decisions without an answer."""
        start, stop = self.size, self.size + len(ticket)
        if stop > len(self._columns["ticket"]):
            self._resize(max(2 * start, stop, 1024))
        for column in self._columns.values():
            column[start:stop] = 0
        self.size = stop
        entries = np.diff(rows.starts)
        self._complete &= rows.nnz == len(ticket) * self.n_params and in_order(rows.index, self.n_params)
        self.put(np.arange(start, stop), covariates=covariates)
        here = np.arange(int(entries.max(initial=0))) < entries[:, None]
        for name, cells in (("index", rows.index), ("value", rows.value)):
            table = np.zeros(here.shape, self.TABLES[name])
            table[here] = cells
            self.put(np.arange(start, stop), **{name: table})
        self["entries"][start:], self["ticket"][start:] = entries, ticket
        self["decided"][start:], self["truth"][start:] = decided, truth
        self["answer"][start:] = -1.0
        self["weight"][start:] = 1.0
        self["before"][start:] = -1.0

    def put(self, some: Index, **tables: np.ndarray) -> None:
        """Write the cells of some decisions, making a table wider where they need it."""
        for name, cells in tables.items():
            width = cells.shape[1]
            more = width - self._columns[name].shape[1]
            if more > 0:
                self._columns[name] = np.pad(self._columns[name], ((0, 0), (0, more)))
            self[name][some, :width] = cells
            self[name][some, width:] = 0

    def places(self, tickets: Int[np.ndarray, " some"]) -> Index:
        """Return where decisions that are held stand."""
        return np.asarray(np.searchsorted(self["ticket"], tickets))

    def drop(self, gone: Bool[np.ndarray, " rows"]) -> None:
        """Let go of some decisions."""
        stay = np.flatnonzero(~gone)
        for column in self._columns.values():
            column[: len(stay)] = column[stay]
        self.size = len(stay)
        if 4 * self.size < len(self._columns["ticket"]):
            self._resize(max(2 * self.size, 1024))

    def _resize(self, capacity: int) -> None:
        def resized(old: np.ndarray) -> np.ndarray:
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: self.size] = old[: self.size]
            return new

        self._columns = {name: resized(column) for name, column in self._columns.items()}

    def copy(self) -> Live:
        """Return columns that go their own way from here."""
        return Live.of(self.arrays(), self.n_params)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of all columns, for a file."""
        return {name: self[name].copy() for name in self._columns}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], n_params: int) -> Live:
        """Return the columns that :meth:`arrays` wrote."""
        live = cls(n_params, arrays["covariates"].shape[1])
        live.size = len(arrays["ticket"])
        live._columns = {name: arrays[name].astype(dtype) for name, dtype in {**cls.COLUMNS, **cls.TABLES}.items()}
        index = live["index"]
        live._complete = bool((live["entries"] == n_params).all()) and in_order(index.ravel(), index.shape[1])
        return live


def in_order(index: Int[np.ndarray, " entries"], width: int) -> bool:
    """Return whether an index runs from zero to a width, again and again."""
    return bool((index.reshape(-1, max(width, 1)) == np.arange(width)).all())

"""The decisions a ledger still holds, as columns that grow and shrink. Imports nothing of ours."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

#: What has become of a decision, one byte each for as long as the ledger lives. Of those closed (without an answer) and
#: settled (with one) nothing is kept apart.
PENDING, ANSWERED, CLOSED, FORGOTTEN, SETTLED = 1, 2, 3, 4, 5


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
        "precision": np.float64,
        "shift": np.float64,
        "lasting_precision": np.float64,  # of what an answer did not take out
        "lasting_shift": np.float64,
    }

    def __init__(self, n_params: int, n_covariates: int) -> None:
        self.size = 0
        self._columns: dict[str, np.ndarray] = {name: np.zeros(0, dtype) for name, dtype in self.COLUMNS.items()}
        self._rows = np.zeros((0, n_params))
        self._covariates = np.zeros((0, n_covariates))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column, to read and to write."""
        return self._columns[name][: self.size]

    @property
    def rows(self) -> Float[np.ndarray, "rows K"]:
        """The features of the decisions."""
        return self._rows[: self.size]

    @property
    def covariates(self) -> Float[np.ndarray, "rows C"]:
        """What their delays depend on."""
        return self._covariates[: self.size]

    def append(
        self,
        ticket: Int[np.ndarray, " new"],
        decided: float,
        rows: Float[np.ndarray, "new K"],
        covariates: Float[np.ndarray, "new C"],
        truth: Float[np.ndarray, " new"],
    ) -> None:
        """Add decisions without an answer."""
        start, stop = self.size, self.size + len(ticket)
        if stop > len(self._rows):
            self._resize(max(2 * start, stop, 1024))
        for column in self._columns.values():
            column[start:stop] = 0
        self.size = stop
        self._rows[start:stop], self._covariates[start:stop] = rows, covariates
        self["ticket"][start:], self["decided"][start:], self["truth"][start:] = ticket, decided, truth
        self["answer"][start:] = -1.0
        self["weight"][start:] = 1.0
        self["before"][start:] = -1.0

    def places(self, tickets: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        """Return where decisions that are held stand."""
        return np.asarray(np.searchsorted(self["ticket"], tickets))

    def drop(self, gone: Bool[np.ndarray, " rows"]) -> None:
        """Let go of some decisions."""
        stay = np.flatnonzero(~gone)
        for column in self._columns.values():
            column[: len(stay)] = column[stay]
        self._rows[: len(stay)], self._covariates[: len(stay)] = self._rows[stay], self._covariates[stay]
        self.size = len(stay)
        if 4 * self.size < len(self._rows):
            self._resize(max(2 * self.size, 1024))

    def _resize(self, capacity: int) -> None:
        def resized(old: np.ndarray) -> np.ndarray:
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: self.size] = old[: self.size]
            return new

        self._columns = {name: resized(column) for name, column in self._columns.items()}
        self._rows, self._covariates = resized(self._rows), resized(self._covariates)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of all columns, for a file."""
        held = {name: self[name].copy() for name in self.COLUMNS}
        return {**held, "rows": self.rows.copy(), "covariates": self.covariates.copy()}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> Live:
        """Return the columns that :meth:`arrays` wrote."""
        live = cls(arrays["rows"].shape[1], arrays["covariates"].shape[1])
        live.size = len(arrays["ticket"])
        live._columns = {name: arrays[name].astype(dtype) for name, dtype in cls.COLUMNS.items()}
        live._rows, live._covariates = arrays["rows"].copy(), arrays["covariates"].copy()
        return live

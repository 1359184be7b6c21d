"""The draws of the people of logs, kept for the next pass. Imports choices."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int, UInt64

from revealed.choices.levels import label_of
from revealed.choices.log import ChoiceLog
from revealed.models.design import Design
from revealed.models.mixed.draws import Draws
from revealed.models.mixed.worth import Space
from revealed.models.people import BLOCK_UTILITIES, Panel

#: Draws are kept from pass to pass where they are not more than so many doubles (256 MiB), else made anew.
MOST_KEPT = 1 << 25


class Panels:
    """Finds the people of logs and their draws, and keeps them for the next pass."""

    def __init__(self, design: Design, coefficients: Space, draws: Draws) -> None:
        self.design, self.coefficients, self.draws = design, coefficients, draws
        self._kept: WeakKeyDictionary[ChoiceLog, tuple[Panel, UInt64[np.ndarray, " persons"]]] = WeakKeyDictionary()
        self._variates: WeakKeyDictionary[ChoiceLog, Float[np.ndarray, "all random draws"]] = WeakKeyDictionary()

    def of(self, log: ChoiceLog) -> Panel:
        """Return the people of a log."""
        return self._with_keys(log)[0]

    def variates(
        self, log: ChoiceLog, persons: Int[np.ndarray, " persons"]
    ) -> Float[np.ndarray, "persons random draws"]:
        """Return the draws of some people of a log, in the shapes of the distributions."""
        keys = self._with_keys(log)[1]
        n, dims = len(keys), len(self.coefficients.random)
        if n * dims * self.draws.count > MOST_KEPT:
            return self._made(keys[persons])
        if log not in self._variates:
            kept = np.empty((n, dims, self.draws.count))
            for some in np.array_split(np.arange(n), -(-n * dims * self.draws.count // BLOCK_UTILITIES)):
                kept[some] = self._made(keys[some])
            self._variates[log] = kept
        return np.asarray(self._variates[log][persons])

    def _with_keys(self, log: ChoiceLog) -> tuple[Panel, UInt64[np.ndarray, " persons"]]:
        """Return the people of a log, and the key of each person's draws."""
        if log not in self._kept:
            panel = Panel.of(log, self.design)
            labels = log.case_labels if log.columns.person is None else log.first_cells(log.columns.person)
            keys = self.draws.keys(label_of(labels[int(case)].as_py()) for case in panel.first_cases)
            self._kept[log] = panel, keys
        return self._kept[log]

    def _made(self, keys: UInt64[np.ndarray, " persons"]) -> Float[np.ndarray, "persons random draws"]:
        return self.coefficients.variates(self.draws.uniform(keys, len(self.coefficients.random)))

"""The answer is known at once, which only a simulation can arrange: the best that can be. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Vector, View
from revealed.errors import DataError, Problem


@dataclass(frozen=True)
class Oracle:
    """Learns the answer that will come, when the decision is made; what comes later changes nothing."""

    name: ClassVar[str] = "oracle"
    needs_law: ClassVar[bool] = False
    replaces: ClassVar[bool] = True
    weighs: ClassVar[bool] = False
    window: ClassVar[float | None] = None

    def pending(self, view: View) -> Standing:
        """Return the answers.

        Raises
        ------
        DataError
            Where the answer was not told.
        """
        untold = np.flatnonzero(view.truth < 0)
        if len(untold):
            rows = tuple((untold[:5] + 1).tolist())
            remedy = "give truth=…, or use another treatment: outside a simulation nobody knows"
            raise DataError("decisions", [Problem("the oracle was not told the answer", remedy, rows=rows)])
        ones = np.ones_like(view.truth)
        return Standing(view.truth, ones, ones)

    def answered(self, view: View) -> Vector:
        """Return ones."""
        return np.ones_like(view.elapsed)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return never."""
        return np.zeros(len(age.elapsed), dtype=bool)

"""No answer yet says nothing: for answers of which "no" comes as late as "yes". Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Vector, View


@dataclass(frozen=True)
class Waiting:
    """Learns nothing of a decision before its answer, "yes" or "no", has come.

    Right for ratings and the like, where both are said and neither sooner. Where "no" is never said (clicks, purchases)
    it would learn from "yes" alone: use :class:`.NothingYet`.
    """

    name: ClassVar[str] = "waiting"
    needs_law: ClassVar[bool] = False
    replaces: ClassVar[bool] = True
    weighs: ClassVar[bool] = False
    window: ClassVar[float | None] = None

    def pending(self, view: View) -> Standing:
        """Return nothing."""
        zeros = np.zeros_like(view.elapsed)
        return Standing(zeros, zeros, zeros)

    def answered(self, view: View) -> Vector:
        """Return ones."""
        return np.ones_like(view.elapsed)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return never."""
        return np.zeros(len(age.elapsed), dtype=bool)

"""No answer yet is a "no", until a "yes" replaces it. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Vector, View


@dataclass(frozen=True)
class Naive:
    """What most systems do, done well: the "no" is taken out exactly when a "yes" comes."""

    name: ClassVar[str] = "naive"
    needs_law: ClassVar[bool] = False
    replaces: ClassVar[bool] = True
    weighs: ClassVar[bool] = False
    window: ClassVar[float | None] = None

    def pending(self, view: View) -> Standing:
        """Return "no"."""
        ones = np.ones_like(view.elapsed)
        return Standing(np.zeros_like(ones), ones, ones)

    def answered(self, view: View) -> Vector:
        """Return ones."""
        return np.ones_like(view.elapsed)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return never."""
        return np.zeros(len(age.elapsed), dtype=bool)

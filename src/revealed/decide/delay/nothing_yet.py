r"""No answer yet is what it is: the likelihood :math:`1 - p + p\,S(e)` (Chapelle 2014). Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Vector, View
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class NothingYet:
    """A decision says "nothing yet" until its answer comes, which replaces it exactly.

    Parameters
    ----------
    change : float
        A decision is looked at again when the share of answers still to come has moved by this much since last time, or
        halved. In between silence counts for less than it should, so expectations are too high by up to this share (by
        half of it where answers are young); smaller costs more.
    """

    change: float = 0.03
    name: ClassVar[str] = "nothing yet"
    needs_law: ClassVar[bool] = True
    replaces: ClassVar[bool] = True
    weighs: ClassVar[bool] = False
    window: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        if not 0 < self.change < 1:
            raise SpecificationError(f"the change must be between 0 and 1, not {self.change!r}")

    def pending(self, view: View) -> Standing:
        """Return that nothing has come of the share that would have."""
        ones = np.ones_like(view.survival)
        return Standing(np.zeros_like(ones), 1 - view.survival, ones)

    def answered(self, view: View) -> Vector:
        """Return ones: an answer is an answer."""
        return np.ones_like(view.survival)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return where the share still to come has moved or halved; the last 2% wait for the end."""
        moved = np.abs(age.survival - age.used) > self.change
        return np.asarray(moved | ((age.survival < age.used / 2) & (age.used > 0.02)))

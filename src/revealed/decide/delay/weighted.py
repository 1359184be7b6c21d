r"""Importance weights instead of replacement: nothing that was learned is taken out again. Imports its own room.

- :class:`FakeNegativeWeighted` (Ktena et al., RecSys 2019, eq. 10): each decision is a "no" at once, and a "yes"
  besides when it comes. What is so observed has a "yes" with odds :math:`p / 1`, so it is weighted back: "yes" by
  :math:`1 + p`, "no" by :math:`(1 - p)(1 + p)`.
- :class:`ElapsedWeighted` (ES-DFM; Yang et al., AAAI 2021): decisions wait for a window; then "no", or "yes" if that
  has come; a "yes" that comes later is added besides. Weights: "yes" by :math:`1 + p_{dp}`, "no" by :math:`(1 +
  p_{dp})\,p_{rn}`, with :math:`p_{dp} = p\,S(w)` the chance of a "yes" after the window :math:`w`, and :math:`p_{rn}
  = (1 - p) / (1 - p + p\,S(w))` that a "no" is one.

The chances are those of the posterior and the delay law when the decision enters, and are held constant. (The paper
trains networks for :math:`p_{dp}` and :math:`p_{rn}`; here both follow from the law.) They are for streams where past
decisions cannot be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Vector, View
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class FakeNegativeWeighted:
    """Each decision is a weighted "no" at once, and a weighted "yes" besides when it comes."""

    name: ClassVar[str] = "fake-negative weighted"
    needs_law: ClassVar[bool] = False
    replaces: ClassVar[bool] = False
    weighs: ClassVar[bool] = True
    window: ClassVar[float | None] = None

    def pending(self, view: View) -> Standing:
        """Return weighted noes."""
        p, ones = view.probability, np.ones_like(view.probability)
        return Standing(np.zeros_like(p), ones, (1 - p) * (1 + p))

    def answered(self, view: View) -> Vector:
        """Return ``1 + p``."""
        return np.asarray(1 + view.probability)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return never."""
        return np.zeros(len(age.elapsed), dtype=bool)


@dataclass(frozen=True)
class ElapsedWeighted:
    """Decisions enter when a window has passed, and a "yes" that comes later is added besides (ES-DFM).

    Parameters
    ----------
    window : float
        How long to wait before a decision without an answer enters as a weighted "no", in units of time.
    """

    window: float
    name: ClassVar[str] = "elapsed-time weighted"
    needs_law: ClassVar[bool] = True
    replaces: ClassVar[bool] = False
    weighs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (self.window >= 0 and np.isfinite(self.window)):
            raise SpecificationError(f"the window must be a finite time of zero or more, not {self.window!r}")

    def pending(self, view: View) -> Standing:
        """Return weighted noes where the window has passed, else nothing."""
        p, ones = view.probability, np.ones_like(view.probability)
        later = p * view.survival
        weight = (1 + later) * (1 - p) / np.maximum(1 - p + later, 1e-300)
        return Standing(np.zeros_like(p), ones, np.where(view.elapsed >= self.window, weight, 0.0))

    def answered(self, view: View) -> Vector:
        """Return ``1 + p S(w)``."""
        return np.asarray(1 + view.probability * view.survival)

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return where the window has passed since."""
        return np.asarray((age.elapsed >= self.window) & (age.before < self.window))

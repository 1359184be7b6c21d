"""What a way of treating decisions without an answer has to say. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from revealed.decide.delay.standing import Standing

Vector = Float[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class View:
    """Some decisions as seen from now.

    Parameters
    ----------
    elapsed : ndarray of float64, shape (rows,)
        Since the decision.
    survival : ndarray of float64, shape (rows,)
        The share of answers that take longer than that, or than the treatment's ``window`` if it has one; zero while
        nothing is known of delays.
    probability : ndarray of float64, shape (rows,)
        Of "yes", as the posterior has it; of use only to a treatment that ``weighs``.
    truth : ndarray of float64, shape (rows,)
        The answer that will come; -1 where it was not told.
    """

    elapsed: Vector
    survival: Vector
    probability: Vector
    truth: Vector

    def some(self, rows: Bool[np.ndarray, " rows"]) -> View:
        """Return some of them."""
        return View(self.elapsed[rows], self.survival[rows], self.probability[rows], self.truth[rows])


@dataclass(frozen=True, eq=False)
class Age:
    """How decisions have aged since they were last looked at.

    Parameters
    ----------
    elapsed, survival : ndarray of float64, shape (rows,)
        As in :class:`View`, now.
    before, used : ndarray of float64, shape (rows,)
        The same when last looked at.
    """

    elapsed: Vector
    survival: Vector
    before: Vector
    used: Vector


@runtime_checkable
class Treatment(Protocol):
    """How decisions without an answer enter the posterior."""

    @property
    def name(self) -> str:
        """What it is called in files."""
        ...

    @property
    def needs_law(self) -> bool:
        """Whether it asks how long answers take."""
        ...

    @property
    def replaces(self) -> bool:
        """Whether an answer takes out what its decision said before; else it only adds."""
        ...

    @property
    def weighs(self) -> bool:
        """Whether it asks how probable answers are."""
        ...

    @property
    def window(self) -> float | None:
        """The elapsed time whose survival it asks for; None for now's."""
        ...

    def pending(self, view: View) -> Standing:
        """Return where decisions without an answer stand."""
        ...

    def answered(self, view: View) -> Vector:
        """Return the weights of the answers "yes", as seen when they come."""
        ...

    def stale(self, age: Age) -> Bool[np.ndarray, " rows"]:
        """Return which decisions must be looked at again."""
        ...

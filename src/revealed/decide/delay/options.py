"""How a ledger of pending decisions is kept, what happens to it, and how it stands. Imports its own room and models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.delay.laws import DelayLaw
from revealed.errors import SpecificationError
from revealed.models.glm.features.rows import Rows


@dataclass(frozen=True)
class LedgerOptions:
    """When decisions are let go of, and how many are learned at a time.

    Parameters
    ----------
    negligible : float
        A decision is closed, as a "no" if it has no answer, when this share of answers or less is still to come.
    horizon : float, optional
        And in any case at this age, in units of time. Without a delay law it is the only end.
    hold : bool
        Whether answered decisions are held until then too, so that they can be forgotten.
    batch : int, optional
        Decisions that :meth:`.PendingLedger.record` learns at a time; by default all together.
    keep : float
        The share of what was learned that is kept over so many answers as a batch has decisions, for worlds that drift;
        of fewer answers, a share that makes up as much in the end.
    """

    negligible: float = 1e-3
    horizon: float | None = None
    hold: bool = True
    batch: int | None = None
    keep: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.negligible < 1:
            raise SpecificationError(f"a negligible share must be between 0 and 1, not {self.negligible!r}")
        if self.horizon is not None and not self.horizon > 0:
            raise SpecificationError(f"the horizon must be a time above zero, not {self.horizon!r}")
        if self.batch is not None and self.batch < 1:
            raise SpecificationError(f"a batch holds at least one decision, not {self.batch}")
        if not 0 < self.keep <= 1:
            raise SpecificationError(f"the share to keep must be above 0 and at most 1, not {self.keep!r}")


@dataclass(frozen=True, eq=False)
class Made:
    """Decisions that were made.

    Parameters
    ----------
    rows : Rows or ndarray of float64, shape (new, K)
        The features of what was shown, each to whom it was shown.
    decided : ndarray of float64, shape (new,)
        When.
    covariates : ndarray of float64, shape (new, C)
        What their delays may depend on.
    """

    rows: Rows | Float[np.ndarray, "new K"]
    decided: Float[np.ndarray, " new"]
    covariates: Float[np.ndarray, "new C"]


@dataclass(frozen=True, eq=False)
class Told:
    """Answers that have come.

    Parameters
    ----------
    tickets : ndarray of int64, shape (answers,)
        Of the decisions they answer.
    answers : ndarray of float64, shape (answers,)
        1 for "yes"; 0 where somebody says "no", which nobody need do.
    came : ndarray of float64, shape (answers,)
        When each came.
    """

    tickets: Int[np.ndarray, " tickets"]
    answers: Float[np.ndarray, " answers"]
    came: Float[np.ndarray, " times"]


@dataclass(frozen=True, eq=False)
class LedgerStatus:
    """How a ledger stands.

    Parameters
    ----------
    n_decisions, n_pending, n_answered, n_closed, n_forgotten : int
        All decisions, and what has become of them; closed ones are those closed as a "no".
    n_too_late : int
        Answers "yes" that came after their decision was closed.
    law : DelayLaw, optional
        The delay law in use.
    messages : tuple of str
        What a reader must know; empty when all is well.
    """

    n_decisions: int
    n_pending: int
    n_answered: int
    n_closed: int
    n_forgotten: int
    n_too_late: int
    law: DelayLaw | None
    messages: tuple[str, ...]

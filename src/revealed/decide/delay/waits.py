"""A log of waits: which decisions were answered, after how long, and how long all were watched. Imports errors only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.delay.laws import Covariates, Vector, no_covariates
from revealed.errors import DataError, Problem


@dataclass(frozen=True, eq=False)
class Waits:
    """Decisions and how long their answers took; made by :meth:`of`, which checks.

    Parameters
    ----------
    answered : ndarray of bool, shape (rows,)
        Whether an answer ("yes") has come.
    time : ndarray of float64, shape (rows,)
        The delay of the answer where one has come, else the time elapsed since the decision.
    elapsed : ndarray of float64, shape (rows,)
        The time from the decision to the end of the log.
    covariates : ndarray of float64, shape (rows, C)
        What the delay may depend on.
    """

    answered: Bool[np.ndarray, " rows"]
    time: Vector
    elapsed: Vector
    covariates: Covariates

    @classmethod
    def of(
        cls,
        delay: Float[np.ndarray, " delays"],
        elapsed: Float[np.ndarray, " times"],
        covariates: Float[np.ndarray, "given C"] | None = None,
    ) -> Waits:
        """Check a log of waits.

        Parameters
        ----------
        delay : ndarray of float64, shape (rows,)
            From the decision to the answer; NaN where none has come yet. A delay of zero is taken as half the smallest
            that is above zero, as the clock is no finer.
        elapsed : ndarray of float64, shape (rows,)
            From the decision to the end of the log.
        covariates : ndarray of float64, shape (rows, C), optional

        Raises
        ------
        DataError
            With each problem and its rows: negative delays, times that are not finite, delays beyond the end of the
            log.
        """
        if len(delay) != len(elapsed) or (covariates is not None and len(covariates) != len(delay)):
            what = f"{len(delay)} delays for {len(elapsed)} elapsed times"
            raise DataError("waits", [Problem(what, "give one of each, and of the covariates, for each decision")])
        covariates = no_covariates(len(delay)) if covariates is None else np.asarray(covariates, dtype=np.float64)
        answered = ~np.isnan(delay)
        given = np.where(answered, delay, 0.0)
        problems = [
            _problem(given < 0, "delays below zero", "an answer cannot come before its decision: check the clocks"),
            _problem(np.isinf(given), "infinite delays", "write NaN where no answer has come"),
            _problem(
                ~(np.isfinite(elapsed) & (elapsed >= 0)), "elapsed times that are negative or not finite", "check"
            ),
            _problem(given > elapsed, "answers after the end of the log", "leave them out, or move the end of the log"),
            _problem(~np.isfinite(covariates).all(axis=1), "covariates that are not finite numbers", "fill them in"),
        ]
        found = [problem for problem in problems if problem is not None]
        if found:
            raise DataError("waits", found)
        tick = half_a_tick(given[answered])
        time = np.where(answered, np.where(given == 0, tick, given), elapsed)
        return cls(answered, time, np.maximum(elapsed, time), covariates)

    def __len__(self) -> int:
        return len(self.time)


def half_a_tick(delay: Float[np.ndarray, " answers"]) -> float:
    """Return half the smallest delay above zero: what a delay of zero stands for."""
    above = delay[delay > 0]
    return 0.5 * float(above.min()) if len(above) else 0.5


def _problem(odd: Bool[np.ndarray, " rows"], what: str, remedy: str) -> Problem | None:
    rows: Int[np.ndarray, " odd"] = np.flatnonzero(odd)
    return Problem(what, remedy, rows=tuple((rows[:5] + 1).tolist()), count=len(rows)) if len(rows) else None

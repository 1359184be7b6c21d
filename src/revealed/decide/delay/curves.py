r"""Delays without a law, to check a law against. Imports its own room.

Two product-limit estimates. :func:`kaplan_meier` follows all decisions until their answer: its plateau is the share
that never answers (the cured fraction; Maller and Zhou 1992). It supposes that young decisions answer as often as old
ones. :func:`delay_curve` looks at answers only, and supposes no such thing: among those watched at least as long, how
many came by then (Lynden-Bell 1971; Woodroofe 1985: right truncation, so time runs backwards).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.decide.delay.laws import DelayLaw
from revealed.decide.delay.waits import Waits
from revealed.errors import DataError, Problem


@dataclass(frozen=True, eq=False)
class Curve:
    """A step function of time.

    Parameters
    ----------
    time : ndarray of float64, shape (steps,)
        Rising.
    share : ndarray of float64, shape (steps,)
        From each time on: of the decisions without an answer (:func:`kaplan_meier`), or of the answers that have come
        (:func:`delay_curve`).
    error : ndarray of float64, shape (steps,)
        Greenwood's standard error.
    """

    time: Float[np.ndarray, " steps"]
    share: Float[np.ndarray, " steps"]
    error: Float[np.ndarray, " steps"]

    @property
    def plateau(self) -> float:
        """The last share: of :func:`kaplan_meier`, those who never answer if the watch was long enough."""
        return float(self.share[-1])


def kaplan_meier(waits: Waits) -> Curve:
    """Return the share of decisions without an answer, by time since the decision.

    Raises
    ------
    DataError
        If no decision was answered.
    """
    time, count = _answers(waits)
    at_risk = len(waits) - np.searchsorted(np.sort(waits.time), time, side="left")
    share = np.cumprod(1 - count / at_risk)
    left = at_risk - count
    terms = np.where(left > 0, count / np.where(left > 0, at_risk * left, 1), 0.0)
    return Curve(time, share, share * np.sqrt(np.cumsum(terms)))


def delay_curve(waits: Waits) -> Curve:
    """Return the share of answers that have come, by delay; of those that come within the longest watch.

    Raises
    ------
    DataError
        If no decision was answered.
    """
    time, count = _answers(waits)
    delays, watched = np.sort(waits.time[waits.answered]), np.sort(waits.elapsed[waits.answered])
    # At risk, looking back from t: came by t, and watched for t at least.
    came = np.searchsorted(delays, time, side="right")
    at_risk = came - np.searchsorted(watched, time, side="left")
    left = at_risk - count
    kept = np.where(left > 0, left, at_risk) / at_risk  # an empty risk set would make all before it impossible
    later = np.append(kept[1:], 1.0)
    share = np.cumprod(later[::-1])[::-1]
    terms = np.where(left > 0, count / np.where(left > 0, at_risk * left, 1), 0.0)
    behind = np.append(np.cumsum(terms[1:][::-1])[::-1], 0.0)
    return Curve(time, share, share * np.sqrt(behind))


def misfit(waits: Waits, law: DelayLaw) -> float:
    """Return the largest distance between a law and the delays seen, as a share of the answers.

    The law is looked at as the curve is: among answers within the longest watch, averaged over the covariates seen.

    Raises
    ------
    DataError
        If no decision was answered.
    """
    curve = delay_curve(waits)
    covariates = waits.covariates[waits.answered]
    covariates = covariates[:: max(1, len(covariates) // 200)]
    grid = np.unique(np.searchsorted(curve.share, np.linspace(0.0, 1.0, 41)).clip(0, len(curve.time) - 1))
    times = np.append(curve.time[grid], curve.time[-1])
    shares = np.array([1 - law.survival(np.full(len(covariates), t), covariates).mean() for t in times])
    return float(np.abs(shares[:-1] / shares[-1] - curve.share[grid]).max())


def _answers(waits: Waits) -> tuple[Float[np.ndarray, " steps"], np.ndarray]:
    if not waits.answered.any():
        raise DataError("waits", [Problem("no answer has come yet", "wait for some")])
    return np.unique(waits.time[waits.answered], return_counts=True)

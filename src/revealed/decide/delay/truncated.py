r"""A delay law from the answers alone: a delay is known to have been short enough to be seen. Imports evidence.

An answer that came after :math:`d` to a decision watched for :math:`e` has density :math:`f(d) / F(e)` (right
truncation). Nothing need be known of who answers at all, so a wrong conversion model does no harm; what it costs is
precision while the watch is short. See :mod:`.conversion` for both at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.decide.delay.hazard import LogHazard, delay_names, law_of, require_family
from revealed.decide.delay.laws import WeibullDelay
from revealed.decide.delay.waits import Waits
from revealed.errors import DataError, Problem
from revealed.evidence import Detail, Evidence, Gaussian, Region, Status, Tally, maximise

#: What a Weibull's log shape may be before anything is known, as a standard deviation around the exponential's zero;
#: and
#: the log rate's, around one over the mean of the delays seen. Weak: they keep an estimate from running off.
SHAPE_SPREAD, RATE_SPREAD = 0.5, 3.0


@dataclass(frozen=True, eq=False)
class DelayFit:
    """An estimated delay law.

    Parameters
    ----------
    law : WeibullDelay
    params : ndarray of float64, shape (P,)
        The log-rate coefficients and, for the Weibull law, the log shape.
    covariance : ndarray of float64, shape (P, P)
        The inverse of the observed information, the weak prior included.
    n_answers : int
    status : Status
    names : tuple of str
    """

    law: WeibullDelay
    params: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    n_answers: int
    status: Status
    names: tuple[str, ...]

    @property
    def standard_errors(self) -> Float[np.ndarray, " P"]:
        """The standard error of each parameter."""
        return np.sqrt(np.diag(self.covariance))


def truncated_evidence(
    waits: Waits, params: Float[np.ndarray, " P"], family: str, detail: Detail = Detail.OUTER
) -> Evidence:
    """Return what the delays of the answered decisions say about the law, given that they were seen."""
    some = waits.answered
    design = np.column_stack([np.ones(int(some.sum())), waits.covariates[some]])
    seen = LogHazard.at(params, family, np.log(waits.time[some]), design)
    watched = LogHazard.at(params, family, np.log(waits.elapsed[some]), design)
    hazard, limit = np.exp(seen.value), np.exp(watched.value)
    # Of log F(e): H / (e^H - 1), which is 1 where H is tiny and nothing where it is huge.
    with np.errstate(over="ignore"):
        ratio = limit / np.expm1(limit)
    scores = (1 - hazard)[:, None] * seen.first - ratio[:, None] * watched.first
    value = seen.value - np.log(waits.time[some]) - hazard - np.log(-np.expm1(-limit))
    if family == "weibull":
        scores[:, -1] += 1.0
        value = value + params[-1]
    tally = Tally(f"delays({family})", delay_names(waits.covariates.shape[1], family), params, detail)
    information = watched.second(ratio, ratio * (1 - limit - ratio)) - seen.second(1 - hazard, -hazard)
    tally.add(len(design), float(value.sum()), scores.sum(axis=0), information, scores.T @ scores)
    return tally.evidence()


def fit_delays(waits: Waits, family: str = "weibull", start: Float[np.ndarray, " P"] | None = None) -> DelayFit:
    """Estimate a delay law from the answers that have come.

    Parameters
    ----------
    waits : Waits
    family : str
        "exponential" or "weibull".
    start : ndarray of float64, shape (P,), optional
        Where to start, an earlier fit's ``params`` for instance.

    Raises
    ------
    DataError
        If no decision was answered.
    SpecificationError
        If there is no such family.
    """
    require_family(family)
    if not waits.answered.any():
        raise DataError("waits", [Problem("no answer has come yet", "wait for some, or give a delay law")])
    names = delay_names(waits.covariates.shape[1], family)
    guess = np.zeros(len(names))
    guess[0] = -np.log(waits.time[waits.answered].mean())
    spread = np.full(len(names), RATE_SPREAD)
    if family == "weibull":
        spread[-1] = SHAPE_SPREAD
    prior = Gaussian(np.diag(spread**-2), guess * spread**-2)
    region = Region(np.full(len(names), -np.inf), np.full(len(names), np.inf))
    found = maximise(
        lambda params, detail: truncated_evidence(waits, params, family, detail),
        guess if start is None else start,
        region,
        prior=prior,
    )
    covariance = np.linalg.inv(found.evidence.information + prior.precision)
    n_answers = int(waits.answered.sum())
    return DelayFit(law_of(found.params, family), found.params, covariance, n_answers, found.status, names)

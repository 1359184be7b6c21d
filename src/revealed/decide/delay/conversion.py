r"""Who answers, and after how long, estimated together (Chapelle, KDD 2014). Imports evidence.

With conversion probability :math:`p = 1/(1+e^{-x^\top\beta})` and a delay law with survival :math:`S`, a decision
answered after :math:`d` adds :math:`\log p + \log f(d)`, and one without an answer after :math:`e` adds :math:`\log(1
- p + p\,S(e))` (his eqs. 5 and 6, there for the exponential law). With :math:`w = pS / (1 - p + pS)`, the chance that
  the answer is still to come, the latter's derivatives are :math:`w - p` in the predictor and :math:`-wH` in the log
  cumulative hazard. The sum is not concave: the driver climbs what curves the wrong way by its absolute curvature,
  from a start that takes no answer yet for a no.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit, log_expit

from revealed.decide.delay.hazard import LogHazard, delay_names, law_of, require_family
from revealed.decide.delay.laws import WeibullDelay
from revealed.decide.delay.waits import Waits
from revealed.errors import DataError, Problem
from revealed.evidence import Detail, Evidence, Gaussian, Region, Status, Tally, maximise

Features = Float[np.ndarray, "rows K"]
Params = Float[np.ndarray, " P"]


@dataclass(frozen=True, eq=False)
class ConversionFit:
    """Conversion probabilities and the delay law, estimated together.

    Parameters
    ----------
    coefficients : ndarray of float64, shape (K,)
        Of the log-odds of conversion.
    law : WeibullDelay
    params : ndarray of float64, shape (K + P,)
        Both, the delay law's after the coefficients.
    covariance : ndarray of float64, shape (K + P, K + P)
        The inverse of the observed information.
    status : Status
    names : tuple of str
    """

    coefficients: Float[np.ndarray, " K"]
    law: WeibullDelay
    params: Params
    covariance: Float[np.ndarray, "P P"]
    status: Status
    names: tuple[str, ...]

    @property
    def standard_errors(self) -> Params:
        """The standard error of each parameter."""
        return np.sqrt(np.diag(self.covariance))

    def probability(self, features: Features) -> Float[np.ndarray, " rows"]:
        """Return the probability that an answer comes, sooner or later."""
        return np.asarray(expit(features @ self.coefficients))


def conversion_evidence(
    features: Features, waits: Waits, params: Params, family: str, detail: Detail = Detail.OUTER
) -> Evidence:
    """Return what a log of waits says about conversion and delay, seen from a point."""
    k, came = features.shape[1], waits.answered
    predictor = features @ params[:k]
    design = np.column_stack([np.ones(len(waits)), waits.covariates])
    with np.errstate(divide="ignore"):  # nothing has elapsed: a log hazard of -700, which is nothing
        log_time = np.log(waits.time)
    log_hazard = LogHazard.at(params[k:], family, np.maximum(log_time, -700.0), design)
    hazard = np.exp(log_hazard.value)
    p, log_none = expit(predictor), log_expit(-predictor)
    log_yet = log_expit(predictor) - hazard  # it will be answered, but later
    silent = np.logaddexp(log_none, log_yet)
    w = np.exp(log_yet - silent)
    spread = w * (1 - w)
    first = np.where(came, 1.0, w) - p
    slope = np.where(came, 1 - hazard, -w * hazard)
    curvature = np.where(came, -hazard, spread * hazard**2 - w * hazard)
    scores = np.column_stack([first[:, None] * features, slope[:, None] * log_hazard.first])
    answered = log_expit(predictor) + log_hazard.value - np.where(came, log_time, 0.0) - hazard
    if family == "weibull":
        scores[:, -1] += came
        answered = answered + params[-1]
    value = np.where(came, answered, silent)
    information = None
    if detail >= Detail.INFORMATION:
        information = np.empty((len(params), len(params)))
        information[:k, :k] = (features.T * (p * (1 - p) - np.where(came, 0.0, spread))) @ features
        cross = (features.T * np.where(came, 0.0, spread * hazard)) @ log_hazard.first
        information[:k, k:], information[k:, :k] = cross, cross.T
        information[k:, k:] = -log_hazard.second(slope, curvature)
    names = _names(k, waits, family)
    tally = Tally(f"conversions({family})", names, params, detail)
    outer = scores.T @ scores if detail >= Detail.OUTER else None
    tally.add(len(waits), float(value.sum()), scores.sum(axis=0), information, outer)
    return tally.evidence()


def fit_conversions(
    features: Features, waits: Waits, family: str = "weibull", *, prior: Gaussian | None = None
) -> ConversionFit:
    """Estimate who answers and after how long.

    Parameters
    ----------
    features : ndarray of float64, shape (rows, K)
        A constant among them, if there is to be one.
    waits : Waits
    family : str
        "exponential" or "weibull".
    prior : Gaussian, optional
        On all K + P parameters.

    Raises
    ------
    DataError
        If features are not finite or not as many as waits, or nobody has answered.
    SpecificationError
        If there is no such family.
    """
    require_family(family)
    problems = []
    if len(features) != len(waits):
        problems.append(Problem(f"{len(features)} rows of features for {len(waits)} waits", "give one for each"))
    if not np.isfinite(features).all():
        problems.append(Problem("features that are not finite numbers", "fill them in, or leave those rows out"))
    if not waits.answered.any():
        problems.append(Problem("no answer has come yet", "wait for some"))
    if problems:
        raise DataError("conversions", problems)
    k, names = features.shape[1], _names(features.shape[1], waits, family)
    start = np.zeros(len(names))
    start[k] = -np.log(waits.time[waits.answered].mean())
    region = Region(np.full(len(names), -np.inf), np.full(len(names), np.inf))
    found = maximise(
        lambda params, detail: conversion_evidence(features, waits, params, family, detail), start, region, prior=prior
    )
    information = found.evidence.information + (0.0 if prior is None else prior.precision)
    covariance = np.linalg.pinv(information, hermitian=True)  # what is not identified is named in the status
    law = law_of(found.params[k:], family)
    return ConversionFit(found.params[:k], law, found.params, covariance, found.status, names)


def _names(n_features: int, waits: Waits, family: str) -> tuple[str, ...]:
    return (*(f"x{i}" for i in range(n_features)), *delay_names(waits.covariates.shape[1], family))

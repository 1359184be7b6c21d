"""Links for one answer at a time, in plain numbers: numpy calls on one number cost ten times as much. Imports links.

Each function returns the first derivative of ``log Z`` in the mean of the predictor, and less the second, where ``Z``
is the probability of the answer under ``N(mean, variance)``; see :mod:`revealed.models.glm.links`, whose numbers these
are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import erfc, exp, pi, sqrt
from typing import Protocol, runtime_checkable

import numpy as np

from revealed.models.glm.links import GaussianLink, Link, LogitLink, PoissonLink, Probit

#: ``(answer, mean, variance) -> (first, second)``.
Tilt = Callable[[float, float, float], tuple[float, float]]

_ROOT_HALF, _ROOT_TWO_PI = sqrt(0.5), sqrt(2 * pi)


@runtime_checkable
class OwnTilt(Protocol):
    """A link that knows its tilt in plain numbers itself."""

    def tilt(self, answer: float, mean: float, variance: float) -> tuple[float, float]:
        """Return the derivatives."""
        ...


def tilt_of(link: Link) -> Tilt:
    """Return the derivatives of ``log Z`` under a link."""
    if type(link) in _KNOWN:  # first: to look whether a link has a method takes longer than the tilt
        return _KNOWN[type(link)]
    if isinstance(link, OwnTilt):
        return link.tilt
    if isinstance(link, GaussianLink):
        return partial(_gaussian, link.noise**2)

    def of_site(answer: float, mean: float, variance: float) -> tuple[float, float]:
        site, pull = link.site(np.array([answer]), np.array([mean]), np.array([variance]))
        precision, shift = float(site[0]), float(pull[0])
        left = 1 + variance * precision
        return (shift - precision * mean) / left, precision / left

    return of_site


def _gaussian(noise: float, answer: float, mean: float, variance: float) -> tuple[float, float]:
    return (answer - mean) / (noise + variance), 1 / (noise + variance)


def _probit(answer: float, mean: float, variance: float) -> tuple[float, float]:
    sign = 1.0 if answer else -1.0
    spread = sqrt(1 + variance)
    t = sign * mean / spread
    # Far out the ratio φ/Φ is that of its continued fraction, where Φ itself would vanish.
    below = 0.5 * erfc(-t * _ROOT_HALF) if t > -25 else 0.0
    ratio = exp(-0.5 * t * t) / (_ROOT_TWO_PI * below) if below else -t + 1 / (-t + 2 / (-t + 3 / -t))
    return sign * ratio / spread, ratio * (ratio + t) / (1 + variance)


def _logit(answer: float, mean: float, variance: float) -> tuple[float, float]:
    """Return the derivatives at the mode, found by Newton's method.

    With signs such that the answer is yes the mode solves ``x - mean = variance / (1 + exp x)``. The difference of the
    two sides rises, bends upwards below 0 and downwards above, and is not above zero at ``mean``. So from 0, or from a
    mean beyond it, every step stops short of the mode, and none has to be cut.
    """
    sign = 1.0 if answer else -1.0
    mean *= sign
    predictor = max(mean, 0.0)
    for _ in range(100):  # 28 at a variance of 10¹²
        missing = 1 / (1 + exp(predictor)) if predictor < 700 else 0.0
        step = (variance * missing - (predictor - mean)) / (1 + variance * missing * (1 - missing))
        predictor += step
        if -1e-5 < step < 1e-5:  # the next one is less than its square
            break
    missing = 1 / (1 + exp(predictor)) if predictor < 700 else 0.0
    first, second = _from_mode(missing, missing * (1 - missing), predictor, mean, variance)
    return sign * first, second


def _poisson(answer: float, mean: float, variance: float) -> tuple[float, float]:
    predictor = mean
    for _ in range(1000):
        expected = exp(predictor)
        step = (variance * (answer - expected) - (predictor - mean)) / (1 + variance * expected)
        predictor += max(-1.0, min(1.0, step))
        if -1e-10 < step < 1e-10:
            break
    expected = exp(predictor)
    return _from_mode(answer - expected, expected, predictor, mean, variance)


def _from_mode(slope: float, curvature: float, predictor: float, mean: float, variance: float) -> tuple[float, float]:
    """Return the derivatives of ``log Z`` that a site at a mode implies."""
    left = 1 + variance * curvature
    return (slope + curvature * (predictor - mean)) / left, curvature / left


_KNOWN: dict[type, Tilt] = {Probit: _probit, LogitLink: _logit, PoissonLink: _poisson}

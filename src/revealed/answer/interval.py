r"""Intervals of whatever follows from a fit: the delta method and simulation. Imports models to choices.

For :math:`g(\theta)` and the covariance :math:`V` of the estimates, the delta method has
:math:`\operatorname{var} g \approx G V G^\top` with :math:`G = \partial g/\partial\theta` by central differences; the
simulation of Krinsky and Robb (1986), "On approximating the statistical properties of elasticities", draws
:math:`\theta \sim N(\hat\theta, V)` and takes percentiles of :math:`g`.

A function of the parameters takes many parameter vectors at once, one a row, and gives one row of values for each: a
pass over a log then serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, logit

from revealed.answer.base import require_whole
from revealed.errors import SpecificationError, nearest
from revealed.evidence import Status
from revealed.evidence.level import quantile, require_level
from revealed.models.estimate import region_of
from revealed.models.fit import Fit

Function = Callable[[Float[np.ndarray, "points K"]], Float[np.ndarray, "points values"]]

METHODS = ("delta", "simulation")


@dataclass(frozen=True)
class IntervalOptions:
    """How intervals are drawn up, beyond their level and method.

    Parameters
    ----------
    draws : int
        Draws of the parameters, for simulation.
    seed : int
        Of the draws: the same seed gives the same interval.
    errors : {"classic", "robust", "clustered"}, optional
        The covariance of the estimates; by default the one the fit shows.
    """

    draws: int = 2000
    seed: int = 0
    errors: str | None = None

    def __post_init__(self) -> None:
        require_whole(self.draws, "draws", 2)
        require_whole(self.seed, "seed", 0)


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Parameters
    ----------
    value, standard_error, low, high : float
        NaN where not identified; infinite where the interval has no end.
    level : float
        The confidence level of the interval.
    method : str
        How it was made.
    """

    value: float
    standard_error: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, eq=False)
class Estimates:
    """Many values with their intervals, as arrays; see :class:`Estimate`."""

    value: Float[np.ndarray, " values"]
    standard_error: Float[np.ndarray, " values"]
    low: Float[np.ndarray, " values"]
    high: Float[np.ndarray, " values"]
    level: float
    method: str

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: int) -> Estimate:
        """Return one of them."""
        numbers = (self.value, self.standard_error, self.low, self.high)
        value, error, low, high = (float(array[index]) for array in numbers)
        return Estimate(value, error, low, high, self.level, self.method)

    def part(self, index: slice) -> Estimates:
        """Return a run of them."""
        arrays = (self.value, self.standard_error, self.low, self.high)
        value, error, low, high = (array[index] for array in arrays)
        return Estimates(value, error, low, high, self.level, self.method)

    def between_zero_and_one(self) -> Estimates:
        """Return shares with delta intervals taken on the log-odds, so that they stay between zero and one."""
        inside = (self.value > 0) & (self.value < 1) & (self.standard_error > 0)
        if self.method != "delta" or not inside.any():
            return self
        share = np.where(inside, self.value, 0.5)
        odds = logit(share)
        half = quantile(self.level) * np.where(inside, self.standard_error, 0.0) / (share * (1 - share))
        low = np.where(inside, expit(odds - half), self.low)
        high = np.where(inside, expit(odds + half), self.high)
        return replace(self, low=low, high=high, method="delta on log-odds")


def intervals(
    fit: Fit, function: Function, *, level: float = 0.95, method: str = "delta", options: IntervalOptions | None = None
) -> Estimates:
    """Return a function of the parameters at the estimates, with intervals.

    Parameters
    ----------
    fit : Fit
    function : callable
        From parameter vectors, shape (points, K), to values, shape (points, values).
    level : float
        Between 0 and 1.
    method : {"delta", "simulation"}
    options : IntervalOptions, optional

    Returns
    -------
    Estimates
        Standard errors and ends are NaN for values that lean on parameters the data do not identify.
    """
    options = options or IntervalOptions()
    require_level(level)
    if method not in METHODS:
        raise SpecificationError(f"no method {method!r} for intervals; {nearest(str(method), METHODS)}")
    covariance = fit.covariance(options.errors)
    hidden = np.isnan(np.diag(covariance))
    known = np.where(np.isnan(covariance), 0.0, covariance)
    moving = np.flatnonzero((np.diag(known) > 0) | hidden)
    if method == "delta":
        value, slopes = _differences(fit, function, moving)
        leans = _leans(value, slopes * _steps(fit)[moving], hidden[moving])
        slopes = np.where(hidden[moving], 0.0, slopes)
        error = np.sqrt(np.maximum(((slopes @ known[np.ix_(moving, moving)]) * slopes).sum(axis=1), 0.0))
        half = quantile(level) * error
        low, high = value - half, value + half
    else:
        points = np.vstack([fit.params[None], draws_of(fit, known, options)])
        values = function(points)
        value, drawn = values[0], values[1:]
        with np.errstate(invalid="ignore"):
            error = drawn.std(axis=0, ddof=1)
        low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)], axis=0)
        blind = np.flatnonzero(hidden)
        leans = _leans(value, _differences(fit, function, blind)[1] * _steps(fit)[blind], hidden[blind])
    error, low, high = (np.where(leans, np.nan, array) for array in (error, low, high))
    return Estimates(value, error, low, high, level, method)


def draws_of(fit: Fit, covariance: Float[np.ndarray, "K K"], options: IntervalOptions) -> Float[np.ndarray, "draws K"]:
    """Return draws of the parameters from their asymptotic distribution, those beyond a bound set on it."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.random.default_rng(options.seed).standard_normal((options.draws, len(values)))
    region = region_of(fit.model, fit.names)
    return np.asarray(np.clip(fit.params + noise @ root.T, region.lower, region.upper))


def fit_warnings(fit: Fit) -> list[str]:
    """Return what is wrong with the fit an answer leans on."""
    return fit_messages(fit.status)


def fit_messages(status: Status) -> list[str]:
    """Return what is wrong with an estimation an answer leans on."""
    return [f"the fit is not sound: {message}" for message in status.messages()]


def interval_assumptions(fit: Fit, options: IntervalOptions | None) -> tuple[str, ...]:
    """Return what the intervals lean on."""
    kind = (options.errors if options else None) or fit.errors
    kind = f"intervals hold the uncertainty of the estimates ({kind} covariance, normal in large samples)"
    notes = (f"{kind}, not that of who is in the log",)
    if fit.prior is None:
        return notes
    return (*notes, "the estimates are those with a prior or ridge: intervals are narrower and drawn towards it")


def _differences(
    fit: Fit, function: Function, moving: np.ndarray
) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, "values moving"]]:
    """Return the values at the estimates and their slopes in some parameters."""
    steps = _steps(fit)[moving]
    up, down = np.tile(fit.params, (len(moving), 1)), np.tile(fit.params, (len(moving), 1))
    index = np.arange(len(moving))
    up[index, moving] += steps
    down[index, moving] -= steps
    widths = (up - down)[index, moving]
    values = function(np.vstack([fit.params[None], up, down]))
    rises = values[1 : 1 + len(moving)] - values[1 + len(moving) :]
    return values[0], (rises / widths[:, None]).T


def _steps(fit: Fit) -> Float[np.ndarray, " K"]:
    """Return a step per parameter that moves utilities by about 1e-5, the best for central differences of choices."""
    curvature = np.maximum(np.diag(fit.evidence.information), 0.0) / max(fit.evidence.n_cases, 1)
    scale = np.maximum(np.abs(fit.params), 1.0)
    return np.asarray(1e-5 * np.where(curvature > 0, 1 / np.sqrt(np.where(curvature > 0, curvature, 1.0)), scale))


def _leans(
    value: Float[np.ndarray, " values"], rises: Float[np.ndarray, "values moving"], hidden: Bool[np.ndarray, " moving"]
) -> Bool[np.ndarray, " values"]:
    """Return which values change when a parameter that is not identified moves utilities by 1e-5."""
    rises = np.abs(rises[:, hidden]) > 1e-10 * np.maximum(1.0, np.abs(value))[:, None]
    return np.asarray(rises.any(axis=1))

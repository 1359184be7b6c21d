r"""How much options, pairs, tests and rows differ, learned from past tests with the effects. Imports its own room.

How far effects are pulled towards zero, and how wide their intervals are, hangs on four standard deviations: of effects
of options and of pairs, of tests' levels, of rows beyond chance. Taken as given they make intervals that miss effects
larger than the prior expects. So each is learned, and no single value is trusted. The logarithm of each is believed to
be Gaussian around a first guess, and the posterior of the effects is the mixture over all of them (Rue, Martino and
Chopin 2009, "Approximate Bayesian inference for latent Gaussian models by using integrated nested Laplace
approximations", JRSS B 71): about the mode of the deviations by EM, points around it, each weighted by its evidence.
Mean and covariance of the mixture are what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from revealed.decide.layout.counts import Belief, Counts, Mode, mode_of
from revealed.decide.layout.design import Design, Priors
from revealed.evidence.level import quantile, require_level
from revealed.models.glm.links import Link

#: First guesses of the deviations of tests' levels and of rows, in units of the predictor.
TEST_DEVIATION, ROW_DEVIATION = 0.5, 0.1
#: The standard deviation of the logarithm of each deviation around its first guess: a factor of e.
DOUBT = 1.0
#: Rounds of EM at most, and the change of a logarithm at which it ends; the points make up for the rest.
_ROUNDS, _CLOSE = 60, 0.05
#: How far from there evidence is looked at to tell its curvature, in logarithms.
_REACH = 0.3
#: Points around the mode, and how much wider they are spread than the curvature there says, since tails are heavier.
#: The deviations of the posterior are then within 2% of those with thousands of points.
_POINTS, _WIDER = 32, 1.4


@dataclass(frozen=True)
class Deviation:
    """A standard deviation that was learned; its logarithm is believed to be Gaussian.

    Parameters
    ----------
    median : float
        In units of the predictor.
    doubt : float
        The standard deviation of its logarithm.
    """

    median: float
    doubt: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds it with a probability."""
        require_level(level)
        factor = float(np.exp(quantile(level) * self.doubt))
        return self.median / factor, self.median * factor


@dataclass(frozen=True, eq=False)
class Learned:
    """Parameters and deviations, as believed after the counts.

    Parameters
    ----------
    mean : ndarray of float64, shape (K,)
    covariance : ndarray of float64, shape (K, K)
    deviations : dict from str to Deviation
        Of "option", "pair", "test" and "row", those there are.
    converged : bool
    """

    mean: Float[np.ndarray, " K"]
    covariance: Float[np.ndarray, "K K"]
    deviations: dict[str, Deviation]
    converged: bool


def learned(link: Link, counts: Counts, design: Design, priors: Priors) -> Learned:
    """Return what counts say of parameters, whatever the deviations are.

    Parameters
    ----------
    link : Link
    counts : Counts
    design : Design
        Without a context.
    priors : Priors
        Its deviations of options and pairs are first guesses.
    """
    guesses = _guesses(counts, design, priors)
    names, center = tuple(guesses), np.log(list(guesses.values()))

    def mode_at(logs: Float[np.ndarray, " H"], near: Mode | None) -> tuple[Mode, float]:
        deviations = dict(zip(names, np.exp(logs).tolist(), strict=True))
        belief = Belief.of(design, priors.level, priors.level_deviation, deviations)
        found = mode_of(link, counts, belief, near.at if near else None)
        return found, found.log_evidence - 0.5 * float(((logs - center) ** 2).sum()) / DOUBT**2

    peak, logs = _peak(mode_at, names, center, design)
    points, weights, modes = _around(mode_at, logs, peak)
    mean = weights @ np.array([mode.at.params for mode in modes])
    covariance = np.zeros((len(mean), len(mean)))
    for weight, mode in zip(weights, modes, strict=True):
        apart = mode.at.params - mean
        covariance += weight * (mode.covariance + np.multiply.outer(apart, apart))
    middle = weights @ points
    doubt = np.sqrt(weights @ (points - middle) ** 2)
    pairs = zip(np.exp(middle).tolist(), doubt.tolist(), strict=True)
    deviations = {name: Deviation(*pair) for name, pair in zip(names, pairs, strict=True)}
    return Learned(mean, covariance, deviations, all(mode.converged for mode in modes))


def _guesses(counts: Counts, design: Design, priors: Priors) -> dict[str, float]:
    """Return the first guess of each deviation that counts can tell something of."""
    found = {"option": priors.option}
    if design.crossed[0].size:
        found["pair"] = priors.pair
    if counts.n_tests > 1:
        found["test"] = TEST_DEVIATION
    # Rows of one test were shown side by side, and where parameters fit each of them nothing tells that they differ.
    # Rows of several tests were not, and parameters are believed to be small, which tells something in any case.
    if counts.n_tests > 1 or int((counts.impressions > 0).sum()) > design.n_params:
        found["row"] = ROW_DEVIATION
    return found


_ModeAt = Callable[[Float[np.ndarray, " H"], Mode | None], tuple[Mode, float]]


def _peak(
    mode_at: _ModeAt, names: tuple[str, ...], center: Float[np.ndarray, " H"], design: Design
) -> tuple[Mode, Float[np.ndarray, " H"]]:
    """Return the mode at about the most likely deviations, and these, by EM."""
    logs, found = center.copy(), None
    for _ in range(_ROUNDS):
        found, _ = mode_at(logs, found)
        moments = _moments(found, design)
        implied = np.array([_most_likely(*moments[name], guess) for name, guess in zip(names, center, strict=True)])
        far = float(np.abs(implied - logs).max())
        logs = implied
        if far < _CLOSE:
            break
    return mode_at(logs, found)[0], logs


def _moments(mode: Mode, design: Design) -> Mapping[str, tuple[float, int]]:
    """Return the expected sum of squares of what each deviation is the deviation of, and how many there are."""
    of_params = mode.at.params**2 + np.diag(mode.covariance)
    of_levels = mode.at.levels**2 + mode.level_variance
    of_rows = mode.at.rows**2 + mode.row_variance
    _, option, pair, _, _ = design.parts
    parts = {"option": of_params[option], "pair": of_params[pair], "test": of_levels, "row": of_rows}
    return {name: (float(part.sum()), len(part)) for name, part in parts.items()}


def _most_likely(squares: float, count: int, guess: float) -> float:
    """Return the most likely logarithm of a deviation of so many values with a sum of squares, by Newton's method."""
    log = guess
    for _ in range(100):
        pull = squares * np.exp(-2 * log)
        step = (pull - count - (log - guess) / DOUBT**2) / (2 * pull + 1 / DOUBT**2)
        log += float(np.clip(step, -0.5, 0.5))
        if abs(step) < 1e-9:
            break
    return log


def _around(
    mode_at: _ModeAt, logs: Float[np.ndarray, " H"], peak: Mode
) -> tuple[Float[np.ndarray, "points H"], Float[np.ndarray, " points"], list[Mode]]:
    """Return points around the most likely deviations, with their shares of the posterior and their modes.

    The points are quasi-random draws from a Gaussian with the slope and curvature of the evidence on each axis;
    shares are corrected by how much the evidence differs from it (importance sampling).
    """
    height = mode_at(logs, peak)[1]
    sides = [[mode_at(logs + sign * _REACH * axis, peak)[1] for sign in (-1, 1)] for axis in np.eye(len(logs))]
    low, high = np.array(sides).T
    bend = np.maximum((2 * height - low - high) / _REACH**2, 0.5 / DOUBT**2)
    center = logs + np.clip((high - low) / (2 * _REACH) / bend, -0.5, 0.5)
    from scipy.stats.qmc import Sobol  # takes nearly a second, which a service's start would wait for

    normals = ndtri(Sobol(len(logs), scramble=False).random(_POINTS) + 0.5 / _POINTS)
    points = center + _WIDER / np.sqrt(bend) * normals
    found = [mode_at(point, peak) for point in points]
    log_shares = np.array([value for _, value in found]) + 0.5 * (normals**2).sum(axis=1)
    weights = np.exp(log_shares - log_shares.max())
    return points, weights / weights.sum(), [mode for mode, _ in found]

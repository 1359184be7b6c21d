"""The Newton driver of all models: a trust region over evidence alone. Imports its own room, and of engine BLAS.

It never sees data, only a function from parameters to :class:`Evidence`. A full pass over a large log is what costs,
so it first climbs on samples of cases (evidence of a few blocks). On the full log it begins with passes for the score
alone, at a third of the cost, whose steps use the sample's information: each leaves of the error about the share
by which a sample of m cases mistakes the information, sqrt(K / m). One full pass at the end, or two, do the rest.

The last step is taken from the last evidence and not evaluated again. It stops when the step changes utilities by less
than ``tolerance`` (root mean square, utility units, that is ``sqrt(score' information⁻¹ score / cases)``); the error
that remains is of the order of the square of that step, so estimates agree to about ``tolerance²`` however they were
reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from revealed.engine.blas import single_threaded_blas
from revealed.errors import EvidenceError
from revealed.evidence.checkpoint import Checkpoint
from revealed.evidence.evidence import Detail, Evidence
from revealed.evidence.gaussian import Gaussian
from revealed.evidence.status import (
    RANK_TOLERANCE,
    NotIdentified,
    Status,
    collinearities,
    condition_number,
    involved,
    listed,
    scaled,
)

#: The utility step below which a climb that began on samples ends: estimates are then right to some 1e-11.
SAMPLED_TOLERANCE = 5e-6

#: A step along a direction that runs away is about one unit of utility. A longer one only leaves a bad start, where
#: probabilities of nearly zero and one tell little.
_RUNAWAY_STEP = 10.0

#: What parameters reached are called in a checkpoint.
_REACHED = "parameters"

EvidenceAt = Callable[[Float[np.ndarray, " K"], Detail], Evidence]


@dataclass(frozen=True)
class NewtonOptions:
    """How far and how long to climb.

    Parameters
    ----------
    tolerance : float, optional
        The utility step (root mean square) below which the climb ends. By default 5e-6 where there are samples to
        start from (a pass is dear), else 1e-9 (one more pass, and standard errors right to nine digits).
    max_passes : int
        The most passes over the full log.
    checkpoint : Checkpoint, optional
        Where to write down what each pass over the full log has reached, and to go on from.
    """

    tolerance: float | None = None
    max_passes: int = 60
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where the climb ended.

    Parameters
    ----------
    params : ndarray of float64, shape (K,)
        The maximiser.
    evidence : Evidence
        The last evidence, taken within ``status.utility_step`` of it.
    status : Status
        How it went.
    """

    params: Float[np.ndarray, " K"]
    evidence: Evidence
    status: Status


@dataclass(frozen=True)
class Sample:
    """Evidence from some of the cases, to climb on first.

    Parameters
    ----------
    evidence_at : callable
        As for the full log.
    n_cases : int
        The cases in it.
    share : float
        Their share of the cases of the full log.
    """

    evidence_at: EvidenceAt
    n_cases: int
    share: float


def cases_to_step_on(n_params: int) -> int:
    """Return how large a sample must be for its estimates to be two steps on scores away from the tolerance.

    The estimates from m cases are off by a utility step of about r = sqrt(K / m), and a step with their information
    leaves about r of that; two leave r³ (measured: a quarter to nine tenths of it, as the second also learns from the
    first).
    """
    return int(n_params / SAMPLED_TOLERANCE ** (2 / 3))


@dataclass(frozen=True, eq=False)
class _Hint:
    """Information to step with before that of the full log is known.

    Parameters
    ----------
    information : ndarray of float64, shape (K, K)
        Scaled to the log that is climbed.
    n_cases : int
        The cases it comes from.
    """

    information: Float[np.ndarray, "K K"]
    n_cases: int

    def scaled(self, share: float) -> _Hint:
        """Return the hint for a sample that has a share of the cases."""
        return _Hint(self.information * share, self.n_cases)

    @property
    def error(self) -> float:
        """About the share of a step's error that a step with this information leaves."""
        return float(np.sqrt(len(self.information) / self.n_cases))


@dataclass(frozen=True, eq=False)
class Region:
    """Where the parameters may be.

    Parameters
    ----------
    lower, upper : ndarray of float64, shape (K,)
        Bounds; equal where a parameter is fixed.
    """

    lower: Float[np.ndarray, " K"]
    upper: Float[np.ndarray, " K"]

    @property
    def fixed(self) -> Bool[np.ndarray, " K"]:
        """The parameters that do not move."""
        return np.asarray(self.lower == self.upper)

    def stuck(self, params: Float[np.ndarray, " K"], score: Float[np.ndarray, " K"]) -> Bool[np.ndarray, " K"]:
        """Return the parameters at a bound that the score pushes against."""
        at_lower = (params <= self.lower) & (score <= 0)
        at_upper = (params >= self.upper) & (score >= 0)
        return np.asarray(at_lower | at_upper)

    def clip(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        """Return the nearest allowed parameters."""
        return np.asarray(np.clip(params, self.lower, self.upper))


@single_threaded_blas()  # of a few parameters, or some hundred states: threads would wait for each other
def maximise(
    evidence_at: EvidenceAt,
    start: Float[np.ndarray, " K"],
    region: Region,
    *,
    prior: Gaussian | None = None,
    samples: Sequence[Sample] = (),
    options: NewtonOptions | None = None,
    known: Evidence | None = None,
) -> Maximum:
    """Climb to the maximum of a log-likelihood (plus a log prior) given as evidence.

    Parameters
    ----------
    evidence_at : callable
        ``(params, detail) -> Evidence`` over the full log.
    start : ndarray of float64, shape (K,)
        Where to start.
    region : Region
        Bounds and fixed parameters.
    prior : Gaussian, optional
        Added to the evidence.
    samples : sequence of Sample
        Coarse to fine; climbed first, for the start and the first information.
    options : NewtonOptions, optional
    known : Evidence, optional
        Evidence of the full log at ``start`` that is already there (a fit to be updated): saves a pass.

    Returns
    -------
    Maximum
        With the status; a failure is status, not an exception.

    Raises
    ------
    EvidenceError
        If the log-likelihood is not finite at the start.
    """
    options = options or NewtonOptions()
    prior = prior or Gaussian.flat(len(start))
    reached = None if options.checkpoint is None else options.checkpoint.known(_REACHED, len(start))
    params = region.clip(start if reached is None else reached)
    sample_passes, hint = 0.0, None
    for sample in samples if reached is None else ():
        params, hint, cost = _climb_sample(sample, params, hint, region, prior)
        sample_passes += cost * sample.share
    tolerance = options.tolerance or (SAMPLED_TOLERANCE if samples else 1e-9)
    climb = _Climb(evidence_at, params, region, prior, tolerance, options.max_passes, checkpoint=options.checkpoint)
    return climb.run(hint, known, sample_passes)


def _climb_sample(
    sample: Sample,
    params: Float[np.ndarray, " K"],
    hint: _Hint | None,
    region: Region,
    prior: Gaussian,
) -> tuple[Float[np.ndarray, " K"], _Hint | None, int]:
    """Climb on a sample; return where it got, the information there scaled to the full log, and its passes.

    It need not climb further than the sample can tell: the estimates from a sample of m cases are off by a utility
    step of about sqrt(K / m). A sample may also lack what the full log identifies (an alternative nobody in it
    chose), so five cases' worth of its own information is added as a prior around the start that keeps it finite.
    """
    first: Evidence | None = None
    if hint is None:
        first = sample.evidence_at(params, Detail.INFORMATION)
        information = first.information
    else:
        hint = hint.scaled(sample.share)
        information = hint.information
    hold = information * (5.0 / sample.n_cases)
    calm = prior * sample.share + Gaussian(hold, hold @ params)
    enough = 0.2 * float(np.sqrt(len(params) / sample.n_cases))
    climb = _Climb(sample.evidence_at, params, region, calm, enough, max_passes=15, detail=Detail.INFORMATION)
    reached = climb.run(hint, first, 0.0)
    matrix = reached.evidence.information
    values = np.linalg.eigvalsh(scaled(matrix)[0])
    sound = len(values) > 0 and values[0] > 1e-8 * values[-1]
    learned = _Hint(matrix, sample.n_cases).scaled(1 / sample.share) if sound else None
    return reached.params, learned, reached.status.passes + (first is not None)


def _learned(
    precision: Float[np.ndarray, "K K"], moved: Float[np.ndarray, " K"], slope: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "K K"]:
    """Return the information corrected such that it explains how a step changed the score (the BFGS update)."""
    pushed = precision @ moved
    if not (moved @ pushed > 0 and moved @ slope > 0):
        return precision
    known = np.outer(pushed, pushed) / (moved @ pushed)
    return np.asarray(precision - known + np.outer(slope, slope) / (moved @ slope))


class _Climb:
    """The state of one climb."""

    def __init__(
        self,
        evidence_at: EvidenceAt,
        params: Float[np.ndarray, " K"],
        region: Region,
        prior: Gaussian,
        tolerance: float,
        max_passes: int,
        detail: Detail = Detail.OUTER,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.evidence_at = evidence_at
        self.params = params
        self.begin = params
        self.warnings = 0
        self.region = region
        self.prior = prior
        self.tolerance = tolerance
        self.max_passes = max_passes
        self.detail = detail
        self.checkpoint = checkpoint
        self.passes = 0
        self.radius = np.inf
        self.flat_steps = 0
        self.trail: list[float] = []
        self.first_scale: Float[np.ndarray, " K"] | None = None

    def run(self, hint: _Hint | None, known: Evidence | None, sample_passes: float) -> Maximum:
        """Climb until the step is small, or nothing helps."""
        if known is None and hint is not None:
            self._step_on_scores(hint)
        evidence = known if known is not None else self._take(self.params)
        objective = self._objective(evidence)
        while True:
            score, information = self._sums(evidence)
            free = ~(self.region.fixed | self.region.stuck(self.params, score))
            step, utility_step = self._newton_step(score, information, free, evidence.n_cases)
            runaway = self._separation(evidence, information, step, free)
            if runaway is not None:
                return self._finish(evidence, self.params, False, "separation", utility_step, sample_passes, (runaway,))
            if utility_step < self.tolerance:
                return self._finish(
                    evidence, self._after(step), True, "the step is below tolerance", utility_step, sample_passes
                )
            if self.passes >= self.max_passes:
                reason = f"{self.passes} pass{'es were' if self.passes > 1 else ' was'} not enough"
                return self._finish(evidence, self.params, False, reason, utility_step, sample_passes)
            accepted = self._try(score, information, free, objective)
            if accepted is None:
                # Rounding error is all that is left of the gradient, or the model is broken.
                done = utility_step < 1e-5
                params = self._after(step) if done else self.params
                return self._finish(evidence, params, done, "no step improves", utility_step, sample_passes)
            evidence, objective = accepted
            if self.checkpoint is not None:
                self.checkpoint.note(_REACHED, self.params)

    def _after(self, step: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        return self.region.clip(self.params + step)

    # ---- pieces ---------------------------------------------------------------------------------------------------

    def _take(self, params: Float[np.ndarray, " K"], detail: Detail | None = None) -> Evidence:
        self.passes += 1
        evidence = self.evidence_at(params, self.detail if detail is None else detail)
        self.trail.append(evidence.log_likelihood)
        return evidence

    def _objective(self, evidence: Evidence) -> float:
        return evidence.log_likelihood + self.prior.log_density(evidence.point)

    def _sums(self, evidence: Evidence) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K K"]]:
        information = evidence.information + self.prior.precision
        if self.first_scale is None:
            self.first_scale = np.maximum(np.diag(information), 0.0) / max(evidence.n_cases, 1)
        return evidence.score + self.prior.score(evidence.point), information

    def _step_on_scores(self, hint: _Hint) -> None:
        """Step with the full log's score and a sample's information: twice where that will do, else once."""
        precision = hint.information + self.prior.precision
        score, objective, n_cases = self._score()
        for last in (False, True):
            free = ~(self.region.fixed | self.region.stuck(self.params, score))
            step = _bounded_step(score, precision, free, self.params, self.region, np.inf)
            left = hint.error * float(np.sqrt(max(score[free] @ step[free], 0.0) / max(n_cases, 1)))
            came_from, self.params = self.params, self.region.clip(self.params + step)
            if last or not self.tolerance < left < 1.5 * self.tolerance / hint.error:
                return
            try:
                after, reached, _ = self._score()
            except EvidenceError:  # the log-likelihood is not finite there
                reached = -np.inf
            if reached < objective:  # the sample misled: on from where it was better
                self.params = came_from
                return
            precision = _learned(precision, self.params - came_from, score - after)
            score, objective = after, reached

    def _score(self) -> tuple[Float[np.ndarray, " K"], float, int]:
        """Return score, objective and the number of cases from a pass for the score alone."""
        evidence = self._take(self.params, Detail.SCORE)
        return evidence.score + self.prior.score(evidence.point), self._objective(evidence), evidence.n_cases

    def _newton_step(
        self, score: np.ndarray, information: np.ndarray, free: np.ndarray, n_cases: int
    ) -> tuple[Float[np.ndarray, " K"], float]:
        """Return the unrestricted Newton step and its size in utility (root mean square over cases)."""
        step = _solve(score, information, free, np.inf)
        return step, float(np.sqrt(max(score[free] @ step[free], 0.0) / max(n_cases, 1)))

    def _try(
        self, score: np.ndarray, information: np.ndarray, free: np.ndarray, objective: float
    ) -> tuple[Evidence, float] | None:
        """Take the best step within the radius, shrinking it until the objective rises; None if none does."""
        slack = 1e-13 * abs(objective)
        for _ in range(30):
            step = _bounded_step(score, information, free, self.params, self.region, self.radius)
            promised = float(score @ step - 0.5 * step @ information @ step)
            self.flat_steps += promised <= slack  # near the top the gain drowns in rounding, but the step does not
            if self.flat_steps > 3 or self.passes >= self.max_passes:
                return None
            trial = self.params + step
            try:
                evidence = self._take(trial)
                gained = self._objective(evidence) - objective
            except EvidenceError:  # the log-likelihood is not finite there
                gained = -np.inf
            length = _length(step, information)
            if gained >= 1e-4 * promised - slack:
                self.radius = max(self.radius, 2 * length) if gained > 0.5 * promised else self.radius
                self.params = trial
                return evidence, objective + gained
            self.radius = 0.25 * length
        return None

    def _separation(
        self, evidence: Evidence, information: np.ndarray, step: np.ndarray, free: np.ndarray
    ) -> NotIdentified | None:
        """Say which direction runs off to infinity, if one does.

        Where some combination of attributes tells the chosen alternative for sure, the log-likelihood rises for ever
        along it: its information dies out (by a factor e for each unit of utility) while the Newton step along it
        stays about one unit long. At an ordinary maximum the step is small long before the information is. All is
        measured in utility (root mean square at equal probabilities), so it does not depend on units.
        """
        if self.first_scale is None or not free.any():
            return None
        scale = np.where(self.first_scale > 0, 1 / np.sqrt(np.where(self.first_scale > 0, self.first_scale, 1)), 0.0)
        index = np.flatnonzero(free & (scale > 0))
        if not len(index):
            return None
        matrix = (information * scale * scale[:, None])[np.ix_(index, index)] / max(evidence.n_cases, 1)
        values, vectors = np.linalg.eigh(matrix)
        moved = vectors.T @ (step[index] / scale[index])
        gone_by = vectors.T @ ((self.params - self.begin)[index] / scale[index])
        weak = (values > 1e-15) & (values < 1e-6) & (np.abs(moved) > np.maximum(1e-3, 0.01 * np.abs(gone_by)))
        weak &= np.abs(moved) < _RUNAWAY_STEP
        self.warnings = self.warnings + 1 if weak.any() else 0
        if self.warnings < 2:  # once may be an overshoot that the next step mends
            return None
        # What runs is what the step along the weak directions moves further still, in utility units.
        run, gone = np.zeros(len(step)), np.zeros(len(step))
        run[index] = vectors[:, weak] @ moved[weak]
        gone[index] = np.abs(self.params - self.begin)[index] / scale[index]
        names = involved(np.where(gone > 0.05 * gone.max(), run, 0.0), evidence.names)
        return NotIdentified(
            names,
            "separation",
            f"the log-likelihood keeps rising as {names[0]} runs off to infinity: it tells some choices for sure; "
            "drop it, merge rare alternatives, bound it, or use a ridge"
            if len(names) == 1
            else f"the log-likelihood keeps rising as {listed(names)} run off to infinity: together they tell some "
            "choices for sure; drop one of them, merge rare alternatives, bound them, or use a ridge",
        )

    def _finish(
        self,
        evidence: Evidence,
        params: Float[np.ndarray, " K"],
        converged: bool,
        reason: str,
        utility_step: float,
        sample_passes: float,
        found: tuple[NotIdentified, ...] = (),
    ) -> Maximum:
        score, information = self._sums(evidence)
        stuck = self.region.stuck(params, score) & ~self.region.fixed
        free = np.flatnonzero(~(self.region.fixed | stuck))
        names = [evidence.names[i] for i in free]
        matrix = information[np.ix_(free, free)]
        if not found:
            found = tuple(collinearities(matrix, names))
        status = Status(
            converged=converged,
            reason=reason,
            passes=self.passes,
            sample_passes=round(sample_passes, 4),
            utility_step=utility_step,
            condition_number=condition_number(matrix),
            not_identified=found,
            at_bound=tuple(np.array(evidence.names, dtype=object)[stuck]),
            trail=tuple(self.trail),
        )
        return Maximum(params, evidence, status)


def _length(step: Float[np.ndarray, " K"], information: Float[np.ndarray, "K K"]) -> float:
    """Return the length of a step in the metric the trust region is round in: unit diagonal information."""
    return float(np.sqrt(np.sum(step**2 * np.maximum(np.diag(information), 0.0))))


def _solve(
    score: Float[np.ndarray, " K"], information: Float[np.ndarray, "K K"], free: Bool[np.ndarray, " K"], radius: float
) -> Float[np.ndarray, " K"]:
    """Return the maximiser of the quadratic model within a radius (unit-diagonal metric), zero off ``free``.

    Directions without information are left alone; one that curves the wrong way is climbed by its absolute curvature.
    """
    step = np.zeros(len(score))
    index = np.flatnonzero(free)
    if not len(index):
        return step
    matrix, scale = scaled(information[np.ix_(index, index)])
    values, vectors = np.linalg.eigh(matrix)
    slope = vectors.T @ (score[index] * scale)
    curvature = np.abs(values)
    alive = curvature > RANK_TOLERANCE * max(curvature.max(), np.finfo(float).tiny)
    slope = np.where(alive, slope, 0.0)
    curvature = np.where(alive, curvature, 1.0)
    damping = 0.0
    if np.isfinite(radius) and np.linalg.norm(slope / curvature) > radius:
        low, high = 0.0, float(np.linalg.norm(slope)) / radius
        for _ in range(60):
            damping = 0.5 * (low + high)
            low, high = (damping, high) if np.linalg.norm(slope / (curvature + damping)) > radius else (low, damping)
        damping = high
    step[index] = (vectors @ (slope / (curvature + damping))) * scale
    return step


def _bounded_step(
    score: Float[np.ndarray, " K"],
    information: Float[np.ndarray, "K K"],
    free: Bool[np.ndarray, " K"],
    params: Float[np.ndarray, " K"],
    region: Region,
    radius: float,
) -> Float[np.ndarray, " K"]:
    """Return the step within the radius and the bounds: what crosses a bound is set on it, the rest solved again."""
    step = np.zeros(len(score))
    free = free.copy()
    for _ in range(len(score) + 1):
        inner = _solve(score - information @ step, information, free, radius)
        reached = params + step + inner
        crossing = free & ((reached < region.lower) | (reached > region.upper))
        if not crossing.any():
            return np.asarray(step + inner)
        step[crossing] = region.clip(reached)[crossing] - params[crossing]
        free &= ~crossing
    return step

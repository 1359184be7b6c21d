"""What a posterior on the parameters of a generalised linear model can do. Imports its own room only.

Three kinds keep more or less of the covariance: :class:`FullPosterior`, :class:`GroupedPosterior` (blocks) and
:class:`DiagonalPosterior`. All are Gaussians in natural parameters, so that what answers say is added, and can be
taken out again.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import Link

Matrix = Float[np.ndarray, "rows K"]
Vector = Float[np.ndarray, " rows"]


@runtime_checkable
class Sites(Protocol):
    """What some answers added to a posterior; adds nothing by itself, but can be taken out."""

    def __len__(self) -> int: ...


@runtime_checkable
class Posterior(Protocol):
    """A Gaussian belief about the parameters; immutable."""

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        ...

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean of each parameter."""
        ...

    @property
    def variance(self) -> Float[np.ndarray, " K"]:
        """The variance of each parameter."""
        ...

    def predictor(self, rows: Rows | Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance of each row's linear predictor."""
        ...

    def draw(self, normals: Float[np.ndarray, "draws K"]) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the posterior, given independent standard normals."""
        ...

    def learn(self, link: Link, rows: Rows | Matrix, answers: Vector) -> tuple[Posterior, Sites]:
        """Return the posterior after some answers, and what they added."""
        ...

    def changed(self, sites: Sites, sign: float) -> Posterior:
        """Return the posterior with sites of its kind added (sign 1) or taken out (sign -1), proper or not."""
        ...

    def without(self, sites: Sites) -> Posterior:
        """Return the posterior without what some answers added."""
        ...

    def faded(self, keep: float, prior: Posterior) -> Posterior:
        """Return the posterior with a share of what was learned beyond the prior."""
        ...

    def extended(self, mean: Float[np.ndarray, " new"], variance: Float[np.ndarray, " new"]) -> Posterior:
        """Return the posterior with new parameters, independent of the others."""
        ...

    def anew(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> Posterior:
        """Return independent beliefs of the same kind."""
        ...

    def with_prior(self, before: Posterior, after: Posterior) -> Posterior:
        """Return the posterior with one prior in place of another."""
        ...

    def scaled(self, precision: float, shift: float) -> Posterior:
        """Return the posterior with precision and shift times two numbers."""
        ...

    def distance(self, mean: Float[np.ndarray, " K"]) -> float:
        """Return how far a mean is from the posterior's, squared, as its precision measures it."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        ...


def some_of(rows: Rows | Matrix, start: int, stop: int) -> Rows | Matrix:
    """Return a run of rows."""
    return rows.slice(start, min(stop, len(rows))) if isinstance(rows, Rows) else rows[start:stop]


def dense(rows: Rows | Matrix) -> Matrix:
    """Return rows of features as a matrix."""
    return rows.dense() if isinstance(rows, Rows) else rows


def times(rows: Rows | Matrix, params: Float[np.ndarray, " K"]) -> Vector:
    """Return the linear predictor of each row."""
    return rows.times(params) if isinstance(rows, Rows) else np.asarray(rows @ params)

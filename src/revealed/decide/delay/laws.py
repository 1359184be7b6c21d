r"""Delay laws: how long an answer takes that does come. Imports errors only.

Weibull: the cumulative hazard of a delay :math:`d` is :math:`H = (\lambda d)^k` with :math:`\log\lambda = \gamma_0 +
z^\top\gamma`, so :math:`S(d) = e^{-H}` of the answers take longer. With shape :math:`k = 1` it is the exponential law
of Chapelle (2014). A law of your own needs what :class:`DelayLaw` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.special import gamma

from revealed.errors import SpecificationError

Vector = Float[np.ndarray, " rows"]
Covariates = Float[np.ndarray, "rows C"]


@runtime_checkable
class DelayLaw(Protocol):
    """How long answers take, in the unit of time of the log."""

    @property
    def n_covariates(self) -> int:
        """The number of covariates, C."""
        ...

    def survival(self, elapsed: Vector, covariates: Covariates) -> Vector:
        """Return the share of answers that take longer than ``elapsed``."""
        ...

    def quantile(self, share: float, covariates: Covariates) -> Vector:
        """Return the time by which a share of the answers has come."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        ...


@dataclass(frozen=True, eq=False)
class WeibullDelay:
    """Delays with a hazard that falls (shape below 1), rises (above 1) or stays (1, the exponential law).

    Parameters
    ----------
    coefficients : ndarray of float64, shape (1 + C,)
        Of the log rate: the constant first, then one a covariate. A rate is one over a unit of time.
    shape : float

    Raises
    ------
    SpecificationError
        If a coefficient is not finite, or the shape not above zero.
    """

    coefficients: Float[np.ndarray, " coefficients"]
    shape: float = 1.0

    def __post_init__(self) -> None:
        if not (len(self.coefficients) and np.isfinite(self.coefficients).all()):
            raise SpecificationError("a delay law needs a constant and finite coefficients")
        if not (self.shape > 0 and np.isfinite(self.shape)):
            raise SpecificationError(f"the shape of a delay law must be a finite number above zero, not {self.shape!r}")

    @classmethod
    def with_mean(cls, mean: float, shape: float = 1.0) -> WeibullDelay:
        """Return the law without covariates that has this mean."""
        if not (mean > 0 and np.isfinite(mean)):
            raise SpecificationError(f"a mean delay must be a finite number above zero, not {mean!r}")
        return cls(np.array([np.log(float(gamma(1 + 1 / shape)) / mean)]), shape)

    @property
    def n_covariates(self) -> int:
        """The number of covariates, C."""
        return len(self.coefficients) - 1

    def log_rate(self, covariates: Covariates) -> Vector:
        """Return the log rate of each row."""
        if covariates.shape[1] != self.n_covariates:
            raise SpecificationError(
                f"{covariates.shape[1]} delay covariates for a law of {self.n_covariates}; "
                "give the same ones as in its fit"
            )
        return np.asarray(self.coefficients[0] + covariates @ self.coefficients[1:])

    def survival(self, elapsed: Vector, covariates: Covariates) -> Vector:
        """Return the share of answers that take longer than ``elapsed``."""
        with np.errstate(over="ignore", under="ignore"):  # a hazard beyond all numbers leaves nothing
            return np.asarray(np.exp(-((elapsed * np.exp(self.log_rate(covariates))) ** self.shape)))

    def log_density(self, delay: Vector, covariates: Covariates) -> Vector:
        """Return the log density of delays above zero."""
        log_hazard = self.shape * (np.log(delay) + self.log_rate(covariates))
        return np.asarray(np.log(self.shape) + log_hazard - np.log(delay) - np.exp(log_hazard))

    def quantile(self, share: float, covariates: Covariates) -> Vector:
        """Return the time by which a share of the answers has come."""
        if not 0 <= share < 1:
            raise SpecificationError(f"a share must be at least 0 and below 1, not {share!r}")
        return np.asarray((-np.log1p(-share)) ** (1 / self.shape) * np.exp(-self.log_rate(covariates)))

    def mean(self, covariates: Covariates) -> Vector:
        """Return the mean delay of each row."""
        return np.asarray(np.exp(-self.log_rate(covariates)) * gamma(1 + 1 / self.shape))

    def draw(self, generator: np.random.Generator, covariates: Covariates) -> Vector:
        """Return a delay for each row."""
        hazard = generator.standard_exponential(len(covariates))
        return np.asarray(hazard ** (1 / self.shape) * np.exp(-self.log_rate(covariates)))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"law": "weibull", "coefficients": self.coefficients.tolist(), "shape": self.shape}


def law_from_dict(data: Mapping[str, Any]) -> WeibullDelay:
    """Return the law that ``to_dict`` wrote."""
    if data.get("law") != "weibull":
        raise SpecificationError(f"no delay law {data.get('law')!r}; there are: weibull (exponential with shape 1)")
    return WeibullDelay(np.array(data["coefficients"], dtype=np.float64), float(data["shape"]))


def no_covariates(n_rows: int) -> Covariates:
    """Return the covariates of rows that have none."""
    return np.zeros((n_rows, 0))

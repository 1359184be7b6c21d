r"""Derivatives of what waits say, in the log hazard, carried to a delay law's parameters. Imports its own room.

With :math:`h = k(\log t + z^\top\gamma)` and :math:`H = e^h`, each row's log-likelihood has a derivative and a second
derivative in :math:`h`; the parameters are :math:`\gamma` and, for the Weibull law, :math:`\kappa = \log k`:
:math:`\partial h/\partial\gamma = kz`, :math:`\partial h/\partial\kappa = h`, and each again the same in
:math:`\kappa`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.decide.delay.laws import Vector, WeibullDelay
from revealed.errors import SpecificationError, nearest

FAMILIES = ("exponential", "weibull")

#: Log cumulative hazards beyond this leave a share of exp(-exp(40)) = 0, and within it nothing overflows.
FAR = 40.0


def require_family(family: str) -> None:
    """Raise SpecificationError unless there is such a family of delay laws."""
    if family not in FAMILIES:
        raise SpecificationError(f"no delay law {family!r}; {nearest(family, FAMILIES)}")


def law_of(params: Float[np.ndarray, " P"], family: str) -> WeibullDelay:
    """Return the law of a parameter vector: log-rate coefficients, and for the Weibull the log shape last."""
    if family == "exponential":
        return WeibullDelay(params.copy())
    return WeibullDelay(params[:-1].copy(), float(np.exp(params[-1])))


def delay_names(n_covariates: int, family: str) -> tuple[str, ...]:
    """Return the names of a delay law's parameters."""
    names = ("log rate", *(f"log rate: z{i}" for i in range(n_covariates)))
    return (*names, "log shape") if family == "weibull" else names


@dataclass(frozen=True, eq=False)
class LogHazard:
    """Log cumulative hazards at some times, and how they move with the parameters.

    Parameters
    ----------
    value : ndarray of float64, shape (rows,)
    first : ndarray of float64, shape (rows, P)
        Derivatives in the parameters.
    weibull : bool
    """

    value: Vector
    first: Float[np.ndarray, "rows P"]
    weibull: bool

    @classmethod
    def at(
        cls, params: Float[np.ndarray, " P"], family: str, log_time: Vector, design: Float[np.ndarray, "rows D"]
    ) -> LogHazard:
        """Return the log hazards at times; the design has a constant and the covariates."""
        weibull = family == "weibull"
        shape = float(np.exp(np.clip(params[-1], -FAR, FAR))) if weibull else 1.0
        value = np.clip(shape * (log_time + design @ params[: design.shape[1]]), -700.0, FAR)
        first = np.column_stack([shape * design, value]) if weibull else design
        return cls(value, first, weibull)

    def second(self, slope: Vector, curvature: Vector) -> Float[np.ndarray, "P P"]:
        """Return the sum of second derivatives, given those of each row's log-likelihood in its log hazard."""
        out = (self.first.T * curvature) @ self.first
        if self.weibull:
            bent = slope @ self.first  # the derivative of `first` in the log shape is `first` again
            out[-1, :] += bent
            out[:-1, -1] += bent[:-1]
        return np.asarray(out)

r"""Means over people of worths, where coefficients differ between people. Imports models' own files only.

The worth of one unit more is :math:`w_k = -\beta_k/c` with the coefficient :math:`c < 0` of the cost. Its mean exists
where :math:`1/c` has one, which a density that is not zero at :math:`c = 0` forbids (Daly, Hess and Train 2012,
"Assuring finite moments for willingness to pay in random coefficient models"): of the distributions here, for
log-normal ones, and for uniform and triangular ones that end below zero. With
:math:`c = -e^{m + s^\top z}`,

.. math:: E[-\beta_k/c] = e^{-m + s^\top s/2}\,(\mu - l^\top s) \;\text{ for }\; \beta_k = \mu + l^\top z, \qquad
   \pm e^{\mu - m + (l - s)^\top(l - s)/2} \;\text{ for }\; \beta_k = \pm e^{\mu + l^\top z},

and the mean of :math:`\beta_k` times that of :math:`-1/c` where they are independent.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.families import Family


def require_mean_of_inverse(coefficients: Coefficients, params: Float[np.ndarray, " K"], cost: str) -> None:
    """Raise unless the inverse of a cost's coefficient has a mean over people.

    Raises
    ------
    SpecificationError
        If it may be zero, or comes as near to zero as one likes too often.
    """
    distribution = coefficients.random.get(cost)
    if distribution in (None, "lognormal-"):
        return
    family = Family.of(str(distribution))
    if family.shape in ("lognormal", "truncated") and family.sign > 0:
        raise SpecificationError(
            f"a higher {cost!r} raises utility for everybody ({distribution}): with such a sign there is no value in "
            "money; check the specification"
        )
    if family.shape in ("uniform", "triangular"):
        index = coefficients.columns.index(cost)
        end = float(
            params[index] + _half_width(family) * _spread(coefficients, params)[_random(coefficients, cost)].sum()
        )
        if end < 0:
            return
        why = f"reaches up to {end:.4g}"
    elif family.shape == "truncated":
        why = "comes too near to zero for too many"
    else:
        why = "is zero or above for some"
    raise SpecificationError(
        f"the coefficient of the cost {cost!r} differs between people ({distribution}) and {why}, so that worths in "
        "money have no mean; take lognormal- for it, one coefficient for all, or worth_in= with either"
    )


def mean_worth(coefficients: Coefficients, params: Float[np.ndarray, " K"], column: str, cost: str) -> float:
    """Return the mean over people of what one unit more of a column is worth.

    Parameters
    ----------
    coefficients : Coefficients
    params : ndarray of float64, shape (K,)
    column : str
        A design column other than the cost.
    cost : str
        A design column; see :func:`require_mean_of_inverse` for what its distribution may be. NaN for parameters at
        which a bounded one reaches zero.
    """
    spread, at = _spread(coefficients, params), dict(zip(coefficients.names, params, strict=True))
    none = np.zeros(spread.shape[1])
    family = Family.of(coefficients.random[column]) if column in coefficients.random else None
    own = none if family is None else spread[_random(coefficients, column)]
    if cost in coefficients.random and Family.of(coefficients.random[cost]).shape == "lognormal":
        s = spread[_random(coefficients, cost)]
        inverse = float(np.exp(-at[cost] + 0.5 * s @ s))
        if family is not None and family.shape == "lognormal":
            return family.sign * float(np.exp(at[column] - at[cost] + 0.5 * (own - s) @ (own - s)))
        if family is not None and family.shape == "normal":
            return inverse * float(at[column] - own @ s)
        return inverse * mean(coefficients, params, column)
    return _minus_inverse(coefficients, params, cost) * mean(coefficients, params, column)


def mean(coefficients: Coefficients, params: Float[np.ndarray, " K"], column: str) -> float:
    """Return the mean over people of the coefficient of a column."""
    location = float(params[coefficients.columns.index(column)])
    if column not in coefficients.random:
        return location
    own = _spread(coefficients, params)[_random(coefficients, column)]
    return Family.of(coefficients.random[column]).moments(location, float(np.sqrt(own @ own)))[0]


def _minus_inverse(coefficients: Coefficients, params: Float[np.ndarray, " K"], cost: str) -> float:
    """Return the mean of -1/c for one that is the same for all, uniform or triangular."""
    middle = float(params[coefficients.columns.index(cost)])
    if cost not in coefficients.random:
        return -1 / middle
    family = Family.of(coefficients.random[cost])
    half = _half_width(family) * float(_spread(coefficients, params)[_random(coefficients, cost)].sum())
    low, high = -middle - half, -middle + half  # of -c
    if low <= 0:
        return float("nan")
    if half < 1e-6 * -middle:
        return -1 / middle
    if family.shape == "uniform":
        return float(np.log(high / low)) / (2 * half)
    return float(high * np.log(-high / middle) - low * np.log(-middle / low)) / half**2


def _half_width(family: Family) -> float:
    return float(np.sqrt(3.0 if family.shape == "uniform" else 6.0))


def _random(coefficients: Coefficients, column: str) -> int:
    return list(coefficients.random).index(column)


def _spread(coefficients: Coefficients, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, "random draws"]:
    """Return what multiplies the draws in each random coefficient."""
    spread = np.zeros((len(coefficients.random), len(coefficients.random)))
    for value, (_, a, b) in zip(params[len(coefficients.columns) :], coefficients.scales, strict=True):
        spread[a, b] = value
    return spread

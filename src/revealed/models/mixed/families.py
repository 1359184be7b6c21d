r"""The distributions a coefficient may have over people. Imports the errors only.

A draw is a number :math:`u` between zero and one. With location :math:`m` and scale :math:`s`:

- normal: :math:`\beta = m + s z`, :math:`z = \Phi^{-1}(u)`;
- triangular, uniform: :math:`\beta = m + s z` with :math:`z` of that shape, mean zero and variance one, so that
  :math:`s` is the standard deviation (half the width is :math:`\sqrt 6 s` and :math:`\sqrt 3 s`);
- log-normal: :math:`\beta = \pm e^{m + s z}`;
- truncated: :math:`\pm\beta` is the normal :math:`m + s z` given that it is above zero,
  :math:`\beta = \pm(m + s \zeta)` with :math:`\zeta = \Phi^{-1}(\Phi(\alpha) + u (1 - \Phi(\alpha)))`,
  :math:`\alpha = -m/s`.

Derivatives of the last: :math:`\zeta' = \partial\zeta/\partial\alpha = (1-u)\,\phi(\alpha)/\phi(\zeta)` and
:math:`\zeta'' = \zeta'(\zeta\zeta' - \alpha)`, so that :math:`\beta_m = 1 - \zeta'`, :math:`\beta_s = \zeta -
\alpha\zeta'`, :math:`\beta_{mm} = \zeta''/s`, :math:`\beta_{ms} = \alpha\zeta''/s` and :math:`\beta_{ss} =
\alpha^2\zeta''/s`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError, nearest

#: The names, and what has a sign: ``lognormal-`` is below zero for everybody.
NAMES = ("normal", "lognormal", "lognormal-", "triangular", "uniform", "truncated", "truncated-")


@dataclass(frozen=True)
class Family:
    """A distribution.

    Parameters
    ----------
    shape : {"normal", "lognormal", "triangular", "uniform", "truncated"}
    sign : int
        -1 for a coefficient that is below zero for everybody, else 1.
    """

    shape: str
    sign: int

    @classmethod
    def of(cls, name: str) -> Family:
        """Return the distribution of a name.

        Raises
        ------
        SpecificationError
            If there is none.
        """
        plain = str(name).removesuffix("+") if str(name).startswith(("lognormal", "truncated")) else name
        if plain not in NAMES:
            raise SpecificationError(f"no distribution {name!r} of a coefficient; {nearest(str(name), NAMES)}")
        return cls(plain.removesuffix("-"), -1 if plain.endswith("-") else 1)

    @property
    def is_linear(self) -> bool:
        """Whether the coefficient is location plus scale times a draw."""
        return self.shape in ("normal", "triangular", "uniform")

    @property
    def is_gaussian(self) -> bool:
        """Whether what is behind it is normal, so that it may be correlated with others."""
        return self.shape in ("normal", "lognormal")

    def variate(self, uniform: Float[np.ndarray, "persons draws"]) -> Float[np.ndarray, "persons draws"]:
        """Return draws of the shape, with mean zero and variance one; of a truncated one, as they are."""
        from scipy.special import ndtri  # takes a while to load

        if self.is_gaussian:
            return np.asarray(ndtri(uniform))
        if self.shape == "uniform":
            return np.asarray(np.sqrt(12.0) * (uniform - 0.5))
        if self.shape == "triangular":
            low = np.sqrt(2 * np.minimum(uniform, 0.5)) - 1
            high = 1 - np.sqrt(2 * np.minimum(1 - uniform, 0.5))
            return np.asarray(np.sqrt(6.0) * (low + high))
        return uniform

    def moments(self, location: float, scale: float) -> tuple[float, float]:
        """Return mean and standard deviation of the coefficient over people."""
        from scipy.special import log_ndtr

        if self.is_linear:
            return location, abs(scale)
        with np.errstate(over="ignore"):
            if self.shape == "lognormal":
                mean = float(np.exp(location + 0.5 * scale**2))
                return self.sign * mean, mean * float(np.sqrt(np.expm1(scale**2)))
            alpha = -location / scale
            hazard = float(np.exp(-0.5 * alpha**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-alpha)))
            variance = max(1 + alpha * hazard - hazard**2, 0.0)
            return self.sign * (location + scale * hazard), scale * float(np.sqrt(variance))


class Truncated(NamedTuple):
    """A truncated normal coefficient at its draws, each of shape (persons, draws).

    Parameters
    ----------
    value, by_location, by_scale : ndarray of float64
        The coefficient and its first derivatives.
    curve : ndarray of float64
        Its second derivative with respect to the location.
    alpha : float
        Each scale in a second derivative multiplies by this.
    """

    value: Float[np.ndarray, "persons draws"]
    by_location: Float[np.ndarray, "persons draws"]
    by_scale: Float[np.ndarray, "persons draws"]
    curve: Float[np.ndarray, "persons draws"]
    alpha: float

    @classmethod
    def at(cls, uniform: Float[np.ndarray, "persons draws"], location: float, scale: float, sign: int) -> Truncated:
        """Return the coefficient at a location and a scale; in logarithms, as little may be above zero."""
        from scipy.special import log_ndtr, ndtri_exp

        alpha = -location / scale
        left = np.log1p(-uniform)
        zeta = -ndtri_exp(left + log_ndtr(-alpha))
        slope = np.exp(left + 0.5 * (zeta**2 - alpha**2))
        curve = slope * (zeta * slope - alpha)
        return cls(
            sign * (location + scale * zeta),
            sign * (1 - slope),
            sign * (zeta - alpha * slope),
            sign * curve / scale,
            alpha,
        )

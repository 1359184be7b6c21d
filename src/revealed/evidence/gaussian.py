"""A Gaussian on the parameters in natural form, so that it adds to evidence. Imports its own room only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError, nearest

#: Beliefs narrower, or further out, than this are slips: squares and products of them would overflow.
_SMALLEST, _LARGEST = 1e-50, 1e50


@dataclass(frozen=True, eq=False)
class Gaussian:
    r"""A Gaussian in natural parameters: precision :math:`\Lambda` and shift :math:`\eta = \Lambda\mu`.

    The product of two densities is their sum. A precision may be singular (no opinion on some direction).

    Parameters
    ----------
    precision : ndarray of float64, shape (K, K)
    shift : ndarray of float64, shape (K,)
    """

    precision: Float[np.ndarray, "K K"]
    shift: Float[np.ndarray, " K"]

    @classmethod
    def flat(cls, n_params: int) -> Gaussian:
        """Return no opinion at all."""
        return cls(np.zeros((n_params, n_params)), np.zeros(n_params))

    @classmethod
    def ridge(cls, strength: float, n_params: int) -> Gaussian:
        """Return independent ``N(0, 1/strength)``: the ridge penalty ``strength/2 · |params|²``."""
        if not strength >= 0 or not np.isfinite(strength):
            raise SpecificationError(f"a ridge must be a finite number at or above zero, not {strength!r}")
        if strength > _SMALLEST**-2:
            raise SpecificationError(f"a ridge of {strength:g} holds all parameters at zero; give one of ordinary size")
        return cls(np.eye(n_params) * strength, np.zeros(n_params))

    @classmethod
    def independent(cls, beliefs: Mapping[str, tuple[float, float]], names: Sequence[str]) -> Gaussian:
        """Return independent beliefs ``{name: (mean, standard deviation)}``; no opinion on the names left out."""
        precision, shift = np.zeros((len(names), len(names))), np.zeros(len(names))
        for name, (mean, deviation) in beliefs.items():
            if name not in names:
                raise SpecificationError(f"no parameter {name!r} to have a prior on; {nearest(name, names)}")
            if not deviation >= _SMALLEST:
                raise SpecificationError(
                    f"the prior standard deviation of {name!r} must be above zero, not {deviation!r}"
                    + (f"; one below {_SMALLEST:g} holds it: fix it at {mean!r} instead" if deviation > 0 else "")
                )
            if not abs(mean) <= _LARGEST:
                raise SpecificationError(f"the prior mean of {name!r} must be below {_LARGEST:g} in size, not {mean!r}")
            i = list(names).index(name)
            precision[i, i] = (1 / deviation) ** 2
            shift[i] = mean * precision[i, i]
        return cls(precision, shift)

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return len(self.shift)

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean, of least norm where the precision is singular."""
        return np.asarray(np.linalg.pinv(self.precision, hermitian=True) @ self.shift)

    def log_density(self, params: Float[np.ndarray, " K"]) -> float:
        """Return the log density up to the constant that makes it zero at the mean."""
        gap = params - self.mean
        return float(-0.5 * gap @ self.precision @ gap)

    def score(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        """Return the gradient of the log density."""
        return np.asarray(self.shift - self.precision @ params)

    def __add__(self, other: Gaussian) -> Gaussian:
        return Gaussian(self.precision + other.precision, self.shift + other.shift)

    def __sub__(self, other: Gaussian) -> Gaussian:
        return Gaussian(self.precision - other.precision, self.shift - other.shift)

    def __mul__(self, factor: float) -> Gaussian:
        return Gaussian(self.precision * factor, self.shift * factor)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"precision": self.precision.tolist(), "shift": self.shift.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gaussian:
        """Return the Gaussian that :meth:`to_dict` wrote."""
        return cls(np.array(data["precision"], dtype=np.float64), np.array(data["shift"], dtype=np.float64))

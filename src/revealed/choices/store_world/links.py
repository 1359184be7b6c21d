"""From utility to expected reward, and from there to a reward drawn. Imports the errors only.

The names are those of the generalised linear models that are well specified in such a world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.special import expit, ndtr, ndtri, pdtr, pdtrik

from revealed.errors import SpecificationError, nearest

Array = Float[np.ndarray, "..."]


@runtime_checkable
class RewardLink(Protocol):
    """How utility turns into reward. The mean rises with utility, so the best item has the highest utility."""

    @property
    def no_is_silent(self) -> bool:
        """Whether a reward of zero is no event, so that it never comes where answers are late."""
        ...

    def mean(self, utility: Array) -> Array:
        """Return expected rewards."""
        ...

    def reward(self, mean: Array, uniform: Array) -> Array:
        """Return the rewards at these quantiles."""
        ...


@dataclass(frozen=True)
class _Binary:
    no_is_silent: ClassVar[bool] = True

    def reward(self, mean: Array, uniform: Array) -> Array:
        return (uniform < mean).astype(np.float64)


@dataclass(frozen=True)
class Logit(_Binary):
    """A yes with probability 1 / (1 + exp(-utility))."""

    def mean(self, utility: Array) -> Array:
        """Return probabilities."""
        return np.asarray(expit(utility))


@dataclass(frozen=True)
class Probit(_Binary):
    """A yes with the normal probability of the utility."""

    def mean(self, utility: Array) -> Array:
        """Return probabilities."""
        return np.asarray(ndtr(utility))


@dataclass(frozen=True)
class Gaussian:
    """A number, normal around the utility."""

    noise: float = 1.0
    no_is_silent: ClassVar[bool] = False

    def mean(self, utility: Array) -> Array:
        """Return the utility itself."""
        return utility

    def reward(self, mean: Array, uniform: Array) -> Array:
        """Return the numbers at these quantiles."""
        return np.asarray(mean + self.noise * ndtri(uniform))


@dataclass(frozen=True)
class Poisson:
    """A count with mean exp(utility)."""

    no_is_silent: ClassVar[bool] = True

    def mean(self, utility: Array) -> Array:
        """Return expected counts."""
        return np.asarray(np.exp(utility))

    def reward(self, mean: Array, uniform: Array) -> Array:
        """Return the counts at these quantiles."""
        count = np.zeros_like(mean)
        some = uniform > np.exp(-mean)  # elsewhere it is zero
        above = np.ceil(pdtrik(uniform[some], mean[some]))
        below = np.maximum(above - 1.0, 0.0)  # the inverse may be off by a rounding error
        count[some] = np.where(pdtr(below, mean[some]) >= uniform[some], below, above)
        return count


def link_named(name: str, noise: float) -> RewardLink:
    """Return a link by its name: logit, probit, gaussian or poisson.

    Raises
    ------
    SpecificationError
        If there is none of this name, or the noise is not above 0.
    """
    if not 0 < noise < np.inf:
        raise SpecificationError(f"noise, the standard deviation of rewards, must be above 0, not {noise}")
    links: dict[str, RewardLink] = {
        "logit": Logit(),
        "probit": Probit(),
        "gaussian": Gaussian(noise),
        "poisson": Poisson(),
    }
    if name not in links:
        raise SpecificationError(f"no link {name!r}; {nearest(name, links)}")
    return links[name]


def intercept_for(
    link: RewardLink, base_rate: float, centre: Float[np.ndarray, " n"], spread: Float[np.ndarray, " n"]
) -> float:
    """Return the number to add to normal utilities so that their rewards have a given mean.

    Parameters
    ----------
    link : RewardLink
    base_rate : float
        The mean reward wanted, over all n.
    centre, spread : array, shape (n,)
        Means and standard deviations of the utilities. Gauss-Hermite quadrature with 64 nodes.

    Raises
    ------
    SpecificationError
        If the link's rewards have no such mean.
    """
    if isinstance(link, Gaussian):
        if not np.isfinite(base_rate):
            raise SpecificationError(f"base_rate, the mean reward, must be finite, not {base_rate}")
        return float(base_rate - centre.mean())
    if not (0 < base_rate < (1 if isinstance(link, _Binary) else np.inf)):
        top = "below 1" if isinstance(link, _Binary) else "finite"
        raise SpecificationError(f"base_rate, the mean reward, must be above 0 and {top}, not {base_rate}")
    from scipy.optimize import brentq

    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    utility = centre[:, None] + spread[:, None] * nodes
    share = weights / weights.sum()
    low, high = _bracket(link, base_rate, utility)
    return float(brentq(lambda shift: float((link.mean(utility + shift) @ share).mean()) - base_rate, low, high))


def _bracket(link: RewardLink, base_rate: float, utility: Array) -> tuple[float, float]:
    """Return shifts at which all rewards are below the rate and above it."""
    if isinstance(link, Poisson):
        target = float(np.log(base_rate))
    elif isinstance(link, Probit):
        target = float(ndtri(base_rate))
    else:
        target = float(np.log(base_rate) - np.log1p(-base_rate))
    return target - float(utility.max()) - 1.0, target - float(utility.min()) + 1.0


__all__ = ["Gaussian", "Logit", "Poisson", "Probit", "RewardLink", "intercept_for", "link_named"]

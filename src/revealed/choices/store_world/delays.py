"""Answers that come late. Imports its own folder and the errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gamma

from revealed.choices.store_world.streams import normals
from revealed.errors import SpecificationError, nearest


@dataclass(frozen=True, kw_only=True)
class Delay:
    """How long an answer takes: Weibull, of which the exponential is the one with shape 1.

    Parameters
    ----------
    mean : float
        The mean over all visits, in rounds.
    kind : "exponential" or "weibull"
    shape : float
        The Weibull shape: below 1 most answers come soon and some very late, above 1 they gather around the mean.
    context_effect : float
        The standard deviation over visitors of the logarithm of their mean delay, which is linear in the context;
        0 where the delay does not depend on it.

    Examples
    --------
    >>> Delay(mean=1000).scale
    1000.0
    """

    mean: float
    kind: str = "exponential"
    shape: float = 1.0
    context_effect: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.kind not in ("exponential", "weibull"):
            raise SpecificationError(f"no delay {self.kind!r}; {nearest(self.kind, ('exponential', 'weibull'))}")
        if not 0 < self.mean < np.inf:
            raise SpecificationError(f"the mean of a delay must be above 0 rounds, not {self.mean}")
        if not 0.1 <= self.shape < np.inf:
            raise SpecificationError(f"the shape of a delay must be at least 0.1, not {self.shape}")
        if self.kind == "exponential" and self.shape != 1:
            raise SpecificationError(f"an exponential delay has shape 1, not {self.shape}; for others, kind='weibull'")
        if not 0 <= self.context_effect < np.inf:
            raise SpecificationError(f"context_effect must not be negative, not {self.context_effect}")

    @property
    def scale(self) -> float:
        """The Weibull scale without context, in rounds: mean / Γ(1 + 1/shape)."""
        return float(self.mean / gamma(1 + 1 / self.shape))

    def context_effects(self, n_context: int, seed: int) -> Float[np.ndarray, " n_context"]:
        """Return what a unit of each column of the context adds to the logarithm of the mean delay; 0 for the first."""
        effects = np.zeros(n_context)
        if self.context_effect and n_context > 1:
            direction = normals(seed, "delays", 0, 1, n_context - 1)[0]
            effects[1:] = direction * (self.context_effect / np.linalg.norm(direction))
        return effects

    def mean_for(self, context: Float[np.ndarray, "count n_context"], seed: int) -> Float[np.ndarray, " count"]:
        """Return each visitor's mean delay in rounds.

        Parameters
        ----------
        context : array, shape (count, n_context)
        seed : int
            The world's.
        """
        effects = self.context_effects(context.shape[1], seed)
        # A lognormal number has the exponential of half its variance too much.
        return np.asarray(self.mean * np.exp(context @ effects - 0.5 * float(effects @ effects)))

    def draw(
        self,
        uniform: Float[np.ndarray, "count positions"],
        context: Float[np.ndarray, "count n_context"],
        seed: int,
    ) -> Float[np.ndarray, "count positions"]:
        """Return the delays at these quantiles, in rounds."""
        unit = -np.log1p(-uniform)
        if self.shape != 1:
            unit **= 1 / self.shape
            unit /= gamma(1 + 1 / self.shape)
        return np.asarray(unit * self.mean_for(context, seed)[:, None])


__all__ = ["Delay"]

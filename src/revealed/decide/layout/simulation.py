"""A world of layouts whose truth is known, and the regret of those who learn in it. Imports its own room and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.decide.layout.decision import LayoutDecision
from revealed.decide.layout.design import Design, Priors
from revealed.decide.layout.space import Layouts, LayoutSpace
from revealed.models.glm.links import LogitLink


@runtime_checkable
class LayoutPolicy(Protocol):
    """What chooses layouts and learns."""

    def decide(
        self, context: Mapping[str, Any] | None = None, *, seed: int | np.random.SeedSequence
    ) -> LayoutDecision:  # fmt: skip
        """Return a layout to show."""
        ...

    def learn(self, layouts: Sequence[Mapping[str, str]], answers: Float[np.ndarray, " answers"]) -> LayoutPolicy:
        """Return the policy after some answers."""
        ...


@dataclass(frozen=True, eq=False)
class LayoutWorld:
    """Layouts with true effects, answers of 0 and 1 by the logit link.

    Parameters
    ----------
    design : Design
        Without a context.
    params : ndarray of float64, shape (K,)
    """

    design: Design
    params: Float[np.ndarray, " K"]

    @classmethod
    def random(cls, space: LayoutSpace, seed: int, effects: Priors) -> LayoutWorld:
        """Return a world whose effects are drawn from Gaussians, and whose level is just the mean of its own."""
        design = Design.of(space)
        mean, variance = design.prior(effects)
        rng = np.random.Generator(np.random.Philox(seed))
        params = mean + np.sqrt(variance) * rng.standard_normal(design.n_params)
        params[0] = effects.level
        return cls(design, params)

    @classmethod
    def spread(
        cls, space: LayoutSpace, seed: int, *, interaction: float = 1.0, rate: float = 0.1, deviation: float = 1.7
    ) -> LayoutWorld:
        r"""Return a world of the kind that the paper simulates.

        Each option and each pair of options has a weight of its own, :math:`N(0, 1)`, and the predictor is

        .. math:: f = w_0 + \beta \Bigl( \sum_i w_i(A) + \alpha \sum_{j<k} w_{jk}(A) \Bigr)

        with :math:`\beta` such that layouts differ as much whatever the strength :math:`\alpha` of pairs.

        Parameters
        ----------
        space : LayoutSpace
        seed : int
        interaction : float
            How strong pairs are, :math:`\alpha`; at zero there are none.
        rate : float
            The mean probability of a success, over all layouts.
        deviation : float
            The standard deviation of the predictor over all layouts, in log-odds; 1.7 is about one in a probit.
        """
        design, every = Design.of(space), space.layouts()
        rng = np.random.Generator(np.random.Philox(seed))
        options, pairs = rng.standard_normal(space.n_options), rng.standard_normal((space.n_options,) * 2)
        flat = every + space.offsets
        predictor = options[flat].sum(axis=1)
        for j, k in design.pairs:
            predictor = predictor + interaction * pairs[flat[:, j], flat[:, k]]
        predictor = deviation * (predictor - predictor.mean()) / predictor.std()
        link = LogitLink()
        from scipy.optimize import brentq  # takes a while to load

        level = brentq(lambda level: float(link.mean(level + predictor).mean()) - rate, -50.0, 50.0)
        return cls(design, np.linalg.lstsq(design.rows(every), level + predictor, rcond=None)[0])

    def rates(self, layouts: Layouts) -> Float[np.ndarray, " n"]:
        """Return the true probability of a success of layouts."""
        return LogitLink().mean(self.design.rows(layouts) @ self.params)

    @cached_property
    def best_rate(self) -> float:
        """The true probability of the best allowed layout."""
        return float(self.rates(self.design.space.layouts()).max())


def regret_of(
    policy: LayoutPolicy, world: LayoutWorld, rounds: int, seed: int, *, batch: int = 50
) -> Float[np.ndarray, " rounds"]:
    """Return how many successes a policy has lost by each round against always showing the best layout.

    Parameters
    ----------
    policy : LayoutPolicy
    world : LayoutWorld
    rounds : int
    seed : int
        Of decisions and answers. A round's answer to a given success probability depends on the seed alone, so
        policies are compared on the same luck.
    batch : int
        The policy learns after so many rounds, as it would from a log.
    """
    luck = np.random.Generator(np.random.Philox(key=seed)).random(rounds)
    seeds = np.random.SeedSequence(seed).spawn(rounds)
    lost = np.empty(rounds)
    for start in range(0, rounds, batch):
        part = slice(start, min(start + batch, rounds))
        # By name: a policy may number its options otherwise than the world does.
        shown = [policy.decide(seed=one).layout for one in seeds[part]]
        rates = world.rates(world.design.space.encode(shown))
        lost[part] = world.best_rate - rates
        policy = policy.learn(shown, (luck[part] < rates).astype(np.float64))
    return np.cumsum(lost)

"""Our explorers, in the form of the peers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.peers.bandits.worlds import Moments, World
from revealed.decide.explore import EpsilonGreedy, Explorer, Greedy, Limits, Rule, TopTwo, UpperConfidence
from revealed.decide.explore import Thompson as ThompsonRule
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import link_named


class Thompson:
    """The default: logit, all covariances, N(0, 1) prior, draws half as wide as the posterior."""

    label, package, warm = "ours, default (Thompson)", "revealed", 20
    limits, propensities = Limits(), False

    def __init__(self, world: World, seed: int) -> None:
        self.explorer = Explorer(self.rule(), seed=seed, limits=self.limits)
        self.prior = self.posterior = FullPosterior.independent(np.zeros(world.n_params), np.ones(world.n_params))
        self.link, self.keep, self.number = link_named("logit"), world.keep, 0

    def rule(self) -> Rule:
        return ThompsonRule()

    def prepare(self, moments: Moments) -> Any:
        return moments.features

    def decide(self, prepared: Any) -> np.ndarray:
        n, first = len(prepared), self.number
        self.number += n
        if n == 1:
            if self.propensities:
                return np.array([self.explorer.choose(self.posterior, prepared[0], first).action])
            return np.array([self.explorer.pick(self.posterior, prepared[0], first)])
        numbers = np.arange(first, first + n)
        if self.propensities:
            return self.explorer.choose_many(self.posterior, prepared, numbers).actions
        return self.explorer.pick_many(self.posterior, prepared, numbers)

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        before = self.posterior if self.keep == 1 else self.posterior.faded(self.keep, self.prior)
        self.posterior, _ = before.learn(self.link, prepared[np.arange(len(actions)), actions], rewards)


class WithPropensities(Thompson):
    """The same, with the exact propensity of each decision at once."""

    label, propensities = "ours, with exact propensities", True


class WithLimits(Thompson):
    """The same, with a floor and a cap on propensities."""

    label, limits, propensities = "ours, with a floor and a cap", Limits(0.001, 0.95), True


class Wide(Thompson):
    """Draws as wide as the posterior."""

    label = "ours, Thompson of width 1"

    def rule(self) -> Rule:
        return ThompsonRule(1.0)


class Upper(Thompson):
    """Upper confidence bounds."""

    label = "ours, upper confidence"

    def rule(self) -> Rule:
        return UpperConfidence()


class Second(Thompson):
    """Top-two."""

    label = "ours, top two"

    def rule(self) -> Rule:
        return TopTwo()


class Epsilon(Thompson):
    """Epsilon-greedy."""

    label = "ours, epsilon .05"

    def rule(self) -> Rule:
        return EpsilonGreedy()


class Best(Thompson):
    """Greedy."""

    label = "ours, greedy"

    def rule(self) -> Rule:
        return Greedy()

"""river: a Bayesian linear regression for each arm on the contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from river.bandit import LinUCBDisjoint

from bench.peers.bandits.worlds import Moments, World


class Upper:
    """LinUCB with its defaults."""

    label, package, warm = "river LinUCB", "river", 20

    def __init__(self, world: World, seed: int) -> None:
        self.model: Any = LinUCBDisjoint(seed=seed)
        self.arms = list(range(world.n_actions))

    def prepare(self, moments: Moments) -> Any:
        return [{str(i): value for i, value in enumerate(x)} for x in moments.contexts.tolist()]

    def decide(self, prepared: Any) -> np.ndarray:
        return np.array([self.model.pull(self.arms, context=x) for x in prepared])

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        for x, action, reward in zip(prepared, actions.tolist(), rewards.tolist(), strict=True):
            self.model.update(action, x, reward)

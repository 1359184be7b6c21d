"""mabwiser: a linear model for each arm on the contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

from bench.peers.bandits.worlds import Moments, World


class _Linear:
    package, warm = "mabwiser", 20

    def __init__(self, world: World, seed: int) -> None:
        self.model: Any = MAB(list(range(world.n_actions)), self.policy(), seed=seed)
        width = world.moments(np.random.default_rng(0), 1).contexts.shape[1]
        self.model.fit(np.arange(world.n_actions), np.zeros(world.n_actions), np.zeros((world.n_actions, width)))

    def policy(self) -> Any:
        raise NotImplementedError

    def prepare(self, moments: Moments) -> Any:
        return moments.contexts

    def decide(self, prepared: Any) -> np.ndarray:
        return np.atleast_1d(self.model.predict(prepared))

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        self.model.partial_fit(actions, rewards, prepared)


class Thompson(_Linear):
    """LinTS."""

    label = "mabwiser LinTS"

    def policy(self) -> Any:
        return LearningPolicy.LinTS(alpha=0.1)


class Upper(_Linear):
    """LinUCB."""

    label = "mabwiser LinUCB"

    def policy(self) -> Any:
        return LearningPolicy.LinUCB(alpha=1.0)

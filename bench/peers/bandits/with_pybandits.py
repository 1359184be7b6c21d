"""pybandits: a Bayesian network without hidden layers for each arm on the contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from pybandits.cmab import CmabBernoulli

from bench.peers.bandits.worlds import Moments, World


class Thompson:
    """Its defaults."""

    label, package, warm = "pybandits", "pybandits", 1

    def __init__(self, world: World, seed: int) -> None:
        width = world.moments(np.random.default_rng(0), 1).contexts.shape[1]
        np.random.seed(seed)  # noqa: NPY002  it has no seed of its own
        self.model: Any = CmabBernoulli.cold_start(
            action_ids={f"a{i:02d}" for i in range(world.n_actions)}, n_features=width
        )

    def prepare(self, moments: Moments) -> Any:
        return moments.contexts

    def decide(self, prepared: Any) -> np.ndarray:
        return np.array([int(action[1:]) for action in self.model.predict(context=prepared)[0]])

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        self.model.update(
            actions=[f"a{action:02d}" for action in actions], rewards=rewards.astype(int).tolist(), context=prepared
        )

"""contextualbandits: a linear model for each arm on the contexts."""

from __future__ import annotations

from typing import Any

import numpy as np
from contextualbandits.online import LinTS, LinUCB

from bench.peers.bandits.worlds import Moments, World


class _Linear:
    package, warm, kind = "contextualbandits", 20, LinUCB

    def __init__(self, world: World, seed: int) -> None:
        self.model: Any = self.kind(
            world.n_actions, fit_intercept=False, random_state=seed + 1, njobs=1, **self.options()
        )
        self.model.fit(
            np.zeros((1, world.moments(np.random.default_rng(0), 1).contexts.shape[1])), np.zeros(1, int), np.zeros(1)
        )

    def options(self) -> dict[str, Any]:
        return {}

    def prepare(self, moments: Moments) -> Any:
        return moments.contexts

    def decide(self, prepared: Any) -> np.ndarray:
        return np.asarray(self.model.predict(prepared)).astype(np.int64)

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        self.model.partial_fit(prepared, actions, rewards)


class Upper(_Linear):
    """LinUCB with its defaults."""

    label = "contextualbandits LinUCB"


class Thompson(_Linear):
    """LinTS with its defaults."""

    label, kind = "contextualbandits LinTS", LinTS


class FromInterval(Thompson):
    """LinTS with drawn predictions, v_sq the best of some: with drawn coefficients it does no better than chance."""

    label = "contextualbandits LinTS, ci, .1"

    def options(self) -> dict[str, Any]:
        return {"sample_from": "ci", "v_sq": 0.1}

"""bayesianbandits: one logistic model with all covariances for all arms, Thompson sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from bayesianbandits import (
    Arm,
    BayesianGLM,
    LipschitzContextualAgent,
    StabilizedForgetting,
    ThompsonSampling,
    UpperConfidenceBound,
)
from bayesianbandits.featurizers import FunctionArmFeaturizer

from bench.peers.bandits.worlds import Moments, World


class Thompson:
    """Its defaults, as its documentation sets up a model that arms share; all of a batch share one draw."""

    label, package, warm = "bayesianbandits Thompson", "bayesianbandits", 20

    def __init__(self, world: World, seed: int) -> None:
        self.keep = world.keep
        self.agent: Any = LipschitzContextualAgent(
            arms=[Arm(i) for i in range(world.n_actions)],
            policy=self.policy(),
            arm_featurizer=FunctionArmFeaturizer(
                lambda x, action_tokens: x.reshape(len(x), len(action_tokens), -1).transpose(0, 2, 1)
            ),
            learner=BayesianGLM(alpha=1.0, link="logit"),
            random_seed=seed,
        )
        # Before the first answer it knows no number of features.
        self.agent.learner.partial_fit(np.zeros((1, world.n_params)), np.zeros(1))

    def policy(self) -> Any:
        return ThompsonSampling()

    def prepare(self, moments: Moments) -> Any:
        return moments.features.reshape(len(moments), -1)

    def decide(self, prepared: Any) -> np.ndarray:
        return np.array(self.agent.pull(prepared))

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        if self.keep < 1:
            self.agent.learner.decay(StabilizedForgetting(self.keep))
        x = prepared.reshape(len(actions), len(self.agent.arms), -1)[np.arange(len(actions)), actions]
        self.agent.learner.partial_fit(x, rewards)


class Upper(Thompson):
    """Its upper confidence bound, a quantile of draws: of 100, since its default of 1,000 takes ten times as long."""

    label = "bayesianbandits upper confidence"

    def policy(self) -> Any:
        return UpperConfidenceBound(samples=100)

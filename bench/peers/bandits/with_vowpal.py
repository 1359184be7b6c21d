"""Vowpal Wabbit: contextual bandits with features of actions, contexts crossed with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import vowpalwabbit

from bench.peers.bandits.worlds import Moments, World


class _Vowpal:
    package, warm, options = "vowpalwabbit", 20, ""

    def __init__(self, world: World, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.actions = [
            "|A " + " ".join(f"a{j}:{value:.6g}" for j, value in enumerate(action) if value) for action in world.actions
        ]
        self.workspace: Any = vowpalwabbit.Workspace(
            f"--cb_explore_adf -q CA --ignore_linear A --random_seed {seed + 1} --quiet {self.options}"
        )

    def prepare(self, moments: Moments) -> Any:
        shared = ["shared |C " + " ".join(f"c{i}:{value:.6g}" for i, value in enumerate(x)) for x in moments.contexts]
        return [[line, *self.actions] for line in shared]

    def decide(self, prepared: Any) -> np.ndarray:
        self.chance = [self.workspace.predict(lines) for lines in prepared]
        reached = np.cumsum(np.array(self.chance), axis=1)
        return np.asarray((reached <= (self.rng.random(len(prepared)) * reached[:, -1])[:, None]).sum(axis=1))

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        for i, (lines, action, reward) in enumerate(zip(prepared, actions, rewards, strict=True)):
            chance = self.chance[i % len(self.chance)][action]
            told = list(lines)
            told[action + 1] = f"0:{-reward}:{max(chance, 1e-3)} {told[action + 1]}"
            self.workspace.learn(told)


class Bag(_Vowpal):
    """Five bootstrapped models."""

    label, options = "vowpalwabbit bag 5", "--bag 5"


class Epsilon(_Vowpal):
    """Its default."""

    label, options = "vowpalwabbit epsilon .05", "--epsilon 0.05"


class SquareCB(_Vowpal):
    """Inverse gap weighting."""

    label, options = "vowpalwabbit squarecb", "--squarecb --gamma_scale 1000"

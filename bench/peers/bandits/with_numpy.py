"""A plain numpy Thompson draw with a Laplace step per batch: what one writes without any library."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.peers.bandits.worlds import Moments, World, logistic


class Draw:
    """A logistic model with all covariances, N(0, 1) prior, a draw for each decision."""

    label, package, warm = "plain numpy draw", "numpy", 20

    def __init__(self, world: World, seed: int) -> None:
        self.rng, k = np.random.default_rng(seed), world.n_params
        self.precision, self.keep = np.eye(k), world.keep
        self.mean: np.ndarray = np.zeros(k)
        self.root = np.eye(k)

    def prepare(self, moments: Moments) -> Any:
        return moments.features

    def decide(self, prepared: Any) -> np.ndarray:
        draws = self.mean + self.rng.standard_normal((len(prepared), len(self.mean))) @ self.root.T
        return np.asarray(np.einsum("nak,nk->na", prepared, draws).argmax(axis=1))

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        x = prepared[np.arange(len(actions)), actions]
        if self.keep < 1:
            prior = np.eye(len(self.mean))
            shift = self.keep * (self.precision @ self.mean)
            self.precision = prior + self.keep * (self.precision - prior)
            self.mean = np.linalg.solve(self.precision, shift)
        params = self.mean.copy()
        for _ in range(5):
            p = logistic(x @ params)
            hessian = self.precision + (x.T * (p * (1 - p))) @ x
            params = params + np.linalg.solve(hessian, x.T @ (rewards - p) - self.precision @ (params - self.mean))
        p = logistic(x @ params)
        self.precision = self.precision + (x.T * (p * (1 - p))) @ x
        self.mean = params
        self.root = np.linalg.inv(np.linalg.cholesky(self.precision)).T


class Random:
    """Any action, whatever was learned."""

    label, package, warm = "at random", "numpy", 20

    def __init__(self, world: World, seed: int) -> None:
        self.rng, self.n_actions = np.random.default_rng(seed), world.n_actions

    def prepare(self, moments: Moments) -> Any:
        return moments.features

    def decide(self, prepared: Any) -> np.ndarray:
        return self.rng.integers(self.n_actions, size=len(prepared))

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Learn nothing."""

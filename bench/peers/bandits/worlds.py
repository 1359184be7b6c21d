"""Worlds with a known truth to compare contextual policies on. Imports numpy only.

``reference`` is ``bandit_env.py`` of the paper trail, number by number. The worlds written here are fixed: a run's seed
moves only contexts, rewards and the policy's own draws. Each seed has a store (:mod:`bench.stores`) of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """What some decisions look like.

    Parameters
    ----------
    contexts : ndarray of float64, shape (n, D)
        The first column is one. In each world the logit of a given action is linear in them.
    features : ndarray of float64, shape (n, actions, K)
        Joint features: the logit is linear in them, with the same parameters for each action.
    """

    contexts: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.contexts)

    def part(self, start: int, stop: int) -> Moments:
        """Return a run of them."""
        return Moments(self.contexts[start:stop], self.features[start:stop])


class World(Protocol):
    """Contexts come, and each action has a probability of a reward."""

    name: str
    n_actions: int
    n_params: int
    #: What is known of each action, shape (actions, d).
    actions: np.ndarray
    #: The share of what was learned that is to be kept from batch to batch; the same for all who can forget.
    keep: float

    def moments(self, rng: np.random.Generator, n: int) -> Moments:
        """Draw contexts with their features."""
        ...

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:
        """Return the true probability of a reward of each action, shape (n, actions), at a round."""
        ...


def logistic(value: np.ndarray) -> np.ndarray:
    """Return ``1 / (1 + exp(-value))``."""
    return np.asarray(1 / (1 + np.exp(-value)))


class Reference:
    """20 actions, 50 shared features: contexts times what is known of actions, and five contexts."""

    name, n_actions, n_params, keep = "reference", 20, 50, 1.0

    def __init__(self) -> None:
        world = np.random.default_rng(20260101)
        self.actions = world.normal(size=(20, 5)) / np.sqrt(5)
        self.actions[:, 0] = 1 / np.sqrt(5)
        self.theta = np.concatenate([world.normal(size=45) * 0.45, world.normal(size=5) * 0.3])
        self.theta[0] += -3.0 * np.sqrt(5)

    def moments(self, rng: np.random.Generator, n: int) -> Moments:
        x = rng.normal(size=(n, 9))
        x[:, 0] = 1.0
        outer = np.einsum("ni,kj->nkij", x, self.actions).reshape(n, 20, 45)
        return Moments(x, np.concatenate([outer, np.broadcast_to(x[:, None, :5], (n, 20, 5))], axis=2))

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:  # noqa: ARG002
        return logistic(moments.features @ self.theta)


class FiftyContexts(Reference):
    """The same with 41 contexts more, which mean nothing: for a model of each action as large as the shared one."""

    name = "fifty contexts"

    def moments(self, rng: np.random.Generator, n: int) -> Moments:
        found = super().moments(rng, n)
        return Moments(np.concatenate([found.contexts, rng.normal(size=(n, 41))], axis=1), found.features)


class Drifting(Reference):
    """The same, but tastes wander around the intercept: a third of a standard deviation every thousand rounds."""

    name, keep = "drifting", 0.95

    def __init__(self) -> None:
        super().__init__()
        rng, stays = np.random.default_rng(7), 0.95
        center = np.zeros(50)
        center[0] = -3.0 * np.sqrt(5)
        spread = np.repeat([0.45, 0.3], [45, 5])
        path = [self.theta - center]
        for _ in range(999):
            path.append(stays * path[-1] + np.sqrt(1 - stays**2) * spread * rng.normal(size=50))
        self.path = center + np.array(path)

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:
        return logistic(moments.features @ self.path[at // 1000])


class Disjoint:
    """Ten actions with nothing in common, each with parameters of its own on six contexts."""

    name, n_actions, n_params, keep = "disjoint", 10, 60, 1.0

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.actions = np.eye(10)
        self.theta = rng.normal(size=(10, 6)) * 0.5
        self.theta[:, 0] -= 2.0

    def moments(self, rng: np.random.Generator, n: int) -> Moments:
        x = rng.normal(size=(n, 6))
        x[:, 0] = 1.0
        features = np.zeros((n, 10, 10, 6))
        features[:, range(10), range(10)] = x[:, None]
        return Moments(x, features.reshape(n, 10, 60))

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:  # noqa: ARG002
        return logistic(moments.contexts @ self.theta.T)


class Plain:
    """Twenty actions, no context: a plain bandit with rare rewards, where greed gets stuck."""

    name, n_actions, n_params, keep = "plain", 20, 20, 1.0

    def __init__(self) -> None:
        self.actions = np.eye(20)
        self.chance = logistic(-3 + 0.3 * np.random.default_rng(3).normal(size=20))

    def moments(self, rng: np.random.Generator, n: int) -> Moments:  # noqa: ARG002
        return Moments(np.ones((n, 1)), np.broadcast_to(self.actions, (n, 20, 20)))

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:  # noqa: ARG002
        return np.broadcast_to(self.chance, (len(moments), 20))


class Store:
    """A store whose truth was written down by :mod:`bench.stores`, tastes step by step.

    Parameters
    ----------
    path : Path
        Of its file.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as of:
            self.actions, self.tastes = of["actions"], of["tastes"]
            self.every, self.keep = int(of["every"]), float(of["keep"])
        self.name = path.stem
        self.n_actions, self.n_context = len(self.actions), self.tastes.shape[1]
        self.n_params = self.n_context * self.actions.shape[1]

    def moments(self, rng: np.random.Generator, n: int) -> Moments:
        x = rng.normal(size=(n, self.n_context))
        x[:, 0] = 1.0
        outer = np.einsum("ni,kj->nkij", x, self.actions)
        return Moments(x, outer.reshape(n, self.n_actions, self.n_params))

    def probabilities(self, moments: Moments, at: int) -> np.ndarray:
        return logistic(moments.contexts @ self.tastes[at // self.every] @ self.actions.T)


#: Where :mod:`bench.stores` writes and :func:`world_named` reads.
STORES = Path(__file__).parents[2] / ".data" / "stores"

WORLDS: dict[str, type[World]] = {world.name: world for world in (Reference, FiftyContexts, Disjoint, Drifting, Plain)}


def path_of_store(name: str, seed: int) -> Path:
    """Return where the store of a run is written down."""
    return STORES / f"{name}-{seed}.npz"


def world_named(name: str, seed: int) -> World:
    """Return the world of a run: one of these, or the store of that name and seed."""
    return WORLDS[name]() if name in WORLDS else Store(path_of_store(name, seed))

"""The Open Bandit Pipeline: a linear model for each arm on the contexts, one decision at a time."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bench.peers.bandits.worlds import Moments, World

# Its package of policies imports torch for those that learn offline; the linear ones do without.
_found = find_spec("obp")
assert _found is not None
assert _found.origin is not None
_policies = ModuleType("obp.policy")
_policies.__path__ = [str(Path(_found.origin).parent / "policy")]
for _name, _path in (("obp", [str(Path(_found.origin).parent)]), ("obp.policy", _policies.__path__)):
    _module = ModuleType(_name)
    _module.__path__ = list(_path)
    sys.modules[_name] = _module


class Upper:
    """LinUCB with its defaults."""

    label, package, warm = "obp LinUCB", "obp", 20

    def __init__(self, world: World, seed: int) -> None:
        from obp.policy.linear import LinUCB

        width = world.moments(np.random.default_rng(0), 1).contexts.shape[1]
        self.model: Any = LinUCB(dim=width, n_actions=world.n_actions, epsilon=0.1, random_state=seed)

    def prepare(self, moments: Moments) -> Any:
        return [x[None] for x in moments.contexts]

    def decide(self, prepared: Any) -> np.ndarray:
        return np.array([self.model.select_action(x)[0] for x in prepared])

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        for x, action, reward in zip(prepared, actions, rewards, strict=True):
            self.model.update_params(int(action), float(reward), x)

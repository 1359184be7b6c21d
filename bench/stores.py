"""Worlds that were not looked at when the width of our draws was chosen. Imports numpy and revealed.

They are drawn by ``StoreWorld``, whose law is not that of :mod:`bench.peers.bandits.worlds`, and each run's seed has a
world of its own: what a table says of them it says of the law, not of one lucky world.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import getpid

import numpy as np

from bench.peers.bandits.worlds import path_of_store
from revealed.choices.store_world import RandomWalk, StoreWorld

#: The world of run s has this seed plus s. No other part of the project uses them.
FIRST = 770_000
#: As far as tastes are written down, whatever the rounds of a run: a short run leaves a long one's store as it is.
HORIZON = 100_000


@dataclass(frozen=True)
class Family:
    """Stores of one kind.

    Parameters
    ----------
    about : str
    n_items, n_context : int
    n_item_attributes : int or None
    base_rate, taste, step : float
        As in ``StoreWorld``; the step is that of a random walk, every 1,000 rounds.
    keep : float
        The share of what was learned that all who can forget keep from batch to batch.
    """

    about: str
    n_items: int = 20
    n_context: int = 10
    n_item_attributes: int | None = 5
    base_rate: float = 0.05
    taste: float = 1.0
    step: float = 0.0
    keep: float = 1.0

    def world(self, seed: int) -> StoreWorld:
        """Return the store of a run."""
        return StoreWorld(
            n_items=self.n_items,
            n_context=self.n_context,
            n_item_attributes=self.n_item_attributes,
            base_rate=self.base_rate,
            taste=self.taste,
            drift=RandomWalk(step=self.step, every=1000) if self.step else None,
            seed=FIRST + seed,
        )


FAMILIES = {
    "store": Family("20 items with 5 attributes, 10 contexts, 5 rewards in 100"),
    "store-disjoint": Family(
        "10 items with tastes of their own, 6 contexts", n_items=10, n_context=6, n_item_attributes=None, base_rate=0.1
    ),
    "store-drifting": Family("tastes walk a tenth of their size every 1,000 rounds", step=0.1, keep=0.98),
    "store-rare": Family("5 rewards in 1,000", base_rate=0.005),
    "store-plain": Family("20 items, no context, no attributes", n_context=1, n_item_attributes=None, taste=0.5),
}


def write(name: str, seed: int, n_rounds: int = HORIZON) -> None:
    """Write the store of a run for :class:`bench.peers.bandits.worlds.Store`."""
    family, horizon = FAMILIES[name], max(n_rounds, HORIZON)
    world, every = family.world(seed), 1000 if family.step else horizon
    starts = np.arange(0, horizon, every)
    actions = world.tastes.attributes
    tastes = np.array([world.theta_at(float(start)).reshape(family.n_context, actions.shape[1]) for start in starts])
    path = path_of_store(name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{getpid()}.npz")  # whole or not at all: a run beside this one may read it
    np.savez(part, actions=actions, tastes=tastes, every=every, keep=family.keep)
    part.replace(path)

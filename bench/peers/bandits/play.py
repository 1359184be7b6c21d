"""A policy in a world, run after run: its cumulative regret. Imports numpy only.

python -m bench.peers.bandits.play MODULE:CLASS WORLD ROUNDS SEED [SEED ...]

prints a line of JSON for each seed as soon as it is known.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from bench.peers.bandits.form import BATCH, Peer, named
from bench.peers.bandits.worlds import World, world_named

#: The regret so far is noted after every so many rounds.
EVERY = 1000


def regret(kind: type[Peer], world: World, seed: int, n_rounds: int) -> dict[str, Any]:
    """Return the cumulative regret, after every :data:`EVERY` rounds and in all, and the CPU seconds it took."""
    peer = kind(world, seed)
    rng = np.random.default_rng(np.random.SeedSequence((20260102, seed)))
    total, curve, began = 0.0, [], time.process_time()
    for at in range(0, n_rounds, BATCH):
        moments = world.moments(rng, BATCH)
        probability = world.probabilities(moments, at)
        luck = rng.random(BATCH)
        prepared = peer.prepare(moments)
        shown = np.asarray(peer.decide(prepared))
        of_shown = probability[np.arange(BATCH), shown]
        total += float((probability.max(axis=1) - of_shown).sum())
        if (at + BATCH) % EVERY == 0:
            curve.append(round(total, 3))
        peer.learn(prepared, shown, (luck < of_shown).astype(np.float64))
    return {"regret": total, "curve": curve, "cpu": round(time.process_time() - began, 2)}


def main(which: str, world: str, n_rounds: str, *seeds: str) -> None:
    """Play, and print."""
    kind, about = named(which)
    for seed in map(int, seeds):
        found = regret(kind, world_named(world, seed), seed, int(n_rounds))
        print(json.dumps({**about, "seed": seed, **found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

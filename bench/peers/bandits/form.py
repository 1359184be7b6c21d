"""The form of a peer, and what is measured of it. Imports numpy only.

python -m bench.peers.bandits.form MODULE:CLASS speed
python -m bench.peers.bandits.form MODULE:CLASS regret WORLD SEEDS ROUNDS

prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from bench.peers.bandits.worlds import WORLDS, Moments, World
from bench.peers.measure import peak_gib

#: Decided and learned together.
BATCH = 100
#: Blocks timed; the best counts, as others share the machine.
BLOCKS = 5
#: Seconds after which no further block is timed.
LONG = 5.0


class Peer(Protocol):
    """A policy of some library."""

    label: str
    package: str
    #: Batches it learns before it is timed; where that is one, learning takes seconds and is timed then.
    warm: int

    def __init__(self, world: World, seed: int) -> None: ...

    def prepare(self, moments: Moments) -> Any:
        """Return moments in the library's own form; not timed."""
        ...

    def decide(self, prepared: Any) -> np.ndarray:
        """Return the actions to show."""
        ...

    def learn(self, prepared: Any, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Learn what came of the last moments decided."""
        ...


def regret(kind: type[Peer], world: World, seed: int, n_rounds: int) -> dict[str, Any]:
    """Return the cumulative regret after each tenth of the rounds."""
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
        curve.append(total)
        peer.learn(prepared, shown, (luck < of_shown).astype(np.float64))
    tenth = max(1, len(curve) // 10)
    return {"regret": total, "curve": curve[tenth - 1 :: tenth], "cpu": time.process_time() - began}


def best_rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second of CPU time, in the best of some blocks, or in one that takes long."""
    spent: list[float] = []
    while len(spent) < BLOCKS and sum(spent) < LONG:
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return count / min(spent)


def speed(kind: type[Peer]) -> dict[str, Any]:
    """Return decisions and updates a second of CPU time, after it has learned from two thousand answers."""
    world = WORLDS["reference"]()
    peer, rng = kind(world, 0), np.random.default_rng(1)
    many = world.moments(rng, 2000)
    outcomes, learning = [], 0.0
    for start in range(0, peer.warm * BATCH, BATCH):
        moments = many.part(start, start + BATCH)
        prepared = peer.prepare(moments)
        shown = np.asarray(peer.decide(prepared))
        probability = world.probabilities(moments, 0)[np.arange(BATCH), shown]
        outcomes.append((prepared, shown, (rng.random(BATCH) < probability).astype(np.float64)))
        began = time.process_time()
        peer.learn(*outcomes[-1])
        learning += time.process_time() - began
    singles = [peer.prepare(many.part(i, i + 1)) for i in range(1000 if peer.warm > 1 else 20)]
    rates = {
        "decide singly": best_rate(len(singles), lambda: [peer.decide(single) for single in singles]),
        "decide by 100": best_rate(len(outcomes) * BATCH, lambda: [peer.decide(outcome[0]) for outcome in outcomes]),
    }
    if peer.warm == 1:
        return {"rates": rates | {"learn by 100": BATCH / learning}, "peak": peak_gib()}

    def learn(some: Sequence[Any]) -> None:
        for outcome in some:
            peer.learn(*outcome)

    rates["learn by 100"] = best_rate(len(outcomes) * BATCH, lambda: learn(outcomes))
    for single in singles[:BATCH]:  # what some remember of a decision when they learn from it
        peer.decide(single)
    of_one = [
        (singles[i], *(values[i % BATCH : i % BATCH + 1] for values in outcomes[i // BATCH][1:])) for i in range(300)
    ]
    rates["learn singly"] = best_rate(len(of_one), lambda: learn(of_one))
    return {"rates": rates, "peak": peak_gib()}


def main(which: str, task: str, *more: str) -> None:
    """Measure, and print a line of JSON."""
    module, name = which.split(":")
    kind: type[Peer] = getattr(import_module(module), name)
    found: dict[str, Any] = {"label": kind.label, "version": f"{kind.package} {version(kind.package)}"}
    if task == "speed":
        found |= speed(kind)
    else:
        world, seeds, n_rounds = more
        found["runs"] = [regret(kind, WORLDS[world](), seed, int(n_rounds)) for seed in range(int(seeds))]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

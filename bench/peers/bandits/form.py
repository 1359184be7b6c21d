"""The form of a peer, and how fast one is. Imports numpy only.

python -m bench.peers.bandits.form MODULE:CLASS speed [WORLD]

prints a line of JSON. Its regret: :mod:`bench.peers.bandits.play`.
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


def best_rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second of CPU time, in the best of some blocks, or in one that takes long."""
    spent: list[float] = []
    while len(spent) < BLOCKS and sum(spent) < LONG:
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return count / min(spent)


def speed(kind: type[Peer], world: World) -> dict[str, Any]:
    """Return decisions and updates a second of CPU time, after it has learned from two thousand answers."""
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


def named(which: str) -> tuple[type[Peer], dict[str, Any]]:
    """Return the class that ``module:class`` names, and what it is called in tables."""
    module, name = which.split(":")
    kind: type[Peer] = getattr(import_module(module), name)
    return kind, {"label": kind.label, "version": f"{kind.package} {version(kind.package)}"}


def main(which: str, task: str, world: str = "reference") -> None:
    """Measure, and print a line of JSON."""
    if task != "speed":
        raise SystemExit(f"the task is speed, not {task}")
    kind, about = named(which)
    print(json.dumps(about | speed(kind, WORLDS[world]())))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The form of a peer, and what is measured of it. Imports numpy only.

python -m bench.peers.bandits.form MODULE:CLASS speed
python -m bench.peers.bandits.form MODULE:CLASS regret WORLD SEED ROUNDS

prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, Protocol

from bench.peers.measure import peak_gib, pin_threads

pin_threads()

import numpy as np  # noqa: E402

from bench.peers.bandits.worlds import WORLDS, Moments, World  # noqa: E402

#: Decided and learned together.
BATCH = 100
#: Blocks timed; the best counts, as others share the machine.
BLOCKS = 5


class Peer(Protocol):
    """A policy of some library."""

    label: str
    package: str
    #: What of it is slow, and is timed on fewer.
    slow: bool

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


def speed(kind: type[Peer]) -> dict[str, Any]:
    """Return decisions and updates a second of CPU time, after it has learned from two thousand answers."""
    world = WORLDS["reference"]()
    peer, rng = kind(world, 0), np.random.default_rng(1)
    many = world.moments(rng, 2000)
    answered = [many.part(start, start + BATCH) for start in range(0, 2000, BATCH)]
    outcomes = []
    for moments in answered:
        prepared = peer.prepare(moments)
        shown = np.asarray(peer.decide(prepared))
        probability = world.probabilities(moments, 0)[np.arange(BATCH), shown]
        outcomes.append((prepared, shown, (rng.random(BATCH) < probability).astype(np.float64)))
        peer.learn(*outcomes[-1])
    n_single, n_batches = (100, 2) if peer.slow else (2000, 20)
    singles = [peer.prepare(many.part(i, i + 1)) for i in range(n_single)]
    rates: dict[str, float] = {}

    def timed(name: str, count: int, work: Callable[[], None]) -> None:
        spent = []
        for _ in range(BLOCKS):
            began = time.process_time()
            work()
            spent.append(time.process_time() - began)
        rates[name] = count / min(spent)

    def decide_singly() -> None:
        for single in singles:
            peer.decide(single)

    def decide_batches() -> None:
        for prepared, _, _ in outcomes[:n_batches]:
            peer.decide(prepared)

    def learn_batches() -> None:
        for outcome in outcomes[:n_batches]:
            peer.learn(*outcome)

    def learn_singly() -> None:
        for i, single in enumerate(singles[:300]):
            _, shown, rewards = outcomes[i // BATCH]
            peer.decide(single) if needs_decision else None
            peer.learn(single, shown[i % BATCH : i % BATCH + 1], rewards[i % BATCH : i % BATCH + 1])

    needs_decision = getattr(peer, "needs_decision", False)
    timed("decide singly", n_single, decide_singly)
    timed("decide by 100", n_batches * BATCH, decide_batches)
    timed("learn by 100", n_batches * BATCH, learn_batches)
    timed("learn singly", min(n_single, 300), learn_singly)
    return {"rates": rates, "peak": peak_gib()}


def main(which: str, task: str, *more: str) -> None:
    """Measure, and print a line of JSON."""
    module, name = which.split(":")
    kind: type[Peer] = getattr(import_module(module), name)
    found: dict[str, Any] = {"label": kind.label, "version": f"{kind.package} {version(kind.package)}"}
    if task == "speed":
        found |= speed(kind)
    else:
        world, seed, n_rounds = more
        found |= regret(kind, WORLDS[world](), int(seed), int(n_rounds))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

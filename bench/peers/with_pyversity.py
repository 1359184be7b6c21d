"""pyversity's slates: MMR, greedy-MAP DPP, MSD and SSD. Usage: FOLDER (mmr | dpp | msd | ssd)."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bench.peers.measure import pin_threads


def main(folder: Path, strategy: str) -> None:
    """Make each slate at several settings, a few times each; print the fastest times, and the slates."""
    pin_threads()
    diversify = import_module("pyversity").diversify

    world = np.load(folder / "world.npz")
    embeddings = world["embeddings"]
    settings = []
    for diversity in (0.05, 0.2, 0.5, 0.8):
        orders, milliseconds = [], []
        for scores in world["scores"]:
            fastest = np.inf
            for _ in range(2):
                began = time.process_time()
                found = diversify(embeddings, scores, int(world["size"]), strategy, diversity=diversity)
                fastest = min(fastest, time.process_time() - began)
            orders.append(found.indices.tolist())
            milliseconds.append(1e3 * fastest)
        settings.append({"diversity": diversity, "orders": orders, "milliseconds": milliseconds})
    print(json.dumps({"version": version("pyversity"), "settings": settings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""Cumulative regret over 100,000 rounds, ours and the peers', in worlds with a known truth.

python -m bench.regret --peers PYTHON [--seeds N] [--rounds N] [--worlds reference disjoint ...]
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from os import cpu_count
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from bench import report
from bench.bandits import measured

OURS = tuple(f"ours:{name}" for name in ("Thompson", "Wide", "Upper", "Second", "Epsilon", "Best", "WithLimits"))
#: With one model on the joint features, in every world.
PEERS = ("with_numpy:Draw", "with_bayesianbandits:Thompson")
#: Slower, or with a model for each action: where they are at home.
MORE = {
    "reference": ("with_vowpal:Bag", "with_contextualbandits:Upper", "with_contextualbandits:Thompson"),
    "disjoint": ("with_vowpal:Bag", "with_contextualbandits:Upper", "with_contextualbandits:Thompson"),
    "drifting": ("with_vowpal:Bag",),
    "plain": (),
}
WORLDS = ("reference", "disjoint", "drifting", "plain")


def main() -> None:
    """Run every policy in every world with every seed, print a table for each world."""
    parser = argparse.ArgumentParser(description="Cumulative regret, ours and the peers'.")
    parser.add_argument("--peers", default=sys.executable, help="a python that has the peers' libraries")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=WORLDS)
    options = parser.parse_args()
    everything = {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for world in options.worlds:

            def run(which: str, world: str = world) -> dict[str, Any] | None:
                python = sys.executable if which in OURS else options.peers
                return measured(python, which, "regret", world, str(options.seeds), str(options.rounds))

            report.heading(
                f"Regret: the world '{world}'",
                f"{options.rounds:,} rounds, decided and learned by 100; mean of {options.seeds} seeds, 95% interval",
            )
            policies = (*MORE[world], *PEERS, *OURS)
            found = zip(policies, pool.map(run, policies), strict=True)
            everything[world] = show({which: got for which, got in found if got})
    report.save("regret", {"worlds": everything})


def show(found: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Print the table of a world, and whether ours is the lowest; return the regrets of each policy."""
    regrets = {which: [run["regret"] for run in got["runs"]] for which, got in found.items()}
    rows = []
    for which, values in sorted(regrets.items(), key=lambda item: mean(item[1])):
        about = found[which]
        n = len(values)
        half = float(t.ppf(0.975, n - 1)) * stdev(values) / sqrt(n) if n > 1 else float("nan")
        early = mean(one["curve"][0] for one in about["runs"])
        cpu = mean(one["cpu"] for one in about["runs"])
        rows.append(
            [about["label"], about["version"], f"{mean(values):,.0f}", f"± {half:,.0f}", f"{early:,.0f}", f"{cpu:.1f}"]
        )
    columns = ("policy", "version", "regret", "95%", "after a tenth", "CPU s, with the world")
    report.table(columns, rows, left=("policy", "version"))
    peers = {which: mean(values) for which, values in regrets.items() if which not in OURS}
    if peers:
        lowest = min(peers, key=lambda which: peers[which])
        ours = mean(regrets["ours:Thompson"])
        label = found[lowest]["label"]
        report.note(
            report.goal(
                ours < peers[lowest], f"our default {ours:,.0f}, the best peer ({label}) {peers[lowest]:,.0f}: lowest"
            )
        )
    return regrets


if __name__ == "__main__":
    main()

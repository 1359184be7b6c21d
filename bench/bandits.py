"""Decisions and updates a second: ours against the bandit libraries, each in a process of its own.

python -m bench.bandits --peers PYTHON

PYTHON is one that has the peers' libraries; a peer that is not there is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from bench import report

OURS = ("ours:Thompson", "ours:WithPropensities", "ours:WithLimits", "ours:Upper")
PEERS = (
    "with_numpy:Draw",
    "with_bayesianbandits:Thompson",
    "with_vowpal:Epsilon",
    "with_vowpal:Bag",
    "with_contextualbandits:Upper",
    "with_contextualbandits:Thompson",
    "with_mabwiser:Upper",
    "with_mabwiser:Thompson",
    "with_river:Upper",
    "with_obp:Upper",
    "with_pybandits:Thompson",
)
#: Written here for comparison, not a library.
_NO_LIBRARY = "with_numpy:Draw"
WORK = ("decide singly", "decide by 100", "learn by 100", "learn singly")


def one_thread() -> dict[str, str]:
    """Return the environment with every library kept to one thread from its start: numpy reads it when it is loaded."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")
    return os.environ | {f"{name}_NUM_THREADS": "1" for name in names}


def measured(python: str, which: str, *task: str) -> dict[str, Any] | None:
    """Return what a peer printed, or None, after saying why, if it did not run."""
    command = [python, "-m", "bench.peers.bandits.form", f"bench.peers.bandits.{which}", *task]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread())
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no message"]
        report.note(f"left out: {which}: {why[0]}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def fastest(found: dict[str, dict[str, Any]], names: tuple[str, ...], work: str) -> tuple[float, str]:
    """Return the highest rate of some, and whose it is."""
    rates = [(found[name]["rates"][work], found[name]["label"]) for name in names if work in found[name]["rates"]]
    return max(rates, default=(float("nan"), "none"))


def goals(found: dict[str, dict[str, Any]], sparse: dict[str, float]) -> None:
    """Print which figures are reached."""
    libraries = tuple(name for name in PEERS if name in found and name != _NO_LIBRARY)
    ours = found["ours:Thompson"]["rates"]

    def against(work: str, names: tuple[str, ...], least: float) -> None:
        rate, whose = fastest(found, names, work)
        ratio = ours[work] / rate
        report.note(report.goal(ratio >= least, f"{work}: {ratio:.1f} times {whose}, >= {least:g} times"))

    joint = tuple(name for name in libraries if "bayesianbandits" in name or "vowpal" in name)
    against("decide singly", libraries, 5)
    against("decide by 100", libraries, 2)
    against("decide by 100", joint, 2)
    against("learn by 100", tuple(name for name in libraries if "bayesianbandits" in name), 2)
    against("learn singly", tuple(name for name in libraries if "vowpal" in name), 1)
    least = min(sparse.values())
    report.note(report.goal(least >= 50_000, f"sparse diagonal, 100 of 1,000,000 active: {least:,.0f}/s, >= 50,000/s"))


def main() -> None:
    """Measure all, print the table."""
    parser = argparse.ArgumentParser(description="Decisions and updates a second, ours and the peers'.")
    parser.add_argument("--peers", default=sys.executable, help="a python that has the peers' libraries")
    options = parser.parse_args()
    report.heading(
        "Bandits: decisions and updates a second of CPU time",
        "20 actions, 50 joint features, after 2,000 answers; the best of five blocks, one thread",
        "numpy, bayesianbandits and vowpalwabbit: one model on the joint features, as ours; the other peers",
        "cannot share one, and have a small model of 9 contexts for each action",
    )
    found: dict[str, dict[str, Any]] = {}
    for which in (*OURS, *PEERS):
        got = measured(sys.executable if which in OURS else options.peers, which, "speed")
        if got:
            found[which] = got
    best = {work: found["ours:Thompson"]["rates"][work] for work in WORK}
    rows = []
    for got in found.values():
        cells = [got["label"], got["version"]]
        for work in WORK:
            rate = got["rates"].get(work)
            cells += ["" if rate is None else f"{rate:,.0f}", "" if rate is None else f"{best[work] / rate:.1f}"]
        rows.append([*cells, f"{got['peak']:.2f}"])
    columns = ["policy", "version"]
    for work in WORK:
        columns += [work, "ours is ×"]
    report.table([*columns, "peak GiB"], rows, left=("policy", "version"))
    command = [sys.executable, "-m", "bench.peers.bandits.sparse_updates"]
    sparse = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread()).stdout)
    report.note("sparse diagonal: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in sparse["rates"].items()))
    goals(found, sparse["rates"])
    report.save("bandits", {"found": found, "sparse": sparse})


if __name__ == "__main__":
    main()

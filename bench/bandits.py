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
import time
from typing import Any

from bench import report

OURS = ("ours:Thompson", "ours:WithPropensities", "ours:WithLimits", "ours:Upper")
#: One model on the 50 features that decision and action have together, as ours.
SHARED = (
    "with_numpy:Draw",
    "with_bayesianbandits:Thompson",
    "with_vowpal:Epsilon",
    "with_vowpal:Bag",
)
#: A model for each action on the contexts of the decision: their interfaces have no features of decision and action.
APART = (
    "with_contextualbandits:Upper",
    "with_contextualbandits:Thompson",
    "with_mabwiser:Upper",
    "with_mabwiser:Thompson",
    "with_river:Upper",
    "with_obp:Upper",
    "with_pybandits:Thompson",
)
#: What the models of an action of its own see, by the world they are measured in: as much as ours, or what is enough.
CONTEXTS = {"fifty contexts": "50 contexts, an action", "reference": "9 contexts, an action"}
#: Written here for comparison, not a library.
_NO_LIBRARY = "with_numpy:Draw"
#: Seconds after which a policy is not measured again.
_LONG = 60
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


def measured_all(peers: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Return what was found of each policy in each of its forms, with what its model sees.

    All take turns, and of each the best rate counts: a machine that others use is slow for a minute at a time. What
    takes longer than a minute is measured once.
    """
    plan = [(sys.executable, which, "reference", "50 features, shared") for which in OURS]
    plan += [(peers, which, "reference", "50 features, shared") for which in SHARED]
    plan += [(peers, which, world, sees) for world, sees in CONTEXTS.items() for which in APART]
    found: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        again = []
        for python, which, world, sees in plan:
            began = time.monotonic()
            got = measured(python, which, "speed", world)
            if got is None:
                continue
            name = f"{which}, {sees}"
            before = found.get(name, got)
            got["rates"] = {work: max(rate, before["rates"][work]) for work, rate in got["rates"].items()}
            found[name] = got | {"which": which, "sees": sees}
            if time.monotonic() - began < _LONG:
                again.append((python, which, world, sees))
        plan = again
    return found


def sparse_updates(rounds: int) -> dict[str, float]:
    """Return the rates of updates without covariances, the best of some rounds."""
    command = [sys.executable, "-m", "bench.peers.bandits.sparse_updates"]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread()).stdout)[
            "rates"
        ]
        for _ in range(rounds)
    ]
    return {name: max(run[name] for run in runs) for name in runs[0]}


def goals(found: dict[str, dict[str, Any]], sparse: dict[str, float]) -> None:
    """Print which figures are reached."""
    (ours,) = (got["rates"] for got in found.values() if got["which"] == "ours:Thompson")
    libraries = [got for got in found.values() if got["which"] not in (*OURS, _NO_LIBRARY)]

    def against(work: str, some: list[dict[str, Any]], least: float) -> None:
        rivals = [got for got in some if work in got["rates"]]
        if not rivals:
            report.note(f"{work}: nothing to compare with")
            return
        best = max(rivals, key=lambda got: float(got["rates"][work]))
        ratio = ours[work] / best["rates"][work]
        named = f"{best['label']} ({best['sees']})"
        report.note(report.goal(ratio >= least, f"{work}: {ratio:.1f} times {named}, >= {least:g} times"))

    def of(package: str) -> list[dict[str, Any]]:
        return [got for got in libraries if got["version"].startswith(package)]

    against("decide singly", libraries, 5)
    for sees in ("50 features, shared", *CONTEXTS.values()):
        against("decide by 100", [got for got in libraries if got["sees"] == sees], 2)
    against("learn by 100", of("bayesianbandits"), 2)
    against("learn singly", of("vowpalwabbit"), 1)
    least = min(sparse.values())
    report.note(report.goal(least >= 50_000, f"sparse diagonal, 100 of 1,000,000 active: {least:,.0f}/s, >= 50,000/s"))


def main() -> None:
    """Measure all, print the table."""
    parser = argparse.ArgumentParser(description="Decisions and updates a second, ours and the peers'.")
    parser.add_argument("--peers", default=sys.executable, help="a python that has the peers' libraries")
    parser.add_argument("--rounds", type=int, default=3, help="how often all take turns")
    options = parser.parse_args()
    report.heading(
        "Bandits: decisions and updates a second of CPU time",
        "20 actions, after 2,000 answers; one thread",
        "the best of five blocks in each of some rounds; what takes beyond a minute, in one",
        "shared: one model on 50 features that decision and action have together, all covariances",
        "an action: a model for each action on contexts of the decision, all that these libraries take; 50, as many as",
        "ours has features, or the 9 that are enough for each action alone",
        "ours has a draw for each decision; bayesianbandits one for all of a batch, and singly one for each",
    )
    found = measured_all(options.peers, options.rounds)
    (best,) = (got["rates"] for got in found.values() if got["which"] == "ours:Thompson")
    rows = []
    for got in found.values():
        cells = [got["label"], got["sees"]]
        for work in WORK:
            rate = got["rates"].get(work)
            cells += ["" if rate is None else f"{rate:,.0f}", "" if rate is None else f"{best[work] / rate:.1f}"]
        rows.append([*cells, f"{got['peak']:.2f}"])
    columns = ["policy", "model"]
    for work in WORK:
        columns += [work, "ours ×"]
    report.table([*columns, "GiB"], rows, left=("policy", "model"))
    report.note(", ".join(sorted({got["version"] for got in found.values()})))
    sparse = sparse_updates(options.rounds)
    report.note("sparse diagonal: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in sparse.items()))
    goals(found, sparse)
    report.save("bandits", {"found": found, "sparse": sparse})


if __name__ == "__main__":
    main()

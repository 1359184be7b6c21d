"""Demand on market shares: ours against pyblp, on the two problems of pyblp's tutorials.

    python -m bench.blp --peer .venv-bench-blp/bin/python [--only cereals|automobiles] [--repeats N]

Both invert shares to 1e-14, each in a process and on a thread of its own; CPU seconds of the estimation with standard
errors, without import and reading. pyblp takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from bench import report

#: The objectives that are published, and how many times faster than the peer we mean to be.
PUBLISHED = {"cereals": "4.561514", "automobiles": "497.3357"}
GOAL = 3.0


def once(python: str, module: str, problem: str) -> dict[str, Any]:
    """Run one of both once, and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-W", "ignore", "-m", module, problem], check=False, capture_output=True, text=True, env=environment
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"{module} {problem}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    print(f"  {module} {problem}: {json.loads(lines[-1])['seconds']['fit_wall']:.0f} s", file=sys.stderr)
    return dict(json.loads(lines[-1]))


def apart(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Return the largest difference of an estimate of tastes, in its standard errors."""
    return max(float(abs(a - b) / e) for a, b, e in zip(ours["params"], theirs["params"], ours["errors"], strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Demand on market shares: ours against pyblp.")
    parser.add_argument("--peer", default=".venv-bench-blp/bin/python", help="the Python that has pyblp")
    parser.add_argument("--only", choices=[*PUBLISHED], default=None)
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours; the peer runs once")
    options = parser.parse_args()
    report.heading(
        "Demand on market shares",
        "pyblp's tutorials: Nevo's cereals, one step; automobiles, two steps with supply; shares inverted to 1e-14",
    )
    rows, reached, kept = [], True, {}
    for problem in [options.only] if options.only else [*PUBLISHED]:
        ours = [once(sys.executable, "bench.ours_blp", problem) for _ in range(options.repeats)]
        theirs = once(options.peer, "bench.peers.with_pyblp", problem)
        mine, other = median(run["seconds"]["fit_cpu"] for run in ours), theirs["seconds"]["fit_cpu"]
        for run, seconds in ((ours[-1], mine), (theirs, other)):
            printed = f"{run['more']['objective']:.{len(PUBLISHED[problem].split('.')[1])}f}"
            reached &= run is theirs or (other / mine >= GOAL and printed == PUBLISHED[problem])
            rows.append(
                [
                    problem,
                    f"{run['name']} {run['version']}",
                    f"{seconds:.2f}",
                    f"{seconds / mine:.1f}",
                    printed,
                    run["notes"],
                ]
            )
        rows[-1][-1] += f"; {apart(ours[-1], theirs):.0e} standard errors from ours"
        kept[problem] = {"ours": ours, "pyblp": theirs}
    report.table(
        ["problem", "program", "CPU s", "× ours", "objective", "notes"], rows, left=["problem", "program", "notes"]
    )
    report.note(report.goal(reached, f"at least {GOAL:g} times faster than pyblp, the published objectives:"))
    report.save("blp", kept)


if __name__ == "__main__":
    main()

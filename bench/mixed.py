"""The mixed logit, ours against xlogit, each in a process of its own.

    python -m bench.mixed --peers .venv-bench/bin/python [--people N] [--draws N] [--repeats N] [--compiled]

Prints medians over the runs and the peer's CPU seconds over ours, one thread each. Both sets of estimates are judged by
one log-likelihood, simulated with draws that neither had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import report

PEOPLE, CHOICES, ALTERNATIVES, COEFFICIENTS, DRAWS = 5_000, 8, 10, 8, 500
GOAL = 5.0
#: The judge's draws.
_JUDGE_DRAWS, _JUDGE_SEED = 1_000, 977


def prepare(folder: Path, people: int) -> None:
    """Write the choices of people whose eight tastes are normal."""
    random = np.random.default_rng(20_261_121)
    mean = np.linspace(-1.0, 1.0, COEFFICIENTS)
    tastes = mean + 0.7 * random.normal(size=(people, COEFFICIENTS))
    x = random.normal(size=(people, CHOICES, ALTERNATIVES, COEFFICIENTS))
    utility = np.einsum("ptjk,pk->ptj", x, tastes) + random.gumbel(size=x.shape[:3])
    chosen = utility.argmax(axis=2).reshape(-1)
    n_cases = people * CHOICES
    np.save(folder / "attributes.npy", x.reshape(n_cases, ALTERNATIVES, COEFFICIENTS))
    np.save(folder / "chosen.npy", chosen)
    np.save(folder / "persons.npy", np.repeat(np.arange(people), CHOICES))
    columns: dict[str, Any] = {
        "person": np.repeat(np.arange(people), CHOICES * ALTERNATIVES),
        "case": np.repeat(np.arange(n_cases), ALTERNATIVES),
        "alternative": np.tile(np.arange(ALTERNATIVES), n_cases),
        "chosen": (chosen[:, None] == np.arange(ALTERNATIVES)).reshape(-1),
    }
    columns |= {f"x{k}": x[..., k].reshape(-1) for k in range(COEFFICIENTS)}
    pq.write_table(pa.table(columns), folder / "long.parquet")


def run_once(python: str, module: str, *arguments: str, limit: int) -> dict[str, Any] | str:
    """Run a contender once; return what it printed, or why it did not."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [python, "-m", module, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=limit,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {limit} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return (done.stderr.strip().splitlines() or ["no output"])[-1][:100]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def judge(folder: Path, params: list[float]) -> float:
    """Return the log-likelihood at estimates, simulated with draws of the judge's own."""
    import revealed
    from revealed import Mixed
    from revealed.engine import InProcess
    from revealed.evidence import Detail

    log = revealed.read(folder / "long.parquet", person="person")
    names = [f"x{k}" for k in range(COEFFICIENTS)]
    model = Mixed(
        " + ".join(names), random=dict.fromkeys(names, "normal"), draws=_JUDGE_DRAWS, seed=_JUDGE_SEED, kind="halton"
    )
    law, point = model.law(log), np.array(params)
    evidence = InProcess().sum(lambda partition: law.evidence(partition, point, Detail.SCORE), log)
    return evidence.log_likelihood


COLUMNS = ("estimation", "version", "CPU s", "over ours", "goal", "wall s", "peak GiB", "own log-likelihood", "judged")


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description="The mixed logit, ours against xlogit.")
    parser.add_argument("--peers", default=".venv-bench/bin/python", help="the Python that has the peer")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limit", type=int, default=1_800, help="seconds after which a run is stopped")
    parser.add_argument("--compiled", action="store_true", help="ours by JAX too, on a GPU where it finds one")
    options = parser.parse_args()
    size = (
        f"{options.people:,} people x {CHOICES} choices x {ALTERNATIVES} alternatives, {COEFFICIENTS} normal "
        f"coefficients, {options.draws:,} draws"
    )
    report.heading("Mixed logit, ours against xlogit", size, "medians; one thread each")
    contenders = {
        "revealed": (sys.executable, "bench.ours_mixed", ()),
        "xlogit": (options.peers, "bench.peers.with_xlogit_mixed", ("default",)),
    }
    if options.compiled:
        contenders["revealed, compiled"] = (sys.executable, "bench.ours_mixed", ("compiled",))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        prepare(folder, options.people)
        for _ in range(options.repeats):
            for name, (python, module, mode) in contenders.items():
                found = run_once(python, module, str(folder), str(options.draws), *mode, limit=options.limit)
                if isinstance(found, str):
                    report.note(f"{name}: {found}")
                else:
                    runs[name].append(found)
        if not runs["revealed"]:
            sys.exit("ours did not run")
        judged = {name: judge(folder, each[0]["params"]) for name, each in runs.items() if each}
    show(runs, judged, options.people == PEOPLE and options.draws == DRAWS)
    report.save("mixed", {"size": size, "runs": runs, "judged": judged})


def show(runs: dict[str, list[dict[str, Any]]], judged: dict[str, float], at_full_size: bool) -> None:
    """Print the table, and how far apart the log-likelihoods are."""
    own = median(run["seconds"]["fit_cpu"] for run in runs["revealed"])
    rows = []
    for name, each in runs.items():
        if not each:
            continue
        cpu = median(run["seconds"]["fit_cpu"] for run in each)
        reached = report.goal(cpu / own >= GOAL, f"≥ {GOAL:g}×") if at_full_size and name == "xlogit" else ""
        rows.append(
            [
                each[0]["name"],
                each[0]["version"],
                f"{cpu:.2f}",
                "1" if name == "revealed" else f"{cpu / own:.1f}×",
                reached,
                f"{median(run['seconds']['fit_wall'] for run in each):.2f}",
                f"{median(run['peak'] for run in each):.2f}",
                f"{each[0]['log_likelihood']:.2f}",
                f"{judged[name]:.2f}",
            ]
        )
    report.table(COLUMNS, rows, left=("estimation", "version", "goal"))
    for name, each in runs.items():
        if each and each[0]["notes"]:
            report.note(f"{name}: {each[0]['notes']}")
    if "xlogit" in judged:
        lost = judged["xlogit"] - judged["revealed"]
        report.note(report.goal(lost <= 1e-4 * abs(judged["xlogit"]), f"judged log-likelihood no lower: {-lost:+.2f},"))


if __name__ == "__main__":
    main()

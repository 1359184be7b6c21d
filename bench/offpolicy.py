"""Off-policy estimators, ours against the Open Bandit Pipeline's, on one log.

    python -m bench.offpolicy --peer .venv-bench/bin/python [--rows N] [--repeats N]

Ours gives the value with its standard error, interval and overlap diagnostics, obp the value alone. CPU seconds,
medians; one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import report

N_ACTIONS = 10


def simulated(n_rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a log of one of ten actions a row, a policy to be judged, and expected rewards that are a little off."""
    rng = np.random.default_rng(seed)
    logging = rng.dirichlet(np.full(N_ACTIONS, 4.0), n_rows)
    policy = rng.dirichlet(np.full(N_ACTIONS, 2.0), n_rows)
    policy = 0.5 * policy + 0.5 * logging
    truth = np.clip(np.linspace(0.02, 0.3, N_ACTIONS) + rng.normal(0, 0.02, (n_rows, 1)), 0.001, 0.999)
    action = (rng.random((n_rows, 1)) > logging.cumsum(axis=1)).sum(axis=1).clip(0, N_ACTIONS - 1)
    rows = np.arange(n_rows)
    return {
        "action": action,
        "reward": (rng.random(n_rows) < truth[rows, action]).astype(float),
        "propensity": logging[rows, action],
        "policy": policy,
        "rewards": 0.9 * truth + 0.01,
    }


def run(python: str, module: str, file: Path, repeats: int) -> dict[str, Any]:
    """Return what a script printed, run in a process of its own."""
    command = [python, "-m", module, str(file), str(repeats)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"{module} did not run: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description="Off-policy estimators, ours against obp's.")
    parser.add_argument("--peer", default=".venv-bench/bin/python", help="the Python that has obp")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    title = f"{options.rows:,} rows × {N_ACTIONS} actions"
    report.heading("Off-policy estimators, ours against obp's", title, "CPU seconds, medians; one thread each")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.npz"
        np.savez(file, allow_pickle=False, **simulated(options.rows))
        peer = run(options.peer, "bench.peers.with_obp", file, options.repeats)
        own = run(sys.executable, "bench.ours_offpolicy", file, options.repeats)
    seconds, values = own["seconds"], own["values"]
    rows = []
    for name, theirs_cpu in peer["seconds"].items():
        off = abs(values[name] - peer["values"][name]) / abs(peer["values"][name])
        both = peer["with_interval"][name]
        cells = [f"{theirs_cpu:.3f}", f"{both:.2f}", f"{seconds[name]:.3f}"]
        ratios = [f"{theirs_cpu / seconds[name]:.1f}×", f"{both / seconds[name]:.0f}×"]
        rows.append([name, *cells, *ratios, f"{values[name]:.9f}", f"{off:.0e}"])
    total, total_both = sum(peer["seconds"].values()), sum(peer["with_interval"].values())
    all_ours = seconds["all in one"]
    ratio, ratio_both = total / all_ours, total_both / all_ours
    cells = [f"{total:.3f}", f"{total_both:.2f}", f"{all_ours:.3f}", f"{ratio:.1f}×", f"{ratio_both:.0f}×"]
    rows.append(["all", *cells, "", ""])
    version = f"obp {peer['version']}"
    columns = (
        "estimator",
        f"{version}: value",
        "with interval",
        "ours: both",
        "value over",
        "both over",
        "value",
        "off",
    )
    report.table(columns, rows, left=("estimator",))
    report.note("ours: value, standard error, normal interval, overlap; obp's interval: bootstrap of 100 draws.")
    report.note("last row: obp's estimators one after the other, ours in one call, which computes once what they share")
    report.note(f"reading and checking the log, ours: {seconds['read and check']:.3f} s")
    worst = max(abs(values[name] - value) / abs(value) for name, value in peer["values"].items())
    report.note(report.goal(ratio >= 5, f"all estimators {ratio:.1f}× obp's speed, ≥ 5×"))
    report.note(report.goal(worst < 1e-9, f"values equal to {worst:.0e}, < 1e-9"))
    report.save("offpolicy", {"rows": options.rows, "ours": seconds, "obp": peer, "values": values})


if __name__ == "__main__":
    main()

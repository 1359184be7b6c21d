"""Off-policy estimators, ours against the Open Bandit Pipeline's, on one log.

    python -m bench.offpolicy --peer .venv-bench-decide/bin/python [--rows N] [--rounds N] [--repeats N]

Two comparisons: ours with standard error, normal interval, overlap and refusals against obp's value alone; and both
with an interval by a bootstrap of 100 draws. CPU milliseconds, medians; one thread each. The two take turns, several
rounds of them, as a machine that others use is now faster, now slower.
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

#: Times obp's speed.
GOAL = 5


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


def run(python: str, module: str, file: Path, repeats: int, *, values_only: bool = False) -> dict[str, Any]:
    """Return what a script printed, run in a process of its own; without intervals, if ``values_only``."""
    command = [python, "-m", module, str(file), str(repeats), *(["values"] if values_only else [])]
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
    parser.add_argument("--peer", default=".venv-bench-decide/bin/python", help="the Python that has obp")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7, help="how often the two take turns")
    parser.add_argument("--repeats", type=int, default=5, help="of each estimator in a round")
    options = parser.parse_args()
    title = f"{options.rows:,} rows × {N_ACTIONS} actions"
    report.heading(
        "Off-policy estimators, ours against obp's",
        title,
        "CPU milliseconds, medians of rounds in turn (bootstraps: once); one thread each",
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.npz"
        np.savez(file, allow_pickle=False, **simulated(options.rows))
        peers, ours = [], []
        for i in range(options.rounds):
            peers.append(run(options.peer, "bench.peers.with_obp", file, options.repeats, values_only=i > 0))
            ours.append(run(sys.executable, "bench.ours_offpolicy", file, options.repeats, values_only=i > 0))
    peer, own = {**peers[0], **of_rounds(peers)}, {**ours[0], **of_rounds(ours)}
    ratios = shown_table(own, peer)
    notes(own, peer)
    for name, ratio in ratios.items():
        report.note(report.goal(ratio >= GOAL, f"{name}: {ratio:.1f}× obp's speed, ≥ {GOAL}×"))
    worst = max(abs(own["values"][name] - value) / abs(value) for name, value in peer["values"].items())
    report.note(report.goal(worst < 1e-9, f"values equal to {worst:.0e}, < 1e-9"))
    report.save("offpolicy", {"rows": options.rows, "ours": own, "obp": peer, "ratios": ratios})


def of_rounds(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the medians, over rounds, of what was timed in each."""
    return {
        part: {name: float(np.median([one[part][name] for one in found])) for name in found[0][part]}
        for part in ("seconds", "once", "more")
        if part in found[0]
    }


def shown_table(own: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    """Print the comparison, and return how many times as fast ours are as obp's values alone."""
    ratios, rows = {}, []
    for name, theirs in peer["seconds"].items():
        ours, both, drawn = own["seconds"][name], peer["with_interval"][name], own["bootstrapped"][name]
        off = abs(own["values"][name] - peer["values"][name]) / abs(peer["values"][name])
        ratios[name] = theirs / ours
        once = own["once"][name]
        cells = [f"{1000 * theirs:.0f}", f"{1000 * ours:.0f}", f"{theirs / ours:.1f}×"]
        cells += [f"{1000 * once:.0f}", f"{theirs / once:.1f}×"]
        cells += [f"{1000 * both:.0f}", f"{1000 * drawn:.0f}", f"{both / drawn:.0f}×"]
        ratios[f"{name}, the policy asked once"] = theirs / once
        rows.append([name, *cells, f"{own['values'][name]:.9f}", f"{off:.0e}"])
    theirs, ours = sum(peer["seconds"].values()), own["more"]["all in one"]
    ratios["all"] = theirs / ours
    both, drawn = sum(peer["with_interval"].values()), sum(own["bootstrapped"].values())
    cells = [f"{1000 * theirs:.0f}", f"{1000 * ours:.0f}", f"{theirs / ours:.1f}×", "", ""]
    cells += [f"{1000 * both:.0f}", f"{1000 * drawn:.0f}", f"{both / drawn:.0f}×"]
    rows.append(["all", *cells, "", ""])
    version = f"obp {peer['version']}"
    columns = (
        "estimator",
        f"{version}: value",
        "ours",
        "over",
        "asked once",
        "over",
        f"{version}: bootstrap",
        "ours",
        "over",
        "value",
        "off",
    )
    report.table(columns, rows, left=("estimator",))
    return ratios


def notes(own: dict[str, Any], peer: dict[str, Any]) -> None:
    """Print what the table does not say."""
    more = own["more"]
    report.note("first pair: obp's value; ours: value, standard error, normal interval, overlap, refusals")
    report.note("second pair: a bootstrap of 100 draws; ours throws rows into 20,000 lots first and draws lots")
    report.note("last row: obp's one after the other; ours in one call (first pair), one after the other (second)")
    apart = {
        name: max(abs(a - b) for a, b in zip(own["ends"][name], peer["ends"][name], strict=True))
        / (peer["ends"][name][1] - peer["ends"][name][0])
        for name in peer["ends"]
    }
    shares = ", ".join(f"{name} {share:.2f}" for name, share in apart.items())
    report.note(f"ends of the two bootstraps apart, in widths of obp's: {shares}")
    report.note("obp's interval of a self-normalised value takes the mean weight for known; ours draws it too")
    once, size = more["read the policy once"], more["bytes of the policy"]
    report.note(f"reading the policy's {size / 1e6:.0f} MB once: {1000 * once:.1f} ms ({size / once / 1e9:.0f} GB/s)")
    for what, key in (("without any check", "barest"), ("with the policy's rows checked", "barest with a check")):
        ratio = peer["seconds"]["IPS"] / more[key]
        report.note(f"IPS's value alone as plain numpy in blocks, {what}: {1000 * more[key]:.1f} ms, {ratio:.1f}×")
    report.note(
        f"asked once: asked_once(log, policy), {1000 * more['ask once']:.0f} ms, then each estimator; obp's are given "
        "the same array each time, and look whether its rows sum to one, not whether a cell is negative"
    )
    report.note(f"reading and checking the log, ours: {more['read and check']:.3f} s")


if __name__ == "__main__":
    main()

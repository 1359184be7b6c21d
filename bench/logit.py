"""The conditional or the nested logit, ours against the peers, each in a process of its own, the runs interleaved.

    python -m bench.logit --peers .venv-bench/bin/python [--nested] [--only NAME ...] [--cases N] [--repeats N]

Prints medians over the runs and the peers' CPU seconds over ours. Every library is kept to one thread where it lets
itself be kept; CPU seconds count all threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import report
from bench.data import Size, prepare


@dataclass
class Contender:
    """One row of the table.

    Parameters
    ----------
    name : str
        What ``--only`` calls it.
    module, mode : str
        The script and its mode.
    nested : bool
        Whether it fits the nested logit.
    repeats : int
        Runs, of which the median counts.
    goal : float, optional
        The least ratio of its CPU seconds to ours.
    limit : int
        Seconds after which a run is stopped.
    """

    name: str
    module: str
    mode: str | None = None
    nested: bool = False
    repeats: int = 2
    goal: float | None = None
    limit: int = 300
    runs: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    stopped_cpu: float = 0.0

    def median_of(self, part: str) -> float:
        """Return the median over the runs of a number of seconds."""
        return float(median(run["seconds"][part] for run in self.runs))


def contenders() -> list[Contender]:
    """Return who takes part."""
    return [
        Contender("revealed", "bench.ours", repeats=5),
        Contender("xlogit-fast", "bench.peers.with_xlogit", "fast", repeats=5, goal=3),
        Contender("xlogit-none", "bench.peers.with_xlogit", "none", repeats=3),
        Contender("xlogit-default", "bench.peers.with_xlogit", "default", repeats=3, goal=30),
        Contender("choice-learn-none", "bench.peers.with_choice_learn", "none", goal=25),
        Contender("choice-learn-errors", "bench.peers.with_choice_learn", "errors", goal=25),
        Contender("larch-none", "bench.peers.with_larch", "none"),
        Contender("larch-errors", "bench.peers.with_larch", "errors"),
        Contender("biogeme-none", "bench.peers.with_biogeme", "none", goal=100),
        # Its Hessian at this size takes longer than anybody waits here: the row says how long it was given.
        Contender("biogeme-errors", "bench.peers.with_biogeme", "errors", repeats=1, limit=120),
    ]


def nested_contenders() -> list[Contender]:
    """Return who takes part in the nested logit."""
    return [
        Contender("revealed", "bench.ours", nested=True, repeats=5),
        Contender("larch-none", "bench.peers.with_larch", "none", nested=True, goal=10),
        Contender("larch-errors", "bench.peers.with_larch", "errors", nested=True, goal=10),
        Contender("biogeme-none", "bench.peers.with_biogeme", "none", nested=True, goal=10, limit=600),
        Contender("biogeme-errors", "bench.peers.with_biogeme", "errors", nested=True, repeats=1, limit=120),
    ]


def run_once(contender: Contender, python: str, folder: Path) -> None:
    """Run a contender once and keep what it printed, or why it did not."""
    command = [python, "-m", contender.module, str(folder), *([contender.mode] if contender.mode else [])]
    command += ["nested"] if contender.nested else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=contender.limit, env=environment
        )
    except subprocess.TimeoutExpired:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        contender.stopped_cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        contender.failure = f"stopped after {contender.limit} s"
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        contender.failure = f"skipped: {reason[:90]}"
        return
    contender.runs.append(json.loads(lines[-1]))


def run_all(taking_part: list[Contender], peers: str, folder: Path) -> None:
    """Run round after round, everybody once a round while they have runs left."""
    for turn in range(max(contender.repeats for contender in taking_part)):
        for contender in taking_part:
            if turn < contender.repeats and not contender.failure:
                began = time.perf_counter()
                run_once(contender, peers if ".peers." in contender.module else sys.executable, folder)
                took = time.perf_counter() - began
                print(f"  run {turn + 1} of {contender.repeats}: {contender.name}, {took:.0f} s", file=sys.stderr)


def errors_off(run: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return the largest relative difference of standard errors from the exact ones of the same kind."""
    if run["errors"] is None:
        return "–"
    exact = ours["more"]["robust"] if run["errors_kind"].startswith("robust") else ours["errors"]
    return f"{max(abs(a - b) / b for a, b in zip(run['errors'], exact, strict=True)):.0e}"


def rows_of(taking_part: list[Contender], ours: Contender, at_full_size: bool) -> list[list[str]]:
    """Return the rows of the table, ours first; the goals are for the full size."""
    own_cpu, own = ours.median_of("fit_cpu"), ours.runs[0]
    rows = []
    for contender in taking_part:
        if not contender.runs:
            ratio = f"> {contender.stopped_cpu / own_cpu:,.0f}×" if contender.stopped_cpu else "–"
            cpu = f"> {contender.stopped_cpu:.0f}" if contender.stopped_cpu else "–"
            rows.append([contender.name, "–", cpu, ratio, "", *["–"] * 6, contender.failure])
            continue
        run = contender.runs[0]
        ratio_value = contender.median_of("fit_cpu") / own_cpu
        reached = ""
        if contender.goal is not None and at_full_size:
            reached = report.goal(ratio_value >= contender.goal, f"≥ {contender.goal:g}×")
        behind = (run["log_likelihood"] - own["log_likelihood"]) / abs(own["log_likelihood"])
        rows.append(
            [
                run["name"],
                run["version"],
                f"{contender.median_of('fit_cpu'):.2f}",
                "1" if contender is ours else f"{ratio_value:.1f}×",
                reached,
                f"{contender.median_of('fit_wall'):.2f}",
                f"{contender.median_of('prepare_cpu'):.2f}",
                f"{contender.median_of('import_cpu'):.1f}",
                f"{median(each['peak'] for each in contender.runs):.2f}",
                f"{run['log_likelihood']:.6f}" if contender is ours else f"{behind:+.0e}",
                errors_off(run, own),
                run["errors_kind"],
            ]
        )
    return rows


COLUMNS = (
    "estimation",
    "version",
    "CPU s",
    "over ours",
    "goal",
    "wall s",
    "prepare s",
    "import s",
    "peak GiB",
    "log-likelihood",
    "errors off",
    "standard errors",
)


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description="The logit, ours against the peers.")
    parser.add_argument("--peers", default=".venv-bench/bin/python", help="the Python that has the peers")
    parser.add_argument("--nested", action="store_true", help="the nested logit")
    parser.add_argument("--only", nargs="*", default=None, help="names of contenders besides ours")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=None, help="runs of each, at most")
    options = parser.parse_args()

    size, full = Size(n_cases=options.cases, nested=options.nested), Size(nested=options.nested)
    everybody = nested_contenders() if options.nested else contenders()
    taking_part = [c for c in everybody if options.only is None or c.name in ("revealed", *options.only)]
    for contender in taking_part:
        contender.repeats = min(contender.repeats, options.repeats or contender.repeats)
    kind = "Nested" if options.nested else "Conditional"
    report.heading(f"{kind} logit, ours against the peers", str(size), "medians; one thread each; runs interleaved")
    run_all(taking_part, options.peers, prepare(size))

    ours = taking_part[0]
    if not ours.runs:
        sys.exit(f"ours did not run: {ours.failure}")
    report.table(
        COLUMNS,
        rows_of(taking_part, ours, size == full),
        left=("estimation", "version", "goal", "standard errors"),
    )
    report.note(
        "CPU s: the fit alone. prepare: from arrays (ours: a Parquet file, read and checked). import: loading it."
    )
    report.note("log-likelihood: ours; below, at the peer's estimates relative to it. errors off: theirs from ours.")
    for contender in taking_part:
        if contender.runs and contender.runs[0]["notes"]:
            report.note(f"{contender.runs[0]['name']}: {contender.runs[0]['notes']}")
    by_name = {contender.name: contender for contender in taking_part}
    exact = by_name.get("xlogit-default", by_name.get("xlogit-fast"))
    if exact is not None and exact.runs and size == full:
        own, theirs = ours.runs[0]["log_likelihood"], exact.runs[0]["log_likelihood"]
        off = abs(own - theirs) / abs(own)
        report.note(report.goal(off <= 1e-9, f"log-likelihood equal to xlogit's to 1e-9: {off:.0e},"))
        memory = [median(run["peak"] for run in contender.runs) for contender in (ours, exact)]
        report.note(
            report.goal(memory[0] <= memory[1], f"peak memory {memory[0]:.2f} GiB, xlogit's {memory[1]:.2f} GiB,")
        )
    report.save(
        "nested" if options.nested else "logit",
        {"size": str(size), "contenders": [vars(contender) for contender in taking_part]},
    )


if __name__ == "__main__":
    main()

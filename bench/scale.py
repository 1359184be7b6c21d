"""Time per case, in memory and streamed from Parquet, from ten thousand cases to ten million.

    python -m bench.scale [--largest N] [--memory-up-to N] [--keep]

Each fit runs in a process of its own; its peak memory is that of the process. Prints a table and saves the curve as
bench/results/scale.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import report
from bench.data import FOLDER
from bench.peers.measure import Run, peak_gib, pin_threads

N_ALTERNATIVES, N_PARAMS = 10, 20
#: What one run prints.
Figures = dict[str, Any]

KINDS = {"memory": "in memory", "stream": "streamed"}


def run_once(kind: str, path: Path) -> None:
    """Fit once, in memory or streamed, and print the figures as JSON."""
    pin_threads()
    import formulaic  # noqa: F401  (loads when first used otherwise)

    import revealed
    from revealed.models import Logit, estimate  # noqa: F401

    run = Run(kind)
    names = [f"x{k:02d}" for k in range(1, N_PARAMS + 1)]
    with run.timed("read"):
        log = revealed.read(path) if kind == "memory" else revealed.scan(path)
        n_cases = log.facts.n_cases if kind == "memory" else 0
    before = peak_gib()
    with run.timed("fit"):
        fit = Logit(" + ".join(names)).fit(log)
    found = {"n_cases": n_cases or log.facts.n_cases, "passes": fit.status.passes, "converged": fit.status.converged}
    estimates = {"log_likelihood": fit.log_likelihood, "params": fit.params.tolist()}
    print(json.dumps({**run.seconds, "peak": run.peak, "before": before, **found, **estimates}))


def data_of(n_cases: int) -> Path | None:
    """Return a simulated log of a size, written unless it is there; None where the disk is too small."""
    from revealed.choices.simulate import Simulation

    path = FOLDER / f"scale-{n_cases}x{N_ALTERNATIVES}x{N_PARAMS}"
    if path.exists():
        return path
    FOLDER.mkdir(exist_ok=True)
    needed = n_cases * N_ALTERNATIVES * N_PARAMS * 4 * 1.2
    if shutil.disk_usage(FOLDER).free < needed:
        return None
    began = time.perf_counter()
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    Simulation.of_size(n_cases, N_ALTERNATIVES, N_PARAMS, seed=0, float32=True).write(part)
    part.rename(path)
    gib = sum(file.stat().st_size for file in path.rglob("*.parquet")) / 2**30
    print(f"  wrote {n_cases:,} cases, {gib:.2f} GiB, in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return path


def measure(kind: str, n_cases: int, repeats: int) -> Figures | None:
    """Return the quickest of some runs (by the wall), or None where the data do not fit the disk."""
    path = data_of(n_cases)
    if path is None:
        return None
    runs: list[Figures] = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "bench.scale", "--run", kind, str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"  {KINDS[kind]}, {n_cases:,} cases: {runs[-1]['fit_wall']:.2f} s", file=sys.stderr)
    return min(runs, key=lambda run: float(run["fit_wall"]))


def straight_line(found: dict[int, Figures]) -> tuple[float, float, float]:
    """Fit a straight line, in relative terms: start-up seconds, seconds a case, the largest share a point is off."""
    import numpy as np

    cases = np.array(list(found), dtype=float)
    seconds = np.array([run["fit_wall"] for run in found.values()])
    design = np.column_stack([np.ones_like(cases), cases]) / seconds[:, None]
    (start, unit), *_ = np.linalg.lstsq(design, np.ones_like(cases), rcond=None)
    return float(start), float(unit), float(np.max(np.abs(start + unit * cases - seconds) / seconds))


def explained_share(found: dict[int, Figures]) -> float:
    """Return the share of the variance of the seconds that the straight line of least squares explains (R²)."""
    import numpy as np

    seconds = [run["fit_wall"] for run in found.values()]
    return float(np.corrcoef(list(found), seconds)[0, 1] ** 2)


def picture(curves: dict[str, dict[int, Figures]]) -> Path:
    """Save the curves of wall time over cases."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for kind, found in curves.items():
        axes.plot(list(found), [run["fit_wall"] for run in found.values()], marker="o", label=KINDS[kind])
    sizes = sorted({n for found in curves.values() for n in found})
    start, unit, _ = straight_line(curves["stream"])
    label = f"{start:.2f} s + {unit * 1e6:.2f} µs × cases"
    between = [sizes[0] * (sizes[-1] / sizes[0]) ** (i / 60) for i in range(61)]
    axes.plot(between, [start + unit * n for n in between], linestyle=":", color="grey", label=label)
    axes.set(xscale="log", yscale="log", xlabel="cases", ylabel="seconds (wall)")
    axes.set_title(f"Conditional logit, {N_ALTERNATIVES} alternatives × {N_PARAMS} parameters, one thread")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    report.RESULTS.mkdir(exist_ok=True)
    path = report.RESULTS / "scale.png"
    figure.savefig(path, dpi=150)
    return path


def rows_of(curves: dict[str, dict[int, Figures]]) -> list[list[str]]:
    """Return a row per size and kind."""
    rows = []
    for n in sorted({n for found in curves.values() for n in found}):
        for kind, found in curves.items():
            if n not in found:
                continue
            run = found[n]
            per_case = [f"{run[part] / n * 1e6:.2f}" for part in ("fit_wall", "fit_cpu")]
            totals = [f"{run[part]:.2f}" for part in ("fit_wall", "fit_cpu", "read_wall")]
            rows.append([f"{n:,}", KINDS[kind], *totals, *per_case, str(run["passes"]), f"{run['peak']:.2f}"])
    return rows


def conclude(curves: dict[str, dict[int, Figures]]) -> None:
    """Print what the issue asks of the curves."""
    memory, stream = curves["memory"], curves["stream"]
    largest, most_in_memory = max(stream), max(memory)
    peak = stream[largest]["peak"]
    report.note(report.goal(peak < 4, f"{largest:,} cases streamed in {peak:.2f} GiB resident, < 4 GiB"))
    unit = {part: memory[most_in_memory][part] / most_in_memory for part in ("fit_wall", "fit_cpu", "read_wall")}
    ratio = stream[largest]["fit_wall"] / largest / unit["fit_wall"]
    text = (
        f"time per case streamed ({largest:,}) over in memory ({most_in_memory:,}), the fit alone: {ratio:.2f}, ≤ 1.5"
    )
    report.note(report.goal(ratio <= 1.5, text))
    with_reading = stream[largest]["fit_wall"] / largest / (unit["fit_wall"] + unit["read_wall"])
    in_cpu = stream[largest]["fit_cpu"] / largest / unit["fit_cpu"]
    report.note(
        f"  the same over reading the file into memory and the fit: {with_reading:.2f}; in CPU seconds: {in_cpu:.2f}"
    )
    if len(stream) > 2:
        explained = explained_share(stream)
        text = f"a straight line explains {explained:.5f} of the variance of the seconds, ≥ 0.999"
        report.note(report.goal(explained >= 0.999, f"streamed, {text}"))
        start, unit_case, off_line = straight_line(stream)
        report.note(
            f"  {start:.2f} s + {unit_case * 1e6:.2f} µs a case: no point is off by more than {off_line:.0%} of itself"
        )
        each = [run["fit_wall"] / n for n, run in sorted(stream.items())]
        grows = any(later > 1.05 * earlier for earlier, later in pairwise(each))
        report.note(
            report.goal(not grows, "streamed, no size takes longer a case than a smaller one (by more than 5%)")
        )
    shared = max(set(memory) & set(stream))
    off = max(abs(a - b) for a, b in zip(memory[shared]["params"], stream[shared]["params"], strict=True))
    report.note(
        report.goal(off <= 1e-10, f"estimates in memory and streamed ({shared:,}) differ by {off:.0e}, ≤ 1e-10")
    )


def main() -> None:
    """Measure the curves and print them."""
    parser = argparse.ArgumentParser(description="Time per case, in memory and streamed.")
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--memory-up-to", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="keep the data sets above 10⁶ cases")
    parser.add_argument("--run", nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        run_once(options.run[0], Path(options.run[1]))
        return

    size = f"{N_ALTERNATIVES} alternatives × {N_PARAMS} parameters, attributes in 32 bits"
    report.heading("Time over the number of cases", size, "classic and robust errors; one thread, a second one decodes")
    curves: dict[str, dict[int, Figures]] = {"memory": {}, "stream": {}}
    n = 10_000
    while n <= options.largest:
        for kind, found in curves.items():
            if kind == "memory" and n > options.memory_up_to:
                continue
            run = measure(kind, n, repeats=3 if n <= 1_000_000 else 1)
            if run is None:
                report.note(f"{n:,} cases left out: the disk is too small")
            else:
                found[n] = run
        if n > 1_000_000 and not options.keep:
            shutil.rmtree(FOLDER / f"scale-{n}x{N_ALTERNATIVES}x{N_PARAMS}", ignore_errors=True)
        n *= 10
    columns = ("cases", "", "wall s", "CPU s", "read s", "wall µs a case", "CPU µs a case", "passes", "peak GiB")
    report.table(columns, rows_of(curves), left=("",))
    conclude(curves)
    report.note(f"curve: {picture(curves).relative_to(Path.cwd())}")
    report.save("scale", {"size": size, "curves": curves})


if __name__ == "__main__":
    main()

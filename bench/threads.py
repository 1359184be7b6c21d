"""One thread against two on the same log, the runs interleaved.

python -m bench.threads [--cases N] [--repeats N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

from bench import report
from bench.data import Size, prepare
from bench.peers.measure import cpu_seconds, pin_threads

#: Work of about a third of a second that touches no memory to speak of.
SPIN = "total = 0\nfor i in range(6_000_000): total += i * i"


def ceiling() -> float:
    """Return how much more two processes that share nothing get done than one: what the machine has to give now."""
    seconds = []
    for count in (1, 2):
        began = time.perf_counter()
        running = [subprocess.Popen([sys.executable, "-S", "-c", SPIN]) for _ in range(count)]
        for process in running:
            process.wait()
        seconds.append(time.perf_counter() - began)
    return 2 * seconds[0] / seconds[1]


def main() -> None:
    """Time fits on one thread and on two."""
    parser = argparse.ArgumentParser(description="One thread against two.")
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    pin_threads()
    import revealed
    from revealed.engine import Engine, InProcess, Threads
    from revealed.models import Logit

    size = Size(n_cases=options.cases)
    log = revealed.read(prepare(size) / "long.parquet")
    model = Logit(" + ".join(log.attribute_names))
    report.heading("One thread against two", str(size), "medians over interleaved runs; classic and robust errors")
    model.fit(log)  # what loads when first used is not part of it

    engines: dict[str, Engine] = {"one thread": InProcess(), "two threads": Threads(2)}
    wall: dict[str, list[float]] = {name: [] for name in engines}
    cpu: dict[str, list[float]] = {name: [] for name in engines}
    estimates, ceilings = {}, []
    for _ in range(options.repeats):
        for name, engine in engines.items():
            began, used = time.perf_counter(), cpu_seconds()
            estimates[name] = model.fit(log, engine=engine).params
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(cpu_seconds() - used)
        ceilings.append(ceiling())

    times = {name: median(values) for name, values in wall.items()}
    gain = times["one thread"] / times["two threads"]
    gains = sorted(a / b for a, b in zip(wall["one thread"], wall["two threads"], strict=True))
    rows = [
        [
            name,
            f"{times[name]:.3f}",
            f"{min(wall[name]):.3f}",
            f"{median(cpu[name]):.3f}",
            f"{times['one thread'] / times[name]:.2f}×",
        ]
        for name in engines
    ]
    report.table(("engine", "wall s", "quickest", "CPU s", "gain"), rows, left=("engine",))
    report.note(report.goal(gain >= 1.7, f"gain {gain:.2f}× (single pairs {gains[0]:.2f} to {gains[-1]:.2f}), ≥ 1.7×"))
    report.note(
        f"the machine itself: two processes that share nothing get {median(ceilings):.2f}× the work of one done"
    )
    same = (estimates["one thread"] == estimates["two threads"]).all()
    report.note(report.goal(bool(same), "the same bits on both:"))
    report.save("threads", {"size": str(size), "wall": wall, "cpu": cpu, "ceilings": ceilings})


if __name__ == "__main__":
    main()

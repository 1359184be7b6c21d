"""A second fit after adding 1% of data, against a fit of everything from the start.

python -m bench.update [--cases N] [--repeats N]
"""

from __future__ import annotations

import argparse
from statistics import median

from bench import report
from bench.data import Size, prepare
from bench.peers.measure import cpu_seconds, pin_threads


def main() -> None:
    """Count the passes and time both ways to the same estimates."""
    parser = argparse.ArgumentParser(description="A second fit after adding 1% of data.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pin_threads()
    import numpy as np

    import revealed
    from revealed.models import Logit

    size = Size(n_cases=options.cases)
    log = revealed.read(prepare(size) / "long.parquet")
    old = log.take_cases(np.arange(log.n_cases * 100 // 101))
    new = log.take_cases(np.arange(old.n_cases, log.n_cases))
    model = Logit(" + ".join(log.attribute_names))
    added = f"{new.n_cases:,} cases added to {old.n_cases:,}"
    report.heading("A second fit after adding 1% of data", str(size), f"{added}; medians over interleaved runs")

    first = model.fit(old)
    cpu: dict[str, list[float]] = {"from the start": [], "updated": []}
    for _ in range(options.repeats):
        began = cpu_seconds()
        whole = model.fit(log)
        cpu["from the start"].append(cpu_seconds() - began)
        began = cpu_seconds()
        updated = first.update(new, log)
        cpu["updated"].append(cpu_seconds() - began)

    fits = {"from the start": whole, "updated": updated}
    rows = [
        [
            name,
            str(fit.status.passes),
            f"{fit.status.sample_passes:.2f}",
            f"{median(cpu[name]):.3f}",
            f"{fit.log_likelihood:.9f}",
        ]
        for name, fit in fits.items()
    ]
    columns = ("fit", "passes over the log", "passes over parts, as shares", "CPU s", "log-likelihood")
    report.table(columns, rows, left=("fit",))
    passes = updated.status.passes + updated.status.sample_passes
    report.note(report.goal(passes <= 2, f"{passes:.2f} passes, the new 1% included, ≤ 2"))
    off = float(np.max(np.abs(updated.params - whole.params) / whole.standard_errors("classic")))
    report.note(report.goal(off < 1e-6, f"estimates differ by {off:.0e} standard errors, < 1e-6"))
    report.save("update", {"size": str(size), "passes": passes, "cpu": cpu, "off": off})


if __name__ == "__main__":
    main()

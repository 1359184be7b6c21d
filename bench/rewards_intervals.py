"""Means of recovered rewards: how often the truth lies in 95% intervals, debiased and by bootstrap, and how near it is.

    python -m bench.rewards_intervals [--seeds 100] [--trajectories 1000] [--class polynomial] [--draws 40]

The world is that of ``bench.rewards`` with seed 0, five continuous columns and five actions; a seed draws data. Asked
for is the mean reward of each action but the anchor over the states seen, whose truth is that of 20,000 trajectories,
from PQR: as recovered (plug-in), with its bootstrap by person, and one-step with cross-fitting. A seed that is done is
kept in bench/results.
"""

from __future__ import annotations

import argparse
import json
from time import process_time
from typing import Any

import numpy as np
from rich.progress import track

from bench import report
from bench.rewards import ANCHOR, DISCOUNT, FLOOR, World
from revealed.models.dynamic.irl import PQR, Neural, Polynomial, bootstrapped_reward, cross_fitted
from revealed.models.dynamic.irl.function_class import FunctionClass

ASKED = ("a1", "a2", "a3", "a4")
CLASSES: dict[str, FunctionClass] = {
    "polynomial": Polynomial(2),
    "neural": Neural(members=3, epochs=30, steps=1_000, again=40, rounds=40),
}
#: Of van der Laan, Bibaut and Kallus (2025), in a design of theirs, 10,000 observations.
PUBLISHED = "published, another design, n = 10,000: root mean squared error .126 plug-in, .091 debiased, coverage .938"


def of_seed(world: World, seed: int, count: int, family: FunctionClass, draws: int) -> dict[str, Any]:
    """Return estimate and standard error of each method and action, and CPU seconds."""
    data = world.trajectories(count, seed)
    model = PQR(discount=DISCOUNT, anchor=ANCHOR, function_class=family, floor=FLOOR)
    found: dict[str, Any] = {}
    began = process_time()
    fitted = cross_fitted(model, data)
    means = [fitted.mean(action) for action in ASKED]
    found["debiased"] = [[one.value, one.standard_error] for one in means]
    found["CPU s, debiased"] = process_time() - began
    if draws:
        began = process_time()
        # The means are over the states of everybody drawn, as those of the data are a sample too.
        spread = bootstrapped_reward(model.recover, data, draws=draws, seed=seed).of(
            lambda one: one.reward(one.data.states).mean(axis=0)[1:]
        )
        found["plug-in, bootstrap"] = np.column_stack([spread.value, spread.standard_error]).tolist()
        found["CPU s, plug-in, bootstrap"] = process_time() - began
    else:
        mean = model.recover(data).reward(data.states).mean(axis=0)[1:]
        found["plug-in"] = [[value, float("nan")] for value in mean.tolist()]
    return found


def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="Coverage of intervals of mean rewards.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trajectories", type=int, default=1000)
    parser.add_argument("--class", dest="family", default="polynomial", choices=list(CLASSES))
    parser.add_argument("--draws", type=int, default=40, help="of the bootstrap; 0 for none")
    options = parser.parse_args()
    world = World.of(0, 0.0)
    truth = world.reward(world.trajectories(20_000, 999_983).states).mean(axis=0)[1:]
    report.heading(
        "Mean rewards, given that the anchor earns nothing: 95% intervals",
        f"{options.trajectories:,} trajectories, {options.seeds} seeds, {options.family}; truth {np.round(truth, 3)}",
    )
    kept = report.RESULTS / f"rewards-intervals-{options.trajectories}-{options.family}-{options.draws}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for seed in track(range(options.seeds), "Seeds"):
        if str(seed) not in done:
            done[str(seed)] = of_seed(world, seed, options.trajectories, CLASSES[options.family], options.draws)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(done))
    seeds = [done[str(seed)] for seed in range(options.seeds)]
    rows, covered = [], 0.0
    for name in [name for name in seeds[0] if not name.startswith("CPU")]:
        numbers = np.array([one[name] for one in seeds])
        error = numbers[:, :, 0] - truth
        inside = np.abs(error) <= 1.96 * numbers[:, :, 1]
        seconds = np.mean([one.get(f"CPU s, {name}", float("nan")) for one in seeds])
        if name == "debiased":
            covered = float(inside.mean())
        for place, action in enumerate(ASKED):
            off, size = float(error[:, place].mean()), float(np.sqrt((error[:, place] ** 2).mean()))
            figures = [f"{off:+.3f}", f"{size:.3f}", f"{numbers[:, place, 1].mean():.3f}"]
            share = f"{inside[:, place].mean():.0%}" if np.isfinite(numbers[:, place, 1]).all() else ""
            rows.append([name if not place else "", action, *figures, share, f"{seconds:.1f}" if not place else ""])
    heads = ["method", "action", "bias", "RMSE", "mean error", "coverage", "CPU s"]
    report.table(heads, rows, left=("method", "action"))
    report.note(PUBLISHED)
    report.note(report.goal(covered >= 0.93, f"debiased intervals cover {covered:.1%}, >= 93%"))


if __name__ == "__main__":
    main()

"""Slates of 10 out of 100,000 candidates: ours against MMR, greedy-MAP DPP and the rest of pyversity.

    python -m bench.slate --peers .venv-bench-decide/bin/python [--candidates N] [--slates N]

One seeded world for all: candidates in one to three of 40 categories, scores that differ by person, and what each
person cares for each category. The peers know the categories as unit vectors, and as a candidate's relevance they get
what it is worth alone, to this person; each is shown at the one of four settings with the best coverage. Prints CPU
milliseconds a slate, and what the slates are worth: the coverage that ours maximises, as a part of the most that any
slate could have; the expected clicks without regard to diversity; and how many categories are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import report
from revealed.decide.slate import Categories, Coverage, select

N_CATEGORIES, SIZE, REPEATS = 40, 10, 5
STRATEGIES = {"mmr": "MMR", "dpp": "greedy-MAP DPP", "msd": "MSD", "ssd": "SSD"}
#: CPU milliseconds a slate may take.
GOAL = 5.0


def world(n_candidates: int, n_slates: int, seed: int = 0) -> tuple[Categories, np.ndarray, np.ndarray]:
    """Return the categories, and scores and category weights of each person, shapes (slates, …)."""
    rng = np.random.default_rng(seed)
    several = 1 + rng.binomial(2, 0.2, n_candidates)
    rows = np.repeat(np.arange(n_candidates), several)
    # Some categories are large and some small.
    popular = rng.dirichlet(np.full(N_CATEGORIES, 1.0))
    labels = [f"c{c}" for c in range(N_CATEGORIES)]
    categories = Categories.from_rows(rows, rng.choice(N_CATEGORIES, len(rows), p=popular), n_candidates, labels)
    liking = rng.normal(0, 0.5, (n_slates, N_CATEGORIES + 1))
    scores = np.empty((n_slates, n_candidates))
    for person in range(n_slates):
        logit = rng.normal(-3.5, 0.7, n_candidates) + liking[person][categories.sets[:, 0]]
        scores[person] = 1 / (1 + np.exp(-logit))
    return categories, scores, rng.gamma(4.0, 0.25, (n_slates, N_CATEGORIES))


def ours(categories: Categories, scores: np.ndarray, weights: np.ndarray, bound: bool) -> dict[str, Any]:
    """Return the slates that we show, and milliseconds each, the checks at the door included."""
    orders, milliseconds = [], []
    began = time.process_time()
    categories = Categories(categories.labels, categories.sets)
    categories.groups  # noqa: B018  (once for a catalogue)
    once = 1e3 * (time.process_time() - began)
    for person in range(len(scores)):
        taken = []
        for _ in range(REPEATS):
            began = time.process_time()
            slate = select(Coverage(scores[person], categories, weights[person]), SIZE, bound=bound)
            taken.append(1e3 * (time.process_time() - began))
        orders.append(slate.order.tolist())
        milliseconds.append(median(taken))
    return {"orders": orders, "milliseconds": milliseconds, "once": once}


def plain(categories: Categories, scores: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Return the slates of greedy as one would write it: every candidate evaluated at every position."""
    orders, milliseconds = [], []
    for person in range(len(scores)):
        began = time.process_time()
        weight, spent, order = np.append(weights[person], 0.0), np.zeros(N_CATEGORIES + 1), list[int]()
        for _ in range(SIZE):
            grown = np.log1p(spent[categories.sets] + scores[person][:, None]) - np.log1p(spent)[categories.sets]
            gains = (weight[categories.sets] * grown).sum(axis=1)
            gains[order] = -np.inf
            order.append(int(gains.argmax()))
            spent[categories.sets[order[-1]]] += scores[person][order[-1]]
        milliseconds.append(1e3 * (time.process_time() - began))
        orders.append(order)
    return {"orders": orders, "milliseconds": milliseconds}


def peer(python: str, folder: Path, strategy: str) -> dict[str, Any]:
    """Return what a peer printed, or why it did not."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [python, "-m", "bench.peers.with_pyversity", str(folder), strategy]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"failure": (done.stderr.strip().splitlines() or ["no output"])[-1][:90]}
    return dict(json.loads(lines[-1]))


def worth_alone(objective: Coverage) -> np.ndarray:
    """Return what each candidate is worth as the only one shown."""
    weights = objective.padded_weights()[objective.categories.sets]
    return np.asarray((weights * np.log1p(objective.scores)[:, None]).sum(axis=1))


def coverage_of(orders: list[list[int]], objectives: list[Coverage], bounds: list[float]) -> float:
    """Return what slates are worth as a part of the most that any could be."""
    even = np.ones(SIZE)
    each = zip(orders, objectives, bounds, strict=True)
    return float(np.mean([objective.value(np.array(o, np.intp), even) / bound for o, objective, bound in each]))


def best_of(
    called: str, found: dict[str, Any], objectives: list[Coverage], bounds: list[float]
) -> tuple[str, dict[str, Any]]:
    """Return a peer at its best setting, with its name."""
    if "failure" in found:
        return f"pyversity, {called}", found
    best = max(found["settings"], key=lambda setting: coverage_of(setting["orders"], objectives, bounds))
    return f"pyversity, {called} at {best['diversity']}", {**best, "version": found["version"]}


def row_of(name: str, found: dict[str, Any], objectives: list[Coverage], bounds: list[float], own: float) -> list[str]:
    """Return a row of the table."""
    if "failure" in found:
        return [name, "–", "–", "–", "–", f"skipped: {found['failure']}"]
    clicks, shown = [], []
    for order, objective in zip(found["orders"], objectives, strict=True):
        items = np.array(order, np.intp)
        clicks.append(float(objective.scores[items].sum()))
        shown.append(len(set(objective.categories.sets[items].ravel().tolist()) - {N_CATEGORIES}))
    spent = median(found["milliseconds"])
    figures = [f"{spent:.2f}", f"{spent / own:,.1f}×", f"{coverage_of(found['orders'], objectives, bounds):.1%}"]
    return [name, *figures, f"{np.mean(clicks):.2f}", f"{np.mean(shown):.1f}"]


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the Python that has the peers; without it only ours and plain greedy run")
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--slates", type=int, default=10)
    options = parser.parse_args()
    categories, scores, weights = world(options.candidates, options.slates)
    objectives = [Coverage(s, categories, w) for s, w in zip(scores, weights, strict=True)]
    bounds = [select(objective, SIZE).upper_bound for objective in objectives]
    found = {
        "revealed": ours(categories, scores, weights, bound=False),
        "revealed, with its bound": ours(categories, scores, weights, bound=True),
        "plain greedy in numpy": plain(categories, scores, weights),
    }
    same = found["revealed"]["orders"] == found["plain greedy in numpy"]["orders"]
    if options.peers:
        with tempfile.TemporaryDirectory() as made:
            embeddings = np.zeros((options.candidates, N_CATEGORIES + 1), np.float32)
            np.put_along_axis(embeddings, categories.sets, 1.0, axis=1)
            alone = np.stack([worth_alone(objective) for objective in objectives])
            np.savez(Path(made) / "world.npz", embeddings=embeddings[:, :-1], scores=alone, size=SIZE)
            for strategy, called in STRATEGIES.items():
                name, what = best_of(called, peer(options.peers, Path(made), strategy), objectives, bounds)
                found[name] = what
                print(f"  run: {called}", file=sys.stderr)
    own, full = (median(found[name]["milliseconds"]) for name in ("revealed", "revealed, with its bound"))
    size = f"{options.candidates:,} candidates in {N_CATEGORIES} categories, {options.slates} persons"
    report.heading(f"Slates of {SIZE} out of {size}")
    columns = ["", "CPU ms a slate", "to ours", "coverage of the most", "expected clicks", "categories"]
    rows = [row_of(name, what, objectives, bounds, own) for name, what in found.items()]
    report.table(columns, rows, left=[""])
    report.note(report.goal(full < GOAL, f"a slate with its bound in {full:.2f} ms, under {GOAL:g} ms,"))
    report.note(report.goal(same, "the same slates as plain greedy,"))
    report.note(f"once for a catalogue, ours sorts its categories: {found['revealed']['once']:.0f} ms")
    report.note("pyversity's COVER compares every candidate with every other (10¹⁰ numbers here) and is left out")
    report.note("the peers maximise something else; coverage is what ours maximises, clicks leave diversity out")
    report.save("slate", {"candidates": options.candidates, "found": found})


if __name__ == "__main__":
    main()

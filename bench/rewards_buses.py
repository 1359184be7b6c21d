"""Rewards of the buses of GLADIUS's simulation, recovered without a formula, beside the published errors.

    python -m bench.rewards_buses [--seeds 20] [--sizes 50 250 500 1000]

Design (Kang, Yoganarasimhan and Jain 2025, arXiv 2502.14131): mileage from 1 to 20 that rises by one to four a period,
each as likely; keeping costs 1 a unit of mileage, replacing 5; discount factor .95, a hundred periods; four fifths of
the trajectories are learned from. Measured: the mean absolute error of the reward, in per cent of it, over the pairs of
state and action in the other fifth. What replacing costs is known, as the anchor's reward is to GLADIUS, so half the
pairs have no error. Pairs that a table never saw are left out, and their share is told; so are seeds in which it
refuses, since nobody replaced in a state that somebody came to.

A seed that is done is kept in bench/results, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from rich.progress import track

from bench import report
from revealed.errors import DataError
from revealed.models.dynamic import DecisionProcess, StateSpace, solved
from revealed.models.dynamic.irl import PQR, Polynomial, Tabular, Trajectories
from revealed.models.dynamic.irl.function_class import Function, FunctionClass

MILEAGE, PERIODS, DISCOUNT = 20, 100, 0.95
PER_MILE, REPLACING = -1.0, -5.0
LABELS = ("keep", "replace")
CLASSES: tuple[FunctionClass, ...] = (Tabular(), Polynomial(3))
SIZES = (50, 250, 500, 1000, 2500, 5000)
#: Published, in per cent, by number of trajectories.
PUBLISHED: dict[str, tuple[float | None, ...]] = {
    "NFXP, told the form": (3.62, 1.37, 0.90, 0.71, 0.68, 0.40),
    "GLADIUS": (3.44, 0.84, 0.55, 0.52, 0.13, 0.12),
    "SAmQ": (4.92, 3.65, 3.13, 1.55, None, None),
    "behaviour cloning": (80.6, 72.0, 71.9, 72.2, 62.6, 46.5),
}


def process() -> DecisionProcess:
    """Return the process: from where one is, or from zero after a replacement, mileage rises by one to four."""
    moves = np.zeros((2, MILEAGE, MILEAGE))
    for place in range(MILEAGE):
        for rise in range(1, 5):
            moves[0, place, min(place + rise, MILEAGE - 1)] += 0.25
            moves[1, place, rise - 1] += 0.25
    space = StateSpace.grid(mileage=range(1, MILEAGE + 1))
    return DecisionProcess.of(space, dict(zip(LABELS, moves, strict=True)), DISCOUNT)


def rewards(states: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 2"]:
    """Return the true rewards."""
    return np.column_stack([PER_MILE * states[:, 0], np.full(len(states), REPLACING)])


def driven(count: int, seed: int) -> tuple[Trajectories, Trajectories]:
    """Return the trajectories to learn from, and those to measure at."""
    world, random = process(), np.random.default_rng(seed)
    levels = world.space.column("mileage")
    replacing = solved(world, rewards(levels[:, None])).policy[:, 1]
    moves = np.stack([matrix.toarray() for matrix in world.transitions]).cumsum(axis=2)
    state, rows = np.zeros(count, dtype=np.int64), []
    for _ in range(PERIODS):
        action = (random.random(count) < replacing[state]).astype(np.int64)
        after = (moves[action, state] < random.random((count, 1))).sum(axis=1).clip(max=MILEAGE - 1)
        rows.append((state, action, after))
        state = after
    parts = [np.stack(part) for part in zip(*rows, strict=True)]
    learned = count * 4 // 5

    def some(columns: slice) -> Trajectories:
        states, actions, after = (part[:, columns] for part in parts)
        persons: Int[np.ndarray, " n"] = np.tile(np.arange(states.shape[1]), PERIODS)
        cells = [levels[part.ravel()][:, None] for part in (states, after)]
        return Trajectories.from_arrays(
            cells[0], actions.ravel(), cells[1], labels=LABELS, persons=persons, columns=["mileage"]
        )

    return some(slice(0, learned)), some(slice(learned, count))


def of_seed(count: int, seed: int) -> dict[str, tuple[float | None, float]]:
    """Return error in per cent, and the share of pairs without an answer, of each method and control."""
    data, test = driven(count, seed)
    rows = np.arange(test.n_choices)
    truth = rewards(test.states)[rows, test.actions]
    found: dict[str, tuple[float | None, float]] = {}

    def measured(name: str, reward: Function) -> None:
        error = np.abs(reward(test.states)[rows, test.actions] / truth - 1)
        known = np.isfinite(error)
        found[name] = (100 * float(error[known].mean()), float(1 - known.mean()))

    for family in CLASSES:
        model = PQR(discount=DISCOUNT, anchor="replace", anchor_reward=REPLACING, function_class=family)
        try:
            result = model.recover(data)
        except DataError:  # a state to which people came, and in which nobody replaced: a table refuses
            found[f"static log-odds, {family.title}"] = found[f"PQR, {family.title}"] = (None, 1.0)
            continue
        static = PQR(discount=0.0, anchor="replace", anchor_reward=REPLACING, function_class=family)
        measured(f"static log-odds, {family.title}", static.recover(data, result.log_policy).reward)
        measured(f"PQR, {family.title}", result.reward)
    return found


def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="Reward recovery in the bus design of GLADIUS.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), choices=SIZES)
    options = parser.parse_args()
    report.heading(
        "The reward of keeping an engine, given the cost of a new one",
        f"mean absolute error in per cent, {options.seeds} seeds; in brackets pairs without an answer",
    )
    kept = report.RESULTS / "rewards-buses.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for size, seed in track([(size, seed) for size in options.sizes for seed in range(options.seeds)], "Seeds"):
        if f"{size} {seed}" not in done:
            done[f"{size} {seed}"] = of_seed(size, seed)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(done))
    table: dict[str, list[str]] = {}
    for size in options.sizes:
        seeds = [done[f"{size} {seed}"] for seed in range(options.seeds)]
        for name in seeds[0]:
            error = np.mean([one[name][0] for one in seeds if one[name][0] is not None])
            unknown = np.mean([one[name][1] for one in seeds])
            table.setdefault(name, []).append(f"{error:.2f}" + (f" ({unknown:.1%})" if unknown else ""))
    for name, figures in PUBLISHED.items():
        shown = dict(zip(SIZES, figures, strict=True))
        table[f"published: {name}"] = ["" if shown[size] is None else f"{shown[size]:.2f}" for size in options.sizes]
    report.table(
        ["method", *map(str, options.sizes)], [[name, *cells] for name, cells in table.items()], left=["method"]
    )


if __name__ == "__main__":
    main()

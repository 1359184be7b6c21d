"""Rewards of the buses of GLADIUS's simulation, recovered without a formula, beside the published errors.

    python -m bench.rewards_buses [--seeds 20] [--sizes 50 250 500 1000] [--without-networks]

Design (Kang, Yoganarasimhan and Jain 2025, arXiv 2502.14131, 7.1): mileage from 1 to 20 that begins at 1, rises by one
to four a period, each as likely, and is 1 again in the period after a replacement; keeping costs 1 a unit of mileage,
replacing 5; discount factor .95, a hundred periods; four fifths of the trajectories are learned from. Measured: the
mean absolute error of the reward, in per cent of it, over the pairs of state and action in the other fifth. What
replacing costs is known, as the anchor's reward is to GLADIUS, so that two fifths of the pairs have no error. Pairs
that a table never saw are left out, and their share is told; so are seeds in which it refuses, since nobody replaced in
a state that somebody came to.

Controls: log-odds that do not look ahead; estimators that are told more (transitions, and that the reward is a straight
line; what replacing costs, too); and the least mean error that an estimator without bias can have (Cramér and Rao) who
knows transitions, and of behaviour nothing, or that log-odds are a straight line, which they nearly are.

A seed that is done is kept in bench/results, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from rich.progress import track

from bench import report
from revealed.errors import DataError
from revealed.models.dynamic import DecisionProcess, NestedFixedPoint, Panel, StateSpace, solved
from revealed.models.dynamic.irl import GLADIUS, PQR, Neural, Polynomial, Tabular, Trajectories
from revealed.models.dynamic.irl.function_class import Function, FunctionClass

MILEAGE, PERIODS, DISCOUNT = 20, 100, 0.95
PER_MILE, REPLACING = -1.0, -5.0
LABELS = ("keep", "replace")
CLASSES: tuple[FunctionClass, ...] = (Tabular(), Polynomial(3))
#: Two hidden layers of ten units, as theirs; a third of the rounds that it takes by itself, as there are few states.
NETWORK = Neural(hidden=(10, 10), rounds=20)
FORM = {"keep": "0 + mileage", "replace": "asc"}
SIZES = (50, 250, 500, 1000, 2500, 5000)
#: Published, in per cent, by number of trajectories.
PUBLISHED: dict[str, tuple[float | None, ...]] = {
    "NFXP, told the form": (3.62, 1.37, 0.90, 0.71, 0.68, 0.40),
    "GLADIUS": (3.44, 0.84, 0.55, 0.52, 0.13, 0.12),
    "SAmQ": (4.92, 3.65, 3.13, 1.55, None, None),
    "behaviour cloning": (80.6, 72.0, 71.9, 72.2, 62.6, 46.5),
}


def process() -> DecisionProcess:
    """Return the process: mileage rises by one to four, and is the least again after a replacement."""
    moves = np.zeros((2, MILEAGE, MILEAGE))
    moves[1, :, 0] = 1.0
    for place in range(MILEAGE):
        for rise in range(1, 5):
            moves[0, place, min(place + rise, MILEAGE - 1)] += 0.25
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


def told(data: Trajectories, fixed: dict[str, float]) -> Function:
    """Return the reward that the nested fixed point finds, which knows transitions and the form."""
    world, count = process(), data.n_choices
    state = np.asarray(data.states[:, 0] - 1, dtype=np.int64)
    none, period = np.full(count, -1), np.zeros(count, dtype=np.int64)
    persons = pa.array(np.unique(data.persons))
    panel = Panel(world.space, LABELS, state, data.actions, none, data.persons, persons, period, "buses")
    found = NestedFixedPoint(FORM, fixed=fixed).fit(panel, world)
    params = found["mileage"], found["asc[replace]"]
    return lambda states: np.column_stack([params[0] * states[:, 0], np.full(len(states), params[1])])


@cache
def least(degree: int) -> float:
    """Return the least mean error of an estimator from one trajectory learned from, in per cent.

    As replacing leads to one state, the reward of keeping is a function of log-odds alone; its error is theirs by the
    slope, and theirs the inverse information of choices.

    Parameters
    ----------
    degree : int
        Log-odds are known to be a polynomial of mileage of this degree.
    """
    world = process()
    levels = world.space.column("mileage")
    logs = np.log(solved(world, rewards(levels[:, None])).policy)
    moves = np.stack([matrix.toarray() for matrix in world.transitions])
    at, pairs = np.eye(MILEAGE)[0], np.zeros((MILEAGE, 2))
    for _ in range(PERIODS):
        pairs += at[:, None] * np.exp(logs)
        at = np.einsum("s,sa,ast->t", at, np.exp(logs), moves)

    def keeping(odds: np.ndarray) -> np.ndarray:
        rare = -np.logaddexp(0.0, -odds)
        return np.asarray(REPLACING - DISCOUNT * rare[0] - odds + DISCOUNT * moves[0] @ rare)

    odds, step = logs[:, 1] - logs[:, 0], 1e-5
    seen = np.flatnonzero(pairs[:, 0] > 1e-4)  # what is never seen has no error, and no bearing on the rest
    directions = np.eye(MILEAGE)[:, seen] if degree >= len(seen) else np.vander((levels - 3) / 2, degree + 1)
    information = (directions.T * pairs.sum(axis=1) * np.exp(logs.sum(axis=1))) @ directions
    sides = [np.column_stack([keeping(odds + way * one) for one in directions.T]) for way in (step, -step)]
    slopes = (sides[0] - sides[1]) / (2 * step)
    spread = np.sqrt(np.einsum("sk,kl,sl->s", slopes, np.linalg.inv(information), slopes))
    share = pairs[:, 0] / pairs.sum()
    return float(100 * np.sqrt(2 / np.pi) * (share * spread / -rewards(levels[:, None])[:, 0]).sum())


def of_seed(count: int, seed: int, families: tuple[FunctionClass, ...]) -> dict[str, tuple[float | None, float]]:
    """Return error in per cent, and the share of pairs without an answer, of each method and control."""
    data, test = driven(count, seed)
    rows = np.arange(test.n_choices)
    truth = rewards(test.states)[rows, test.actions]
    found: dict[str, tuple[float | None, float]] = {}
    shared: dict[str, Any] = {"anchor": "replace", "anchor_reward": REPLACING}

    def measured(name: str, reward: Function) -> None:
        error = np.abs(reward(test.states)[rows, test.actions] / truth - 1)
        known = np.isfinite(error)
        found[name] = (100 * float(error[known].mean()), float(1 - known.mean()))

    for family in CLASSES:
        model = PQR(discount=DISCOUNT, function_class=family, **shared)
        try:
            result = model.recover(data)
        except DataError:  # a state to which people came, and in which nobody replaced: a table refuses
            found[f"static log-odds, {family.title}"] = found[f"PQR, {family.title}"] = (None, 1.0)
            continue
        static = PQR(discount=0.0, function_class=family, **shared)
        measured(f"static log-odds, {family.title}", static.recover(data, result.log_policy).reward)
        measured(f"PQR, {family.title}", result.reward)
    for family in families:
        gladius = GLADIUS(discount=DISCOUNT, function_class=family, **shared)
        measured(f"GLADIUS, {family.title}", gladius.recover(data).reward)
    measured("NFXP, told the form", told(data, {}))
    measured("NFXP, told the form and what replacing costs", told(data, {"asc[replace]": REPLACING}))
    return found


def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="Reward recovery in the bus design of GLADIUS.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), choices=SIZES)
    parser.add_argument("--without-networks", action="store_true", help="they take nine tenths of the time")
    options = parser.parse_args()
    families = CLASSES[-1:] if options.without_networks else (CLASSES[-1], NETWORK)
    report.heading(
        "The reward of keeping an engine, given the cost of a new one",
        f"mean absolute error in per cent, {options.seeds} seeds; in brackets pairs without an answer",
    )
    kept = report.RESULTS / f"rewards-buses-renewed{'-quick' if options.without_networks else ''}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for size, seed in track([(size, seed) for size in options.sizes for seed in range(options.seeds)], "Seeds"):
        if f"{size} {seed}" not in done:
            done[f"{size} {seed}"] = of_seed(size, seed, families)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(done))
    table: dict[str, list[str]] = {}
    for size in options.sizes:
        seeds = [done[f"{size} {seed}"] for seed in range(options.seeds)]
        for name in seeds[0]:
            error = np.mean([one[name][0] for one in seeds if one[name][0] is not None])
            unknown = np.mean([one[name][1] for one in seeds])
            table.setdefault(name, []).append(f"{error:.2f}" + (f" ({unknown:.1%})" if unknown else ""))
        for name, degree in (("a straight line", 1), ("free in each state", MILEAGE)):
            error = least(degree) / np.sqrt(size * 4 // 5)
            table.setdefault(f"least error, log-odds {name}", []).append(f"{error:.2f}")
    for name, figures in PUBLISHED.items():
        shown = dict(zip(SIZES, figures, strict=True))
        table[f"published: {name}"] = ["" if shown[size] is None else f"{shown[size]:.2f}" for size in options.sizes]
    report.table(
        ["method", *map(str, options.sizes)], [[name, *cells] for name, cells in table.items()], left=["method"]
    )


if __name__ == "__main__":
    main()

"""Regret with late answers: nothing yet, naive, importance weights, and an oracle that knows answers at once.

python -m bench.delay [--seeds N] [--only SCENARIO]

A scenario is a law of delays in rounds. Regret is counted from the end of the tenth mean delay. All treatments of a
seed meet the same contexts and the same luck.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench import report
from bench.peers.measure import pin_threads
from revealed.decide.delay import (
    ElapsedWeighted,
    FakeNegativeWeighted,
    LawOptions,
    Naive,
    NothingYet,
    Oracle,
    PendingLedger,
    WeibullDelay,
)
from revealed.decide.delay.treatment import Treatment
from revealed.models.glm.model import BayesianGLM

N_ACTIONS, DIM, BATCH = 20, 50, 100


class World:
    """The fixed logistic world of the figures: 20 actions, features context ⊗ action (9 × 5), five of the context."""

    def __init__(self) -> None:
        world = np.random.default_rng(20260101)
        self.actions = world.normal(size=(N_ACTIONS, 5)) / np.sqrt(5)
        self.actions[:, 0] = 1 / np.sqrt(5)
        self.theta = np.concatenate([world.normal(size=45) * 0.45, world.normal(size=5) * 0.3])
        self.theta[0] += -3.0 * np.sqrt(5)

    def contexts(self, generator: np.random.Generator, n: int) -> np.ndarray:
        x = generator.normal(size=(n, 9))
        x[:, 0] = 1.0
        return x

    def features(self, x: np.ndarray, shown: np.ndarray) -> np.ndarray:
        outer = np.einsum("ni,nj->nij", x, self.actions[shown]).reshape(len(x), 45)
        return np.concatenate([outer, x[:, :5]], axis=1)

    def utilities(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Return features times parameters, of each context (its own or the same parameters) with each action."""
        theta = np.broadcast_to(theta, (len(x), DIM))
        by_action = np.einsum("ni,nij->nj", x, theta[:, :45].reshape(-1, 9, 5))
        return by_action @ self.actions.T + (x[:, :5] * theta[:, 45:]).sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


@dataclass
class Run:
    """The regret of each batch, how far predictions are off by the end of the tenth mean delay, CPU seconds."""

    regret: np.ndarray
    off: float
    cpu: float


@dataclass
class Scenario:
    """How long answers take."""

    name: str
    mean: float
    rounds: int
    draw: Callable[[np.random.Generator, int], np.ndarray]


def log_normal(generator: np.random.Generator, n: int) -> np.ndarray:
    """Half within 500 rounds, one in forty after 10,000; no Weibull law."""
    return generator.lognormal(np.log(500.0), 1.5, n)


SCENARIOS = (
    Scenario("exponential, mean 1,000", 1_000.0, 100_000, lambda g, n: g.exponential(1_000.0, n)),
    Scenario("exponential, mean 10,000", 10_000.0, 200_000, lambda g, n: g.exponential(10_000.0, n)),
    Scenario("log-normal, median 500, mean 1,540", 1_540.0, 60_000, log_normal),
)


def play(world: World, treatment: Treatment, scenario: Scenario, delays: LawOptions, seed: int) -> Run:
    """Decide in batches by Thompson sampling, one draw a decision, and learn what has come by then."""
    streams = [np.random.default_rng([seed, i]) for i in range(4)]
    ledger = PendingLedger(BayesianGLM.fresh(DIM, "logit"), treatment, delays)
    due, waiting = np.zeros(0), np.zeros(0, np.int64)
    regret, off, began = np.zeros(scenario.rounds // BATCH), [], time.process_time()
    places, tenth = np.arange(BATCH), round(10 * scenario.mean / BATCH)
    for batch in range(len(regret)):
        now = float(batch * BATCH)
        here = due <= now
        ledger.answer(waiting[here], np.ones(int(here.sum())), now, came=due[here])
        due, waiting = due[~here], waiting[~here]
        model = ledger.model
        x = world.contexts(streams[0], BATCH)
        theta = model.posterior.draw(streams[1].standard_normal((BATCH, DIM)))
        shown = world.utilities(x, theta).argmax(axis=1)
        p = 1 / (1 + np.exp(-world.utilities(x, world.theta)))
        at = p[places, shown]
        regret[batch] = (p.max(axis=1) - at).sum()
        rows = world.features(x, shown)
        if tenth - 20 <= batch < tenth:
            off.append(float((model.expected(rows).mean - at).mean()))
        yes = streams[2].random((BATCH, N_ACTIONS))[places, shown] < at
        wait = scenario.draw(streams[3], BATCH)
        tickets = ledger.add(rows, now, truth=yes.astype(float))
        due, waiting = np.concatenate([due, now + wait[yes]]), np.concatenate([waiting, tickets[yes]])
    return Run(regret, float(np.mean(off)), time.process_time() - began)


def compare(scenario: Scenario, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Print one scenario; return its numbers by treatment and seed."""
    known = WeibullDelay.with_mean(scenario.mean)
    treatments: list[tuple[str, Treatment, LawOptions]] = [
        ("oracle", Oracle(), LawOptions()),
        ("nothing yet, law estimated", NothingYet(), LawOptions()),
        ("nothing yet, exponential law of the mean given", NothingYet(), LawOptions(law=known)),
        ("naive", Naive(), LawOptions()),
        ("fake-negative weighted", FakeNegativeWeighted(), LawOptions()),
        ("ES-DFM, window of half a mean", ElapsedWeighted(scenario.mean / 2), LawOptions()),
    ]
    world, split = World(), round(10 * scenario.mean / BATCH)
    numbers: dict[str, dict[str, list[float]]] = {}
    for name, treatment, delays in treatments:
        runs = [play(world, treatment, scenario, delays, seed) for seed in range(seeds)]
        numbers[name] = {
            "before": [float(run.regret[:split].sum()) for run in runs],
            "after": [float(run.regret[split:].sum()) for run in runs],
            "off": [run.off for run in runs],
            "cpu": [run.cpu for run in runs],
        }
    oracle = np.array(numbers["oracle"]["after"])
    rows = []
    for name, of in numbers.items():
        after = np.array(of["after"])
        error = float((after - oracle).std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
        share, spread = after.mean() / oracle.mean() - 1, error / oracle.mean()
        columns = (np.mean(of["before"]), after.mean(), 100 * share, 100 * 1.96 * spread, 100 * np.mean(of["off"]))
        rows.append([name, *(f"{value:+.1f}" if i > 1 else f"{value:,.1f}" for i, value in enumerate(columns))])
        rows[-1][4] = f"± {100 * 1.96 * spread:.1f}"
        rows[-1].append(f"{np.mean(of['cpu']):.1f}")
    report.heading(f"Late answers: {scenario.name}", f"{scenario.rounds:,} rounds, {seeds} seeds")
    columns_shown = ("treatment", "regret, first 10 delays", "after", "% over oracle", "95%", "% points off", "CPU s")
    report.table(columns_shown, rows, left=("treatment",))
    ours, naive = numbers["nothing yet, law estimated"], numbers["naive"]
    over = np.mean(ours["after"]) / oracle.mean() - 1
    report.note(report.goal(bool(over <= 0.1), f"after the first 10 mean delays {over:+.1%} over the oracle, ≤ 10%"))
    total = {name: np.mean(of["before"]) + np.mean(of["after"]) for name, of in numbers.items()}
    gap = total["naive"] - total["nothing yet, law estimated"]
    less = np.array(naive["before"]) + naive["after"] - np.array(ours["before"]) - ours["after"]
    text = f"regret of the naive less ours {gap:,.0f} in all (lowest of the seeds {less.min():,.0f}), ≥ 0"
    report.note(report.goal(bool(gap >= 0), text))
    return numbers


def main() -> None:
    """Play all scenarios."""
    parser = argparse.ArgumentParser(description="Regret with late answers.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a scenario's name")
    options = parser.parse_args()
    pin_threads()
    results = {s.name: compare(s, options.seeds) for s in SCENARIOS if options.only in s.name}
    if not options.only:
        report.save("delay", results)


if __name__ == "__main__":
    main()

"""Rewards recovered from behaviour: the designs of GenPQR's tables, ours beside the published errors and controls.

    python -m bench.rewards [--seeds 100] [--trajectories 1000] [--logit 0] [--classes neural polynomial …]

Design (van der Laan, Kallus and Bibaut 2025, arXiv 2509.21172, and the simulation that comes with it): states of five
numbers, five actions, of which the first, the anchor, stays and earns nothing; discount factor .9, ten periods;
transitions without chance, unknown to the estimators; 300 test trajectories; probabilities of .01 at least. A seed
draws the world and the data as theirs does, so a seed is the same world here and there. Measured at the actions taken
in the test trajectories: mean squared error and correlation of the reward, negative log-likelihood of behaviour (of the
true behaviour in the rows of controls that need no estimate of it). The class ``no-anchor`` stands for maximum-entropy
and adversarial inverse reinforcement learning, which know of no anchor; the published row of the former has the logits
of a network for rewards, which come nearest our static log-odds. GLADIUS learns behaviour with values, so that its
behaviour is its own, without a floor.

A seed that is done is kept in bench/results, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from rich.progress import track

from bench import report
from revealed.models.dynamic.irl import (
    AIRL,
    GLADIUS,
    PQR,
    Boosted,
    GenPQR,
    MaxEnt,
    Neural,
    Polynomial,
    Trajectories,
    log_probability,
    negative_log_likelihood,
    static_log_odds,
    zero_reward,
)
from revealed.models.dynamic.irl.function_class import Function, FunctionClass
from revealed.models.dynamic.irl.pqr import Floored
from revealed.models.dynamic.irl.scaling import log_shares

COLUMNS, ACTIONS, PERIODS, TEST = 5, 5, 10, 300
DISCOUNT, FLOOR = 0.9, 0.01
ANCHOR = "a0"
#: Seeds of the test data are those of the training data, and this.
APART = 10_000
CLASSES: dict[str, FunctionClass] = {"neural": Neural(), "polynomial": Polynomial(2), "boosted": Boosted()}
#: Those that GLADIUS can take: with a slope.
JOINT = ("neural", "polynomial")
#: Controls that know no anchor, named like a class of functions.
NO_ANCHOR = "no-anchor"

#: Published, 100 seeds: mean squared error, correlation, negative log-likelihood, by (trajectories, anchor's logit).
PUBLISHED: dict[tuple[int, float], dict[str, tuple[float | None, float | None, float | None]]] = {
    (1000, 0.0): {
        "GenPQR, cloned policy, neural": (0.370, 0.814, 1.546),
        "DeepPQR, AIRL policy": (0.794, 0.692, 1.608),
        "MaxEnt-IRL, Q as reward": (1.167, 0.351, 1.624),
        "AIRL": (2.175, -0.006, 1.608),
    },
    (200, -1.0): {"DeepPQR, AIRL policy": (2.599, None, None), "GenPQR, AIRL policy": (0.912, None, None)},
    (1000, -1.0): {"DeepPQR, AIRL policy": (1.480, None, None), "GenPQR, AIRL policy": (0.758, None, None)},
    (2500, 0.0): {"DeepPQR, AIRL policy": (0.703, None, None), "GenPQR, AIRL policy": (0.598, None, None)},
}


@dataclass(frozen=True, eq=False)
class World:
    """Behaviour given in closed form, and the reward that explains it.

    Parameters
    ----------
    weights : ndarray of float64, shape (A, d)
    bias : ndarray of float64, shape (A,)
    """

    weights: Float[np.ndarray, "A d"]
    bias: Float[np.ndarray, " A"]

    @classmethod
    def of(cls, seed: int, logit: float) -> World:
        """Draw a world; what is drawn and not used keeps the order of draws that of the published simulation."""
        random = np.random.default_rng(seed)
        random.normal(size=(ACTIONS, COLUMNS))
        random.normal(size=(ACTIONS, COLUMNS))
        weights = random.normal(scale=0.7, size=(ACTIONS, COLUMNS))
        bias = np.linspace(0.5, -0.3, ACTIONS)
        bias[0] += logit
        return cls(weights, bias)

    def log_policy(self, states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n A"]:
        """Return the logarithms of choice probabilities."""
        scaled = states / np.sqrt(COLUMNS)
        score = scaled @ self.weights.T + self.bias
        bent = score + 0.35 * np.sin(1.5 * score) + 0.2 * scaled**2 @ np.abs(self.weights).T
        return np.asarray(log_shares(0.8 * np.tanh(bent)))

    def moved(self, states: Float[np.ndarray, "n d"], actions: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """Return the next states: an action's step moves all numbers alike; who leaves the box begins at zero."""
        steps = np.concatenate([[0.0], np.linspace(-0.35, 0.35, ACTIONS - 1)])
        found: np.ndarray = states + steps[actions][:, None]
        found[(np.abs(found) > COLUMNS).any(axis=1)] = 0.0
        return found

    def value(self, states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return the value: as the anchor stays and earns nothing, that of the surprise at it, for ever."""
        return np.asarray(-self.log_policy(states)[:, 0] / (1 - DISCOUNT))

    def reward(self, states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n A"]:
        """Return the true rewards."""
        each = [self.moved(states, np.full(len(states), action)) for action in range(ACTIONS)]
        later = np.column_stack([self.value(after) for after in each])
        return np.asarray(self.log_policy(states) + self.value(states)[:, None] - DISCOUNT * later)

    def trajectories(self, count: int, seed: int) -> Trajectories:
        """Return what some persons do; draws in the order of the published simulation."""
        random = np.random.default_rng(seed + 1)
        states, rows = random.normal(size=(count, COLUMNS)), []
        for _ in range(PERIODS):
            chance = np.exp(self.log_policy(states))
            actions = np.array([random.choice(ACTIONS, p=one) for one in chance])
            random.normal(size=count)  # the noise of observed rewards, which nobody here sees
            rows.append((states, actions, self.moved(states, actions)))
            states = rows[-1][2]
        parts = [np.concatenate(part) for part in zip(*rows, strict=True)]
        labels = tuple(f"a{action}" for action in range(ACTIONS))
        return Trajectories.from_arrays(*parts, labels=labels, persons=np.tile(np.arange(count), PERIODS))


def of_seed(seed: int, count: int, logit: float, classes: list[str]) -> dict[str, list[float]]:
    """Return error, correlation, likelihood and CPU seconds of each method and control."""
    world = World.of(seed, logit)
    data, test = world.trajectories(count, seed), world.trajectories(TEST, seed + APART)
    rows = np.arange(test.n_choices)
    truth = world.reward(test.states)[rows, test.actions]
    found: dict[str, list[float]] = {}

    def measured(name: str, reward: Function, log_policy: Function, began: float) -> None:
        taken = reward(test.states)[rows, test.actions]
        alike = float(np.corrcoef(taken, truth)[0, 1]) if taken.std() > 0 else 0.0
        likelihood = negative_log_likelihood(log_policy, test.states, test.actions)
        found[name] = [float(((taken - truth) ** 2).mean()), alike, likelihood, process_time() - began]

    measured("zero reward", zero_reward(data), world.log_policy, process_time())
    measured("static log-odds, true policy", static_log_odds(world.log_policy, 0), world.log_policy, process_time())
    if NO_ANCHOR in classes:
        for model in (MaxEnt(discount=DISCOUNT), AIRL(discount=DISCOUNT)):
            began = process_time()
            without, title = model.recover(data), type(model).__name__
            log_policy: Function = Floored(without.log_policy, float(np.log(FLOOR)))
            measured(title, without.reward, log_policy, began)
            measured(f"static log-odds, {title} policy", static_log_odds(log_policy, 0), log_policy, began)
            pqr = PQR(anchor=ANCHOR, discount=DISCOUNT, function_class=CLASSES["polynomial"])
            recovered = pqr.recover(data, log_policy)
            measured(f"PQR with polynomial values, {title} policy", recovered.reward, log_policy, began)
    for name in (name for name in CLASSES if name in classes):
        shared: dict[str, Any] = {"discount": DISCOUNT, "function_class": CLASSES[name], "floor": FLOOR}
        pqr, genpqr = PQR(anchor=ANCHOR, **shared), GenPQR(normaliser=ANCHOR, **shared)
        began = process_time()
        log_policy = pqr.behaviour(data)
        cloned = process_time() - began
        measured(f"log-probability, {name}", log_probability(log_policy), log_policy, began)
        measured(f"static log-odds, {name}", static_log_odds(log_policy, 0), log_policy, began)
        smooth = replace(pqr, function_class=CLASSES["polynomial"])
        estimators = [("PQR", pqr), ("GenPQR", genpqr), ("PQR with polynomial values", smooth)]
        for title, estimator in estimators[: 2 if name == "polynomial" else 3]:
            began = process_time() - cloned
            measured(f"{title}, {name}", estimator.recover(data, log_policy).reward, log_policy, began)
        if name in JOINT:
            began = process_time()
            joint = GLADIUS(anchor=ANCHOR, discount=DISCOUNT, function_class=CLASSES[name]).recover(data)
            measured(f"GLADIUS, {name}", joint.reward, joint.log_policy, began)
    return found


def main() -> None:
    """Measure, keep, print."""
    every = [*CLASSES, NO_ANCHOR]
    parser = argparse.ArgumentParser(description="Reward recovery in the designs of GenPQR.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trajectories", type=int, default=1000)
    parser.add_argument("--logit", type=float, default=0.0, help="added to the anchor's logit")
    parser.add_argument("--classes", nargs="+", default=every, choices=every)
    options = parser.parse_args()
    count, logit = options.trajectories, options.logit
    report.heading(
        "Rewards from behaviour, given that the anchor earns nothing",
        f"{count:,} trajectories, anchor's logit {logit:+g}, {options.seeds} seeds; means, and half a 95% interval",
    )
    kept = report.RESULTS / f"rewards-{count}-{logit:g}-{'+'.join(options.classes)}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for seed in track(range(options.seeds), "Seeds"):
        joint = [f"GLADIUS, {name}" for name in JOINT if name in options.classes]
        if str(seed) not in done or not done[str(seed)].keys() >= set(joint):  # kept before there was GLADIUS
            done[str(seed)] = of_seed(seed, count, logit, options.classes)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(done))
    seeds = [done[str(seed)] for seed in range(options.seeds)]
    rows, errors = [], {}
    for name in seeds[0]:
        numbers = np.array([one[name] for one in seeds])
        mean, half = numbers.mean(axis=0), 1.96 * numbers.std(axis=0, ddof=min(1, len(seeds) - 1)) / len(seeds) ** 0.5
        errors[name] = float(mean[0])
        rows.append([name, f"{mean[0]:.3f} ± {half[0]:.3f}", f"{mean[1]:.3f}", f"{mean[2]:.3f}", f"{mean[3]:.1f}"])
    published = PUBLISHED.get((count, logit), {})
    for name, figures in published.items():
        rows.append([f"published: {name}", *("" if one is None else f"{one:.3f}" for one in figures), ""])
    report.table(["method", "reward MSE", "correlation", "NLL", "CPU s"], rows, left=("method",))
    for ours, theirs in (("PQR", "DeepPQR"), ("GenPQR", "GenPQR")):
        for known in (figures[0] for name, figures in published.items() if name.startswith(theirs)):
            for name in (name for name in CLASSES if name in options.classes):
                error = errors[f"{ours}, {name}"]
                text = f"{ours}, {name}: {error:.3f}, at or under the published {theirs} {known:.3f}:"
                report.note(report.goal(known is not None and error <= known, text))


if __name__ == "__main__":
    main()

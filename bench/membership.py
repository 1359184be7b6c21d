"""The membership world: how often the truth of five what-ifs over time lies within their 95% intervals.

python -m bench.membership --seeds 100

Each seed: 20,000 members for 36 months, transitions and rewards estimated from what they chose, intervals from a
bootstrap by person; the truth is the same what-if in the true world. A seed that is done is kept in bench/results, so
an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
from rich.progress import track

from bench import report
from revealed.answer.counterfactual import OverTimeOptions, over_time
from revealed.answer.over_time import OverTime
from revealed.models.dynamic import DecisionProcess, Membership, NestedPseudoLikelihood, bootstrapped, by_columns
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.membership import ACTIONS, REWARD
from revealed.models.dynamic.transitions import EstimatedTransitions

MONTH = 24
QUESTIONS = {
    "a month costs 1 more": "payment[alternative == 'monthly'] += 1",
    "a new benefit, worth half a step of use": "use[alternative != 'none'] += 0.5",
    "a year costs 20% less": "payment[alternative == 'annual'] *= 0.8",
    "the first month is free": "payment[alternative == 'monthly' and member == 0] = 0",
    "beginning again is easy": "trouble *= 0.5",
}
MEASURES = ("annual", "monthly", "none", "paid", "stayed", "surplus")
#: Of a hundred seeds, this many within their intervals.
GOAL = 0.90


def asked(world: Membership, fit: DynamicFit, question: str, **more: Any) -> OverTime:
    """Return the answer of a fit to a question."""
    return over_time(
        fit, question, periods=MONTH, start=world.start, paid="payment", leaving="none", money="payment", **more
    )


def numbers(answer: OverTime) -> list[tuple[float, float, float]]:
    """Return value, low and high of each measure's change in the last month."""
    whole = answer.of()
    found = [
        (float(series.value[-1]), float(series.low[-1]), float(series.high[-1])) for series in whole.difference.values()
    ]
    return [*found, (whole.surplus.value, whole.surplus.low, whole.surplus.high)]


def of_seed(world: Membership, members: int, months: int, seed: int, draws: int) -> dict[str, Any]:
    """Return the answers of one seed."""
    panel = world.panel(members, months, seed)

    def moved(some: Any) -> EstimatedTransitions:
        return by_columns(some, world.moves)

    found = moved(panel)
    process = DecisionProcess(
        world.space, ACTIONS, found.matrices, world.discount, None, world.available, 1.0, world.attributes
    )
    model = NestedPseudoLikelihood(REWARD)
    fit = model.fit(panel, process, transitions=found)
    again = bootstrapped(model, panel, process, moved, draws=draws, seed=seed, start=fit)
    return {question: numbers(asked(world, fit, text, bootstrap=again)) for question, text in QUESTIONS.items()}


def true_fit(world: Membership) -> DynamicFit:
    """Return a fit whose parameters and process are the truth."""
    panel = world.panel(2_000, 24, 0)
    fit = NestedPseudoLikelihood(REWARD).fit(panel, world.process)
    return replace(fit, params=np.array([world.truth[name] for name in fit.names]), process=world.process)


def main() -> None:
    """Ask, count, print."""
    parser = argparse.ArgumentParser(description="Coverage of what-ifs over time in the membership world.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--draws", type=int, default=39, help="of the bootstrap")
    options = parser.parse_args()
    world = Membership()
    report.heading(
        "Choices over time: five what-ifs in the membership world",
        f"{options.members:,} members x {options.months} months, {world.space.n_states} states; nested "
        f"pseudo-likelihood; bootstrap by person, {options.draws} draws; changes after {MONTH} months",
    )
    told = true_fit(world)
    truth = {
        question: [value for value, _, _ in numbers(asked(world, told, text, options=OverTimeOptions(draws=0)))]
        for question, text in QUESTIONS.items()
    }
    kept = report.RESULTS / f"membership-{options.members}-{options.months}-{options.draws}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    started = process_time()
    for seed in track(range(options.seeds), "Seeds"):
        if str(seed) not in done:
            done[str(seed)] = of_seed(world, options.members, options.months, seed, options.draws)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(done))
    seeds = [done[str(seed)] for seed in range(options.seeds)]
    rows, worst = [], 1.0
    for question, true in truth.items():
        for place, measure in enumerate(MEASURES):
            answers = np.array([one[question][place] for one in seeds])
            inside = float(((answers[:, 1] <= true[place]) & (true[place] <= answers[:, 2])).mean())
            worst = min(worst, inside)
            cells = [f"{true[place]:.4f}", f"{answers[:, 0].mean():.4f}", f"{answers[:, 0].std():.4f}", f"{inside:.0%}"]
            rows.append([question if not place else "", measure, *cells])
    report.table(["what if", "measure", "truth", "mean", "sd", "within"], rows, left=("what if", "measure"))
    report.note(f"{process_time() - started:.0f} CPU seconds in this run")
    report.note(
        report.goal(worst >= GOAL, f"within the 95% interval in {worst:.0%} of {options.seeds} seeds at worst, >= 90%")
    )


if __name__ == "__main__":
    main()

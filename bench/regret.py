"""Cumulative regret over 100,000 rounds, ours and the peers', in worlds with a known truth.

python -m bench.regret --peers PYTHON [--seeds N] [--rounds N] [--worlds reference disjoint ...] [--processes N]

What is done is kept, and a run that was interrupted goes on where it was (bench/regret_runs.py); with --kept it prints
what there is, and plays nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import nan, sqrt
from os import cpu_count
from statistics import mean, stdev
from typing import NamedTuple

from scipy.stats import t

from bench import report
from bench.peers.bandits.play import EVERY
from bench.regret_runs import KEPT, Run, Runs, Task, is_ours
from bench.stores import FAMILIES, FIRST

DEFAULT = "ours:Thompson"
OURS = (DEFAULT, "ours:Wide", "ours:Upper", "ours:Best")
#: A few seconds for a run: like ours, twice as many seeds.
QUICK = ("with_numpy:Draw", "with_numpy:Random", "with_bayesianbandits:Thompson")
#: Ten seconds, but near ours: as many seeds as ours, to tell them apart; in the disjoint world river's is near, too.
NEAR = ("with_bayesianbandits:Upper",)
NEAR_IF_DISJOINT = ("with_river:Upper",)
#: Where a rule now and then settles on a wrong action for good: times as many seeds, for a few runs decide the mean.
RARE = {"disjoint": 3, "store-disjoint": 3}
#: Six seconds: a fifth of the rounds outside the main worlds.
USUAL = (
    "with_contextualbandits:Upper", "with_contextualbandits:FromInterval",
    "with_mabwiser:Upper", "with_mabwiser:Thompson",
)  # fmt: skip
#: Half a minute and more: not all rounds in the drifting world; outside the main worlds only the best of them.
SLOW = ("with_vowpal:Bag", "with_vowpal:SquareCB", "with_vowpal:Epsilon", "with_river:Upper", "with_obp:Upper")
#: Hours: one seed, a hundredth of the rounds, in the main worlds only.
SLOWEST = ("with_pybandits:Thompson",)
MAIN = ("reference", "disjoint", "drifting")

CHOSEN_IN = {
    "reference": "20 actions, 50 shared features: bandit_env.py",
    "disjoint": "10 actions with nothing in common, 6 contexts",
    "drifting": "the reference world, but tastes wander: a third of their size every 1,000 rounds",
    "plain": "20 actions, no context",
}


def tasks_in(world: str, n_seeds: int, n_rounds: int) -> list[Task]:
    """Return who plays in a world, for how long, and how often."""
    few, many, main = tuple(range(n_seeds)), tuple(range(2 * n_seeds * RARE.get(world, 1))), world in MAIN
    part = n_rounds // 5
    near = NEAR + NEAR_IF_DISJOINT if world == "disjoint" else NEAR
    tasks = [Task(which, world, n_rounds, many) for which in QUICK]
    tasks += [Task(which, world, n_rounds, many) for which in near]
    tasks += [Task(which, world, n_rounds if main else part, few) for which in USUAL]
    whole = world in ("reference", "disjoint")
    slow = [which for which in (SLOW if main else SLOW[:1]) if which not in near]
    tasks += [Task(which, world, n_rounds if whole else part, few) for which in slow]
    tasks += [Task(which, world, n_rounds // 100, (0,)) for which in SLOWEST if main]
    tasks += [Task(which, world, n_rounds, many) for which in OURS]
    return [task for task in tasks if task.n_rounds >= EVERY]


def turn(task: Task) -> int:
    """Return when a task's turn is: the quick ones in all worlds first, so that there soon is a table."""
    return next(at for at, group in enumerate((QUICK, OURS, NEAR, USUAL, SLOW, SLOWEST)) if task.which in group)


def main() -> None:
    """Run every policy in every world with every seed, print a table for each world."""
    parser = argparse.ArgumentParser(description="Cumulative regret, ours and the peers'.")
    parser.add_argument("--peers", default=sys.executable, help="a python that has the peers' libraries")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=100_000)
    worlds = (*CHOSEN_IN, *FAMILIES)
    parser.add_argument("--worlds", nargs="+", default=list(worlds), choices=worlds)
    parser.add_argument("--processes", type=int, default=min(2, cpu_count() or 1), help="at a time")
    parser.add_argument("--afresh", action="store_true", help="forget the runs that are kept")
    parser.add_argument("--kept", action="store_true", help="play nothing: print what is kept")
    options = parser.parse_args()
    if options.afresh:
        KEPT.unlink(missing_ok=True)
    tasks = {world: tasks_in(world, options.seeds, options.rounds) for world in options.worlds}
    runs = Runs(KEPT, options.peers)
    every = sorted((task for of_world in tasks.values() for task in of_world), key=turn)
    runs.write_stores(every)
    if not options.kept:
        runs.play(every, options.processes)
    for world, of_world in tasks.items():
        by_name = {task.which: found for task in of_world if (found := runs.of(task))}
        if DEFAULT in by_name:  # all are compared with it
            show(world, options.rounds, by_name)
    for which, why in runs.failed.items():
        report.note(f"left out: {which}: {why}")
    for world, of_world in tasks.items():
        left = [f"{task.which} ({len(seeds)})" for task in of_world if (seeds := runs.missing(task))]
        if left:
            report.note(f"not played yet in '{world}', with how many seeds: {', '.join(left)}")
    found = [run for task in every for run in runs.of(task)]
    report.note(f"{sum(run['cpu'] for run in found) / 60:,.0f} minutes of CPU time in all")
    report.save("regret", {"runs": found})


class Mean(NamedTuple):
    """A mean with half its 95% interval (Student's t), nan where there is one value."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Return that of some values."""
        n = len(values)
        return cls(mean(values), float(t.ppf(0.975, n - 1)) * stdev(values) / sqrt(n) if n > 1 else nan)

    def __str__(self) -> str:
        return f"{self.mean:,.0f} ± {self.half:,.0f}" if self.half == self.half else f"{self.mean:,.0f}"


def gap(ours: Sequence[Run], theirs: Sequence[Run]) -> Mean:
    """Return ours less theirs, seed by seed, after as many rounds as theirs has."""
    by_seed = {run["seed"]: run for run in ours}
    pairs = [(by_seed[run["seed"]], run) for run in theirs if run["seed"] in by_seed]
    return Mean.of([one["curve"][run["rounds"] // EVERY - 1] - run["curve"][-1] for one, run in pairs])


def show(world: str, n_rounds: int, found: dict[str, list[Run]]) -> None:
    """Print the table of a world, and whether ours is the lowest."""
    if world in CHOSEN_IN:
        about = (CHOSEN_IN[world], "a world in which the width of our draws was chosen")
    else:
        about = (
            FAMILIES[world].about,
            f"NOT used to choose the width: run s in a world of its own, seed {FIRST:,} + s",
        )
    report.heading(f"Regret: the world '{world}'", f"{about[0]}; {about[1]}", "decided and learned by 100; means ± 95%")
    regrets = {which: Mean.of([run["regret"] for run in runs]) for which, runs in found.items()}
    rows = []
    for which in sorted(found, key=lambda which: (found[which][0]["rounds"] < n_rounds, regrets[which].mean)):
        runs = found[which]
        label = f"[bold]{runs[0]['label']}[/bold]" if is_ours(which) else runs[0]["label"]
        less = "" if which == DEFAULT else str(gap(found[DEFAULT], runs))
        early = f"{mean(run['curve'][0] for run in runs):,.0f}"
        cpu = f"{mean(run['cpu'] for run in runs):,.1f}"
        cells = [label, runs[0]["version"], f"{len(runs)}", f"{runs[0]['rounds']:,}"]
        rows.append([*cells, str(regrets[which]), less, early, cpu])
    columns = ["policy", "version", "seeds", "rounds", "regret", "default less it, by seed", f"after {EVERY:,}"]
    report.table([*columns, "CPU s a run"], rows, left=("policy", "version"))
    judge(n_rounds, found, regrets)


def judge(n_rounds: int, found: dict[str, list[Run]], regrets: dict[str, Mean]) -> None:
    """Print whether our default and the best of our rules have the lowest regret, and what shorter runs say."""
    peers = [which for which in found if not is_ours(which)]
    whole = [which for which in peers if found[which][0]["rounds"] == n_rounds]
    ours = regrets[DEFAULT].mean
    # By seed: ours has more seeds, and a store has a world for each.
    best = max(whole, key=lambda which: gap(found[DEFAULT], found[which]).mean, default=None)
    if best is not None:
        own = min((which for which in found if is_ours(which)), key=lambda which: regrets[which].mean)
        for which in dict.fromkeys((DEFAULT, own)):
            difference = gap(found[which], found[best])
            sure = "" if abs(difference.mean) > difference.half else "; the interval has zero in it"
            text = f"{found[which][0]['label']} {regrets[which].mean:,.0f}, the best peer {found[best][0]['label']}"
            reached = report.goal(difference.mean < 0, f"{text} {regrets[best].mean:,.0f}: lowest")
            report.note(f"{reached} (by seed {difference}{sure})")
    for which in peers:
        rounds = found[which][0]["rounds"]
        if which in whole:
            continue
        than = "above ours after all rounds" if regrets[which].mean > ours else "below ours after all rounds: undecided"
        report.note(f"{found[which][0]['label']} after {rounds:,} rounds only: {than}")


if __name__ == "__main__":
    main()

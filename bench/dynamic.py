"""Choices over time: Rust's buses against econirl, many states, many members.

python -m bench.dynamic --peer .venv-bench-dynamic/bin/python

Parts: buses, states, members. Without a peer ours alone is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers.measure import cpu_seconds, peak_gib, pin_threads

pin_threads()

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from scipy import sparse  # noqa: E402

from bench import report  # noqa: E402
from revealed import datasets  # noqa: E402
from revealed.answer.cohort import Members  # noqa: E402
from revealed.models.dynamic import (  # noqa: E402
    ConditionalChoice,
    DecisionProcess,
    DynamicModel,
    Membership,
    NestedFixedPoint,
    NestedPseudoLikelihood,
    Panel,
    StateSpace,
    by_increments,
    solved,
)

PARTS = ("buses", "states", "members")
ENGINES = {"keep": "mileage_bin", "replace": "asc"}
#: CPU seconds on the buses, times econirl's speed, CPU seconds for many states, and for many members with GiB.
NFXP, NPL, TIMES, STATES, COHORT, MEMORY = 0.15, 0.1, 150, 60, 20, 4


def buses(peer: str | None) -> dict[str, Any]:
    """Measure the buses."""
    report.heading("Rust's buses, discount .9999, 90 bins: CPU seconds after import, one thread")
    rows: list[list[str]] = []
    found: dict[str, Any] = {}
    for group, which in ((4, (4,)), (0, (1, 2, 3, 4))):
        log = datasets.rust_buses(groups=which)
        name = "group 4" if group else "groups 1-4"
        models: dict[str, DynamicModel] = {
            "nfxp": NestedFixedPoint(ENGINES),
            "npl": NestedPseudoLikelihood(ENGINES),
            "ccp": ConditionalChoice(ENGINES, renewal="replace"),
        }
        theirs = None if peer is None else _run(peer, "bench.peers.with_econirl", str(group))
        if theirs is not None:
            told = ", ".join(f"{key} {value:.4f}" for key, value in theirs["params"].items())
            rows.append([name, f"econirl {theirs['version']}", f"{theirs['fit']:.1f}", "", "", told])
        for kind, model in models.items():
            times, fit = _repeated(model, log)
            found[f"{kind}, {name}"] = times
            over = "" if theirs is None else f"{theirs['fit'] / float(np.median(times)):.0f}×"
            told = f"replace {-fit['asc[replace]']:.4f}, mileage {-1000 * fit['mileage_bin']:.4f}, "
            told += f"log-likelihood {fit.log_likelihood:.3f}"
            rows.append([name, f"ours, {kind}", f"{np.median(times):.3f}", f"{times[0]:.3f}", over, told])
            if theirs is not None and kind == "nfxp":
                found[f"over econirl, {name}"] = theirs["fit"] / float(np.median(times))
    report.table(["buses", "what", "CPU s", "first", "over", "estimates"], rows, left=("buses", "what", "estimates"))
    for name in ("group 4", "groups 1-4"):
        for kind, most in (("nfxp", NFXP), ("npl", NPL)):
            middle = float(np.median(found[f"{kind}, {name}"]))
            report.note(report.goal(middle < most, f"{kind}, {name}: {middle:.3f} CPU seconds, < {most}"))
        faster = found.get(f"over econirl, {name}")
        if faster is not None:
            report.note(report.goal(faster >= TIMES, f"{name}: {faster:.0f}× econirl's speed, >= {TIMES}×"))
    report.note(
        "from the choice log to standard errors: panel, transitions, estimates; first: the first of the process"
    )
    return found


def _repeated(model: DynamicModel, log: Any) -> tuple[list[float], Any]:
    times: list[float] = []
    for _ in range(7):
        began = cpu_seconds()
        space = StateSpace.grid(mileage_bin=range(90))
        panel = Panel.of(log, space, after_another=True)
        moves = by_increments(panel, "mileage_bin", restart={"replace": 0})
        process = DecisionProcess(space, panel.actions, moves.matrices, 0.9999)
        fit = model.fit(panel, process, transitions=moves)
        times.append(cpu_seconds() - began)
    return times, fit


def _run(python: str, module: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", module, *arguments], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def states(_: str | None) -> dict[str, Any]:
    """Measure nested pseudo-likelihood where there are many states."""
    process, choices = _many_states()
    report.heading(
        "Many states: nested pseudo-likelihood",
        f"{process.n_states:,} states, {process.n_actions} actions, "
        f"{sum(matrix.nnz for matrix in process.transitions):,} moves that can be; {choices.n_observations:,} choices",
    )
    model = NestedPseudoLikelihood(
        {"none": "0", "one": "asc + own(a)", "two": "asc + own(b)", "three": "own(c)", "four": "own(a) + own(b)"}
    )
    began = cpu_seconds()
    fit = model.fit(choices, process)
    seconds = cpu_seconds() - began
    report.note(
        f"{len(fit.trail)} outer steps; {'sound' if fit.status.sound else fit.messages()[0]}; {peak_gib():.2f} GiB"
    )
    report.note(report.goal(seconds < STATES and fit.status.sound, f"{seconds:.1f} CPU seconds, < {STATES}"))
    return {"seconds": seconds, "peak": peak_gib()}


def _many_states() -> tuple[DecisionProcess, Panel]:
    space = StateSpace.grid(a=range(100), b=range(50), c=range(20))
    places = np.unravel_index(np.arange(space.n_states), space.shape)

    def moving(a: dict[int, float], b: dict[int, float], back: bool = False) -> sparse.csr_array:
        parts = []
        for up, p in a.items():
            for on, q in b.items():
                for aside, r in {-1: 0.25, 0: 0.5, 1: 0.25}.items():
                    to = (0 * places[0] if back else np.clip(places[0] + up, 0, 99), np.clip(places[1] + on, 0, 49))
                    arrive = np.ravel_multi_index((*to, np.clip(places[2] + aside, 0, 19)), space.shape)
                    parts.append((arrive, p * q * r))
        came = np.tile(np.arange(space.n_states), len(parts))
        weight = np.repeat([weight for _, weight in parts], space.n_states)
        matrix = sparse.csr_array(
            (weight, (came, np.concatenate([to for to, _ in parts]))), shape=(space.n_states,) * 2
        )
        matrix.sum_duplicates()
        return matrix

    transitions = {
        "four": moving({2: 0.5, 3: 0.5}, {-1: 0.5, 1: 0.5}),
        "none": moving({0: 1.0}, {0: 1.0}, back=True),
        "one": moving({0: 0.3, 1: 0.7}, {-1: 0.3, 0: 0.7}),
        "three": moving({-1: 0.5, 0: 0.5}, {0: 0.9, 1: 0.1}),
        "two": moving({1: 0.5, 2: 0.5}, {0: 0.5, 1: 0.5}),
    }
    process = DecisionProcess.of(space, transitions, 0.95)
    a, b, c = (space.column(name) for name in "abc")
    reward = np.column_stack([-0.01 * a + 0.02 * b, 0 * a, 0.5 - 0.01 * a, 0.05 * c - 0.5, -0.2 + 0.02 * b])
    policy, rng, n = solved(process, reward).policy, np.random.default_rng(1), 200_000
    state = rng.integers(0, space.n_states, n)
    action = (policy[state].cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1).astype(np.int64)
    persons = pa.array(np.arange(n // 10))
    person = np.repeat(np.arange(n // 10), 10)
    panel = Panel(
        space,
        process.actions,
        state,
        action,
        np.full(n, -1),
        person,
        persons,
        np.tile(np.arange(10), n // 10),
        "simulated",
    )
    return process, panel


def members(_: str | None) -> dict[str, Any]:
    """Measure a cohort of a million, member by member."""
    world = Membership()
    policy = solved(world.process, _rewards(world)).policy
    n, months = 1_000_000, 60
    report.heading("A cohort, member by member", f"{n:,} members x {months} months, {world.space.n_states} states")
    start = np.random.default_rng(0).choice(world.space.n_states, n, p=world.start)
    began = cpu_seconds()
    counts = Members(world.process, policy, start, 1).counts(months)
    seconds, peak = cpu_seconds() - began, peak_gib()
    shares = counts[-1].sum(axis=0) / n
    told = ", ".join(f"{action} {share:.1%}" for action, share in zip(world.process.actions, shares, strict=True))
    report.note(f"in the last month: {told}")
    report.note(report.goal(seconds < COHORT, f"{seconds:.1f} CPU seconds, < {COHORT}"))
    report.note(report.goal(peak < MEMORY, f"{peak:.2f} GiB at most, libraries included, < {MEMORY}"))
    return {"seconds": seconds, "peak": peak}


def _rewards(world: Membership) -> np.ndarray:
    return np.where(world.process.mask, world.reward, 0.0)


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(description="Choices over time.")
    parser.add_argument("--peer", help="the Python that has econirl")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS)
    options = parser.parse_args()
    parts: dict[str, Callable[[str | None], dict[str, Any]]] = {"buses": buses, "states": states, "members": members}
    found = {}
    # The cohort first: the most memory a process ever held is of all that came before.
    for name in sorted(options.only, key=("members", "buses", "states").index):
        found[name] = parts[name](options.peer)
    report.save("dynamic", found)


if __name__ == "__main__":
    main()

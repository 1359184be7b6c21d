"""Layouts: regret against the three ways of the paper, the climb against looking at all, time for a decision.

python -m bench.layout [--worlds N] [--rounds N]

After Hill, Nassif, Liu, Iyer and Vishwanathan (KDD 2017): the full model with pairs, the one without, a bandit for each
slot, a bandit for all combinations; in worlds with known interactions, on the same luck.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from bench import report
from bench.peers.measure import pin_threads

SHAPES = {"2×2×2×2×3": (2, 2, 2, 2, 3), "8 slots × 3": (3,) * 8}
#: Log-odds: the level, and the deviations of effects of options and of pairs.
LEVEL, OPTION, PAIR = -2.2, 0.35, 0.2


def main() -> None:
    """Print regret, the climb's quality and times; keep the figures."""
    parser = argparse.ArgumentParser(description="Layouts against the rivals of the paper.")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5000)
    options = parser.parse_args()
    pin_threads()
    kept: dict[str, Any] = {"rounds": options.rounds, "worlds": options.worlds}
    for name, sizes in SHAPES.items():
        kept[name] = {
            "regret": regret(name, sizes, options.rounds, options.worlds),
            "search": search(name, sizes),
            "time": times(name, sizes),
        }
    report.save("layout", kept)


def space_of(sizes: tuple[int, ...]) -> Any:
    from revealed.decide.layout import LayoutSpace

    return LayoutSpace.of({f"slot {i}": [f"option {j}" for j in range(size)] for i, size in enumerate(sizes)})


def regret(name: str, sizes: tuple[int, ...], rounds: int, n_worlds: int) -> dict[str, list[float]]:
    import numpy as np

    from revealed.decide.layout import (
        CombinationBandit,
        Design,
        LayoutLearner,
        LayoutWorld,
        Priors,
        SlotBandits,
        regret_of,
    )

    space = space_of(sizes)
    pairs, alone = Design.of(space), Design.of(space, pairs=False)
    policies: dict[str, Any] = {}
    for width in (0.5, 1.0):  # each rival at the width of ours, and to the letter
        policies |= {
            f"all pairs, width {width}": LayoutLearner.fresh(pairs, width=width),
            f"no interactions, width {width}": LayoutLearner.fresh(alone, width=width),
            f"one bandit a slot, Beta(1, 1), width {width}": SlotBandits.fresh(space, width=width),
            f"one bandit a slot, Beta(1, 9), width {width}": SlotBandits.fresh(space, (1.0, 9.0), width),
            f"one bandit for all, Beta(1, 1), width {width}": CombinationBandit.fresh(space, width=width),
            f"one bandit for all, Beta(1, 9), width {width}": CombinationBandit.fresh(space, (1.0, 9.0), width),
        }
    truth = Priors(level=LEVEL, option=OPTION, pair=PAIR)
    worlds = [LayoutWorld.random(space, 1000 + seed, truth) for seed in range(n_worlds)]
    lost = {
        policy: np.array([regret_of(start, world, rounds, seed) for seed, world in enumerate(worlds)])
        for policy, start in policies.items()
    }
    report.heading(
        f"Regret of layouts, {name}",
        f"{rounds:,} rounds, batches of 50, {n_worlds} worlds; log-odds: level {LEVEL}, options {OPTION}, pairs {PAIR}",
        "successes lost against the best layout, mean ± 95%; the difference from ours is paired by world",
    )
    ours = lost["all pairs, width 0.5"][:, -1]
    rows = []
    for policy, curve in lost.items():
        half = [1.96 * float(x.std(ddof=1)) / n_worlds**0.5 for x in (curve[:, -1], curve[:, -1] - ours)]
        more = "" if policy == "all pairs, width 0.5" else f"{(curve[:, -1] - ours).mean():+.0f} ± {half[1]:.0f}"
        rows.append(
            [policy, f"{curve[:, rounds // 5 - 1].mean():.0f}", f"{curve[:, -1].mean():.0f} ± {half[0]:.0f}", more]
        )
    report.table(("policy", f"by {rounds // 5:,}", f"by {rounds:,}", "more than ours"), rows, left=("policy",))
    rivals = [curve[:, -1].mean() for policy, curve in lost.items() if not policy.startswith("all pairs")]
    text = "ours at its default width: lowest mean regret of those of the paper, each at its better width"
    report.note(report.goal(bool(ours.mean() < min(rivals)), text))
    return {policy: curve[:, -1].tolist() for policy, curve in lost.items()}


def search(name: str, sizes: tuple[int, ...], draws: int = 1000) -> dict[str, float]:
    import numpy as np

    from revealed.decide.layout import Design, Search, SearchOptions

    space = space_of(sizes)
    design, every, climb = Design.of(space), Search(space), Search(space, SearchOptions(exhaustive_up_to=0))
    rng = np.random.Generator(np.random.Philox(1))
    tables = [design.tables(rng.standard_normal(design.n_params))[1:] for _ in range(draws)]
    best = np.array([every.best(*table, rng).value for table in tables])
    found = np.array([climb.best(*table, rng).value for table in tables])
    close = float((found >= best - 0.01 * np.abs(best)).mean())
    text = f"{name}: climbing within 1% of the best in {close:.1%} of {draws:,} standard normal draws, ≥ 99%"
    report.note(report.goal(close >= 0.99, text))
    return {"within 1%": close, "just the best": float((found >= best - 1e-9).mean())}


def times(name: str, sizes: tuple[int, ...], decisions: int = 1000) -> dict[str, float]:
    from revealed.decide.layout import Design, LayoutLearner, SearchOptions

    design = Design.of(space_of(sizes))
    spent = {}
    for method, limit in (("exhaustive", 100_000), ("hill climbing", 0)):
        learner = LayoutLearner.fresh(design, options=SearchOptions(exhaustive_up_to=limit))
        learner.decide(seed=0)
        began = time.process_time()
        for seed in range(decisions):
            learner.decide(seed=seed)
        spent[method] = 1000 * (time.process_time() - began) / decisions
        text = f"{name}, {design.n_params} parameters, {method}: {spent[method]:.3f} ms CPU a decision, < 1 ms"
        report.note(report.goal(spent[method] < 1, text))
    return spent


if __name__ == "__main__":
    main()

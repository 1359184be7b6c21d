"""Layouts: regret against the three ways of the paper, the climb against looking at all, times, intervals of tables.

python -m bench.layout [--only regret|search|time|intervals] [--shape S] [--worlds N] [--large-worlds N] [--rounds N]

After Hill, Nassif, Liu, Iyer and Vishwanathan (KDD 2017): the full model with pairs, the one without, a bandit for each
slot, a bandit for all combinations; in worlds with known interactions of several strengths, on the same luck. What is
told is by how much each loses more than ours in the same world: worlds differ far more than policies do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench import report
from bench.peers.measure import pin_threads

SHAPES = {"2×2×2×2×3": (2, 2, 2, 2, 3), "8 slots × 3": (3,) * 8}
#: Log-odds: the level, and the deviation of effects of options.
LEVEL, OPTION = -2.2, 0.35
OURS = "all pairs, width 0.5"
#: No default of ours was chosen in these worlds; those from 5,000 served for that.
FIRST_WORLD = 9000
#: Above so many layouts a bandit for all of them is far behind and slow, and runs in ten worlds only.
MANY, FEW_WORLDS = 1000, 10


def main() -> None:
    """Print regret, the climb's quality and times; keep the figures."""
    parser = argparse.ArgumentParser(description="Layouts against the rivals of the paper.")
    parser.add_argument("--only", choices=("regret", "search", "time", "intervals"), help="one part of it")
    parser.add_argument("--shape", choices=tuple(SHAPES), help="one shape")
    parser.add_argument("--worlds", type=int, default=60, help="of 2×2×2×2×3")
    parser.add_argument("--large-worlds", type=int, default=30, help="of 8 slots × 3")
    parser.add_argument("--rounds", type=int, default=5000)
    options = parser.parse_args()
    pin_threads()
    kept: dict[str, Any] = {"rounds": options.rounds}
    for name, sizes in SHAPES.items():
        if options.shape not in (None, name):
            continue
        kept[name] = {}
        n_worlds = options.worlds if len(sizes) < 8 else options.large_worlds
        if options.only in (None, "regret"):
            kept[name]["regret"] = sweep(name, sizes, options.rounds, n_worlds)
        if options.only in (None, "search"):
            kept[name]["search"] = search(name, sizes)
        if options.only in (None, "time"):
            kept[name]["time"] = times(name, sizes)
        if options.only in (None, "intervals"):
            kept[name]["intervals"] = intervals(name, sizes, n_worlds)
    report.save("-".join(["layout", *filter(None, (options.only, options.shape))]), kept)


def space_of(sizes: tuple[int, ...]) -> Any:
    """Return a space with slots of so many options."""
    from revealed.decide.layout import LayoutSpace

    return LayoutSpace.of({f"slot {i}": [f"option {j}" for j in range(size)] for i, size in enumerate(sizes)})


# ---- regret ---------------------------------------------------------------------------------------------------------


def kinds_of_worlds(space: Any) -> dict[str, Callable[[int], Any]]:
    """Return what makes a world of a seed, by kind: the strength of pairs goes from none to more than options'."""
    from revealed.decide.layout import LayoutWorld, Priors

    def by_effects(pair: float) -> Callable[[int], Any]:
        return lambda seed: LayoutWorld.random(space, seed, Priors(level=LEVEL, option=OPTION, pair=pair))

    def as_paper(interaction: float) -> Callable[[int], Any]:
        return lambda seed: LayoutWorld.spread(space, seed, interaction=interaction)

    return {
        "pairs 0.2, options 0.35": by_effects(0.2),
        "pairs 0.4, options 0.35": by_effects(0.4),
        "the paper's kind, pairs as strong as options": as_paper(1.0),
        "the paper's kind, pairs twice as strong": as_paper(2.0),
        "pairs 0.1, options 0.35": by_effects(0.1),
        "no pairs, options 0.35": by_effects(1e-9),
    }


def policies_of(space: Any) -> dict[str, dict[str, Any]]:
    """Return ours and the rivals; of a family the better one counts."""
    from revealed.decide.layout import CombinationBandit, Design, LayoutLearner, SlotBandits

    pairs, alone = Design.of(space), Design.of(space, pairs=False)
    return {
        "ours": {OURS: LayoutLearner.fresh(pairs), "all pairs, width 1": LayoutLearner.fresh(pairs, width=1.0)},
        "no interactions": {
            f"no interactions, width {width}": LayoutLearner.fresh(alone, width=width) for width in (0.5, 1.0)
        },
        "a bandit a slot": {
            "a bandit a slot, Beta(1, 1)": SlotBandits.fresh(space),
            "a bandit a slot, Beta(1, 9)": SlotBandits.fresh(space, (1.0, 9.0)),
        },
        "a bandit for all": {
            "a bandit for all, Beta(1, 1)": CombinationBandit.fresh(space),
            "a bandit for all, Beta(1, 9), width 0.5": CombinationBandit.fresh(space, (1.0, 9.0), 0.5),
        },
    }


def sweep(name: str, sizes: tuple[int, ...], rounds: int, n_worlds: int) -> dict[str, Any]:
    """Print regret in worlds of each kind."""
    space = space_of(sizes)
    return {
        kind: regret(f"{name}, {kind}", space, make, rounds, n_worlds) for kind, make in kinds_of_worlds(space).items()
    }


def regret(
    title: str, space: Any, make: Callable[[int], Any], rounds: int, n_worlds: int
) -> dict[str, list[float]]:  # fmt: skip
    """Print what policies lose in worlds of a kind; return their regret by world."""
    import numpy as np

    from revealed.decide.layout import regret_of

    worlds = [make(FIRST_WORLD + seed) for seed in range(n_worlds)]
    families = policies_of(space)
    lost: dict[str, np.ndarray] = {}
    for family, members in families.items():
        some = worlds[:FEW_WORLDS] if family == "a bandit for all" and space.n_layouts > MANY else worlds
        for policy, start in members.items():
            lost[policy] = np.array([regret_of(start, world, rounds, seed)[-1] for seed, world in enumerate(some)])
    report.heading(
        f"Regret of layouts: {title}",
        f"successes lost by round {rounds:,} against the best layout, learning in batches of 50",
        "mean ± 95% over worlds; more than ours: in the same worlds, on the same luck",
    )
    rows = []
    for policy, values in lost.items():
        more = "" if policy == OURS else "{:+.0f} ± {:.0f}".format(*mean_and_half(values - lost[OURS][: len(values)]))
        rows.append([policy, str(len(values)), "{:.0f} ± {:.0f}".format(*mean_and_half(values)), more])
    report.table(("policy", "worlds", "lost", "more than ours"), rows, left=("policy",))
    report.note(report.goal(*verdict(families, lost)))
    return {policy: values.tolist() for policy, values in lost.items()}


def mean_and_half(values: Any) -> tuple[float, float]:
    """Return a mean and the half of its 95% interval (Student's)."""
    from scipy.stats import t

    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("inf")
    return float(values.mean()), float(half)


def verdict(families: Mapping[str, Mapping[str, Any]], lost: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether ours loses the least of all, beyond doubt, and the gap to each rival at its better setting."""
    gaps = []
    for family, members in families.items():
        if family == "ours":
            continue
        best = min(members, key=lambda policy: lost[policy].mean())
        gaps.append((family, *mean_and_half(lost[best] - lost[OURS][: len(lost[best])])))
    told = "; ".join(f"{family} {mean:+.0f} ({mean - half:+.0f} to {mean + half:+.0f})" for family, mean, half in gaps)
    surely = all(mean - half > 0 for _, mean, half in gaps)
    return surely, f"{OURS}, the default, loses the least, no gap's interval holding 0 ({told}):"


# ---- the search, and times ------------------------------------------------------------------------------------------


def search(name: str, sizes: tuple[int, ...], draws: int = 1000) -> dict[str, float]:
    """Print how near climbs come to the best."""
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
    """Print the CPU time of a decision."""
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


# ---- intervals of table fits ----------------------------------------------------------------------------------------

#: Effects in the world, by how they compare with the first guess of the fit (options 0.5, pairs 0.25).
EFFECTS = {"a fifth of the guess": (0.1, 0.05), "as guessed": (0.5, 0.25), "twice the guess": (1.0, 0.5)}
#: How much rows differ beyond chance, in log-odds.
ROWS = (0.0, 0.4)
#: Of each table: tests, arms a test, the deviation of tests' levels, impressions an arm.
N_TESTS, N_ARMS, TESTS_DIFFER, SHOWN = 60, 3, 0.7, (500, 1500)


def intervals(name: str, sizes: tuple[int, ...], n_worlds: int) -> dict[str, list[float]]:
    """Print how often 95% intervals of fits to tables hold the true effects of options and pairs."""
    import numpy as np

    report.heading(
        f"Intervals of effects from tables of past tests: {name}",
        f"{N_TESTS} tests of {N_ARMS} arms, {SHOWN[0]:,} to {SHOWN[1]:,} impressions each, levels that differ by "
        f"{TESTS_DIFFER}; {n_worlds} worlds",
        "share of 95% intervals that hold the truth: mean ± 95% over worlds",
    )
    rows, kept, worst = [], {}, 1.0
    for kind, (option, pair) in EFFECTS.items():
        for noise in ROWS:
            shares = np.array([held(sizes, FIRST_WORLD + seed, option, pair, noise) for seed in range(n_worlds)])
            of_options, of_pairs = (mean_and_half(column) for column in shares.T)
            told = [f"{100 * mean:.1f}% ± {100 * half:.1f}" for mean, half in (of_options, of_pairs)]
            rows.append([kind, f"{noise:g}", *told])
            kept[f"{kind}, rows {noise:g}"] = shares.tolist()
            worst = min(worst, of_options[0] + of_options[1], of_pairs[0] + of_pairs[1])
    report.table(("effects are", "rows differ by", "options", "pairs"), rows, left=("effects are",))
    report.note(report.goal(worst >= 0.95, "no share below 95% beyond chance:"))
    return kept


def held(sizes: tuple[int, ...], seed: int, option: float, pair: float, noise: float) -> tuple[float, float]:
    """Return the shares of 95% intervals of options and of pairs that hold the truth, in one world."""
    import numpy as np

    from revealed.decide.layout import LayoutTests, LayoutWorld, Priors, effects_of, fit_tests
    from revealed.models.glm.full import FullPosterior

    space = space_of(sizes)
    world = LayoutWorld.random(space, seed, Priors(level=LEVEL, option=option, pair=pair))
    rng, every = np.random.Generator(np.random.Philox(seed)), space.layouts()
    layouts = np.concatenate([every[rng.choice(len(every), N_ARMS, replace=False)] for _ in range(N_TESTS)])
    tests = np.repeat(np.arange(N_TESTS), N_ARMS)
    odds = world.design.rows(layouts) @ world.params + TESTS_DIFFER * rng.standard_normal(N_TESTS)[tests]
    odds += noise * rng.standard_normal(len(layouts))
    shown = rng.integers(*SHOWN, size=len(layouts))
    clicks = rng.binomial(shown, 1 / (1 + np.exp(-odds))).astype(np.float64)
    names = tuple(str(test) for test in range(N_TESTS))
    fit = fit_tests(LayoutTests(space, layouts, shown.astype(np.float64), clicks, tests, names, "made up"))
    ones = np.ones(world.design.n_params)
    truth = effects_of(world.design, FullPosterior.independent(world.params, ones), ones)
    inside: dict[str, list[bool]] = {"option": [], "pair": []}
    for true, found in zip(truth, fit.effects(), strict=True):
        inside[found.kind].append(found.low <= true.mean <= found.high)
    return float(np.mean(inside["option"])), float(np.mean(inside["pair"]))


if __name__ == "__main__":
    main()

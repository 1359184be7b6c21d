"""Cold start: a thousand new items, each with few views, from the meta-prior of the old ones against from N(0, 1).

    python -m bench.coldstart [--seeds N] [--items N] [--worlds store plain scarce alike]

A store of items with a rate of their own (main effects) that visitors of different kinds like a little differently
(pairs of item and level of an attribute of the visitor). Old items were shown at random; a diagonal model with the
prior N(0, 1) learned them. Then they all leave and as many new ones come. Each visit shows one of some new items by
Thompson sampling, and the model learns in batches. The arms differ in the prior of the new items alone; visits,
candidates and random numbers are the same. The oracle knows the true spreads and learned the old items from them too.

The first world was chosen among some ten for what the true prior saves in it, a quarter. In the others it saves less:
plain Thompson sampling (width 1) in the same store, half as many views, and items that spread by .5 instead of .7.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from time import process_time
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from bench import report
from revealed.decide.explore import Explorer, Thompson
from revealed.decide.prior import MetaPrior, Search, meta_prior, meta_prior_by_moments
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.model import BayesianGLM

GROUPS = ("base", "level", "main", "pair")
BATCH = 100
#: The goal: this share of the regret under N(0, 1) at most, and never more than it.
GOAL = 0.75
STANDARD = "N(0, 1)"


@dataclass(frozen=True)
class World:
    """Sizes and spreads of a store; standard deviations are of the logit.

    Parameters
    ----------
    n_items, n_attributes, n_levels : int
        Items, old and new each; attributes of a visitor; levels of each attribute.
    base, main, pair, level : float
        The rate of an average item; standard deviations of items, of pairs of item and level, and of levels.
    old_views, views, n_candidates : int
        Views of each old item and, on average, of each new one; candidates of a visit.
    """

    n_items: int = 1_000
    n_attributes: int = 5
    n_levels: int = 3
    base: float = 0.05
    main: float = 0.7
    pair: float = 0.15
    level: float = 0.2
    old_views: int = 50
    views: int = 20
    n_candidates: int = 20

    @property
    def n_shared(self) -> int:
        """Parameters that all items share: the base and the levels."""
        return 1 + self.n_attributes * self.n_levels

    @property
    def n_own(self) -> int:
        """Parameters of a generation of items: as many pairs with levels as levels, and the main effect."""
        return self.n_items * self.n_shared

    def visitors(self, rng: np.random.Generator, count: int) -> Int[np.ndarray, "visits attributes"]:
        """Return the levels of visitors, numbered across attributes."""
        levels = rng.integers(0, self.n_levels, (count, self.n_attributes))
        return levels + np.arange(self.n_attributes) * self.n_levels

    def effects(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the main effects and the pairs, shape (items, levels), of a generation of items."""
        return rng.normal(0, self.main, self.n_items), rng.normal(0, self.pair, (self.n_items, self.n_shared - 1))

    def cells(self, levels: np.ndarray, items: np.ndarray, start: int) -> Int[np.ndarray, "... own"]:
        """Return the places of the parameters of items for visitors; the generation's parameters begin at a place."""
        pairs = start + self.n_items + items[..., None] * (self.n_shared - 1) + levels
        return np.concatenate([(start + items)[..., None], pairs], axis=-1)

    def rows(self, levels: np.ndarray, items: np.ndarray, start: int) -> Rows:
        """Return features of visits at which items were shown."""
        shared = np.concatenate([np.zeros((len(items), 1), np.int64), 1 + levels], axis=1)
        index = np.concatenate([shared, self.cells(levels, items, start)], axis=1)
        n, wide = index.shape
        return Rows(np.arange(0, n * wide + 1, wide), index.ravel(), np.ones(n * wide), start + self.n_own)

    def groups(self) -> Int[np.ndarray, " K"]:
        """Return the group of each parameter of the old items' model."""
        return np.repeat(np.arange(4), [1, self.n_shared - 1, self.n_items, self.n_own - self.n_items])


#: Each with the rule that explores in it.
WORLDS = {
    "store": (World(), Thompson()),
    "plain": (World(), Thompson(1.0)),
    "scarce": (World(views=10), Thompson()),
    "alike": (World(main=0.5), Thompson()),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """What happened and what is going to: the old items' rows and answers, the new items' visits and rates.

    Parameters
    ----------
    old, answers : Rows, ndarray
    items : ndarray of int64
        The old item of each row.
    levels, candidates, rates, luck : ndarray
        Of each visit: the visitor's levels, candidates, their rates, and the number below which a rate means a "yes".
    """

    old: Rows
    answers: np.ndarray
    items: np.ndarray
    levels: np.ndarray
    candidates: np.ndarray
    rates: np.ndarray
    luck: np.ndarray


def scene(world: World, seed: int) -> Scene:
    """Return a world's past and future."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, world.level, world.n_shared - 1)
    base = np.log(world.base / (1 - world.base))

    def rates(levels: np.ndarray, items: np.ndarray, effects: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        of_visit = base + level[levels].sum(axis=-1)
        of_item = effects[0][items] + effects[1][items[..., None], levels].sum(axis=-1)
        return np.asarray(1 / (1 + np.exp(-of_visit - of_item)))

    before, after = world.effects(rng), world.effects(rng)
    n_old, n_visits = world.n_items * world.old_views, world.n_items * world.views
    levels, items = world.visitors(rng, n_old), rng.permutation(np.repeat(np.arange(world.n_items), world.old_views))
    answers = (rng.random(n_old) < rates(levels, items, before)).astype(np.float64)
    old = world.rows(levels, items, world.n_shared)
    levels = world.visitors(rng, n_visits)
    candidates = np.array([rng.choice(world.n_items, world.n_candidates, replace=False) for _ in range(n_visits)])
    new_rates = rates(levels[:, None], candidates, after)
    return Scene(old, answers, items, levels, candidates, new_rates, rng.random(n_visits))


def regret(world: World, seen: Scene, model: BayesianGLM, explorer: Explorer) -> float:
    """Return the regret, in answers "yes", of an explorer on the new items, whose parameters are the model's last."""
    start = model.n_params - world.n_own
    one_each, total = np.eye(world.n_candidates), 0.0
    for first in range(0, len(seen.luck), BATCH):
        some = slice(first, first + BATCH)
        levels, candidates, rates = seen.levels[some], seen.candidates[some], seen.rates[some]
        # Candidates share the base and the levels, which move all scores alike, and nothing else: beliefs about what
        # is an item's own decide, and those are independent.
        posterior = model.posterior
        assert isinstance(posterior, DiagonalPosterior)
        own = world.cells(levels[:, None], candidates, start)
        precision = posterior.precision[own]
        mean, variance = (posterior.shift[own] / precision).sum(axis=-1), (1 / precision).sum(axis=-1)
        shown = np.array(
            [
                explorer.pick(DiagonalPosterior.independent(mean[i], variance[i]), one_each, first + i)
                for i in range(len(levels))
            ]
        )
        visit = np.arange(len(levels))
        rate = rates[visit, shown]
        total += float((rates.max(axis=1) - rate).sum())
        rows = world.rows(levels, candidates[visit, shown], start)
        model = model.learn(rows, (seen.luck[some] < rate).astype(np.float64))
    return total


@dataclass(frozen=True, eq=False)
class Start:
    """What an arm meets the new items with.

    Parameters
    ----------
    model : BayesianGLM
        With parameters for the new items.
    variance : ndarray of float64, shape (4,)
        The prior variance of each group.
    prior : MetaPrior, optional
        Where it was estimated.
    """

    model: BayesianGLM
    variance: Float[np.ndarray, " 4"]
    prior: MetaPrior | None = None


def starts(world: World, seen: Scene, search: Search | None = None) -> dict[str, Start]:
    """Return what each arm meets the new items with."""
    groups = world.groups()
    new = groups[world.n_shared :]

    def fitted(variance: np.ndarray) -> BayesianGLM:
        fresh = BayesianGLM.fresh(len(groups), "logit", covariance="diagonal", variance=variance[groups])
        return fresh.learn(seen.old, seen.answers)

    def start(model: BayesianGLM, variance: np.ndarray) -> Start:
        return Start(model.extended(np.zeros(len(new)), variance[new]), variance)

    def start_from(model: BayesianGLM, prior: MetaPrior) -> Start:
        extended = model.extended(prior.mean_of(new), prior.variance_of(new))
        return Start(extended, prior.variance_of(np.arange(len(GROUPS))), prior)

    truth = np.array([1.0, world.level**2, world.main**2, world.pair**2])
    first = fitted(np.ones(4))
    found = meta_prior(first, groups, GROUPS, seen.old, seen.answers, units=seen.items, search=search)
    return {
        STANDARD: start(first, np.ones(4)),
        "meta-prior": start_from(first, found),
        "by moments": start_from(first, meta_prior_by_moments(first, groups, GROUPS)),
        "oracle": start(fitted(truth), truth),
    }


def compared(
    world: World, seed: int, rule: Thompson, search: Search | None = None
) -> tuple[dict[str, float], dict[str, Start]]:
    """Return the regret of each arm, with that of items shown at random, and what the arms started from."""
    seen = scene(world, seed)
    arms = starts(world, seen, search)
    found = {name: regret(world, seen, arm.model, Explorer(rule, seed=seed)) for name, arm in arms.items()}
    found["at random"] = float((seen.rates.max(axis=1) - seen.rates.mean(axis=1)).sum())
    return found, arms


def interval(ratios: np.ndarray, draw: Callable[..., np.ndarray]) -> tuple[float, float, float]:
    """Return the mean of ratios with a bootstrap interval of 95% over seeds."""
    means = draw(0, len(ratios), (10_000, len(ratios)))
    low, high = np.quantile(ratios[means].mean(axis=1), [0.025, 0.975])
    return float(ratios.mean()), float(low), float(high)


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description="Cold start from the meta-prior against from N(0, 1).")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--items", type=int, help="old and new items each; the goal is for those of the world")
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=["store"])
    options = parser.parse_args()
    kept: dict[str, Any] = {}
    for name in options.worlds:
        world, rule = WORLDS[name]
        whole = options.items in (None, world.n_items)
        world = world if whole else replace(world, n_items=options.items)
        report.heading(
            f"Cold start, world {name!r}: regret on new items, from the meta-prior of the old ones and from N(0, 1)",
            f"{world.n_items:,} new items, {world.views} views each on average, {world.n_candidates} candidates a "
            f"visit; {world.n_items:,} old items, {world.old_views} views each",
            f"rate {world.base:.0%}; logit: items sd {world.main}, pairs sd {world.pair} ({world.n_attributes} "
            f"attributes of {world.n_levels} levels); {world.n_shared + 2 * world.n_own:,} parameters; "
            f"batches of {BATCH}",
            f"Thompson sampling, width {rule.width}; revealed {version('revealed')}, scipy {version('scipy')}",
        )
        started = process_time()
        pairs = [compared(world, seed, rule) for seed in range(options.seeds)]
        show(pairs, world, goal=whole and name == "store")
        report.note(f"{process_time() - started:.0f} CPU seconds.")
        kept[name] = {"world": asdict(world), "width": rule.width, "regret": [found for found, _ in pairs]}
    report.save("coldstart", kept)


def show(pairs: list[tuple[dict[str, float], dict[str, Start]]], world: World, *, goal: bool) -> None:
    """Print the regret of each seed, and the ratios."""
    names = ["at random", *pairs[0][1]]
    shown = []
    for seed, (found, arms) in enumerate(pairs):
        ours = arms["meta-prior"]
        share, variances = found["meta-prior"] / found[STANDARD], " ".join(f"{v:.4f}" for v in ours.variance[2:])
        shown.append([str(seed), *(f"{found[name]:,.0f}" for name in names), f"{share:.2f}", variances])
    report.table(["seed", *names, "ratio", "its variances: items, pairs"], shown)
    last = pairs[-1][1]["meta-prior"].prior
    assert last is not None
    report.note(f"meta-prior, the last seed: {last.effort}")
    draw = np.random.default_rng(0).integers
    ratios = {name: np.array([found[name] / found[STANDARD] for found, _ in pairs]) for name in pairs[0][1]}
    rows = []
    for name in [name for name in ratios if name != STANDARD]:
        mean, low, high = interval(ratios[name], draw)
        variance = np.mean([arms[name].variance for _, arms in pairs], axis=0)
        above = f"{int((ratios[name] > 1).sum())} of {len(pairs)}"
        spreads = [f"{value:.4f}" for value in variance[2:]]
        rows.append([name, f"{mean:.3f}", f"{low:.3f}–{high:.3f}", f"{ratios[name].max():.2f}", above, *spreads])
    rows.append(["(the truth)", "", "", "", "", f"{world.main**2:.4f}", f"{world.pair**2:.4f}"])
    columns = ["new items from", "of the regret of N(0, 1)", "95%", "worst", "above", "items' variance", "pairs'"]
    report.table(columns, rows, left=["new items from"])
    never = float(ratios["meta-prior"].max()) <= 1
    if goal:
        reached = float(ratios["meta-prior"].mean()) <= GOAL and never
        report.note(report.goal(reached, f"meta-prior: at most {GOAL:.2f} of the regret, never above it:"))
    else:
        report.note(report.goal(never, "meta-prior: never above the regret of N(0, 1):"))


if __name__ == "__main__":
    main()

"""Cold start in small: what a prior for new items is worth, and whether the meta-prior finds it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from bench.coldstart import Start, World, regret, scene, starts
from revealed.decide.explore import Explorer
from revealed.decide.prior import Search

SMALL = World(n_items=200, main=0.8, n_attributes=4, views=15)
#: Of the regret of N(0, 1), over seeds: a little more than in the bench, whose world is ten times as large.
LARGEST = 0.8
SEEDS = (0, 1)


@cache
def met(seed: int) -> tuple[dict[str, float], dict[str, Start]]:
    """Return the regret of each arm in a small world, and of items shown at random; and what the arms started from."""
    seen = scene(SMALL, seed)
    arms = starts(SMALL, seen, Search(n_rows=5_000))
    found = {name: regret(SMALL, seen, arm.model, Explorer(seed=seed)) for name, arm in arms.items()}
    return {**found, "at random": float((seen.rates.max(axis=1) - seen.rates.mean(axis=1)).sum())}, arms


def ratio(name: str, other: str = "N(0, 1)") -> float:
    """Return how much regret an arm has over all seeds, as a share of another's."""
    found = [met(seed)[0] for seed in SEEDS]
    return sum(one[name] for one in found) / sum(one[other] for one in found)


def test_the_true_prior_saves_regret() -> None:
    assert ratio("N(0, 1)", "at random") < 1
    assert ratio("oracle") <= LARGEST
    assert all(met(seed)[0]["oracle"] < met(seed)[0]["N(0, 1)"] for seed in SEEDS)


def test_the_meta_prior_saves_as_much() -> None:
    assert ratio("meta-prior") <= LARGEST
    assert ratio("meta-prior", "oracle") < 1.1
    assert all(met(seed)[0]["meta-prior"] < met(seed)[0]["N(0, 1)"] for seed in SEEDS)


def test_moments_end_at_the_floor_where_parameters_share_each_answer() -> None:
    # Five parameters of variance 1 in a row: what docs/cold-start.md says of them.
    assert all((met(seed)[1]["by moments"].variance[2:] <= 1e-4).all() for seed in SEEDS)
    assert ratio("by moments") > 1


def test_the_meta_prior_tells_what_it_took_and_gained() -> None:
    for seed in SEEDS:
        prior = met(seed)[1]["meta-prior"].prior
        assert prior is not None
        assert prior.effort is not None
        assert prior.effort.n_rows == 5_000
        assert prior.effort.finished
        # Items differ more than their pairs with levels do, and the intervals know it.
        main, pair = prior["main"], prior["pair"]
        assert main.low is not None
        assert pair.high is not None
        assert main.low > pair.variance
        assert prior.effort.after < prior.effort.before - 0.01


def test_the_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    tiny = replace(SMALL, n_items=30, views=2)
    one, again, other = (scene(tiny, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.rates, again.rates)
    np.testing.assert_array_equal(one.answers, again.answers)
    assert not np.array_equal(one.rates, other.rates)
    # Each old item has its views, and new ones have parameters that no old one has.
    assert (np.bincount(one.items) == tiny.old_views).all()
    start = tiny.n_shared + tiny.n_own
    assert tiny.rows(one.levels, one.candidates[:, 0], start).index.max() < start + tiny.n_own
    assert tiny.cells(one.levels, one.candidates[:, 0], start).min() >= start

"""Layouts with true interactions: the best one is the best of all, and the truth is what it says it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from revealed.choices.store_world import LayoutWorld
from revealed.errors import DataError, SpecificationError

PAPER = {"headline": 2, "image": 2, "copy": 2, "reviews": 2, "order": 3}
FORBIDDEN = [(("headline", 1), ("image", 0)), (("copy", 0), ("order", 2))]


def paper(**options: Any) -> LayoutWorld:
    return LayoutWorld(slots=PAPER, **{"n_context": 4, "seed": 5, **options})


def each(world: LayoutWorld, context: np.ndarray) -> np.ndarray:
    """Return the probability of every layout for each visitor from features and theta alone."""
    n = len(context)
    rows = [world.features(np.tile(one, (n, 1)), context) @ world.theta for one in world.layouts]
    utility = np.stack(rows, axis=1)
    return np.asarray(expit(utility))


@pytest.mark.parametrize("n_context", [1, 4])
@pytest.mark.parametrize("forbidden", [[], FORBIDDEN])
def test_the_best_layout_is_the_best_of_all(n_context, forbidden):
    world = paper(n_context=n_context, forbidden=forbidden)
    context = world.visits(0, 50).context
    allowed = world.allowed(world.layouts)
    assert allowed.sum() == (48 if not forbidden else 48 - 12 - 8 + 2)
    means = np.where(allowed, each(world, context), -1.0)
    best, probability = world.best(context)
    assert np.array_equal(best, world.layouts[means.argmax(axis=1)])
    assert probability == pytest.approx(means.max(axis=1), rel=1e-12)
    assert np.array_equal(world.regret(best, context), np.zeros(50))
    shown = world.layouts[allowed][np.arange(50) % allowed.sum()]
    assert world.regret(shown, context) == pytest.approx(means.max(axis=1) - world.probability(shown, context))


def test_forbidden_layouts_are_never_best():
    free = paper(main=1.0)
    context = free.visits(0, 200).context
    wanted = free.best(context)[0]
    pair = (("headline", int(wanted[0, 0])), ("order", int(wanted[0, 4])))
    world = paper(main=1.0, forbidden=[pair])
    best = world.best(context)[0]
    assert world.allowed(best).all()
    hit = ~world.allowed(wanted)
    assert hit.any()
    assert np.array_equal(best[~hit], wanted[~hit])
    assert (world.probability(best, context)[hit] < free.probability(wanted, context)[hit]).all()
    with pytest.raises(DataError, match=r"forbidden layouts \[row 2\]"):
        world.answer(np.stack([best[0], wanted[0]]), world.visits(0, 2))


def test_effects_sum_to_zero_so_each_is_identified():
    world = LayoutWorld(slots={"a": 3, "b": 2, "c": 4}, n_context=3, seed=2)
    theta = dict(zip(world.feature_names, world.theta, strict=True))
    for slot, count in world.slots.items():
        for stem in ("", "x1:", "x2:"):
            effects = [theta[f"{stem}{slot}={option}"] for option in range(count)]
            assert sum(effects) == pytest.approx(0, abs=1e-12)
            assert np.ptp(effects) > 0
    table = np.array([[theta[f"a={a}:c={c}"] for c in range(4)] for a in range(3)])
    assert table.sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert table.sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)
    # So the mean utility over all layouts with an option is intercept plus that option's main effect.
    context = np.tile([1.0, 0.0, 0.0], (world.n_layouts, 1))
    utility = world.features(world.layouts, context) @ world.theta
    assert utility[world.layouts[:, 0] == 2].mean() == pytest.approx(theta["1"] + theta["a=2"])


def test_interactions_are_of_the_size_asked_for():
    sizes = []
    for interaction in (0.0, 0.5):
        world = LayoutWorld(slots=dict.fromkeys("abcdefgh", 3), main=0.0, interaction=interaction)
        utility = world.effect(world.layouts, np.ones((6561, 1)))
        sizes.append(utility.std())
    # Centring leaves (1 - 1/3)² of the variance of a pair's effect, and there are 28 pairs.
    assert sizes[0] == 0
    assert sizes[1] == pytest.approx(0.5 * np.sqrt(28) * 2 / 3, rel=0.2)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_the_base_rate_is_what_layouts_at_random_earn(link):
    world = paper(link=link, base_rate=0.1, main=0.5)
    visits = world.visits(0, 40_000, seed=1)
    shown = world.layouts[np.arange(40_000) % 48]
    means = world.probability(shown, visits.context)
    assert abs(means.mean() - 0.1) < 4 * means.std() / np.sqrt(40_000)
    reward = world.answer(shown, visits).reward
    assert abs((reward - means).mean()) < 4 * np.sqrt((means * (1 - means)).mean() / 40_000)


def test_a_logit_fit_finds_the_interactions():
    world = LayoutWorld(slots={"a": 2, "b": 3}, n_context=2, base_rate=0.3, interaction=0.4, seed=3)
    visits = world.visits(0, 30_000)
    shown = world.layouts[np.arange(30_000) % 6]
    reward = world.answer(shown, visits).reward
    rows = world.features(shown, visits.context)
    basis = np.linalg.svd(rows[:2000], full_matrices=False)
    basis = basis[2][basis[1] > 1e-6 * basis[1][0]].T  # what the indicators span: 6 layouts, and a slope for x and each
    reduced = rows @ basis
    found = np.zeros(basis.shape[1])
    for _ in range(12):
        p = expit(reduced @ found)
        information = (reduced * (p * (1 - p))[:, None]).T @ reduced
        found += np.linalg.solve(information, reduced.T @ (reward - p))
    error = found - np.linalg.lstsq(reduced[:2000], rows[:2000] @ world.theta, rcond=None)[0]
    assert basis.shape[1] == 6 + 1 + 1 + 2
    assert 0.001 < stats.chi2.sf(error @ information @ error, len(error)) < 0.999


def test_batches_make_no_difference():
    world = paper(forbidden=FORBIDDEN)
    whole, parts = world.visits(0, 90, seed=2), [world.visits(0, 37, seed=2), world.visits(37, 53, seed=2)]
    shown = [world.best(part.context)[0] for part in parts]
    assert np.array_equal(world.best(whole.context)[0], np.concatenate(shown))
    rewards = [world.answer(one, part).reward for one, part in zip(shown, parts, strict=True)]
    assert np.array_equal(world.answer(np.concatenate(shown), whole).reward, np.concatenate(rewards))
    assert not np.array_equal(whole.context, world.visits(0, 90, seed=3).context)


def test_blocks_of_visitors_make_no_difference(monkeypatch):
    world = paper()
    context = world.visits(0, 60).context
    best = world.best(context)[0]
    monkeypatch.setattr("revealed.choices.store_world.layouts._BLOCK", 48 * 7)
    assert np.array_equal(world.best(context)[0], best)


def test_eight_slots_of_three():
    world = LayoutWorld(slots={f"s{i}": 3 for i in range(8)}, n_context=3, forbidden=[(("s0", 0), ("s7", 2))])
    assert repr(world).endswith("6,561 layouts, 5,832 allowed)")
    context = world.visits(0, 3).context
    best, probability = world.best(context)
    for visitor in range(3):
        rows = world.layouts[world.allowed(world.layouts)]
        means = expit(world.features(rows, np.tile(context[visitor], (len(rows), 1))) @ world.theta)
        assert probability[visitor] == pytest.approx(means.max(), rel=1e-12)
        assert np.array_equal(best[visitor], rows[means.argmax()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": {}}, "needs slots with an option at least each"),
        ({"slots": {"a": 0}}, "needs slots with an option at least each"),
        ({"slots": dict.fromkeys("abcdefghijkl", 3)}, "531,441 layouts are more than the 262,144"),
        ({"n_context": 0}, "at least 1, not 0"),
        ({"main": -1.0}, "main, a standard deviation"),
        ({"link": "probti"}, "no link 'probti' for layouts; did you mean 'probit'"),
        ({"base_rate": 0.0}, "base_rate"),
        ({"seed": -1}, "count from 0, not -1"),
        ({"forbidden": [(("hedline", 1), ("image", 0))]}, "no slot 'hedline'; did you mean 'headline'"),
        ({"forbidden": [(("headline", 2), ("image", 0))]}, "'headline' has options 0 to 1, no 2"),
        ({"forbidden": [(("image", 1), ("image", 0))]}, "a forbidden pair names two slots"),
        ({"forbidden": [(("copy", i), ("image", j)) for i in (0, 1) for j in (0, 1)]}, "no layout is allowed"),
    ],
)
def test_layout_worlds_that_make_no_sense(options, message):
    with pytest.raises(SpecificationError, match=message):
        LayoutWorld(**{"slots": PAPER, **options})


def test_layouts_that_there_are_not():
    world = paper()
    visits = world.visits(0, 2)
    with pytest.raises(DataError, match=r"options that a slot does not have \[row 2\]"):
        world.probability(np.array([[0, 0, 0, 0, 2], [0, 0, 0, 2, 0]]), visits.context)
    with pytest.raises(SpecificationError, match="each of 5 slots, not 4"):
        world.answer(np.zeros((2, 4), dtype=int), visits)
    with pytest.raises(SpecificationError, match="a context has 4 columns here, not 1"):
        world.best(np.ones((2, 1)))

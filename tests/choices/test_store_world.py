"""The simulated store: pure, fast, and true to what it says of itself."""

from __future__ import annotations

import importlib.util
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from revealed.choices.store_world import (
    Arrivals,
    BernoulliStore,
    Delay,
    LayoutWorld,
    RandomWalk,
    Seasons,
    StoreWorld,
    Visits,
)
from revealed.errors import DataError, SpecificationError

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "bandit_env.py"

FULL: dict[str, Any] = {
    "n_items": 7,
    "n_context": 4,
    "n_item_attributes": 3,
    "item_effect": 0.5,
    "visits_per_person": 3,
    "arrivals": Arrivals(initial=3, every=20, batch=2),
    "drift": RandomWalk(step=0.3, every=10),
    "delay": Delay(mean=40, kind="weibull", shape=0.7, context_effect=0.5),
    "positions": [0.9, 0.5],
    "seed": 4,
}

WORLDS = {
    "plain": StoreWorld(n_items=6, n_context=4, n_item_attributes=3, seed=1),
    "own tastes": StoreWorld(n_items=6, n_context=4, n_item_attributes=None, seed=1),
    "walk": StoreWorld(n_items=6, n_context=4, n_item_attributes=3, drift=RandomWalk(step=0.2, every=7), seed=1),
    "seasons": StoreWorld(n_items=6, n_context=4, n_item_attributes=None, drift=Seasons(period=50), seed=1),
    "probit": StoreWorld(n_items=6, n_context=4, n_item_attributes=3, link="probit", item_effect=0.5, seed=1),
    "no attributes": StoreWorld(n_items=6, n_context=1, n_item_attributes=1, item_effect=0.7, seed=2),
    "all": StoreWorld(**FULL),
    "reference": BernoulliStore().world(),
}
EACH = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())


def first_there(world: StoreWorld, visits: Visits) -> np.ndarray:
    """Show the first items of the store, as many as there are positions; they are there if none leaves."""
    return np.tile(np.arange(world.n_positions), (len(visits), 1))


# ---- purity --------------------------------------------------------------------------------------------------------


@EACH
@given(cut=st.integers(1, 99))
def test_batches_make_no_difference(world, cut):
    whole = world.visits(0, 100, seed=3)
    parts = [world.visits(0, cut, seed=3), world.visits(cut, 100 - cut, seed=3)]
    for name in ("context", "time", "persons", "eligible"):
        if getattr(whole, name) is not None:
            joined = np.concatenate([getattr(part, name) for part in parts])
            assert np.array_equal(getattr(whole, name), joined), name
    means = np.concatenate([world.probability(part) for part in parts])
    assert np.array_equal(world.probability(whole), means)
    answers = world.answer(whole, first_there(world, whole))
    of_parts = [world.answer(part, first_there(world, part)) for part in parts]
    for name in ("reward", "delay", "seen", "answered_at"):
        assert np.array_equal(getattr(answers, name), np.concatenate([getattr(a, name) for a in of_parts])), name


def test_a_runs_seed_moves_visits_and_answers_and_nothing_else():
    world, again, other = StoreWorld(seed=1), StoreWorld(seed=1), StoreWorld(seed=2)
    assert np.array_equal(world.theta, again.theta)
    assert not np.array_equal(world.theta, other.theta)
    one, two = world.visits(0, 50, seed=1), world.visits(0, 50, seed=2)
    assert not np.isin(one.context[:, 1:], two.context[:, 1:]).any()
    assert np.array_equal(one.context, other.visits(0, 50, seed=1).context)
    shown = np.zeros(50, dtype=int)
    same = world.answer(one, shown, seed=9).delay, again.answer(one, shown, seed=9).delay
    assert np.array_equal(*same)


def test_each_visit_and_each_use_has_numbers_of_its_own():
    """The context, what is seen, the answer's noise and the delay are independent, within visits and between them."""
    n = 4000
    world = StoreWorld(n_context=4, positions=[0.5, 0.5], delay=Delay(mean=1.0), link="gaussian")
    visits = world.visits(0, n)
    slates = first_there(world, visits)
    answers = world.answer(visits, slates)
    noise = np.where(answers.seen, answers.reward - world.probability(visits)[:, :2], 0.0)
    delay = np.where(answers.seen, answers.delay - 1.0, 0.0)
    columns = np.column_stack([visits.context[:, 1:], noise, answers.seen, delay])
    both = np.corrcoef(columns[1:].T, columns[:-1].T)
    off = both[np.triu_indices(len(both), 1)]
    assert len(off) == 18 * 17 / 2
    assert np.max(np.abs(off)) < 4.5 / np.sqrt(n)


# ---- the truth -----------------------------------------------------------------------------------------------------


@EACH
def test_features_times_theta_is_the_truth(world):
    visits = world.visits(13, 40, seed=5)
    features = world.features(visits)
    assert features.shape == (40, world.n_items, len(world.feature_names))
    assert len(set(world.feature_names)) == len(world.feature_names)
    utility = np.stack([f @ world.theta_at(t) for f, t in zip(features, visits.time, strict=True)])
    mean = stats.norm.cdf(utility) if world.link == "probit" else expit(utility)
    assert world.probability(visits) == pytest.approx(mean, rel=1e-10)


@EACH
def test_features_of_some_items_are_some_of_the_features(world):
    visits = world.visits(13, 40, seed=5)
    items = np.random.default_rng(0).integers(0, world.n_items, (40, 2))
    some = np.take_along_axis(world.features(visits), items[:, :, None], axis=1)
    assert np.array_equal(world.features(visits, items), some)


def test_feature_names_say_what_is_in_the_columns():
    world = StoreWorld(n_items=12, n_context=3, n_item_attributes=3, item_effect=1.0)
    names = world.feature_names
    assert names[:10] == ("1", "a1", "a2", "x1", "x1:a1", "x1:a2", "x2", "x2:a1", "x2:a2", "item00")
    visits = world.visits(0, 2)
    features = dict(zip(names, np.moveaxis(world.features(visits), 2, 0), strict=True))
    assert (features["1"] == 1).all()
    assert np.array_equal(features["x2:a1"], visits.context[:, 2, None] * world.tastes.attributes[:, 1])
    assert np.array_equal(features["item11"], np.tile(np.arange(12) == 11, (2, 1)))
    own = StoreWorld(n_items=3, n_context=2, n_item_attributes=None)
    assert own.feature_names == ("item0", "item1", "item2", "x1:item0", "x1:item1", "x1:item2")


def test_a_thousand_items_take_no_large_matrix():
    world = StoreWorld(n_items=1000, n_context=6, n_item_attributes=4, item_effect=1.0)
    visits = world.visits(0, 2)
    assert world.features(visits, np.array([[999], [0]])).shape == (2, 1, 1024)
    utility = world.features(visits) @ world.theta
    assert world.probability(visits) == pytest.approx(expit(utility), rel=1e-10)


@pytest.mark.parametrize(
    ("link", "rate"), [("logit", 0.05), ("logit", 0.6), ("probit", 0.01), ("gaussian", -3.0), ("poisson", 0.4)]
)
@pytest.mark.parametrize("attributes", [4, None])
def test_the_base_rate_is_what_showing_at_random_earns(link, rate, attributes):
    world = StoreWorld(
        n_items=8, n_context=4, n_item_attributes=attributes, link=link, base_rate=rate, item_effect=0.4, taste=0.7
    )
    by_visit = world.probability(world.visits(0, 40_000)).mean(axis=1)
    assert abs(by_visit.mean() - rate) < 4 * by_visit.std() / np.sqrt(len(by_visit))


@pytest.mark.parametrize("attributes", [8, None])
def test_taste_is_the_spread_of_utility_among_items(attributes):
    world = StoreWorld(n_items=50, n_context=20, n_item_attributes=attributes, taste=2.0, link="gaussian", seed=6)
    variance = world.probability(world.visits(0, 5000)).var(axis=1)
    assert np.sqrt(variance.mean()) == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("link", ["logit", "probit", "gaussian", "poisson"])
def test_answers_have_the_mean_and_the_spread_of_their_law(link):
    world = StoreWorld(n_items=3, n_context=3, n_item_attributes=2, link=link, base_rate=0.4, noise=2.0)
    visits = world.visits(0, 30_000, seed=1)
    shown = np.arange(30_000) % 3
    mean = world.expected(visits, shown)
    reward = world.answer(visits, shown).reward
    variance = {"gaussian": np.full_like(mean, 4.0), "poisson": mean}.get(link, mean * (1 - mean))
    standard = (reward - mean) / np.sqrt(variance)
    assert abs(standard.mean()) * np.sqrt(30_000) < 4
    assert abs(np.mean((reward - mean) ** 2) / variance.mean() - 1) < 0.06
    if link == "poisson":
        zeros = (reward == 0).mean() - np.exp(-mean).mean()
        assert abs(zeros) < 4 * 0.5 / np.sqrt(30_000)


def test_a_logit_fit_finds_the_truth():
    world = StoreWorld(n_items=10, n_context=4, n_item_attributes=3, base_rate=0.2, seed=8)
    visits = world.visits(0, 40_000, seed=2)
    shown = np.random.default_rng(0).integers(0, 10, (40_000, 1))
    rows = world.features(visits, shown)[:, 0]
    reward = world.answer(visits, shown[:, 0]).reward
    theta = np.zeros(rows.shape[1])
    for _ in range(12):
        p = expit(rows @ theta)
        information = (rows * (p * (1 - p))[:, None]).T @ rows
        theta += np.linalg.solve(information, rows.T @ (reward - p))
    distance = (theta - world.theta) @ information @ (theta - world.theta)
    assert 0.001 < stats.chi2.sf(distance, len(theta)) < 0.999


def test_visits_of_a_person_share_half_the_variance_of_the_context():
    world = StoreWorld(n_context=5, visits_per_person=4)
    visits = world.visits(0, 20_000)
    assert visits.persons.tolist()[:6] == [0, 0, 0, 0, 1, 1]
    context = visits.context[:, 1:]
    assert context.var(axis=0) == pytest.approx(np.ones(4), abs=0.06)
    shared = np.mean(context[0::4] * context[1::4], axis=0)
    strangers = np.mean(context[3:-1:4] * context[4::4], axis=0)
    assert shared == pytest.approx(np.full(4, 0.5), abs=0.07)
    assert strangers == pytest.approx(np.zeros(4), abs=0.07)


# ---- late answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("context_effect", [0.0, 0.6])
def test_delays_follow_their_law(shape, context_effect):
    delay = Delay(mean=500, kind="weibull", shape=shape, context_effect=context_effect)
    world = StoreWorld(n_context=4, base_rate=0.4, delay=delay, seed=3)
    visits = world.visits(0, 30_000)
    answers = world.answer(visits, np.zeros(30_000, dtype=int))
    yes = answers.reward == 1
    assert np.isinf(answers.delay[~yes]).all()
    late = answers.delay[yes]
    means = delay.mean_for(visits.context, world.seed)
    assert np.ptp(means) == 0 or context_effect
    assert abs(means.mean() - 500) < 4 * means.std() / np.sqrt(30_000) + 1e-9
    assert np.log(means).std() == pytest.approx(context_effect, abs=0.02)
    in_scales = late / means[yes] * (500 / delay.scale)
    assert stats.kstest(in_scales, stats.weibull_min(shape).cdf).pvalue > 0.001
    assert np.array_equal(answers.known(20_000.0), visits.time + answers.delay <= 20_000)


def test_without_delay_all_is_known_at_once_and_numbers_always_come():
    visits = StoreWorld().visits(5, 10)
    assert np.array_equal(StoreWorld().answer(visits, np.zeros(10, dtype=int)).answered_at, visits.time)
    late = StoreWorld(link="gaussian", delay=Delay(mean=3)).answer(visits, np.zeros(10, dtype=int))
    assert np.isfinite(late.delay).all()
    assert (late.delay > 0).all()


# ---- drift, arrivals ----------------------------------------------------------------------------------------------


def test_a_random_walk_takes_normal_steps_of_the_size_said():
    world = StoreWorld(n_context=10, n_item_attributes=5, drift=RandomWalk(step=0.1, every=100), seed=3)
    path = np.array([world.theta_at(100.0 * step) for step in range(201)])
    assert np.array_equal(path[7], world.theta_at(799.9))
    assert np.ptp(path[:, 0]) == 0  # the intercept stays
    size = np.sqrt(np.mean(path[0, 1:] ** 2))
    steps = np.diff(path[:, 1:], axis=0).ravel() / (0.1 * size)
    assert stats.kstest(steps, stats.norm.cdf).pvalue > 0.001
    assert not np.array_equal(path[1], StoreWorld(drift=RandomWalk(step=0.1, every=100), seed=4).theta_at(100.0))


def test_seasons_turn_to_the_opposite_and_back():
    world = StoreWorld(n_context=10, n_item_attributes=5, drift=Seasons(period=400), seed=3)
    start, quarter, half, full = (world.theta_at(time)[1:] for time in (0.0, 100.0, 200.0, 400.0))
    assert np.array_equal(start, StoreWorld(n_context=10, n_item_attributes=5, seed=3).theta[1:])
    assert half == pytest.approx(-start, rel=1e-9)
    assert full == pytest.approx(start, rel=1e-9)
    assert np.linalg.norm(quarter) == pytest.approx(np.linalg.norm(start))
    assert abs(np.corrcoef(start, quarter)[0, 1]) < 0.5
    assert world.theta_at(130.0)[0] == pytest.approx(world.theta[0])


def test_items_arrive_and_leave_when_said():
    arrivals = Arrivals(initial=2, every=10, batch=2, lifetime=25)
    assert arrivals.arrival_times(6).tolist() == [0, 0, 10, 10, 20, 20]
    world = StoreWorld(n_items=6, arrivals=arrivals)
    eligible = world.visits(0, 45).eligible
    assert eligible is not None
    assert eligible[9].tolist() == [True, True, False, False, False, False]
    assert eligible[24].all()
    assert eligible[25].tolist() == [False, False, True, True, True, True]
    with pytest.raises(SpecificationError, match="empty at time 45"):
        world.visits(40, 10)


def test_regret_compares_with_what_is_in_the_store():
    world = StoreWorld(n_items=6, arrivals=Arrivals(initial=2, every=10))
    visits = world.visits(0, 30)
    assert visits.eligible is not None
    means = np.where(visits.eligible, world.probability(visits), 0.0)
    assert np.array_equal(world.regret(visits, means.argmax(axis=1)), np.zeros(30))
    with pytest.raises(DataError, match=r"not in the store then \[rows 1, 2, 3, 4, 5; 10 in all\]"):
        world.answer(visits, np.full(30, 2))


# ---- regret, positions --------------------------------------------------------------------------------------------


@EACH
def test_the_best_has_no_regret_and_the_others_what_they_lose(world):
    visits = world.visits(0, 60)
    means = world.probability(visits)
    if visits.eligible is not None:
        means[~visits.eligible] = 0.0
    best = means.argmax(axis=1)
    assert np.array_equal(world.regret(visits, best), np.zeros(60))
    lost = (means.max(axis=1) - means[:, 1]) * world.examination[0]
    assert world.regret(visits, np.ones(60, dtype=int)) == pytest.approx(lost, abs=1e-15)


@pytest.mark.parametrize("link", ["logit", "gaussian"])
def test_the_best_slate_is_the_best_of_all(link):
    seen = [0.4, 0.9, 0.7]  # the second position is seen most
    world = StoreWorld(n_items=5, n_context=3, link=link, base_rate=0.3, positions=seen)
    visits = world.visits(0, 12)
    slates = list(itertools.permutations(range(5), 3))
    values = np.array([world.expected(visits, np.tile(slate, (12, 1))) for slate in slates])
    regret = np.array([world.regret(visits, np.tile(slate, (12, 1))) for slate in slates])
    assert regret == pytest.approx(values.max(axis=0) - values, abs=1e-12)
    by_hand = sum(p * world.probability(visits)[:, item] for p, item in zip(seen, slates[7], strict=True))
    assert values[7] == pytest.approx(by_hand)


def test_what_is_not_seen_is_not_answered():
    world = StoreWorld(n_items=4, base_rate=0.5, positions=[0.8, 0.25])
    visits = world.visits(0, 20_000)
    answers = world.answer(visits, np.tile([2, 1], (20_000, 1)))
    assert answers.seen.mean(axis=0) == pytest.approx([0.8, 0.25], abs=0.015)
    assert (answers.reward[~answers.seen] == 0).all()
    expected = world.probability(visits)[:, [2, 1]] * [0.8, 0.25]
    assert answers.reward.mean(axis=0) == pytest.approx(expected.mean(axis=0), abs=0.015)


# ---- a store with layouts ------------------------------------------------------------------------------------------


def test_items_and_layouts_together():
    layout = LayoutWorld(slots={"size": 3, "copy": 2}, n_context=4, main=0.8, forbidden=[(("size", 0), ("copy", 0))])
    world = StoreWorld(n_items=5, n_context=4, layout=layout)
    visits = world.visits(0, 20)
    allowed = layout.layouts[layout.allowed(layout.layouts)]
    values = np.stack([world.probability(visits, np.tile(one, (20, 1))) for one in allowed])
    shown, layouts = np.arange(20) % 5, allowed[np.arange(20) % 5]
    earned = values[np.arange(20) % 5, np.arange(20), shown]
    assert world.regret(visits, shown, layouts) == pytest.approx(values.max(axis=(0, 2)) - earned, abs=1e-15)
    assert np.array_equal(world.expected(visits, shown, layouts), earned)
    plain = StoreWorld(n_items=5, n_context=4).probability(visits)
    added = np.log(values[0] / (1 - values[0])) - np.log(plain / (1 - plain))
    assert added == pytest.approx(np.tile(layout.effect(np.tile(allowed[0], (20, 1)), visits.context), (5, 1)).T)
    with pytest.raises(SpecificationError, match="say which one each visitor sees"):
        world.probability(visits)
    with pytest.raises(DataError, match="forbidden layouts"):
        world.answer(visits, shown, np.zeros((20, 2), dtype=int))


# ---- the reference environment -------------------------------------------------------------------------------------


def test_the_reference_environment_number_for_number():
    if not REFERENCE.is_file():
        pytest.skip(f"{REFERENCE} is not here to compare with")
    specification = importlib.util.spec_from_file_location("bandit_env", REFERENCE)
    assert specification is not None
    assert specification.loader is not None
    theirs: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(theirs)
    ours = BernoulliStore()
    assert np.array_equal(ours.truth.attributes, theirs.ACTIONS)
    assert np.array_equal(ours.theta, theirs.THETA)
    context = ours.contexts(np.random.default_rng(5), 100)
    assert np.array_equal(context, theirs.contexts(np.random.default_rng(5), 100))
    assert np.array_equal(ours.features(context), theirs.features(context))
    assert np.array_equal(ours.probabilities(context), theirs.probabilities(context))


def test_the_reference_environment_as_a_store():
    store = BernoulliStore()
    world = store.world(Delay(mean=1000))
    visits = world.visits(0, 500, seed=1)
    assert world.probability(visits) == pytest.approx(store.probabilities(visits.context), rel=1e-12)
    assert np.array_equal(world.theta, store.theta)
    assert world.feature_names[:6] == ("a0", "a1", "a2", "a3", "a4", "x1:a0")
    assert world.feature_names[45:] == ("1", "x1", "x2", "x3", "x4")
    regret = world.regret(visits, np.zeros(500, dtype=int))
    means = store.probabilities(visits.context)
    assert regret == pytest.approx(means.max(axis=1) - means[:, 0], abs=1e-15)


# ---- speed ---------------------------------------------------------------------------------------------------------


def test_a_million_rounds_take_less_than_a_minute():
    world = StoreWorld(n_items=20, n_context=10, n_item_attributes=5)
    assert len(world.feature_names) == 50
    start = time.process_time()
    for first in range(0, 20_000, 1000):
        visits = world.visits(first, 1000)
        world.features(visits)
        world.answer(visits, np.zeros(1000, dtype=int))
    assert (time.process_time() - start) / 20_000 < 60e-6


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_items": 0}, "n_items must be at least 1, not 0"),
        ({"n_item_attributes": 0}, "n_item_attributes must be at least 1"),
        ({"link": "logti"}, "no link 'logti'; did you mean 'logit'"),
        ({"base_rate": 1.0}, "base_rate, the mean reward, must be above 0 and below 1, not 1.0"),
        ({"base_rate": 0.0, "link": "poisson"}, "must be above 0 and finite"),
        ({"base_rate": float("nan"), "link": "gaussian"}, "must be finite, not nan"),
        ({"taste": -1.0}, "taste, a standard deviation, must not be negative"),
        ({"noise": 0.0}, "noise, the standard deviation of rewards, must be above 0"),
        ({"seed": -1}, "seed must not be negative"),
        ({"positions": [0.5, 0.0]}, "positions are seen with probabilities above 0"),
        ({"positions": []}, "positions are seen with"),
        ({"positions": [1.0] * 21}, "21 positions for 20 items"),
        ({"arrivals": Arrivals(initial=21, every=1)}, "arrivals start with 21 items"),
        ({"arrivals": Arrivals(initial=1, every=1), "positions": [1, 1]}, "one for each of 2 positions"),
        ({"layout": LayoutWorld(slots={"a": 2})}, "layout has n_context=1, the store 10"),
        ({"truth": BernoulliStore().truth}, "the store has n_items=20, n_context=10"),
    ],
)
def test_worlds_that_make_no_sense(options, message):
    with pytest.raises(SpecificationError, match=message):
        StoreWorld(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Arrivals(initial=0, every=5), "initial and batch of at least 1"),
        (lambda: Arrivals(initial=1, every=0), "every so many rounds"),
        (lambda: Arrivals(initial=1, every=5, lifetime=0), "lifetime of an item must be above 0"),
        (lambda: Delay(mean=0), "mean of a delay must be above 0"),
        (lambda: Delay(mean=float("nan")), "mean of a delay must be above 0"),
        (lambda: Delay(mean=5, kind="weibul"), "no delay 'weibul'; did you mean 'weibull'"),
        (lambda: Delay(mean=5, shape=2.0), "an exponential delay has shape 1, not 2.0"),
        (lambda: Delay(mean=5, kind="weibull", shape=0.01), "at least 0.1"),
        (lambda: Delay(mean=5, context_effect=-1), "context_effect must not be negative"),
        (lambda: RandomWalk(step=-0.1), "step of a random walk must not be negative"),
        (lambda: RandomWalk(step=0.1, every=0), "steps every so many rounds"),
        (lambda: Seasons(period=float("inf")), "period of the seasons must be above 0"),
        (lambda: StoreWorld(drift=RandomWalk(step=0.1, every=1e-3)).theta_at(1e6), "let them step every 9 rounds or"),
        (lambda: StoreWorld().visits(-1, 5), "count from 0, not -1"),
        (lambda: StoreWorld().visits(0, 5, seed=-2), "count from 0, not -2"),
        (lambda: WORLDS["plain"].probability(StoreWorld().visits(0, 5)), "have 10 columns of context, this store 4"),
    ],
)
def test_parts_that_make_no_sense(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()


@pytest.mark.parametrize(
    ("shown", "error", "message"),
    [
        (np.full(4, 6), DataError, r"items that there are not \[rows 1, 2, 3, 4\]"),
        (np.array([0, 1, -1, 2]), DataError, r"\[row 3\]"),
        (np.zeros(3, dtype=int), SpecificationError, r"shown has shape \(3,\)"),
        (np.zeros((4, 3), dtype=int), SpecificationError, "up to 2 positions"),
        (np.array([[0, 1], [2, 2], [1, 0], [3, 4]]), DataError, r"shown twice to one visitor \[row 2\]"),
    ],
)
def test_shown_what_cannot_be(shown, error, message):
    world = StoreWorld(n_items=6, positions=[1.0, 0.5])
    for use in (world.answer, world.regret, world.expected):
        with pytest.raises(error, match=message):
            use(world.visits(0, 4), shown)

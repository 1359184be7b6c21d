"""Boosted trees as a class of functions: best questions, linear refits, and rewards near the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl import (
    PQR,
    Boosted,
    GenPQR,
    Polynomial,
    RecoveredReward,
    negative_log_likelihood,
    static_log_odds,
)
from revealed.models.dynamic.irl.boosting import Bins, grown
from revealed.models.dynamic.irl.function_class import Rows
from tests.models.dynamic.test_irl import drift

SMALL = Boosted(trees=60, members=3, patience=8, value_trees=40)


def test_bins_lie_between_levels() -> None:
    x = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    bins = Bins.of(x, 64)
    assert [edges.tolist() for edges in bins.edges] == [[1.5, 2.5], []]
    assert bins(np.array([[0.0, 9.0], [1.6, 0.0], [7.0, -1.0]])).tolist() == [[0, 0], [1, 0], [2, 0]]
    assert bins.most == 3
    many = Bins.of(np.random.default_rng(0).normal(size=(5000, 1)), 16)
    assert many.most <= 16
    assert np.bincount(many(np.random.default_rng(0).normal(size=(5000, 1)))[:, 0]).min() > 200


@pytest.mark.parametrize("seed", range(4))
def test_each_question_is_the_best_there_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    bins = random.integers(0, 6, (80, 3)).astype(np.int32)
    slope, weight = random.normal(size=(80, 2)) + (bins[:, [1]] > 3), random.uniform(0.5, 2, (80, 2))
    tree = grown(bins, 6, slope, weight, depth=3, ridge=0.7, rate=0.5)

    def gain(leaf: np.ndarray) -> float:
        return sum(
            float((slope[leaf == one].sum(axis=0) ** 2 / (weight[leaf == one].sum(axis=0) + 0.7)).sum())
            for one in np.unique(leaf)
        )

    leaf = np.zeros(80, dtype=np.int64)
    for level in range(3):
        tried = [leaf + ((bins[:, column] > cut) << level) for column in range(3) for cut in range(6)]
        leaf = leaf + ((bins[:, tree.columns[level]] > tree.cuts[level]) << level)
        assert gain(leaf) == pytest.approx(max(map(gain, tried)))
    np.testing.assert_array_equal(tree.place(bins), leaf)
    for one in np.unique(leaf):
        rows = leaf == one
        told = 0.5 * slope[rows].sum(axis=0) / (weight[rows].sum(axis=0) + 0.7)
        np.testing.assert_allclose(tree(bins)[rows], np.tile(told, (rows.sum(), 1)))


def steps(count: int = 400) -> tuple[Rows, np.ndarray]:
    """Return rows of two outputs, each a function with steps of the state."""
    random = np.random.default_rng(0)
    states, output = random.uniform(-1, 1, (count, 2)), random.integers(0, 2, count)
    truth = np.column_stack([5.0 + 2.0 * (states[:, 0] > 0.3), np.where(states[:, 1] > 0, -1.0, 1.0)])
    return Rows(states, output, 2, random.uniform(0.5, 2, count)), truth


def test_a_regression_finds_steps_in_each_output() -> None:
    rows, truth = steps()
    regression = replace(SMALL, value_trees=200, ridge=0.1).regression(rows, rows.states)
    found = regression.fit(truth[np.arange(len(truth)), rows.output])
    assert np.sqrt(((found - truth) ** 2).mean()) < 0.2  # the steps are of one and two
    np.testing.assert_allclose(regression.function()(rows.states), found)
    far = regression.function()(np.array([[100.0, -100.0]]))
    assert np.abs(far - [[7.0, 1.0]]).max() < 0.2  # flat beyond what was seen


def test_once_the_questions_stay_a_fit_is_linear() -> None:
    rows, truth = steps(100)
    regression = SMALL.regression(rows, rows.states[:7])
    random = np.random.default_rng(1)
    one, other = random.normal(size=100), truth[:, 0]
    regression.fit(one + other)  # asks the questions
    fits = [regression.fit(targets) for targets in (one, other, one + 2 * other)]
    np.testing.assert_allclose(fits[2], fits[0] + 2 * fits[1], atol=1e-10)
    np.testing.assert_allclose(regression.fit(np.full(100, 3.0)), 3.0)


def test_rewards_of_continuous_states(tmp_path: Path) -> None:
    data, reward = drift(250)
    rows = np.arange(data.n_choices)
    truth = reward[rows, data.actions]
    pqr = PQR(discount=0.9, anchor="wait", function_class=SMALL, floor=0.01)
    log_policy = pqr.behaviour(data)
    fresh, _ = drift(100, seed=1)
    likelihood = negative_log_likelihood(log_policy, fresh.states, fresh.actions)
    cloned = negative_log_likelihood(Polynomial(4).policy(data), fresh.states, fresh.actions)
    assert likelihood < cloned + 0.03 < np.log(3) - 0.1

    def error(found: np.ndarray) -> float:
        return float(((found[rows, data.actions] - truth) ** 2).mean())

    static = error(static_log_odds(log_policy, 0)(data.states))
    genpqr = GenPQR(discount=0.9, normaliser="wait", function_class=SMALL, floor=0.01)
    for model in (pqr, genpqr):
        found = model.recover(data, log_policy)
        assert found.converged
        assert error(found.reward(data.states)) < 0.6 * static, found.method
        again = RecoveredReward.load(found.save(tmp_path / "reward"))
        np.testing.assert_array_equal(again.reward(fresh.states), found.reward(fresh.states))
    assert "boosted trees" in found.method


def test_the_same_seed_gives_the_same_numbers_and_persons_stay_together() -> None:
    data, _ = drift(60, periods=5)
    one, again, other = (family.policy(data)(data.states) for family in (SMALL, SMALL, replace(SMALL, seed=1)))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4
    np.testing.assert_allclose(np.exp(one).sum(axis=1), 1.0)
    # Fewer persons than folds: nobody is left out, and there is an answer all the same.
    alone = data.only(data.persons < 2)
    assert np.isfinite(SMALL.policy(alone)(data.states)).all()


def test_what_cannot_be_taken_has_no_probability() -> None:
    data, _ = drift(60, periods=5)
    kept = data.only((data.actions != 1) | (data.states[:, 0] > 0))

    def can(states: np.ndarray) -> np.ndarray:
        return np.asarray((states > 0) | (np.arange(3) != 1))

    chance = np.exp(SMALL.policy(replace(kept, available=can))(data.states))
    assert (chance[data.states[:, 0] <= 0, 1] == 0).all()
    assert (chance[data.states[:, 0] > 0] > 0).all()
    np.testing.assert_allclose(chance.sum(axis=1), 1.0)


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"bins": 1}, {"members": 0}, {"rate": 0.0}, {"value_rate": 1.5}])
def test_sizes_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecificationError, match="sizes must be one or more|rates must be above zero"):
        replace(SMALL, **wrong)  # type: ignore[arg-type]

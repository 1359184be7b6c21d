"""GLADIUS: exact where a class can be, near where it is smooth, as random as transitions are, clear where it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import DecisionProcess, Solution, StateSpace, solved
from revealed.models.dynamic.irl import (
    GLADIUS,
    PQR,
    Neural,
    Polynomial,
    RecoveredReward,
    Tabular,
    Trajectories,
    cross_fitted,
    static_log_odds,
)
from revealed.models.dynamic.irl.projected import _Parts
from revealed.models.dynamic.irl.risk import Risk
from revealed.models.dynamic.irl.scaling import Scaling

ACTIONS = ("wait", "go", "buy")
#: As many powers as states, and next to no ridge: a table by another name.
SATURATED = Polynomial(4, ridge=1e-9)
STATES = np.arange(5.0)[:, None]


def world(seed: int = 0, discount: float = 0.9, scale: float = 0.7) -> tuple[DecisionProcess, np.ndarray, Solution]:
    """Return a process of five states with random transitions, rewards of which ``wait`` has none, and its solution."""
    random = np.random.default_rng(seed)
    moves = {action: random.dirichlet(np.full(5, 0.5), 5) for action in ACTIONS}
    process = DecisionProcess.of(StateSpace.grid(level=range(5)), moves, discount, scale=scale)
    reward = random.normal(size=(5, 3))
    reward[:, 0] = 0.0
    return process, reward, solved(process, reward)


def population(process: DecisionProcess, policy: np.ndarray, size: float = 1e6) -> Trajectories:
    """Return every transition there is, weighted by its probability: data without sampling error, of one person."""
    moves = np.stack([matrix.toarray() for matrix in process.transitions])
    state, action, after = (part.ravel() for part in np.indices((5, 3, 5)))
    weights = size * policy[state, action] * moves[action, state, after]
    parts = STATES[state], action, STATES[after]
    persons = np.zeros(len(state), dtype=np.int64)
    return Trajectories.from_arrays(*parts, labels=ACTIONS, columns=["level"], weights=weights, persons=persons)


@pytest.mark.parametrize(("discount", "scale"), [(0.0, 1.0), (0.9, 0.7), (0.97, 2.0)])
@pytest.mark.parametrize("family", [Tabular(), SATURATED], ids=["table", "saturated"])
def test_a_class_that_holds_the_truth_finds_it(family: Tabular | Polynomial, discount: float, scale: float) -> None:
    process, reward, solution = world(discount=discount, scale=scale)
    model = GLADIUS(discount=discount, scale=scale, anchor="wait", function_class=family)
    found = model.recover(population(process, solution.policy))
    assert found.converged, found.messages()
    np.testing.assert_allclose(found.reward(STATES), reward, atol=1e-6)
    np.testing.assert_allclose(found.policy(STATES), solution.policy, atol=1e-7)
    np.testing.assert_allclose(found.value(STATES), solution.value, atol=1e-6 / (1 - discount))
    assert found.method.startswith("GLADIUS")
    assert "'wait' is 0: assumed" in found.messages()[0]


def test_an_anchor_reward_may_depend_on_the_state() -> None:
    process, reward, solution = world()

    def known(states: np.ndarray) -> np.ndarray:
        return np.asarray(reward[states[:, 0].astype(int), 2])

    model = GLADIUS(discount=0.9, scale=0.7, anchor="buy", anchor_reward=known, function_class=SATURATED)
    np.testing.assert_allclose(model.recover(population(process, solution.policy)).reward(STATES), reward, atol=1e-6)


def test_networks_come_near_where_transitions_are_random() -> None:
    process, reward, solution = world(1)
    data = population(process, solution.policy)
    network = Neural(hidden=(16, 16), members=2, rounds=12, steps=600)
    found = GLADIUS(discount=0.9, scale=0.7, anchor="wait", function_class=network).recover(data)
    assert found.converged, found.messages()
    np.testing.assert_allclose(found.policy(STATES), solution.policy, atol=0.02)
    assert np.sqrt(((found.reward(STATES) - reward) ** 2).mean()) < 0.1 < 0.5 < np.sqrt((reward**2).mean())


@dataclass(frozen=True)
class Walk:
    """Who stays, or goes left or right between -2 and 2 by steps that are longer or shorter by chance."""

    states: np.ndarray
    reward: np.ndarray
    data: Trajectories


def walk(persons: int = 400, seed: int = 0, periods: int = 8) -> Walk:
    """Return a walk whose true reward is known, as staying stays and earns nothing: values are those of surprise."""
    random, discount, far = np.random.default_rng(seed), 0.8, np.array([0.3, 0.9])

    def log_policy(place: np.ndarray) -> np.ndarray:
        score = np.stack([np.zeros_like(place), np.sin(1.2 * place), 0.5 * np.cos(place) - place], axis=-1)
        return np.asarray(score - np.log(np.exp(score).sum(axis=-1, keepdims=True)))

    place, rows = random.uniform(-2, 2, persons), []
    for _ in range(periods):
        action = (np.exp(log_policy(place)).cumsum(axis=1) < random.random((persons, 1))).sum(axis=1)
        step = np.array([0.0, -1.0, 1.0])[action] * random.choice(far, persons)
        rows.append((place, action, np.clip(place + step, -2, 2)))
        place = rows[-1][2]
    states, actions, after = (np.concatenate(part) for part in zip(*rows, strict=True))

    def value(place: np.ndarray) -> np.ndarray:
        return np.asarray(-log_policy(place)[..., 0] / (1 - discount))

    sides = [value(np.clip(states[:, None] + way * far, -2, 2)).mean(axis=1) for way in (-1, 1)]
    later = np.column_stack([value(states), *sides])
    data = Trajectories.from_arrays(
        states[:, None],
        actions,
        after[:, None],
        labels=("stay", "left", "right"),
        persons=np.tile(np.arange(persons), periods),
    )
    return Walk(states, log_policy(states) + value(states)[:, None] - discount * later, data)


@pytest.mark.parametrize(
    "family",
    [Polynomial(4), Neural(hidden=(16, 16), members=2, rounds=10, batch=64, steps=600)],
    ids=["polynomial", "neural"],
)
def test_smooth_functions_recover_rewards_of_continuous_states(family: Polynomial | Neural) -> None:
    seen = walk()
    found = GLADIUS(discount=0.8, anchor="stay", function_class=family).recover(seen.data)
    error, size = ((found.reward(seen.data.states) - seen.reward) ** 2).mean(), (seen.reward**2).mean()
    assert found.converged, found.messages()
    static = static_log_odds(found.log_policy, 0)(seen.data.states)
    assert error < 0.16 < 0.2 < ((static - seen.reward) ** 2).mean() < size / 2, (error, size)
    # The known reward is not put in at the end: that it comes out says that Bellman's equation holds.
    assert np.abs(found.reward(seen.data.states)[:, 0]).mean() < 0.1


def test_in_polynomials_it_is_pqr_by_another_way() -> None:
    seen = walk(200)
    shared: dict[str, Any] = {"discount": 0.8, "anchor": "stay", "anchor_reward": 1.5}
    shared |= {"function_class": Polynomial(3, 1e-6)}
    one, other = (kind(**shared).recover(seen.data) for kind in (GLADIUS, PQR))
    np.testing.assert_allclose(one.policy(seen.data.states), other.policy(seen.data.states), atol=1e-5)
    np.testing.assert_allclose(one.reward(seen.data.states), other.reward(seen.data.states), atol=1e-4)


def test_where_the_iteration_of_pqr_runs_away_it_still_ends() -> None:
    states = np.array([[0.0], [0.1], [0.0], [0.1]])
    data = Trajectories.from_arrays(states, np.array([0, 0, 1, 1]), states * 40, labels=("wait", "go"))
    shared: dict[str, Any] = {"discount": 0.9, "anchor": "wait", "anchor_reward": lambda at: at[:, 0]}
    shared |= {"function_class": Polynomial(1, 1e-3)}
    assert not PQR(**shared).recover(data).converged
    found = GLADIUS(**shared).recover(data)
    assert found.converged
    np.testing.assert_allclose(found.reward(states)[:, 0], states[:, 0], atol=0.01)


def test_slopes_are_those_of_finite_differences() -> None:
    seen = walk(40, periods=4)
    data = seen.data
    risk = Risk(data, 0, np.sin(data.states[:, 0]), 0.9)
    parts = _Parts.of(Polynomial(2), risk, Scaling.of(data.states))
    params = np.random.default_rng(1).normal(size=(3, 3))
    _, slope, curvature = parts.expanded(params)
    for place in np.ndindex(params.shape):
        step = np.zeros_like(params)
        step[place] = 1e-5
        assert slope[place] == pytest.approx((parts.loss(params + step) - parts.loss(params - step)) / 2e-5, rel=1e-5)
    assert np.linalg.eigvalsh(curvature).min() > 0


def test_equal_transitions_are_counted_together() -> None:
    seen = walk(60, periods=4).data
    rounded = replace(seen, states=seen.states.round(), next_states=seen.next_states.round())
    twice = rounded.taken(np.tile(np.arange(rounded.n_choices), 2))
    heavy = replace(rounded, weights=2 * rounded.weights)
    few, weights = Risk(twice, 0, np.zeros(twice.n_choices), 0.9).tallied(np.zeros(twice.n_choices, dtype=np.int64), 1)
    assert few.data.n_choices < 60
    assert weights.sum() == twice.n_choices
    model = GLADIUS(discount=0.8, anchor="stay", function_class=Polynomial(2))
    one, other = model.recover(twice).reward(STATES), model.recover(heavy).reward(STATES)
    np.testing.assert_allclose(one, other, atol=1e-6)


TINY = Neural(hidden=(4,), members=2, rounds=2, again=5, steps=20)


def test_the_same_seed_gives_the_same_numbers_and_units_do_not_matter() -> None:
    seen = walk(300, periods=5)
    model = GLADIUS(discount=0.8, anchor="stay", anchor_reward=1.0, function_class=TINY)
    one, again, other, doubled = (
        some.recover(seen.data).reward(seen.data.states)
        for some in (
            model,
            model,
            replace(model, function_class=replace(TINY, seed=1)),
            replace(model, anchor_reward=2.0, scale=2.0),
        )
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(2 * one, doubled, rtol=1e-12)


def test_too_few_steps_are_told() -> None:
    found = GLADIUS(discount=0.99, anchor="stay", function_class=TINY).recover(walk(60).data)
    assert not found.converged
    assert "did not converge in 2 rounds" in found.messages()[0]


def test_a_sweep_says_what_a_wrong_anchor_changes() -> None:
    process, _, solution = world()
    found = GLADIUS(discount=0.9, scale=0.7, anchor="wait", function_class=SATURATED).recover(
        population(process, solution.policy)
    )
    sweep = found.sweep([1.0, lambda states: states[:, 0]])
    np.testing.assert_allclose(sweep.mean[0], 1.0, atol=1e-5)
    np.testing.assert_allclose(sweep.contrast[0], 0.0, atol=1e-5)
    assert sweep.contrast[1] > 1.0


@pytest.mark.parametrize(
    "family", [SATURATED, Neural(hidden=(16, 16), members=2, rounds=12, steps=600)], ids=["powers", "neural"]
)
def test_what_cannot_be_taken_is_not_learned_from(family: Polynomial | Neural) -> None:
    process, reward, _ = world(2)
    can = np.ones((5, 3), dtype=bool)
    can[3, 2] = False
    process = replace(process, available=can)
    solution = solved(process, reward)
    data = population(process, solution.policy)
    data = replace(data.only(data.weights > 0), available=lambda states: can[states[:, 0].astype(int)])
    found = GLADIUS(discount=0.9, scale=0.7, anchor="wait", function_class=family).recover(data)
    assert found.policy(STATES)[3, 2] == 0
    with pytest.raises(SpecificationError, match="'buy' cannot be taken in every state; GenPQR"):
        GLADIUS(discount=0.9, anchor="buy", function_class=family).recover(data)
    off = found.reward(STATES)[can] - reward[can]
    assert np.sqrt((off**2).mean()) < 0.1


def test_what_it_cannot_do_is_refused() -> None:
    for odd in ({"floor": 0.01}, {"policy": Polynomial(2)}):
        with pytest.raises(SpecificationError, match="behaviour and values as one function; leave policy= and floor="):
            GLADIUS(discount=0.8, anchor="stay", **odd)
    names = ("title", "iteration", "needs", "policy", "regression")
    trees: Any = SimpleNamespace(**{name: getattr(Tabular(), name) for name in names} | {"title": "trees"})
    with pytest.raises(SpecificationError, match="a slope, which trees has not; take Neural, Polynomial or Tabular"):
        GLADIUS(discount=0.9, anchor="stay", function_class=trees)
    with pytest.raises(SpecificationError, match="has no value without end"):
        GLADIUS(discount=1.0, anchor="stay")
    seen = walk(20, periods=3).data
    with pytest.raises(SpecificationError, match="did you mean 'stay'"):
        GLADIUS(discount=0.9, anchor="stya").recover(seen)
    with pytest.raises(SpecificationError, match="GLADIUS has no estimate without bias here: take PQR or GenPQR"):
        cross_fitted(GLADIUS(discount=0.8, anchor="stay", function_class=Polynomial(1)), seen)
    with pytest.raises(DataError, match="nobody ever took the anchor 'stay'"):
        GLADIUS(discount=0.8, anchor="stay").recover(seen.only(seen.actions > 0))


@pytest.mark.parametrize("family", [Polynomial(2), TINY], ids=["polynomial", "neural"])
def test_it_comes_back_from_a_file(family: Polynomial | Neural, tmp_path: Path) -> None:
    found = GLADIUS(discount=0.8, anchor="stay", function_class=family).recover(walk(60, periods=3).data)
    again = RecoveredReward.load(found.save(tmp_path / "reward.npz"))
    states = found.data.states[:5]
    for name in ("reward", "policy", "value", "action_value"):
        np.testing.assert_array_equal(getattr(again, name)(states), getattr(found, name)(states))
    np.testing.assert_array_equal(again.sweep([1.0]).changes[0], found.sweep([1.0]).changes[0])


def test_no_step_to_take_is_status() -> None:
    model = GLADIUS(discount=1 - 1e-12, anchor="stay", function_class=Polynomial(2))
    found = model.recover(walk(60, periods=3).data)
    assert not found.converged
    assert "did not converge" in found.messages()[0]

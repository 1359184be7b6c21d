"""Controls without an anchor: feature expectations are matched, and what is identified is recovered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import DecisionProcess, solved
from revealed.models.dynamic.irl import AIRL, MaxEnt, Polynomial, RecoveredReward, Trajectories, negative_log_likelihood
from revealed.models.dynamic.irl.estimated import EstimatedProcess
from tests.models.dynamic.test_irl import ACTIONS, drift, finite, levels, made, population

STATE = np.random.default_rng(1).normal(size=6)


def table(states: np.ndarray) -> np.ndarray:
    """Return a column for each of the six states."""
    return np.asarray(np.eye(6)[states[:, 0].astype(int)])


TABLE: dict[str, Any] = {"discount": 0.9, "scale": 0.7, "features": table, "neighbours": 1}
LINEAR: dict[str, Any] = {**TABLE, "hidden": (), "decay": 0.0, "rate": 0.05, "steps": 50}


def of_states(process: DecisionProcess) -> tuple[Trajectories, np.ndarray]:
    """Return what people do whose reward is one of states, and their policy."""
    policy = solved(process, np.repeat(STATE[:, None], 3, axis=1)).policy
    return population(process, policy), policy


def without_chance(seed: int = 0) -> DecisionProcess:
    """Return a process of six states in which each action leads to one state."""
    random = np.random.default_rng(seed)
    moves = {action: np.eye(6)[random.integers(0, 6, 6)] for action in ACTIONS}
    return DecisionProcess.of(finite()[0].space, moves, 0.9, scale=0.7)


def centred(numbers: np.ndarray) -> np.ndarray:
    """Return numbers less their mean."""
    return np.asarray(numbers - numbers.mean())


@pytest.mark.parametrize(("by_action", "ridge"), [(True, 0.3), (False, 1e-9)])
def test_maxent_matches_feature_expectations(by_action: bool, ridge: float) -> None:
    process, _, solution = finite(2)
    data = population(process, solution.policy)
    found = MaxEnt(**{**TABLE, "features": Polynomial(2).features}, ridge=ridge, by_action=by_action).recover(data)
    states, moves = levels(process), np.stack([matrix.toarray() for matrix in process.transitions])
    taken = solution.policy  # one choice a state
    begin = 1.0 - 0.9 * np.einsum("sa,ast->t", taken, moves)
    policy, visits, now = found.policy(states), np.zeros(6), begin
    for _ in range(600):  # period after period, from where the choices begin
        visits, now = visits + now, 0.9 * np.einsum("s,sa,ast->t", now, policy, moves)
    features = Polynomial(2).features(states)
    missed = features.T @ (taken - visits[:, None] * policy)
    if by_action:  # the ridge keeps the rest
        params = np.linalg.lstsq(features, found.reward(states), rcond=None)[0]
        np.testing.assert_allclose(missed, 0.7 * ridge * params, atol=1e-4)
        assert np.abs(params).max() > 0.1
    else:
        np.testing.assert_allclose(missed.sum(axis=1), 0.0, atol=1e-3)
    assert found.converged


def test_a_reward_of_states_and_actions_explains_behaviour_and_is_not_the_truth() -> None:
    process, reward, solution = finite()
    found = MaxEnt(**TABLE, ridge=1e-6).recover(population(process, solution.policy))
    states = levels(process)
    np.testing.assert_allclose(found.policy(states), solution.policy, atol=1e-4)
    np.testing.assert_allclose(solved(process, found.reward(states)).policy, solution.policy, atol=1e-4)
    # Values are those of the reward that was found, and action values go with both.
    again = solved(process, found.reward(states))
    np.testing.assert_allclose(found.value(states), again.value, atol=1e-8)
    np.testing.assert_allclose(found.action_value(states), again.action_value, atol=1e-8)
    # What is left of the truth is a potential: W(s) - gamma E[W(s')] in all actions.
    moves = np.stack([matrix.toarray() for matrix in process.transitions], axis=1).reshape(18, 6)
    shaping = np.repeat(np.eye(6), 3, axis=0) - 0.9 * moves
    gap = (found.reward(states) - reward).ravel()
    potential = np.linalg.lstsq(shaping, gap, rcond=None)[0]
    assert np.abs(gap).max() > 0.3
    np.testing.assert_allclose(shaping @ potential, gap, atol=1e-3)


def test_maxent_finds_a_reward_of_states_up_to_a_constant() -> None:
    process, _, _ = finite()
    data, policy = of_states(process)
    found = MaxEnt(**TABLE, ridge=1e-8, by_action=False).recover(data)
    reward = found.reward(levels(process))
    np.testing.assert_allclose(centred(reward[:, 0]), centred(STATE), atol=1e-4)
    np.testing.assert_array_equal(reward[:, 0], reward[:, 2])
    np.testing.assert_allclose(found.policy(levels(process)), policy, atol=1e-5)


def test_airl_finds_behaviour_and_where_nothing_is_chance_a_reward_of_states_up_to_a_constant() -> None:
    process, _, solution = finite()
    found = AIRL(**LINEAR).recover(population(process, solution.policy))
    np.testing.assert_allclose(found.policy(levels(process)), solution.policy, atol=0.03)
    still = without_chance()
    data, policy = of_states(still)
    found = AIRL(**LINEAR, by_action=False).recover(data)
    np.testing.assert_allclose(found.policy(levels(still)), policy, atol=0.02)
    np.testing.assert_allclose(centred(found.reward(levels(still))[:, 0]), centred(STATE), atol=0.1)
    assert np.abs(centred(STATE)).max() > 1
    assert found.converged
    value = solved(still, found.reward(levels(still))).value
    np.testing.assert_allclose(found.value(levels(still)), value, atol=1e-5)


@pytest.mark.parametrize("model", [MaxEnt(discount=0.9), AIRL(discount=0.9, rounds=4, steps=60)])
def test_continuous_states(model: MaxEnt | AIRL, tmp_path: Path) -> None:
    data, reward = drift(300)
    found = model.recover(data)
    fresh, _ = drift(100, seed=1)
    likelihood = negative_log_likelihood(found.log_policy, fresh.states, fresh.actions)
    # Behaviour is found about as well as by cloning it, in states that were not seen.
    cloned = negative_log_likelihood(Polynomial(2).policy(data), fresh.states, fresh.actions)
    assert likelihood < cloned + 0.05 < np.log(3) - 0.1
    # The reward is not: behaviour does not tell it, and a reward of zero has a smaller error than 7.7.
    rows = np.arange(data.n_choices)
    assert ((found.reward(data.states)[rows, data.actions] - reward[rows, data.actions]) ** 2).mean() > 4
    again = RecoveredReward.load(found.save(tmp_path / "reward"))
    np.testing.assert_array_equal(again.reward(fresh.states), found.reward(fresh.states))
    np.testing.assert_array_equal(again.action_value(fresh.states), found.action_value(fresh.states))
    with pytest.raises(SpecificationError, match="knows no reward beforehand"):
        again.sweep([1.0])


def test_the_same_seed_gives_the_same_numbers() -> None:
    data, _ = drift(40, periods=4)
    tiny = AIRL(discount=0.9, rounds=2, steps=20)
    one, again, other = (model.recover(data).reward(data.states) for model in (tiny, tiny, replace(tiny, seed=1)))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_transitions_are_shares_by_count_or_of_the_nearest() -> None:
    states = np.array([[0.0], [0.0], [0.0], [1.0], [5.0], [5.0]])
    after = np.array([[1.0], [1.0], [5.0], [0.0], [0.0], [1.0]])
    data = Trajectories.from_arrays(
        states, np.array([0, 0, 0, 1, 1, 0]), after, labels=("wait", "go"), weights=np.array([1.0, 1, 2, 1, 1, 1])
    )
    world = EstimatedProcess.of(data, 0.9, 1.0, 1)
    assert world.states[:, 0].tolist() == [0, 1, 5]
    np.testing.assert_allclose(
        world.process.transitions[0].toarray(), [[0.0, 0.5, 0.5], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]
    )
    np.testing.assert_allclose(world.process.transitions[1].toarray(), [[1, 0, 0], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(world.expected(np.array([[4.0], [0.2]]), np.arange(3.0))[:, 0], [1.0, 1.5])
    assert world.counts(data).tolist() == [[4, 0], [0, 1], [1, 1]]
    # Three rows are wanted: one of the fifth state is not enough, three in the first are.
    wide = EstimatedProcess.of(data, 0.9, 1.0, 3).process.transitions[0].toarray()
    np.testing.assert_allclose(wide, [[0.0, 0.5, 0.5], [0.0, 0.5, 0.5], [0.0, 0.6, 0.4]])
    drawn = world.drawn(np.zeros(4000, dtype=np.int64), 0, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 4000, [0.0, 0.5, 0.5], atol=0.03)


@pytest.mark.parametrize("model", [MaxEnt(**TABLE), AIRL(**{**LINEAR, "steps": 20})])
def test_what_cannot_be_taken_is_never_taken(model: MaxEnt | AIRL) -> None:
    process, _, solution = finite()
    data = population(process, solution.policy)
    data = data.only(~((data.states[:, 0] == 2) & (data.actions == 1)))

    def can(states: np.ndarray) -> np.ndarray:
        return np.asarray(~((states == 2) & (np.arange(3) == 1)))

    found = model.recover(replace(data, available=can))
    policy = found.policy(levels(process))
    np.testing.assert_allclose(policy.sum(axis=1), 1.0)
    assert (policy == 0).tolist() == (~can(levels(process))).tolist()
    assert np.isfinite(found.value(levels(process))).all()
    assert np.isfinite(found.reward(levels(process))).all()


@pytest.mark.parametrize("model", [MaxEnt(discount=0.9, neighbours=1), AIRL(discount=0.9, rounds=1, steps=1)])
def test_what_cannot_be_is_refused(model: MaxEnt | AIRL) -> None:
    with pytest.raises(DataError, match="nobody ever took 'go' with a known next state"):
        model.recover(made().only(np.array([True, True, False, False])))
    with pytest.raises(SpecificationError, match="features are finite numbers"):
        replace(model, features=lambda states: np.full((len(states), 2), np.nan)).recover(made())
    with pytest.raises(SpecificationError, match="knows no reward beforehand"):
        model.recover(made()).sweep([1.0])
    for wrong, message in (
        ({"discount": 1.0}, "has no value without end"),
        ({"scale": 0.0}, "the scale must be"),
        ({"neighbours": 0}, "one or more neighbours"),
        ({"rounds": 0}, "one round or more|sizes must be one or more"),
    ):
        with pytest.raises(SpecificationError, match=message):
            replace(model, **wrong)


def test_what_did_not_settle_is_told() -> None:
    process, _, solution = finite()
    data = population(process, solution.policy)
    found = MaxEnt(**TABLE, rounds=1).recover(data)
    assert "of feature expectations is left" in found.messages()[0]
    found = AIRL(**LINEAR, rounds=1).recover(data)
    assert "of choices is left" in found.messages()[0]

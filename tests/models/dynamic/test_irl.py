"""Inverse reinforcement learning with an anchor: exact in a table, near in smooth functions, clear where it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import DecisionProcess, Panel, Solution, StateSpace, solved
from revealed.models.dynamic.irl import (
    PQR,
    GenPQR,
    Neural,
    Polynomial,
    Tabular,
    Trajectories,
    log_probability,
    negative_log_likelihood,
    static_log_odds,
    zero_reward,
)
from revealed.models.dynamic.irl.network import Network

ACTIONS = ("wait", "go", "buy")
TABLE = Tabular()


def finite(seed: int = 0, discount: float = 0.9, scale: float = 0.7) -> tuple[DecisionProcess, np.ndarray, Solution]:
    """Return a process of six states with random transitions, rewards of which ``wait`` has none, and its solution."""
    random = np.random.default_rng(seed)
    space = StateSpace.grid(level=range(6))
    moves = {action: random.dirichlet(np.full(6, 0.5), 6) for action in ACTIONS}
    process = DecisionProcess.of(space, moves, discount, scale=scale)
    reward = random.normal(size=(6, 3))
    reward[:, 0] = 0.0
    return process, reward, solved(process, reward)


def population(process: DecisionProcess, policy: np.ndarray) -> Trajectories:
    """Return every transition there is, weighted by its probability: data without sampling error."""
    moves = np.stack([matrix.toarray() for matrix in process.transitions])
    state, action, after = (part.ravel() for part in np.indices((6, 3, 6)))
    weights = policy[state, action] * moves[action, state, after]
    levels = process.space.column("level")
    return Trajectories.from_arrays(
        levels[state][:, None], action, levels[after][:, None], labels=ACTIONS, columns=["level"], weights=weights
    )


def levels(process: DecisionProcess) -> np.ndarray:
    """Return all states."""
    return process.space.column("level")[:, None]


@pytest.mark.parametrize(("discount", "scale"), [(0.0, 1.0), (0.9, 0.7), (0.99, 2.0)])
def test_pqr_by_table_is_the_exact_solution(discount: float, scale: float) -> None:
    process, reward, solution = finite(discount=discount, scale=scale)
    found = PQR(discount=discount, scale=scale, anchor="wait", function_class=TABLE).recover(
        population(process, solution.policy)
    )
    states = levels(process)
    assert found.converged
    np.testing.assert_allclose(found.reward(states), reward, atol=1e-8)
    np.testing.assert_allclose(found.action_value(states), solution.action_value, atol=1e-8)
    np.testing.assert_allclose(found.value(states), solution.value, atol=1e-8)
    np.testing.assert_allclose(found.policy(states), solution.policy, atol=1e-12)


def test_pqr_takes_an_anchor_reward_that_depends_on_the_state() -> None:
    process, reward, solution = finite()
    data = population(process, solution.policy)
    found = PQR(
        discount=0.9,
        scale=0.7,
        anchor="buy",
        anchor_reward=lambda at: reward[at[:, 0].astype(int), 2],
        function_class=TABLE,
    ).recover(data)
    np.testing.assert_allclose(found.reward(levels(process)), reward, atol=1e-8)


def test_genpqr_at_a_point_mass_is_pqr() -> None:
    process, _, solution = finite(3)
    data = population(process, solution.policy)
    shared: dict[str, Any] = {"discount": 0.9, "scale": 0.7, "function_class": TABLE}
    one = PQR(anchor="go", anchor_reward=0.3, **shared).recover(data)
    other = GenPQR(normaliser="go", mean_reward=0.3, **shared).recover(data)
    states = levels(process)
    np.testing.assert_allclose(one.reward(states), other.reward(states), atol=1e-10)
    np.testing.assert_allclose(one.value(states), other.value(states), atol=1e-10)


def test_genpqr_recovers_the_truth_from_its_mean_and_behaviour_from_any_mean() -> None:
    process, reward, solution = finite(4)
    data, states = population(process, solution.policy), levels(process)
    known = GenPQR(
        discount=0.9,
        scale=0.7,
        normaliser="uniform",
        mean_reward=lambda at: reward[at[:, 0].astype(int)].mean(axis=1),
        function_class=TABLE,
    )
    np.testing.assert_allclose(known.recover(data).reward(states), reward, atol=1e-8)
    other = replace(known, mean_reward=0.0).recover(data)
    assert np.abs(other.reward(states) - reward).max() > 0.1  # another reward,
    np.testing.assert_allclose(other.reward(states).mean(axis=1), 0.0, atol=1e-9)  # with the mean that was assumed,
    np.testing.assert_allclose(
        solved(process, other.reward(states)).policy, solution.policy, atol=1e-8
    )  # and one behaviour


def test_where_the_anchor_stays_its_value_is_known_in_closed_form() -> None:
    process, reward, _ = finite()
    still = DecisionProcess.of(
        process.space, dict(zip(ACTIONS, (np.eye(6), *process.transitions[1:]), strict=True)), 0.9, scale=0.7
    )
    solution = solved(still, reward)
    found = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=TABLE).recover(
        population(still, solution.policy)
    )
    closed = -0.9 * 0.7 / (1 - 0.9) * np.log(solution.policy[:, 0])
    np.testing.assert_allclose(found.action_value(levels(still))[:, 0], closed, atol=1e-8)


def test_a_sweep_says_what_a_wrong_anchor_changes() -> None:
    process, _, solution = finite()
    data = population(process, solution.policy)
    found = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=TABLE).recover(data)

    def rising(states: np.ndarray) -> np.ndarray:
        return states[:, 0]

    sweep = found.sweep([0.0, 1.0, rising])
    np.testing.assert_allclose(sweep.mean[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(sweep.mean[1], 1.0, atol=1e-8)  # a constant moves all rewards alike,
    np.testing.assert_allclose(sweep.contrast[:2], 0.0, atol=1e-8)
    assert sweep.contrast[2] > 1.0  # what depends on the state does not
    assert sweep.other_best[2] > 0
    assert "rising" in str(sweep)
    assert "'wait' is 0: assumed" in found.messages()[0]


def test_a_sampled_panel_comes_near() -> None:
    process, reward, solution = finite(1)
    panel = walked(process, solution.policy, persons=400, months=60)
    data = Trajectories.of_panel(panel)
    assert (data.columns, data.followed.sum()) == (("level",), 400 * 59)
    assert data.remarks() == ("400 choices whose next state is not known tell of behaviour only",)
    found = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=TABLE).recover(data)
    actions = [ACTIONS.index(label) for label in panel.actions]
    error = found.reward(levels(process)) - reward[:, actions]
    assert np.sqrt((error**2).mean()) < 0.15
    assert np.sqrt((reward**2).mean()) > 0.5


def walked(process: DecisionProcess, policy: np.ndarray, persons: int, months: int) -> Panel:
    """Return a panel of persons who follow a policy."""
    random = np.random.default_rng(7)
    moves = np.stack([matrix.toarray() for matrix in process.transitions])
    state, rows = random.integers(0, 6, persons), []
    for month in range(months):
        action = (policy[state].cumsum(axis=1) < random.random((persons, 1))).sum(axis=1)
        rows.append((np.arange(persons), np.full(persons, month), state, np.array(ACTIONS)[action]))
        state = (moves[action, state].cumsum(axis=1) < random.random((persons, 1))).sum(axis=1).clip(max=5)
    columns = [np.concatenate(part) for part in zip(*rows, strict=True)]
    return Panel.from_rows(
        pa.table(dict(zip(("person", "time", "level", "action"), columns, strict=True))), process.space
    )


def drift(persons: int = 600, seed: int = 0, periods: int = 8) -> tuple[Trajectories, np.ndarray]:
    """Return transitions between -2 and 2, of who waits, goes left or right, and the true rewards at the states seen.

    Behaviour is a smooth function of the place; as waiting stays, the reward that explains it has a closed form.
    """
    random, discount = np.random.default_rng(seed), 0.9

    def log_policy(place: np.ndarray) -> np.ndarray:
        score = np.column_stack([np.zeros_like(place), 2 * np.sin(1.2 * place), np.cos(place) - place])
        return np.asarray(score - np.log(np.exp(score).sum(axis=1, keepdims=True)))

    def moved(place: np.ndarray, step: np.ndarray | float) -> np.ndarray:
        return np.clip(place + step, -2, 2)

    step = np.array([0.0, -0.6, 0.6])
    place, rows = random.uniform(-2, 2, persons), []
    for _ in range(periods):
        action = (np.exp(log_policy(place)).cumsum(axis=1) < random.random((persons, 1))).sum(axis=1)
        rows.append((place, action, moved(place, step[action])))
        place = rows[-1][2]
    states, actions, after = (np.concatenate(part) for part in zip(*rows, strict=True))
    value = -log_policy(states)[:, [0]] / (1 - discount)
    later = np.column_stack([-log_policy(moved(states, move))[:, 0] / (1 - discount) for move in step])
    data = Trajectories.from_arrays(
        states[:, None],
        actions,
        after[:, None],
        labels=("wait", "left", "right"),
        persons=np.tile(np.arange(persons), periods),
        columns=["place"],
    )
    return data, np.asarray(log_policy(states) + value - discount * later)


SMALL = Neural(hidden=(16, 16), members=3, epochs=40, steps=800, again=30)


@pytest.mark.parametrize("family", [Polynomial(4), SMALL], ids=["polynomial", "neural"])
def test_smooth_functions_recover_rewards_of_continuous_states(family: Polynomial | Neural) -> None:
    data, reward = drift()
    rows = np.arange(data.n_choices)
    estimators = (
        PQR(discount=0.9, anchor="wait", function_class=family, floor=0.01),
        GenPQR(discount=0.9, normaliser="wait", function_class=family, floor=0.01),
    )
    log_policy = estimators[0].behaviour(data)
    truth = reward[rows, data.actions]
    static = static_log_odds(log_policy, 0)(data.states)[rows, data.actions]
    errors = {}
    for estimator in estimators:
        found = estimator.recover(data, log_policy)
        errors[found.method] = float(((found.reward(data.states)[rows, data.actions] - truth) ** 2).mean())
    # Log-odds that do not look ahead have a mean squared error of 4.6 here, rewards of zero one of 7.6.
    assert ((static - truth) ** 2).mean() > 4
    assert max(errors.values()) < 1.5, errors
    assert negative_log_likelihood(log_policy, data.states, data.actions) < np.log(3) - 0.2


def test_the_same_seed_gives_the_same_numbers() -> None:
    data, _ = drift(60, periods=5)
    tiny = replace(SMALL, epochs=3, steps=20, rounds=3)
    one, again, other = (
        PQR(discount=0.9, anchor="wait", function_class=family).recover(data).reward(data.states)
        for family in (tiny, tiny, replace(tiny, seed=1))
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_a_network_s_slopes_are_those_of_finite_differences() -> None:
    random = np.random.default_rng(0)
    network = Network((2, 4, 3, 2), 2, random)
    network.params = [array.astype(np.float64) + 0.1 * random.normal(size=array.shape) for array in network.params]
    x, y = random.normal(size=(5, 2)), random.normal(size=(2, 5, 2))

    def loss() -> float:
        return 0.5 * float(((network(x) - y) ** 2).sum())

    layers = network.layers(x)
    slopes = network.slopes(layers, layers[-1] - y)
    for array, slope in zip(network.params, slopes, strict=True):
        numeric = np.empty_like(array)
        for place in np.ndindex(array.shape):
            keep = array[place]
            sides = []
            for move in (1e-6, -1e-6):
                array[place] = keep + move
                sides.append(loss())
            array[place] = keep
            numeric[place] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(slope, numeric, atol=1e-7)


def test_controls_are_what_they_say() -> None:
    data, _ = drift(30, periods=3)
    log_policy = Polynomial(2).policy(data)
    logs = log_policy(data.states)
    assert not zero_reward(data)(data.states).any()
    np.testing.assert_allclose(static_log_odds(log_policy, 1, 2.0)(data.states)[:, 1], 0.0)
    np.testing.assert_allclose(log_probability(log_policy, 2.0)(data.states), 2 * logs)
    static = PQR(discount=0.0, anchor="left", function_class=Polynomial(2)).recover(data, log_policy)
    np.testing.assert_allclose(static.reward(data.states), static_log_odds(log_policy, 1)(data.states), atol=1e-9)


def log_of(cells: list[tuple[str, Any, float | None, str]]) -> ChoiceLog:
    """Return a log of (person, time, level, action)."""
    table: dict[str, list[Any]] = {name: [] for name in ("case", "person", "time", "alternative", "chosen", "level")}
    for case, (person, time, level, taken) in enumerate(cells):
        for action in ("stay", "go"):
            for name, value in zip(table, (case, person, time, action, action == taken, level), strict=True):
                table[name].append(value)
    return ChoiceLog.from_table(pa.table(table), Columns(person="person", time="time"))


WALK: list[tuple[str, Any, float | None, str]] = [
    ("b", 5, 2.5, "go"),
    ("a", 2, 1.5, "stay"),
    ("a", 1, 0.5, "stay"),
    ("a", 4, 3.5, "go"),
    ("b", 6, 0.25, "stay"),
]


def test_a_log_becomes_transitions_in_order_and_gaps_are_told() -> None:
    data = Trajectories.of(log_of(WALK), ["level"])
    order = [(data.states[row, 0], data.next_states[row, 0]) for row in np.flatnonzero(data.followed)]
    assert sorted(order) == [(0.5, 1.5), (2.5, 0.25)]
    assert data.n_choices == 5
    assert data.remarks() == ("3 choices whose next state is not known tell of behaviour only",)


def test_logs_that_cannot_be() -> None:
    twice = log_of([("a", date(2026, 1, 3), 0.0, "go"), ("a", date(2026, 1, 9), 1.0, "stay")])
    with pytest.raises(DataError, match="persons with two choices in one period: a in period"):
        Trajectories.of(twice, ["level"], unit="month")
    with pytest.raises(DataError, match="states that are no finite numbers"):
        Trajectories.of(log_of([*WALK, ("c", 1, None, "go")]), ["level"])
    with pytest.raises(SpecificationError, match="holds no numbers"):
        Trajectories.of(log_of(WALK), ["person"])
    with pytest.raises(DataError, match="no next state is known"):
        Trajectories.of(log_of(WALK[3:]), ["level"])


def made(**changes: Any) -> Trajectories:
    """Return four transitions, with some changes."""
    parts: dict[str, Any] = {
        "states": np.array([[0.0], [1.0], [0.0], [1.0]]),
        "actions": np.array([0, 0, 1, 1]),
        "next_states": np.array([[1.0], [0.0], [0.0], [1.0]]),
        "labels": ("wait", "go"),
        **changes,
    }
    return Trajectories.from_arrays(parts["states"], parts["actions"], parts["next_states"], labels=parts["labels"])


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(DataError, match=r"none of the labels \[row 4\]"):
        made(actions=np.array([0, 0, 1, 2]))
    with pytest.raises(DataError, match=r"no finite numbers \[row 2\]"):
        made(states=np.array([[0.0], [np.nan], [0.0], [1.0]]))
    with pytest.raises(DataError, match=r"no finite numbers \[row 2\]\n.*below 1e\+100"):
        made(states=np.array([[0.0], [1e200], [0.0], [1.0]]))
    with pytest.raises(DataError, match="nobody ever took the action 'go'"):
        made(actions=np.zeros(4, dtype=np.int64))
    with pytest.raises(SpecificationError, match="two or more actions"):
        made(labels=("wait",), actions=np.zeros(4, dtype=np.int64))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (float("nan"), "and some are not"),
        (lambda states: np.full(len(states), np.inf), "and some are not"),
        (lambda states: states, r"not shape \(2, 1\)"),
    ],
    ids=["nan", "infinite", "shape"],
)
def test_what_is_known_beforehand_is_a_finite_number_for_each_state(known: Any, told: str) -> None:
    with pytest.raises(SpecificationError, match=told):
        PQR(discount=0.9, anchor="wait", anchor_reward=known, function_class=TABLE).recover(made())


def test_an_anchor_that_cannot_carry_is_refused() -> None:
    model = PQR(discount=0.9, anchor="wait", function_class=TABLE)
    with pytest.raises(SpecificationError, match="did you mean 'wait'"):
        replace(model, anchor="wiat").recover(made())
    for never in (model, GenPQR(discount=0.9, normaliser="wait", function_class=TABLE)):
        with pytest.raises(DataError, match="nobody ever took the anchor 'wait'"):
            never.recover(made().only(np.array([False, False, True, True])))
        with pytest.raises(DataError, match=r"too few states.*\[1 states: x0 1\]"):
            never.recover(made(actions=np.array([0, 1, 1, 1])))
        with pytest.raises(
            DataError, match="was taken 2 times with a known next state; polynomial of degree 2 needs 3"
        ):
            replace(never, function_class=Polynomial(2)).recover(made())


@pytest.mark.parametrize("discount", [1.0, 1.5, -0.1, np.nan])
def test_a_discount_factor_without_a_value_is_refused(discount: float) -> None:
    with pytest.raises(SpecificationError, match="has no value without end"):
        PQR(discount=discount, anchor="wait")
    with pytest.raises(SpecificationError, match="has no value without end"):
        GenPQR(discount=discount, normaliser="wait")


def test_a_normaliser_that_is_no_policy_is_refused() -> None:
    with pytest.raises(SpecificationError, match="sum to one"):
        GenPQR(discount=0.9, normaliser=lambda at: np.ones((len(at), 2)), function_class=TABLE).recover(made())


def test_what_a_table_has_not_seen_is_not_a_number() -> None:
    process, _, solution = finite()
    data = population(process, solution.policy)
    never = ~((data.states[:, 0] == 2) & (data.actions == 2))
    found = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=TABLE).recover(data.only(never))
    reward = found.reward(levels(process))
    assert np.argwhere(np.isnan(reward)).tolist() == [[2, 2]]
    assert np.isnan(found.reward(np.array([[17.0]]))).all()
    assert found.policy(levels(process))[2, 2] == 0
    # ... and stays out of means, also where it is all there is of an action.
    np.testing.assert_allclose(found.sweep([1.0]).mean, 1.0, atol=1e-8)
    without = found.data.only(found.data.actions != 2)
    sweep = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=TABLE).recover(without).sweep([1.0])
    np.testing.assert_allclose(sweep.mean, [[1.0, 1.0, np.nan]], atol=1e-8)


def test_an_iteration_that_expands_is_told() -> None:
    states = np.array([[0.0], [0.1], [0.0], [0.1]])
    data = made(states=states, next_states=states * 40, actions=np.array([0, 0, 1, 1]))
    found = PQR(discount=0.9, anchor="wait", function_class=Polynomial(1, 1e-6)).recover(
        data, lambda at: np.log(np.tile([0.5, 0.5], (len(at), 1))) - np.column_stack([at[:, 0], 0 * at[:, 0]])
    )
    assert not found.converged
    assert "did not converge" in found.messages()[0]

"""How sure recovered rewards are, on states that can be counted, and as files."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed.answer.counterfactual import OverTimeOptions
from revealed.errors import DataError, RevealedError, SpecificationError
from revealed.models.dynamic import (
    DecisionProcess,
    Membership,
    NestedFixedPoint,
    Panel,
    RecoveredFit,
    by_columns,
    solved,
)
from revealed.models.dynamic.irl import (
    PQR,
    GenPQR,
    Neural,
    Polynomial,
    RecoveredReward,
    Tabular,
    Trajectories,
    bootstrapped_reward,
    cross_fitted,
    fit_on,
    recover_on,
)
from revealed.models.dynamic.membership import REWARD
from revealed.models.dynamic.solve import forward
from revealed.report.answers_picture import picture_of_answers
from tests.models.dynamic.test_irl import ACTIONS, drift, finite

PERIODS = 10
WORLD = Membership()
TABLE = PQR(discount=0.9, scale=0.7, anchor="wait", function_class=Tabular())


def lived(persons: int, seed: int) -> Trajectories:
    """Return what persons do for ten periods in the process of six states."""
    process, _, solution = finite()
    random, moves = np.random.default_rng(seed), np.stack([matrix.toarray() for matrix in process.transitions])
    state, rows = random.integers(0, 6, persons), []
    for _ in range(PERIODS):
        action = (solution.policy[state].cumsum(axis=1) < random.random((persons, 1))).sum(axis=1)
        after = (moves[action, state].cumsum(axis=1) < random.random((persons, 1))).sum(axis=1).clip(max=5)
        rows.append((state, action, after))
        state = after
    states, actions, after = (np.concatenate(part) for part in zip(*rows, strict=True))
    return Trajectories.from_arrays(
        states[:, None].astype(float),
        actions,
        after[:, None].astype(float),
        labels=ACTIONS,
        persons=np.tile(np.arange(persons), PERIODS),
        columns=["level"],
    )


def law() -> np.ndarray:
    """Return how often each state is seen in ten periods."""
    process, _, solution = finite()
    now, found = np.full(6, 1 / 6), np.zeros(6)
    for _ in range(PERIODS):
        found += now / PERIODS
        now = now @ process.under(solution.policy)
    return found


def inside(one: Any, truth: float) -> bool:
    low, high = one.interval()
    return bool(low <= truth <= high)


def uniform(states: np.ndarray) -> np.ndarray:
    return np.full((len(states), 3), 1 / 3)


def test_debiased_intervals_hold_the_truth_as_often_as_they_say() -> None:
    process, reward, _ = finite()
    worth = forward(process, process.under(uniform(np.zeros((6, 1)))), reward.mean(axis=1))
    truth = (law() @ reward[:, 1], reward[3, 2], law() @ worth)
    held = []
    for seed in range(16):
        fitted = cross_fitted(TABLE, lived(250, seed), folds=2)
        found = (
            fitted.mean("go"),
            fitted.mean("buy", where=lambda states: states[:, 0] == 3),  # the reward of one state and action
            fitted.value(uniform),
        )
        held.append([inside(one, true) for one, true in zip(found, truth, strict=True)])
    # Of 95% intervals less than 12 of 16 hold the truth once in five thousand samples; in all, less than 40 of 48.
    assert np.sum(held, axis=0).min() >= 12, np.mean(held, axis=0)
    assert np.sum(held) >= 40


def test_a_correction_takes_out_what_a_stiff_reward_gets_wrong() -> None:
    data, reward = drift(1500)
    model = PQR(discount=0.9, anchor="wait", function_class=Polynomial(2, ridge=400.0))
    found = cross_fitted(model, data, folds=2, weights=Polynomial(5)).mean("right")
    truth = float(reward[:, 2].mean())
    assert abs(found.plug_in - truth) > 1.5 * abs(found.value - truth)
    assert 0 < found.standard_error < 0.5


def test_the_mean_under_the_normalising_policy_is_what_was_assumed() -> None:
    model = GenPQR(discount=0.9, scale=0.7, normaliser="uniform", mean_reward=2.5, function_class=Tabular())
    found = cross_fitted(model, lived(100, 1), folds=2).mean(uniform)
    assert found.value == pytest.approx(2.5, abs=1e-6)
    assert found.standard_error == pytest.approx(0.0, abs=1e-6)


def test_means_that_cannot_be() -> None:
    data = lived(20, 0)
    with pytest.raises(SpecificationError, match="2 folds or more"):
        cross_fitted(TABLE, data, folds=1)
    with pytest.raises(DataError, match="folds need as many persons"):
        cross_fitted(TABLE, data, folds=30)
    fitted = cross_fitted(replace(TABLE, function_class=Polynomial(2)), data, folds=2)
    with pytest.raises(DataError, match="no state of the data counts"):
        fitted.mean("go", where=lambda states: np.zeros(len(states)))
    with pytest.raises(SpecificationError, match="no action 'gone'"):
        fitted.mean("gone")
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        fitted.mean("go").interval(95)


def test_a_bootstrap_s_errors_are_those_of_other_samples() -> None:
    states = np.arange(6.0)[:, None]
    again = np.array([TABLE.recover(lived(300, seed)).reward(states) for seed in range(24)])
    boot = bootstrapped_reward(TABLE.recover, lived(300, 99), draws=30, seed=1).reward(states)
    spread = again.std(axis=0, ddof=1)[:, 1:]
    assert 0.7 < np.mean(boot.standard_error[:, 1:] / spread) < 1.3
    np.testing.assert_allclose(boot.standard_error[:, 0], 0.0, atol=1e-9)  # the anchor's is known
    low, high = boot.interval(0.9)
    np.testing.assert_allclose((high - low)[:, 1], 2 * 1.6449 * boot.standard_error[:, 1], rtol=1e-4)
    with pytest.raises(SpecificationError, match="two draws and two persons"):
        bootstrapped_reward(TABLE.recover, lived(300, 99), draws=1)


# ---- states that can be counted, with what is available in them -----------------------------------------------------


def membership(members: int = 600, months: int = 24) -> tuple[Panel, DecisionProcess]:
    panel = WORLD.panel(members, months, 3)
    moves = by_columns(panel, WORLD.moves)
    process = DecisionProcess(
        WORLD.space, panel.actions, moves.matrices, WORLD.discount, None, WORLD.available, 1.0, WORLD.attributes
    )
    return panel, process


ANCHORED = PQR(discount=0.95, anchor="none", function_class=Polynomial(2))


def test_on_a_process_rewards_explain_behaviour_exactly_and_what_ifs_are_true() -> None:
    panel, process = WORLD.panel(300, 24, 1), WORLD.process
    free = WORLD.space.column("left") == 0

    def known(states: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(WORLD.solution.policy[WORLD.space.places(states)]))

    found = recover_on(ANCHORED, panel, process, log_policy=known)
    reward = found.reward(WORLD.space.numbers)
    assert not reward[free, 2].any()  # the anchor,
    assert not reward[~free, 0].any()  # and what must be taken where it cannot
    np.testing.assert_array_equal(np.isnan(reward), ~WORLD.available)
    np.testing.assert_allclose(solved(process, reward).policy, WORLD.solution.policy, atol=1e-9)
    # For a month the reward is the true one; a year's is all that it brings while it binds, as no choice parts it.
    np.testing.assert_allclose(reward[free, 1], WORLD.reward[free, 1], atol=1e-9)
    gained = WORLD.reward[free, 0] - reward[free, 0]
    assert gained.max() < 0


def test_what_ifs_of_recovered_rewards_come_near_the_true_ones(tmp_path: Path) -> None:
    panel, process = membership()
    fit = fit_on(
        ANCHORED, panel, process, lambda some: by_columns(some, WORLD.moves), smooth=Polynomial(3), draws=4, seed=1
    )
    change = "price[alternative == 'monthly'] += 1"
    asking: dict[str, Any] = {"periods": 6, "start": WORLD.start, "paid": "payment", "leaving": "none"}
    said = fit.over_time(change, **asking)
    exact = NestedFixedPoint(REWARD).fit(panel, process)
    truth = replace(exact, params=np.array([WORLD.truth[name] for name in exact.names]), process=WORLD.process)
    options = OverTimeOptions(draws=0)
    told = truth.over_time("payment[alternative == 'monthly'] += 1", options=options, **asking)
    answer, true = (one.of().difference["monthly"] for one in (said, told))
    assert true.value[-1] < -0.02
    assert answer.value[-1] == pytest.approx(true.value[-1], rel=0.5)
    assert answer.low[-1] < answer.value[-1] < answer.high[-1]
    drawn = picture_of_answers({"PQR": {"dearer": said}}, "monthly", {"dearer": told}).axes[0]
    assert [text.get_text() for text in drawn.get_yticklabels()] == ["dearer"]
    assert np.asarray(drawn.lines[0].get_xdata())[0] == pytest.approx(100 * answer.value[-1])
    with pytest.raises(SpecificationError, match="no measure 'weekly'"):
        picture_of_answers({"PQR": {"dearer": said}}, "weekly")
    with pytest.raises(SpecificationError, match="asked different questions"):
        picture_of_answers({"PQR": {"dearer": said}, "other": {}}, "monthly")
    again = RecoveredFit.load(fit.save(tmp_path / "fit.npz"))
    np.testing.assert_array_equal(again.reward, fit.reward)
    np.testing.assert_array_equal(again.over_time(change, **asking).of().difference["monthly"].low, answer.low)
    assert "'none'" in str(fit)
    with pytest.raises(SpecificationError, match="do not know 'payment'"):
        fit.over_time("payment += 1")
    with pytest.raises(SpecificationError, match="no parameter 'payment'"):
        fit.over_time(change, money="payment")


def test_what_a_table_of_states_cannot_tell_is_refused() -> None:
    panel, process = membership()
    fit = fit_on(ANCHORED, panel, process, draws=0)
    assert np.isnan(fit.standard_errors).all()
    assert "no intervals" in " ".join(
        fit.over_time("available[alternative == 'annual' and left == 0] = 0", periods=2).warnings
    )
    with pytest.raises(SpecificationError, match=r"no reward is known at left 0, member 0, price 9.*--smooth"):
        fit.over_time("price += 1")
    with pytest.raises(SpecificationError, match="discount factor must be that of the process: 0.9, not 0.95"):
        recover_on(replace(ANCHORED, discount=0.9), panel, process)
    with pytest.raises(SpecificationError, match=r"cannot be taken in every state: GenPQR\(normaliser='none'\)"):
        ANCHORED.recover(Trajectories.of_panel(panel, process.available))
    with pytest.raises(DataError, match="actions taken where they are not available"):
        Trajectories.of_panel(panel, ~WORLD.available)


@pytest.mark.parametrize("family", [Tabular(), Polynomial(2), Neural(epochs=2, members=2)], ids=lambda one: one.title)
def test_behaviour_keeps_to_what_is_available(family: Any) -> None:
    panel, process = membership(60, 12)
    data = Trajectories.of_panel(panel, process.available)
    bound = data.states[:, 0] > 0
    share = np.exp(family.policy(data)(data.states))
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert bound.any()
    np.testing.assert_array_equal(share[bound], np.tile([1.0, 0.0, 0.0], (int(bound.sum()), 1)))


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        TABLE,
        replace(TABLE, function_class=Polynomial(2), floor=0.01),
        replace(TABLE, function_class=Neural(hidden=(4,), members=2, epochs=2, steps=5, rounds=2)),
        GenPQR(discount=0.9, scale=0.7, normaliser="uniform", function_class=Polynomial(1)),
    ],
    ids=["table", "polynomial", "neural", "genpqr"],
)
def test_a_reward_comes_back_from_its_file(model: PQR | GenPQR, tmp_path: Path) -> None:
    found = model.recover(lived(60, 0))
    again = RecoveredReward.load(found.save(tmp_path / "reward.npz"))
    states = np.array([[0.0], [2.5], [5.0]])
    for name in ("reward", "log_policy", "value", "policy", "action_value"):
        np.testing.assert_array_equal(getattr(again, name)(states), getattr(found, name)(states))
    assert again.messages() == found.messages()
    if not isinstance(model.function_class, Neural):
        assert str(again.sweep([1.0])) == str(found.sweep([1.0]))


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    path = TABLE.recover(lived(60, 0)).save(tmp_path / "reward.npz")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        structure = file.read("structure.json").decode()
    for old, new, kind, message in (
        (
            '"format": 1',
            '"format": 2',
            RevealedError,
            "saved in format 2, this version reads 1; recover again or upgrade",
        ),
        ('"kind": "recovered reward"', '"kind": "policy"', RevealedError, "holds a policy, no recovered reward"),
        ('"part": "PQR"', '"part": "Popen"', DataError, "parts missing or spoiled"),
        ('"labels"', '"label"', DataError, "parts missing or spoiled"),
    ):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("structure.json", structure.replace(old, new))
        with pytest.raises(kind, match=message):
            RecoveredReward.load(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is no file of that kind"):
        RecoveredReward.load(path)
    with pytest.raises(DataError, match="there is no such file"):
        RecoveredReward.load(tmp_path / "none.npz")

    def mine(states: np.ndarray) -> np.ndarray:
        return states[:, 0]

    with pytest.raises(SpecificationError, match="'mine' cannot be saved: it is code"):
        replace(TABLE, anchor_reward=mine).recover(lived(60, 0)).save(tmp_path / "mine.npz")
    assert not (tmp_path / "mine.npz").exists()

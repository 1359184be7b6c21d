"""What-ifs over time in a small world: money, other processes, names, what the data saw, who begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.answer.cohort import beginners, steady_after
from revealed.answer.counterfactual import OverTimeOptions, over_time
from revealed.errors import SpecificationError
from revealed.models.dynamic import DecisionProcess, DynamicFit, NestedFixedPoint, Panel, StateSpace, solved
from revealed.models.dynamic.free import RecoveredFit

SPACE = StateSpace.grid(x=[0, 1, 2], heavy=[0, 1])
X, HEAVY = SPACE.column("x"), SPACE.column("heavy")
POINT = OverTimeOptions(draws=0)
FEW = OverTimeOptions(draws=20)
RISES = np.kron([[0.4, 0.6, 0.0], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]], np.eye(2))
RENEWS = np.kron([[1.0, 0.0, 0.0]] * 3, np.eye(2))
REWARD = {"stay": "asc + x + price + price:heavy", "leave": "0"}
TRUTH = {"asc[stay]": 2.0, "x": -0.5, "price": -0.8, "price:heavy": 0.5}


def process_of(actions: tuple[str, str] = ("stay", "leave"), **more: object) -> DecisionProcess:
    """Return a process in which who stays ages, and who leaves begins anew; the price is of the state."""
    price = np.column_stack([1.0 + (X == 1), np.zeros(6)])
    given: dict[str, Any] = {"discount": 0.9, "attributes": {"price": price}} | more
    return DecisionProcess.of(SPACE, dict(zip(actions, (RISES, RENEWS), strict=True)), **given)


def panel_of(
    process: DecisionProcess, reward: np.ndarray, persons: int = 200, periods: int = 10, after_another: bool = False
) -> Panel:
    """Return what persons do who begin at x of zero."""
    policy, rng = solved(process, reward).policy, np.random.default_rng(1)
    moves = [matrix.toarray() for matrix in process.transitions]
    rows = []
    for person in range(persons):
        state = person % 2
        for period in range(periods):
            now = policy if policy.ndim == 2 else policy[period]
            action = int(rng.random() >= now[state, 0])
            rows.append((person, period, X[state], HEAVY[state], process.actions[action]))
            state = int(rng.choice(6, p=moves[action][state]))
    table = pa.table(
        dict(zip(("person", "time", "x", "heavy", "action"), map(list, zip(*rows, strict=True)), strict=True))
    )
    return Panel.from_rows(table, SPACE, actions=process.actions, after_another=after_another)


def reward_of(process: DecisionProcess) -> np.ndarray:
    """Return the true reward."""
    price = process.attributes["price"][:, 0] * (TRUTH["price"] + TRUTH["price:heavy"] * HEAVY)
    return np.column_stack([TRUTH["asc[stay]"] + TRUTH["x"] * X + price, np.zeros(6)])


@pytest.fixture(scope="module")
def fit() -> DynamicFit:
    process = process_of()
    found = NestedFixedPoint(REWARD).fit(panel_of(process, reward_of(process)), process)
    assert found.process.actions == ("stay", "leave")
    return found


# ---- money ----------------------------------------------------------------------------------------------------------


def test_each_gain_is_divided_by_what_money_is_worth_to_whom_it_is(fit: DynamicFit) -> None:
    dearer = fit.reward + np.outer(fit["price"] + fit["price:heavy"] * HEAVY, [0.1, 0.0])
    rise = solved(fit.process, dearer).value - fit.solution.value
    own = rise / -(fit["price"] + fit["price:heavy"] * HEAVY)
    start = {"light": np.eye(6)[0], "heavy": 3 * np.eye(6)[1]}
    found = over_time(fit, "price += 0.1", money="price", start=start, periods=2, options=FEW)
    assert found.unit == "money"
    assert found.of("light").surplus.value == pytest.approx(own[0], rel=1e-9)
    assert found.of("heavy").surplus.value == pytest.approx(own[1], rel=1e-9)
    assert found.of().surplus.value == pytest.approx((own[0] + 3 * own[1]) / 4, rel=1e-9)
    # Who pays one tenth more whenever they stay loses no more than a tenth of a period's worth for ever.
    assert -1.0 < own[1] < 0
    assert found.of("heavy").surplus.low < own[1] < found.of("heavy").surplus.high


def test_money_by_one_coefficient_is_as_ever() -> None:
    process = process_of()
    plain = NestedFixedPoint({"stay": "asc + x + price", "leave": "0"}).fit(
        panel_of(process, reward_of(process)), process
    )
    found, utility = (over_time(plain, "price += 1", money=money, options=POINT) for money in ("price", None))
    assert found.of().surplus.value == pytest.approx(-utility.of().surplus.value / plain["price"], rel=1e-12)
    in_tens = NestedFixedPoint({"stay": "asc + x + I(price / 10)", "leave": "0"}).fit(
        panel_of(process, reward_of(process)), process
    )
    name = next(name for name in in_tens.names if "10" in name)
    again = over_time(in_tens, "price += 1", money=name, options=POINT)
    assert again.of().surplus.value == pytest.approx(found.of().surplus.value, rel=1e-6)


@pytest.mark.parametrize(
    ("formula", "money", "change", "message"),
    [
        ("asc + price + price:x", "price", "price += 1", "in others that one comes to"),
        ("asc + price + I(price ** 2)", "price", "price += 1", "linearly"),
        ("asc + price:heavy", "price:heavy", "price += 1", "not linear in one column"),
        ("asc + price + price:heavy", "price", "heavy = 1", "alters what a unit of 'price' is worth"),
        ("asc + x", "asc[stay]", "x += 1", "must be below zero, and is 2"),
    ],
)
def test_what_is_no_money_is_refused(fit: DynamicFit, formula: str, money: str, change: str, message: str) -> None:
    process = process_of()
    model = NestedFixedPoint({"stay": formula, "leave": "0"}, fixed={"asc[stay]": 2.0})
    other = model.fit(panel_of(process, reward_of(process), 60), process)
    other = replace(other, params=np.where(np.array(other.names) == "price", -1.0, other.params))
    with pytest.raises(SpecificationError, match=message):
        over_time(other, change, money=money, options=POINT)


def test_values_under_two_discount_factors_give_no_surplus(fit: DynamicFit) -> None:
    found = over_time(fit, discount=0.5, money="price", periods=3, options=FEW)
    assert np.isnan([found.of().surplus.value, found.of().surplus.low]).all()
    assert any("no surplus" in told and "0.9 and 0.5" in told for told in found.assumptions)
    assert found.of().difference["stay"].value[0] != 0
    assert found.to_dict()["segments"][0]["surplus"]["value"] is None
    other = over_time(fit, process=process_of(scale=2.0), periods=3, options=POINT)
    assert np.isnan(other.of().surplus.value)


# ---- another process ------------------------------------------------------------------------------------------------


def test_another_process_brings_its_attributes(fit: DynamicFit) -> None:
    dear = process_of(attributes={"price": 3 * fit.process.attributes["price"]})
    asked: dict[str, Any] = {"periods": 4, "paid": "price", "options": POINT}
    found, told = over_time(fit, process=dear, **asked), over_time(fit, "price *= 3", **asked)
    for measure, series in told.of().difference.items():
        assert abs(series.value[-1]) > 0.01
        np.testing.assert_allclose(found.of().difference[measure].value, series.value, rtol=1e-9)
    assert found.of().surplus.value == pytest.approx(told.of().surplus.value, rel=1e-9)
    both = over_time(fit, "price /= 3", process=dear, **asked)
    np.testing.assert_allclose(both.of().difference["paid"].value, 0.0, atol=1e-12)


def test_another_process_lacks_no_attribute_and_no_period(fit: DynamicFit) -> None:
    with pytest.raises(SpecificationError, match="no attribute 'price'"):
        over_time(fit, process=process_of(attributes={}), options=POINT)
    with pytest.raises(SpecificationError, match="9 periods, but the process ends after 8"):
        over_time(fit, process=process_of(horizon=8), periods=9, options=POINT)


def test_a_reward_without_a_formula_knows_no_attributes(fit: DynamicFit) -> None:
    free = RecoveredFit("PQR", "", fit.process, lambda states: reward_of(process_of()), fit.linear.counts, (), 0, 200)
    assert over_time(free, process=process_of(), options=POINT).of().surplus.value == 0
    with pytest.raises(SpecificationError, match="do not know 'price'"):
        over_time(free, process=process_of(attributes={"price": np.ones((6, 2))}), options=POINT)


def test_what_is_not_offered_needs_no_price(fit: DynamicFit) -> None:
    open_ = np.ones((6, 2), dtype=bool)
    open_[4:, 0] = False
    price = np.where(open_, fit.process.attributes["price"], np.nan)
    found = over_time(
        fit, process=process_of(available=open_, attributes={"price": price}), paid="price", options=POINT
    )
    assert np.isfinite(found.of().after["paid"].value).all()
    assert found.of().difference["leave"].value[-1] > 0


# ---- names ----------------------------------------------------------------------------------------------------------


def test_actions_may_come_in_any_order(fit: DynamicFit) -> None:
    found = over_time(fit, "x[alternative == 'stay'] *= 1.5", "remove leave", periods=2, options=POINT).of()
    assert found.after["stay"].value == pytest.approx([1.0, 1.0])
    assert found.before["stay"].value[0] == pytest.approx(
        float(beginners(fit) @ fit.solution.policy[:, 0]) / beginners(fit).sum()
    )
    with pytest.raises(SpecificationError, match="'pause' is no action of the process"):
        over_time(fit, "add pause like stay", options=POINT)


@pytest.mark.parametrize(("actions", "asked"), [(("paid", "owed"), "paid"), (("stayed", "left"), "leaving")])
def test_an_action_called_as_a_measure(actions: tuple[str, str], asked: str) -> None:
    process = process_of(actions)
    found = NestedFixedPoint({actions[0]: "asc + price", actions[1]: "0"}).fit(
        panel_of(process, reward_of(process), 60), process
    )
    alone = over_time(found, periods=2, options=POINT)
    assert alone.table().column("share") == list(actions)
    assert alone.worth(2).column("per member") == ["surplus from now on (utility)"]
    more: dict[str, Any] = {asked: "price" if asked == "paid" else actions[1]}
    with pytest.raises(SpecificationError, match=f"an action is called '{actions[0]}'"):
        over_time(found, periods=2, options=POINT, **more)


# ---- what the data saw ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("price *= 50", "'price' of 'stay' leaves its observed range (1 to 2)"),
        ("price[alternative == 'stay'] += 0.5", "by up to 0.5: there the answer rests on the form of the reward"),
        ("x += 1e10", "'x' leaves its observed range (0 to 2) in states where 100% of the periods"),
        ("price[alternative == 'stay'] = 1.5", None),
        ("x[alternative == 'stay' and x == 2] = 1", None),
    ],
)
def test_a_change_beyond_what_was_observed_is_told(fit: DynamicFit, change: str, told: str | None) -> None:
    found = [one for one in over_time(fit, change, periods=6, options=POINT).warnings if "observed range" in one]
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_only_states_that_one_comes_to_count(fit: DynamicFit) -> None:
    old = over_time(fit, "x[x == 2] = 9", periods=2, start=np.eye(6)[0], options=POINT)
    assert not any("observed range" in told for told in old.warnings)
    later = over_time(fit, "x[x == 2] = 9", periods=6, start=np.eye(6)[0], options=POINT)
    assert any("observed range" in told for told in later.warnings)


def test_a_change_to_what_no_reward_holds_is_told() -> None:
    process = process_of()
    short = NestedFixedPoint({"stay": "asc + price", "leave": "0"}).fit(
        panel_of(process, reward_of(process), 60), process
    )
    told = "'x' has no effect: it is not in the reward"
    assert told in over_time(short, "x += 1", options=POINT).warnings
    assert told not in over_time(short, "x += 1", paid="x", options=POINT).warnings


# ---- when a world has settled, and who begins -----------------------------------------------------------------------


@pytest.mark.parametrize("hazard", [1e-3, 4e-5, 1e-7, 1e-10])
def test_a_world_that_moves_slowly_has_not_settled(hazard: float) -> None:
    moves = np.array([[1 - hazard, hazard], [0.0, 1.0]])
    process = DecisionProcess.of(StateSpace.grid(x=[0, 1]), {"a": moves, "b": moves}, 0.9)
    assert steady_after(process, np.full((2, 2), 0.5), np.array([[1.0, 0.0]]), 2_000) is None


@pytest.mark.parametrize("hazard", [0.3, 0.01, 0.0024])
def test_when_a_world_settles(hazard: float) -> None:
    moves = np.array([[1 - hazard, hazard], [0.0, 1.0]])
    process = DecisionProcess.of(StateSpace.grid(x=[0, 1]), {"a": moves, "b": moves}, 0.9)
    found = steady_after(process, np.full((2, 2), 0.5), np.array([[1.0, 0.0]]), 2_000)
    assert found == int(np.ceil(np.log(0.01) / np.log1p(-hazard)))


def test_a_world_that_goes_round_does_not_settle() -> None:
    moves = np.array([[0.0, 1.0], [1.0, 0.0]])
    process = DecisionProcess.of(StateSpace.grid(x=[0, 1]), {"a": moves, "b": moves}, 0.9)
    assert steady_after(process, np.full((2, 2), 0.5), np.array([[1.0, 0.0]]), 500) is None
    assert steady_after(process, np.full((2, 2), 0.5), np.array([[1.0, 1.0]]), 500) == 0


def test_a_process_that_ends_begins_in_its_first_period(tmp_path) -> None:
    process = process_of(horizon=6)
    panel = panel_of(process, reward_of(process), 100, 6)
    found = NestedFixedPoint({"stay": "asc + x + price", "leave": "0"}).fit(panel, process)
    asked: dict[str, Any] = {"periods": 3, "options": POINT}
    told = over_time(found, "price += 1", **asked).of()
    given = over_time(found, "price += 1", start=np.array([50.0, 50, 0, 0, 0, 0]), **asked).of()
    np.testing.assert_allclose(told.before["leave"].value, given.before["leave"].value)
    assert told.surplus.value == pytest.approx(given.surplus.value)
    again = over_time(DynamicFit.load(found.save(tmp_path / "fit.json")), "price += 1", **asked).of()
    np.testing.assert_allclose(again.before["leave"].value, told.before["leave"].value)
    for lacking in (None, np.zeros(6)):
        with pytest.raises(SpecificationError, match="nobody in period 0: say who begins where"):
            over_time(replace(found, first_states=lacking), **asked)

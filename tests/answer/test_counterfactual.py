"""What would happen over time."""

from dataclasses import replace

import numpy as np
import pytest

from revealed.answer.cohort import Members, expected_paths
from revealed.answer.counterfactual import OverTimeOptions, over_time
from revealed.errors import SpecificationError
from revealed.models.dynamic import DecisionProcess, Membership, NestedPseudoLikelihood, solved
from revealed.models.dynamic.membership import REWARD

WORLD = Membership()
FEW = OverTimeOptions(draws=8)


@pytest.fixture(scope="module")
def fit() -> object:
    return NestedPseudoLikelihood(REWARD).fit(WORLD.panel(400, 24, 1), WORLD.process)


def test_to_change_nothing_changes_nothing(fit) -> None:
    answer = over_time(fit, periods=6, start=WORLD.start, paid="payment", leaving="none", money="payment", options=FEW)
    whole = answer.of()
    for series in whole.difference.values():
        assert (series.value == 0).all()
        assert (series.low == 0).all()
    assert whole.surplus.value == 0


def test_shares_are_those_of_the_world_solved_again(fit) -> None:
    answer = over_time(fit, "payment[alternative == 'monthly'] += 1", periods=3, start=WORLD.start, options=FEW)
    payment = WORLD.attributes["payment"] + np.array([0.0, 1.0, 0.0])
    dearer = replace(WORLD.process, attributes={**WORLD.attributes, "payment": payment})
    reward = fit.linear.of(fit.params).copy()
    reward[:, 1] += fit["payment"]
    found = solved(dearer, reward)
    here = WORLD.start
    for period in range(3):
        shares = here @ found.policy
        told = [float(answer.of().after[action].value[period]) for action in answer.actions]
        np.testing.assert_allclose(told, shares, atol=1e-10)
        here = here @ WORLD.process.under(found.policy)
    change = answer.of().difference["monthly"]
    assert change.value[0] < 0
    assert (change.low <= change.value).all()
    assert (change.value <= change.high).all()


def test_surplus_is_the_difference_of_values_in_money(fit) -> None:
    answer = over_time(fit, "trouble *= 0", periods=1, start=WORLD.start, money="payment", options=FEW)
    reward = fit.reward - fit["trouble"] * WORLD.attributes["trouble"]
    gain = WORLD.start @ (solved(WORLD.process, reward).value - solved(WORLD.process, fit.reward).value)
    assert answer.of().surplus.value == pytest.approx(-gain / fit["payment"], rel=1e-9)
    assert answer.unit == "money"


def test_simulated_members_do_what_is_expected() -> None:
    policy = WORLD.solution.policy
    rng = np.random.default_rng(0)
    start = rng.choice(WORLD.space.n_states, 60_000, p=WORLD.start)
    counts = Members(WORLD.process, policy, start, 1).counts(12) / len(start)
    begin = np.bincount(start, minlength=WORLD.space.n_states)[None] / len(start)
    paths = expected_paths(WORLD.process, policy, begin, 12, np.zeros_like(policy), None)
    np.testing.assert_allclose(counts.sum(axis=1), paths.actions[:, 0], atol=0.01)
    np.testing.assert_allclose(counts.sum(axis=2), paths.states[:, 0], atol=0.006)


def test_members_have_the_same_luck_in_both_worlds_and_any_company() -> None:
    policy = WORLD.solution.policy
    start = np.zeros(1_000, dtype=np.int64)
    alone = [(state.copy(), action) for state, action in Members(WORLD.process, policy, start[:10], 5).walk(4)]
    along = [(state.copy(), action) for state, action in Members(WORLD.process, policy, start, 5).walk(4)]
    for (state, action), (others, acts) in zip(alone, along, strict=True):
        assert np.array_equal(state, others[:10])
        assert np.array_equal(action, acts[:10])


def test_who_left_stays_counted_as_gone(fit) -> None:
    answer = over_time(fit, periods=8, start=WORLD.start, leaving="none", options=OverTimeOptions(draws=0))
    stayed = answer.of().before["stayed"].value
    assert (np.diff(stayed) <= 0).all()
    assert stayed[0] == pytest.approx(1 - answer.of().before["none"].value[0])


def test_segments_and_everyone(fit) -> None:
    heavy = WORLD.space.column("heavy")
    start = {"light": 300 * WORLD.start * (heavy == 0), "heavy": 100 * WORLD.start * (heavy == 1)}
    answer = over_time(fit, "payment += 1", periods=4, start=start, options=FEW)
    whole, light, one = (answer.of(name).after["monthly"].value for name in ("all", "light", "heavy"))
    np.testing.assert_allclose(whole, 0.75 * light + 0.25 * one)
    assert "segment" in [column.heading for column in answer.table().columns]
    assert len(answer.path("heavy").rows) == 4


def test_easier_cancelling_needs_to_say_where_it_leads(fit) -> None:
    free = [WORLD.process.transitions[0].toarray(), *(matrix.toarray() for matrix in WORLD.process.transitions[1:])]
    left = WORLD.space.column("left")
    outside = {label: place for place, label in enumerate(WORLD.space.label(s) for s in range(WORLD.space.n_states))}
    for state in np.flatnonzero(left > 0):
        label = WORLD.space.label(int(state)).replace(f"left {left[state]}", "left 0.0")
        free[2][state] = free[2][outside[label]]
    open_ = WORLD.available.copy()
    open_[:, 2] = True
    process = DecisionProcess.of(
        WORLD.space,
        dict(zip(WORLD.process.actions, free, strict=True)),
        WORLD.discount,
        available=open_,
        attributes=WORLD.attributes,
    )
    answer = over_time(fit, periods=12, start=WORLD.start, process=process, options=FEW)
    assert answer.changes == ("another process",)
    assert answer.of().surplus.value > 0
    assert answer.of().difference["annual"].value[1] != 0


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        (("add weekly like monthly: payment = 3",), {}, "no action of the process"),
        ((), {"start": np.zeros(432)}, "above in each segment"),
        ((), {"start": np.ones(5)}, "each of the 432 states"),
        ((), {"money": "use"}, "must be below zero"),
        ((), {"money": "price"}, "no parameter 'price'"),
        ((), {"leaving": "nobody"}, "no action 'nobody'"),
        ((), {"paid": "alternative"}, "is a label"),
        (("available = 0",), {}, "nothing left to choose"),
        ((), {"periods": 0}, "at least 1"),
        ((), {"discount": 1.0}, "no value without end"),
    ],
)
def test_what_cannot_be_asked(fit, changes, more, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        over_time(fit, *changes, options=FEW, **({"periods": 3} | more))


def test_states_that_nobody_was_seen_in_are_told_of(fit) -> None:
    few = NestedPseudoLikelihood(REWARD).fit(WORLD.panel(30, 8, 2), WORLD.process)
    answer = over_time(few, "payment[alternative == 'annual'] *= 0.2", periods=12, options=FEW)
    assert any("nobody was ever seen in" in told for told in answer.warnings)
    idle = over_time(fit, "payment[alternative == 'monthly' and price > 99] = 0", periods=2, options=FEW)
    assert any("touches nothing" in told for told in idle.warnings)

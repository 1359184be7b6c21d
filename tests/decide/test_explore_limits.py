"""Limits on propensities, and what explorers refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.decide.explore import Explorer, Greedy, Limits, Thompson, TopTwo, UpperConfidence, rule_named
from revealed.decide.explore.propensity import drawn
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.full import FullPosterior


@st.composite
def limited(draw: Any) -> tuple[np.ndarray, np.ndarray, Limits]:
    """Return probabilities, eligibility and limits."""
    actions = draw(st.integers(1, 7))
    eligible = np.array(draw(st.lists(st.booleans(), min_size=actions, max_size=actions)))
    eligible[draw(st.integers(0, actions - 1))] = True
    weights = np.array(draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=actions, max_size=actions)))
    weights = np.where(eligible, weights, 0.0)
    weights = weights if weights.sum() else eligible.astype(float)
    floor = draw(st.sampled_from([0.0, 0.01, 0.1, 0.3]))
    return weights / weights.sum(), eligible, Limits(floor, draw(st.sampled_from([0.3, 0.5, 0.9, 1.0])))


@given(limited())
def test_limits_hold_and_move_as_little_as_they_can(case: tuple[np.ndarray, np.ndarray, Limits]) -> None:
    before, eligible, limits = case
    after = limits.applied(before[None], eligible[None])[0]
    even = 1 / eligible.sum()
    low, high = min(limits.floor, even), max(limits.cap, even)
    assert after.sum() == pytest.approx(1, abs=1e-12)
    assert (after[~eligible] == 0).all()
    assert (after[eligible] >= low - 1e-12).all()
    assert (after[eligible] <= high + 1e-12).all()
    # Any other that obeys is farther: a projection makes an obtuse angle with all that is allowed.
    others = (
        np.where(eligible, np.random.default_rng(0).dirichlet(np.full(len(before), 0.5), 20), 0.0) + eligible * 1e-9
    )
    others = limits.applied(others / others.sum(axis=1, keepdims=True), np.repeat(eligible[None], 20, axis=0))
    assert ((others - after) @ (before - after) <= 1e-9).all()


def test_limits_by_hand() -> None:
    """The cap takes .3 from the first, and the others share it evenly: .4 = .1 + 4 · .075."""
    before = np.array([[0.9, 0.1, 0.0, 0.0, 0.0]])
    after = Limits(0.05, 0.6).applied(before, np.ones((1, 5), bool))[0]
    np.testing.assert_allclose(after, [0.6, 0.175, 0.075, 0.075, 0.075], atol=1e-15)


def test_limits_that_cannot_be_become_the_nearest_that_can() -> None:
    one, two = np.array([[True, False, False]]), np.array([[True, True, False]])
    chances = np.array([[1.0, 0.0, 0.0]])
    assert Limits(0, 0.4).applied(chances, one).tolist() == [[1, 0, 0]]
    np.testing.assert_allclose(Limits(0, 0.4).applied(chances, two), [[0.5, 0.5, 0]])
    np.testing.assert_allclose(Limits(0.5, 0.9).applied(chances, np.ones((1, 3), bool)), [[1 / 3, 1 / 3, 1 / 3]])


def test_lots_never_fall_on_what_cannot_be() -> None:
    chances = np.array([[0.0, 0.5, 0.0, 0.5, 0.0]])
    edges = np.array([0.0, 0.25, np.nextafter(0.5, 0), 0.5, np.nextafter(1, 0)])
    assert drawn(np.repeat(chances, 5, axis=0), edges).tolist() == [1, 1, 1, 3, 3]


# ---- refusals -------------------------------------------------------------------------------------------------------

POSTERIOR = FullPosterior.independent(np.zeros(2), np.ones(2))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", [Thompson(), Greedy(), UpperConfidence(), TopTwo()])
def test_features_that_are_not_finite_are_refused(rule: Any, odd: float) -> None:
    features = np.ones((3, 2, 2))
    features[1, 1, 0] = odd
    explorer = Explorer(rule)
    for refused in (
        lambda: explorer.pick_many(POSTERIOR, features, np.arange(3)),
        lambda: explorer.choose_many(POSTERIOR, features, np.arange(3)),
    ):
        with pytest.raises(DataError, match="not finite numbers.*candidate 1 of decision 1"):
            refused()
    for ask in (explorer.pick, explorer.choose, explorer.probabilities):
        with pytest.raises(DataError, match="not finite numbers.*candidate 1 of decision 0"):
            ask(POSTERIOR, features[1], 0)
    # Not eligible is not an excuse: what cannot be read is said.
    with pytest.raises(DataError, match="not finite"):
        explorer.pick(POSTERIOR, features[1], 0, np.array([True, False]))


def test_nothing_eligible() -> None:
    explorer, none = Explorer(), np.zeros(2, dtype=bool)
    for ask in (explorer.pick, explorer.choose, explorer.probabilities):
        with pytest.raises(DataError, match="nothing is eligible"):
            ask(POSTERIOR, np.eye(2), 0, none)
        with pytest.raises(DataError, match="nothing is eligible"):
            ask(POSTERIOR, np.empty((0, 2)), 0)
    eligible = np.array([[True, True], [False, False]])
    with pytest.raises(DataError, match="nothing is eligible.*decision 1 of these"):
        explorer.choose_many(POSTERIOR, np.ones((2, 2, 2)), np.arange(2), eligible)


def test_no_decisions_at_all() -> None:
    chosen = Explorer().choose_many(POSTERIOR, np.empty((0, 3, 2)), np.empty(0, dtype=np.int64))
    assert len(chosen.actions) == len(chosen.propensities) == 0


def test_what_does_not_fit() -> None:
    explorer = Explorer()
    with pytest.raises(SpecificationError, match="candidates of 3 features for a posterior of 2 parameters"):
        explorer.pick(POSTERIOR, np.ones((2, 3)), 0)
    with pytest.raises(SpecificationError, match="numbered from 0, not -1"):
        explorer.pick(POSTERIOR, np.eye(2), -1)
    with pytest.raises(SpecificationError, match="numbered from 0, not -1"):
        explorer.pick_many(POSTERIOR, np.ones((1, 2, 2)), np.array([-1]))
    with pytest.raises(SpecificationError, match="beyond 1e154"):
        explorer.pick(FullPosterior.independent(np.full(2, 1e100), np.ones(2)), np.eye(2) * 1e100, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Thompson(0.0), "Greedy"),
        (lambda: Thompson(float("nan")), "width must be"),
        (lambda: TopTwo(beta=0.0), "beta must be"),
        (lambda: rule_named("epsilon_greedy", epsilon=1.5), "epsilon must be between 0 and 1"),
        (lambda: rule_named("tompson"), "did you mean 'thompson'"),
        (lambda: rule_named("thompson", widht=1.0), "did you mean 'width'"),
        (lambda: Limits(0.5, 0.4), "floor <= cap"),
        (lambda: Limits(float("nan")), "floor <= cap"),
        (lambda: Explorer(seed=-1), "seed must be"),
        (lambda: Explorer(pool=0), "at least one draw"),
    ],
)
def test_options_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        make()


def test_a_floor_that_leaves_all_to_chance_is_told() -> None:
    assert Limits(0.01).warnings(49) == Limits(0.01).warnings(1) == Limits(0.6).warnings(1) == ()
    (half,) = Limits(0.01).warnings(50)
    assert half.startswith("a floor of 0.01 for each of 50 actions leaves 50% of decisions to chance")
    (every,) = Limits(0.01).warnings(120)
    assert "leaves 100% of decisions to chance" in every
    assert every.endswith("a floor of 0.0008 would leave a tenth")

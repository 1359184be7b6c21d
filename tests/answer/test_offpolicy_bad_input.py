"""Off-policy evaluation under hostile input: each a clear error, a refusal with reasons, or a stated number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from revealed.answer.offpolicy import (
    Bootstrap,
    Clipped,
    DirectMethod,
    DoublyRobust,
    EmpiricalBernstein,
    Estimator,
    Interval,
    InversePropensity,
    Limits,
    Normal,
    Shrunk,
    SlateCascade,
    SlateIndependent,
    SlateStandard,
    Switched,
    Tuned,
    compare_policies,
    evaluate,
    evaluate_each,
    evaluate_slates,
)
from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import DataError, SpecificationError

NO_LIMITS = Limits(least_effective=0, most_never_logged=1, least_p_value=0)
SAME = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
POLICY = {"a": 0.5, "b": 0.3, "c": 0.2}
ALL: tuple[Estimator | Tuned, ...] = (
    InversePropensity(),
    InversePropensity(normalised=True),
    InversePropensity(Clipped(2.0)),
    DirectMethod(),
    DoublyRobust(),
    DoublyRobust(normalised=True),
    DoublyRobust(Switched(1.0)),
    DoublyRobust(Shrunk(1.0)),
    Tuned(DoublyRobust(), Switched),
    Tuned(InversePropensity(normalised=True), Switched),
)
INTERVALS = [Normal(), Bootstrap(draws=100), EmpiricalBernstein(largest_weight=3.0)]


def table(n_rows: int = 200, **columns: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    cells = {
        "decision": np.arange(n_rows),
        "action": np.array(["a", "b", "c"])[rng.integers(0, 3, n_rows)],
        "reward": (rng.random(n_rows) < 0.4).astype(float),
        "propensity": np.full(n_rows, 1 / 3),
    }
    return {**cells, **columns}


def shown(n_rows: int = 200, **columns: Any) -> Feedback:
    return read_feedback(table(n_rows, **columns), actions=["a", "b", "c"])


@pytest.mark.parametrize(
    ("propensity", "said"),
    [
        (0.0, "propensities outside of (0, 1]: 0.0"),
        (1.5, "propensities outside of (0, 1]: 1.5"),
        (-1.0, "propensities outside of (0, 1]: -1.0"),
        (np.inf, "propensities outside of (0, 1]: inf"),
        (np.nan, "rows without propensity"),
    ],
)
def test_what_is_no_propensity_is_refused_at_the_door(propensity: float, said: str) -> None:
    column = np.full(200, 1 / 3)
    column[5] = propensity
    with pytest.raises(DataError) as caught:
        shown(propensity=column)
    assert said in str(caught.value)
    assert "row 6" in str(caught.value)


@pytest.mark.parametrize("propensity", [1e-320, 1e-200])
def test_a_propensity_next_to_zero_is_refused_with_its_weight(propensity: float) -> None:
    column = np.full(200, 1 / 3)
    column[np.flatnonzero(shown().action_codes == 0)[0]] = propensity
    for policy in (POLICY, np.full(200, 0.5)):
        with pytest.raises(SpecificationError, match="its propensity is next to zero"):
            evaluate(shown(propensity=column), policy, InversePropensity(), limits=NO_LIMITS)


def test_propensities_of_one() -> None:
    """True where one action was all there was; refused where others were shown."""
    alone = evaluate_each(shown(action=np.full(200, "a"), propensity=np.ones(200)), {"a": 1.0}, ALL)
    mean = table()["reward"].mean()
    assert [value.value for value in alone.values] == pytest.approx([mean] * len(ALL), abs=0.01)
    wrong = evaluate_each(shown(propensity=np.ones(200)), POLICY, ALL)
    for value, estimator in zip(wrong.values, ALL, strict=True):
        assert bool(value.refused) == estimator.uses_weights
        assert not value.refused or "the mean weight is" in value.refused[0]


@pytest.mark.parametrize("interval", INTERVALS, ids=lambda interval: str(interval.name))
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.37])
def test_all_rewards_equal(reward: float, interval: Interval) -> None:
    """A mean of weights times the reward; exactly the reward where values are normalised or a model knows it."""
    found = evaluate_each(shown(reward=np.full(200, reward)), POLICY, ALL, interval=interval)
    for value, estimator in zip(found.values, ALL, strict=True):
        assert not value.refused
        if isinstance(estimator, InversePropensity) and not estimator.normalised:
            assert value.value == pytest.approx(reward * value.overlap.mean_weight)
        else:
            assert value.value == pytest.approx(reward, abs=1e-6)
            assert value.standard_error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("interval", INTERVALS, ids=lambda interval: str(interval.name))
@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_rows(n_rows: int, interval: Interval) -> None:
    """Refused by default, before a model is fitted; without limits a value, and an interval from two rows on."""
    feedback = shown(n_rows)
    refused = evaluate(feedback, SAME, interval=interval)
    assert any(f"an effective sample of {n_rows}.0 rows out of {n_rows}" in reason for reason in refused.refused)
    compared = compare_policies(feedback, {"new": SAME}, interval=interval)
    assert compared.selected == "logged"
    found = evaluate_each(feedback, SAME, ALL, interval=interval, limits=NO_LIMITS, rewards=np.zeros(3))
    mean = feedback.reward.mean()
    unchanged = [value.value for value in found.values[:7]]  # weights of one stay one, but where they are shrunk
    assert unchanged == pytest.approx([mean, mean, mean, 0.0, mean, mean, mean])
    for value in found.values:
        if n_rows == 1:
            assert np.isnan(value.low)
            assert any("no interval" in text for text in value.warnings)
        json.dumps(value.to_dict(), allow_nan=False)
    with pytest.raises(SpecificationError, match=r"sum to 2\.7, not 1"):  # one row of a matrix is checked too
        evaluate(feedback, np.full((n_rows, 3), 0.9))


@pytest.mark.parametrize("interval", INTERVALS, ids=lambda interval: str(interval.name))
def test_a_policy_that_never_shows_what_was_shown(interval: Interval) -> None:
    """No value of a ratio with nothing below the line, whatever the limits; no warning of numpy's either."""
    feedback = read_feedback(table(), actions=["z"])
    found = evaluate_each(feedback, {"z": 1.0}, ALL, interval=interval, limits=NO_LIMITS)
    for value, estimator in zip(found.values, ALL, strict=True):
        ratio = estimator.estimator if isinstance(estimator, Tuned) else estimator
        if getattr(ratio, "normalised", False):
            assert value.refused == (
                "no weight is left: every row is one that the policy never shows, or whose weight was switched off",
            )
        else:
            assert not value.refused
            assert any("100.00% of what the policy would show was never shown" in text for text in value.warnings)


def test_all_weights_switched_off() -> None:
    found = evaluate(shown(), POLICY, InversePropensity(Switched(1e-9), normalised=True))
    assert "no weight is left" in found.refused[0]


@pytest.mark.parametrize("reward", [1e200, 1e308, -1e308])
@pytest.mark.parametrize("interval", [Normal(), Bootstrap(draws=100)], ids=lambda interval: str(interval.name))
def test_rewards_beyond_all_bounds(reward: float, interval: Interval) -> None:
    column = np.zeros(200)
    column[3] = reward
    for estimators in (ALL[:4], ALL):
        with pytest.raises(SpecificationError, match="measure rewards in larger units"):
            evaluate_each(shown(reward=column), POLICY, estimators, interval=interval)


class Wrong:
    """A policy that answers what it likes."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def probabilities(self, feedback: Feedback) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (np.where(np.arange(600).reshape(200, 3) == 301, np.inf, 1 / 3), "row 100 (from 0) sum to inf"),
        (np.where(np.arange(600).reshape(200, 3) % 3 == 0, np.inf, -np.inf), "row 0 (from 0) sum to nan"),
        (np.tile([1.0, -1 / 3, 1 / 3], (200, 1)), "200 probabilities of the policy lie outside of [0, 1]"),
        (np.tile([1.0, -1 / 3, 1 / 3], (200, 1)), "the first, at 0, 1, is -0.333"),
        (np.full((200, 3), 1 / 3).astype(object), "not ndarray"),
        (Wrong([[1 / 3] * 3] * 200), "not list"),
        (Wrong(None), "not NoneType"),
        ({"b": 0.5, "a": "x"}, "the probabilities of the policy are numbers, not 'x'"),
        ({"b": 0.5, "a": None}, "the probabilities of the policy are numbers, not None"),
        ({"a": float("nan"), "b": 0.5}, "lie outside of [0, 1]; the first, at 0, is nan"),
    ],
)  # fmt: skip
def test_what_is_no_policy(policy: Any, said: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        evaluate(shown(), policy)
    assert said in str(caught.value)


def test_policies_of_other_kinds_of_numbers() -> None:
    """Single precision, columns first, zeros and ones, actions that are numbers."""
    each = np.tile([0.5, 0.3, 0.2], (200, 1))
    wanted = evaluate(shown(), each)
    assert evaluate(shown(), np.asfortranarray(each)).value == wanted.value
    assert evaluate(shown(), each.astype(np.float32)).value == pytest.approx(wanted.value, rel=1e-6)
    thirds = evaluate(shown(), np.full((200, 3), 1 / 3, np.float32))
    assert not thirds.refused  # the mean weight is one but for rounding
    sure = np.eye(3, dtype=bool)[np.arange(200) % 3]
    assert evaluate(shown(), sure).value == evaluate(shown(), sure.astype(float)).value
    numbered = read_feedback(table(action=shown().action_codes + 1))
    assert evaluate(numbered, {1: 0.5, 2: 0.3, 3: 0.2}).value == pytest.approx(wanted.value)


def test_rows_are_named_as_they_were_given_where_answers_lack() -> None:
    late = shown(reward=[None, 1.0] * 100)
    each = np.full((200, 3), 1 / 3)
    each[101] = 0.9
    with pytest.raises(SpecificationError, match=r"row 101 \(from 0\) sum to 2\.7"):
        evaluate(late, each)
    alone = np.full(200, 0.5)
    alone[151] = 1.5
    with pytest.raises(SpecificationError, match=r"the first, at 151, is 1\.5"):
        evaluate(late, alone)
    each[101] = 1 / 3
    assert evaluate(late, each).value == evaluate(late, each[::2]).value  # of the answered rows alone will do


def test_rewards_that_are_none() -> None:
    cases: list[tuple[Any, str]] = [
        (np.where(np.arange(3) == 2, np.inf, np.zeros((200, 3))), "not finite"),
        (np.array([0, 0, np.inf]), "not finite"),
        (np.array(["a", "b", "c"]), "expected rewards are numbers, not <U1"),
        (lambda _: 3, "expected rewards have shape int"),
    ]
    for rewards, said in cases:
        with pytest.raises(SpecificationError, match=said):
            evaluate(shown(), {"a": 1.0}, rewards=rewards)


def test_a_bound_on_weights_that_does_not_hold() -> None:
    with pytest.raises(SpecificationError, match=r"weight 1\.5, beyond largest_weight=1\.2"):
        evaluate(shown(), POLICY, InversePropensity(), interval=EmpiricalBernstein(largest_weight=1.2))


def test_slates() -> None:
    def page(n_slates: int = 40, **columns: Any) -> Feedback:
        cells = {
            "decision": np.repeat(np.arange(n_slates), 2),
            "position": np.tile([1, 2], n_slates),
            "action": np.tile(["a", "b"], n_slates),
            "reward": np.tile([1.0, 0.0, 0.0, 0.0], n_slates // 2),
            "propensity": np.tile([0.5, 1.0], n_slates),
        }
        return read_feedback({**cells, **columns}, position="position")

    half, each = np.full(80, 0.5), np.full((80, 2), 0.5)
    with pytest.raises(
        SpecificationError, match=r"each probability is 0 or more and at most 1; row 0 \(from 0\) has nan"
    ):
        evaluate_slates(page(), np.full(80, np.nan), SlateIndependent())
    with pytest.raises(SpecificationError, match="its propensity is next to zero"):
        evaluate_slates(page(propensity=np.full(80, 1e-310)), half, SlateIndependent())
    with pytest.raises(SpecificationError, match="measure rewards in larger units"):
        evaluate_slates(page(reward=np.full(80, 1e200)), half, SlateStandard())
    with pytest.raises(SpecificationError, match="measure rewards in larger units"):
        SlateCascade.of(page(reward=np.full(80, 1e300)), each)
    with pytest.raises(SpecificationError, match="made for a log of 80 rows, not of 100"):
        evaluate_slates(page(50), np.tile([0.5, 1.0], 50), SlateCascade.of(page(), each))
    with pytest.raises(SpecificationError, match="do not sum to 1 on every row"):
        SlateCascade.of(page(), np.tile([np.inf, -np.inf], (80, 1)))
    never = evaluate_slates(page(), np.zeros(80), SlateIndependent())
    assert "effective sample of 0.0 rows" in never.refused[0]
    same = evaluate_slates(
        page(reward=np.ones(80)), np.tile([0.5, 1.0], 40), SlateCascade.of(page(reward=np.ones(80)), each)
    )
    assert (same.value, same.standard_error) == pytest.approx((2.0, 0.0), abs=1e-6)

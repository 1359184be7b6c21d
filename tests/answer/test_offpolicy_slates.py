"""Policies of slates: the values of the Open Bandit Pipeline, truth by enumeration, refusals."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import numpy as np
import pytest

from revealed.answer.offpolicy import (
    Bootstrap,
    DoublyRobust,
    EmpiricalBernstein,
    Interval,
    Limits,
    PolicyComparison,
    RidgeRewards,
    SlateCascade,
    SlateEstimator,
    SlateIndependent,
    SlateRewardInteraction,
    SlateStandard,
    compare_slates,
    evaluate,
    evaluate_slates,
    prefix_probability,
    slate_probability,
)
from revealed.answer.offpolicy.slate_order import Slates
from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import DataError, SpecificationError

#: What obp 0.4.1 (cascade doubly robust: 0.5.7) printed for the slates of ``fixed``.
OBP = {
    "standard": "3.517818181818183",
    "independent": "2.261090909090909",
    "reward interaction": "3.312727272727273",
    "cascade": "2.394440656313384",
}

NO_LIMITS = Limits(least_effective=0, most_never_logged=1, least_p_value=0)


def fixed() -> tuple[Feedback, np.ndarray, np.ndarray, np.ndarray]:
    """Return 50 slates of 3 by formulas, with conditional probabilities of two policies, and the row numbers."""
    row = np.arange(150)
    slate, place = row // 3, row % 3
    logged = 0.1 + 0.15 * ((3 * row + slate) % 5)
    table = {
        "decision": slate,
        "action": (slate * 3 + place * 2 + slate // 7) % 4,
        "reward": ((row * row + 3 * row) % 5 == 0).astype(float),
        "propensity": logged,
        "position": place,
    }
    return read_feedback(table, position="position"), logged, 0.05 + 0.2 * ((2 * row + slate) % 4), row


def test_values_of_the_open_bandit_pipeline() -> None:
    feedback, logged, policy, row = fixed()
    rewards = 0.1 * ((row[:, None] + 2 * np.arange(4)) % 7)
    each = 1.0 + (row[:, None] * 3 + np.arange(4)) % 5
    each /= each.sum(axis=1, keepdims=True)
    prefix = prefix_probability(feedback, policy), prefix_probability(feedback, logged)
    whole = slate_probability(feedback, policy), slate_probability(feedback, logged)
    cases: dict[str, tuple[SlateEstimator, np.ndarray, np.ndarray]] = {
        "standard": (SlateStandard(), *whole),
        "independent": (SlateIndependent(), policy, logged),
        "reward interaction": (SlateRewardInteraction(), *prefix),
        "cascade": (SlateCascade.of(feedback, each, rewards), *prefix),
    }
    for name, (estimator, probability, propensity) in cases.items():
        found = evaluate_slates(feedback, probability, estimator, propensity=propensity, limits=NO_LIMITS)
        assert found.value == pytest.approx(float(OBP[name]), rel=1e-12), name
        shuffled = np.random.default_rng(0).permutation(150)
        if not isinstance(estimator, SlateCascade):
            again = evaluate_slates(
                feedback.take(shuffled),
                probability[shuffled],
                estimator,
                propensity=propensity[shuffled],
                limits=NO_LIMITS,
            )
            assert again.value == pytest.approx(found.value)


# ---- a cascade world whose truth is enumerated ---------------------------------------------------------------------

LOGGING = np.array([0.2, 0.3, 0.5])
POLICY = np.array([0.5, 0.3, 0.2])
APPEAL = np.array([0.7, 0.4, 0.2])


def conditional(weight: np.ndarray, shown: tuple[int, ...]) -> list[float]:
    """Return the probability of each item given those above, drawn without replacement (Plackett and Luce)."""
    return [float(weight[item] / (weight.sum() - weight[list(shown[:k])].sum())) for k, item in enumerate(shown)]


def click(shown: tuple[int, ...], place: int) -> float:
    """Return the chance of a click: appeal, less if what stands above appeals."""
    return float(APPEAL[shown[place]] * np.prod(1 - 0.5 * APPEAL[list(shown[:place])]))


def true_value() -> float:
    slates = permutations(range(3), 2)
    return sum(float(np.prod(conditional(POLICY, s))) * (click(s, 0) + click(s, 1)) for s in slates)


@cache
def cascade_world(n_slates: int, seed: int) -> tuple[Feedback, np.ndarray, np.ndarray]:
    """Return feedback on slates of two, and what the policy would have shown of each action, given what is above."""
    rng = np.random.default_rng(seed)
    slates = list(permutations(range(3), 2))
    chances = [float(np.prod(conditional(LOGGING, s))) for s in slates]
    drawn = [slates[i] for i in rng.choice(len(slates), n_slates, p=chances)]
    action = np.array(drawn).ravel()
    clicked = rng.random(2 * n_slates) < np.array([[click(s, 0), click(s, 1)] for s in drawn]).ravel()
    table = {
        "decision": np.repeat(np.arange(n_slates), 2),
        "action": np.array(["a", "b", "c"])[action],
        "reward": clicked.astype(float),
        "propensity": np.array([conditional(LOGGING, s) for s in drawn]).ravel(),
        "position": np.tile([1, 2], n_slates),
    }
    each = np.tile(POLICY, (2 * n_slates, 1))
    each[np.arange(1, 2 * n_slates, 2), action[::2]] = 0.0
    each /= each.sum(axis=1, keepdims=True)
    return read_feedback(table, position="position"), each, np.array(drawn)


NAMES = ["standard", "reward interaction", "cascade", "cascade, default model"]


def estimator_of(name: str, feedback: Feedback, each: np.ndarray) -> SlateEstimator:
    if name == "cascade":
        return SlateCascade.of(feedback, each, np.tile(APPEAL * 0.8, (feedback.n_rows, 1)))
    if name == "cascade, default model":
        return SlateCascade.of(feedback, each)
    return SlateStandard() if name == "standard" else SlateRewardInteraction()


@pytest.mark.parametrize("name", NAMES)
def test_unbiased_where_people_read_from_the_top(name: str) -> None:
    values, errors, inside = [], [], 0
    for seed in range(60):
        feedback, each, _ = cascade_world(300, seed)
        policy = each[np.arange(600), feedback.action_codes]
        of = slate_probability if name == "standard" else prefix_probability
        found = evaluate_slates(
            feedback,
            of(feedback, policy),
            estimator_of(name, feedback, each),
            propensity=of(feedback, feedback.propensity),
        )
        values.append(found.value)
        errors.append(found.standard_error)
        inside += found.low <= true_value() <= found.high
    assert abs(np.mean(values) - true_value()) < 3 * np.std(values) / np.sqrt(60)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.3)
    assert inside >= 51  # of 60 at 95%


def test_each_assumption_more_gives_a_smaller_error() -> None:
    feedback, each, _ = cascade_world(2000, 1)
    policy = each[np.arange(4000), feedback.action_codes]
    errors = []
    for name in NAMES:
        estimator = estimator_of(name, feedback, each)
        of = slate_probability if name == "standard" else prefix_probability
        propensity = of(feedback, feedback.propensity)
        errors.append(evaluate_slates(feedback, of(feedback, policy), estimator, propensity=propensity).standard_error)
    assert errors[0] > errors[1] > 1.2 * max(errors[2:])


def test_default_model_recovers_the_reward_from_each_place_down() -> None:
    """The regressions of this world are saturated, so what they foretell goes to the truth."""
    feedback, each, _ = cascade_world(20_000, 3)
    found = SlateCascade.of(feedback, each)
    action = feedback.action_codes.reshape(-1, 2)
    foretold, expected = found.foretold.reshape(-1, 2), found.expected.reshape(-1, 2)
    for top in range(3):
        rest = [item for item in range(3) if item != top]
        share = POLICY[rest] / POLICY[rest].sum()
        below = float(sum(p * click((top, item), 1) for p, item in zip(share, rest, strict=True)))
        seen = action[:, 0] == top
        assert foretold[seen, 0].mean() == pytest.approx(click((top,), 0) + below, abs=0.02)
        assert expected[seen, 1].mean() == pytest.approx(below, abs=0.02)
        for item in rest:
            assert foretold[seen & (action[:, 1] == item), 1].mean() == pytest.approx(click((top, item), 1), abs=0.02)
    assert expected[:, 0].mean() == pytest.approx(true_value(), abs=0.01)


def test_default_model_of_single_things_is_doubly_robust() -> None:
    """Slates of one item are no slates: value and error are those of doubly robust with the same ridge regression."""
    rng = np.random.default_rng(4)
    action = rng.integers(0, 3, 500)
    table = {
        "decision": np.arange(500),
        "action": np.array(["a", "b", "c"])[action],
        "reward": (rng.random(500) < APPEAL[action]).astype(float),
        "propensity": np.full(500, 1 / 3),
        "position": np.ones(500, int),
        "mood": rng.normal(size=500),
    }
    feedback = read_feedback(table, position="position")
    each = np.tile(POLICY, (500, 1))
    model = RidgeRewards(context=("mood",), penalty=3.0, folds=4, seed=5)
    slates = evaluate_slates(feedback, POLICY[action], SlateCascade.of(feedback, each, model))
    single = evaluate(feedback, each, DoublyRobust(), rewards=model)
    assert slates.value == pytest.approx(single.value, rel=1e-9)
    assert slates.standard_error == pytest.approx(single.standard_error, rel=1e-9)


def ragged(seed: int, n_slates: int = 40) -> tuple[Feedback, np.ndarray]:
    """Return shuffled slates of one to four items, two of each person's, and a policy's probabilities."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n_slates)
    slate = np.repeat(np.arange(n_slates), sizes)
    table = {
        "decision": slate,
        "person": slate // 2,
        "action": rng.choice(["a", "b", "c"], len(slate)),
        "reward": rng.random(len(slate)),
        "propensity": np.full(len(slate), 1 / 3),
        "position": np.concatenate([np.arange(size) for size in sizes]),
    }
    shuffled = rng.permutation(len(slate))
    feedback = read_feedback(
        {name: np.asarray(cells)[shuffled] for name, cells in table.items()}, position="position", person="person"
    )
    return feedback, rng.dirichlet(np.ones(3), len(slate))


def test_rows_in_the_order_of_slates_against_a_loop() -> None:
    feedback, _ = ragged(6)
    slates = Slates.of(feedback)
    decision, position = feedback.decision_codes, feedback.position
    for at, row in enumerate(slates.order):
        own = position[decision == decision[row]]
        assert slates.place[at] == (own < position[row]).sum()
        assert slates.left[at] == (own >= position[row]).sum()


def test_no_person_foretells_its_own_rewards() -> None:
    """Other rewards of one person change what is foretold of others, never what is foretold of that person."""
    feedback, each = ragged(7)
    before = SlateCascade.of(feedback, each)
    own = feedback.person_codes == 3
    rewards = np.where(own, 1.0 - feedback.reward, feedback.reward)
    column = feedback.table.column_names.index("reward")
    after = SlateCascade.of(
        Feedback.from_table(feedback.table.set_column(column, "reward", [rewards]), feedback.columns), each
    )
    np.testing.assert_allclose(after.foretold[own], before.foretold[own], atol=1e-12)
    np.testing.assert_allclose(after.expected[own], before.expected[own], atol=1e-12)
    assert not np.allclose(after.expected[~own], before.expected[~own])


def test_products_against_a_loop() -> None:
    feedback, logged, _, _ = fixed()
    prefix, whole = prefix_probability(feedback, logged), slate_probability(feedback, logged)
    for slate in range(50):
        own = logged[3 * slate : 3 * slate + 3]
        np.testing.assert_allclose(prefix[3 * slate : 3 * slate + 3], np.cumprod(own), rtol=1e-14)
        np.testing.assert_allclose(whole[3 * slate : 3 * slate + 3], np.prod(own), rtol=1e-14)


def test_intervals_of_slates() -> None:
    feedback, each, _ = cascade_world(500, 2)
    policy = each[np.arange(1000), feedback.action_codes]
    probability, propensity = prefix_probability(feedback, policy), prefix_probability(feedback, feedback.propensity)
    estimator = SlateRewardInteraction()

    normal = evaluate_slates(feedback, probability, estimator, propensity=propensity)
    drawn = evaluate_slates(feedback, probability, estimator, propensity=propensity, interval=Bootstrap(draws=1000))
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.15 * (normal.high - normal.low))
    bounded = EmpiricalBernstein(largest_weight=5.0)
    sure = evaluate_slates(feedback, probability, estimator, propensity=propensity, interval=bounded)
    assert sure.low < normal.low < normal.high < sure.high
    assert normal.n_persons == 500


def test_bad_slates() -> None:
    feedback, logged, policy, _ = fixed()
    with pytest.raises(SpecificationError, match="slates need the position"):
        evaluate_slates(
            read_feedback({"decision": [1], "action": ["a"], "reward": [0], "propensity": [1.0]}),
            np.ones(1),
            SlateStandard(),
        )
    with pytest.raises(
        SpecificationError, match=r"each probability is 0 or more and at most 1; row 0 \(from 0\) has 2"
    ):
        evaluate_slates(feedback, np.full(150, 2.0), SlateStandard())
    with pytest.raises(SpecificationError, match="each propensity is above 0"):
        evaluate_slates(feedback, policy, SlateStandard(), propensity=np.zeros(150))
    with pytest.raises(SpecificationError, match=r"probability has shape \(3,\), not \(150,\)"):
        evaluate_slates(feedback, policy[:3], SlateStandard())
    with pytest.raises(SpecificationError, match="do not sum to 1 on every row"):
        SlateCascade.of(feedback, np.full((150, 4), 0.3), np.zeros((150, 4)))
    with pytest.raises(SpecificationError, match="rewards foretold are not all finite"):
        SlateCascade.of(feedback, np.full((150, 4), 0.25), np.full((150, 4), np.nan))
    with pytest.raises(SpecificationError, match=r"each has shape \(150, 3\); give numbers of shape \(150, 4\)"):
        SlateCascade.of(feedback, np.full((150, 3), 0.25))
    with pytest.raises(SpecificationError, match="2 persons cannot be split into 3 folds"):
        SlateCascade.of(feedback.take(np.arange(6)), np.full((6, 4), 0.25))
    late = feedback.table.set_column(2, "reward", [[None, *feedback.reward.tolist()[1:]]])
    with pytest.raises(DataError, match=r"rows without an answer \[row 1\]"):
        evaluate_slates(Feedback.from_table(late, feedback.columns), policy, SlateIndependent())
    with pytest.raises(DataError, match=r"rows without an answer \[row 1\]"):
        SlateCascade.of(Feedback.from_table(late, feedback.columns), np.full((150, 4), 0.25))
    refused = evaluate_slates(feedback, policy, SlateIndependent(), propensity=logged, limits=Limits(1000))
    assert "effective sample" in refused.refused[0]
    assert np.isnan(refused.value)


# ---- beside the policy that was running ----------------------------------------------------------------------------


def logged_value() -> float:
    slates = permutations(range(3), 2)
    return sum(float(np.prod(conditional(LOGGING, s))) * (click(s, 0) + click(s, 1)) for s in slates)


def compared(n_slates: int, seed: int, interval: Interval | None = None) -> PolicyComparison:
    feedback, _, shown = cascade_world(n_slates, seed)
    own = np.array([conditional(POLICY, tuple(s)) for s in shown.tolist()]).ravel()
    would, did = prefix_probability(feedback, own), prefix_probability(feedback, feedback.propensity)
    return compare_slates(feedback, would, SlateRewardInteraction(), name="new", propensity=did, interval=interval)


def test_the_difference_to_what_was_running_covers_the_truth() -> None:
    truth = true_value() - logged_value()
    found = [compared(400, seed).difference("new") for seed in range(100)]
    inside = np.mean([one.low <= truth <= one.high for one in found])
    assert inside >= 0.88  # 95%, less three deviations of 100 tosses
    assert np.mean([one.value for one in found]) == pytest.approx(truth, abs=0.015)


def test_the_difference_is_paired_and_the_better_is_selected() -> None:
    answer = compared(4000, 1)
    feedback = cascade_world(4000, 1)[0]
    new, logged, over = answer["new"], answer["logged"], answer.difference("new")
    assert logged.value == pytest.approx(feedback.reward.sum() / 4000)
    assert over.value == pytest.approx(new.value - logged.value)
    assert answer.selected == "new"
    assert answer.table().rows[0][0] == "logged"
    bounded = compared(4000, 1, interval=EmpiricalBernstein(lowest=0, highest=1, largest_weight=20.0))
    assert bounded.difference("new").low < over.low  # for any sample, so wider


def test_a_policy_that_the_log_cannot_judge_has_no_difference() -> None:
    feedback = cascade_world(400, 0)[0]
    answer = compare_slates(feedback, np.zeros(800), SlateIndependent(), name="new")
    assert answer["new"].refused
    assert answer.selected == "logged"
    with pytest.raises(SpecificationError, match="no difference for 'new'"):
        answer.difference("new")

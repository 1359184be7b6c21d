"""Off-policy evaluation: the values of the Open Bandit Pipeline, identities, truth recovered, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.answer.offpolicy import (
    Bootstrap,
    Clipped,
    DirectMethod,
    DoublyRobust,
    ErrorBound,
    Estimator,
    InversePropensity,
    Limits,
    Logged,
    RidgeRewards,
    Shrunk,
    Slope,
    SubGaussian,
    Switched,
    Tuned,
    asked_once,
    compare_policies,
    evaluate,
    evaluate_each,
)
from revealed.answer.offpolicy.parts import Rounds
from revealed.answer.offpolicy.totals import BLOCK_ROWS
from revealed.choices.datasets import open_bandit
from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import SpecificationError

#: What obp printed with 15 decimals for the samples "all" it ships: 0.4.1, and for what 0.4.1 has not, 0.5.7 (its
#: sources run on Python 3.11). Policy: item a in place k (both from 0) with probability in proportion to
#: 1 + (7a + 3k) mod 11; expected reward 0.001 (1 + (5a + 2k) mod 9).
OBP = {
    "random": {
        InversePropensity(): "0.003500655345369",
        InversePropensity(normalised=True): "0.003503587050826",
        DirectMethod(): "0.004936003084350",
        DoublyRobust(): "0.003539912123063",
        DoublyRobust(normalised=True): "0.003538742934130",
        DoublyRobust(Switched(1.2)): "0.004187160218735",
        DoublyRobust(Shrunk(2.0)): "0.004160126094833",
        InversePropensity(Clipped(1.2)): "0.002957484672210",  # 0.5.7 from here
        InversePropensity(SubGaussian(0.1)): "0.003418815050055",
        DoublyRobust(Clipped(1.2)): "0.003663000218735",
        DoublyRobust(SubGaussian(0.1)): "0.003577667349510",
    },
    "bts": {
        InversePropensity(): "0.002619832705344",
        InversePropensity(normalised=True): "0.002580689300007",
        DirectMethod(): "0.004936249645574",
        DoublyRobust(): "0.002395572937337",
        DoublyRobust(normalised=True): "0.002433533658270",
        DoublyRobust(Switched(1.2)): "0.004870533182653",
        DoublyRobust(Shrunk(2.0)): "0.004697022213672",
        InversePropensity(Clipped(1.2)): "0.001312276152291",  # 0.5.7 from here
        InversePropensity(SubGaussian(0.1)): "0.001921304350015",
        DoublyRobust(Clipped(1.2)): "0.004454733182653",
        DoublyRobust(SubGaussian(0.1)): "0.003887680165261",
    },
}

#: From hardly any change to much, as obp sorts them: of equals the first is chosen.
GRID = (100.0, 20.0, 5.0, 2.0, 1.5, 1.0, 0.5)
STRENGTHS = (0.01, 0.1, 0.3, 0.6)

#: The same for settings that obp 0.5.7 tuned: log, estimator, rule, the settings, the one chosen, the value.
OBP_TUNED: list[tuple[str, InversePropensity | DoublyRobust, Any, tuple[float, ...], Any, float, str]] = [
    ("random", InversePropensity(), Clipped, GRID, Slope(), 1.0, "0.002696432040631"),
    ("random", InversePropensity(), Clipped, GRID, ErrorBound(), 100.0, "0.003500655345369"),
    ("random", DoublyRobust(), Switched, GRID, Slope(), 1.5, "0.003561906189832"),
    ("random", DoublyRobust(), Switched, GRID, ErrorBound(), 100.0, "0.003539912123063"),
    ("random", DoublyRobust(), Shrunk, GRID, Slope(), 0.5, "0.004592125244498"),
    ("random", DoublyRobust(), Shrunk, GRID, ErrorBound(), 100.0, "0.003563440614618"),
    ("random", DoublyRobust(), SubGaussian, STRENGTHS, Slope(), 0.6, "0.003721818235169"),
    ("random", DoublyRobust(), SubGaussian, STRENGTHS, ErrorBound(), 0.01, "0.003543864272660"),
    ("bts", InversePropensity(), Clipped, GRID, Slope(), 0.5, "0.000922294406201"),
    ("bts", InversePropensity(), Clipped, GRID, ErrorBound(), 100.0, "0.002619832705344"),
    ("bts", DoublyRobust(), Switched, GRID, Slope(), 1.0, "0.004771650894834"),
    ("bts", DoublyRobust(), Switched, GRID, ErrorBound(), 100.0, "0.003312439548532"),
    ("bts", DoublyRobust(), Shrunk, GRID, Slope(), 0.5, "0.004831321332266"),
    ("bts", DoublyRobust(), Shrunk, GRID, ErrorBound(), 100.0, "0.003900062205944"),
    ("bts", DoublyRobust(), SubGaussian, STRENGTHS, Slope(), 0.6, "0.004361669986659"),
    ("bts", DoublyRobust(), SubGaussian, STRENGTHS, ErrorBound(), 0.01, "0.003186998501325"),
]

#: No log is refused: values are compared with those of a library that never refuses.
NO_LIMITS = Limits(least_effective=0, most_never_logged=1, least_p_value=0)


@pytest.fixture(scope="module")
def shown() -> dict[str, Feedback]:
    return {log: Feedback.from_log(open_bandit(policy=log), position="position") for log in ("random", "bts")}


def obp_policy(feedback: Feedback) -> np.ndarray:
    item, place = np.arange(80)[:, None], np.arange(3)[None]
    weight = 1.0 + (7 * item + 3 * place) % 11
    return np.asarray((weight / weight.sum(axis=0)).T[feedback.position])


def obp_rewards(feedback: Feedback) -> np.ndarray:
    item, place = np.arange(80)[:, None], np.arange(3)[None]
    return np.asarray((0.001 * (1 + (5 * item + 2 * place) % 9)).T[feedback.position])


@pytest.mark.parametrize("log", ["random", "bts"])
def test_values_of_the_open_bandit_pipeline(log: str, shown: dict[str, Feedback]) -> None:
    feedback, estimators = shown[log], tuple(OBP[log])
    assert feedback.actions.labels == tuple(f"item_{i:02d}" for i in range(80))
    found = evaluate_each(feedback, obp_policy(feedback), estimators, rewards=obp_rewards, limits=NO_LIMITS)
    for estimator, value in zip(estimators, found.values, strict=True):
        assert value.value == pytest.approx(float(OBP[log][estimator]), rel=1e-12), estimator.name


@pytest.mark.parametrize("case", OBP_TUNED, ids=lambda case: f"{case[0]}-{case[2].__name__}-{type(case[4]).__name__}")
def test_settings_that_the_open_bandit_pipeline_chose(case: Any, shown: dict[str, Feedback]) -> None:
    log, estimator, kind, settings, rule, chosen, value = case
    feedback = shown[log]
    tuned = Tuned(estimator, tuple(kind(setting) for setting in settings), rule)
    found = evaluate(feedback, obp_policy(feedback), tuned, rewards=obp_rewards, limits=NO_LIMITS)
    assert found.value == pytest.approx(float(value), rel=1e-12)
    assert str(kind(chosen)) in found.estimator
    assert any("tuned on the log" in text for text in (found.assumptions + tuned.assumptions()))


def test_clicks_on_the_open_bandit_prove_little(shown: dict[str, Feedback]) -> None:
    """The mean rewards are 38 and 42 clicks of 10,000: no interval of any sane policy leaves the other's out."""
    found = compare_policies(shown["random"], {"new": obp_policy(shown["random"])}, InversePropensity())
    assert found["logged"].value == 0.0038
    assert found.selected == "logged"
    assert any("amount to" in text and "intervals that lean on large samples" in text for text in found["new"].warnings)


# ---- a small world whose truth is known ----------------------------------------------------------------------------


@cache
def world(n_rows: int, seed: int, *, n_persons: int | None = None) -> tuple[Feedback, np.ndarray, np.ndarray, float]:
    """Return feedback, a policy's probabilities, the true expected rewards, and the policy's true value.

    Three contexts (a third each), four actions; the log prefers what the context does not.
    """
    rng = np.random.default_rng(seed)
    mood = rng.integers(0, 3, n_rows)
    truth = np.array([[0.8, 0.2, 0.4, 0.1], [0.1, 0.7, 0.3, 0.2], [0.3, 0.1, 0.2, 0.9]])
    logging = np.array([[0.1, 0.4, 0.2, 0.3], [0.4, 0.1, 0.3, 0.2], [0.2, 0.3, 0.4, 0.1]])
    policy = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.05, 0.05, 0.1, 0.8]])
    action = (rng.random(n_rows)[:, None] > logging[mood].cumsum(axis=1)).sum(axis=1)
    persons = rng.integers(0, n_persons, n_rows) if n_persons else np.arange(n_rows)
    table = {
        "decision": np.arange(n_rows),
        "action": np.array(["a", "b", "c", "d"])[action],
        "reward": (rng.random(n_rows) < truth[mood, action]).astype(float),
        "propensity": logging[mood, action],
        "person": persons,
        "mood": np.array(["good", "bad", "odd"])[mood],
    }
    value = float((truth * policy).sum() / 3)
    return read_feedback(table, person="person"), policy[mood], truth[mood], value


UNBIASED: list[Estimator] = [
    InversePropensity(),
    InversePropensity(normalised=True),
    DoublyRobust(),
    DoublyRobust(normalised=True),
]


@pytest.mark.parametrize("estimator", UNBIASED, ids=lambda estimator: estimator.name)
def test_unbiased(estimator: Estimator) -> None:
    """The mean over 200 logs is the truth within three standard errors, with a model of rewards that is wrong."""
    values, errors = [], []
    for seed in range(200):
        feedback, policy, _, truth = world(400, seed)
        found = evaluate(feedback, policy, estimator, rewards=np.full(4, 0.3))
        values.append(found.value - truth)
        errors.append(found.standard_error)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values)) + 0.002  # ratios: a bias of order 1/n
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.15)


def test_brute_force() -> None:
    """Each estimator row by row, as its formula has it."""
    feedback, policy, truth, _ = world(60, 1)
    rewards = truth * 0.9 + 0.02
    estimators: dict[Estimator, Callable[[float, float, float, float], float]] = {
        InversePropensity(): lambda w, r, q, m: w * r,
        InversePropensity(Clipped(2.0)): lambda w, r, q, m: min(w, 2.0) * r,
        DirectMethod(): lambda w, r, q, m: m,
        DoublyRobust(): lambda w, r, q, m: m + w * (r - q),
        DoublyRobust(Switched(2.0)): lambda w, r, q, m: m + (w if w <= 2 else 0) * (r - q),
        DoublyRobust(Shrunk(3.0)): lambda w, r, q, m: m + 3 * w / (w * w + 3) * (r - q),
        DoublyRobust(SubGaussian(0.2)): lambda w, r, q, m: m + w / (0.8 + 0.2 * w) * (r - q),
    }
    codes, total_weight = feedback.action_codes, 0.0
    sums: dict[Any, float] = dict.fromkeys(estimators, 0.0)
    normalised = [0.0, 0.0, 0.0]
    for i in range(60):
        w = float(policy[i, codes[i]] / feedback.propensity[i])
        r, q = float(feedback.reward[i]), float(rewards[i, codes[i]])
        m = sum(float(policy[i, a] * rewards[i, a]) for a in range(4))
        total_weight += w
        for estimator, law in estimators.items():
            sums[estimator] += law(w, r, q, m) / 60
        normalised = [normalised[0] + w * r, normalised[1] + w * (r - q), normalised[2] + m / 60]
    for estimator, value in sums.items():
        assert evaluate(feedback, policy, estimator, rewards=rewards, limits=NO_LIMITS).value == pytest.approx(value)
    of_ratio = evaluate_each(
        feedback,
        policy,
        (InversePropensity(normalised=True), DoublyRobust(normalised=True)),
        rewards=rewards,
        limits=NO_LIMITS,
    )
    wanted = [normalised[0] / total_weight, normalised[2] + normalised[1] / total_weight]
    assert [value.value for value in of_ratio.values] == pytest.approx(wanted)


@given(
    weight=st.lists(st.floats(0, 50), min_size=2, max_size=20),
    largest=st.floats(0.1, 60),
    strength=st.floats(0, 1),
)
def test_changed_weights_are_bounded_and_never_grow(weight: list[float], largest: float, strength: float) -> None:
    rows = np.array(weight)
    changes = [Clipped(largest), Switched(largest), Shrunk(largest)]
    for change in changes:
        changed = change.of(rows)
        assert (changed <= rows * (1 + 1e-12)).all()
        most = change.most(None)
        assert most is not None
        assert (changed <= most * (1 + 1e-12)).all()
        nearest_bound = change.most(float(rows.max()) or None)
        assert nearest_bound is None or (changed <= nearest_bound * (1 + 1e-12)).all()
    drawn = SubGaussian(strength).of(rows)
    assert (np.abs(drawn - 1) <= np.abs(rows - 1) * (1 + 1e-9) + 1e-9).all()


def test_one_pass_gives_what_whole_columns_give() -> None:
    """Sums taken block by block, against the columns of the whole log, as comparisons and bootstraps keep them."""
    n_rows = 2 * BLOCK_ROWS + 1_000
    feedback, policy, truth, _ = world(n_rows, 21)
    estimators = (*UNBIASED, DirectMethod(), DoublyRobust(Shrunk(4.0)), InversePropensity(Clipped(2.0)))
    streamed = evaluate_each(feedback, policy, estimators, rewards=truth)
    for one, estimator in zip(streamed.values, estimators, strict=True):
        whole = compare_policies(feedback, {"new": policy}, estimator, rewards=truth)["new"]
        assert one.value == pytest.approx(whole.value, rel=1e-12)
        assert one.standard_error == pytest.approx(whole.standard_error, rel=1e-9)
        alone = evaluate(feedback, policy, estimator, rewards=truth)
        assert (alone.value, alone.low) == pytest.approx((one.value, one.low), rel=1e-12)
    apart, together = asdict(whole.overlap), asdict(streamed.values[0].overlap)
    assert apart == pytest.approx(together, rel=1e-9)
    weight = policy[np.arange(n_rows), feedback.action_codes] / feedback.propensity
    rewarded = weight[feedback.reward != 0]
    by_hand = {
        "effective_sample_size": weight.sum() ** 2 / (weight @ weight),
        "effective_rewards": rewarded.sum() ** 2 / (rewarded @ rewarded),
        "mean_weight": weight.mean(),
        "mean_weight_error": weight.std(ddof=1) / np.sqrt(n_rows),
        "largest_weight": weight.max(),
        "unseen_share": np.mean(weight == 0),
    }
    assert {name: together[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-12)
    policy = policy.copy()
    policy[BLOCK_ROWS + 7, 0] += 0.5
    with pytest.raises(SpecificationError, match=rf"probabilities of row {BLOCK_ROWS + 7} \(from 0\) sum to 1\.5"):
        evaluate(feedback, policy, InversePropensity())


def test_rewards_of_nought_and_one_are_rewards_like_others() -> None:
    """What is read off the weighted rewards where each is 0 or 1 is what is counted otherwise."""
    feedback, policy, _, _ = world(2_000, 5)
    place = feedback.table.column_names.index(feedback.columns.reward)
    doubled = feedback.table.set_column(place, feedback.columns.reward, pa.array(2 * feedback.reward))
    twice = Feedback.from_table(doubled, feedback.columns)
    assert (feedback.binary, twice.binary) == (True, False)
    for estimator in (InversePropensity(), InversePropensity(normalised=True)):
        one, two = evaluate(feedback, policy, estimator), evaluate(twice, policy, estimator)
        assert asdict(two.overlap) == pytest.approx(asdict(one.overlap), rel=1e-12)
        assert (two.value, two.standard_error) == pytest.approx((2 * one.value, 2 * one.standard_error), rel=1e-12)


def test_columns_of_actions_never_shown_count_among_all_blocks() -> None:
    feedback, policy, _, _ = world(BLOCK_ROWS + 10, 22)
    more = Feedback.from_table(feedback.table, feedback.columns, actions=["e"])
    wider = np.column_stack([policy, np.zeros(len(policy))])
    wider[-5:] = [0, 0, 0, 0, 1]
    found = evaluate(more, wider, InversePropensity())
    assert found.overlap.never_logged == pytest.approx(5 / len(wider))
    assert found.overlap.unseen_share == pytest.approx(5 / len(wider))


def test_changes_that_change_nothing() -> None:
    feedback, policy, truth, _ = world(200, 3)
    plain = evaluate(feedback, policy, DoublyRobust(), rewards=truth).value
    for weights in (Clipped(1e9), Switched(1e9), Shrunk(1e14), SubGaussian(0.0)):
        assert evaluate(feedback, policy, DoublyRobust(weights), rewards=truth).value == pytest.approx(plain, abs=1e-9)
    alone = evaluate(feedback, policy, DoublyRobust(Switched(1e-9)), rewards=truth).value
    assert alone == pytest.approx(evaluate(feedback, policy, DirectMethod(), rewards=truth).value)
    nothing = evaluate(feedback, policy, DoublyRobust(), rewards=np.zeros(4)).value
    assert nothing == pytest.approx(evaluate(feedback, policy, InversePropensity()).value)


def test_the_logging_policy_earned_what_it_earned() -> None:
    feedback, _, _, _ = world(300, 4)
    for estimator in (InversePropensity(), DoublyRobust(), DirectMethod(), Tuned(DoublyRobust(), Switched)):
        found = evaluate(feedback, Logged(), estimator)
        assert found.value == pytest.approx(feedback.reward.mean())
        assert found.overlap.effective_sample_size == pytest.approx(300)
    again = evaluate(feedback, feedback.propensity)
    assert again.value == pytest.approx(feedback.reward.mean())
    assert again.estimator == "self-normalised inverse propensity"  # the other actions' probabilities are not known


def test_ways_to_give_a_policy_agree() -> None:
    feedback, _, _, _ = world(300, 5)
    same = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}
    each = np.tile(list(same.values()), (300, 1))

    class Same:
        def probabilities(self, feedback: Feedback) -> np.ndarray:
            return np.tile(list(same.values()), (feedback.n_rows, 1))

    values = [evaluate(feedback, policy).value for policy in (same, each, Same())]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert values[1] == values[2]
    by_shown = evaluate(feedback, each[np.arange(300), feedback.action_codes], InversePropensity())
    assert by_shown.value == pytest.approx(evaluate(feedback, same, InversePropensity()).value)


# ---- the default model of rewards ----------------------------------------------------------------------------------


def test_ridge_is_the_ridge_regression_of_the_other_folds() -> None:
    """Against the normal equations written out with one column for each action and slope."""
    feedback, _, _, _ = world(90, 6)
    model = RidgeRewards(context=("mood",), penalty=2.0, folds=3, seed=1)
    foretold = model.foretell(feedback, None)
    _, mood = feedback.labels("mood")
    z = np.column_stack([np.ones(90), mood == 1, mood == 2]).astype(float)
    action = np.eye(4)[feedback.action_codes]
    x = np.hstack([z, (action[:, :, None] * z[:, None, :]).reshape(90, 12)])
    penalty = np.diag([1e-9, 1e-3, 1e-3] + [2.0] * 12)
    each = foretold.of_each(slice(0, 90))
    of_shown = each[np.arange(90), feedback.action_codes]
    for fold in range(3):
        kept, own = foretold.fold != fold, foretold.fold == fold
        params = np.linalg.solve(x[kept].T @ x[kept] + penalty, x[kept].T @ feedback.reward[kept])
        wanted = np.clip(x[own] @ params, 0, 1)
        np.testing.assert_allclose(of_shown[own], wanted, atol=1e-9)


def test_ridge_makes_doubly_robust_more_precise() -> None:
    feedback, policy, _, truth = world(20_000, 7)
    plain = evaluate(feedback, policy, InversePropensity())
    model = evaluate(feedback, policy, DoublyRobust(), rewards=RidgeRewards(context=("mood",)))
    assert model.standard_error < 0.75 * plain.standard_error
    assert abs(model.value - truth) < 4 * model.standard_error
    direct = evaluate(feedback, policy, DirectMethod(), rewards=RidgeRewards(context=("mood",)))
    assert direct.value == pytest.approx(truth, abs=0.02)
    assert any("not how far the model of rewards is off" in text for text in direct.warnings)


def test_ridge_refusals() -> None:
    feedback, policy, _, _ = world(50, 8)
    with pytest.raises(SpecificationError, match="no column 'mod' in table; did you mean 'mood'"):
        evaluate(feedback, policy, rewards=RidgeRewards(context=("mod",)))
    with pytest.raises(SpecificationError, match="context is a tuple"):
        RidgeRewards(context="mood")
    with pytest.raises(SpecificationError, match="penalty must be above 0"):
        RidgeRewards(penalty=0.0)
    with pytest.raises(SpecificationError, match="2 persons cannot be split into 3 folds"):
        evaluate(feedback.take(np.arange(2)), policy[:2], DirectMethod())


# ---- where the log cannot say --------------------------------------------------------------------------------------


def test_refused_where_the_log_never_shows_what_the_policy_would() -> None:
    feedback, _, _, _ = world(300, 9)
    found = evaluate(feedback, {"a": 0.5, "z": 0.5})
    assert found.refused == (
        "50.0% of what the policy would show was never shown: nothing is known of it",
        *found.refused[1:],
    )
    assert np.isnan([found.value, found.low, found.high, found.standard_error]).all()
    assert found.summary().startswith("policy: the log cannot say")
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["value"] is None
    assert "refused: 50.0%" in str(found)


def test_refused_where_few_rows_decide() -> None:
    feedback, policy, _, _ = world(40, 10)
    found = evaluate(feedback, policy, InversePropensity(), limits=Limits(least_effective=39))
    assert "effective sample of" in found.refused[0]
    assert "out of 40, fewer than 39" in found.refused[0]
    nobody = np.zeros(40)
    assert "effective sample of 0.0 rows" in evaluate(feedback, nobody).refused[0]
    direct = evaluate(feedback, policy, DirectMethod(), limits=Limits(least_effective=39))
    assert not direct.refused  # it weighs nothing


def test_refused_where_the_mean_weight_is_not_one() -> None:
    feedback, policy, _, _ = world(2000, 11)
    half = feedback.table.set_column(3, "propensity", [feedback.propensity / 2])
    wrong = Feedback.from_table(half, feedback.columns)
    found = evaluate(wrong, policy, InversePropensity())
    assert "the mean weight is" in found.refused[-1]
    assert "propensities are too low" in found.refused[-1]
    assert not evaluate(wrong, policy, InversePropensity(), limits=NO_LIMITS).refused


def test_right_propensities_are_not_refused() -> None:
    """The test of the mean weight is one of level 1e-4: of 200 sound logs none is refused."""
    for seed in range(200):
        feedback, policy, _, _ = world(300, seed)
        assert not evaluate(feedback, policy, InversePropensity()).refused


def test_rows_without_an_answer_are_left_out() -> None:
    feedback, policy, truth, _ = world(300, 12)
    reward = [None if i % 3 == 0 else value for i, value in enumerate(feedback.reward.tolist())]
    late = Feedback.from_table(feedback.table.set_column(2, "reward", [reward]), feedback.columns)
    kept = np.arange(300) % 3 != 0
    found = evaluate(late, policy, DoublyRobust(), rewards=truth)
    alone = evaluate(feedback.take(kept), policy[kept], DoublyRobust(), rewards=truth[kept])
    assert (found.value, found.standard_error) == (alone.value, alone.standard_error)
    assert found.pending == 100
    assert "100 rows without an answer were left out" in found.warnings[0]
    none = late.take(~late.answered)
    assert evaluate(none, policy[~kept]).refused == ("no row has an answer yet",)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (np.full((50, 4), 0.3), "probabilities of row 0 (from 0) sum to 1.2, not 1"),
        (np.full((50, 3), 1 / 3), "probabilities have shape (50, 3); give (50,) or (50, 4)"),
        (np.full(50, 1.5), "50 probabilities of the policy lie outside of [0, 1]; the first, at 0, is 1.5"),
        (np.full(50, np.nan), "50 probabilities of the policy lie outside of [0, 1]"),
        (np.tile([np.nan, 0.5, 0.5, 0], (50, 1)), "probabilities of row 0 (from 0) sum to nan, not 1"),
        (np.tile([-0.5, 0.5, 0.5, 0.5], (50, 1)), "50 probabilities of the policy lie outside of [0, 1]"),
        ({"a": 0.5, "b": 0.4}, "the probabilities of the policy sum to 0.9, not 1"),
        ({"A": 1.0}, "shows nothing that is an action of table; did you mean 'a'"),
        ({}, "shows nothing that is an action"),
    ],
)
def test_bad_policies(policy: Any, said: str) -> None:
    feedback, _, _, _ = world(50, 13)
    with pytest.raises(SpecificationError) as caught:
        evaluate(feedback, policy)
    assert said in str(caught.value)


def test_bad_options() -> None:
    feedback, policy, _, _ = world(50, 14)
    with pytest.raises(SpecificationError, match="needs the probability of each action"):
        evaluate(feedback, feedback.propensity, DoublyRobust())
    with pytest.raises(SpecificationError, match=r"expected rewards have shape \(3,\); give \(50, 4\) or \(4,\)"):
        evaluate(feedback, policy, DoublyRobust(), rewards=np.zeros(3))
    with pytest.raises(SpecificationError, match="foretells rewards that are not finite"):
        evaluate(feedback, policy, DoublyRobust(), rewards=np.full(4, np.nan))
    with pytest.raises(SpecificationError, match="a level must lie between 0 and 1"):
        evaluate(feedback, policy, level=95)
    with pytest.raises(SpecificationError, match="largest must be above 0, not 0"):
        Clipped(0)
    with pytest.raises(SpecificationError, match="strength lies between 0 and 1"):
        SubGaussian(1.1)
    with pytest.raises(SpecificationError, match="give at least one estimator"):
        evaluate_each(feedback, policy, ())
    with pytest.raises(SpecificationError, match="give at least one change of weights"):
        Tuned(DoublyRobust(), ())
    with pytest.raises(SpecificationError, match="least_effective must be 0 or more"):
        Limits(least_effective=float("nan"))


def test_all_rewards_equal() -> None:
    feedback, policy, _, _ = world(200, 15)
    table = feedback.table.set_column(2, "reward", [np.ones(200)])
    found = evaluate(Feedback.from_table(table, feedback.columns), policy)
    assert found.value == pytest.approx(1)
    assert found.standard_error == pytest.approx(0, abs=1e-6)


# ---- tuning --------------------------------------------------------------------------------------------------------


def test_tuning_keeps_the_weights_where_the_log_is_large_and_tames_them_where_it_is_small() -> None:
    rng = np.random.default_rng(0)
    weight = rng.exponential(size=100_000)
    reward = (rng.random(100_000) < 0.2 + 0.6 * (weight > 2)).astype(float)  # where weights are large, so are rewards
    candidates = tuple(Clipped(largest) for largest in (0.25, 1.0, 4.0, 64.0))
    large = Tuned(InversePropensity(), candidates).settled(Rounds(reward, weight))
    small = Tuned(InversePropensity(), candidates).settled(Rounds(reward[:40], weight[:40]))
    assert isinstance(large.weights, Clipped)
    assert isinstance(small.weights, Clipped)
    assert large.weights.largest > small.weights.largest


@pytest.mark.parametrize("kind", [Clipped, Switched, Shrunk, SubGaussian])
@pytest.mark.parametrize("rule", [Slope(), ErrorBound()], ids=["slope", "bound"])
def test_tuned_is_close_to_the_truth(kind: Any, rule: Any) -> None:
    feedback, policy, _, truth = world(4000, 16)
    found = evaluate(feedback, policy, Tuned(DoublyRobust(), kind, rule))
    assert found.value == pytest.approx(truth, abs=0.15)
    assert "tuned" not in found.estimator  # it says what was chosen


# ---- comparison ----------------------------------------------------------------------------------------------------


def test_differences_are_paired_and_surer_than_values() -> None:
    feedback, policy, _, _ = world(3000, 17)
    close = 0.9 * policy + 0.1 / 4
    found = compare_policies(feedback, {"new": policy, "close": close}, InversePropensity(), baseline="close")
    assert [value.policy for value in found.values] == ["close", "new"]
    one = found.difference("new")
    assert one.value == pytest.approx(found["new"].value - found["close"].value)
    assert one.standard_error < 0.3 * found["new"].standard_error
    weight = (policy - close)[np.arange(3000), feedback.action_codes] / feedback.propensity
    by_hand = np.std(weight * feedback.reward, ddof=1) / np.sqrt(3000)
    assert one.standard_error == pytest.approx(by_hand)
    assert (one.joint_low, one.joint_high) == (one.low, one.high)  # a single difference


def test_selects_what_is_better_beyond_doubt_only() -> None:
    feedback, policy, _, _ = world(5000, 18)
    worse = np.full((5000, 4), 0.25)
    found = compare_policies(feedback, {"new": policy, "even": worse, "z": {"a": 0.1, "z": 0.9}})
    assert found.selected == found.best == "new"
    assert found.baseline == "logged"
    assert {one.policy for one in found.differences} == {"new", "even"}
    assert found["z"].refused
    assert "z refused" in str(found)
    one = found.difference("new")
    assert one.joint_low < one.low < one.value < one.high < one.joint_high
    assert "better than logged by" in found.summary()
    tilted = 0.98 * worse + [0.0, 0.0, 0.02, 0.0]
    few = compare_policies(feedback, {"even": worse, "tilted": tilted}, baseline="even")
    assert few.selected == "even"
    assert "no policy is better beyond doubt" in few.summary()


@pytest.mark.parametrize("estimator", [None, InversePropensity(normalised=True), DirectMethod()], ids=str)
@pytest.mark.parametrize("reward", [0.1, -3.7])
def test_rounding_selects_nothing(estimator: Any, reward: float) -> None:
    feedback, policy, _, _ = world(500, 18)
    table = feedback.table.set_column(2, "reward", [np.full(500, reward)])
    policies: dict[str, Any] = {"new": policy, "even": dict.fromkeys("abcd", 0.25)}
    found = compare_policies(Feedback.from_table(table, feedback.columns), policies, estimator)
    assert found.selected == "logged"
    assert all(abs(one.joint_low) < 1e-9 for one in found.differences)


def test_comparison_by_bootstrap_agrees_with_asymptotics() -> None:
    feedback, policy, _, _ = world(3000, 19)
    for estimator in (InversePropensity(normalised=True), DoublyRobust()):
        normal = compare_policies(feedback, {"new": policy}, estimator).difference("new")
        drawn = compare_policies(feedback, {"new": policy}, estimator, interval=Bootstrap(draws=2000)).difference("new")
        assert (drawn.low, drawn.high) == pytest.approx(
            (normal.low, normal.high), abs=0.15 * (normal.high - normal.low)
        )


def test_comparison_refusals() -> None:
    feedback, policy, _, _ = world(50, 20)
    with pytest.raises(SpecificationError, match="give the policies to compare"):
        compare_policies(feedback, {})
    with pytest.raises(SpecificationError, match="no policy 'nwe' to beat; did you mean 'new'"):
        compare_policies(feedback, {"new": policy}, baseline="nwe")
    found = compare_policies(feedback, {"new": policy})
    with pytest.raises(SpecificationError, match="no difference for 'logged'"):
        found.difference("logged")


def test_a_policy_asked_once_is_judged_the_same_every_time() -> None:
    """Whatever the estimator; rows without an answer are left out; and only of the log it was asked about."""
    rng = np.random.default_rng(2)
    n, k = 900, 4
    logging, policy = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), n)
    action = (rng.random((n, 1)) > logging.cumsum(axis=1)).sum(axis=1)
    reward = np.where(rng.random(n) < 0.1, np.nan, (rng.random(n) < 0.3).astype(float))
    table = {
        "decision": np.arange(n),
        "action": action,
        "reward": pa.array(reward, from_pandas=True),
        "propensity": logging[np.arange(n), action],
    }
    feedback = read_feedback(pa.table(table))
    asked = asked_once(feedback, policy)
    assert asked_once(feedback, asked) is asked
    for estimator in (InversePropensity(), InversePropensity(normalised=True), DirectMethod(), DoublyRobust()):
        once, afresh = evaluate(feedback, asked, estimator), evaluate(feedback, policy, estimator)
        assert (once.value, once.low, once.high) == (afresh.value, afresh.low, afresh.high)
        assert once.overlap == afresh.overlap
    shown = asked_once(feedback, policy[np.arange(n), action])
    assert evaluate(feedback, shown, InversePropensity()).value == evaluate(feedback, asked, InversePropensity()).value
    with pytest.raises(SpecificationError, match="was asked about 900 rows, not the 2"):
        evaluate(feedback.take(np.arange(300)), asked, InversePropensity())
    with pytest.raises(SpecificationError, match=r"row 5 \(from 0\) sum to 2"):
        asked_once(feedback, policy * np.where(np.arange(n) == 5, 2.0, 1.0)[:, None])
    same = asked_once(feedback, {"0": 0.5, "1": 0.5})
    assert evaluate(feedback, same).value == evaluate(feedback, {"0": 0.5, "1": 0.5}).value

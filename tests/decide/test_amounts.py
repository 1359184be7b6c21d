"""Policies for amounts: whatever the unit, however answers come, and with the noise told or estimated."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import SpecificationError
from revealed.serve.lessons import taught
from revealed.serve.snapshots import policy_of, state_of
from revealed.store.protocol import Answered, DecisionRow, OutcomeRow

OFFERS = ("a", "b", "c")
MEANS = np.array([20.0, 22.0, 24.0])


def fresh(formula: str = "0 + C(offer)", **learn: Any) -> LearningPolicy:
    sections = {"features": {"formula": formula}, "learn": {"link": "gaussian", **learn}, "log": {"action": "offer"}}
    return LearningPolicy.fresh(Specification.from_dict(sections), seed=3)


def amounts(n: int, seed: int = 1, scale: float = 1.0, start: int = 0) -> Feedback:
    rng = np.random.default_rng(seed)
    shown = rng.integers(3, size=n)
    reward = scale * (MEANS[shown] + 30 * rng.standard_normal(n))
    offers = [OFFERS[k] for k in shown]
    return read_feedback(
        {"decision": np.arange(start, start + n), "offer": offers, "reward": reward, "propensity": np.full(n, 1 / 3)},
        action="offer",
    )


def chances(policy: LearningPolicy) -> list[float]:
    return [policy.decide({}, [{"offer": offer} for offer in OFFERS], seed=i).propensity for i in range(20)]


@pytest.mark.parametrize("estimator", [False, "prediction", "moments"])
@pytest.mark.parametrize("covariance", ["full", "grouped", "diagonal"])
def test_the_unit_of_amounts_does_not_matter(covariance: str, estimator: bool | str) -> None:
    sections: dict[str, Any] = {"covariance": covariance, "meta_prior": estimator}
    sections["formula"] = "C(offer) + C(offer):C(half)"

    def learned(scale: float) -> LearningPolicy:
        log = amounts(60, scale=scale)
        table = {name: log.table[name].to_pylist() for name in log.table.column_names}
        table["half"] = ["first", "second"] * 30
        return fresh(**sections).learn(read_feedback(table, action="offer"))

    one, cents = learned(1.0), learned(1 / 4096)
    told = [[p.decide({"half": "first"}, seed=i).propensity for i in range(20)] for p in (one, cents)]
    assert told[0] == told[1]
    assert cents.model.unit == pytest.approx(one.model.unit / 4096, rel=1e-9)
    assert one.model.unit == pytest.approx(30, rel=0.3)
    np.testing.assert_allclose(cents.model.prior.variance, one.model.prior.variance / 4096**2, rtol=1e-6)
    new = [policy.prior_of(np.arange(len(policy.space.group_names)))[1] for policy in (one, cents)]
    np.testing.assert_allclose(new[1], new[0] / 4096**2, rtol=1e-6)
    if estimator:
        assert one.prior is not None
        np.testing.assert_allclose(new[0], [group.variance for group in one.prior.groups])
        np.testing.assert_allclose(new[0][one.space.groups], one.model.prior.variance, rtol=1e-9)


def test_intervals_cover_and_the_first_answers_make_nobody_certain() -> None:
    within = []
    for seed in range(40):
        learned = fresh(variance=1000.0).learn(amounts(100, seed, scale=100.0))
        truth = 100 * MEANS[[OFFERS.index(name[-1]) for name in learned.space.names]]
        within.append(np.abs(learned.model.posterior.mean - truth) < 1.96 * np.sqrt(learned.model.posterior.variance))
    assert np.mean(within) > 0.9
    for variance in (1.0, 1000.0):
        for n in (1, 2, 3, 5):
            assert max(chances(fresh(variance=variance).learn(amounts(n)))) < 1.0


@pytest.mark.parametrize("covariance", ["full", "grouped", "diagonal"])
@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_lessons_repeat_to_the_bit_and_know_what_one_log_tells(covariance: str, keep: float) -> None:
    log = amounts(60)
    offers, rewards = log.table["offer"].to_pylist(), log.table["reward"].to_pylist()
    candidates = json.dumps([{"offer": offer} for offer in OFFERS])
    rows = [
        Answered(
            i,
            OutcomeRow(i, 1, rewards[i], float(i), float(i)),
            DecisionRow(i, "p", "v", float(i), "{}", json.dumps([offers[i]]), "[0.3]", candidates=candidates),
        )
        for i in range(60)
    ]
    learned = fresh(covariance=covariance, keep=keep, batch=20)
    whole = learned.learn(log)
    for start in range(0, 60, 5):
        again, _ = taught(policy_of(state_of(learned)), rows[start : start + 5])
        learned, odd = taught(learned, rows[start : start + 5])
        assert odd == 0
        assert state_of(learned) == state_of(again)
    assert learned.model.unit == pytest.approx(whole.model.unit, rel=1e-9 if keep == 1 else 0.1)
    # With fewer covariances a batch is judged by where it led, so how it was cut shows a little.
    close = 1e-6 if keep == 1 else 0.1
    np.testing.assert_allclose(
        learned.model.posterior.variance, whole.model.posterior.variance, rtol=close if covariance == "full" else 0.1
    )


def test_a_noise_that_is_told_stays() -> None:
    policy = fresh(noise=30)
    assert (policy.model.unit, policy.model.noise) == (30.0, None)
    np.testing.assert_allclose(policy.prior_of(np.array([0]))[1], 900.0)
    learned = LearningPolicy.from_dict(json.loads(json.dumps(policy.learn(amounts(400)).to_dict())))
    assert (learned.model.unit, learned.model.noise) == (30.0, None)
    count = np.bincount(amounts(400).action_codes)
    np.testing.assert_allclose(np.sort(learned.model.posterior.variance), np.sort(900 / (count + 1)))
    for sections, message in (
        ({"link": "logit", "noise": 1.0}, r"noise is of amounts, link = \"gaussian\"; leave it out with logit"),
        ({"noise": 0.0}, "noise must be a finite number above zero"),
        ({"noise": "some"}, r"\[learn\] noise must be of type"),
    ):
        with pytest.raises(SpecificationError, match=message):
            fresh(**sections)


def test_a_policy_of_before_the_noise_was_estimated_goes_on_with_an_estimate() -> None:
    kept = fresh(noise=1.0).learn(amounts(200)).to_dict()  # as such policies were: of noise one, whatever the unit
    del kept["specification"]["learn"]["noise"]
    policy = LearningPolicy.from_dict(json.loads(json.dumps(kept)))
    assert policy.model.unit == 1.0
    learned = policy.learn(amounts(200, 2, start=200))
    assert learned.model.unit == pytest.approx(30, rel=0.1)
    whole = fresh().learn(amounts(200)).learn(amounts(200, 2, start=200))
    np.testing.assert_allclose(learned.model.posterior.mean, whole.model.posterior.mean, rtol=1e-9)
    np.testing.assert_allclose(learned.model.posterior.variance, whole.model.posterior.variance, rtol=0.2)

"""From decisions to a log to what another policy would have earned: slates end to end."""

from __future__ import annotations

import numpy as np
import pytest

from revealed.answer.offpolicy import (
    Limits,
    SlateCascade,
    SlateIndependent,
    SlateRewardInteraction,
    SlateStandard,
    evaluate_slates,
    prefix_probability,
    slate_probability,
)
from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.policy import LearningPolicy
from tests.decide.slate_world import CLICKS, DIVERSE, ITEMS, SEEN, learned

N = 180
#: What slates by lot earn: each thing is as likely in each place.
BY_LOT = float((SEEN * CLICKS.mean()).sum())
NO_LIMITS = Limits(least_effective=0, most_never_logged=1, least_p_value=0)


@pytest.fixture(scope="module")
def running() -> LearningPolicy:
    return learned(DIVERSE, n=60, explore={"floor": 0.1})


@pytest.fixture(scope="module")
def log(running: LearningPolicy) -> Feedback:
    """Return what the policy showed, and what was clicked."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(N):
        segment = int(rng.integers(2))
        context = {"segment": ("new", "old")[segment]}
        decision = running.decide(context, seed=number, marginal_draws=3)
        for place, row in enumerate(decision.rows()):
            chance = SEEN[place] * CLICKS[ITEMS.index(row["action"]), segment]
            rows.append({**row, **context, "reward": float(rng.random() < chance)})
    return read_feedback({name: [row[name] for row in rows] for name in rows[0]}, position="position")


def by_lot(log: Feedback) -> np.ndarray:
    """Return the probability of each action given what stands above, all left being as likely."""
    codes = log.action_codes.reshape(N, 3)
    left = np.ones((N, 3, 6))
    for place in (1, 2):
        left[:, place] = left[:, place - 1]
        left[np.arange(N), place, codes[:, place - 1]] = 0
    each = left.reshape(-1, 6)
    return np.asarray(each / each.sum(axis=1, keepdims=True))


def of_shown(log: Feedback, each: np.ndarray) -> np.ndarray:
    return np.asarray(each[np.arange(log.n_rows), log.action_codes])


def test_every_estimator_finds_what_slates_by_lot_earn(log: Feedback) -> None:
    each = by_lot(log)
    given_above = of_shown(log, each)
    prefix, ran = prefix_probability(log, given_above), prefix_probability(log, log.propensity)
    whole = slate_probability(log, given_above), slate_probability(log, log.propensity)
    for estimator, would, did in (
        (SlateStandard(), *whole),
        (SlateRewardInteraction(), prefix, ran),
        (SlateIndependent(), np.full(log.n_rows, 1 / 6), log.numbers("marginal")),
        (SlateCascade.of(log, each), prefix, ran),
    ):
        found = evaluate_slates(log, would, estimator, propensity=did, limits=NO_LIMITS)
        assert found.value == pytest.approx(BY_LOT, abs=3 * found.standard_error), estimator.name
        assert found.standard_error < 0.25


def test_a_policy_says_of_its_own_log_what_it_logged(running: LearningPolicy, log: Feedback) -> None:
    log = log.take(np.arange(240))
    each = running.conditional_probabilities(log)
    np.testing.assert_allclose(of_shown(log, each), log.propensity, rtol=1e-12)
    np.testing.assert_allclose(each.sum(axis=1), 1.0)


def test_another_policy_is_judged_on_the_log(log: Feedback) -> None:
    """Its true value is worked out from what it decides."""
    other = learned({**DIVERSE, "diversity": 0.0}, n=400, explore={"floor": 0.1})
    each = other.conditional_probabilities(log)
    would, ran = (prefix_probability(log, given) for given in (of_shown(log, each), log.propensity))
    earned = []
    for number in range(80):
        segment = number % 2
        shown = other.decide({"segment": ("new", "old")[segment]}, seed=number).shown
        earned.append(sum(SEEN[k] * CLICKS[ITEMS.index(label), segment] for k, label in enumerate(shown)))
    for estimator in (SlateRewardInteraction(), SlateCascade.of(log, each)):
        found = evaluate_slates(log, would, estimator, propensity=ran, limits=NO_LIMITS)
        assert found.value == pytest.approx(np.mean(earned), abs=3 * found.standard_error + 0.05)
        assert found.overlap.mean_weight == pytest.approx(1.0, abs=0.35)


def test_what_is_blocked_has_no_chance(log: Feedback) -> None:
    strict = learned(DIVERSE, n=60, business={"blocked": ["hat"]})
    log = log.take(np.arange(90))
    each = strict.conditional_probabilities(log)
    found = of_shown(log, each)
    np.testing.assert_allclose(each.sum(axis=1), 1.0)
    hats = np.array(log.table["action"].to_pylist()) == "hat"
    assert hats.any()
    assert (found[hats] == 0).all()
    assert (found[log.position == 0][~hats[log.position == 0]] > 0).any()

"""Intervals of a policy's value: coverage, clusters, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from revealed.answer.offpolicy import (
    Bootstrap,
    Clipped,
    DoublyRobust,
    EmpiricalBernstein,
    Interval,
    InversePropensity,
    Logged,
    Normal,
    Shrunk,
    SubGaussian,
    evaluate,
)
from revealed.answer.offpolicy.intervals import MOST_LOTS, Unsure
from revealed.answer.offpolicy.parts import Parts, standard_error
from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import SpecificationError

POLICY = {"a": 0.6, "b": 0.3, "c": 0.1}
TRUTH = 0.6 * 0.5 + 0.3 * 0.2 + 0.1 * 0.8


def persons_feedback(seed: int, n_persons: int = 150, most_rows: int = 6) -> Feedback:
    """Return rows of persons who differ in how readily they click: rows of one are far from independent."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, most_rows + 1, n_persons)
    person = np.repeat(np.arange(n_persons), rows)
    logging = np.array([0.3, 0.3, 0.4])
    action = rng.choice(3, size=len(person), p=logging)
    lean = rng.uniform(-0.2, 0.2, n_persons)[person]
    click = rng.random(len(person)) < np.array([0.5, 0.2, 0.8])[action] + lean
    table = {
        "decision": np.arange(len(person)),
        "action": np.array(["a", "b", "c"])[action],
        "reward": click.astype(float),
        "propensity": logging[action],
        "person": person,
    }
    return read_feedback(table, person="person")


@pytest.mark.parametrize(
    ("interval", "estimator", "least", "most"),
    [
        (Normal(), InversePropensity(), 0.85, 0.95),
        (Normal(), InversePropensity(normalised=True), 0.85, 0.95),
        (Normal(), DoublyRobust(), 0.85, 0.95),
        (Bootstrap(draws=300), InversePropensity(normalised=True), 0.84, 0.95),
        (EmpiricalBernstein(largest_weight=2.0), InversePropensity(), 0.97, 1.0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_coverage(interval: Interval, estimator: InversePropensity | DoublyRobust, least: float, most: float) -> None:
    """Of 300 logs, intervals of 90% hold the truth in 90% (two binomial errors: 3.5%); Bernstein's in more."""
    inside = 0
    for seed in range(300):
        found = evaluate(
            persons_feedback(seed), POLICY, estimator, interval=interval, level=0.9, rewards=np.full(3, 0.4)
        )
        inside += found.low <= TRUTH <= found.high
    assert least <= inside / 300 <= most


def test_clusters_matter() -> None:
    """With rows of a person alike, errors that take rows for independent are too small, as by hand."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(100), 5)
    rows = np.repeat(rng.normal(size=100), 5)
    parts = Parts(rows)
    clustered = standard_error(parts.influence(), person)
    sums = np.bincount(person, rows - rows.mean())
    assert clustered == pytest.approx(np.sqrt((sums**2).sum() * 100 / 99) / 500)
    assert clustered > 2 * standard_error(parts.influence(), None)
    assert standard_error(parts.influence(), None) == pytest.approx(np.std(rows, ddof=1) / np.sqrt(500))


def test_influence_is_the_derivative_of_the_value() -> None:
    """The influence of a row is n times the change of the value as its weight moves from 1/n."""
    rng = np.random.default_rng(1)
    plain, numerator, denominator = rng.normal(size=(3, 30)) + np.array([[0.0], [1.0], [3.0]])

    def value(weight: np.ndarray) -> float:
        weight = weight / weight.sum()
        return float(weight @ plain + weight @ numerator / (weight @ denominator))

    parts = Parts(plain, numerator, denominator)
    assert parts.value == pytest.approx(value(np.ones(30)))
    step = 1e-6
    slopes = [(value(1 + step * row) - value(1 - step * row)) / (2 * step) for row in np.eye(30)]
    np.testing.assert_allclose(parts.influence(), 30 * np.array(slopes), rtol=1e-5, atol=1e-6)


def test_bootstrap_is_that_of_persons() -> None:
    """Against resampling persons one by one."""
    feedback = persons_feedback(3, n_persons=60)
    weight = np.array([2.0, 1.0, 0.25])[feedback.action_codes]
    numerator = np.bincount(feedback.person_codes, weight * feedback.reward)
    denominator = np.bincount(feedback.person_codes, weight)
    rng = np.random.default_rng(5)
    drawn = rng.integers(0, 60, (4000, 60))
    values = numerator[drawn].sum(axis=1) / denominator[drawn].sum(axis=1)
    found = evaluate(feedback, POLICY, InversePropensity(normalised=True), interval=Bootstrap(draws=4000, seed=6))
    low, high = np.percentile(values, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_bootstrap_in_lots_is_as_wide() -> None:
    rng = np.random.default_rng(7)
    rows = rng.exponential(size=3 * MOST_LOTS)
    unsure = Unsure(Parts(rows), None, None, None)
    drawn, normal = Bootstrap(draws=1000).ends(unsure, 0.95), Normal().ends(unsure, 0.95)
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.12 * (normal.high - normal.low))


def test_bootstrap_repeats_itself() -> None:
    feedback = persons_feedback(4)
    ends = [evaluate(feedback, POLICY, interval=Bootstrap(draws=200, seed=seed)).low for seed in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


def test_empirical_bernstein_by_hand() -> None:
    """Maurer and Pontil (2009), theorem 4, with half of delta on each side: terms in [0, 1], one row a person."""
    rows = np.random.default_rng(8).random(200)
    found = EmpiricalBernstein().ends(Unsure(Parts(rows), None, None, 1.0), 0.95)
    log_term = np.log(4 / 0.05)
    half = np.sqrt(2 * rows.var(ddof=1) * log_term / 200) + 7 * log_term / (3 * 199)
    assert (found.low, found.high) == pytest.approx((rows.mean() - half, rows.mean() + half))


def test_empirical_bernstein_needs_bounds() -> None:
    feedback = persons_feedback(5)
    lacking = evaluate(feedback, POLICY, InversePropensity(), interval=EmpiricalBernstein())
    assert lacking.value == pytest.approx(TRUTH, abs=0.2)
    assert np.isnan([lacking.low, lacking.high]).all()
    assert "no bound on the weights: give largest_weight=" in lacking.warnings[0]
    assert "interval" not in lacking.summary()
    ratio = evaluate(feedback, POLICY, InversePropensity(normalised=True), interval=EmpiricalBernstein())
    assert "a self-normalised value is a ratio" in ratio.warnings[0]
    rewarded = feedback.table.set_column(2, "reward", [feedback.reward * 3])
    with pytest.raises(SpecificationError, match="rewards run from 0 to 3, beyond 0 to 1"):
        evaluate(Feedback.from_table(rewarded), POLICY, InversePropensity(Clipped(2)), interval=EmpiricalBernstein())
    with pytest.raises(SpecificationError, match="rewards that the model foretells run from"):
        evaluate(feedback, POLICY, DoublyRobust(), rewards=np.full(3, 1.5), interval=EmpiricalBernstein())
    with pytest.raises(SpecificationError, match="rewards lie between finite ends"):
        EmpiricalBernstein(lowest=1, highest=0)
    with pytest.raises(SpecificationError, match="largest_weight must be above 0"):
        EmpiricalBernstein(largest_weight=0)


@pytest.mark.parametrize("lowest", [0.0, -2.0, 0.5])
@pytest.mark.parametrize("weights", [Clipped(2.5), Shrunk(4.0), SubGaussian(0.3)], ids=str)
def test_terms_lie_within_the_width(weights: Clipped | Shrunk | SubGaussian, lowest: float) -> None:
    """No two terms are further apart than the width that empirical Bernstein goes by."""
    rng = np.random.default_rng(9)
    n_rows, highest, largest = 4000, 1.0, 8.0
    reward, foretold, expected = rng.choice([lowest, highest], (3, n_rows))
    weight = rng.choice([0.0, 0.5, 1.0, 2.0, largest], n_rows)
    from revealed.answer.offpolicy.intervals import Bounds
    from revealed.answer.offpolicy.parts import Rounds

    rounds = Rounds(reward, weight, expected, foretold)
    span = Bounds(lowest, highest, largest).span
    for estimator in (InversePropensity(weights), DoublyRobust(weights)):
        terms = estimator.parts(rounds).columns[0]
        for known in (largest, None):
            width = estimator.width(span, known)
            assert width is not None
            assert np.ptp(terms) <= width * (1 + 1e-12)


def test_a_single_person() -> None:
    feedback = persons_feedback(6, n_persons=1)
    for interval in (Normal(), Bootstrap(draws=100), EmpiricalBernstein()):
        found = evaluate(feedback, Logged(), interval=interval)
        assert found.value == pytest.approx(feedback.reward.mean())
        assert np.isnan(found.low)
        assert "there is a single person" in found.warnings[0]


def test_draws_in_which_nobody_saw_it() -> None:
    rows = np.zeros(5)
    rows[0] = 1.0
    found = Bootstrap(draws=200).ends(Unsure(Parts(None, rows, rows), None, None, None), 0.9)
    assert np.isnan(found.low)
    assert "nobody saw what the policy would show" in found.lacking


def test_bad_draws() -> None:
    with pytest.raises(SpecificationError, match="draws must be a whole number, at least 100"):
        Bootstrap(draws=10)

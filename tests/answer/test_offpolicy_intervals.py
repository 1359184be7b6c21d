"""Intervals of a policy's value: coverage, clusters, and where there is none."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    compare_policies,
    evaluate,
)
from revealed.answer.offpolicy.intervals import MOST_LOTS, Unsure
from revealed.answer.offpolicy.parts import Parts
from revealed.answer.offpolicy.totals import Tally, Totals, gradient_of, value_of
from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import SpecificationError

POLICY = {"a": 0.6, "b": 0.3, "c": 0.1}
TRUTH = 0.6 * 0.5 + 0.3 * 0.2 + 0.1 * 0.8


@cache
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
    clustered = Unsure.of(Parts(rows), person).error
    sums = np.bincount(person, rows - rows.mean())
    assert clustered == pytest.approx(np.sqrt((sums**2).sum() * 100 / 99) / 500)
    alone = Unsure.of(Parts(rows)).error
    assert clustered > 2 * alone
    assert alone == pytest.approx(np.std(rows, ddof=1) / np.sqrt(500))


#: A mean, a ratio, and the sum of both: which of three columns each takes.
FORMS = {"mean": (0,), "ratio": (1, 2), "both": (0, 1, 2)}


def three_columns(n_rows: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(1).normal(size=(3, n_rows)) + np.array([[0.0], [1.0], [3.0]]))


def value_by_hand(form: str, columns: np.ndarray, weight: np.ndarray) -> float:
    plain, numerator, denominator = columns @ (weight / weight.sum())
    return float((plain if form != "ratio" else 0.0) + (numerator / denominator if form != "mean" else 0.0))


def parts_of(form: str, columns: np.ndarray) -> Parts:
    plain, numerator, denominator = columns
    if form == "mean":
        return Parts(plain)
    return Parts(plain if form == "both" else None, numerator, denominator)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_the_derivative_of_the_value(form: str) -> None:
    """The gradient along a row is the change of the value as the weight of the row moves from one."""
    columns = three_columns(30)
    own = columns[list(FORMS[form])]
    sums = np.concatenate([[30.0], own.sum(axis=1)])
    assert value_of(sums) == pytest.approx(value_by_hand(form, columns, np.ones(30)))
    assert Unsure.of(parts_of(form, columns)).value == pytest.approx(value_by_hand(form, columns, np.ones(30)))
    step = 1e-6
    slopes = [
        (value_by_hand(form, columns, 1 + step * row) - value_by_hand(form, columns, 1 - step * row)) / (2 * step)
        for row in np.eye(30)
    ]
    np.testing.assert_allclose(gradient_of(sums) @ np.vstack([np.ones(30), own]), slopes, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("clustered", [False, True])
def test_error_is_that_of_the_jackknife(form: str, clustered: bool) -> None:
    """With a thousand persons, leaving out one at a time says the same as the gradient."""
    columns = three_columns(3000)
    person = np.random.default_rng(2).integers(0, 1000, 3000) if clustered else np.arange(3000)
    person = np.unique(person, return_inverse=True)[1]
    n_persons = int(person.max()) + 1
    found = Unsure.of(parts_of(form, columns), person if clustered else None)
    left_out = [value_by_hand(form, columns, (person != one).astype(float)) for one in range(n_persons)]
    wanted = np.sqrt((n_persons - 1) * np.var(left_out))
    assert found.error == pytest.approx(wanted, rel=0.01)


def totals_of(columns: np.ndarray, edges: list[int]) -> Totals:
    """Return totals taken block by block."""
    tally = Tally()
    for start, stop in itertools.pairwise(edges):
        tally.add(list(columns[:, start:stop]))
    return tally.totals()


@given(cuts=st.lists(st.integers(1, 199), max_size=5, unique=True), shift=st.sampled_from([0.0, 300.0, 1e8]))
def test_totals_add(cuts: list[int], shift: float) -> None:
    """Totals of blocks add up to those of the whole, also where means are huge against what varies."""
    columns = three_columns(200) + shift
    whole, added = totals_of(columns, [0, 200]), totals_of(columns, [0, *sorted(cuts), 200])
    assert added.n_persons == 200
    np.testing.assert_allclose(added.sums, whole.sums, rtol=1e-14)
    np.testing.assert_allclose(added.products, whole.products, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(whole.products[1:, 1:], np.cov(columns - shift) * 199, rtol=1e-6, atol=1e-6)
    as_persons = Totals.of_whole(list(columns), np.arange(200))
    np.testing.assert_allclose(as_persons.products, whole.products, rtol=1e-9, atol=1e-5)


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
    unsure = Unsure.of(Parts(rows))
    drawn, normal = Bootstrap(draws=1000).ends(unsure, 0.95), Normal().ends(unsure, 0.95)
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.12 * (normal.high - normal.low))


def test_bootstrap_repeats_itself() -> None:
    feedback = persons_feedback(4)
    ends = [evaluate(feedback, POLICY, interval=Bootstrap(draws=200, seed=seed)).low for seed in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


def test_empirical_bernstein_by_hand() -> None:
    """Maurer and Pontil (2009), theorem 4, with half of delta on each side: terms in [0, 1], one row a person."""
    rows = np.random.default_rng(8).random(200)
    found = EmpiricalBernstein().ends(Unsure.of(Parts(rows), width=1.0), 0.95)
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


def shops_feedback(seed: int, n_shops: int, visits: int = 100) -> Feedback:
    """Return visits to few shops, each a person: what b brings over a differs by shop, and is nothing on average."""
    rng = np.random.default_rng([seed, n_shops])
    shop = np.repeat(np.arange(n_shops), visits)
    shown = rng.integers(2, size=len(shop))
    over = 0.1 * rng.standard_normal(n_shops)[shop] * np.where(shown == 1, 1, -1)
    table = {
        "decision": np.arange(len(shop)),
        "action": np.array(["a", "b"])[shown],
        "reward": (rng.random(len(shop)) < 0.4 + over).astype(float),
        "propensity": np.full(len(shop), 0.5),
        "shop": shop,
    }
    return read_feedback(table, person="shop")


@pytest.mark.parametrize("n_shops", [3, 6])
def test_few_persons(n_shops: int) -> None:
    """Of 100 logs of few persons a worthless policy is selected in 2.5%, its interval holds 95%, none is refused."""
    inside = selected = 0
    for seed in range(100):
        found = compare_policies(shops_feedback(seed, n_shops), {"b": {"b": 1.0}}, InversePropensity(normalised=True))
        assert not found["b"].refused
        one = found.difference("b")
        inside += one.low <= 0 <= one.high
        selected += found.selected == "b"
    assert f"only {n_shops} persons tell how persons differ" in found["b"].warnings[0]
    assert inside >= 95 - 2 * 2.2
    assert selected <= 2.5 + 2 * 1.6


def test_the_quantile_is_students() -> None:
    rows = np.random.default_rng(11).normal(size=12)
    unsure = Unsure.of(Parts(rows), np.repeat([0, 1, 2], 4))
    reach = 4.302652729911275  # of Student's t with two degrees of freedom, two-sided 95%
    found = Normal().ends(unsure, 0.95)
    assert (found.high - unsure.value) / unsure.error == pytest.approx(reach, rel=1e-9)
    drawn = [Bootstrap(draws=100).ends(Unsure.of(Parts(rows), np.arange(12) % n), 0.95) for n in (5, 6)]
    assert drawn[0].lacking == "5 persons are too few for a bootstrap of 95%; Normal() takes as few"
    assert drawn[1].low < rows.mean() < drawn[1].high


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
    found = Bootstrap(draws=200).ends(Unsure.of(Parts(None, rows, rows)), 0.9)
    assert np.isnan(found.low)
    assert "nobody saw what the policy would show" in found.lacking


def test_bad_draws() -> None:
    with pytest.raises(SpecificationError, match="draws must be a whole number, at least 100"):
        Bootstrap(draws=10)

"""Propensities of slates: against enumeration, and as weights that are unbiased as far as it is said."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom

from revealed.decide.slate import Categories, Coverage, PlackettLuce, estimate_propensity, select
from revealed.errors import DataError, SpecificationError

SCORES = np.array([0.3, -1.0, 1.2, 0.0])


def by_formula(order: tuple[int, ...], scores: np.ndarray, temperature: float) -> float:
    left, probability = list(range(len(scores))), 1.0
    for item in order:
        odds = np.exp(scores[left] / temperature)
        probability *= np.exp(scores[item] / temperature) / odds.sum()
        left.remove(item)
    return probability


@pytest.mark.parametrize("size", [1, 2, 4])
def test_plackett_luce_is_the_product_and_sums_to_one(size):
    law = PlackettLuce(SCORES, temperature=0.7)
    every = list(permutations(range(4), size))
    found = [np.exp(law.log_prefix(np.array(order))) for order in every]
    assert [p[-1] for p in found] == pytest.approx([by_formula(order, SCORES, 0.7) for order in every], rel=1e-12)
    assert sum(p[-1] for p in found) == pytest.approx(1.0, rel=1e-12)
    assert [p[0] for p in found] == pytest.approx([by_formula(order[:1], SCORES, 0.7) for order in every], rel=1e-12)


def test_plackett_luce_draws_what_it_says():
    law, rng, n = PlackettLuce(SCORES), np.random.default_rng(0), 4000
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(n):
        order = tuple(law.draw(rng, 2).tolist())
        counts[order] = counts.get(order, 0) + 1
    for order in permutations(range(4), 2):
        p = by_formula(order, SCORES, 1.0)
        assert counts.get(order, 0) / n == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))


def test_marginals_of_plackett_luce_against_enumeration():
    order = np.array([2, 0, 3])
    shown = PlackettLuce(SCORES).propensity(order, np.random.default_rng(1), 4000)
    for k in range(3):
        exact = sum(by_formula(o, SCORES, 1.0) for o in permutations(range(4), 3) if o[k] == order[k])
        assert shown.marginal[k] == pytest.approx(exact, abs=4 * shown.marginal_error[k] + 1e-12)
    assert shown.marginal_error[0] == 0
    # Averaging conditional probabilities beats counting.
    assert shown.marginal_error[1] < np.sqrt(shown.marginal[1] * (1 - shown.marginal[1]) / 4000) / 2
    assert shown.slate == shown.prefix[-1]


def test_plackett_luce_keeps_its_digits_at_extreme_scores():
    law = PlackettLuce(np.array([0.0, -900.0, -2000.0]))
    assert law.log_prefix(np.array([1, 0])) == pytest.approx([-900.0, -900.0])
    shown = law.propensity(np.array([0, 1, 2]), np.random.default_rng(0), 10)
    assert shown.marginal == pytest.approx((1.0, 1.0, 1.0))


# ---- draws that are re-ranked -------------------------------------------------------------------------------------

CATEGORIES = Categories.of(["a", "a", "b", "c"])
MEANS, SPREAD = np.array([0.5, 0.45, 0.4, 0.2]), 0.15


def draw(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.maximum(rng.normal(MEANS, SPREAD, (n, 4)), 0.0)


def rerank(scores: np.ndarray) -> np.ndarray:
    return select(Coverage(scores, CATEGORIES, np.array([1.0, 0.9, 0.9])), 2, bound=False).order


def test_counted_probabilities_are_near_the_truth():
    truth_rng = np.random.default_rng(10)
    slates = np.array([rerank_fast(scores) for scores in draw(truth_rng, 20_000)])
    shown = slates[0]
    found = estimate_propensity(draw, rerank, shown, np.random.default_rng(11), 400)
    same = slates == shown
    assert found.slate == pytest.approx(same.all(axis=1).mean(), abs=4.5 * found.slate_error)
    for k in range(2):
        assert found.marginal[k] == pytest.approx(same[:, k].mean(), abs=4.5 * found.marginal_error[k])
    assert found.prefix[0] == found.marginal[0]
    assert found.prefix[1] == found.slate
    assert found.to_dict()["n_draws"] == 400


def test_standard_errors_are_those_of_repetition():
    estimates = []
    errors = []
    for seed in range(60):
        found = estimate_propensity(
            draw, lambda s: np.argsort(-s)[:2], np.array([0, 1]), np.random.default_rng(seed), 200
        )
        estimates.append(found.slate)
        errors.append(found.slate_error)
    assert np.std(estimates) == pytest.approx(np.mean(errors), rel=0.3)


@pytest.mark.parametrize(("p", "n"), [(0.3, 20), (0.01, 50), (0.001, 500)])
def test_inverse_of_the_estimate_has_the_expectation_it_says(p, n):
    counts = np.arange(n + 1)
    expected = (binom.pmf(counts, n, p) * (n + 1) / (counts + 1)).sum()
    assert expected == pytest.approx((1 - (1 - p) ** (n + 1)) / p, rel=1e-9)


def test_weighting_by_counted_propensities_finds_the_value_of_another_policy():
    """The value of always showing one slate, from a log of re-ranked Thompson draws, through estimated propensities."""
    rng = np.random.default_rng(3)
    target, appeal = np.array([0, 2]), np.array([0.6, 0.5, 0.4, 0.2])
    terms = []
    for scores in draw(rng, 1500):
        shown = rerank_fast(scores)
        if not (shown == target).all():
            terms.append(0.0)
            continue
        clicks = float((rng.random(2) < appeal[shown]).sum())
        known = estimate_propensity(draw, rerank_fast, shown, rng, 30)
        terms.append(clicks / known.slate)
    error = np.std(terms) / np.sqrt(len(terms))
    assert np.mean(terms) == pytest.approx(appeal[target].sum(), abs=3 * error)
    assert error < 0.1


def rerank_fast(scores: np.ndarray) -> np.ndarray:
    """Return the same slate as ``rerank``, worked out by hand for two positions."""
    weights = np.array([1.0, 1.0, 0.9, 0.9])
    first = int((weights * np.log1p(scores)).argmax())
    gains = weights * np.log1p(scores)
    if first < 2:
        other = 1 - first
        gains[other] = np.log1p(scores[0] + scores[1]) - np.log1p(scores[first])
    gains[first] = -1.0
    return np.array([first, int(gains.argmax())])


def test_the_fast_reranker_is_the_same():
    for scores in draw(np.random.default_rng(5), 300):
        assert rerank_fast(scores).tolist() == rerank(scores).tolist()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PlackettLuce(np.array([0.1, np.nan])), DataError, "entry 1"),
        (lambda: PlackettLuce(np.zeros(0)), SpecificationError, "no candidate is eligible"),
        (lambda: PlackettLuce(SCORES, 0.0), SpecificationError, "temperature is 0.0"),
        (lambda: PlackettLuce(SCORES).draw(np.random.default_rng(0), 5), SpecificationError, "5 out of 4"),
        (lambda: PlackettLuce(SCORES).log_prefix(np.array([1, 1])), SpecificationError, "shows an item twice"),
        (lambda: PlackettLuce(SCORES).log_prefix(np.array([4])), SpecificationError, "of 4 candidates"),
        (lambda: PlackettLuce(SCORES).log_prefix(np.zeros(0, int)), SpecificationError, "shows nothing"),
        (
            lambda: PlackettLuce(SCORES).propensity(np.array([0]), np.random.default_rng(0), 1),
            SpecificationError,
            "1 draws cannot tell",
        ),
        (
            lambda: estimate_propensity(draw, rerank, np.array([0, 1]), np.random.default_rng(0), 0),
            SpecificationError,
            "0 draws cannot tell",
        ),
        (
            lambda: estimate_propensity(draw, rerank, np.array([0, 1, 2]), np.random.default_rng(0)),
            SpecificationError,
            "a slate drawn has shape (2,)",
        ),
        (
            lambda: estimate_propensity(lambda r, n: draw(r, 1), rerank, np.array([0, 1]), np.random.default_rng(0)),
            SpecificationError,
            "draw(rng, 50) has shape (1, 4)",
        ),
        (
            lambda: estimate_propensity(
                lambda r, n: np.full((n, 4), np.nan), rerank, np.array([0, 1]), np.random.default_rng(0)
            ),
            DataError,
            "scores drawn",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as refused:
        make()
    assert message in str(refused.value)


def test_drawing_in_parts_changes_nothing_but_the_draws(monkeypatch):
    from revealed.decide.slate import probability

    law, order = PlackettLuce(SCORES), np.array([2, 0, 3])
    whole = law.propensity(order, np.random.default_rng(1), 500)
    monkeypatch.setattr(probability, "CELLS", 4 * 70)  # 70 draws at once, and a rest
    parts = law.propensity(order, np.random.default_rng(1), 500)
    assert parts.prefix == whole.prefix
    for k in range(3):
        assert parts.marginal[k] == pytest.approx(whole.marginal[k], abs=6 * whole.marginal_error[k] + 1e-12)
    assert parts.marginal_error == pytest.approx(whole.marginal_error, rel=0.2)

"""The meta-prior by prediction: known variances come back, whatever the link and the covariance; and bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from revealed.decide.prior import FLOOR, GroupPrior, MetaPrior, Search, meta_prior
from revealed.decide.prior.sample import chosen
from revealed.decide.prior.search import most_passes
from revealed.decide.prior.surprise import batches, log_predictive, surprise
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import LINKS, GaussianLink, link_named
from revealed.models.glm.model import BayesianGLM

NAMES = ("base", "main", "slope")
ITEMS, TRUE = 40, {"main": 0.5, "slope": 0.08}


def world(
    seed: int, link: str = "gaussian", *, n_rows: int = 800, center: float = 0.0, **options: Any
) -> tuple[BayesianGLM, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a fresh model, the groups, rows, answers and items of a world with a rate and a slope for each item."""
    rng = np.random.default_rng(seed)
    item, x = rng.integers(0, ITEMS, n_rows), rng.normal(0, 1, n_rows)
    groups = np.repeat([0, 1, 2], [1, ITEMS, ITEMS])
    main = rng.normal(0, np.sqrt(TRUE["main"]), ITEMS)
    slope = rng.normal(center, np.sqrt(TRUE["slope"]), ITEMS)
    rows = np.zeros((n_rows, 1 + 2 * ITEMS))
    rows[:, 0] = 1
    rows[np.arange(n_rows), 1 + item], rows[np.arange(n_rows), 1 + ITEMS + item] = 1, x
    predictor = -0.3 + main[item] + slope[item] * x
    answers = told(rng, link, predictor)
    if options.get("covariance") == "grouped":
        options["groups"] = groups
    return BayesianGLM.fresh(len(groups), link, **options), groups, rows, answers, item


def told(rng: np.random.Generator, link: str, predictor: np.ndarray) -> np.ndarray:
    """Return answers to rows with these linear predictors."""
    if link == "poisson":
        return np.asarray(rng.poisson(np.exp(predictor)), dtype=np.float64)
    if link == "logit":
        return np.asarray(rng.random(len(predictor)) < 1 / (1 + np.exp(-predictor)), dtype=np.float64)
    noisy = predictor + rng.standard_normal(len(predictor))
    return np.asarray(noisy if link == "gaussian" else noisy > 0, dtype=np.float64)


def found(seed: int, link: str = "gaussian", **options: Any) -> MetaPrior:
    """Return what is found in a world."""
    model, groups, rows, answers, _ = world(seed, link, **options)
    return meta_prior(model, groups, NAMES, rows, answers)


# ---- recovery -----------------------------------------------------------------------------------------------------


def test_known_variances_come_back_and_their_intervals_cover() -> None:
    # Gaussian answers and all covariances: nothing is approximate but the batches. 8 worlds, two groups.
    groups = [[found(seed)[name] for name in TRUE] for seed in range(8)]
    logs = np.array([[np.log(group.variance / TRUE[group.name]) for group in row] for row in groups])
    error = logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
    assert (np.abs(logs.mean(axis=0)) < 3 * error).all(), logs.mean(axis=0)
    # Of 16 intervals of 95% at least 12 cover in all but one of a thousand cases, were they independent.
    assert sum(covers(group) for row in groups for group in row) >= 12
    # And they are no wider than 40 members and 20 answers each make them: within a factor of 2.2 or so.
    assert np.median([row[0].high / row[0].variance for row in groups]) < 2.2  # type: ignore[operator]


def covers(group: GroupPrior) -> bool:
    assert group.low is not None
    assert group.high is not None
    return group.low < TRUE[group.name] < group.high


@pytest.mark.parametrize(
    ("link", "options"),
    [
        ("probit", {"covariance": "diagonal"}),
        ("logit", {"covariance": "diagonal"}),
        ("poisson", {"covariance": "diagonal"}),
        ("gaussian", {"covariance": "diagonal", "variance": 9.0}),
        ("gaussian", {"covariance": "grouped"}),
        ("logit", {"covariance": "full", "variance": 0.05}),
    ],
)
def test_any_link_and_covariance_comes_near_from_any_first_prior(link: str, options: dict[str, Any]) -> None:
    # Within a factor of 1.6 in the mean of the logarithm over three worlds, for the larger one; one world alone
    # with 40 members has a standard error of a fifth to a third, and Laplace leaves a bias of up to a fourth.
    priors = [found(seed, link, n_rows=600, **options) for seed in range(3)]
    main = np.exp(np.mean([np.log(prior["main"].variance) for prior in priors]))
    assert TRUE["main"] / 1.6 < main < TRUE["main"] * 1.6
    assert all(prior["slope"].variance < prior["main"].variance for prior in priors)
    assert all(prior.effort is not None and prior.effort.finished for prior in priors)


def test_sparse_rows_are_as_good_as_dense_ones() -> None:
    model, groups, rows, answers, _ = world(3, n_rows=100, covariance="diagonal")
    dense, sparse = (meta_prior(model, groups, NAMES, some, answers) for some in (rows, Rows.of_dense(rows)))
    assert dense.to_dict() == sparse.to_dict()


def test_it_never_predicts_worse_than_the_first_prior() -> None:
    for seed in range(3):
        prior = found(seed, "logit", n_rows=150, covariance="diagonal", variance=0.1)
        assert prior.effort is not None
        assert prior.effort.after <= prior.effort.before


def test_where_answers_are_silent_the_first_prior_stays() -> None:
    model, groups, rows, answers, _ = world(0, n_rows=200, covariance="diagonal", variance=0.3)
    vague = BayesianGLM(GaussianLink(1000.0), model.posterior, model.prior)
    prior = meta_prior(vague, groups, NAMES, rows, answers)
    for name in TRUE:
        assert prior[name].variance == pytest.approx(0.3, rel=0.05)
        low, high = prior[name].low, prior[name].high
        assert low is not None
        assert high is not None
        assert low < 0.3 / 50
        assert high > 0.3 * 50


# ---- means --------------------------------------------------------------------------------------------------------


def test_a_mean_is_estimated_where_answers_can_tell_it() -> None:
    centers = [found(seed, center=0.8, covariance="diagonal", n_rows=600) for seed in range(4)]
    assert np.mean([prior["slope"].mean for prior in centers]) == pytest.approx(0.8, abs=0.12)
    # Each row has one item, so the mean of items is the base's, which keeps its prior.
    assert all(prior["main"].mean == 0.0 for prior in centers)
    # Without it the variance has to make up for the mean.
    model, groups, rows, answers, _ = world(0, center=0.8, covariance="diagonal", n_rows=600)
    fixed = meta_prior(model, groups, NAMES, rows, answers, means={"slope": 0.0})
    assert fixed["slope"].mean == 0.0
    assert fixed["slope"].variance > 3 * centers[0]["slope"].variance


def test_without_a_base_the_mean_of_the_items_is_told() -> None:
    model, groups, rows, answers, _ = world(1, covariance="diagonal", n_rows=600)
    bare = BayesianGLM.fresh(2 * ITEMS, "gaussian", covariance="diagonal")
    prior = meta_prior(bare, groups[1:] - 1, NAMES[1:], rows[:, 1:], answers + 3)
    assert prior["main"].mean == pytest.approx(2.7, abs=0.4)
    assert model.n_params == bare.n_params + 1


# ---- what keeps its prior -----------------------------------------------------------------------------------------


def test_groups_of_few_and_members_never_seen_keep_the_first_prior() -> None:
    model, groups, rows, answers, _ = world(2, n_rows=200, covariance="diagonal", variance=2.0)
    few = np.where(groups == 2, np.where(np.arange(len(groups)) < ITEMS + 6, 2, 3), groups)  # five slopes by themselves
    unseen = np.concatenate([few, np.full(9, 4)])
    wider = model.extended(np.zeros(9), np.full(9, 2.0))
    wide = np.concatenate([rows, np.zeros((len(rows), 9))], axis=1)
    prior = meta_prior(wider, unseen, ("base", "main", "few", "slope", "unseen"), wide, answers)
    for name, n_learned in (("base", 1), ("few", 5), ("unseen", 0)):
        group = prior[name]
        assert (group.variance, group.mean, group.n_learned, group.low) == (2.0, 0.0, n_learned, None)
    assert prior["main"].variance != 2.0
    assert MetaPrior.from_dict(prior.to_dict()).to_dict() == prior.to_dict()


def test_a_group_that_does_not_vary_gets_a_small_variance_but_not_none() -> None:
    rng = np.random.default_rng(4)
    rows = np.eye(50)[rng.integers(0, 50, 1500)]
    model = BayesianGLM.fresh(50, "gaussian", covariance="diagonal")
    prior = meta_prior(model, np.zeros(50, np.int64), ("same",), rows, 0.4 + 0.3 * rng.standard_normal(1500))
    assert FLOOR <= prior["same"].variance < 0.02
    assert prior["same"].mean == pytest.approx(0.4, abs=0.05)


# ---- bounds -------------------------------------------------------------------------------------------------------


def test_many_groups_take_a_bounded_number_of_passes_over_fewer_rows() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(12), 8)
    index = np.sort(
        rng.integers(0, 8, (2000, 3)) + 8 * np.array([rng.permutation(12)[:3] for _ in range(2000)]), axis=1
    )
    rows = Rows(np.arange(0, 6_001, 3), index.ravel(), np.ones(6_000), 96)
    model = BayesianGLM.fresh(96, "gaussian", covariance="diagonal")
    answers = rows.times(rng.normal(0, 0.5, 96)) + rng.standard_normal(2000)
    names = [f"g{k}" for k in range(12)]
    prior = meta_prior(model, groups, names, rows, answers, search=Search(seconds=0.1))
    assert prior.effort is not None
    assert prior.effort.n_rows == 1_000
    assert prior.effort.n_fits <= most_passes(12)
    assert 0.1 < np.exp(np.mean([np.log(group.variance) for group in prior.groups])) < 0.6
    assert str(prior.effort).startswith(f"{prior.effort.n_fits} passes over 1,000 rows; log-loss a row ")


def test_it_is_the_same_each_time() -> None:
    model, groups, rows, answers, item = world(6, "logit", n_rows=400, covariance="diagonal")
    one, again = (
        meta_prior(model, groups, NAMES, rows, answers, units=item, search=Search(n_rows=200)) for _ in range(2)
    )
    assert one.to_dict() == again.to_dict()
    assert one.effort is not None
    assert one.effort.n_rows <= 200


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 600), st.integers(1, 300), st.integers(100, 400))
def test_a_sample_holds_whole_units_in_order(seed: int, n_rows: int, n_units: int, most: int) -> None:
    units = np.random.default_rng(seed).integers(0, n_units, n_rows)
    some = chosen(n_rows, units, most)
    assert (np.diff(some) > 0).all()
    assert 0 < len(some) <= most
    present, counts = np.unique(units, return_counts=True)
    share = most // min(len(present), 100)
    in_sample = np.isin(present, units[some])
    if n_rows <= most:
        assert len(some) == n_rows
        return
    assert in_sample.sum() >= min(len(present), 100)
    # All of each unit, up to an even share, and those the first in time.
    for unit, count in zip(present[in_sample], counts[in_sample], strict=True):
        first = np.flatnonzero(units == unit)[: min(count, share)]
        np.testing.assert_array_equal(some[units[some] == unit], first)


# ---- the loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(LINKS))
@pytest.mark.parametrize(("mean", "variance"), [(-2.0, 0.01), (0.3, 1.0), (-1.0, 6.0)])
def test_predictive_probabilities_are_those_of_quadrature(name: str, mean: float, variance: float) -> None:
    link = link_named(name)
    for answer in (0.0, 1.0):
        told = np.array([answer])

        def integrand(predictor: float, told: np.ndarray = told) -> float:
            with np.errstate(over="ignore", under="ignore"):
                likelihood = np.exp(link.log_likelihood(told, np.array([predictor])))
            return float(likelihood[0] * norm.pdf(predictor, mean, np.sqrt(variance)))

        reach = 12 * np.sqrt(variance)
        exact = quad(integrand, mean - reach, mean + reach, epsabs=1e-13, limit=500, points=[mean])[0]
        ours = log_predictive(link, told, np.array([mean]), np.array([variance]))
        assert ours[0] == pytest.approx(np.log(exact), abs=2e-3)


def test_the_loss_of_gaussian_answers_is_minus_their_log_marginal_likelihood() -> None:
    rng = np.random.default_rng(7)
    rows, variance = rng.normal(0, 1, (15, 4)), np.array([1.0, 0.5, 2.0, 0.1])
    answers = rng.standard_normal(15)
    model = BayesianGLM.fresh(4, "gaussian", variance=variance)
    assert batches(15) == [(k, k + 1) for k in range(15)]
    marginal = multivariate_normal(np.zeros(15), np.eye(15) + (rows * variance) @ rows.T)
    loss, last = surprise(model.link, model.posterior, rows, answers)
    assert loss == pytest.approx(-marginal.logpdf(answers), rel=1e-9)
    np.testing.assert_allclose(last.mean, model.learn(rows, answers).posterior.mean, rtol=1e-9)


@given(st.integers(0, 30_000))
def test_batches_cover_all_answers_once(n_rows: int) -> None:
    parts = batches(n_rows)
    assert [k for part in parts for k in part] == sorted([0, *[stop for _, stop in parts[:-1]] * 2, n_rows])[
        : 2 * len(parts)
    ]
    assert all(0 < stop - start <= 512 for start, stop in parts)


# ---- bad input ----------------------------------------------------------------------------------------------------


def test_bad_input() -> None:
    model, groups, rows, answers, item = world(0, "logit", n_rows=20)

    def refused(match: str, *given: Any, error: type[Exception] = SpecificationError, **options: Any) -> None:
        with pytest.raises(error, match=match):
            meta_prior(*given, **options)

    refused("need a group each", model, groups[1:], NAMES, rows, answers)
    refused("did you mean 'main'", model, groups, NAMES, rows, answers, means={"mian": 0.0})
    refused("rows of 80 features for a model of 81", model, groups, NAMES, rows[:, 1:], answers)
    refused("19 answers for 20 rows", model, groups, NAMES, rows, answers[1:])
    refused("19 units for 20 rows", model, groups, NAMES, rows, answers, units=item[1:])
    refused("not 0 or 1", model, groups, NAMES, rows, answers + 0.5, error=DataError)
    spoiled = Rows.of_dense(rows)
    spoiled.value[3] = np.nan
    refused("not finite", model, groups, NAMES, spoiled, answers, error=DataError)
    with pytest.raises(SpecificationError, match="floor must be"):
        Search(floor=0.0)
    with pytest.raises(SpecificationError, match="needs rows and time"):
        Search(seconds=0.0)

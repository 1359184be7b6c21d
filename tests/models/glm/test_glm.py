"""The Bayesian generalised linear model: exact where it can be, honest where not, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices import ChoiceLog
from revealed.errors import DataError, EvidenceError, SpecificationError
from revealed.models import Logit
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior, FullSites
from revealed.models.glm.links import Link, LogitLink, PoissonLink, Probit, link_named
from revealed.models.glm.model import BayesianGLM

K = 4
TRUTH = np.array([-0.4, 0.8, -0.6, 0.3])
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "diagonal": {"covariance": "diagonal"},
    "grouped": {"covariance": "grouped", "groups": [0, 0, 1, 1]},
}


def answers_of(link: Link, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    f = x @ TRUTH
    if link.name == "gaussian":
        return np.asarray(f + rng.standard_normal(len(f)))
    if link.name == "poisson":
        return np.asarray(rng.poisson(np.exp(f)), dtype=float)
    return np.asarray(rng.random(len(f)) < link.mean(f), dtype=float)


def world(link: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, K))
    x[:, 0] = 1
    return x, answers_of(link_named(link), x, rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", ["probit", "logit", "gaussian", "poisson"])
def test_the_truth_is_recovered_online(link: str, kind: str) -> None:
    x, y = world(link, 3000, 1)
    model = BayesianGLM.fresh(K, link, **KINDS[kind])
    for start in range(0, 3000, 300):
        model = model.learn(x[start : start + 300], y[start : start + 300])
    z = (model.posterior.mean - TRUTH) / np.sqrt(model.posterior.variance)
    assert np.abs(z).max() < 4
    assert model.n_answers == 3000


@pytest.mark.parametrize("link", ["probit", "logit", "poisson"])
def test_intervals_cover(link: str) -> None:
    covered = []
    for seed in range(150):
        x, y = world(link, 200, seed)
        model = BayesianGLM.fresh(K, link, variance=1.0).learn(x, y)
        covered.append(np.abs(model.posterior.mean - TRUTH) < 1.96 * np.sqrt(model.posterior.variance))
    assert 0.92 < np.mean(covered) < 0.985


def test_gaussian_answers_give_the_textbook_posterior() -> None:
    x, y = world("gaussian", 50, 2)
    model = BayesianGLM.fresh(K, "gaussian", variance=2.0)
    for part in np.array_split(np.arange(50), 7):
        model = model.learn(x[part], y[part])
    precision = np.eye(K) / 2 + x.T @ x
    np.testing.assert_allclose(model.posterior.mean, np.linalg.solve(precision, x.T @ y), rtol=1e-10)
    np.testing.assert_allclose(model.posterior.variance, np.diag(np.linalg.inv(precision)), rtol=1e-10)


def test_probit_in_one_pass_is_graepels_recursion() -> None:
    x, y = world("probit", 40, 3)
    model = BayesianGLM.fresh(K, "probit", covariance="diagonal").learn(x, y)
    mean, variance = np.zeros(K), np.ones(K)
    from scipy.stats import norm

    for row, answer in zip(x, y, strict=True):
        sign = 2 * answer - 1
        total = 1 + row**2 @ variance
        t = sign * (row @ mean) / np.sqrt(total)
        v = norm.pdf(t) / norm.cdf(t)
        mean = mean + sign * row * variance / np.sqrt(total) * v
        variance = variance * (1 - row**2 * variance / total * v * (v + t))
    np.testing.assert_allclose(model.posterior.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(model.posterior.variance, variance, rtol=1e-9)


@pytest.mark.parametrize("link", ["probit", "logit", "poisson"])
def test_replay_in_full_is_the_mode(link: str) -> None:
    x, y = world(link, 400, 4)
    model = BayesianGLM.fresh(K, link, variance=0.5).replay(x, y)
    first, second = model.link.slope(y, x @ model.posterior.mean)
    np.testing.assert_allclose(first @ x - model.posterior.mean / 0.5, 0.0, atol=1e-6)
    precision = np.eye(K) / 0.5 + (x.T * second) @ x
    np.testing.assert_allclose(np.linalg.inv(np.asarray(precision)).diagonal(), model.posterior.variance, rtol=1e-6)


def test_one_batch_of_logit_answers_is_the_replay() -> None:
    x, y = world("logit", 300, 5)
    fresh = BayesianGLM.fresh(K, "logit")
    np.testing.assert_allclose(fresh.learn(x, y).posterior.mean, fresh.replay(x, y).posterior.mean, rtol=1e-7)


@pytest.mark.parametrize("kind", ["diagonal", "grouped"])
def test_replay_does_not_depend_on_the_order(kind: str) -> None:
    x, y = world("probit", 60, 6)
    fresh = BayesianGLM.fresh(K, "probit", **KINDS[kind])
    order = np.random.default_rng(0).permutation(60)
    one, other = fresh.replay(x, y), fresh.replay(x[order], y[order])
    np.testing.assert_allclose(one.posterior.mean, other.posterior.mean, rtol=0, atol=1e-5)
    # One pass does: that is what the replay is for.
    assert np.abs(fresh.learn(x, y).posterior.mean - fresh.learn(x[order], y[order]).posterior.mean).max() > 1e-5


def test_it_agrees_with_the_conditional_logit_where_they_overlap() -> None:
    x, y = world("logit", 500, 7)
    table = pa.table(
        {
            "case": np.repeat(np.arange(500), 2),
            "alternative": np.tile(["yes", "no"], 500),
            "chosen": np.column_stack([y, 1 - y]).reshape(-1),
            **{f"x{k}": np.column_stack([x[:, k], np.zeros(500)]).reshape(-1) for k in range(K)},
        }
    )
    fit = Logit(" + ".join(f"x{k}" for k in range(K)), ridge=0.25).fit(ChoiceLog.from_table(table), errors="classic")
    model = BayesianGLM.fresh(K, "logit", variance=4.0).replay(x, y)
    np.testing.assert_allclose(model.posterior.mean, fit.params, rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(model.posterior.variance), fit.standard_errors("classic"), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", ["probit", "logit", "poisson"])
def test_what_was_learned_can_be_taken_out(link: str, kind: str) -> None:
    x, y = world(link, 120, 8)
    before = BayesianGLM.fresh(K, link, **KINDS[kind]).learn(x[:60], y[:60])
    after, sites = before.learned(x[60:], y[60:])
    back = after.without(sites)
    np.testing.assert_allclose(back.posterior.mean, before.posterior.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(back.posterior.variance, before.posterior.variance, rtol=1e-9)
    assert back.n_answers == 60

    def empty(model: BayesianGLM) -> None:
        for _ in range(40):
            model = model.without(sites)

    with pytest.raises(EvidenceError, match="no proper belief is left"):
        empty(back)


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 40))
def test_a_posterior_stays_proper_through_any_coming_and_going(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    model = BayesianGLM.fresh(K, "logit", variance=float(rng.uniform(0.01, 100)))
    inside: list[Any] = []
    for _ in range(steps):
        if inside and rng.random() < 0.5:
            model = model.without(inside.pop(int(rng.integers(len(inside)))))
        else:
            x = rng.standard_normal((int(rng.integers(1, 5)), K)) * 10 ** rng.uniform(-3, 2)
            model, sites = model.learned(x, (rng.random(len(x)) < 0.5).astype(float))
            inside.append(sites)
        assert (model.posterior.variance > 0).all()
        assert np.isfinite(model.posterior.mean).all()
    for sites in inside:
        model = model.without(sites)
    np.testing.assert_allclose(model.posterior.variance, model.prior.variance, rtol=1e-4)


def test_ten_million_answers_may_come_and_go() -> None:
    x, y = world("logit", 200, 16)
    start = BayesianGLM.fresh(K, "logit").learn(x[:100], y[:100])
    after, sites = start.learned(x[100:], y[100:])
    posterior = start.posterior
    assert isinstance(posterior, FullPosterior)
    assert isinstance(sites, FullSites)
    for _ in range(50_000):  # a hundred answers each time, to and fro
        posterior = posterior.changed(sites, 1.0).changed(sites, -1.0)
    np.testing.assert_allclose(posterior.mean, start.posterior.mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(posterior.variance, start.posterior.variance, rtol=1e-9)
    np.testing.assert_allclose(posterior.changed(sites, 1.0).mean, after.posterior.mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_rows_are_dense_rows(kind: str) -> None:
    x, y = world("probit", 50, 9)
    x[np.abs(x) < 0.7] = 0.0
    fresh = BayesianGLM.fresh(K, "probit", **KINDS[kind])
    one, other = fresh.learn(x, y), fresh.learn(Rows.of_dense(x), y)
    np.testing.assert_allclose(one.posterior.mean, other.posterior.mean, rtol=1e-12)
    np.testing.assert_allclose(one.expected(x).mean, other.expected(Rows.of_dense(x)).mean, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_every_bit(kind: str, tmp_path: Path) -> None:
    x, y = world("logit", 80, 10)
    model = BayesianGLM.fresh(K, "logit", **KINDS[kind]).learn(x, y)
    again = BayesianGLM.load(model.save(tmp_path / "model.json"))
    assert again.posterior.mean.tobytes() == model.posterior.mean.tobytes()
    assert again.learn(x, y).posterior.mean.tobytes() == model.learn(x, y).posterior.mean.tobytes()
    assert again.draws(3, seed=1).tobytes() == model.draws(3, seed=1).tobytes()
    newer = model.to_dict() | {"format": 2}
    with pytest.raises(SpecificationError, match="format 2, which this version does not know"):
        BayesianGLM.from_dict(newer)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_of_the_posterior(kind: str) -> None:
    x, y = world("logit", 80, 11)
    model = BayesianGLM.fresh(K, "logit", **KINDS[kind]).learn(x, y)
    draws = model.draws(40_000, seed=2)
    np.testing.assert_allclose(draws.mean(axis=0), model.posterior.mean, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), model.posterior.variance, rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_that_drifts_is_followed_by_fading(kind: str) -> None:
    rng = np.random.default_rng(12)
    keeping, fading = (BayesianGLM.fresh(K, "gaussian", **KINDS[kind]) for _ in range(2))
    for step in range(60):
        x = rng.standard_normal((20, K))
        y = x @ (TRUTH if step < 40 else -TRUTH) + rng.standard_normal(20)
        keeping, fading = keeping.learn(x, y), fading.faded(0.8).learn(x, y)
    assert np.abs(fading.posterior.mean + TRUTH).max() < 0.35
    assert np.abs(keeping.posterior.mean + TRUTH).max() > 0.6
    np.testing.assert_allclose(keeping.faded(1.0).posterior.mean, keeping.posterior.mean, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_new_parameters_start_from_their_prior_and_leave_the_others(kind: str) -> None:
    x, y = world("probit", 60, 13)
    model = BayesianGLM.fresh(K, "probit", **KINDS[kind]).learn(x, y)
    grown = model.extended(np.array([0.5]), np.array([0.2]))
    np.testing.assert_allclose(grown.posterior.mean, [*model.posterior.mean, 0.5], rtol=1e-9)
    np.testing.assert_allclose(grown.posterior.variance, [*model.posterior.variance, 0.2], rtol=1e-9)
    more = grown.learn(np.column_stack([x[:5], np.ones(5)]), y[:5])
    assert more.posterior.variance[-1] < 0.2


def test_expectations_are_calibrated_and_intervals_hold_the_truth() -> None:
    x, y = world("logit", 4000, 14)
    model = BayesianGLM.fresh(K, "logit").learn(x[:2000], y[:2000])
    assert model.calibration(x[2000:], y[2000:]).error < 0.04
    expected = model.expected(x[2000:])
    inside = (expected.low < LogitLink().mean(x[2000:] @ TRUTH)) & (LogitLink().mean(x[2000:] @ TRUTH) < expected.high)
    assert inside.mean() > 0.8
    assert (expected.low < expected.mean).all()


def test_bad_input_is_refused_and_nothing_learned() -> None:
    model = BayesianGLM.fresh(K, "logit")
    x, y = world("logit", 10, 15)
    with pytest.raises(SpecificationError, match="3 features for a model of 4"):
        model.learn(x[:, :3], y)
    with pytest.raises(SpecificationError, match="9 answers for 10 rows"):
        model.learn(x, y[:9])
    x[2, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        model.learn(x, y)
    x[2, 1] = -1e200
    for rows in (x, Rows.of_dense(x)):
        with pytest.raises(
            DataError, match=r"a feature of -1e\+200, whose square is beyond .*\n.*measure it in a unit"
        ):
            model.learn(rows, y)
    with pytest.raises(SpecificationError, match="a level must lie between 0 and 1"):
        model.expected(world("logit", 10, 15)[0], level=1.0)
    with pytest.raises(DataError, match="not 0 or 1"):
        model.learn(world("logit", 10, 15)[0], y + 0.5)
    with pytest.raises(SpecificationError, match="variances must be finite numbers above zero"):
        BayesianGLM.fresh(K, variance=0.0)
    with pytest.raises(SpecificationError, match="did you mean 'full'"):
        BayesianGLM.fresh(K, covariance="ful")
    with pytest.raises(SpecificationError, match="share to keep"):
        model.faded(0.0)
    with pytest.raises(SpecificationError, match="needs the group of each"):
        BayesianGLM.fresh(K, covariance="grouped")


@pytest.mark.parametrize("link", [Probit(), LogitLink(), PoissonLink()], ids=lambda link: link.name)
def test_all_answers_equal_stays_finite(link: Link) -> None:
    x = np.ones((5000, 1))
    model = BayesianGLM.fresh(1, link).learn(x, np.zeros(5000))
    assert np.isfinite(model.posterior.mean).all()
    assert link.mean(model.posterior.mean)[0] < 0.01

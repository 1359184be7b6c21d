"""Delay laws, their estimates, and the curves to check them against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from revealed.decide.delay import Waits, WeibullDelay, delay_curve, fit_conversions, fit_delays, kaplan_meier, misfit
from revealed.decide.delay.conversion import conversion_evidence
from revealed.decide.delay.laws import law_from_dict, no_covariates
from revealed.decide.delay.truncated import truncated_evidence
from revealed.errors import DataError, SpecificationError

BETA, GAMMA, SHAPE = np.array([-0.4, 0.8]), np.array([-1.0, 0.5]), 0.7


def world(n: int, seed: int, shape: float = SHAPE, longest: float = 12.0) -> tuple[np.ndarray, Waits]:
    generator = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), generator.normal(size=n)])
    z = generator.integers(0, 2, size=(n, 1)).astype(float)
    converts = generator.random(n) < 1 / (1 + np.exp(-x @ BETA))
    delay = WeibullDelay(GAMMA, shape).draw(generator, z)
    elapsed = generator.uniform(0, longest, n)
    return x, Waits.of(np.where(converts & (delay <= elapsed), delay, np.nan), elapsed, z)


def test_the_law_is_scipys_weibull():
    law = WeibullDelay(np.array([np.log(0.2), 0.3]), 1.7)
    z = np.array([[0.0], [2.0]])
    theirs = stats.weibull_min(1.7, scale=1 / (0.2 * np.exp(0.3 * z[:, 0])))
    at = np.array([1.3, 4.0])
    np.testing.assert_allclose(law.survival(at, z), theirs.sf(at), rtol=1e-12)
    np.testing.assert_allclose(law.log_density(at, z), theirs.logpdf(at), rtol=1e-12)
    np.testing.assert_allclose(law.mean(z), theirs.mean(), rtol=1e-12)
    np.testing.assert_allclose(law.quantile(0.3, z), theirs.ppf(0.3), rtol=1e-12)
    assert law.survival(np.array([1e300, 0.0]), z).tolist() == [0.0, 1.0]
    drawn = law.draw(np.random.default_rng(0), np.zeros((40_000, 1)))
    assert stats.kstest(drawn, theirs.dist(1.7, scale=5.0).cdf).pvalue > 0.01
    again = law_from_dict(law.to_dict())
    assert again.to_dict() == law.to_dict()


def test_a_law_is_made_from_its_mean_and_refuses_nonsense():
    for shape in (1.0, 0.5):
        assert WeibullDelay.with_mean(7.0, shape).mean(no_covariates(1))[0] == pytest.approx(7.0)
    with pytest.raises(SpecificationError, match="a mean delay must be a finite number above zero, not 0"):
        WeibullDelay.with_mean(0)
    with pytest.raises(SpecificationError, match="shape of a delay law"):
        WeibullDelay(np.zeros(1), float("nan"))
    with pytest.raises(SpecificationError, match="constant and finite coefficients"):
        WeibullDelay(np.zeros(0))
    with pytest.raises(SpecificationError, match="2 delay covariates for a law of 0; give the same ones"):
        WeibullDelay(np.zeros(1)).survival(np.ones(3), np.ones((3, 2)))
    with pytest.raises(SpecificationError, match="no delay law 'gamma'"):
        law_from_dict({"law": "gamma"})


# ---- estimates ----------------------------------------------------------------------------------------------------


def test_both_likelihoods_agree_with_automatic_differentiation():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    x, waits = world(60, seed=1)
    design = np.column_stack([np.ones(60), waits.covariates])
    came = waits.answered
    params = np.array([-0.2, 0.5, -0.8, 0.3, -0.25])

    def hazard(gamma: Any, time: np.ndarray) -> Any:
        shape = jnp.exp(gamma[2])
        return (jnp.exp(design @ gamma[:2]) * time) ** shape, shape

    def density(gamma: Any) -> Any:
        total, shape = hazard(gamma, waits.time)
        return jnp.log(shape) + jnp.log(total) - jnp.log(waits.time) - total  # k λ (λd)^(k-1) exp(-(λd)^k)

    def joint(theta: Any) -> Any:  # Chapelle 2014: log p + log f(d), or log(1 - p + p S(e))
        p = 1 / (1 + jnp.exp(-x @ theta[:2]))
        silent = jnp.log(1 - p + p * jnp.exp(-hazard(theta[2:], waits.time)[0]))
        return jnp.sum(jnp.where(came, jnp.log(p) + density(theta[2:]), silent))

    def truncated(gamma: Any) -> Any:
        seen = density(gamma) - jnp.log(1 - jnp.exp(-hazard(gamma, waits.elapsed)[0]))
        return jnp.sum(jnp.where(came, seen, 0.0))

    for function, point, found in (
        (joint, params, conversion_evidence(x, waits, params, "weibull")),
        (truncated, params[2:], truncated_evidence(waits, params[2:], "weibull")),
    ):
        with jax.enable_x64(True):
            assert found.log_likelihood == pytest.approx(float(function(point)), rel=1e-10)
            np.testing.assert_allclose(
                found.score, np.asarray(jax.jit(jax.grad(function))(point)), rtol=1e-8, atol=1e-9
            )
            np.testing.assert_allclose(
                found.information, -np.asarray(jax.jit(jax.hessian(function))(point)), rtol=1e-7, atol=1e-8
            )


def test_the_exponential_law_is_the_weibull_of_shape_one():
    x, waits = world(60, seed=1)
    both, delay = np.array([-0.2, 0.5, -0.8, 0.3]), np.array([-0.8, 0.3])
    for one, other in (
        (
            conversion_evidence(x, waits, both, "exponential"),
            conversion_evidence(x, waits, np.append(both, 0), "weibull"),
        ),
        (truncated_evidence(waits, delay, "exponential"), truncated_evidence(waits, np.append(delay, 0), "weibull")),
    ):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-14)
        np.testing.assert_allclose(one.score, other.score[:-1], rtol=1e-12)
        np.testing.assert_allclose(one.information, other.information[:-1, :-1], rtol=1e-12)


def test_who_answers_and_how_late_are_recovered_with_honest_errors():
    truth = np.concatenate([BETA, GAMMA, [np.log(SHAPE)]])
    inside, away = np.zeros(5), []
    for seed in range(40):
        x, waits = world(1500, seed)
        fit = fit_conversions(x, waits)
        assert fit.status.sound
        z = (fit.params - truth) / fit.standard_errors
        inside += np.abs(z) < 1.96
        away.append(z)
    assert (inside >= 34).all(), inside  # 95% of 40, less three standard deviations
    assert (np.abs(np.mean(away, axis=0)) < 3.2 / np.sqrt(40)).all()


def test_delays_are_recovered_from_the_answers_alone():
    truth = np.concatenate([GAMMA, [np.log(SHAPE)]])
    inside = np.zeros(3)
    for seed in range(40):
        fit = fit_delays(world(1500, seed)[1])
        inside += np.abs(fit.params - truth) < 1.96 * fit.standard_errors
    assert (inside >= 34).all(), inside


def test_taking_silence_for_a_no_understates_what_the_joint_fit_gets_right():
    x, waits = world(4000, seed=3, longest=4.0)
    fit = fit_conversions(x, waits)
    share = float(np.mean(1 / (1 + np.exp(-x @ BETA))))
    assert waits.answered.mean() < 0.7 * share
    assert abs(fit.probability(x).mean() - share) < 0.06


def test_an_exponential_world_has_shape_one_and_names_are_checked():
    x, waits = world(3000, seed=5, shape=1.0)
    fit = fit_conversions(x, waits)
    assert abs(np.log(fit.law.shape)) < 2.5 * fit.standard_errors[-1]
    assert fit.names == ("x0", "x1", "log rate", "log rate: z0", "log shape")
    assert fit_conversions(x, waits, "exponential").law.shape == 1.0
    with pytest.raises(SpecificationError, match="no delay law 'weibul'; did you mean 'weibull'"):
        fit_delays(waits, "weibul")


# ---- curves -------------------------------------------------------------------------------------------------------


def test_kaplan_meier_is_the_share_left_and_its_plateau_those_who_never_answer():
    delay = np.array([3.0, 1.0, np.nan, 2.0])
    curve = kaplan_meier(Waits.of(delay, np.full(4, 9.0)))
    np.testing.assert_allclose(curve.share, [0.75, 0.5, 0.25])
    np.testing.assert_allclose(curve.error, np.sqrt(curve.share * (1 - curve.share) / 4))  # Greenwood is binomial then
    x, waits = world(6000, seed=2, longest=60.0)
    never = 1 - np.mean(1 / (1 + np.exp(-x @ BETA)))
    curve = kaplan_meier(waits)
    assert abs(curve.plateau - never) < 3 * curve.error[-1] + 0.01


def test_the_delay_curve_is_lynden_bells_and_undoes_truncation():
    _, waits = world(80, seed=4)
    delays, watched = waits.time[waits.answered], waits.elapsed[waits.answered]
    curve = delay_curve(waits)
    for t, share in zip(curve.time, curve.share, strict=True):
        factor = 1.0
        for d in np.unique(delays[delays > t]):
            at_risk = np.count_nonzero((delays <= d) & (watched >= d))
            died = np.count_nonzero(delays == d)
            factor *= (at_risk - died) / at_risk if at_risk > died else 1.0
        assert share == pytest.approx(factor, rel=1e-12)
    generator = np.random.default_rng(0)
    delay, elapsed = generator.exponential(1.0, 20_000), generator.uniform(0, 3, 20_000)
    seen = Waits.of(np.where(delay <= elapsed, delay, np.nan), elapsed)
    curve = delay_curve(seen)
    by_one = curve.share[np.searchsorted(curve.time, 1.0) - 1] * (1 - np.exp(-3.0))
    assert abs(by_one - (1 - np.exp(-1))) < 0.02
    assert (seen.time[seen.answered] <= 1.0).mean() > (1 - np.exp(-1)) + 0.05  # what one would see without it
    assert misfit(seen, WeibullDelay.with_mean(1.0)) < 0.02
    assert misfit(seen, WeibullDelay.with_mean(0.3)) > 0.2


# ---- refusals -----------------------------------------------------------------------------------------------------


def test_waits_are_checked_all_at_once():
    with pytest.raises(DataError) as caught:
        Waits.of(np.array([-1.0, np.inf, 5.0, np.nan]), np.array([3.0, 3.0, 4.0, np.inf]))
    assert [problem.what for problem in caught.value.problems] == [
        "delays below zero",
        "infinite delays",
        "elapsed times that are negative or not finite",
        "answers after the end of the log",
    ]
    assert caught.value.problems[-1].rows == (2, 3)
    with pytest.raises(DataError, match="2 delays for 1 elapsed times"):
        Waits.of(np.zeros(2), np.zeros(1))
    with pytest.raises(DataError, match="covariates that are not finite"):
        Waits.of(np.ones(1), np.ones(1), np.array([[np.nan]]))
    nobody = Waits.of(np.full(3, np.nan), np.ones(3))
    for refused in (fit_delays, kaplan_meier, delay_curve, lambda waits: fit_conversions(np.ones((3, 1)), waits)):
        with pytest.raises(DataError, match="no answer has come yet"):
            refused(nobody)
    with pytest.raises(DataError, match=r"(?s)2 rows of features for 3 waits.*not finite"):
        fit_conversions(np.full((2, 1), np.inf), nobody)


def test_an_answer_at_once_took_half_a_tick():
    assert Waits.of(np.array([0.0, 4.0, 2.0, np.nan]), np.full(4, 5.0)).time.tolist() == [1.0, 4.0, 2.0, 5.0]
    assert Waits.of(np.array([0.0]), np.array([0.0])).elapsed.tolist() == [0.5]

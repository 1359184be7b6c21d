"""Links: derivatives by differences, sites by quadrature, and the same numbers one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from revealed.errors import DataError, SpecificationError
from revealed.models.glm.links import (
    GaussianLink,
    Link,
    LogitLink,
    PoissonLink,
    Probit,
    link_from_dict,
    link_named,
)
from revealed.models.glm.tilt import tilt_of

ALL: list[Link] = [Probit(), LogitLink(), GaussianLink(0.7), PoissonLink()]
ANSWERS = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
PREDICTORS = np.array([0.3, -1.2, -4.0, 3.0, 0.0])


@pytest.mark.parametrize("link", ALL, ids=lambda link: link.name)
def test_slopes_are_the_derivatives_of_the_log_likelihood(link: Link) -> None:
    h = 1e-5
    first, second = link.slope(ANSWERS, PREDICTORS)
    up, at, down = (link.log_likelihood(ANSWERS, PREDICTORS + d) for d in (h, 0.0, -h))
    np.testing.assert_allclose(first, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(second, -(up - 2 * at + down) / h**2, rtol=2e-4, atol=1e-5)
    assert (second > 0).all()


@pytest.mark.parametrize("link", [Probit(), GaussianLink(0.7)], ids=lambda link: link.name)
@pytest.mark.parametrize(("answer", "mean", "variance"), [(1.0, 0.3, 0.5), (0.0, 1.0, 4.0), (1.0, -3.0, 2.0)])
def test_sites_match_the_moments_of_the_tilted_belief(link: Link, answer: float, mean: float, variance: float) -> None:
    def tilted(f: float) -> float:
        return float(
            np.exp(link.log_likelihood(np.array([answer]), np.array([f]))[0]) * norm.pdf(f, mean, variance**0.5)
        )

    reach = (mean - 12 * variance**0.5, mean + 12 * variance**0.5)
    moments = [quad(lambda f, k=k: f**k * tilted(f), *reach, epsabs=1e-13)[0] for k in range(3)]
    true_mean = moments[1] / moments[0]
    true_variance = moments[2] / moments[0] - true_mean**2
    precision, shift = (float(a[0]) for a in link.site(np.array([answer]), np.array([mean]), np.array([variance])))
    np.testing.assert_allclose(1 / (1 / variance + precision), true_variance, rtol=1e-7)
    np.testing.assert_allclose((mean / variance + shift) / (1 / variance + precision), true_mean, rtol=1e-7)


@pytest.mark.parametrize("link", [LogitLink(), PoissonLink()], ids=lambda link: link.name)
def test_laplace_sites_are_at_the_mode_of_the_tilted_belief(link: Link) -> None:
    means, variances = PREDICTORS / 2, np.array([0.5, 3.0, 1.0, 2.0, 10.0])
    precision, shift = link.site(ANSWERS, means, variances)
    mode = (means / variances + shift) / (1 / variances + precision)
    first, second = link.slope(ANSWERS, mode)
    np.testing.assert_allclose(first - (mode - means) / variances, 0.0, atol=1e-8)
    np.testing.assert_allclose(precision, second, rtol=1e-8)


@pytest.mark.parametrize("link", ALL, ids=lambda link: link.name)
def test_one_at_a_time_gives_the_same_numbers(link: Link) -> None:
    tilt = tilt_of(link)
    means, variances = PREDICTORS, np.array([0.5, 3.0, 1.0, 2.0, 10.0])
    precision, shift = link.site(ANSWERS, means, variances)
    for i in range(len(means)):
        first, second = tilt(float(ANSWERS[i]), float(means[i]), float(variances[i]))
        np.testing.assert_allclose(second / (1 - variances[i] * second), precision[i], rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose((first + means[i] * second) / (1 - variances[i] * second), shift[i], rtol=1e-7)


@pytest.mark.parametrize("variance", [1e-4, 1.0, 100.0, 1e6, 1e12])
@pytest.mark.parametrize("mean", [-1e5, -300.0, -5.0, 0.0, 5.0, 300.0, 1e5])
def test_the_mode_of_one_logit_answer_is_reached_however_far_it_is(mean: float, variance: float) -> None:
    """The mode of the tilted belief is ``mean + variance * (y - p)``: the root by bisection is the judge."""
    for answer in (0.0, 1.0):

        def missed(f: float, answer: float = answer) -> float:
            return (f - mean) / variance - (answer - expit(f))

        mode = brentq(missed, mean - variance - 1, mean + variance + 1, xtol=1e-13, rtol=1e-15, maxiter=500)
        slope = expit(-mode) if answer else -expit(mode)
        curvature = expit(mode) * expit(-mode)
        left = 1 + variance * curvature
        expected = (slope + curvature * (mode - mean)) / left, curvature / left
        np.testing.assert_allclose(tilt_of(LogitLink())(answer, mean, variance), expected, rtol=1e-7, atol=1e-13)


def test_a_link_of_ones_own_works_one_at_a_time_too() -> None:
    class Own(LogitLink):
        """A logit under another name."""

    for answer, mean, variance in zip(ANSWERS, PREDICTORS, [0.5, 3.0, 1.0, 2.0, 10.0], strict=True):
        np.testing.assert_allclose(
            tilt_of(Own())(float(answer), float(mean), variance), tilt_of(LogitLink())(float(answer), mean, variance)
        )


@pytest.mark.parametrize("mean", [-1e4, -50.0, 50.0, 1e4])
@pytest.mark.parametrize("link", [Probit(), LogitLink()], ids=lambda link: link.name)
def test_sites_far_out_are_finite(link: Link, mean: float) -> None:
    for answer in (0.0, 1.0):
        precision, shift = link.site(np.array([answer]), np.array([mean]), np.array([2.0]))
        assert np.isfinite(precision).all()
        assert np.isfinite(shift).all()
        assert (precision >= 0).all()
        assert np.isfinite(tilt_of(link)(answer, mean, 2.0)).all()


def test_expected_answers_are_expectations() -> None:
    rng = np.random.default_rng(0)
    f = 0.4 + 1.5 * rng.standard_normal(400_000)
    m, v = np.array([0.4]), np.array([1.5**2])
    for link, tolerance in ((Probit(), 2e-3), (LogitLink(), 2e-2), (PoissonLink(), 0.15), (GaussianLink(), 1e-2)):
        assert link.expected(m, v)[0] == pytest.approx(link.mean(f).mean(), abs=tolerance), link.name


@pytest.mark.parametrize("link", ALL, ids=lambda link: link.name)
def test_links_survive_files(link: Link) -> None:
    assert link_from_dict(link.to_dict()) == link


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="not 0 or 1: 2.0"):
        Probit().require(np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="not 0 or 1: nan"):
        LogitLink().require(np.array([np.nan]))
    with pytest.raises(DataError, match="not counts: 1.5"):
        PoissonLink().require(np.array([1.5]))
    with pytest.raises(DataError, match="not finite"):
        GaussianLink().require(np.array([np.inf]))
    with pytest.raises(SpecificationError, match="did you mean 'probit'"):
        link_named("probbit")
    with pytest.raises(SpecificationError, match="above zero"):
        GaussianLink(0.0)

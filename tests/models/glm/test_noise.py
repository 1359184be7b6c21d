"""The noise of Gaussian answers: estimated as they come, however they come, and never taken for less than is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from revealed.decide.specification import Learning
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.noise import NoiseEstimate
from tests.models.glm.test_glm import KINDS, K, world


def unknowing(kind: str = "full", variance: float = 2.0) -> BayesianGLM:
    return replace(BayesianGLM.fresh(K, "gaussian", variance=variance, **KINDS[kind]), noise=NoiseEstimate())


@pytest.mark.parametrize("variance", [2.0, 1e6])
def test_it_is_what_is_left_over_however_answers_are_cut(variance: float) -> None:
    x, y = world("gaussian", 60, 1)
    y = 500 + 30 * y
    model = unknowing(variance=variance)
    whole = model.learn(x, y)
    assert whole.noise is not None
    left = y - x @ whole.posterior.mean
    assert whole.noise.missed == pytest.approx(float(left @ left), rel=1e-9)
    assert isinstance(whole.posterior, FullPosterior)
    determined = np.sum(1 - whole.posterior.variance / whole.prior.variance)
    # What the prior expects, nothing, is among the answers that the start is from.
    start = np.sum((np.append(y, 0.0) - np.append(y, 0.0).mean()) ** 2) / 60
    assert whole.unit**2 == pytest.approx((left @ left + 3 * start) / (60 - determined + 1), rel=1e-9)
    np.testing.assert_allclose(whole.posterior.precision * whole.unit**2, np.eye(K) / variance + x.T @ x, rtol=1e-9)
    for size in (1, 7):
        cut = model
        for start in range(0, 60, size):
            cut = cut.learn(x[start : start + size], y[start : start + size])
        assert cut.unit == pytest.approx(whole.unit, rel=1e-9)
        np.testing.assert_allclose(cut.posterior.mean, whole.posterior.mean, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_from_a_few_answers_on_whatever_the_prior(kind: str) -> None:
    for n in (6, 60):
        for variance in (3.0, 1e4):
            within = []
            for seed in range(60):
                rng = np.random.default_rng(seed)
                x, truth = np.eye(K)[rng.integers(K, size=n)], 1000 * rng.standard_normal(K)
                learned = unknowing(kind, variance).learn(Rows.of_dense(x), x @ truth + 1000 * rng.standard_normal(n))
                away = np.abs(learned.posterior.mean - truth) / np.sqrt(learned.posterior.variance)
                within.append(away[x.any(axis=0)] < 1.96)
            assert np.concatenate(within).mean() > 0.91


def test_what_is_forgotten_makes_room_for_another_noise() -> None:
    rng = np.random.default_rng(0)
    x, quiet = world("gaussian", 400, 1)
    model = unknowing().learn(x, quiet)
    assert model.unit == pytest.approx(1.0, abs=0.1)
    for start in range(0, 400, 20):
        model = model.faded(0.8).learn(x[start : start + 20], 10 * rng.standard_normal(20))
    assert model.unit == pytest.approx(10.0, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_all_alike_and_files(kind: str) -> None:
    x, y = world("gaussian", 30, 2)
    alike = unknowing(kind).learn(x, np.zeros(30))
    assert (alike.unit, alike.n_answers) == (1.0, 30)
    late = alike.learn(x, y)
    assert np.isfinite(late.posterior.mean).all()
    assert late.noise is not None
    assert late.noise.weight == 60
    again = BayesianGLM.from_dict(json.loads(json.dumps(late.to_dict())))
    assert again.noise == late.noise
    assert again.learn(x, y).to_dict() == late.learn(x, y).to_dict()
    assert late.learn(x[:0], y[:0]).to_dict() == late.to_dict()


def test_what_cannot_be_is_refused() -> None:
    x, y = world("gaussian", 30, 2)
    model, sites = unknowing().learned(x, y)
    with pytest.raises(SpecificationError, match="the noise was estimated from these answers"):
        model.without(sites)
    with pytest.raises(DataError, match=r"squares are beyond what numbers hold: 1e\+200"):
        model.learn(x[:1], np.array([1e200]))


@pytest.mark.parametrize(("level", "keep", "batch"), [(0.0, 0.99, 10), (20.0, 0.9, 50), (100.0, 0.5, 20)])
def test_what_is_missed_is_the_sum_of_squares_however_much_is_forgotten(level: float, keep: float, batch: int) -> None:
    rng = np.random.default_rng(4)
    rows = np.eye(4)[rng.integers(0, 4, 400)]
    answers = rows @ rng.normal(size=4) + rng.normal(size=400) + level
    model, weight = Learning(link="gaussian").model(4, 1.0), np.zeros(0)
    for start in range(0, len(rows), batch):
        some = slice(start, start + batch)
        model = model.faded(keep).learn(rows[some], answers[some])
        weight = np.append(keep * weight, np.ones(batch))
    assert model.noise is not None

    def missed(one: BayesianGLM) -> float:
        return float(weight @ (answers - rows @ one.posterior.mean) ** 2)

    assert model.noise.missed == pytest.approx(missed(model), rel=1e-6)
    elsewhere = model.with_prior(np.full(4, 3.0), np.full(4, 2.0))
    assert elsewhere.noise is not None
    assert elsewhere.noise.missed == pytest.approx(missed(elsewhere), rel=1e-6)


def test_answers_learned_anew_tell_the_noise_anew() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(300, 3))
    answers = rows @ [1.0, -2.0, 0.5] + 40.0 * rng.normal(size=300)
    once = Learning(link="gaussian").model(3, 1.0).learn(rows, answers)
    again = once.replay(rows, answers)
    assert again.unit == pytest.approx(once.unit, rel=1e-6)
    assert 35 < again.unit < 45
    assert (again.n_answers, again.noise.weight) == (300, 300.0)  # type: ignore[union-attr]

"""The meta-prior by moments: unbiased, floored, and worth having."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revealed.decide.prior import MetaPrior, meta_prior_by_moments, restarted
from revealed.errors import SpecificationError
from revealed.models.glm.model import BayesianGLM

NAMES = ("main", "pair")


def fitted(seed: int, variances: tuple[float, float], center: float = 0.0, **options: Any) -> tuple[Any, ...]:
    """Return a first fit in which some parameters saw many answers and some few, the groups, rows and answers."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([0, 1], [60, 120])
    truth = rng.normal(center, np.sqrt(np.array(variances)[groups]))
    counts = rng.integers(0, 12, len(truth))
    rows = np.eye(len(truth))[np.repeat(np.arange(len(truth)), counts)]
    answers = rows @ truth + rng.standard_normal(len(rows))
    model = BayesianGLM.fresh(len(truth), "gaussian", **options).learn(rows, answers)
    return model, groups, rows, answers, truth


@pytest.mark.parametrize("first", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("known", [True, False])
def test_the_variance_is_unbiased_whatever_the_first_prior(first: float, known: bool) -> None:
    means = {"main": 0.7, "pair": 0.7} if known else None
    found = []
    for seed in range(40):
        model, groups, *_ = fitted(seed, (0.5, 0.05), 0.7, covariance="diagonal", variance=first, mean=0.3)
        prior = meta_prior_by_moments(model, groups, NAMES, means=means, floor=1e-12)
        # Before the floor: what is below it would bias the mean.
        found.append([group.variance for group in prior.groups if not group.floored])
    kept = [row for row in found if len(row) == 2]
    assert len(kept) > 0.7 * len(found)
    main = np.array([row[0] for row in kept])
    assert abs(main.mean() - 0.5) < 4 * main.std() / np.sqrt(len(main))


def test_the_mean_is_unbiased() -> None:
    fits = [fitted(seed, (0.5, 0.05), 0.7) for seed in range(60)]
    centers = [meta_prior_by_moments(model, groups, NAMES)["pair"].mean for model, groups, *_ in fits]
    assert abs(np.mean(centers) - 0.7) < 4 * np.std(centers) / np.sqrt(60)


def test_a_group_that_does_not_vary_is_floored_and_says_so() -> None:
    fits = [fitted(seed, (0.5, 1e-9)) for seed in range(20)]
    floored = [meta_prior_by_moments(model, groups, NAMES)["pair"] for model, groups, *_ in fits]
    assert any(group.floored for group in floored)
    assert all(group.variance >= 1e-4 for group in floored)
    assert all(group.variance < 0.1 for group in floored)


def test_to_start_again_from_the_prior_brings_the_estimates_nearer_to_the_truth() -> None:
    gains = []
    for seed in range(10):
        model, groups, rows, answers, truth = fitted(seed, (0.5, 0.02))
        again = restarted(model, meta_prior_by_moments(model, groups, NAMES), groups, rows, answers)
        before, after = (np.mean((m.posterior.mean - truth) ** 2) for m in (model, again))
        gains.append(after / before)
        # Gaussian answers: to swap the prior is to replay.
        prior = meta_prior_by_moments(model, groups, NAMES)
        swapped = model.with_prior(prior.mean_of(groups), prior.variance_of(groups))
        np.testing.assert_allclose(swapped.posterior.mean, again.posterior.mean, rtol=1e-7, atol=1e-10)
    assert np.mean(gains) < 0.7


@pytest.mark.parametrize(
    "options", [{"covariance": "diagonal"}, {"covariance": "grouped", "groups": np.arange(180) // 60}]
)
def test_any_kind_of_covariance_can_start_again(options: dict[str, Any]) -> None:
    model, groups, rows, answers, _ = fitted(3, (0.5, 0.02), **options)
    prior = meta_prior_by_moments(model, groups, NAMES)
    again = restarted(model, prior, groups, rows, answers)
    np.testing.assert_allclose(again.prior.variance, prior.variance_of(groups), rtol=1e-9)
    assert again.n_answers == len(answers)


def test_what_was_never_seen_keeps_the_first_prior() -> None:
    model = BayesianGLM.fresh(3, "logit", variance=2.0)
    prior = meta_prior_by_moments(model, np.array([0, 0, 1]), NAMES)
    assert (prior["main"].mean, prior["main"].n_learned) == (0.0, 0)
    assert prior["main"].variance == pytest.approx(2.0)
    assert MetaPrior.from_dict(prior.to_dict()).groups == prior.groups


def test_bad_input() -> None:
    model = BayesianGLM.fresh(3, "logit")
    with pytest.raises(SpecificationError, match="need a group each"):
        meta_prior_by_moments(model, np.array([0, 0, 2]), NAMES)
    with pytest.raises(SpecificationError, match="did you mean 'main'"):
        meta_prior_by_moments(model, np.array([0, 0, 1]), NAMES, means={"mian": 0.0})
    with pytest.raises(SpecificationError, match="floor must be"):
        meta_prior_by_moments(model, np.array([0, 0, 1]), NAMES, floor=0.0)
    with pytest.raises(SpecificationError, match="did you mean 'pair'"):
        _ = meta_prior_by_moments(model, np.array([0, 0, 1]), NAMES)["pari"]

"""Explorers: what they show is what their propensities say, alone or with others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from revealed.decide.explore import (
    EpsilonGreedy,
    Explorer,
    Greedy,
    Limits,
    Thompson,
    TopTwo,
    UpperConfidence,
)
from revealed.decide.explore.draws import half_of, members_of, uniforms_of
from revealed.decide.explore.outlook import Source
from revealed.decide.explore.sparse import condensed
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import LogitLink

RULES: list[Any] = [Thompson(), Thompson(1.0), TopTwo(), UpperConfidence(), EpsilonGreedy(0.2), Greedy()]
LIMITS = [Limits(), Limits(0.02, 0.7)]


def posterior_of(k: int = 5, seed: int = 0, answers: int = 60) -> FullPosterior:
    """Return a posterior that has learned a little."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(answers, k))
    prior = FullPosterior.independent(np.zeros(k), np.ones(k))
    return prior.learn(LogitLink(), rows, (rng.random(answers) < 0.3).astype(float))[0]


def moments(n: int, actions: int = 4, k: int = 5, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, actions, k))


def pool_of(seed: int, block: int, size: int, k: int) -> np.ndarray:
    """Return all of a pool: the mirror images come second."""
    half = half_of(seed, block, size, k)
    return np.concatenate([half, -half])[:size]


# ---- the draws ------------------------------------------------------------------------------------------------------


def test_the_numbers_of_a_decision_never_change() -> None:
    """Logged decisions are evaluated years later, elsewhere: these are what seed 7 gives."""
    half = [[-2.057713, -0.855918], [-0.782409, 0.033753], [0.855918, -2.057713], [-0.033753, -0.782409]]
    assert half_of(7, 3, 8, 2).round(6).tolist() == half  # the last two are the first two turned
    assert members_of(7, 3, 5).tolist() == [4, 4, 3, 0, 4]
    assert uniforms_of(7, 3, 5)[:2].round(6).tolist() == [0.067058, 0.698973]


def test_draws_are_standard_normal_and_each_decision_has_its_own() -> None:
    blocks = [pool_of(0, block, 256, 3) for block in range(40)]
    every = np.concatenate(blocks)
    assert np.abs(every.mean(axis=0)).max() < 1e-12  # mirror images
    assert np.abs(np.cov(every.T) - np.eye(3)).max() < 0.05
    assert norm.cdf(1) - norm.cdf(-1) == pytest.approx((np.abs(every) < 1).mean(), abs=0.01)
    members = np.concatenate([members_of(0, block, 256) for block in range(40)])
    assert np.bincount(members, minlength=256).std() == pytest.approx(np.sqrt(40), rel=0.2)


@pytest.mark.parametrize("k", [1, 4, 5])
def test_a_draw_and_its_turned_image_are_independent_in_every_contrast(k: int) -> None:
    """x'z and x'Jz have the covariance x'J'x, which is zero, as J is antisymmetric: estimated, and for each x."""
    halves = np.concatenate([half_of(1, block, 256, k).reshape(2, 64, k) for block in range(300)], axis=1)
    cross = halves[0].T @ halves[1] / halves.shape[1]
    np.testing.assert_allclose(halves[1].T @ halves[1] / halves.shape[1], np.eye(k), atol=0.05)
    assert np.abs(cross + cross.T).max() < 4 * 2 / np.sqrt(halves.shape[1])  # what x'Jx sums
    if k == 4:
        np.testing.assert_allclose((halves[0] * halves[1]).sum(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose((halves[0] ** 2).sum(axis=1), (halves[1] ** 2).sum(axis=1), atol=1e-12)


def test_neighbours_share_no_numbers() -> None:
    """Any bit of the seed or the block that changes, changes half of the bits of the first numbers."""

    def bits(seed: int, block: int) -> np.ndarray:
        return np.unpackbits((uniforms_of(seed, block, 16) * 2.0**32).astype(np.uint32).view(np.uint8))

    pairs = [pair for bit in range(63) for pair in ((1 << bit, 0), (0, 1 << bit))]
    changed = np.array([bits(0, 0) != bits(*pair) for pair in pairs])
    assert np.abs(changed.mean(axis=1) - 0.5).max() < 5 * 0.5 / np.sqrt(changed.shape[1])
    assert changed.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(changed.size))
    normals = np.array([half_of(0, block, 64, 20)[:16].ravel() for block in range(200)])
    assert np.abs(np.corrcoef(normals) - np.eye(200)).max() < 5.5 / np.sqrt(320)


@pytest.mark.parametrize("size", [1, 5, 6, 256])
def test_a_decision_has_its_member_of_the_pool_however_it_is_drawn(size: int) -> None:
    """Alone, with some others, or out of the pool: its normals' own, whichever half they are of."""
    posterior = posterior_of()
    pool = posterior.draw(0.5 * pool_of(3, 2, size, 5))
    members = members_of(3, 2, size)
    numbers = np.arange(2 * size, 3 * size)
    np.testing.assert_allclose(Source(3, size).pool(posterior, 0.5, 2), pool, atol=1e-12)
    np.testing.assert_allclose(Source(3, size).drawn_many(posterior, 0.5, 2, numbers), pool[members], atol=1e-12)
    source = Source(3, size)
    for place, number in enumerate(numbers[:12].tolist()):  # first drawn alone, then from the pool
        expected = pool[members[place]]
        np.testing.assert_allclose(source.drawn(posterior, 0.5, number), expected, atol=1e-12)
        few = Source(3, size).drawn_many(posterior, 0.5, 2, numbers[place : place + 1])
        np.testing.assert_allclose(few[0], expected, atol=1e-12)


def test_one_draw_a_decision_not_one_a_batch() -> None:
    flat = FullPosterior.independent(np.zeros(20), np.ones(20))
    same = np.broadcast_to(np.eye(20), (200, 20, 20))
    shown = Explorer().pick_many(flat, same, np.arange(200))
    assert len(set(shown.tolist())) == 20
    assert np.corrcoef(shown[:-1], shown[1:])[0, 1] == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("rule", RULES)
def test_the_same_decision_in_any_batching(rule: Any, limits: Limits) -> None:
    posterior, features = posterior_of(), moments(60)
    numbers = np.arange(230, 290)  # two pools
    eligible = np.random.default_rng(2).random((60, 4)) < 0.7
    eligible[:, 1] = True
    explorer = Explorer(rule, seed=3, limits=limits)
    together = explorer.choose_many(posterior, features, numbers, eligible)
    assert together.actions.tolist() == explorer.pick_many(posterior, features, numbers, eligible).tolist()
    backwards = Explorer(rule, seed=3, limits=limits).pick_many(
        posterior, features[::-1], numbers[::-1], eligible[::-1]
    )
    assert together.actions.tolist() == backwards[::-1].tolist()
    later = explorer.propensities(posterior, features, numbers, together.actions, eligible)
    np.testing.assert_allclose(together.propensities, later, atol=1e-12)
    for i in range(60):
        number = int(numbers[i])
        alone = explorer.choose(posterior, features[i], number, eligible[i])
        assert alone.action == together.actions[i] == explorer.pick(posterior, features[i], number, eligible[i])
        assert alone.propensity == pytest.approx(together.propensities[i], abs=1e-12)
        chances = explorer.probabilities(posterior, features[i], number, eligible[i])
        assert chances.sum() == pytest.approx(1, abs=1e-12)
        assert (chances[~eligible[i]] == 0).all()
        assert alone.propensity == pytest.approx(chances[alone.action], abs=1e-12)
    assert eligible[np.arange(60), together.actions].all()


def test_another_posterior_is_noticed() -> None:
    before, after, features = posterior_of(seed=1), posterior_of(seed=2), moments(40)
    explorer = Explorer(seed=5)
    for _ in range(2):
        for posterior in (before, after):
            fresh = [Explorer(seed=5).pick(posterior, features[i], i) for i in range(40)]
            assert [explorer.pick(posterior, features[i], i) for i in range(40)] == fresh


# ---- propensities ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_thompson_is_probability_matching(width: float) -> None:
    """Two actions: the first is the best with probability Φ of the standardised difference."""
    posterior = FullPosterior.independent(np.array([0.3, 0.0]), np.array([0.5, 0.2]))
    features = np.broadcast_to(np.eye(2), (40, 2, 2))
    explorer = Explorer(Thompson(width))
    numbers = np.arange(40) * 256  # a pool each
    exact = norm.cdf(0.3 / np.sqrt(0.7) / width)
    chances = [explorer.probabilities(posterior, features[0], int(number))[0] for number in numbers]
    error = np.sqrt(exact * (1 - exact) / (256 * 40))
    assert np.mean(chances) == pytest.approx(exact, abs=4 * error)


@pytest.mark.parametrize("limits", [Limits(), Limits(0.1, 0.6)])
@pytest.mark.parametrize("rule", [Thompson(1.0), TopTwo(), EpsilonGreedy(0.3)])
def test_actions_are_shown_as_often_as_their_propensities_say(rule: Any, limits: Limits) -> None:
    n = 2000
    posterior, features = posterior_of(answers=10), moments(n)
    explorer = Explorer(rule, seed=11, limits=limits)
    numbers = np.arange(n)
    chosen = explorer.choose_many(posterior, features, numbers)
    chances = np.array([explorer.probabilities(posterior, features[i], i) for i in range(0, n, 10)])
    assert (chosen.propensities >= max(limits.floor, 1 / 256 if rule == Thompson(1.0) else 1e-6) - 1e-12).all()
    # Martingale: shown less its probability has mean zero given all before.
    for action in range(4):
        surplus = (chosen.actions[::10] == action) - chances[:, action]
        spread = np.sqrt((chances[:, action] * (1 - chances[:, action])).sum())
        assert abs(surplus.sum()) < 4 * spread
    # So weighting by 1 / propensity is unbiased for showing any action at all: each counts once.
    weights = 1 / chosen.propensities
    if limits.floor:
        for action in range(4):
            weighted = weights * (chosen.actions == action)
            assert weighted.mean() == pytest.approx(1, abs=4 * weighted.std() / np.sqrt(n))


def test_top_two_is_russos_algorithm() -> None:
    """Its closed form against the algorithm itself, on the same pool."""
    posterior, features = posterior_of(answers=8), moments(1)[0]
    explorer = Explorer(TopTwo(beta=0.4))
    pool = posterior.draw(pool_of(0, 0, 256, 5))
    best = (pool @ features.T).argmax(axis=1)
    rng = np.random.default_rng(0)
    counts, n = np.zeros(4), 40_000
    for _ in range(n):
        shown = best[rng.integers(256)]
        if rng.random() >= 0.4:
            while (other := best[rng.integers(256)]) == shown:
                pass
            shown = other
        counts[shown] += 1
    exact = explorer.probabilities(posterior, features, 0)
    assert (np.abs(counts / n - exact) < 4 * np.sqrt(exact * (1 - exact) / n) + 1e-12).all()


def test_top_two_shows_the_only_one_there_is() -> None:
    sure = FullPosterior.independent(np.array([5.0, 0.0]), np.full(2, 1e-6))
    assert Explorer(TopTwo()).probabilities(sure, np.eye(2), 0).tolist() == [1.0, 0.0]


def test_rules_without_draws() -> None:
    posterior, features = posterior_of(), moments(50)
    mean = features @ posterior.mean
    deviation = np.sqrt(np.einsum("nak,kl,nal->na", features, posterior.covariance, features))
    numbers = np.arange(50)
    greedy = Explorer(Greedy()).choose_many(posterior, features, numbers)
    assert greedy.actions.tolist() == mean.argmax(axis=1).tolist()
    assert (greedy.propensities == 1).all()
    upper = Explorer(UpperConfidence(2.0)).choose_many(posterior, features, numbers)
    assert upper.actions.tolist() == (mean + 2 * deviation).argmax(axis=1).tolist()
    chances = Explorer(EpsilonGreedy(0.2)).probabilities(posterior, features[0], 0, np.array([True, True, True, False]))
    best = mean[0, :3].argmax()
    expected = [0.2 / 3 + (0.8 if a == best else 0) for a in range(3)] + [0]
    np.testing.assert_allclose(chances, expected, atol=1e-15)


def test_bounds_that_are_equally_high_share_the_decisions() -> None:
    """What was never shown has the same bound: shown by lot, a first batch learns of each of them."""
    rng = np.random.default_rng(5)
    contexts, known = rng.normal(size=(3000, 1, 3)), np.array([True, False, False, False])
    features = (np.eye(4)[None, :, :, None] * contexts[:, :, None, :]).reshape(3000, 4, 12)  # nothing in common
    posterior = FullPosterior.independent(np.zeros(12), np.where(np.repeat(known, 3), 0.01, 1.0))
    found = Explorer(UpperConfidence()).choose_many(posterior, features, np.arange(3000))
    assert found.propensities == pytest.approx(1 / 3)
    counts = np.bincount(found.actions, minlength=4)
    assert counts[0] == 0
    assert chisquare(counts[1:]).pvalue > 1e-3
    alone = Explorer(UpperConfidence()).choose(posterior, features[7], 7)
    assert alone.action == found.actions[7]
    assert alone.propensity == pytest.approx(1 / 3)


def test_two_candidates_that_are_the_same() -> None:
    """Sums in another order may break the tie otherwise; a propensity is never zero for it."""
    posterior = posterior_of()
    features = np.repeat(moments(300, actions=2), 2, axis=1)
    explorer = Explorer(Thompson(1.0))
    for propensity in (
        explorer.choose_many(posterior, features, np.arange(300)).propensities,
        explorer.propensities(posterior, features, np.arange(300), np.full(300, 3)),
    ):
        assert (propensity >= 1 / 256).all()


# ---- sparse candidates ----------------------------------------------------------------------------------------------


def test_sparse_candidates_of_many_features() -> None:
    """Scores of a few features out of many have the mean and the covariance that the parameters give them."""
    rng = np.random.default_rng(0)
    k = 100_000
    posterior = DiagonalPosterior.independent(rng.normal(size=k), rng.uniform(0.5, 2, k))
    index = np.concatenate([np.sort(rng.choice(40, 10, replace=False)) * 2_500 for _ in range(6)])
    rows = Rows(np.arange(0, 61, 10), index, rng.normal(size=60), k)
    belief, features = condensed(posterior, rows)
    active = np.unique(index)
    local = np.zeros((6, len(active)))
    local[rows.row, np.searchsorted(active, index)] = rows.value
    np.testing.assert_allclose(features @ belief.mean, local @ posterior.mean[active], atol=1e-12)
    covariance = (local * posterior.variance[active]) @ local.T
    np.testing.assert_allclose(
        belief.draw(np.eye(6)) - belief.mean, np.linalg.cholesky(covariance) @ _rotation(covariance)
    )
    np.testing.assert_allclose(belief.predictor(features)[1], np.diag(covariance))
    explorer = Explorer(Thompson(1.0), seed=4)
    for number in range(20):
        chosen = explorer.choose(posterior, rows, number)
        assert chosen.action == explorer.pick(posterior, rows, number)
        assert chosen.propensity == explorer.probabilities(posterior, rows, number)[chosen.action] > 0


def _rotation(covariance: np.ndarray) -> np.ndarray:
    """Return what turns the Cholesky root into the symmetric one."""
    values, vectors = np.linalg.eigh(covariance)
    return np.linalg.solve(np.linalg.cholesky(covariance), (vectors * np.sqrt(values)) @ vectors.T)


def test_sparse_and_dense_candidates_of_a_full_posterior_are_the_same() -> None:
    posterior, features = posterior_of(), moments(1)[0]
    explorer = Explorer()
    for number in range(30):
        assert explorer.pick(posterior, Rows.of_dense(features), number) == explorer.pick(posterior, features, number)


# ---- files, and learning --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_files(rule: Any) -> None:
    explorer = Explorer(rule, seed=2**63, limits=Limits(0.01, 0.8), pool=100)
    again = Explorer.from_dict(json.loads(json.dumps(explorer.to_dict())))
    assert again == explorer
    posterior, features = posterior_of(), moments(20)
    numbers = np.arange(20)
    assert (
        again.pick_many(posterior, features, numbers).tolist()
        == explorer.pick_many(posterior, features, numbers).tolist()
    )


def test_the_default_learns_and_greed_gets_stuck() -> None:
    """Ten actions, a rare reward: over seeds the default has less regret than showing any, and than greed."""
    chance = 1 / (1 + np.exp(-(-2.0 + np.linspace(-0.6, 0.6, 10))))
    features = np.broadcast_to(np.eye(10), (100, 10, 10))

    def regret(rule: Any, seed: int) -> float:
        explorer, rng, total = Explorer(rule, seed=seed), np.random.default_rng(seed), 0.0
        posterior = FullPosterior.independent(np.zeros(10), np.ones(10))
        for start in range(0, 4000, 100):
            shown = explorer.pick_many(posterior, features, np.arange(start, start + 100))
            total += float((chance.max() - chance[shown]).sum())
            answers = (rng.random(100) < chance[shown]).astype(float)
            posterior, _ = posterior.learn(LogitLink(), np.eye(10)[shown], answers)
        return total

    default, greedy, wide = (
        np.mean([regret(rule, s) for s in range(4)]) for rule in (Thompson(), Greedy(), Thompson(1))
    )
    random = 4000 * float((chance.max() - chance).mean())
    assert default < 0.45 * random
    assert default < min(greedy, wide)

"""Estimators by conditional choice probabilities."""

import numpy as np
import pytest
from scipy import sparse

from revealed.choices import datasets
from revealed.errors import SpecificationError
from revealed.models.dynamic import (
    ConditionalChoice,
    DecisionProcess,
    NestedFixedPoint,
    NestedPseudoLikelihood,
    Panel,
    StateSpace,
    counted,
)
from revealed.models.dynamic.process import DENSE
from revealed.models.dynamic.pseudo import by_finite_dependence, by_valuation, frequencies
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.solve import forward, solved
from tests.models.dynamic.test_nfxp import buses, random_process, simulated

ENGINES = {"keep": "mileage_bin", "replace": "asc"}
TRUTH = {"asc[b]": -0.5, "x[b]": 0.2, "asc[c]": 0.3}
FORMULA = {"a": "0", "b": "asc + own(x)", "c": "asc"}


def rewards(process: DecisionProcess) -> np.ndarray:
    """Return the rewards of the formula at the truth."""
    x = process.space.column("x")
    return np.column_stack([0 * x, TRUTH["asc[b]"] + TRUTH["x[b]"] * x, TRUTH["asc[c]"] + 0 * x])


def renewing(rng: np.random.Generator) -> DecisionProcess:
    """Return a process whose action c renews."""
    process = random_process(rng, available=None)
    home = np.tile(rng.dirichlet(np.ones(7)), (7, 1))
    return DecisionProcess.of(
        process.space, {"a": process.transitions[0], "b": process.transitions[1], "c": home}, 0.95
    )


def linear_of(process: DecisionProcess) -> LinearReward:
    """Return the formula read against a process."""
    log = log_of_states(process.space, process.actions, np.ones((7, 3)), process.available)
    return LinearReward.read(FORMULA, log)


def test_at_the_truth_behaviour_gives_the_values_solved() -> None:
    process = renewing(np.random.default_rng(1))
    linear = linear_of(process)
    params = np.array([TRUTH[name] for name in linear.names])
    found = solved(process, rewards(process))
    for pseudo in (by_valuation(process, linear, found.policy), by_finite_dependence(process, linear, found.policy, 2)):
        np.testing.assert_allclose(pseudo.policy(process, params), found.policy, atol=1e-10)


def test_where_it_settles_it_is_the_maximum_of_the_likelihood() -> None:
    panel, process, _ = buses((4,))
    nested = NestedFixedPoint(ENGINES).fit(panel, process)
    fit = NestedPseudoLikelihood(ENGINES).fit(panel, process)
    assert fit.status.sound
    np.testing.assert_allclose(fit.params, nested.params, rtol=1e-5)
    np.testing.assert_allclose(fit.standard_errors("classic"), nested.standard_errors("classic"), rtol=1e-4)
    assert fit.log_likelihood == pytest.approx(nested.log_likelihood, abs=1e-6)


def test_steps_that_are_not_enough_are_status() -> None:
    panel, process, _ = buses((4,))
    fit = NestedPseudoLikelihood(ENGINES, steps=2).fit(panel, process)
    assert not fit.status.converged
    assert "2 steps were not enough" in fit.status.reason
    assert "NOT SOUND" in repr(fit)


@pytest.mark.parametrize("renewal", [None, "c"])
def test_two_steps_come_near_the_truth_with_many_choices(renewal: str | None) -> None:
    process = renewing(np.random.default_rng(2))
    fits = [
        ConditionalChoice(FORMULA, renewal=renewal).fit(simulated(process, rewards(process), 60, 20, seed), process)
        for seed in range(12)
    ]
    found = np.array([[fit[name] for name in TRUTH] for fit in fits])
    error = found.std(axis=0, ddof=1) / np.sqrt(len(fits))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - list(TRUTH.values())), 4 * error + 0.03)
    assert any("bootstrap by person" in told for told in fits[0].assumptions)


def test_intervals_of_settled_estimates_cover() -> None:
    process = random_process(np.random.default_rng(3), available=None)
    inside, seeds = np.zeros(3), 40
    for seed in range(seeds):
        fit = NestedPseudoLikelihood(FORMULA).fit(simulated(process, rewards(process), 30, 10, 500 + seed), process)
        truth = np.array([TRUTH[name] for name in fit.names])
        inside += np.abs(fit.params - truth) < 1.96 * fit.standard_errors()
    assert (inside >= 33).all(), inside


def test_what_does_not_renew_is_refused() -> None:
    process = renewing(np.random.default_rng(4))
    panel = simulated(process, rewards(process), 10, 5, 1)
    with pytest.raises(SpecificationError, match="'a' does not renew"):
        ConditionalChoice(FORMULA, renewal="a").fit(panel, process)
    barred = np.ones((7, 3), bool)
    barred[np.setdiff1d(np.arange(7), panel.state[panel.action == 2])[:1], 2] = False
    process = DecisionProcess(process.space, process.actions, process.transitions, 0.95, None, barred)
    if not barred.all():
        with pytest.raises(SpecificationError, match="dependence on it is not finite"):
            ConditionalChoice(FORMULA, renewal="c").fit(panel, process)
    ending = DecisionProcess(process.space, process.actions, process.transitions, 0.95, 9)
    with pytest.raises(SpecificationError, match="processes without end"):
        NestedPseudoLikelihood(FORMULA).fit(panel, ending)


def test_behaviour_where_nobody_was_is_that_of_all() -> None:
    process = random_process(np.random.default_rng(5))
    panel = simulated(process, np.zeros((7, 3)), 1, 6, 2)
    from revealed.models.dynamic.likelihood import Seen

    seen = Seen.of(panel, process)
    found = frequencies(seen, process, 1.0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[2, 2] == 0
    empty = np.setdiff1d(np.flatnonzero(seen.counts.sum(axis=1) == 0), [2])
    assert len(empty)
    np.testing.assert_allclose(found[empty], np.tile(seen.counts.sum(axis=0) / 6, (len(empty), 1)))


def test_sparse_valuation_is_the_direct_one() -> None:
    rng, n_states = np.random.default_rng(6), DENSE + 1
    columns = rng.integers(0, n_states, (n_states, 3))
    matrix = sparse.csr_array(
        (np.full(3 * n_states, 1 / 3), (np.repeat(np.arange(n_states), 3), columns.ravel())), (n_states, n_states)
    )
    process = DecisionProcess.of(random_space(n_states), {"a": matrix, "b": matrix[::-1]}, 0.99)
    flow = rng.normal(size=(n_states, 4))
    found = forward(process, matrix, flow, rng.normal(size=(n_states, 4)))
    np.testing.assert_allclose(
        found, np.linalg.solve(np.eye(n_states) - 0.99 * matrix.toarray(), flow), rtol=1e-7, atol=1e-7
    )


def random_space(n_states: int) -> StateSpace:
    """Return a space of so many states."""
    return StateSpace.grid(x=range(n_states))


def test_a_far_start_is_not_taken_for_separation() -> None:
    """Patient customers who rarely buy: at zero the first behaviour's values make all choices all but sure."""
    space = StateSpace.grid(recency=[float(i) for i in range(1, 13)], frequency=[float(i) for i in range(1, 7)])
    panel = Panel.of(datasets.cdnow(), space)
    process = DecisionProcess(space, panel.actions, counted(panel).matrices, 0.99)
    reward = {"none": "0", "buy": "asc + log(recency) + log(frequency)"}
    swapped, nested = NestedPseudoLikelihood(reward).fit(panel, process), NestedFixedPoint(reward).fit(panel, process)
    assert swapped.status.converged
    np.testing.assert_allclose(swapped.params, nested.params, rtol=1e-6)

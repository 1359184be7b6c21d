"""Two steps by temporal differences."""

import numpy as np
import pytest

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import (
    ConditionalChoice,
    DecisionProcess,
    NestedFixedPoint,
    TemporalDifference,
)
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.pseudo import frequencies
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.temporal import by_temporal_differences
from tests.models.dynamic.test_nfxp import random_process, simulated
from tests.models.dynamic.test_types import wearing

FORMULA = {"a": "0", "b": "asc + own(x)", "c": "asc"}
TRUTH = {"asc[b]": -0.5, "x[b]": 0.2, "asc[c]": 0.3}


def world() -> tuple[DecisionProcess, np.ndarray]:
    """Return a process and its rewards."""
    process = random_process(np.random.default_rng(1), available=None)
    x = process.space.column("x")
    reward = np.column_stack([0 * x, TRUTH["asc[b]"] + TRUTH["x[b]"] * x, TRUTH["asc[c]"] + 0 * x])
    return process, reward


def test_with_any_function_of_the_state_they_are_values_of_the_chain_seen() -> None:
    process, reward = world()
    panel = simulated(process, reward, 5, 400, 3)
    seen = Seen.of(panel, process)
    linear = LinearReward.read(FORMULA, log_of_states(process.space, process.actions, seen.counts))
    behaviour = frequencies(seen, process, 1.0)
    found = by_temporal_differences(process, linear, panel, np.eye(7), behaviour)
    # From state and action to state and action, by the shares of the moves seen.
    cell = panel.state * 3 + panel.action
    chain = np.zeros((21, 21))
    np.add.at(chain, (cell[panel.moves], cell[panel.following[panel.moves]]), 1.0)
    chain /= chain.sum(axis=1, keepdims=True)
    worth = np.linalg.solve(np.eye(21) - 0.95 * chain, linear.features.reshape(21, -1))
    np.testing.assert_allclose(found.features.reshape(21, -1), worth, rtol=1e-9)
    surprise = 0.95 * chain @ -np.log(behaviour.ravel())
    np.testing.assert_allclose(found.offset.ravel(), np.linalg.solve(np.eye(21) - 0.95 * chain, surprise), rtol=1e-9)


def test_it_comes_near_the_truth_and_near_the_other_two_steps() -> None:
    process, reward = world()
    panel = simulated(process, reward, 300, 25, 4)
    fit = TemporalDifference(FORMULA, basis="C(x)").fit(panel, process)
    other = ConditionalChoice(FORMULA).fit(panel, process)
    exact = NestedFixedPoint(FORMULA).fit(panel, process)
    spread = exact.standard_errors()
    for name, error in zip(exact.names, spread, strict=True):
        assert abs(fit[name] - TRUTH[name]) < 5 * error, name
        assert abs(fit[name] - other[name]) < 3 * error, name
    assert fit.status.sound
    assert any("linear in the basis" in said for said in fit.assumptions)


def test_a_smooth_basis_follows_smooth_values() -> None:
    process = wearing()
    x = process.space.column("x")
    panel = simulated(process, np.column_stack([-0.5 * x, np.full(6, -3.0)]), 200, 40, 1)
    fit = TemporalDifference({"keep": "x", "mend": "asc"}, basis="x + I(x**2)").fit(panel, process)
    np.testing.assert_allclose([fit["x"], fit["asc[mend]"]], [-0.5, -3.0], rtol=0.2)


def test_what_cannot_be() -> None:
    process, reward = world()
    panel = simulated(process, reward, 20, 8, 4)
    with pytest.raises(SpecificationError, match="say what values are made of"):
        TemporalDifference(FORMULA).fit(panel, process)
    with pytest.raises(SpecificationError, match="same in all states"):
        TemporalDifference(FORMULA, basis="I(0 * x + 1)").fit(panel, process)
    with pytest.raises(DataError, match="no two periods in a row"):
        TemporalDifference(FORMULA, basis="x").fit(simulated(process, reward, 60, 1, 2), process)
    with pytest.raises(DataError, match="cannot tell the 21 coefficients"):
        TemporalDifference(FORMULA, basis="C(x)").fit(simulated(process, reward, 4, 4, 7), process)

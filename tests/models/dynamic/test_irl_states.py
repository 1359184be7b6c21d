"""States given to a recovered reward: what is no array of them is refused, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl import PQR, Polynomial, RecoveredReward, Tabular, Trajectories

COLUMNS = ("age", "miles")


@pytest.fixture(scope="module", params=["table", "polynomial"])
def found(request: pytest.FixtureRequest) -> RecoveredReward:
    random = np.random.default_rng(0)
    states = random.integers(0, 3, (600, 2)).astype(float)
    data = Trajectories.from_arrays(
        states,
        random.integers(0, 2, 600),
        random.integers(0, 3, (600, 2)).astype(float),
        labels=("keep", "replace"),
        columns=COLUMNS,
    )
    shape = Tabular() if request.param == "table" else Polynomial(1)
    return PQR(discount=0.9, scale=1.0, anchor="replace", function_class=shape).recover(data)


FUNCTIONS = ("reward", "value", "log_policy", "policy", "action_value")


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (np.zeros((4, 3)), r"have the shape \(m, 2\), a row for each and in it age, miles, not \(4, 3\)$"),
        (np.zeros(2), r"not \(2,\): of one state that is states\[None, :\]$"),
        (np.zeros(5), r"not \(5,\)$"),
        (np.array(3.0), r"not \(\)$"),
        (np.array([["new", "low"]]), "all of them numbers; give an array of floats"),
        (np.array([[0.0, 1.0], [0.0, np.nan]]), "1 of 2 states hold numbers that are missing or infinite, .* row 1, m"),
        (np.array([[np.inf, 1.0]]), "1 of 1 states .* row 0, age; fill them in, or leave"),
    ],
)
def test_what_are_no_states_is_refused(found: RecoveredReward, states: np.ndarray, message: str) -> None:
    for name in FUNCTIONS:
        with pytest.raises(SpecificationError, match=message):
            getattr(found, name)(states)


def test_whole_numbers_are_states(found: RecoveredReward) -> None:
    there = np.array([[0.0, 1.0], [2.0, 2.0]])
    assert np.array_equal(found.reward(there.astype(int)), found.reward(there))
    assert np.array_equal(found.policy(there.astype(int)), found.policy(there))


def test_a_saved_reward_checks_too(found: RecoveredReward, tmp_path: Path) -> None:
    again = RecoveredReward.load(found.save(tmp_path / "reward.zip"))
    there = found.data.states[:5]
    assert np.array_equal(again.reward(there), found.reward(there))
    with pytest.raises(SpecificationError, match="a row for each and in it age, miles"):
        again.reward(np.zeros((2, 5)))

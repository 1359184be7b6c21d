"""The membership world, transitions column by column, the bootstrap."""

import numpy as np
import pytest

from revealed.errors import SpecificationError
from revealed.models.dynamic import (
    Counted,
    DecisionProcess,
    Membership,
    NestedPseudoLikelihood,
    Panel,
    bootstrapped,
    by_columns,
)
from revealed.models.dynamic.membership import ACTIONS, REWARD

WORLD = Membership()


def estimated(panel: Panel) -> DecisionProcess:
    """Return the process with transitions from a panel."""
    matrices = by_columns(panel, WORLD.moves).matrices
    return DecisionProcess(WORLD.space, ACTIONS, matrices, WORLD.discount, None, WORLD.available, 1.0, WORLD.attributes)


def test_the_panel_is_that_of_the_log() -> None:
    made, read = WORLD.panel(40, 6, 3), Panel.of(WORLD.log(40, 6, 3), WORLD.space)
    for name in ("state", "action", "following", "person", "period"):
        assert np.array_equal(getattr(made, name), getattr(read, name)), name
    assert made.actions == read.actions
    np.testing.assert_array_equal(made.offered, read.offered)


def test_members_who_are_bound_stay_and_the_segment_never_changes() -> None:
    panel = WORLD.panel(300, 24, 1)
    bound = WORLD.space.column("left")[panel.state] > 0
    assert bound.any()
    assert (panel.action[bound] == ACTIONS.index("annual")).all()
    heavy = WORLD.space.column("heavy")[panel.state].reshape(300, 24)
    assert (heavy == heavy[:, :1]).all()


def test_transitions_column_by_column_come_near_the_true_ones() -> None:
    panel = WORLD.panel(3_000, 24, 2)
    found = by_columns(panel, WORLD.moves)
    for mine, true in zip(found.matrices, WORLD.process.transitions, strict=True):
        assert abs(mine - true).max() < 0.03
    assert found.log_likelihood < 0


def test_columns_must_all_be_told() -> None:
    panel = WORLD.panel(20, 6, 1)
    with pytest.raises(SpecificationError, match="say for each column of the state"):
        by_columns(panel, {"price": Counted()})
    with pytest.raises(SpecificationError, match="no such column"):
        by_columns(panel, {**WORLD.moves, "price": Counted(("weather",))})
    with pytest.raises(SpecificationError, match="which is no level"):
        by_columns(panel, {**WORLD.moves, "left": lambda cells, _: cells["left"] + 1})
    with pytest.raises(SpecificationError, match="make no log"):
        WORLD.log(0, 5)


def test_the_truth_comes_back_and_the_bootstrap_knows_of_transitions() -> None:
    panel = WORLD.panel(1_500, 36, 4)
    model = NestedPseudoLikelihood(REWARD)
    fit = model.fit(panel, estimated(panel))
    assert fit.status.sound
    again = bootstrapped(
        model, panel, estimated(panel), lambda some: by_columns(some, WORLD.moves), draws=30, seed=1, start=fit
    )
    assert (again.failed, len(again.fits)) == (0, 30)
    spread = np.sqrt(np.diag(again.covariance))
    truth = np.array([WORLD.truth[name] for name in fit.names])
    np.testing.assert_array_less(np.abs(fit.params - truth), 4 * spread)
    # The trouble of beginning depends on how long use lasts: the information alone thinks too well of it.
    place = fit.names.index("trouble")
    assert spread[place] > 1.15 * fit.standard_errors()[place]


def test_a_bootstrap_needs_persons() -> None:
    panel = WORLD.panel(1, 36, 4)
    with pytest.raises(SpecificationError, match="two draws and two persons"):
        bootstrapped(NestedPseudoLikelihood(REWARD), panel, WORLD.process)

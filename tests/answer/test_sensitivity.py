"""What hangs on the anchor's reward and the discount factor."""

import numpy as np
import pytest

from revealed.answer.sensitivity import sensitivity
from revealed.errors import SpecificationError
from revealed.models.dynamic import NestedFixedPoint, NestedPseudoLikelihood, Panel, solved
from tests.models.dynamic.test_types import mixed, wearing

FORMULA = {"keep": "0", "mend": "asc + own(x)"}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return mixed(200, 20, 5)


def test_a_constant_for_the_anchor_moves_constants_alone(panel: Panel) -> None:
    found = sensitivity(NestedFixedPoint(FORMULA), panel, wearing(), anchor="keep", anchor_rewards=(-0.5, 1.0))
    first, less, more = found.fits.values()
    for fit, shift in ((less, -0.5), (more, 1.0)):
        assert fit["asc[mend]"] == pytest.approx(first["asc[mend]"] + shift, abs=1e-6)
        assert fit["x[mend]"] == pytest.approx(first["x[mend]"], abs=1e-6)
        assert fit.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-8)
    assert [row[0] for row in found.table().rows] == list(found.fits)


def test_a_reward_that_moves_with_the_state_and_an_impatient_world(panel: Panel) -> None:
    process, x = wearing(), wearing().space.column("x")
    model = NestedPseudoLikelihood(FORMULA)
    found = sensitivity(
        model, panel, process, anchor="keep", anchor_rewards={"less as it wears": -0.2 * x}, discounts=(0.0, 0.5)
    )
    first, worn, static, impatient = found.fits.values()
    assert worn.process.attributes["anchor_reward"][:, 0] == pytest.approx(-0.2 * x)
    np.testing.assert_allclose(worn.reward[:, 0], -0.2 * x)
    assert abs(worn["x[mend]"] - first["x[mend]"]) > 0.05
    assert static.process.discount == 0
    assert solved(impatient.process, impatient.reward).policy == pytest.approx(impatient.solution.policy)
    assert len(found.fits) == 4


def test_what_cannot_be(panel: Panel) -> None:
    with pytest.raises(SpecificationError, match="'mend' is no anchor here"):
        sensitivity(NestedFixedPoint(FORMULA), panel, wearing(), anchor="mend")
    with pytest.raises(SpecificationError, match="is no anchor here"):
        sensitivity(NestedFixedPoint("x"), panel, wearing(), anchor="keep")
    with pytest.raises(SpecificationError, match="not a finite number in every state"):
        sensitivity(NestedFixedPoint(FORMULA), panel, wearing(), anchor="keep", anchor_rewards=(np.nan,))

"""The published problems: Nevo's cereals, one step, and Berry, Levinsohn and Pakes' automobiles, two steps.

The numbers are those that pyblp's tutorials print (Conlon and Gortmaker 2020; pyblp 1.3.0 prints the same).
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed import datasets
from revealed.models.blp import Blp, BlpFit, Markets
from revealed.models.blp.moments import Concentrated, root_of_inverse

FOLDER = Path(datasets.__file__).parent / "markets"

CEREALS = Blp(
    "prices",
    "1 + prices + sugar + mushy",
    "income + income_squared + age + child",
    absorb=("product_ids",),
    steps=1,
)
CEREAL_STARTS: dict[str, Any] = {
    "sigma": [0.3302, 2.4526, 0.0163, 0.2441],
    "pi": [[5.4819, 0, 0.2037, 0], [15.8935, -1.2, 0, 2.6342], [-0.2506, 0, 0.0511, 0], [1.2650, 0, -0.8091, 0]],
}
CEREAL_PRINTED = {  # estimate, robust standard error
    "sigma[1]": ("+5.580936E-01", "+1.625326E-01"),
    "sigma[prices]": ("+3.312489E+00", "+1.340183E+00"),
    "sigma[sugar]": ("-5.783552E-03", "+1.350452E-02"),
    "sigma[mushy]": ("+9.341447E-02", "+1.854333E-01"),
    "pi[1, income]": ("+2.291971E+00", "+1.208569E+00"),
    "pi[1, age]": ("+1.284432E+00", "+6.312149E-01"),
    "pi[prices, income]": ("+5.883251E+02", "+2.704410E+02"),
    "pi[prices, income_squared]": ("-3.019201E+01", "+1.410123E+01"),
    "pi[prices, child]": ("+1.105463E+01", "+4.122564E+00"),
    "pi[sugar, income]": ("-3.849541E-01", "+1.214584E-01"),
    "pi[sugar, age]": ("+5.223427E-02", "+2.598529E-02"),
    "pi[mushy, income]": ("+7.483723E-01", "+8.021081E-01"),
    "pi[mushy, age]": ("-1.353393E+00", "+6.671086E-01"),
    "beta[prices]": ("-6.272990E+01", "+1.480321E+01"),
}

AUTOMOBILES = Blp(
    "1 + hpwt + air + mpd + space",
    "1 + prices + hpwt + air + mpd + space",
    "I(1 / income)",
    costs="1 + log(hpwt) + air + log(mpg) + log(space) + trend",
    log_costs=True,
    cost_floor=0.001,
    update_first=True,
    errors="clustered",
)
AUTOMOBILE_PRINTED = {
    "sigma[1]": ("+2.025354E+00", "+6.065917E+00"),
    "sigma[hpwt]": ("+6.100352E+00", "+2.200580E+00"),
    "sigma[air]": ("+3.955530E+00", "+2.109780E+00"),
    "sigma[mpd]": ("+2.535106E-01", "+5.488323E-01"),
    "sigma[space]": ("+1.908470E+00", "+1.108098E+00"),
    "pi[prices, I(1 / income)]": ("-4.484296E+01", "+9.217106E+00"),
    "beta[1]": ("-7.283541E+00", "+2.806994E+00"),
    "beta[hpwt]": ("+3.460204E+00", "+1.415240E+00"),
    "beta[air]": ("-9.989411E-01", "+2.100607E+00"),
    "beta[mpd]": ("+4.207294E-01", "+2.499725E-01"),
    "beta[space]": ("+4.177528E+00", "+6.581752E-01"),
    "gamma[1]": ("+2.760270E+00", "+1.155942E-01"),
    "gamma[log(hpwt)]": ("+8.969666E-01", "+7.219963E-02"),
    "gamma[air]": ("+4.228110E-01", "+8.659634E-02"),
    "gamma[log(mpg)]": ("-5.248810E-01", "+7.260850E-02"),
    "gamma[log(space)]": ("-2.606781E-01", "+2.100833E-01"),
    "gamma[trend]": ("+2.660356E-02", "+3.083197E-03"),
}


def agrees(value: float, printed: str, off_by: float = 0.6) -> bool:
    """Whether a value is the printed one, to a share of its last digit.

    The printed digits are of a search that stopped at a gradient of 7e-6: two values lie closer to the edge of rounding
    than that leaves sure.
    """
    return abs(value - float(printed)) <= off_by * 10.0 ** (int(printed[-3:]) - 6)


@pytest.fixture(scope="module")
def cereals() -> BlpFit:
    return CEREALS.fit(*datasets.cereals(), **CEREAL_STARTS)


def test_cereals(cereals) -> None:
    assert cereals.status.sound
    assert f"{cereals.objective:.6E}" == "4.561514E+00"
    assert set(cereals.names) == set(CEREAL_PRINTED)
    for name, (estimate, error) in CEREAL_PRINTED.items():
        assert agrees(cereals[name], estimate), name
        assert agrees(cereals.standard_errors()[cereals.index(name)], error), name


def test_answers_on_cereals_are_those_of_pyblp(cereals) -> None:
    assert round(cereals.own_elasticities().mean(), 6) == -3.618105
    assert round(cereals.costs().mean(), 7) == 0.0823585
    assert round(cereals.markups().mean(), 6) == 0.363866
    outside = np.mean([np.diag(matrix).mean() for matrix in cereals.diversion().values()])
    assert round(float(outside), 6) == 0.365820
    after = cereals.merger({2: 1})
    assert after.converged
    assert round(after.prices.mean(), 7) == 0.1378992
    assert round(after.shares.mean(), 8) == 0.01781639
    assert round(cereals.surplus().mean(), 7) == 0.0342467
    assert round(cereals.surplus(after.prices).mean(), 7) == 0.0295852


def test_optimal_instruments_are_those_of_pyblp(cereals) -> None:
    names, columns = cereals.optimal_instruments().instruments("demand")
    assert len(names) == 14  # one for each of the tastes, and one for the price
    size = [0.21738672, 0.02638614, 2.138434, 0.13208657, 0.38251819, 0.23735861, 0.04747179]  # what pyblp 1.3.0 gives
    size += [0.80536151, 0.01432124, 2.02516987, 2.28622785, 0.1834452, 0.17080851]
    assert np.allclose(np.abs(columns[:, :13]).mean(axis=0), size, rtol=3e-6)
    few = [[-0.393860797, 0.000208703557, -0.0484202939], [0.140771172, -0.0120471715, -0.0447273026]]
    assert np.allclose(columns[[0, -1]][:, [0, 1, 6]], few, rtol=3e-6)


def test_automobiles() -> None:
    # A whole fit takes some ten seconds (bench/blp.py); here each step is evaluated where it is known to end.
    first = np.array([2.179579, 6.524008, 3.205672, 0.3009018, 1.893024, -44.96409])
    markets = Markets.read(*datasets.automobiles())
    problem = AUTOMOBILES.problem(markets, [3.612, 0, 4.628, 1.818, 1.050, 2.056], [[0], [-43.501], [0], [0], [0], [0]])
    moments = problem.moments

    def weights(params: np.ndarray, root: np.ndarray) -> tuple[float, np.ndarray]:
        step, point = Concentrated(moments, root), problem.at(params)
        errors = step.errors(point.left, step.linear(point.left))
        objective = float((step.residual(point.left) ** 2).sum())
        return objective, root_of_inverse(moments.covariance(errors))

    _, root = weights(problem.tastes.values, moments.first_weights())
    objective, root = weights(first, root)
    assert f"{objective:.6E}" == "5.374317E+02"
    second = Concentrated(moments, root)
    printed = np.array([float(AUTOMOBILE_PRINTED[name][0]) for name in problem.names])
    point = problem.at(printed)
    slopes, residual = problem.slopes(point), second.residual(point.left)[:, 0]
    assert f"{residual @ residual:.6E}" == "4.973357E+02"
    basis = np.linalg.qr(second.residual(slopes))[0]
    assert ((basis.T @ residual) ** 2).sum() < 1e-7  # by so much the objective could fall, to first order
    linear = second.linear(point.left)
    spread = second.parameter_covariance(slopes, moments.covariance(second.errors(point.left, linear)))
    names = (*problem.names, *moments.sides[0].names, *moments.sides[1].names)
    values = np.concatenate([printed, linear])
    assert set(names) == set(AUTOMOBILE_PRINTED)
    for name, value, error in zip(names, values, np.sqrt(np.diag(spread)), strict=True):
        # The tastes are given to seven digits, which leaves the last of what follows from them open.
        assert agrees(value, AUTOMOBILE_PRINTED[name][0], 5), name
        assert agrees(error, AUTOMOBILE_PRINTED[name][1], 5), name


@pytest.mark.parametrize("name", ["automobile_products", "automobile_agents", "cereal_products", "cereal_agents"])
def test_files_are_those_the_card_vouches_for(name: str) -> None:
    content = gzip.decompress((FOLDER / f"{name}.csv.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Copyright" in (FOLDER / "pyblp.txt").read_text(encoding="utf-8")

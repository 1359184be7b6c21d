"""Demand curves and the best price."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from revealed.answer import demand_curve, intervals, whatif
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit

GRID = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0]


def share_at(fit: Fit, log: ChoiceLog, price: float, params: np.ndarray | None = None) -> float:
    priced = log.with_columns({"cost": np.where(log.alternative_codes == 2, price, log.numbers("cost"))})
    prediction = fit.law.predict(priced, fit.params if params is None else params)
    return float(prediction.probability.reshape(-1, 3)[:, 2].mean())


def test_shares_are_those_of_whatifs(fit: Fit, log: ChoiceLog) -> None:
    found = demand_curve(fit, log, "cost", "train", GRID)
    for point in found.points:
        answer = whatif(fit, log, f"cost[alternative == 'train'] = {point.value}").share("train")
        assert point.share.value == pytest.approx(answer.after.value)
        assert point.share.low == pytest.approx(answer.after.low, rel=1e-6)
        assert point.count == pytest.approx(answer.count_after)
        assert point.revenue is None
    assert found.best is None
    assert (np.diff([point.share.value for point in found.points]) < 0).all()


@pytest.mark.parametrize("unit_cost", [0.0, 0.8])
def test_the_best_price(fit: Fit, log: ChoiceLog, unit_cost: float) -> None:
    found = demand_curve(fit, log, "cost", "train", GRID, price=True, unit_cost=unit_cost)
    assert found.best is not None
    assert found.best.inside

    def best(params: np.ndarray) -> float:
        solved = minimize_scalar(
            lambda price: -(price - unit_cost) * share_at(fit, log, price, params),
            bounds=(0.5, 4.0),
            method="bounded",
            options={"xatol": 1e-8},
        )
        return float(solved.x)

    price = found.best.price
    assert price.value == pytest.approx(best(fit.params), rel=1e-4)
    assert found.best.revenue == pytest.approx((price.value - unit_cost) * share_at(fit, log, price.value))
    slopes = []
    for i, error in enumerate(fit.standard_errors()):
        step = np.eye(4)[i] * 0.05 * error
        slopes.append((best(fit.params + step) - best(fit.params - step)) / (0.1 * error))
    slope = np.array(slopes)
    assert price.standard_error == pytest.approx(np.sqrt(slope @ fit.covariance() @ slope), rel=0.01)
    assert price.high - price.value == pytest.approx(1.959963984540054 * price.standard_error)
    revenue = found.points[2].revenue
    assert revenue is not None
    assert revenue.value == pytest.approx((1.5 - unit_cost) * found.points[2].share.value)
    assert len(found.table().columns) == 8
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_a_best_price_beyond_the_grid_is_not_claimed(fit: Fit, log: ChoiceLog) -> None:
    for grid, end in (([0.2, 0.5, 0.8], "highest"), ([3.0, 4.0, 5.0], "lowest")):
        found = demand_curve(fit, log, "cost", "train", grid, price=True)
        assert found.best is not None
        assert not found.best.inside
        assert np.isnan(found.best.price.low)
        assert any(f"highest at the {end} price" in note for note in found.warnings)


def test_prices_that_nobody_has_seen_are_told(fit: Fit, log: ChoiceLog) -> None:
    found = demand_curve(fit, log, "cost", "train", [0.5, 50.0])
    assert any("leaves its observed range" in note for note in found.warnings)
    assert not demand_curve(fit, log, "cost", "train", [1.0, 2.0]).warnings


def test_the_band_is_the_delta_method(fit: Fit, log: ChoiceLog) -> None:
    expected = intervals(fit, lambda points: np.array([[share_at(fit, log, 1.5, point)] for point in points]))
    found = demand_curve(fit, log, "cost", "train", GRID).points[2].share
    assert found.standard_error == pytest.approx(expected.standard_error[0], rel=1e-6)


def test_refusals(fit: Fit, log: ChoiceLog) -> None:
    for grid in ([1.0], [2.0, 1.0], [1.0, np.inf]):
        with pytest.raises(SpecificationError, match="ascending order"):
            demand_curve(fit, log, "cost", "train", grid)
    with pytest.raises(SpecificationError, match="not in the utility"):
        demand_curve(fit, log, "income", "train", GRID)
    with pytest.raises(SpecificationError, match="did you mean 'train'"):
        demand_curve(fit, log, "cost", "trian", GRID)
    with pytest.raises(SpecificationError, match="did you mean 'cost'"):
        demand_curve(fit, log, "csot", "train", GRID)


def test_an_attribute_that_is_no_price(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + {exp(-time)}").fit(log)
    found = demand_curve(fit, log, "time", "bus", [1.0, 2.0, 3.0])
    assert found.points[0].share.value > found.points[2].share.value
    assert [column.heading for column in found.table().columns] == ["time", "share", "low", "high", "choices"]

"""Intervals: the delta method against closed forms, simulation against the delta method, what is not identified."""

from __future__ import annotations

import numpy as np
import pytest

from revealed.answer import IntervalOptions, intervals
from revealed.answer.interval import Estimates
from revealed.answer.population import population_of
from revealed.answer.predict import Groups, logsums, predictions, sums
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit
from tests.worlds import ragged


def test_a_linear_function_has_the_exact_error(fit: Fit) -> None:
    weights = np.array([[1.0, 0.0, 2.0, -1.0], [0.0, 1.0, 0.5, 0.0]])
    found = intervals(fit, lambda points: points @ weights.T, level=0.9)
    exact = np.sqrt(np.diag(weights @ fit.covariance() @ weights.T))
    np.testing.assert_allclose(found.standard_error, exact, rtol=1e-9)
    np.testing.assert_allclose(found.high - found.value, 1.6448536269514722 * exact, rtol=1e-9)
    np.testing.assert_allclose(found.value, weights @ fit.params)


def test_a_curved_function_has_the_error_of_its_slope(fit: Fit) -> None:
    found = intervals(fit, lambda points: np.exp(2 * points[:, [2]]) * points[:, [3]])
    cost, time = fit["cost"], fit["time"]
    slope = np.array([0, 0, 2 * np.exp(2 * cost) * time, np.exp(2 * cost)])
    assert found.standard_error[0] == pytest.approx(np.sqrt(slope @ fit.covariance() @ slope), rel=1e-7)


def test_simulation_agrees_with_the_delta_method_where_the_function_is_nearly_straight(fit: Fit) -> None:
    def function(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(0.2 * points[:, [2]]) - points[:, [3]])

    delta = intervals(fit, function)
    drawn = intervals(fit, function, method="simulation", options=IntervalOptions(draws=20_000, seed=1))
    assert drawn.value == delta.value
    assert drawn.standard_error[0] == pytest.approx(delta.standard_error[0], rel=0.05)
    for end in ("low", "high"):
        assert getattr(drawn, end)[0] == pytest.approx(getattr(delta, end)[0], abs=0.1 * delta.standard_error[0])


def test_the_same_seed_gives_the_same_interval(fit: Fit) -> None:
    def low(seed: int) -> float:
        options = IntervalOptions(draws=100, seed=seed)
        return float(intervals(fit, lambda points: points[:, :1], method="simulation", options=options).low[0])

    assert low(1) == low(1)
    assert low(1) != low(2)


def test_the_kind_of_errors_can_be_chosen(fit: Fit) -> None:
    for kind in ("classic", "robust", "clustered"):
        found = intervals(fit, lambda points: points, options=IntervalOptions(errors=kind))
        np.testing.assert_allclose(found.standard_error, fit.standard_errors(kind), rtol=1e-9)


def test_fixed_parameters_do_not_move(log: ChoiceLog) -> None:
    fit = Logit("cost + time", fixed={"cost": -1.0}).fit(log)
    for method in ("delta", "simulation"):
        found = intervals(fit, lambda points: points, method=method)
        assert found.standard_error[0] == 0
        assert found.low[0] == found.high[0] == -1.0
        assert found.standard_error[1] > 0


@pytest.mark.parametrize("method", ["delta", "simulation"])
def test_what_leans_on_parameters_not_identified_has_no_interval(log: ChoiceLog, method: str) -> None:
    doubled = log.with_columns({"twice": 2 * log.numbers("cost")})
    fit = Logit("cost + twice + time").fit(doubled)
    assert not fit.status.sound
    found = intervals(fit, lambda points: np.column_stack([points[:, 0], points[:, 2]]), method=method)
    assert np.isnan([found.standard_error[0], found.low[0], found.high[0]]).all()
    assert found.standard_error[1] > 0


def test_what_the_data_do_identify_keeps_its_interval_beside_collinear_terms(log: ChoiceLog) -> None:
    fit = Logit("cost + income:C(segment):time + time").fit(log)
    assert fit.status.sound
    assert np.isfinite(intervals(fit, lambda points: points).standard_error).all()


def test_shares_stay_between_zero_and_one() -> None:
    columns = np.array([[0.01, 0.5, 0.0], [0.02, 0.1, 0.0], [-0.03, 0.3, 0.0], [0.05, 0.7, 0.0]])
    plain = Estimates(columns[0], columns[1], columns[2], columns[3], 0.95, "delta")
    kept = plain.between_zero_and_one()
    assert (kept.low >= 0).all()
    assert (kept.high <= 1).all()
    odds = np.log(0.5 / 0.5)
    half = 1.959963984540054 * 0.1 / 0.25
    assert kept.low[1] == pytest.approx(1 / (1 + np.exp(-(odds - half))))
    assert kept[2].low == kept[2].high == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "between 0 and 1"),
        ({"method": "dleta"}, "did you mean 'delta'"),
    ],
)
def test_bad_options(fit: Fit, options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        intervals(fit, lambda points: points, **options)  # type: ignore[arg-type]
    for bad in ({"draws": 1}, {"seed": -1}):
        with pytest.raises(SpecificationError, match="whole number"):
            IntervalOptions(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["even", "available", "ragged"])
def test_predictions_at_many_points_are_those_at_each(which: str, log: ChoiceLog, ragged_log: ChoiceLog) -> None:
    chosen = {"even": log, "available": ragged_log, "ragged": ragged(4000)}[which]
    law = Logit("a + b" if which == "ragged" else "C(mode) + cost + time").law(chosen)
    points = np.random.default_rng(0).normal(size=(7, len(law.names)))
    probability, logsum = np.full((7, chosen.n_rows), np.nan), np.full((7, chosen.n_cases), np.nan)
    for part in predictions(law, chosen, points):
        probability[part.points, part.rows] = part.probability
        logsum[part.points, part.cases] = part.logsum
    for i, point in enumerate(points):
        alone = law.predict(chosen, point)
        np.testing.assert_allclose(probability[i], alone.probability, rtol=1e-12)
        np.testing.assert_allclose(logsum[i], alone.logsum, rtol=1e-12)
    np.testing.assert_array_equal(logsum, logsums(law, chosen, points))


def test_sums_are_weighted_by_group(ragged_log: ChoiceLog, ragged_fit: Fit) -> None:
    population = population_of(ragged_log, "segment")
    groups = Groups.of(ragged_log, population, ragged_log.alternative_codes, 3)
    found = sums(ragged_fit.law, ragged_log, ragged_fit.params[None], groups)[0].reshape(3, 3)
    probability, weight = ragged_fit.probabilities(ragged_log), ragged_log.numbers("weight")
    segment = np.array(ragged_log.table.column("segment").to_pylist())
    mode = np.array(ragged_log.table.column("mode").to_pylist())
    for s, name in enumerate(["north", "south", "west"]):
        for m, label in enumerate(["bus", "car", "train"]):
            here = (segment == name) & (mode == label)
            assert found[s, m] == pytest.approx((probability * weight)[here].sum())

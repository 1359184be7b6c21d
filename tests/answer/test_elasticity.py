"""Elasticities against the closed forms of the logit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from revealed.answer import case_elasticities, elasticities, intervals
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit, ScaledLogit
from tests.worlds import COLUMNS, ragged, trips, trips_table


def parts(fit: Fit, log: ChoiceLog) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and costs, one row per case."""
    return fit.probabilities(log).reshape(-1, 3), log.numbers("cost").reshape(-1, 3)


def test_each_case_in_closed_form(fit: Fit, log: ChoiceLog) -> None:
    probability, cost = parts(fit, log)
    found = case_elasticities(fit, log, "cost", "car").reshape(-1, 3)
    own = fit["cost"] * cost[:, 1] * (1 - probability[:, 1])
    cross = -fit["cost"] * cost[:, 1] * probability[:, 1]
    np.testing.assert_allclose(found[:, 1], own, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[:, 0], cross, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[:, 2], cross, rtol=1e-6, atol=1e-8)


def test_aggregates_are_weighted_by_probability(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    probability, cost = parts(ragged_fit, ragged_log)
    weight = ragged_log.numbers("weight").reshape(-1, 3)[:, :1]
    segment = np.array(ragged_log.table.column("segment").to_pylist())[::3]
    found = elasticities(ragged_fit, ragged_log, "cost", by="segment")
    for j, of in enumerate(["bus", "car", "train"]):
        per_case = -ragged_fit["cost"] * cost[:, [j]] * probability[:, [j]] * np.ones(3)
        per_case[:, j] = ragged_fit["cost"] * cost[:, j] * (1 - probability[:, j])
        for name, here in {"all": np.ones(len(segment), bool), "south": segment == "south"}.items():
            mass = (weight * probability)[here]
            expected = (mass * per_case[here]).sum(axis=0) / mass.sum(axis=0)
            for i, on in enumerate(["bus", "car", "train"]):
                assert found.find(of, on, name).value == pytest.approx(expected[i], rel=1e-6), (of, on, name)


@pytest.mark.parametrize("method", ["delta", "simulation"])
def test_what_cannot_be_chosen_in_a_segment_has_no_elasticity_there_and_a_word_on_it(method: str) -> None:
    table = trips_table(600, seed=5)
    there = pc.and_(pc.equal(table["segment"], "north"), pc.equal(table["mode"], "train"))  # no train in the north
    taken = table.filter(pc.and_(there, table["chosen"]))["trip"]
    kept = table.append_column("there", pc.invert(there)).filter(pc.invert(pc.is_in(table["trip"], taken)))
    log = ChoiceLog.from_table(kept, replace(COLUMNS, available="there"))
    fit = Logit("C(mode) + cost + time").fit(log)
    found = elasticities(fit, log, "cost", by="segment", method=method)
    assert np.isnan(found.find("car", "train", "north").value)
    assert found.find("train", "car", "north").value == 0
    assert np.isfinite([item.elasticity.high for item in found.items if item.segment != "north"]).all()
    assert found.warnings == ("'train' has no share in segment 'north' (can it be chosen there?), so no elasticities",)


def test_the_interval_is_that_of_the_closed_form(fit: Fit, log: ChoiceLog) -> None:
    def closed(points: np.ndarray) -> np.ndarray:
        values = []
        for point in points:
            p, cost = fit.law.predict(log, point).probability.reshape(-1, 3), log.numbers("cost").reshape(-1, 3)
            values.append([(p[:, 0] * point[2] * cost[:, 0] * (1 - p[:, 0])).sum() / p[:, 0].sum()])
        return np.array(values)

    expected = intervals(fit, closed)[0]
    found = elasticities(fit, log, "cost", of=["bus"]).find("bus", "bus")
    assert found.value == pytest.approx(expected.value, rel=1e-6)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-4)


def test_a_logarithm_has_the_coefficient_for_elasticity(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + log(cost) + C(mode):log(time)").fit(log)
    probability = fit.probabilities(log).reshape(-1, 3)
    found = case_elasticities(fit, log, "cost", "train").reshape(-1, 3)
    np.testing.assert_allclose(found[:, 2], fit["log(cost)"] * (1 - probability[:, 2]), rtol=1e-7)


def test_arc_elasticities_compare_two_worlds(fit: Fit, log: ChoiceLog) -> None:
    found = elasticities(fit, log, "cost", of=["car"], arc=0.1)
    cost = log.numbers("cost").reshape(-1, 3).copy()
    cost[:, 1] *= 1.1
    raised = fit.probabilities(log.with_columns({"cost": cost.reshape(-1)})).reshape(-1, 3)
    expected = np.log(raised.sum(axis=0) / fit.probabilities(log).reshape(-1, 3).sum(axis=0)) / np.log(1.1)
    for i, on in enumerate(["bus", "car", "train"]):
        assert found.find("car", on).value == pytest.approx(expected[i])
    assert found.table().title.startswith("Arc")


def test_an_attribute_of_the_case_changes_for_all(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + C(mode):income").fit(log)
    found = elasticities(fit, log, "income")
    assert {item.of for item in found.items} == {"all"}
    probability, income = fit.probabilities(log).reshape(-1, 3), log.numbers("income").reshape(-1, 3)[:, 0]
    taste = np.array([0.0, fit["mode[car]:income"], fit["mode[train]:income"]])
    per_case = income[:, None] * (taste - (probability * taste).sum(axis=1, keepdims=True))
    expected = (probability * per_case).sum(axis=0) / probability.sum(axis=0)
    assert found.find("all", "bus").value == pytest.approx(expected[0], rel=1e-6)
    with pytest.raises(SpecificationError, match="belongs to the case"):
        elasticities(fit, log, "income", of=["car"])


def test_any_law_will_do(log: ChoiceLog) -> None:
    small = log.take_cases(np.arange(150))
    fit = ScaledLogit("C(mode) + cost", scale="C(segment)").fit(small)
    segment = np.array(small.table.column("segment").to_pylist())[::3]
    scale = np.exp([fit.estimates.get(f"scale.segment[{name}]", 0.0) for name in segment])
    probability, cost = fit.probabilities(small).reshape(-1, 3), small.numbers("cost").reshape(-1, 3)
    found = case_elasticities(fit, small, "cost", "bus").reshape(-1, 3)
    np.testing.assert_allclose(found[:, 0], scale * fit["cost"] * cost[:, 0] * (1 - probability[:, 0]), rtol=1e-5)
    assert np.isfinite(elasticities(fit, small, "cost", of=["bus"]).find("bus", "bus").standard_error)


def test_tables_and_json(fit: Fit, log: ChoiceLog) -> None:
    found = elasticities(fit, log, "cost", of=["car", "bus"], by="segment")
    table = found.table()
    assert [column.heading for column in table.columns] == ["segment", "share of", "car", "bus"]
    assert len(table.rows) == 4 * 3
    assert table.rows[0][2] == found.find("car", "bus").value
    assert len(found.details().rows) == 4 * 3 * 2
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["items"][0]["elasticity"]["value"] == found.items[0].elasticity.value


def test_zeros_and_signs_are_told(fit: Fit, log: ChoiceLog) -> None:
    cost = log.numbers("cost").copy()
    cost[:30] = 0.0
    notes = elasticities(fit, log.with_columns({"cost": cost}), "cost", of=["bus"]).warnings
    assert any("zero in 10 of 1,200 rows" in note for note in notes)
    flat = log.with_columns({"cost": np.where(log.alternative_codes == 1, 0.0, log.numbers("cost"))})
    found = elasticities(fit, flat, "cost", of=["car"])
    assert any("zero everywhere" in note for note in found.warnings)
    assert found.find("car", "car").value == 0.0
    notes = elasticities(fit, log.with_columns({"cost": -log.numbers("cost")}), "cost", of=["bus"]).warnings
    assert any("below zero" in note for note in notes)


def test_refusals(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="'income' is not in the utility"):
        elasticities(fit, log, "income")
    with pytest.raises(SpecificationError, match="did you mean 'cost'"):
        elasticities(fit, log, "csot")
    with pytest.raises(SpecificationError, match="holds labels"):
        elasticities(fit, log, "segment")
    with pytest.raises(SpecificationError, match="did you mean 'train'"):
        elasticities(fit, log, "cost", of=["trian"])
    with pytest.raises(SpecificationError, match="above -1"):
        elasticities(fit, log, "cost", arc=-1.0)
    with pytest.raises(SpecificationError, match="no elasticity of 'car' on 'tram'"):
        elasticities(fit, log, "cost", of=["car"]).find("car", "tram")
    many = ragged(300, largest=60)
    with pytest.raises(SpecificationError, match="name those whose a changes"):
        elasticities(Logit("a").fit(many), many, "a")


def test_rows_that_are_not_available_have_no_elasticity(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    found = case_elasticities(ragged_fit, ragged_log, "cost", "bus")
    assert ragged_log.available is not None
    np.testing.assert_array_equal(np.isnan(found), ~ragged_log.available)


def test_a_stranger_in_the_log_is_told(fit: Fit) -> None:
    log = trips(60)
    mode = ["tram" if label == "bus" else label for label in log.table.column("mode").to_pylist()]
    strange = ChoiceLog.from_table(log.table.set_column(2, "mode", [mode]), log.columns)
    assert any("tram: not among" in note for note in elasticities(fit, strange, "cost", of=["tram"]).warnings)

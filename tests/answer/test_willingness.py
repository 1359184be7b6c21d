"""Willingness to pay: signs, units, interactions and three kinds of intervals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from revealed.answer import IntervalOptions, willingness_to_pay
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit


def test_signs_and_the_delta_method(fit: Fit) -> None:
    found = fit.willingness_to_pay("time", "-time", "mode[car]", cost="cost")
    ratio = -fit["time"] / fit["cost"]
    slope = np.array([0, 0, fit["time"] / fit["cost"] ** 2, -1 / fit["cost"]])
    error = np.sqrt(slope @ fit.covariance() @ slope)
    assert ratio < 0
    assert found["time"].value == pytest.approx(ratio)
    assert found["-time"].value == pytest.approx(-ratio)
    assert found["time"].standard_error == pytest.approx(error)
    assert found["-time"].low == pytest.approx(-ratio - 1.959963984540054 * error)
    assert found["mode[car]"].value == pytest.approx(-fit["mode[car]"] / fit["cost"])
    assert any("one unit more" in note for note in found.assumptions)


def test_units(fit: Fit) -> None:
    plain = willingness_to_pay(fit, "-time", cost="cost")["-time"]
    hourly = willingness_to_pay(fit, "-time", cost="cost", scale=60.0, per="hour")
    assert hourly["-time"].value == pytest.approx(60 * plain.value)
    assert hourly["-time"].high == pytest.approx(60 * plain.high)
    assert "per hour" in hourly.table().title
    turned = willingness_to_pay(fit, "-time", cost="cost", scale=-1.0)["-time"]
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low))


def test_sums_of_parameters_are_interactions_at_a_value(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + time + time:income").fit(log)
    by_hand = willingness_to_pay(fit, "time + 6 * time:income", cost="cost")
    at = willingness_to_pay(fit, "time", cost="cost", at={"income": 6})
    assert at["time"].value == pytest.approx(by_hand["time + 6 * time:income"].value)
    assert at["time"].standard_error == pytest.approx(by_hand["time + 6 * time:income"].standard_error)
    bare = willingness_to_pay(fit, "time", cost="cost")
    assert any("time:income too" in note for note in bare.warnings)
    assert not at.warnings
    with pytest.raises(SpecificationError, match="depends on 'income'"):
        willingness_to_pay(fit, "time", cost="cost", at={"age": 6})


def test_names_in_backticks(log: ChoiceLog) -> None:
    named = log.with_columns({"travel time": log.numbers("time"), "prix (€)": log.numbers("cost")})
    plain = Logit("C(mode) + cost + time + time:income").fit(log)
    fit = Logit("C(mode) + `prix (€)` + `travel time` + `travel time`:income").fit(named)
    expected = willingness_to_pay(plain, "-time", cost="cost")["-time"].value
    for name in ("-`travel time`", "-travel time"):
        for cost in ("`prix (€)`", "prix (€)"):
            bare = willingness_to_pay(fit, name, cost=cost)
            assert bare[name].value == pytest.approx(expected)
            assert any("`travel time`:income too" in note for note in bare.warnings)
        at = willingness_to_pay(fit, name, cost="prix (€)", at={"income": 6})[name]
        assert at.value == pytest.approx(
            willingness_to_pay(plain, "-time", cost="cost", at={"income": 6})["-time"].value
        )
    summed = willingness_to_pay(fit, "`travel time` + 6 * `travel time`:income", cost="prix (€)")
    assert summed.items[0].worth.value == pytest.approx(-at.value)
    test = fit.wald_test("`travel time` = 0", "`travel time`:income = 0")
    assert test.statistic == pytest.approx(plain.wald_test("time = 0", "time:income = 0").statistic)
    with pytest.raises(SpecificationError, match="no parameter 'travel tim'; did you mean '`travel time`'"):
        willingness_to_pay(fit, "`travel tim`", cost="prix (€)")


def test_attributes_that_are_not_linear_or_differ_by_alternative(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + log(time) + C(mode):income").fit(log)
    at = willingness_to_pay(fit, "time", cost="cost", at={"time": 2.0})["time"]
    assert at.value == pytest.approx(-fit["log(time)"] / 2.0 / fit["cost"], rel=1e-8)
    fit = Logit("C(mode) + cost + C(mode):time").fit(log)
    for key in ("alternative", "mode"):
        at = willingness_to_pay(fit, "-time", cost="cost", at={key: "car"})["-time"]
        assert at.value == pytest.approx(fit["mode[car]:time"] / fit["cost"])
    with pytest.raises(SpecificationError, match=r"'time' is no parameter but enters mode\[bus\]:time"):
        willingness_to_pay(fit, "time", cost="cost")


def test_fieller_solves_its_equation(fit: Fit) -> None:
    found = willingness_to_pay(fit, "-time", cost="cost", method="fieller", level=0.9)["-time"]
    covariance = fit.covariance()
    for end in (found.low, found.high):
        a = -fit["time"] + end * fit["cost"]  # utility of a unit less time, and end units of cost more
        variance = covariance[3, 3] - 2 * end * covariance[2, 3] + end**2 * covariance[2, 2]
        assert a**2 / variance == pytest.approx(1.6448536269514722**2)
    assert found.low < found.value < found.high


def test_methods_agree_when_the_cost_is_well_known(fit: Fit) -> None:
    delta, drawn, fieller = (
        willingness_to_pay(fit, "-time", cost="cost", method=method, options=IntervalOptions(draws=20_000))["-time"]
        for method in ("delta", "krinsky-robb", "fieller")
    )
    for other in (drawn, fieller):
        assert other.value == delta.value
        assert other.low == pytest.approx(delta.low, abs=0.15 * delta.standard_error)
        assert other.high == pytest.approx(delta.high, abs=0.15 * delta.standard_error)


def weak(fit: Fit, cost: float) -> Fit:
    """Return the fit with a cost coefficient as good as unknown."""
    params = fit.params.copy()
    params[fit.index("cost")] = cost
    return replace(fit, params=params)


def test_a_weak_cost_is_told(fit: Fit) -> None:
    error = fit.standard_errors()[fit.index("cost")]
    doubtful = weak(fit, -error)
    notes = willingness_to_pay(doubtful, "-time", cost="cost").warnings
    assert any("contains zero" in note and "fieller" in note for note in notes)
    found = willingness_to_pay(doubtful, "-time", cost="cost", method="fieller")
    assert found["-time"].low == -np.inf
    assert found["-time"].high == np.inf
    assert any("no ends: it is all but" in note for note in found.warnings)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["items"][0]["worth"]["low"] is None
    lost = replace(doubtful, covariances={"clustered": fit.covariance() * 1e4})
    assert any("whole line" in n for n in willingness_to_pay(lost, "-time", cost="cost", method="fieller").warnings)


def test_a_wrong_sign_is_told(fit: Fit) -> None:
    assert any("raises utility" in note for note in willingness_to_pay(weak(fit, 0.4), "-time", cost="cost").warnings)


def test_refusals(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match=r"no parameter 'tiem'.*did you mean 'time'"):
        willingness_to_pay(fit, "tiem", cost="cost")
    with pytest.raises(SpecificationError, match="no parameter 'price'"):
        willingness_to_pay(fit, "time", cost="price")
    with pytest.raises(SpecificationError, match="say what the worth"):
        willingness_to_pay(fit, cost="cost")
    with pytest.raises(SpecificationError, match="did you mean 'fieller'"):
        willingness_to_pay(fit, "time", cost="cost", method="feller")
    with pytest.raises(SpecificationError, match="other than zero"):
        willingness_to_pay(fit, "time", cost="cost", scale=0.0)
    with pytest.raises(SpecificationError, match="coefficient of 'cost' is zero"):
        willingness_to_pay(weak(fit, 0.0), "time", cost="cost")
    with pytest.raises(SpecificationError, match="without a number"):
        willingness_to_pay(fit, "time + 1", cost="cost")
    with pytest.raises(SpecificationError, match="do not identify"):
        willingness_to_pay(Logit("cost + time + {2 * cost}").fit(log), "time", cost="cost")
    with pytest.raises(SpecificationError, match="was not asked for"):
        willingness_to_pay(fit, "time", cost="cost")["cost"]


def test_a_fixed_cost_gives_the_error_of_the_attribute(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + time", fixed={"cost": -1.0}).fit(log)
    found = willingness_to_pay(fit, "-time", cost="cost", method="fieller")["-time"]
    assert found.standard_error == pytest.approx(fit.standard_errors()[3])
    assert found.high - found.value == pytest.approx(1.959963984540054 * fit.standard_errors()[3])

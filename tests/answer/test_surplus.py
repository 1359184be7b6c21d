"""Consumer surplus and the marginal utility of money."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.answer import case_surplus, surplus
from revealed.answer.money import money_of, usual_costs
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit, ScaledLogit
from tests.worlds import trips


def dearer(log: ChoiceLog, by: float) -> ChoiceLog:
    return log.with_columns({"cost": log.numbers("cost") + by})


def test_a_rise_of_all_prices_costs_exactly_that(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    found = surplus(ragged_fit, ragged_log, cost="cost", after=dearer(ragged_log, 0.75), by="segment")
    total = ragged_log.numbers("weight")[ragged_log.offsets[:-1]].sum()
    assert found["all"].per_choice.value == pytest.approx(-0.75)
    assert found["all"].per_choice.standard_error == pytest.approx(0, abs=1e-7)
    assert found["all"].total.value == pytest.approx(-0.75 * total)
    assert found["all"].n_choices == total
    assert sum(found[name].total.value for name in ("north", "south", "west")) == pytest.approx(-0.75 * total)
    np.testing.assert_allclose(case_surplus(ragged_fit, ragged_log, cost="cost", after=dearer(ragged_log, 0.75)), -0.75)


def test_surplus_in_closed_form(fit: Fit, log: ChoiceLog) -> None:
    faster = log.with_columns({"time": log.numbers("time") / 2})
    found = surplus(fit, log, cost="cost", after=faster)
    constant = np.array([0.0, fit["mode[car]"], fit["mode[train]"]])
    cost, time = (log.numbers(name).reshape(-1, 3) for name in ("cost", "time"))

    def logsum(hours: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.exp(constant + fit["cost"] * cost + fit["time"] * hours).sum(axis=1)))

    gain = (logsum(time / 2) - logsum(time)) / -fit["cost"]
    assert found["all"].per_choice.value == pytest.approx(gain.mean())
    assert found.change
    assert not found.warnings
    np.testing.assert_allclose(case_surplus(fit, log, cost="cost", after=faster), gain)


def test_simulated_intervals_agree(fit: Fit, log: ChoiceLog) -> None:
    faster = log.with_columns({"time": log.numbers("time") / 2})
    delta, drawn = (
        surplus(fit, log, cost="cost", after=faster, method=method)["all"].total for method in ("delta", "simulation")
    )
    assert drawn.low == pytest.approx(delta.low, abs=0.25 * delta.standard_error)
    assert drawn.standard_error == pytest.approx(delta.standard_error, rel=0.1)


@given(st.sampled_from(["bus", "car", "train"]), st.floats(0.0, 5.0))
def test_nobody_loses_when_an_alternative_gets_better(fit: Fit, log: ChoiceLog, label: str, less: float) -> None:
    rows = log.alternative_codes == ["bus", "car", "train"].index(label)
    better = log.with_columns({"time": log.numbers("time") - less * rows})
    assert (case_surplus(fit, log, cost="cost", after=better) >= -1e-12).all()


def test_a_level_is_told_to_hold_a_constant(fit: Fit, log: ChoiceLog) -> None:
    found = fit.surplus(log, cost="cost")
    assert any("unknown constant" in note for note in found.warnings)
    np.testing.assert_allclose(case_surplus(fit, log, cost="cost"), fit.predict(log).logsum / -fit["cost"])


def test_units_inside_a_term_are_seen(log: ChoiceLog) -> None:
    cents = log.with_columns({"cents": 100 * log.numbers("cost")})
    plain = Logit("C(mode) + cost + time").fit(cents)
    scaled = Logit("C(mode) + {cents / 100} + time").fit(cents)
    dear = cents.with_columns({"cents": cents.numbers("cents") + 50, "cost": cents.numbers("cost") + 0.5})
    assert surplus(plain, cents, cost="cost", after=dear)["all"].per_choice.value == pytest.approx(-0.5)
    for name in ("cents", "cents / 100"):
        found = surplus(scaled, cents, cost=name, after=dear)["all"].per_choice
        assert found.value == pytest.approx(-50.0), name


def test_a_cost_that_some_do_not_pay(log: ChoiceLog) -> None:
    held = log.with_columns({"free": (log.numbers("income") > 5) & (log.alternative_codes == 2)})
    fit = Logit("C(mode) + {cost * (free == 0)} + time").fit(held)
    term = fit.names[2]
    money = money_of(fit, held, "cost")
    assert money.index == 2
    assert money.slope == pytest.approx(1.0)
    faster = held.with_columns({"time": held.numbers("time") / 2})
    gain = fit.predict(faster).logsum - fit.predict(held).logsum
    expected = gain.mean() / -fit[term]
    assert surplus(fit, held, cost=term, after=faster)["all"].per_choice.value == pytest.approx(expected)


def test_a_marginal_utility_that_differs_by_person_is_measured(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + cost:income + C(segment):time").fit(log)
    money = money_of(fit, log, "cost")
    assert money.index is None
    before = fit.predict(log).logsum[None]
    income = log.numbers("income")[log.offsets[:-1]]
    expected = -(fit["cost"] + fit["cost:income"] * income)
    np.testing.assert_allclose(money.utility(fit.law, fit.params[None], before)[0], expected, rtol=1e-8)
    found = surplus(fit, log, cost="cost", after=dearer(log, 2.0))["all"].per_choice
    assert found.value == pytest.approx(-2.0)
    assert found.standard_error == pytest.approx(0, abs=1e-6)
    segmented = Logit("C(mode) + C(segment):cost + time").fit(log)
    assert surplus(segmented, log, cost="cost", after=dearer(log, 2.0))["all"].per_choice.value == pytest.approx(-2.0)


def test_another_law_has_surplus_too(log: ChoiceLog) -> None:
    small = log.take_cases(np.arange(200))
    fit = ScaledLogit("C(mode) + cost + time", scale="C(segment)").fit(small)
    found = surplus(fit, small, cost="cost", after=dearer(small, 1.5))["all"].per_choice
    assert found.value == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("utility", "cost", "message"),
    [
        ("C(mode) + log(cost) + time", "cost", "does not enter linearly"),
        ("C(mode) + log(cost) + time", "log(cost)", "not linear in one column"),
        ("C(mode) + cost + {cost ** 2}", "cost", "does not enter linearly"),
        ("C(mode):cost + time", "cost", "another weight in some alternatives"),
        ("C(mode) + cost + time", "csot", "no cost 'csot' in the utility; did you mean 'cost'"),
        ("C(mode) + cost + time", "mode[car]", "not linear in one column"),
    ],
)
def test_costs_that_are_no_money(log: ChoiceLog, utility: str, cost: str, message: str) -> None:
    fit = Logit(utility).fit(log)
    with pytest.raises(SpecificationError, match=message):
        surplus(fit, log, cost=cost)


def test_a_wrong_sign_is_refused(log: ChoiceLog) -> None:
    turned = log.with_columns({"cost": -log.numbers("cost")})
    with pytest.raises(SpecificationError, match="does not lower utility"):
        surplus(Logit("C(mode) + cost").fit(turned), turned, cost="cost")
    mixed = Logit("cost + cost:income", fixed={"cost": -1.0, "cost:income": 0.2}).fit(log)
    with pytest.raises(SpecificationError, match=r"does not lower utility for \d+\.\d% of the cases"):
        surplus(mixed, log, cost="cost")


def test_before_and_after_must_be_of_the_same_cases(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="the same cases"):
        surplus(fit, log, cost="cost", after=trips(100))


def test_the_usual_names(log: ChoiceLog) -> None:
    assert usual_costs(Logit("C(mode) + log(cost) + time").fit(log), log) == ["cost"]
    assert usual_costs(Logit("C(mode) + time").fit(log), log) == []
    two = log.with_columns({"Price": log.numbers("cost") * log.numbers("time")})
    assert usual_costs(Logit("cost + Price").fit(two), two) == ["Price", "cost"]

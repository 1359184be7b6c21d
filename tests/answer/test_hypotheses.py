"""Wald and likelihood-ratio tests, and the linear forms they read."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from revealed.answer import likelihood_ratio_test, wald_test
from revealed.answer.linear import read_linear
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit
from tests.worlds import trips

NAMES = ("mode[car]", "mode[train]", "cost", "cost:income", "log(cost)", "cost * (ga == 0) / 100", "time 2")


@pytest.mark.parametrize(
    ("text", "expected", "constant"),
    [
        ("cost", {"cost": 1}, 0),
        ("2*cost - mode[car]/4 + 3", {"cost": 2, "mode[car]": -0.25}, 3),
        ("-(cost + cost:income)*2e1", {"cost": -20, "cost:income": -20}, 0),
        ("log(cost) - cost", {"log(cost)": 1, "cost": -1}, 0),
        ("cost * (ga == 0) / 100 + 1", {"cost * (ga == 0) / 100": 1}, 1),
        ("`time 2` + time 2", {"time 2": 2}, 0),
        ("`cost` * 3", {"cost": 3}, 0),
        ("1.5 - .5", {}, 1),
    ],
)
def test_linear_forms(text: str, expected: dict[str, float], constant: float) -> None:
    form = read_linear(text, NAMES)
    assert {n: c for n, c in zip(NAMES, form.coefficients, strict=True) if c} == expected
    assert form.constant == constant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("csot", "did you mean 'cost'"),
        ("mode[cra]", r"no parameter 'mode\[cra\]'.*did you mean 'mode\[car\]'"),
        ("cost * mode[car]", "multiplies parameters"),
        ("1 / cost", "divide by numbers"),
        ("cost / 0", "divide by numbers"),
        ("cost ** 2", "linear"),
        ("cost +", "cannot read"),
        ("", "empty"),
        ("cost = 1", "no equals sign"),
        ("`nothing`", "no parameter 'nothing'"),
        ("__import__('os')", "no parameter '__import__'"),
    ],
)
def test_forms_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        read_linear(text, NAMES)


@pytest.mark.parametrize("kind", ["classic", "robust", "clustered"])
def test_wald_in_closed_form(fit: Fit, kind: str) -> None:
    found = wald_test(fit, "cost = 2*time", "mode[car] - 0.4 = mode[train]", errors=kind)
    restrict = np.array([[0, 0, 1, -2.0], [1, -1, 0, 0]])
    gap = restrict @ fit.params - [0, 0.4]
    statistic = gap @ np.linalg.inv(restrict @ fit.covariance(kind) @ restrict.T) @ gap
    assert found.statistic == pytest.approx(statistic)
    assert found.degrees_of_freedom == 2
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 2))
    assert found.restrictions[1].z == pytest.approx(
        gap[1] / np.sqrt((restrict @ fit.covariance(kind) @ restrict.T)[1, 1])
    )
    assert len(found.table().rows) == 3


def test_one_coefficient_is_its_t_test(fit: Fit) -> None:
    found = wald_test(fit, "time")
    assert found.restrictions[0].text == "time = 0"
    assert found.statistic == pytest.approx((fit["time"] / fit.standard_errors()[fit.index("time")]) ** 2)


def test_a_chain_of_equals_signs_is_several_hypotheses(fit: Fit) -> None:
    chained, apart = wald_test(fit, "mode[car] = mode[train] = 0"), wald_test(fit, "mode[car]", "mode[train]")
    assert chained.degrees_of_freedom == 2
    assert chained.statistic == pytest.approx(apart.statistic)


@pytest.mark.parametrize(
    ("hypotheses", "message"),
    [
        ((), "say what to test"),
        (("cost", "2*cost = 0"), "repeat or contradict"),
        (("cost = 1", "cost = 2"), "repeat or contradict"),
        (("1 = 2",), "holds no parameter"),
        (("cost = cost",), "holds no parameter"),
        (("price = 0",), "no parameter 'price'"),
    ],
)
def test_bad_hypotheses(fit: Fit, hypotheses: tuple[str, ...], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        wald_test(fit, *hypotheses)


def test_parameters_without_a_covariance_cannot_be_tested(log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="fixed or stand at a bound"):
        wald_test(Logit("cost + time", fixed={"cost": -1}).fit(log), "cost = -1")
    with pytest.raises(SpecificationError, match="do not identify cost"):
        wald_test(Logit("cost + time + {2 * cost}").fit(log), "cost = 0")


def test_likelihood_ratio_in_closed_form(fit: Fit, log: ChoiceLog) -> None:
    small = Logit("cost + time").fit(log)
    found = likelihood_ratio_test(fit, small)
    assert found.statistic == pytest.approx(2 * (fit.log_likelihood - small.log_likelihood))
    assert found.degrees_of_freedom == 2
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 2), rel=1e-9)
    assert any("one person" in note for note in found.warnings)
    assert fit.likelihood_ratio_test(small).statistic == found.statistic
    held = Logit("C(mode) + cost + time", fixed={"time": -0.5}).fit(log)
    assert likelihood_ratio_test(fit, held).degrees_of_freedom == 1


def test_likelihood_ratio_and_wald_agree_near_the_truth(fit: Fit, log: ChoiceLog) -> None:
    held = Logit("C(mode) + cost + time", fixed={"time": fit["time"] + 0.01}).fit(log)
    ratio = likelihood_ratio_test(fit, held).statistic
    assert ratio == pytest.approx(wald_test(fit, f"time = {held['time']!r}", errors="classic").statistic, rel=0.02)


def test_likelihood_ratio_refusals(fit: Fit, log: ChoiceLog) -> None:
    small = Logit("cost + time").fit(log)
    with pytest.raises(SpecificationError, match="wrong order"):
        likelihood_ratio_test(small, fit)
    with pytest.raises(SpecificationError, match=r"must have fewer$"):
        likelihood_ratio_test(fit, fit)
    with pytest.raises(SpecificationError, match="different choices"):
        likelihood_ratio_test(fit, Logit("cost + time").fit(trips(1200, seed=9)))
    with pytest.raises(SpecificationError, match="without prior"):
        likelihood_ratio_test(fit, Logit("cost + time", ridge=1.0).fit(log))
    with pytest.raises(SpecificationError, match="no special case"):
        likelihood_ratio_test(Logit("C(mode)").fit(log), Logit("cost").fit(log))


def test_likelihood_ratio_warnings(fit: Fit, log: ChoiceLog) -> None:
    bounded = Logit("C(mode) + cost", bounds={"cost": (-0.5, None)}).fit(log)
    notes = likelihood_ratio_test(fit, bounded).warnings
    assert any("cost at a bound" in note for note in notes)
    other = likelihood_ratio_test(fit, Logit("cost + {cost**2}").fit(log)).warnings
    assert any("cost ** 2 of the restricted fit is no parameter" in note for note in other)

"""Estimates printed elsewhere, reproduced to every printed digit from the data that come with the package.

Where a program stopped iterating short of the maximum its last digits are its own; ``tests.published`` names those
cells. Estimates here are taken to rounding error: a second fit starts at the estimates of the first, so that the
information behind the standard errors is that of the maximum itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from revealed.choices import ChoiceLog, datasets
from revealed.models import CrossNested, Fit, Logit, Model, Nested
from tests import published
from tests.published import Printed, last_places_off, matches_printed

SWISSMETRO = Logit("C(alternative) + cost + time", reference={"alternative": "swissmetro"})
MODE_CHOICE = Logit(
    {
        "air": "asc + generalized_cost + terminal_time + own(income)",
        "train": "asc + generalized_cost + terminal_time",
        "bus": "asc + generalized_cost + terminal_time",
        "car": "generalized_cost + terminal_time",
    }
)
MODE_CHOICE_NAMES = {f"asc[{mode}]": f"alternative[{mode}]" for mode in ("air", "train", "bus")} | {
    "income[air]": "air:income"
}
MODE_CANADA = Logit(
    "C(alternative) + cost + frequency + C(alternative):income + C(alternative):time", reference={"alternative": "car"}
)
HEATING_COSTS = Logit("installation_cost + operating_cost")
HEATING_CONSTANTS = Logit("C(alternative) + installation_cost + operating_cost", reference={"alternative": "heat_pump"})


@cache
def swissmetro() -> ChoiceLog:
    return datasets.swissmetro()


@cache
def mode_choice() -> ChoiceLog:
    return datasets.mode_choice()


@cache
def mode_canada() -> ChoiceLog:
    log = datasets.mode_canada(all_modes=True, modes=("air", "car", "train"))
    return log.with_columns({"time": log.numbers("vehicle_time") + log.numbers("other_time")})


@cache
def heating() -> ChoiceLog:
    return datasets.heating()


_FITS: dict[str, Fit] = {}


def maximum(model: Model, log: ChoiceLog) -> Fit:
    """Return the fit at the maximum itself, with robust errors over cases."""
    key = f"{model} {log.source}"
    if key not in _FITS:
        first = model.fit(log, errors="robust")
        assert first.status.converged
        _FITS[key] = replace(model, start=first.estimates).fit(log, errors="robust")
    return _FITS[key]


def cells(values: Mapping[str, float], errors: Mapping[str, Mapping[str, float]]) -> dict[tuple[str, str], float]:
    """Return what a printed table has of estimates: values, errors, ratios, p-values and 95% intervals."""
    wide = stats.norm.ppf(0.975)
    table = {(name, "value"): value for name, value in values.items()}
    for kind, by_name in errors.items():
        for name, error in by_name.items():
            value = values[name]
            table[name, kind] = error
            table[name, f"t {kind}"] = value / error
            table[name, f"p {kind}"] = 2 * stats.norm.sf(abs(value / error))
            table[name, f"low {kind}"] = value - wide * error
            table[name, f"high {kind}"] = value + wide * error
    return table


def cells_of(fit: Fit, names: Mapping[str, str] | None = None) -> dict[tuple[str, str], float]:
    """Return the cells of a fit under the names of the printed table."""
    called = [(names or {}).get(name, name) for name in fit.names]
    errors = {kind: dict(zip(called, fit.standard_errors(kind), strict=True)) for kind in ("classic", "robust")}
    return cells(dict(zip(called, fit.params, strict=True)), errors)


def check_table(printed: Printed, ours: Mapping[tuple[str, str], float]) -> None:
    """Hold every printed digit, but those of cells where the program stopped short, which must be near."""
    off = {cell: last_places_off(ours[cell], text) for cell, text in printed.cells().items()}
    wrong = {cell: (printed.cells()[cell], ours[cell]) for cell in off if off[cell] > 0.5 and cell not in printed.short}
    assert not wrong, f"{printed.where}: {wrong}"
    listed = {cell: off[cell] for cell in printed.short}
    assert all(0.5 < distance <= printed.off_by for distance in listed.values()), listed


@pytest.mark.parametrize(
    ("printed", "model", "log", "names"),
    [
        pytest.param(published.SWISSMETRO_REPORT, SWISSMETRO, swissmetro, None, id="swissmetro-biogeme-report"),
        pytest.param(published.SWISSMETRO_PYLOGIT, SWISSMETRO, swissmetro, None, id="swissmetro-pylogit"),
        pytest.param(published.SWISSMETRO_INTRODUCTION, SWISSMETRO, swissmetro, None, id="swissmetro-biogeme-6-digits"),
        pytest.param(published.MODE_CHOICE_STATA, MODE_CHOICE, mode_choice, MODE_CHOICE_NAMES, id="mode-choice-stata"),
        pytest.param(published.MODE_CHOICE_R, MODE_CHOICE, mode_choice, MODE_CHOICE_NAMES, id="mode-choice-r"),
        pytest.param(published.MODE_CANADA, MODE_CANADA, mode_canada, None, id="mode-canada-r"),
        pytest.param(published.HEATING_COSTS, HEATING_COSTS, heating, None, id="heating-costs-r"),
        pytest.param(published.HEATING_CONSTANTS, HEATING_CONSTANTS, heating, None, id="heating-constants-r"),
    ],
)
def test_printed_tables(printed: Printed, model: Model, log: Any, names: Mapping[str, str] | None) -> None:
    fit = maximum(model, log())
    check_table(printed, cells_of(fit, names))
    if "log-likelihood" in printed.figures:
        assert matches_printed(fit.log_likelihood, printed.figures["log-likelihood"])
    # Where digits differ it is the printed point that is not the maximum.
    back = {ours: theirs for theirs, ours in (names or {}).items()}
    at = {back.get(name, name): float(row[0]) for name, row in printed.rows.items()}
    there = replace(model, fixed=at).fit(log(), errors="robust")
    assert there.log_likelihood <= fit.log_likelihood


def test_swissmetro_report_to_every_digit_without_a_second_fit() -> None:
    fit = SWISSMETRO.fit(swissmetro(), errors="robust")
    check_table(published.SWISSMETRO_REPORT, cells_of(fit))


def test_swissmetro_figures_of_the_fit() -> None:
    fit, figures = maximum(SWISSMETRO, swissmetro()), published.SWISSMETRO_REPORT.figures
    null, top, k = swissmetro().facts.null_log_likelihood, fit.log_likelihood, fit.n_free
    ours = {
        "sample size": swissmetro().n_cases,
        "null log-likelihood": null,
        "log-likelihood": top,
        "likelihood ratio against null": 2 * (top - null),
        "rho-square": 1 - top / null,
        "rho-square-bar": 1 - (top - k) / null,
        "AIC": 2 * k - 2 * top,
        "BIC": k * np.log(swissmetro().n_cases) - 2 * top,
    }
    values = np.linalg.eigvalsh(np.linalg.inv(fit.covariance("classic")))
    ours |= {"smallest eigenvalue": values[0], "largest eigenvalue": values[-1]}
    ours |= {"condition number": values[-1] / values[0]}
    assert ours.keys() == figures.keys()
    wrong = {name: (ours[name], figures[name]) for name in ours if not matches_printed(ours[name], figures[name])}
    assert not wrong


def test_swissmetro_covariances() -> None:
    fit = maximum(SWISSMETRO, swissmetro())
    for (first, second), printed in published.SWISSMETRO_COVARIANCES.items():
        i, j = fit.index(first), fit.index(second)
        ours = []
        for kind in ("classic", "robust"):
            matrix = fit.covariance(kind)
            ours += [matrix[i, j], matrix[i, j] / np.sqrt(matrix[i, i] * matrix[j, j])]
        for value, text in zip(ours, printed, strict=True):
            assert matches_printed(value, text), (first, second, value, text)


def test_mode_choice_likelihood_ratio_and_rho_square() -> None:
    fit, figures = maximum(MODE_CHOICE, mode_choice()), published.MODE_CHOICE_STATA.figures
    null = mode_choice().facts.null_log_likelihood
    assert matches_printed(2 * (fit.log_likelihood - null), figures["likelihood ratio against null"])
    assert matches_printed(1 - fit.log_likelihood / null, figures["rho-square"])


@pytest.mark.parametrize(
    ("printed", "model", "log"),
    [
        pytest.param(published.MODE_CHOICE_R, MODE_CHOICE, mode_choice, id="mode-choice"),
        pytest.param(published.MODE_CANADA, MODE_CANADA, mode_canada, id="mode-canada"),
    ],
)
def test_likelihood_ratio_against_constants(printed: Printed, model: Model, log: Any) -> None:
    fit, constants = maximum(model, log()), maximum(Logit("C(alternative)"), log())
    ratio = 2 * (fit.log_likelihood - constants.log_likelihood)
    assert matches_printed(ratio, printed.figures["likelihood ratio against constants"])
    mcfadden = 1 - fit.log_likelihood / constants.log_likelihood
    assert matches_printed(mcfadden, printed.figures["McFadden R^2 against constants"])


# ---- a scale per group ----------------------------------------------------------------------------------------------


def by_delta(fit: Fit, function: Any) -> dict[tuple[str, str], float]:
    """Return the cells of functions of the parameters, their errors by the delta method, derivatives by differences."""
    at = fit.params
    names = list(function(at))
    steps = 1e-6 * np.eye(len(at))
    slopes = np.array(
        [
            (np.array(list(function(at + step).values())) - np.array(list(function(at - step).values()))) / 2e-6
            for step in steps
        ]
    ).T
    errors = {
        kind: dict(zip(names, np.sqrt(np.diag(slopes @ fit.covariance(kind) @ slopes.T)), strict=True))
        for kind in ("classic", "robust")
    }
    return cells(function(at), errors)


def test_swissmetro_scale_of_a_group() -> None:
    pytest.importorskip("jax")
    from revealed.models.scaled_logit import ScaledLogit

    fit = maximum(
        ScaledLogit("C(alternative) + cost + time", scale="C(group)", reference=SWISSMETRO.reference), swissmetro()
    )
    name = next(name for name in fit.names if "group" in name)

    def with_scale(params: np.ndarray) -> dict[str, float]:
        value = dict(zip(fit.names, params, strict=True))
        scale = np.exp(value.pop(name))
        return value | {"scale of group 3": scale}

    def in_money(params: np.ndarray) -> dict[str, float]:
        value = with_scale(params)
        unit = -value.pop("cost")
        ratio = value.pop("scale of group 3")
        relative = {each: number / unit for each, number in value.items()}
        return relative | {"scale of group 3": unit * ratio, "scale of group 2": unit}

    for printed, function in (
        (published.SWISSMETRO_SCALE, with_scale),
        (published.SWISSMETRO_MONEY_SCALE, in_money),
    ):
        check_table(printed, by_delta(fit, function))
        n, k = swissmetro().n_cases, fit.n_free
        ours = {
            "log-likelihood": fit.log_likelihood,
            "AIC": 2 * k - 2 * fit.log_likelihood,
            "BIC": k * np.log(n) - 2 * fit.log_likelihood,
        }
        for figure, text in printed.figures.items():
            assert matches_printed(ours[figure], text), figure


# ---- nests ----------------------------------------------------------------------------------------------------------

NESTED = Nested(SWISSMETRO.utility, reference=SWISSMETRO.reference, nests={"existing": ["train", "car"]})
CROSS_NESTED = CrossNested(
    SWISSMETRO.utility,
    reference=SWISSMETRO.reference,
    nests={"existing": ["train", "car"], "public": ["train", "swissmetro"]},
)


@pytest.mark.parametrize(
    ("printed", "model"),
    [
        pytest.param(published.SWISSMETRO_NESTED, NESTED, id="nested"),
        pytest.param(published.SWISSMETRO_CROSS_NESTED, CROSS_NESTED, id="cross-nested"),
    ],
)
def test_swissmetro_with_nests(printed: Printed, model: Model) -> None:
    fit = maximum(model, swissmetro())

    def with_shares(params: np.ndarray) -> dict[str, float]:
        value = dict(zip(fit.names, params, strict=True))
        return value | {name: share for name, share in model.derived(value).items() if name.startswith("share[")}

    check_table(printed, by_delta(fit, with_shares))
    ours = {
        "log-likelihood": fit.log_likelihood,
        "AIC": 2 * fit.n_free - 2 * fit.log_likelihood,
        "BIC": fit.n_free * np.log(swissmetro().n_cases) - 2 * fit.log_likelihood,
    }
    assert ours.keys() == printed.figures.keys()
    for figure, text in printed.figures.items():
        assert matches_printed(ours[figure], text), figure


# ---- what the printed fits say --------------------------------------------------------------------------------------


def shares(log: ChoiceLog, probability: np.ndarray) -> dict[str, float]:
    mass = np.bincount(log.alternative_codes, weights=probability)
    return dict(zip(log.facts.levels.labels, mass / log.n_cases, strict=True))


def changed(log: ChoiceLog, column: str, alternative: str, factor: float) -> ChoiceLog:
    values = np.array(log.numbers(column), dtype=float)
    values[log.alternative_codes == log.facts.levels.labels.index(alternative)] *= factor
    return log.with_columns({column: values})


def test_faster_trains_in_canada() -> None:
    fit, before = maximum(MODE_CANADA, mode_canada()), mode_canada()
    after = changed(before, "time", "train", 0.8)
    printed = published.MODE_CANADA_FASTER_TRAIN
    for log, when in ((before, "before"), (after, "after")):
        ours = shares(log, fit.probabilities(log))
        for mode, text in printed[when].items():
            assert matches_printed(ours[mode], text), (when, mode, ours[mode])
    gain = (fit.predict(after).logsum - fit.predict(before).logsum) / -fit["cost"]
    ours = {"smallest": gain.min(), "median": np.median(gain), "mean": gain.mean(), "largest": gain.max()}
    for figure, text in printed["surplus"].items():
        assert matches_printed(ours[figure], text), (figure, ours[figure])


def test_value_of_time_in_canada() -> None:
    fit = maximum(MODE_CANADA, mode_canada())
    for mode, text in published.MODE_CANADA_VALUE_OF_TIME.items():
        value = fit[f"alternative[{mode}]:time"] / fit["cost"] * 60
        assert matches_printed(value, text), (mode, value)


def test_shares_and_cost_elasticities_at_the_mean_traveller_of_canada() -> None:
    fit, log = maximum(MODE_CANADA, mode_canada()), mode_canada()
    codes = log.alternative_codes
    labels = log.facts.levels.labels
    attributes = ("cost", "frequency", "income", "time")
    means = {name: np.bincount(codes, log.numbers(name)) / log.n_cases for name in attributes}

    def logs_of_shares(cost: np.ndarray) -> np.ndarray:
        rows = {"case": [1] * 3, "alternative": list(labels), "chosen": [1, 0, 0], **means, "cost": cost}
        return np.asarray(np.log(fit.probabilities(ChoiceLog.from_table(pa.table(rows)))))

    at_mean = np.exp(logs_of_shares(means["cost"]))
    for mode, text in published.MODE_CANADA_MEAN_TRAVELLER.items():
        assert matches_printed(at_mean[labels.index(mode)], text)
    for dearer, printed in published.MODE_CANADA_COST_ELASTICITIES.items():
        step = 1e-5 * (np.array(labels) == dearer)
        up, down = (logs_of_shares(means["cost"] * np.exp(sign * step)) for sign in (1, -1))
        for mode, text in printed.items():
            elasticity = (up - down)[labels.index(mode)] / 2e-5
            # The eighth digit is that of estimates short of the maximum.
            assert last_places_off(elasticity, text) < 2, (dearer, mode, elasticity)


def test_heating_shares_and_rebate() -> None:
    fit, log = maximum(HEATING_CONSTANTS, heating()), heating()
    rebate = changed(log, "installation_cost", "heat_pump", 0.9)
    for changed_log, when in ((log, "data"), (rebate, "rebate")):
        ours = shares(changed_log, fit.probabilities(changed_log))
        for system, text in published.HEATING_SHARES[when].items():
            assert matches_printed(ours[system], text), (when, system, ours[system])


def test_heating_willingness_to_pay() -> None:
    for model, printed in ((HEATING_COSTS, published.HEATING_COSTS), (HEATING_CONSTANTS, published.HEATING_CONSTANTS)):
        fit = maximum(model, heating())
        ratio = fit["operating_cost"] / fit["installation_cost"]
        assert matches_printed(ratio, printed.figures["ratio of the costs"])


def test_heating_tests() -> None:
    free = maximum(HEATING_COSTS, heating())
    log = heating()
    log = log.with_columns({"lifecycle": log.numbers("installation_cost") + log.numbers("operating_cost") / 0.12})
    tied = maximum(Logit("lifecycle"), log)
    printed = published.HEATING_CAPITALISED_TEST
    assert matches_printed(2 * (free.log_likelihood - tied.log_likelihood), str(printed["statistic"]))
    assert matches_printed(tied.log_likelihood, str(printed["restricted log-likelihood"]))
    assert matches_printed(free.log_likelihood, published.HEATING_COSTS.figures["log-likelihood"])
    constants = maximum(HEATING_CONSTANTS, heating())
    income = maximum(
        replace(HEATING_CONSTANTS, utility=f"{HEATING_CONSTANTS.utility} + C(alternative):income"), heating()
    )
    statistic = 2 * (income.log_likelihood - constants.log_likelihood)
    assert matches_printed(statistic, str(published.HEATING_INCOME_TEST["statistic"]))
    assert matches_printed(stats.chi2.sf(statistic, 4), str(published.HEATING_INCOME_TEST["p"]))
    at = [income.index(name) for name in income.names if name.endswith(":income")]
    wald = income.params[at] @ np.linalg.solve(income.covariance("classic")[np.ix_(at, at)], income.params[at])
    assert matches_printed(float(wald), str(published.HEATING_INCOME_TEST["wald"]))


# ---- the ruler itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "printed", "agrees"),
    [
        (0.12349, "0.123", True),
        (0.12351, "0.123", False),
        (-0.1546334, "\N{MINUS SIGN}.154633", True),
        (-0.1546336, "\N{MINUS SIGN}.154633", False),
        (0.1546334, "\N{MINUS SIGN}.154633", False),
        (-6964.66298, "-6,964.663", True),
        (2.864e-05, "2.86e-05", True),
        (2.866e-05, "2.86e-05", False),
        (13.4, "13", True),
        (0.1196, "0.120", True),
    ],
)
def test_matches_printed(value: float, printed: str, agrees: bool) -> None:
    assert matches_printed(value, printed) is agrees

"""Goodness of fit and comparisons: closed forms and published figures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from revealed.answer import compare, goodness
from revealed.choices import ChoiceLog, Columns, datasets
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit
from tests.worlds import trips, trips_table


def test_closed_forms(fit: Fit, log: ChoiceLog) -> None:
    found = goodness(fit)
    ll, null, k, n = fit.log_likelihood, -1200 * np.log(3), 4, 1200
    assert found.null_log_likelihood == pytest.approx(null)
    assert found.rho_squared == pytest.approx(1 - ll / null)
    assert found.adjusted_rho_squared == pytest.approx(1 - (ll - k) / null)
    assert found.likelihood_ratio == pytest.approx(2 * (ll - null))
    assert found.likelihood_ratio_p_value == pytest.approx(stats.chi2.sf(2 * (ll - null), k))
    assert found.aic == pytest.approx(2 * k - 2 * ll)
    assert found.aicc == pytest.approx(2 * k - 2 * ll + 2 * k * (k + 1) / (n - k - 1))
    assert found.bic == pytest.approx(k * np.log(n) - 2 * ll)
    assert found.caic == pytest.approx(k * (np.log(n) + 1) - 2 * ll)
    assert found.constants_log_likelihood == pytest.approx(Logit("C(mode)").fit(log).log_likelihood)
    assert fit.goodness() == found


def test_swissmetro_as_biogeme_prints_it() -> None:
    log = datasets.swissmetro()
    fit = Logit("C(alternative) + cost + time").fit(log)
    found = goodness(fit, log)
    assert found.n == 6768
    assert found.n_params == 4
    printed = {"null_log_likelihood": -6964.663, "log_likelihood": -5331.252, "rho_squared": 0.235}
    printed |= {"adjusted_rho_squared": 0.234, "aic": 10670.5, "bic": 10697.78, "likelihood_ratio": 3266.822}
    for name, value in printed.items():
        digits = len(str(value).partition(".")[2])
        assert round(getattr(found, name), digits) == value, name
    assert found.constants_log_likelihood == pytest.approx(Logit("C(alternative)").fit(log).log_likelihood)
    assert any("takes the log" in note for note in goodness(fit).assumptions)
    assert not goodness(fit).warnings
    assert goodness(fit).constants_log_likelihood is None


def test_weights_and_counts(ragged_log: ChoiceLog) -> None:
    weighted = trips(400, seed=5, weight="weight")
    fit = Logit("C(mode) + cost").fit(weighted)
    found = goodness(fit)
    assert found.n == 400
    assert found.constants_log_likelihood == pytest.approx(Logit("C(mode)").fit(weighted).log_likelihood)
    counts = np.random.default_rng(0).poisson(2.0, 1200).astype(float)
    table = trips_table(400, seed=5)
    table = table.set_column(table.column_names.index("chosen"), "chosen", [counts])
    counted = ChoiceLog.from_table(table, Columns("trip", "mode"), counts=True)
    assert goodness(Logit("cost").fit(counted)).n == counts.sum()


def test_alternatives_nobody_chose_do_not_break_the_constants(ragged_log: ChoiceLog) -> None:
    mode = np.array(ragged_log.table.column("mode").to_pylist())
    taken = mode[ragged_log.chosen_rows]
    never = ragged_log.take_cases(taken != "train")
    fit = Logit("cost + time").fit(never)
    expected = Logit("C(mode)", fixed={"mode[train]": -50.0}).fit(never).log_likelihood
    assert goodness(fit, never).constants_log_likelihood == pytest.approx(expected, abs=1e-6)


def test_another_log_is_refused(ragged_fit: Fit) -> None:
    with pytest.raises(SpecificationError, match="not the log of the fit"):
        goodness(ragged_fit, trips(500, available="open"))


def test_no_choice_at_all_has_no_rho(fit: Fit) -> None:
    found = goodness(replace(fit, data=replace(fit.data, null_log_likelihood=0.0)))
    assert np.isnan(found.rho_squared)
    assert any("one alternative only" in note for note in found.warnings)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rho_squared"] is None


def test_comparison_aligns_parameters(fit: Fit, log: ChoiceLog) -> None:
    other = Logit("cost + log(time)", fixed={"cost": -1}).fit(log)
    found = compare(fit, other, labels=["full", "other"], errors="classic")
    assert found.names == ("mode[car]", "mode[train]", "cost", "time", "log(time)")
    assert found.entries[0][1] is None
    cost = found.entries[2]
    assert cost[0] is not None
    assert cost[1] is not None
    assert cost[0].standard_error == pytest.approx(fit.standard_errors("classic")[2])
    assert cost[0].p_value < 1e-6
    assert np.isnan(cost[1].p_value)
    assert found.figures["AIC"][0] == pytest.approx(goodness(fit).aic)
    assert not found.warnings
    table = found.table(stars=True)
    assert table.column("full stars")[2] == "***"
    assert table.column("other")[0] is None
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert {len(row) for row in found.table().rows} == {len(found.table().columns)}


def test_comparison_of_different_choices_warns(fit: Fit) -> None:
    found = compare(fit, Logit("cost").fit(trips(300, seed=8)))
    assert any("different choices" in note for note in found.warnings)
    assert found.fits == ("model 1", "model 2")


def test_comparison_refusals(fit: Fit) -> None:
    with pytest.raises(SpecificationError, match="give the fits"):
        compare()
    with pytest.raises(SpecificationError, match="different labels"):
        compare(fit, fit, labels=["one", "one"])

"""The summary: the numbers of the fit, what is wrong first, what is not estimated said so."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import norm

from revealed.answer.table import Table
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit
from revealed.report import sections_of, summarise, to_markdown, to_text
from tests.worlds import trips


def test_each_row_is_the_fit(fit: Fit) -> None:
    summary = fit.summary()
    assert summary.errors == "clustered"
    for row, name, value, error in zip(summary.rows, fit.names, fit.params, fit.standard_errors(), strict=True):
        assert row.name == name
        assert row.estimate == value
        assert row.standard_error == error
        assert row.z == pytest.approx(value / error)
        assert row.p_value == pytest.approx(2 * norm.sf(abs(value / error)))
        assert (row.low, row.high) == pytest.approx((value - 1.959963985 * error, value + 1.959963985 * error))
        assert row.state == "estimated"


def test_other_errors_and_levels(fit: Fit) -> None:
    summary = summarise(fit, errors="classic", both_errors=True, level=0.9)
    assert summary.rows[0].standard_error == fit.standard_errors("classic")[0]
    assert dict(summary.rows[0].other_errors) == {
        kind: fit.standard_errors(kind)[0] for kind in ("robust", "clustered")
    }
    headings = [column.heading for column in summary.table().columns]
    assert headings[:5] == ["parameter", "estimate", "robust error", "clustered error", "classic error"]
    assert headings[-2:] == ["90% low", "90% high"]
    half = 1.644853627 * fit.standard_errors("classic")[0]
    assert summary.rows[0].high == pytest.approx(fit.params[0] + half)
    with pytest.raises(SpecificationError, match="did you mean 'robust'"):
        summarise(fit, errors="robst")
    with pytest.raises(SpecificationError, match="level"):
        summarise(fit, level=95)


def test_what_is_not_estimated_has_no_error_and_says_why(log: ChoiceLog) -> None:
    model = Logit(
        "C(mode) + cost + time + {cost + time}", fixed={"mode[car]": 0.5}, bounds={"mode[train]": (1.0, None)}
    )
    summary = model.fit(log).summary()
    states = {row.name: row.state for row in summary.rows}
    assert states == {
        "mode[car]": "fixed",
        "mode[train]": "at bound",
        "cost": "not identified",
        "time": "not identified",
        "cost + time": "not identified",
    }
    assert all(row.standard_error is None and row.p_value is None for row in summary.rows)
    text = str(summary)
    assert text.index("Collinear") < text.index("Estimates")
    assert "! Collinear" in text
    assert 'role="alert"' in summary.to_html()
    assert not summary.sound


def test_a_fit_that_did_not_converge_is_told_before_all_else(log: ChoiceLog) -> None:
    from revealed.evidence import NewtonOptions

    summary = Logit("C(mode) + cost").fit(log, options=NewtonOptions(max_passes=1)).summary()
    first = to_text(summary).splitlines()[2]
    assert first.startswith("! Not converged")
    assert "NOT converged" in dict(summary.run)["Estimation"]


def test_the_reference_levels_are_shown(log: ChoiceLog) -> None:
    summary = Logit("C(mode) + cost", reference={"mode": "train"}).fit(log).summary()
    assert summary.references == {"mode": "train"}
    assert "Reference level of mode: train" in str(summary)


def test_all_forms_say_the_same(fit: Fit) -> None:
    summary = fit.summary()
    for form in (str(summary), summary.to_html(), summary.to_markdown(), to_markdown(summary)):
        assert f"{abs(fit.log_likelihood):,.3f}" in form
        assert "McFadden (1974)" in form.replace("\\", "")
        for name in fit.names:
            assert name in form.replace("\\", "")


def test_json_is_strict_and_holds_the_numbers(log: ChoiceLog) -> None:
    summary = Logit("cost + time + {2 * cost}").fit(log).summary()
    data = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert [row["name"] for row in data["estimates"]] == ["cost", "time", "2 * cost"]
    assert data["sound"] is False
    assert data["goodness"]["log_likelihood"] == pytest.approx(summary.goodness.log_likelihood)
    assert math.isclose(sum(data["shares"].values()), 1.0)


def test_a_notebook_shows_fits_and_summaries(fit: Fit) -> None:
    assert fit._repr_html_() == fit.summary()._repr_html_()
    assert fit._repr_html_().startswith('<div class="revealed">')


def test_per_alternative_formulas_priors_and_scales_are_told() -> None:
    log = trips(300)
    summary = Logit({"bus": "cost", "car": "asc + cost", "train": "asc + cost"}, ridge=1.0).fit(log).summary()
    assert ("car", "asc + cost") in summary.formulas
    assert any("ridge" in note for note in summary.notes)
    assert "car: asc + cost" in str(summary)


def test_weights_and_many_alternatives() -> None:
    log = trips(300, weight="weight")
    summary = Logit("C(mode) + cost").fit(log).summary()
    assert dict(summary.data)["Sum of weights"] == f"{log.facts.n_choices:,.0f}"
    from revealed.choices.simulate import Simulation

    many = Simulation(n_cases=200, params={"cost": -1.0}, n_alternatives=20, seed=1).log()
    table = sections_of(Logit("cost").fit(many).summary())[-1].blocks[0]
    assert isinstance(table, Table)
    assert len(table.rows) == 12
    assert "and 8 more alternatives" in table.notes
    shown = [float(share) for share in table.column("share of choices") if isinstance(share, float)]
    assert shown == sorted(shown, reverse=True)
    assert np.isclose(shown[0], max(many.facts.chosen.values()) / 200)


def test_answers_are_shown_in_notebooks_and_as_text(fit: Fit, log: ChoiceLog) -> None:
    answer = fit.whatif(log, "cost[mode == 'train'] *= 50")
    assert "before" in str(answer)
    assert str(answer).count("no income effect") == 1  # among the notes of the shares, not again below the surplus
    assert str(answer).count("leaves its observed range") == 1  # as a warning, not again among the notes
    page = answer._repr_html_()
    assert 'class="warning"' in page
    assert page.count("leaves its observed range") == 1

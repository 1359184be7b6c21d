"""What-ifs: laws of the logit, intervals, segments, warnings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import revealed
from revealed.answer import Add, IntervalOptions, Remove, Set, WhatIf, intervals, surplus, whatif
from revealed.choices import ChoiceLog
from revealed.errors import DataError, SpecificationError
from revealed.models import Fit, Logit, ScaledLogit
from revealed.report import to_markdown
from revealed.report.numbers import table_as_text
from tests.worlds import ragged, trips

MODES = ("bus", "car", "train")


def check(answer: WhatIf) -> None:
    """Check what must hold of any what-if."""
    for segment in answer.segments:
        items = [item for item in answer.shares if item.segment == segment]
        assert sum(item.before.value for item in items) == pytest.approx(1)
        assert sum(item.after.value for item in items) == pytest.approx(1)
        assert sum(item.difference.value for item in items) == pytest.approx(0, abs=1e-12)
        for item in items:
            assert item.difference.value == pytest.approx(item.after.value - item.before.value, abs=1e-14)
            for share in (item.before, item.after):
                assert 0 <= share.low <= share.value <= share.high <= 1
    assert len(answer.table().rows) == len(answer.shares)
    assert {len(row) for row in answer.table().rows} == {len(answer.table().columns)}
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["answer"] == "WhatIf"


def test_no_change_is_no_difference(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    answer = whatif(ragged_fit, ragged_log, by="segment")
    check(answer)
    assert answer.changes == ()
    for item in answer.shares:
        assert item.difference.value == item.difference.standard_error == 0
        assert item.count_before == item.count_after
    for part in answer.surplus:
        assert part.total.value == part.total.standard_error == 0


def test_shares_and_counts_are_weighted(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    answer = whatif(ragged_fit, ragged_log, "cost[alternative == 'bus'] += 1", by="segment")
    check(answer)
    weight = ragged_log.numbers("weight")
    raised = ragged_log.numbers("cost") + (ragged_log.alternative_codes == 0)
    before = ragged_fit.probabilities(ragged_log)
    after = ragged_fit.probabilities(ragged_log.with_columns({"cost": raised}))
    segment = np.array(ragged_log.table.column("segment").to_pylist())
    for name in ("all", "north"):
        here = (segment == name) | (name == "all")
        total = weight[here].sum() / 3
        for code, mode in enumerate(MODES):
            mine = here & (ragged_log.alternative_codes == code)
            item = answer.share(mode, name)
            assert item.before.value == pytest.approx((weight * before)[mine].sum() / total)
            assert item.after.value == pytest.approx((weight * after)[mine].sum() / total)
            assert item.count_after == pytest.approx((weight * after)[mine].sum())


def test_the_interval_of_a_difference_is_that_of_the_closed_form(fit: Fit, log: ChoiceLog) -> None:
    raised = log.with_columns({"cost": log.numbers("cost") * np.where(log.alternative_codes == 2, 1.2, 1.0)})

    def by_hand(points: np.ndarray) -> np.ndarray:
        shares = [
            [fit.law.predict(each, point).probability.reshape(-1, 3)[:, 2].mean() for each in (log, raised)]
            for point in points
        ]
        return np.array([[after - before] for before, after in shares])

    expected = intervals(fit, by_hand)[0]
    found = whatif(fit, log, "cost[alternative == 'train'] *= 1.2").share("train").difference
    assert found.value == pytest.approx(expected.value)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-6)
    assert found.high == pytest.approx(expected.high)


def test_removing_an_alternative_shares_it_out_in_proportion(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "remove train")
    check(answer)
    gone = answer.share("train")
    assert gone.after.value == gone.after.high == gone.after.standard_error == 0
    p = fit.probabilities(log).reshape(-1, 3)
    for code, mode in enumerate(MODES[:2]):
        assert answer.share(mode).after.value == pytest.approx((p[:, code] / (1 - p[:, 2])).mean())
    assert answer.surplus[0].per_choice.value == pytest.approx((np.log(1 - p[:, 2]) / -fit["cost"]).mean())
    assert any("irrelevant alternatives" in note for note in answer.assumptions)


def test_availability_works_where_the_log_has_none_and_where_it_has(
    fit: Fit, log: ChoiceLog, ragged_fit: Fit, ragged_log: ChoiceLog
) -> None:
    assert ragged_log.available is not None
    free = ragged_log.take_cases(np.asarray(ragged_log.available.reshape(-1, 3)[:, [0, 2]].any(axis=1)))
    for one, where in ((fit, log), (ragged_fit, free)):
        answer = whatif(one, where, "available[alternative == 'car' and income > 5] = 0")
        check(answer)
        assert 0 < answer.share("car").after.value < answer.share("car").before.value
        closed = whatif(one, where, "available[alternative == 'car'] = 0")
        assert closed.shares == whatif(one, where, "remove car").shares
    everywhere = whatif(ragged_fit, ragged_log, "available = 1")
    full = trips(1200, seed=4, weight="weight")
    assert everywhere.share("bus").after.value == pytest.approx(
        (ragged_fit.probabilities(full) * full.numbers("weight"))[::3].sum() / full.numbers("weight")[::3].sum()
    )


@given(st.sampled_from(MODES), st.floats(0.01, 3.0))
def test_a_dearer_alternative_loses_and_nobody_gains_surplus(fit: Fit, log: ChoiceLog, mode: str, rise: float) -> None:
    answer = whatif(fit, log, Set("cost", rise, f"alternative == '{mode}'", "+="))
    assert answer.share(mode).difference.value < 0
    assert all(answer.share(other).difference.value > 0 for other in MODES if other != mode)
    assert answer.surplus[0].total.value < 0


def test_surplus_is_that_of_the_two_logs(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "time /= 2", by="segment", cost="cost", level=0.9)
    direct = surplus(
        fit, log, cost="cost", after=log.with_columns({"time": log.numbers("time") / 2}), by="segment", level=0.9
    )
    assert answer.surplus == direct.segments
    table = answer.surplus_table()
    assert table is not None
    assert len(table.rows) == 4


def test_surplus_is_left_out_where_the_cost_cannot_serve(log: ChoiceLog) -> None:
    curved = Logit("C(mode) + log(cost)").fit(log)
    answer = whatif(curved, log, "cost *= 2")
    assert answer.surplus == ()
    assert answer.cost is None
    assert answer.surplus_table() is None
    assert any(note.startswith("no surplus: the cost 'cost'") for note in answer.warnings)
    with pytest.raises(SpecificationError, match="does not enter linearly"):
        whatif(curved, log, "cost *= 2", cost="cost")
    assert whatif(Logit("C(mode) + time").fit(log), log, "time *= 2").cost is None


def test_what_is_printed_has_the_surplus_or_says_why_not(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "time /= 2", by="segment")
    heading = "Change of consumer surplus (in units of cost)"
    for shown in (str(answer), to_markdown(answer), answer._repr_html_()):
        assert shown.count(heading) == 1
    (row,) = [line.split() for line in str(answer).split(heading)[1].splitlines() if line.startswith("all ")]
    everyone = answer.surplus[0]
    found = [(each.value, each.low, each.high) for each in (everyone.per_choice, everyone.total)]
    expected = [log.n_cases, *found[0], *found[1]]
    assert [float(cell.replace(",", "")) for cell in row[1:]] == pytest.approx(expected, rel=1e-3)

    def line_of(utility: str, choices: ChoiceLog = log) -> str:
        printed = " ".join(str(whatif(Logit(utility).fit(choices), choices, "time *= 2")).split())
        assert printed.count("no surplus: ") == 1
        assert "Change of consumer surplus" not in printed
        return printed

    assert "called cost, price, fare, toll or fee; name what is money as the cost" in line_of("C(mode) + time")
    assert "Warning: no surplus: the cost 'cost'" in line_of("C(mode) + log(cost) + time")
    two = log.with_columns({"fare": log.numbers("income") * log.numbers("time")})
    assert "several columns of the utility may be money (cost, fare)" in line_of("cost + fare + time", two)


def test_changes_of_shares_are_shown_in_points(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "cost[alternative == 'train'] *= 1.2")
    train = answer.share("train")
    table = answer.table()
    shown = dict(zip([column.heading for column in table.columns], table_as_text(table)[2], strict=True))
    assert shown["before"] == f"{train.before.value:.1%}"
    decimals = len(shown["change (points)"].partition(".")[2])
    for heading, value in (("change (points)", "value"), ("low", "low"), ("high", "high")):
        assert shown[heading] == f"{100 * getattr(train.difference, value):.{decimals}f}"
    for text in (str(answer), to_markdown(answer), answer._repr_html_()):
        assert "change (points)" in text
    # For machines they stay what they were: differences of shares.
    assert answer.to_dict()["shares"][2]["difference"]["value"] == train.after.value - train.before.value


def test_a_clone_takes_half_of_its_like_by_the_axiom(fit: Fit, log: ChoiceLog) -> None:
    answer = whatif(fit, log, "add 'red bus' like bus")
    check(answer)
    assert answer.alternatives == (*MODES, "red bus")
    assert answer.share("red bus").after == answer.share("bus").after
    p = fit.probabilities(log).reshape(-1, 3)
    assert answer.share("red bus").after.value == pytest.approx((p[:, 0] / (1 + p[:, 0])).mean())
    assert answer.share("red bus").before.value == 0


def test_the_constants_of_an_addition_are_told(fit: Fit, log: ChoiceLog) -> None:
    like = whatif(fit, log, "add tram like train: cost = 1")
    assert any("'tram' is new" in note and "terms of 'train' (mode[train])" in note for note in like.warnings)
    zero = whatif(fit, log, Add("tram", "train", (Set("cost", 1),), constants_of="bus"))
    assert any("constant of 'bus', the reference: zero" in note for note in zero.warnings)
    assert like.share("tram").after.value != pytest.approx(zero.share("tram").after.value)
    without = Logit("cost + time").fit(log)
    assert any("no constant, as 'train'" in note for note in whatif(without, log, "add tram like train").warnings)


def test_additions_to_a_utility_by_alternative(log: ChoiceLog) -> None:
    fit = Logit({"bus": "cost + time", "car": "asc + cost", "train": "asc + cost + own(time)"}).fit(log)
    answer = whatif(fit, log, "add tram like train")
    check(answer)
    assert answer.share("tram").after.value == pytest.approx(answer.share("train").after.value)
    assert any("asc[train], time[train]" in note for note in answer.warnings)


def test_leaving_the_support_is_told(fit: Fit, log: ChoiceLog) -> None:
    cost = log.numbers("cost").reshape(-1, 3)[:, 2]
    answer = whatif(fit, log, "cost[alternative == 'train'] *= 1.5")
    outside = int((cost * 1.5 > cost.max()).sum())
    (note,) = answer.warnings
    assert (
        f"leaves its observed range ({cost.min():.6g} to {cost.max():.6g}) in {outside} of 1,200 changed rows" in note
    )
    assert f"by up to {0.5 * cost.max():.6g}" in note
    inside = whatif(fit, log, f"cost[alternative == 'train'] = {float(np.median(cost))!r}")
    assert not inside.warnings
    new = whatif(fit, log, "add tram like bus: cost = -5")
    assert any("range of all alternatives" in note and "in 1,200 of 1,200" in note for note in new.warnings)


def test_only_available_rows_count_for_the_support(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    assert ragged_log.available is not None
    cost = np.where(ragged_log.available, ragged_log.numbers("cost"), 1e6)
    log = ragged_log.with_columns({"cost": cost})
    (note,) = whatif(ragged_fit, log, "cost[alternative == 'car'] = 500").warnings
    mine = ragged_log.available & (ragged_log.alternative_codes == 1)
    assert f"in {mine.sum():,} of {mine.sum():,} changed rows" in note


def test_changes_without_effect_are_told(fit: Fit, log: ChoiceLog) -> None:
    assert any("'income' has no effect" in note for note in whatif(fit, log, "income *= 2").warnings)
    assert any("touches no row" in note for note in whatif(fit, log, "cost[income > 1000] = 2").warnings)
    own = Logit({"bus": "cost", "car": "asc + cost + own(time)", "train": "asc + cost"}).fit(log)
    answer = whatif(own, log, "time[alternative == 'train'] *= 0.9")
    assert any("the changes have no effect" in note for note in answer.warnings)


def test_labels_the_model_has_not_seen_are_told(log: ChoiceLog) -> None:
    fit = Logit("C(mode) + cost + C(segment):cost").fit(log)
    answer = whatif(fit, log, "segment[income > 6] = 'east'")
    assert any(
        "'east' of 'segment' is unknown to the model: its terms are zero, as for 'north'" in n for n in answer.warnings
    )
    known = whatif(fit, log, "segment[income > 6] = 'south'")
    assert not known.warnings
    assert known.share("bus").difference.value != 0


def test_a_fit_that_is_not_sound_is_told(log: ChoiceLog) -> None:
    fit = Logit("cost + time + {2 * cost}").fit(log)
    answer = whatif(fit, log, "time *= 2")
    assert any("the fit is not sound: collinear" in note for note in answer.warnings)
    assert np.isfinite(answer.share("bus").difference.value)
    assert np.isnan(answer.share("bus").difference.standard_error)
    assert answer.to_dict()["shares"][0]["difference"]["low"] is None


def test_simulation_agrees_with_the_delta_method(fit: Fit, log: ChoiceLog) -> None:
    change = "cost[alternative == 'car'] *= 1.3"
    delta = whatif(fit, log, change)
    drawn = whatif(fit, log, change, method="simulation", options=IntervalOptions(draws=4000, seed=2))
    for mode in MODES:
        one, other = delta.share(mode).difference, drawn.share(mode).difference
        assert other.value == one.value
        assert other.low == pytest.approx(one.low, abs=0.2 * one.standard_error)
        assert other.high == pytest.approx(one.high, abs=0.2 * one.standard_error)
    check(drawn)
    again = whatif(fit, log, change, method="simulation", options=IntervalOptions(draws=4000, seed=2))
    assert again.shares == drawn.shares


def test_many_draws_are_taken_a_few_at_a_time(fit: Fit, log: ChoiceLog, monkeypatch: pytest.MonkeyPatch) -> None:
    change, options = "cost *= 1.1", IntervalOptions(draws=50)
    whole = whatif(fit, log, change, method="simulation", options=options)
    monkeypatch.setattr("revealed.answer.predict._HELD", 7 * log.n_cases)
    parts = whatif(fit, log, change, method="simulation", options=options)
    for one, other in zip(whole.surplus, parts.surplus, strict=True):
        assert other.total.low == pytest.approx(one.total.low, rel=1e-9)


def test_cases_of_different_sizes_and_counts() -> None:
    log = ragged(800)
    fit = Logit("a + b").fit(log)
    check(whatif(fit, log, "a[alternative == 1] += 1", "add 7 like 0: b = b + 1"))
    counts = np.random.default_rng(1).poisson(2.0, log.n_rows).astype(float)
    table = log.table.set_column(log.table.column_names.index("chosen"), "chosen", [counts])
    counted = ChoiceLog.from_table(table, log.columns, counts=True)
    answer = whatif(fit, counted, "a += 1")
    check(answer)
    assert sum(item.count_before for item in answer.shares) == pytest.approx(counts.sum())


def test_another_law(log: ChoiceLog) -> None:
    small = log.take_cases(np.arange(150))
    fit = ScaledLogit("C(mode) + cost", scale="C(segment)").fit(small)
    answer = whatif(fit, small, "cost[alternative == 'bus'] *= 1.2", by="segment")
    check(answer)
    assert answer.share("bus").difference.value < 0


def test_the_doors(fit: Fit, log: ChoiceLog) -> None:
    answer = fit.whatif(log, Remove("bus"), by="segment", level=0.8)
    assert answer.shares == revealed.whatif(fit, log, "remove bus", by="segment", level=0.8).shares
    assert answer.segments == ("all", "north", "south", "west")
    again = Fit.from_json(fit.to_json()).whatif(log, "remove bus", options=IntervalOptions(errors="robust"))
    assert again.share("car").after.value == pytest.approx(answer.share("car").after.value)


def test_refusals(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="differs within a case"):
        whatif(fit, log, by="mode")
    with pytest.raises(SpecificationError, match="1,200 values; cut it into bands"):
        whatif(fit, log, by="income")
    with pytest.raises(SpecificationError, match="no column 'regoin'"):
        whatif(fit, log, by="regoin")
    with pytest.raises(SpecificationError, match="nothing left to choose"):
        whatif(fit, log, "remove bus, car, train")
    with pytest.raises(SpecificationError, match="no cost 'prize'"):
        whatif(fit, log, cost="prize")
    with pytest.raises(SpecificationError, match="no 'tram' in this answer"):
        whatif(fit, log).share("tram")
    with pytest.raises(SpecificationError, match="no 'east' in this answer"):
        whatif(fit, log).share("bus", "east")


def test_missing_cells_that_come_into_play(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    assert ragged_log.available is not None
    log = ragged_log.with_columns({"cost": np.where(ragged_log.available, ragged_log.numbers("cost"), np.nan)})
    check(whatif(ragged_fit, log, "cost *= 2"))
    with pytest.raises(DataError, match="cost"):
        whatif(ragged_fit, log, "available = 1")


def test_segments_with_missing_labels(fit: Fit, log: ChoiceLog) -> None:
    cells = [None if label == "west" else label for label in log.table.column("segment").to_pylist()]
    import pyarrow as pa

    answer = whatif(fit, log.with_columns({"segment": pa.array(cells)}), by="segment")
    assert answer.segments == ("all", "north", "south", "(missing)")
    check(answer)

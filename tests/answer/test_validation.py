"""Held-out validation and calibration."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from revealed.answer import calibrate, validate
from revealed.answer.calibration import calibration_of, scores_of
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Logit
from tests.worlds import ragged, trips

MODEL = Logit("C(mode) + cost + time")


def test_scores_by_hand(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    p = ragged_fit.probabilities(ragged_log).reshape(-1, 3)
    y = ragged_log.chosen.reshape(-1, 3)
    w = ragged_log.numbers("weight")[::3]
    found = scores_of(ragged_log, p.reshape(-1))
    gain = np.log((p * y).sum(axis=1))
    assert found.log_likelihood == pytest.approx((w * gain).sum() / w.sum())
    assert found.log_likelihood == pytest.approx(ragged_fit.log_likelihood / w.sum())
    assert found.null_log_likelihood == pytest.approx(ragged_log.facts.null_log_likelihood / w.sum())
    assert found.brier == pytest.approx((w * ((y - p) ** 2).sum(axis=1)).sum() / w.sum())
    assert found.hit_rate == pytest.approx((w * (y.argmax(axis=1) == p.argmax(axis=1))).sum() / w.sum())
    assert found.rho_squared == pytest.approx(1 - found.log_likelihood / found.null_log_likelihood)
    who = ragged_log.numbers("who")[::3].astype(int)
    deviations = np.bincount(who, w * (gain - found.log_likelihood))
    assert found.standard_error == pytest.approx(np.sqrt((deviations**2).sum()) / w.sum())


def test_counts_are_scored_as_single_choices_would_be() -> None:
    random = np.random.default_rng(0)
    log = ragged(300)
    fit = Logit("a + b").fit(log)
    probability = fit.probabilities(log)
    counts = random.poisson(1.5, log.n_rows).astype(float)
    table = log.table.set_column(log.table.column_names.index("chosen"), "chosen", [counts])
    counted = ChoiceLog.from_table(table, log.columns, counts=True)
    found = scores_of(counted, probability)
    total = counts.sum()
    squares = np.repeat(np.add.reduceat(probability**2, log.offsets[:-1]), log.sizes)
    assert found.n_choices == total
    assert found.log_likelihood == pytest.approx((counts * np.log(probability)).sum() / total)
    assert found.brier == pytest.approx((counts * (1 - 2 * probability + squares)).sum() / total)
    whole = calibration_of(counted, probability)
    assert sum(item.n * item.observed for item in whole.bins) == pytest.approx(total)
    assert sum(share.observed for share in whole.shares) == pytest.approx(1)


def test_ties_count_in_parts() -> None:
    log = trips(90)
    assert scores_of(log, np.full(270, 1 / 3)).hit_rate == pytest.approx(1 / 3)


def test_bins_hold_all_rows_and_average_them(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    found = calibrate(ragged_fit, ragged_log, bins=7)
    assert ragged_log.available is not None
    weight = ragged_log.numbers("weight")
    usable = ragged_log.available
    p = ragged_fit.probabilities(ragged_log)
    assert len(found.bins) == 7
    assert sum(item.n for item in found.bins) == pytest.approx(weight[usable].sum())
    assert sum(item.n * item.predicted for item in found.bins) == pytest.approx((weight * p)[usable].sum())
    assert sum(item.n * item.observed for item in found.bins) == pytest.approx((weight * ragged_log.chosen).sum())
    first = found.bins[0]
    inside = usable & (p <= first.high)
    share = (weight * ragged_log.chosen)[inside].sum() / weight[inside].sum()
    assert first.observed == pytest.approx(share)
    wilson = stats.binomtest(3, 10).proportion_ci(0.95, method="wilson")
    log = trips(10)
    ten = calibration_of(log, np.tile([0.2, 0.3, 0.5], 10), bins=2).bins
    for item in ten:
        k = round(item.n * item.observed)
        wilson = stats.binomtest(k, round(item.n)).proportion_ci(0.95, method="wilson")
        assert (item.observed_low, item.observed_high) == pytest.approx((wilson.low, wilson.high))


def test_market_shares_of_a_logit_with_constants_are_exact_in_sample(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    found = calibrate(ragged_fit, ragged_log)
    for share in found.shares:
        assert share.predicted == pytest.approx(share.observed, abs=1e-6)
        assert share.standard_error > 0
    assert any("fitted to" in note for note in found.warnings)
    assert not calibrate(ragged_fit, trips(300, seed=77, available="open", weight="weight")).warnings
    assert len(found.shares_table().rows) == 3


def test_the_test_of_calibration_has_its_level_and_its_power() -> None:
    right, wrong = [], []
    random = np.random.default_rng(3)
    log = ragged(400)
    model = Logit("a + b")
    law = model.law(log)
    probability = law.predict(log, np.array([1.0, -0.7])).probability
    flat = law.predict(log, np.array([0.5, -0.35])).probability
    starts = log.offsets[:-1]
    for _ in range(200):
        draw = np.log(probability) + random.gumbel(size=log.n_rows)
        best = np.repeat(np.maximum.reduceat(draw, starts), log.sizes)
        drawn = log.with_columns({"chosen": draw == best})
        right.append(calibration_of(drawn, probability).p_value)
        wrong.append(calibration_of(drawn, flat).p_value)
    assert 0.04 < np.mean(np.array(right) < 0.1) < 0.17
    assert np.mean(np.array(wrong) < 0.1) > 0.9


def test_cases_are_taken_a_few_at_a_time(ragged_log: ChoiceLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChoiceLog.from_table(ragged_log.table, replace(ragged_log.columns, person=None))
    probability = MODEL.fit(log).probabilities(log)
    whole = calibration_of(log, probability)
    monkeypatch.setattr("revealed.answer.calibration._CASES_AT_ONCE", 7)
    parts = calibration_of(log, probability)
    assert parts.statistic == pytest.approx(whole.statistic)
    assert parts.degrees_of_freedom == whole.degrees_of_freedom == 9


def test_choices_of_one_person_may_depend_on_each_other() -> None:
    random = np.random.default_rng(5)
    log = trips(600)  # five trips a person
    apart = ChoiceLog.from_table(log.table, replace(log.columns, person=None))
    rows = np.arange(1800).reshape(-1, 5, 3)[:, :1].repeat(5, axis=1).reshape(-1)  # one trip, taken five times
    probability = MODEL.law(log).predict(log, np.array([0.5, -0.3, -1.0, -0.5])).probability[rows]
    together, alone = [], []
    for _ in range(200):
        draw = (np.log(probability) + random.gumbel(size=1800)[rows]).reshape(-1, 3)
        chosen = (draw == draw.max(axis=1, keepdims=True)).reshape(-1)
        together.append(calibration_of(log.with_columns({"chosen": chosen}), probability, bins=5).p_value)
        alone.append(calibration_of(apart.with_columns({"chosen": chosen}), probability, bins=5).p_value)
    assert 0.04 < np.mean(np.array(together) < 0.1) < 0.17
    assert np.mean(np.array(alone) < 0.1) > 0.5


def test_certainty_that_fails_is_told() -> None:
    log = trips(60)
    probability = np.tile([1.0, 0.0, 0.0], 60)
    found = calibration_of(log, probability)
    missed = int((log.chosen.reshape(-1, 3)[:, 0] == 0).sum())
    assert any(f"{missed} choices had predicted probability zero" in note for note in found.warnings)
    assert found.scores.log_likelihood == -np.inf
    assert found.to_dict()["scores"]["log_likelihood"] is None


def test_persons_stay_on_one_side(log: ChoiceLog) -> None:
    found = validate(MODEL, log, folds=4, seed=1)
    assert found.unit == "person"
    assert [fold.test.n_cases for fold in found.folds] == [300, 300, 300, 300]
    assert found.scores.n_cases == 1200
    assert found.scores.log_likelihood == pytest.approx(np.mean([fold.test.log_likelihood for fold in found.folds]))
    from revealed.answer.validation import _parts

    who = np.array(log.table.column("who").to_pylist())[log.offsets[:-1]]
    for part in _parts(log, 4, 0.2, 1):
        assert not set(who[part]) & set(np.delete(who, part))
    assert sorted(np.concatenate(_parts(log, 4, 0.2, 1))) == list(range(1200))


def test_held_out_scores_are_those_of_a_fit_on_the_rest(log: ChoiceLog) -> None:
    found = validate(MODEL, log, share=0.3, seed=5)
    from revealed.answer.validation import _parts

    (test,) = _parts(log, None, 0.3, 5)
    inside = np.ones(1200, bool)
    inside[test] = False
    fit = MODEL.fit(log.take_cases(inside), errors="classic")
    held = log.take_cases(test)
    assert found.folds[0].test == scores_of(held, fit.probabilities(held))
    assert found.scores == found.folds[0].test
    assert found.held_out.bins == calibrate(fit, held).bins
    assert found.folds[0].train.n_cases == 1200 - len(test) == 840
    assert validate(MODEL, log, share=0.3, seed=5).scores == found.scores
    assert validate(MODEL, log, share=0.3, seed=6).scores != found.scores


def test_a_model_that_fits_noise_does_worse_on_what_it_has_not_seen() -> None:
    log = trips(150, seed=2)
    random = np.random.default_rng(0)
    noisy = log.with_columns({f"n{i}": random.normal(size=log.n_rows) for i in range(25)})
    fat = replace(MODEL, utility="C(mode) + cost + time + " + " + ".join(f"n{i}" for i in range(25)))
    lean_found, fat_found = validate(MODEL, noisy, folds=3), validate(fat, noisy, folds=3)
    assert fat_found.scores.log_likelihood < lean_found.scores.log_likelihood
    assert fat_found.folds[0].train.log_likelihood > lean_found.folds[0].train.log_likelihood
    assert any("hit rate rewards" in note for note in fat_found.assumptions)


def test_tables_and_json(log: ChoiceLog) -> None:
    found = validate(MODEL, log, folds=2)
    assert found.table().column("fold") == ["1", "2", "all"]
    assert len(validate(MODEL, log).table().rows) == 1
    assert {len(row) for row in found.table().rows} == {len(found.table().columns)}
    assert {len(row) for row in found.held_out.table().rows} == {len(found.held_out.table().columns)}
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["held_out"]["bins"]


def test_what_training_has_not_seen_is_told() -> None:
    log = trips(40, seed=1)
    taken = log.alternative_codes[log.chosen_rows]
    rare = np.flatnonzero(taken == 2)[0]
    few = log.take_cases(np.append(np.flatnonzero(taken != 2), rare))
    found = validate(MODEL, few, folds=8)
    assert any("nobody in training chose 'train'" in note for note in found.warnings)


def test_refusals(log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        validate(MODEL, log, share=1.5)
    with pytest.raises(SpecificationError, match="cannot be split with a share"):
        validate(MODEL, log, share=0.0001)
    with pytest.raises(SpecificationError, match="240 persons cannot be split into 241 folds"):
        validate(MODEL, log, folds=241)
    with pytest.raises(SpecificationError, match="whole number"):
        validate(MODEL, log, folds=1)
    with pytest.raises(SpecificationError, match="whole number"):
        validate(MODEL, log, bins=1)

"""The driver: on the logit through its evidence, its bounds, and what it says of what cannot be estimated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revealed.choices import ChoiceLog
from revealed.errors import EvidenceError, SpecificationError
from revealed.evidence import Detail, Evidence, ExactSum, NewtonOptions, Region, Sample, maximise, newton
from revealed.evidence.newton import SAMPLED_TOLERANCE, EvidenceAt
from revealed.models import Logit
from tests.worlds import trips

UTILITY = "C(mode) + cost + time"


def hill(params: np.ndarray, detail: Detail) -> Evidence:
    """Return the evidence of a hill that is flat far out, where plain Newton steps jump away: -log cosh."""
    x = params
    value = -np.sum(np.logaddexp(x, -x))
    score = -np.tanh(x)
    information = np.diag(1 / np.cosh(x) ** 2)
    row = np.concatenate([[value], score, information[np.triu_indices(2)], np.zeros(3)])
    return Evidence("hill", ("x", "y"), params, 1, Detail.OUTER, ExactSum.of(row[None]))


EVERYWHERE = Region(np.full(2, -np.inf), np.full(2, np.inf))


def test_the_trust_region_climbs_where_plain_newton_diverges() -> None:
    start = np.array([3.0, -2.0])
    plain = start + np.linalg.solve(hill(start, Detail.OUTER).information, hill(start, Detail.OUTER).score)
    assert hill(plain, Detail.OUTER).log_likelihood < hill(start, Detail.OUTER).log_likelihood
    found = maximise(hill, start, EVERYWHERE)
    assert found.status.converged
    np.testing.assert_allclose(found.params, 0.0, atol=1e-9)
    assert list(found.status.trail)[-1] == max(found.status.trail)


def test_bounds_hold_and_are_reported() -> None:
    region = Region(np.array([0.5, -np.inf]), np.array([np.inf, np.inf]))
    found = maximise(hill, np.array([2.0, 1.0]), region)
    assert found.status.at_bound == ("x",)
    np.testing.assert_allclose(found.params, [0.5, 0.0], atol=1e-9)


def test_a_bound_that_does_not_bind_is_left_again() -> None:
    region = Region(np.array([-5.0, -5.0]), np.array([0.5, 5.0]))
    found = maximise(hill, np.array([0.5, 4.0]), region)
    assert found.status.at_bound == ()
    np.testing.assert_allclose(found.params, 0.0, atol=1e-9)


def test_too_few_passes_is_status_not_an_exception() -> None:
    fit = Logit(UTILITY).fit(trips(400), options=NewtonOptions(max_passes=2))
    assert not fit.status.converged
    assert "2 passes" in fit.status.reason
    assert any("not converged" in message for message in fit.status.messages())


def test_a_start_where_nothing_is_finite_is_an_error() -> None:
    def broken(params: np.ndarray, detail: Detail) -> Evidence:
        return Evidence("b", ("x", "y"), params, 1, Detail.OUTER, ExactSum.of(np.full((1, 9), np.nan)))

    with pytest.raises(EvidenceError, match="not finite"):
        maximise(broken, np.zeros(2), EVERYWHERE)


def test_collinear_columns_are_named_in_their_groups() -> None:
    log = trips(500)
    cost, time = log.numbers("cost"), log.numbers("time")
    log = log.with_columns({"both": cost + time, "double": 2 * time**2, "square": time**2, "other": np.cos(cost)})
    fit = Logit("cost + time + both + square + double + other").fit(log)
    groups = {item.names for item in fit.status.not_identified}
    assert groups == {("cost", "time", "both"), ("square", "double")}
    assert all(item.kind == "collinear" for item in fit.status.not_identified)
    errors = dict(zip(fit.names, fit.standard_errors(), strict=True))
    assert np.isnan(errors["cost"])
    assert np.isnan(errors["double"])
    assert errors["other"] > 0
    assert not fit.status.sound


def test_a_ridge_identifies_collinear_columns() -> None:
    log = trips(500)
    log = log.with_columns({"double": 2 * log.numbers("cost")})
    fit = Logit("cost + double + time", ridge=0.1).fit(log)
    assert fit.status.sound
    np.testing.assert_allclose(fit["double"], 2 * fit["cost"], rtol=1e-8)


def test_separation_names_what_runs_away() -> None:
    log = trips(500)
    log = log.with_columns({"telling": log.chosen * 1.0})
    fit = Logit(UTILITY + " + telling").fit(log)
    (item,) = fit.status.not_identified
    assert item.kind == "separation"
    assert item.names == ("telling",)
    assert not fit.status.converged
    assert fit.status.passes < 40


def test_separation_of_an_alternative_chosen_whenever_it_is_there() -> None:
    table = trips(600).table
    log = trips(600)
    never = (log.alternative_codes == 2) & (log.chosen == 0)
    log = log.with_columns({"rare": np.where(never & (np.arange(log.n_rows) % 2 == 0), 1.0, 0.0)})
    fit = Logit(UTILITY + " + rare").fit(log)
    assert [item.kind for item in fit.status.not_identified] == ["separation"]
    assert "rare" in fit.status.not_identified[0].names
    assert fit["rare"] < -3
    assert table.num_rows == log.n_rows


def test_separation_in_a_large_log_climbed_by_samples() -> None:
    log = trips(30_000, seed=5)
    log = log.with_columns({"telling": log.chosen * 1.0})
    fit = Logit(UTILITY + " + telling").fit(log)
    assert [item.kind for item in fit.status.not_identified] == ["separation"]
    assert "telling" in fit.status.not_identified[0].names


def test_rare_alternatives_and_strong_tastes_are_not_taken_for_separation() -> None:
    random = np.random.default_rng(2)
    log = trips(5_000, seed=2)
    strong = random.normal(size=log.n_rows)
    utility = 8 * strong + random.gumbel(size=log.n_rows)
    taken = utility.reshape(-1, 3).argmax(axis=1)
    chosen = np.eye(3)[taken].reshape(-1)
    log = log.with_columns({"strong": strong, "chosen": chosen})
    fit = Logit("C(mode) + strong").fit(log)
    assert fit.status.sound
    assert abs(fit["strong"] - 8) < 4 * fit.standard_errors()[2]


def test_a_large_log_takes_three_passes_and_its_update_one() -> None:
    log = trips(40_000, seed=8)
    fit = Logit(UTILITY).fit(log, errors="robust")
    assert fit.status.sound
    assert fit.status.passes <= 3
    assert fit.status.sample_passes < 1
    more = trips(400, seed=9)
    more = more.with_columns({"trip": np.repeat(np.arange(100_000, 100_400), 3)})
    whole = log + more
    updated = fit.update(more, whole)
    assert updated.status.passes <= 2
    again = Logit(UTILITY).fit(whole, errors="robust")
    np.testing.assert_allclose(updated.params, again.params, rtol=0, atol=1e-10)
    np.testing.assert_allclose(updated.standard_errors(), again.standard_errors(), rtol=1e-5)


def test_sampled_climb_and_full_climb_meet() -> None:
    log: ChoiceLog = trips(25_000, seed=4)
    law = Logit(UTILITY).law(log)
    fit = Logit(UTILITY).fit(log, errors="classic")
    from revealed.engine import InProcess
    from revealed.models.estimate import evidence_of

    region = Region(np.full(4, -np.inf), np.full(4, np.inf))
    full = maximise(evidence_of(law, log, InProcess(), False, None), np.zeros(4), region)
    np.testing.assert_allclose(fit.params, full.params, rtol=0, atol=1e-10)
    assert full.status.passes > fit.status.passes


def evidence_at(log: ChoiceLog) -> EvidenceAt:
    """Return the evidence of a log in this process."""
    from revealed.engine import InProcess
    from revealed.models.estimate import evidence_of

    return evidence_of(Logit(UTILITY).law(log), log, InProcess(), False, None)


def test_what_is_known_of_the_information_explains_the_last_step() -> None:
    random = np.random.default_rng(1)
    root = random.normal(size=(5, 5))
    truth, guess = root @ root.T + np.eye(5), np.eye(5)
    moved = random.normal(size=5)
    learned = newton._learned(guess, moved, truth @ moved)
    np.testing.assert_allclose(learned @ moved, truth @ moved)
    assert (np.linalg.eigvalsh(learned) > 0).all()
    assert newton._learned(guess, moved, -moved) is guess  # a slope that falls the wrong way teaches nothing


def test_a_large_log_is_passed_over_for_the_score_twice_and_in_full_once() -> None:
    log = trips(60_000, seed=8)
    taken: list[Detail] = []
    full, part = evidence_at(log), evidence_at(log.take_cases(np.arange(0, 60_000, 4)))

    def watched(params: np.ndarray, detail: Detail) -> Evidence:
        taken.append(detail)
        return full(params, detail)

    region = Region(np.full(4, -np.inf), np.full(4, np.inf))
    found = maximise(watched, np.zeros(4), region, samples=[Sample(part, 15_000, 0.25)])
    assert taken == [Detail.SCORE, Detail.SCORE, Detail.OUTER]
    assert found.status.utility_step < SAMPLED_TOLERANCE
    np.testing.assert_allclose(found.params, maximise(full, np.zeros(4), region).params, rtol=0, atol=1e-10)


def test_a_sample_that_misleads_costs_passes_not_the_maximum() -> None:
    log = trips(20_000, seed=8)
    # The sample's travellers take what they dislike, and its information is a hundred times too small.
    other = trips(2_000, seed=9)
    taken = np.eye(3)[(other.chosen.reshape(-1, 3).argmax(axis=1) + 1) % 3].reshape(-1)
    misled = evidence_at(other.with_columns({"chosen": taken}))
    region = Region(np.full(4, -np.inf), np.full(4, np.inf))
    found = maximise(evidence_at(log), np.zeros(4), region, samples=[Sample(misled, 2_000, 10.0)])
    assert found.status.converged
    np.testing.assert_allclose(found.params, maximise(evidence_at(log), np.zeros(4), region).params, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed": {"csot": 1.0}}, "did you mean 'cost'"),
        ({"bounds": {"cost": (1.0, 0.0)}}, "bounds of 'cost' are empty"),
        ({"bounds": {"tmie": (None, 0.0)}}, "did you mean 'time'"),
        ({"start": {"cost": np.nan}}, "must be finite"),
        ({"reference": {"mode": "tram"}}, "no level 'tram'"),
        ({"reference": {"segment": "north"}}, r"no C\(segment\)"),
    ],
)
def test_options_that_fit_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Logit(UTILITY, **options).fit(trips(50))

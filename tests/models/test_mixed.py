"""The mixed logit: likelihood by hand, slopes, order, recovery, special cases, published results, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices import ChoiceLog, Partition, datasets
from revealed.errors import DataError, SpecificationError
from revealed.evidence import Detail, Evidence
from revealed.models import Fit, Logit, Mixed, individual_coefficients
from revealed.models.mixed.draws import Draws
from revealed.models.mixed.families import NAMES, Family
from tests.models.mixed_worlds import SPECS, WORLDS, everything, log_likelihoods_by_hand, people

# ---- the likelihood and its slopes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["panel", "alone", "available", "counts"])
@pytest.mark.parametrize("spec", SPECS)
def test_the_likelihood_is_that_written_out_by_hand(world: str, spec: str) -> None:
    log, (model, point) = people(12, seed=1, **WORLDS[world]), SPECS[spec]
    law = model.law(log)
    found = law.evidence(everything(log), np.array(point), Detail.SCORE).log_likelihood
    assert found == pytest.approx(sum(log_likelihoods_by_hand(law, log, np.array(point)).values()), rel=1e-12)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("spec", SPECS)
def test_score_and_information_are_slopes(world: str, spec: str) -> None:
    log, (model, values) = people(30, seed=2, **WORLDS[world]), SPECS[spec]
    law, point = model.law(log), np.array(values)
    full = law.evidence(everything(log), point, Detail.OUTER, ledger=True)
    np.testing.assert_allclose(law.evidence(everything(log), point, Detail.SCORE).score, full.score, rtol=1e-11)
    for i, unit in enumerate(np.eye(len(point))):
        up, down = (law.evidence(everything(log), point + h * unit, Detail.SCORE) for h in (1e-5, -1e-5))
        assert (up.log_likelihood - down.log_likelihood) / 2e-5 == pytest.approx(full.score[i], rel=1e-6, abs=1e-5)
        np.testing.assert_allclose((down.score - up.score) / 2e-5, full.information[i], rtol=1e-6, atol=1e-4)
    assert full.ledger is not None
    scores = full.ledger.by_person()[1]
    assert len(scores) == (log.n_cases if world == "alone" else 30)
    np.testing.assert_allclose(full.outer, scores.T @ scores, rtol=1e-10, atol=1e-9)


def test_large_and_small_utilities_take_the_same_values() -> None:
    log, (model, values) = people(30, seed=2, available=True), SPECS["normal"]
    law, point = model.law(log), np.array(values)
    shift = np.repeat(np.random.default_rng(0).normal(0, 1e4, log.n_cases), log.sizes)
    far = log.with_columns({"x": log.numbers("x") + shift})
    one, two = (law.evidence(everything(each), point, Detail.OUTER) for each in (log, far))
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(one.information, two.information, rtol=1e-7, atol=1e-7)
    big = law.evidence(everything(log), point * 1e4, Detail.OUTER)
    assert big.log_likelihood < -1e4
    assert np.isfinite(big.information).all()


def test_a_weight_of_a_person_is_the_person_that_often() -> None:
    log = people(20, seed=3)
    law, point = SPECS["normal"][0].law(log), np.array(SPECS["normal"][1])
    weight = np.where(log.person_codes < 8, 3.0, 1.0)
    table = log.with_columns({"weight": np.repeat(weight, log.sizes)}).table
    from dataclasses import replace

    weighted = ChoiceLog.from_table(table, replace(log.columns, weight="weight"))
    several = log.take_cases(log.person_codes < 8)
    whole, part, got = (
        law.evidence(everything(each), point, Detail.OUTER, ledger=True) for each in (log, several, weighted)
    )
    assert got.log_likelihood == pytest.approx(whole.log_likelihood + 2 * part.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(got.information, whole.information + 2 * part.information, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.outer, whole.outer + 8 * part.outer, rtol=1e-9, atol=1e-9)


# ---- draws ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sobol", "halton"])
def test_draws_are_uniform_and_belong_to_the_label(kind: str) -> None:
    draws = Draws(200, kind, 3)
    keys = draws.keys(range(300))
    uniform = draws.uniform(keys, 4)
    assert uniform.shape == (300, 4, 200)
    assert 0 < uniform.min() < uniform.max() < 1
    np.testing.assert_array_equal(draws.uniform(draws.keys(["17"]), 4)[0], uniform[17])
    # far closer to a half than 200 independent draws, whose means would spread by .020
    assert uniform.mean(axis=2).std() < 0.006
    correlation = np.corrcoef(uniform.swapaxes(0, 1).reshape(4, -1))
    assert np.abs(correlation - np.eye(4)).max() < 0.02
    assert np.abs(uniform - Draws(200, kind, 4).uniform(keys, 4)).mean() > 0.1


def test_results_do_not_depend_on_order_parts_or_company(monkeypatch: pytest.MonkeyPatch) -> None:
    log, (model, values) = people(60, seed=4), SPECS["correlated"]
    law, point = model.law(log), np.array(values)
    whole = law.evidence(everything(log), point, Detail.OUTER)
    order = np.random.default_rng(1).permutation(log.n_rows)
    shuffled = ChoiceLog.from_table(log.table.take(pa.array(order)), log.columns)
    again = model.law(shuffled).evidence(everything(shuffled), point, Detail.OUTER)
    parts = [law.evidence(Partition(log, a, b), point, Detail.OUTER) for a, b in ((0, 31), (31, log.n_cases))]
    few = log.person_codes < 25
    split = [
        law.evidence(everything(each), point, Detail.OUTER) for each in (log.take_cases(few), log.take_cases(~few))
    ]
    for found in (again, Evidence.sum(parts), Evidence.sum(split)):
        assert found.n_cases == whole.n_cases
        assert found.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)
        np.testing.assert_allclose(found.information, whole.information, rtol=1e-9, atol=1e-9)
    monkeypatch.setattr("revealed.models.people.BLOCK_UTILITIES", 1)
    single = model.law(log).evidence(everything(log), point, Detail.OUTER)
    np.testing.assert_allclose(single.information, whole.information, rtol=1e-9, atol=1e-9)


# ---- distributions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("location", "scale"), [(0.4, 0.7), (-1.5, 0.5)])
def test_moments_are_those_of_the_draws(name: str, location: float, scale: float) -> None:
    model = Mixed("x", random={"x": name}, draws=20_000)
    spec = model.law(people(3, seed=1)).coefficients
    variates = spec.variates(Draws(20_000, "sobol", 0).uniform(Draws(20_000, "sobol", 0).keys(["a"]), 1))
    values = spec.at(np.array([location, scale]), variates).values[0, 0]
    mean, deviation = Family.of(name).moments(location, scale)
    assert values.mean() == pytest.approx(mean, rel=2e-3)
    assert values.std() == pytest.approx(deviation, rel=1e-2)
    if name.endswith("-") or name in ("lognormal", "truncated"):
        assert (np.sign(values) == (-1 if name.endswith("-") else 1)).all()


def test_a_truncated_tail_far_out_keeps_its_digits() -> None:
    mean, deviation = Family.of("truncated").moments(-40.0, 1.0)
    assert mean == pytest.approx(1 / 40.0, rel=2e-3)  # nearly exponential out there
    assert deviation == pytest.approx(mean, rel=5e-3)


# ---- special cases and recovery -------------------------------------------------------------------------------------


def test_without_spread_it_is_the_logit() -> None:
    log = people(80, seed=5, available=True)
    held = Mixed("x + y + z", random={"x": "normal"}, draws=7, fixed={"sd[x]": 0.0}).fit(log)
    plain = Logit("x + y + z").fit(log)
    np.testing.assert_allclose(held.params[:3], plain.params, rtol=0, atol=1e-9)
    assert held.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(held.probabilities(log), plain.probabilities(log), atol=1e-9)
    np.testing.assert_allclose(held.predict(log).logsum, plain.predict(log).logsum, atol=1e-8)


TRUTH = {"x": 1.0, "y": -0.3, "z": -0.5, "sd[x]": 0.8, "sd[y]": 0.5}


def tastes(n_persons: int, seed: int, n_choices: int = 8) -> tuple[ChoiceLog, np.ndarray]:
    """Return choices of people whose tastes are drawn: x normal, y log-normal and below zero, z the same for all."""
    random = np.random.default_rng(seed)
    beta = np.column_stack(
        [
            TRUTH["x"] + TRUTH["sd[x]"] * random.normal(size=n_persons),
            -np.exp(TRUTH["y"] + TRUTH["sd[y]"] * random.normal(size=n_persons)),
            np.full(n_persons, TRUTH["z"]),
        ]
    )
    x = random.normal(size=(n_persons, n_choices, 4, 3))
    utility = np.einsum("ptjk,pk->ptj", x, beta) + random.gumbel(size=x.shape[:3])
    chosen = utility.argmax(axis=2)[:, :, None] == np.arange(4)
    n_cases = n_persons * n_choices
    table = pa.table(
        {
            "person": np.repeat(np.arange(n_persons), n_choices * 4),
            "case": np.repeat(np.arange(n_cases), 4),
            "alternative": np.tile(list("abcd"), n_cases),
            "chosen": chosen.reshape(-1),
            **{name: x[..., i].reshape(-1) for i, name in enumerate("xyz")},
        }
    )
    from tests.models.mixed_worlds import COLUMNS

    return ChoiceLog.from_table(table, COLUMNS), beta


@pytest.fixture(scope="module")
def found() -> tuple[Fit, ChoiceLog, np.ndarray]:
    log, beta = tastes(400, seed=11)
    return Mixed("x + y + z", random={"x": "normal", "y": "lognormal-"}, draws=100).fit(log), log, beta


def test_the_truth_is_recovered(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit = found[0]
    assert fit.status.sound, fit.status.messages()
    for name, value in TRUTH.items():
        assert abs(fit[name] - value) < 3 * fit.standard_errors()[fit.index(name)], name
    classic, clustered = fit.standard_errors("classic"), fit.standard_errors("clustered")
    assert (np.abs(np.log(clustered / classic)) < 0.25).all()
    np.testing.assert_allclose(fit.standard_errors("robust"), clustered, rtol=1e-9)  # a score is of a person
    mean = fit.model.derived(fit.estimates)["mean of y"]
    assert mean == pytest.approx(-np.exp(TRUTH["y"] + TRUTH["sd[y]"] ** 2 / 2), abs=0.12)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    hits = total = 0
    for seed in range(6):
        log, _ = tastes(100, seed=100 + seed)
        fit = Mixed("x + y + z", random={"x": "normal", "y": "lognormal-"}, draws=40).fit(log)
        errors = fit.standard_errors("classic")
        hits += sum(abs(fit[name] - value) < 1.96 * errors[fit.index(name)] for name, value in TRUTH.items())
        total += len(TRUTH)
    assert hits >= 25, f"{hits} of {total} intervals hold the truth"  # 28.5 expected, standard deviation 1.2


def test_individual_coefficients_follow_the_true_ones(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, beta = found
    each = individual_coefficients(fit, log)
    assert each.names == ("x", "y")
    assert each.persons.to_pylist() == list(range(400))
    assert np.corrcoef(each.mean[:, 0], beta[:, 0])[0, 1] > 0.75
    assert each.mean[:, 0].mean() == pytest.approx(fit["x"], abs=0.03)
    inside = np.abs(each.mean[:, 0] - beta[:, 0]) < 1.96 * each.standard_deviation[:, 0]
    assert 0.91 < inside.mean() < 0.985
    # what varies between people, and what is left in each, add up to the spread
    total = each.mean[:, 0].var() + (each.standard_deviation[:, 0] ** 2).mean()
    assert np.sqrt(total) == pytest.approx(fit["sd[x]"], rel=0.05)
    assert (each.mean[:, 1] < 0).all()
    assert each.to_arrow().column_names == ["person", "x", "sd[x]", "y", "sd[y]"]


def test_correlation_is_found() -> None:
    random = np.random.default_rng(8)
    log, _ = tastes(400, seed=12)
    first, second = random.normal(size=(2, 400))
    a, b = 1.0 + 0.9 * first, -0.8 + 0.6 * (0.8 * first + 0.6 * second)
    person = log.person_codes
    x = np.stack([log.numbers("x"), log.numbers("y")]).reshape(2, -1, 4)
    utility = a[person][:, None] * x[0] + b[person][:, None] * x[1] + random.gumbel(size=x.shape[1:])
    log = log.with_columns({"chosen": (utility.argmax(axis=1)[:, None] == np.arange(4)).reshape(-1)})
    fit = Mixed("x + y", random={"x": "normal", "y": "normal"}, correlated=["x", "y"], draws=80).fit(log)
    assert fit.names == ("x", "y", "chol[x:x]", "chol[y:x]", "chol[y:y]")
    derived = fit.model.derived(fit.estimates)
    assert derived["sd[x]"] == pytest.approx(0.9, abs=0.15)
    assert derived["sd[y]"] == pytest.approx(0.6, abs=0.12)
    assert derived["correlation[y:x]"] == pytest.approx(0.8, abs=0.15)


def test_an_error_component_makes_alternatives_alike() -> None:
    """Two trains share an error: dearer, the one loses to the other first. Its mean is held at zero."""
    random = np.random.default_rng(9)
    n = 1200
    cost = random.normal(size=(n, 3))
    utility = -1.0 * cost + 2.0 * random.normal(size=(n, 1)) * [1, 1, 0] + random.gumbel(size=(n, 3))
    table = pa.table(
        {
            "case": np.repeat(np.arange(n), 3),
            "alternative": np.tile(["fast", "slow", "car"], n),
            "chosen": (utility.argmax(axis=1)[:, None] == np.arange(3)).reshape(-1),
            "cost": cost.reshape(-1),
            "rail": np.tile([1.0, 1.0, 0.0], n),
        }
    )
    log = ChoiceLog.from_table(table)
    model = Mixed("cost + rail", random={"rail": "normal"}, fixed={"rail": 0.0}, draws=50)
    fit = model.fit(log)
    assert fit["rail"] == 0.0
    assert abs(fit["sd[rail]"] - 2.0) < 3 * fit.standard_errors()[fit.index("sd[rail]")]
    ratios = fit.diversion(log, "cost", of=["fast"])
    plain = Logit("cost + rail").fit(log).diversion(log, "cost", of=["fast"])
    assert ratios.find("fast", "slow").value > plain.find("fast", "slow").value + 0.05
    own = fit.elasticities(log, "cost", of=["fast"])
    assert np.isfinite(own.find("fast", "car").value)


def test_a_scale_that_ends_at_zero_is_tried_again() -> None:
    log = people(150, seed=6)  # everybody alike
    fit = Mixed("x + y + z", random={"x": "normal", "y": "normal", "z": "normal"}, draws=32).fit(log)
    assert fit.status.converged
    assert all(fit[name] >= 0 for name in fit.names if name.startswith("sd["))
    assert set(fit.status.at_bound) <= {"sd[x]", "sd[y]", "sd[z]"}
    assert fit.log_likelihood >= Logit("x + y + z").fit(log).log_likelihood - 1e-6


def test_a_saved_fit_predicts_the_same(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, _ = found
    again = Fit.from_json(fit.to_json())
    assert again.model == fit.model
    some = log.take_cases(np.arange(40))
    assert again.probabilities(some).tobytes() == fit.probabilities(some).tobytes()
    np.testing.assert_allclose(fit.probabilities(log)[:160], fit.probabilities(some), rtol=1e-12)


def test_money_is_told_of_means(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, _ = found
    some = log.take_cases(np.arange(80))
    assert fit.willingness_to_pay("x", cost="z")["x"].value == pytest.approx(-fit["x"] / fit["z"])
    skewed = fit.willingness_to_pay("y", cost="z")["y"].value
    assert skewed == pytest.approx(-fit.model.derived(fit.estimates)["mean of y"] / fit["z"])
    with pytest.raises(SpecificationError, match="'x' differs between people \\(normal\\) and is zero or above"):
        fit.willingness_to_pay("z", cost="x")
    worse = some.with_columns({"z": some.numbers("z") + 1.0})  # everywhere, so all that it takes is that much money
    assert fit.surplus(some, cost="z", after=worse)["all"].per_choice.value == pytest.approx(-1.0, abs=1e-9)


# ---- published ------------------------------------------------------------------------------------------------------


def test_electricity_contracts_as_published() -> None:
    """Train and Croissant's exercise of R's mlogit: estimates within the noise of simulation by 100 Halton draws."""
    from tests.published import ELECTRICITY_MIXED

    log = datasets.electricity()
    names = [name for name in ELECTRICITY_MIXED.rows if not name.startswith("sd[")]
    fit = Mixed(" + ".join(names), random=dict.fromkeys(names, "normal"), draws=100, kind="halton").fit(log)
    assert fit.status.sound
    # other Halton points and other seeds: our log-likelihoods spread by some 8 over seeds
    assert fit.log_likelihood == pytest.approx(float(ELECTRICITY_MIXED.figures["log-likelihood"]), abs=25)
    errors = fit.standard_errors("robust")
    theirs = np.sqrt(np.diag(np.linalg.inv(fit.evidence.outer)))  # mlogit's errors are of the outer product
    for name, (value, error) in ELECTRICITY_MIXED.rows.items():
        i = fit.index(name)
        assert abs(fit.params[i] - float(value)) < 2.5 * errors[i], name
        assert 0.6 < theirs[i] / float(error) < 1.6, name


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say which coefficients"),
        ({"random": {"x": "gaussian"}}, "no distribution 'gaussian'"),
        ({"random": {"x": "normal"}, "draws": 0}, "draws must be"),
        ({"random": {"x": "normal"}, "kind": "sobool"}, "did you mean 'sobol'"),
        ({"random": {"x": "normal"}, "seed": -1}, "seed must be"),
        ({"random": {"x": "normal"}, "correlated": ["y"]}, "'y' \\(in correlated\\) is not random"),
        ({"random": {"x": "normal"}, "correlated": "x"}, "names several"),
        ({"random": {"x": "normal"}, "correlated": ["x"]}, "alone"),
        ({"random": {"x": "uniform", "y": "normal"}, "correlated": ["x", "y"]}, "only normal and lognormal"),
        ({"random": {"x": "truncated"}, "fixed": {"sd[x]": 0.0}}, "must be positive"),
    ],
)
def test_a_model_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Mixed("x + y", **options)


def test_what_does_not_fit_the_log_is_refused(tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    from revealed.choices import scan

    log = people(20, seed=7)
    with pytest.raises(SpecificationError, match="no coefficient 'w' \\(in random\\)"):
        Mixed("x + y", random={"w": "normal"}).fit(log)
    pq.write_table(log.to_arrow(), tmp_path / "log.parquet")
    with pytest.raises(SpecificationError, match="a stream comes in batches"):
        Mixed("x + y", random={"x": "normal"}).fit(scan(tmp_path / "log.parquet"))
    x = log.numbers("x").copy()
    x[3] = np.nan
    with pytest.raises(DataError, match="x"):
        Mixed("x + y", random={"x": "normal"}, draws=8).fit(log.with_columns({"x": x}))
    with pytest.raises(SpecificationError, match="only a mixed logit"):
        individual_coefficients(Logit("x + y").fit(log), log)

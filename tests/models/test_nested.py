"""The nested and the cross-nested logit: closed forms against automatic differentiation, special cases, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revealed.answer import elasticities, surplus, whatif
from revealed.choices import ChoiceLog, Partition, scan
from revealed.engine import InProcess, Threads
from revealed.errors import EvidenceError, SpecificationError
from revealed.evidence import Detail
from revealed.models import CrossNested, Fit, Logit, Nested
from tests.models.nested_worlds import COLUMNS, CROSSED, LABELS, NESTS, TASTES, by_autodiff, choices, law
from tests.worlds import trips

#: Worlds that differ in all that the sums must cope with.
WORLDS: dict[str, dict[str, Any]] = {
    "alike": {},
    "varying": {"varying": True, "weight": True},
    "counts": {"varying": True, "counts": True, "weight": True},
    "available": {"available": True},
}
DIVIDED = [("a", "two"), ("a", "three"), ("c", "two")]
TWO = Nested("x + y + z", nests=NESTS)
CROSS = CrossNested("x + y + z", nests=CROSSED)
SHARES = {("a", "one"): 0.5, ("a", "two"): 0.2, ("a", "three"): 0.3, ("b", "one"): 1.0, ("c", "one"): 0.6} | {
    ("c", "two"): 0.4,
    ("d", "two"): 1.0,
    ("e", "three"): 1.0,
}


def everything(log: ChoiceLog) -> Partition:
    return Partition(log, 0, log.n_cases)


# ---- against the law written out another way ------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("scales", [(1.0, 1.0), (2.3, 1.4), (0.6, 3.0)])
def test_closed_form_against_automatic_differentiation(world: str, scales: tuple[float, float]) -> None:
    pytest.importorskip("jax")
    log = choices(150, seed=1, **WORLDS[world])
    point = np.array([0.8, -0.5, 0.3, *scales])
    ours = TWO.law(log).evidence(everything(log), point, Detail.OUTER, ledger=True)
    value, scores, information = by_autodiff(log, point, NESTS, [])
    assert ours.log_likelihood == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(ours.score, scores.sum(axis=0), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(ours.information, information, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(ours.outer, scores.T @ scores, rtol=1e-10, atol=1e-8)
    assert ours.ledger is not None
    persons, of_person = ours.ledger.by_person()
    expected = np.array([scores[log.person_codes == person].sum(axis=0) for person in persons])
    np.testing.assert_allclose(of_person, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (2.3, 1.4, 1.8)])
def test_crossed_closed_form_against_automatic_differentiation(world: str, scales: tuple[float, ...]) -> None:
    pytest.importorskip("jax")
    log = choices(150, seed=2, **WORLDS[world])
    point = np.array([0.8, -0.5, 0.3, 0.4, -0.7, 0.2, *scales])
    bound = CROSS.law(log)
    assert bound.names[3:6] == tuple(f"allocation[{label}:{nest}]" for label, nest in DIVIDED)
    ours = bound.evidence(everything(log), point, Detail.OUTER)
    value, scores, information = by_autodiff(log, point, CROSSED, DIVIDED)
    assert ours.log_likelihood == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(ours.score, scores.sum(axis=0), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(ours.information, information, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(ours.outer, scores.T @ scores, rtol=1e-10, atol=1e-8)
    alone = bound.evidence(everything(log), point, Detail.SCORE)
    np.testing.assert_allclose(alone.score, ours.score, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("world", ["alike", "available"])
def test_probabilities_are_those_of_the_generating_function(world: str) -> None:
    log = choices(60, seed=3, **WORLDS[world])
    utility = np.column_stack([log.numbers(name) for name in "xyz"]) @ TASTES
    there = np.ones((60, 5), dtype=bool) if log.available is None else log.available.reshape(-1, 5)
    known = CrossNested("x + y + z", nests=CROSSED, allocation=given())
    scales = {"one": 2.0, "two": 1.3, "three": 1.7}
    probability, logsum = known.law(log).predict(log, np.append(TASTES, list(scales.values())))
    expected = law(utility.reshape(-1, 5), there, CROSSED, scales, SHARES)
    np.testing.assert_allclose(probability.reshape(-1, 5), expected, rtol=1e-12, atol=1e-300)
    higher = log.with_columns({"x": log.numbers("x") + 0.25})  # a quarter for every alternative
    raised = known.law(log).predict(higher, np.append(TASTES, list(scales.values())))
    np.testing.assert_allclose(raised.logsum - logsum, 0.25, rtol=1e-12)


def given() -> dict[str, dict[str, float]]:
    return {label: {nest: share for (of, nest), share in SHARES.items() if of == label} for label in ("a", "c")}


# ---- special cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("model", [TWO, CROSS], ids=["nested", "cross-nested"])
def test_with_nest_parameters_of_one_it_is_the_logit(world: str, model: Nested | CrossNested) -> None:
    log = choices(300, seed=4, **WORLDS[world])
    logit, nested = Logit("x + y + z").law(log), model.law(log)
    tastes = np.array([0.9, -0.4, 0.2])
    point = np.concatenate([tastes, np.zeros(len(nested.names) - 3)])
    point[[name.startswith("nest[") for name in nested.names]] = 1.0
    if model is CROSS:
        point[3:6] = 0.3, -0.2, 0.5  # whatever the shares are
    one, two = (bound.evidence(everything(log), at, Detail.OUTER) for bound, at in ((logit, tastes), (nested, point)))
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(two.score[:3], one.score, rtol=1e-12, atol=1e-12 * log.n_rows)
    np.testing.assert_allclose(two.information[:3, :3], one.information, rtol=1e-12)
    np.testing.assert_allclose(two.outer[:3, :3], one.outer, rtol=1e-12)
    plain, there = logit.predict(log, tastes), nested.predict(log, point)
    np.testing.assert_allclose(there.probability, plain.probability, rtol=1e-12)
    np.testing.assert_allclose(there.logsum, plain.logsum, rtol=1e-12, atol=1e-12)


def test_a_nest_with_one_alternative_is_no_nest() -> None:
    log = choices(400, seed=5, scales={"two": 2.0})
    one = Nested("x + y + z", nests={"two": ["c", "d"], "lonely": ["e"]})
    two = Nested("x + y + z", nests={"two": ["c", "d"]})
    assert one.law(log).names == two.law(log).names == ("x", "y", "z", "nest[two]")
    assert one.fit(log).params.tobytes() == two.fit(log).params.tobytes()


def test_a_cross_nested_logit_whose_nests_do_not_cross_is_nested() -> None:
    log = choices(500, seed=6, scales={"one": 2.0})
    one, two = TWO.fit(log), CrossNested("x + y + z", nests=NESTS).fit(log)
    assert one.names == two.names
    assert one.params.tobytes() == two.params.tobytes()


def test_a_share_next_to_one_is_all_but_nested() -> None:
    log = choices(500, seed=6)
    point = np.array([0.8, -0.5, 0.3, 2.0, 1.5])
    crossed = CrossNested(
        "x + y + z",
        nests={"one": ["a", "b"], "two": ["c", "d", "b"]},
        allocation={"b": {"one": 1 - 1e-12, "two": 1e-12}},
    )
    one, two = (model.law(log).predict(log, point) for model in (TWO, crossed))
    np.testing.assert_allclose(two.probability, one.probability, rtol=1e-6)


def test_all_alternatives_in_one_nest_leave_its_parameter_unidentified() -> None:
    fit = Nested("x + y", nests={"all": list(LABELS)}).fit(choices(300, seed=7))
    assert not fit.status.sound
    assert any("nest[all]" in item.names for item in fit.status.not_identified)
    assert fit.log_likelihood == pytest.approx(Logit("x + y").fit(choices(300, seed=7)).log_likelihood, abs=1e-6)


def test_alternatives_that_never_meet_leave_their_nest_unidentified() -> None:
    log = choices(600, seed=8)
    keep = np.ones(log.n_rows, dtype=bool).reshape(-1, 5)
    keep[::2, 0], keep[1::2, 1] = False, False
    keep |= log.chosen.reshape(-1, 5) > 0
    apart_in = ~(keep[:, 0] & keep[:, 1])
    log, keep = log.take_cases(apart_in), keep[apart_in]
    apart = ChoiceLog.from_table(log.table.filter(pa.array(keep.reshape(-1))), COLUMNS)
    fit = TWO.fit(apart)
    assert fit.status.at_bound == ("nest[one]",)
    free = Nested("x + y + z", nests=NESTS, bounds={"nest[one]": (None, None)}).fit(apart)
    assert [item.names for item in free.status.not_identified] == [("nest[one]",)]
    assert np.isnan(free.standard_errors()[free.index("nest[one]")])
    assert np.isfinite(np.delete(free.standard_errors(), free.index("nest[one]"))).all()


def test_parameters_beyond_reason_are_told() -> None:
    log = choices(400, seed=9)
    against = log.with_columns({"x": np.where(np.tile([True, False, True, False, True], 400), log.numbers("x"), 0.0)})
    fit = TWO.fit(choices(400, seed=9, scales={"one": 0.4, "two": 1.0}))
    assert "nest[one]" in fit.status.at_bound
    assert fit["nest[one]"] == 1.0
    assert "at a bound (no standard error): nest[one]" in "; ".join(fit.status.messages())
    assert "nest[one] ended at 1: the model without it fits these choices as well" in str(fit.summary())
    free = Nested("x + y + z", nests=NESTS, bounds={"nest[one]": (None, None)}).fit(
        choices(400, seed=9, scales={"one": 0.4, "two": 1.0})
    )
    assert 0.01 < free["nest[one]"] < 0.8
    assert free.log_likelihood > fit.log_likelihood
    assert TWO.fit(against).status.converged


# ---- recovery -------------------------------------------------------------------------------------------------------


def test_estimates_recover_the_truth_with_honest_intervals() -> None:
    truth = {"x": 1.0, "y": -0.7, "z": 0.4, "nest[one]": 2.0, "nest[two]": 1.5}
    hits = dict.fromkeys(("classic", "robust"), 0)
    for seed in range(24):
        fit = TWO.fit(choices(400, seed=2000 + seed, scales={"one": 2.0, "two": 1.5}), errors="robust")
        assert fit.status.sound, fit.status.messages()
        for kind in hits:
            errors = fit.standard_errors(kind)
            hits[kind] += sum(abs(fit[name] - value) < 1.96 * errors[fit.index(name)] for name, value in truth.items())
    # 120 draws at 95%: 114 expected, standard deviation 2.4 if independent
    assert all(106 <= hit <= 120 for hit in hits.values()), hits


def test_crossed_estimates_recover_the_truth_with_honest_intervals() -> None:
    nests = {"one": ["a", "b", "c"], "two": ["c", "d"]}
    shares = {("a", "one"): 1.0, ("b", "one"): 1.0, ("c", "one"): 0.3, ("c", "two"): 0.7, ("d", "two"): 1.0}
    model = CrossNested("x + y + z", nests=nests)
    truth = {"x": 1.0, "y": -0.7, "z": 0.4, "allocation[c:two]": np.log(7 / 3), "nest[one]": 2.0, "nest[two]": 3.0}
    hits, names = 0, list(truth)
    for seed in range(12):
        log = choices(1000, seed=3000 + seed, scales={"one": 2.0, "two": 3.0}, nests=nests, shares=shares)
        fit = model.fit(log)
        assert fit.status.converged, fit.status.messages()
        assert list(fit.names) == names
        # Not a maximum of small shares: a search from the truth ends at the same.
        if seed < 6:
            near = CrossNested("x + y + z", nests=nests, start=truth).fit(log)
            assert fit.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-6)
        hits += sum(
            abs(fit[name] - value) < 1.96 * fit.standard_errors("classic")[fit.index(name)]
            for name, value in truth.items()
        )
    # 72 draws at 95%: 68.4 expected, standard deviation 1.9 if independent
    assert 63 <= hits <= 72, hits


def test_a_large_log_climbs_on_samples_first() -> None:
    log = choices(20_000, seed=10, scales={"one": 2.0, "two": 1.5})
    fit = TWO.fit(log, engine=Threads(2))
    assert fit.status.sound
    assert fit.status.passes <= 5
    whole = TWO.fit(log.take_cases(np.arange(log.n_cases)), engine=InProcess())
    np.testing.assert_allclose(fit.params, whole.params, rtol=0, atol=1e-10)
    assert np.abs((fit.params - [1.0, -0.7, 0.4, 2.0, 1.5]) / fit.standard_errors()).max() < 3.5


# ---- the log --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [TWO, CROSS], ids=["nested", "cross-nested"])
def test_a_fit_from_disk_is_the_fit_from_memory(tmp_path: Path, model: Nested | CrossNested) -> None:
    log = choices(21_000, seed=11, scales={"one": 2.0, "two": 1.5}, varying=True)
    pq.write_table(log.table.combine_chunks(), tmp_path / "choices.parquet", row_group_size=5_000)
    stream = scan(tmp_path / "choices.parquet", COLUMNS, batch_rows=20_000)
    bound = model.law(log)
    point = np.linspace(0.4, 1.3, len(bound.names))
    memory, disk = (InProcess().sum(lambda p: bound.evidence(p, point, Detail.OUTER), each) for each in (log, stream))
    assert disk == memory
    np.testing.assert_allclose(TWO.fit(stream).params, TWO.fit(log).params, rtol=0, atol=1e-9)


def test_an_alternative_that_the_law_does_not_know_stands_alone() -> None:
    log = choices(200, seed=12, scales={"one": 2.0})
    fit = Nested("x + y", nests={"one": ["a", "b"]}).fit(log)
    names = np.array(log.table.column("alternative").to_pylist())
    other = log.table.set_column(2, "alternative", pa.array(np.where(names == "e", "new", names)))
    np.testing.assert_allclose(
        fit.probabilities(ChoiceLog.from_table(other, COLUMNS)).reshape(-1, 5).sum(axis=1), 1.0, rtol=1e-12
    )
    np.testing.assert_allclose(fit.probabilities(ChoiceLog.from_table(other, COLUMNS)), fit.probabilities(log))


# ---- answers --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def land() -> tuple[Fit, ChoiceLog]:
    log = trips(900, seed=13)
    return Nested("C(mode) + cost + time", nests={"land": ["car", "train"]}, fixed={"nest[land]": 2.5}).fit(log), log


def test_elasticities_in_closed_form(land: tuple[Fit, ChoiceLog]) -> None:
    fit, log = land
    p, cost = fit.probabilities(log).reshape(-1, 3), log.numbers("cost").reshape(-1, 3)
    found = elasticities(fit, log, "cost", of=["car"])
    inside = p[:, 1] / (p[:, 1] + p[:, 2])
    taste, scale = fit["cost"] * cost[:, 1], 2.5
    expected = {
        "bus": -taste * p[:, 1],
        "car": taste * (1 - p[:, 1] + (scale - 1) * (1 - inside)),
        "train": -taste * (p[:, 1] + (scale - 1) * inside),
    }
    for i, (on, each) in enumerate(expected.items()):
        assert found.find("car", on).value == pytest.approx((p[:, i] @ each) / p[:, i].sum(), rel=1e-6), on


def test_surplus_is_the_integral_of_demand(land: tuple[Fit, ChoiceLog]) -> None:
    fit, log = land
    cheaper = log.with_columns({"cost": np.where(np.tile([False, True, False], 900), 0.5, 0.0) + log.numbers("cost")})
    loss = surplus(fit, log, cost="cost", after=cheaper).segments[0].total.value
    steps = (np.arange(20) + 0.5) / 40
    demand = [
        fit.probabilities(
            log.with_columns({"cost": log.numbers("cost") + np.where(np.tile([False, True, False], 900), step, 0.0)})
        )[1::3].sum()
        for step in steps
    ]
    assert loss == pytest.approx(-np.sum(demand) / 40, rel=1e-5)


def test_what_if_says_where_a_new_alternative_stands(land: tuple[Fit, ChoiceLog]) -> None:
    fit, log = land
    answer = whatif(fit, log, "add metro like train", cost="cost")
    assert any("'metro' is new" in note and "its place in the nest 'land'" in note for note in answer.warnings)
    shares = {item.alternative: item.after.value for item in answer.shares}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["metro"] == pytest.approx(shares["train"])
    taken = {item.alternative: -item.difference.value / item.before.value for item in answer.shares[:3]}
    assert taken["train"] > taken["car"] > taken["bus"]  # alike draw more from their likes


def test_tests_against_one() -> None:
    log = choices(1500, seed=14, scales={"one": 2.0, "two": 1.0})
    fit = Nested("x + y + z", nests=NESTS, bounds={"nest[two]": (None, None)}).fit(log)
    row = next(row for row in fit.summary().rows if row.name == "nest[one]")
    wald = fit.wald_test("nest[one] = 1")
    assert row.null_value == 1.0
    assert row.z == pytest.approx(wald.restrictions[0].z)
    assert row.p_value == pytest.approx(wald.p_value)
    assert wald.p_value < 1e-5 < 0.01 < fit.wald_test("nest[two] = 1").p_value
    ratio = fit.likelihood_ratio_test(Logit("x + y + z").fit(log))
    assert ratio.degrees_of_freedom == 2
    assert ratio.p_value < 1e-6
    text = str(fit.summary())
    assert "z and p-value of nest[one], nest[two] are of the test against 1" in text
    derived = {row.name: row for row in fit.summary().derived}["dissimilarity[one]"]
    assert derived.value == pytest.approx(1 / fit["nest[one]"])
    error = fit.standard_errors()[fit.index("nest[one]")] / fit["nest[one]"] ** 2
    assert derived.standard_error == pytest.approx(error, rel=1e-6)


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Nested, {}, "name the nests"),
        (Nested, {"nests": {"one": []}}, "'one' is empty"),
        (Nested, {"nests": {"one": ["a", "a"]}}, "'a' is in the nest 'one' twice"),
        (Nested, {"nests": {"one": ["a", "b"], "two": ["b", "c"]}}, "'b' is in two nests .* use CrossNested"),
        (Nested, {"nests": {"one": ["a", "f"]}}, r"no alternative 'f' \(in the nest 'one'\)"),
        (Nested, {"nests": NESTS, "bounds": {"nest[one]": (0.0, 2.0)}}, r"positive, but nest\[one\] has the bound 0"),
        (Nested, {"nests": NESTS, "fixed": {"nest[one]": -1.0}}, r"nest\[one\] has the value -1"),
        (Nested, {"nests": NESTS, "start": {"nest[two]": 0.0}}, r"nest\[two\] has the start 0"),
        (Nested, {"nests": NESTS, "fixed": {"nest[tow]": 1.0}}, r"did you mean 'nest\[two\]'"),
        (CrossNested, {"nests": CROSSED, "allocation": {"f": {"one": 1.0}}}, "'f' .* is in no nest"),
        (CrossNested, {"nests": CROSSED, "allocation": {"c": {"one": 0.5}}}, "must be positive and sum to one"),
        (CrossNested, {"nests": CROSSED, "allocation": {"c": {"one": 1.5, "two": -0.5}}}, "must be positive"),
        (CrossNested, {"nests": CROSSED, "allocation": {"c": {"one": 1.0}}}, "give a share for each"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Nested | CrossNested], options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        kind("x + y", **options).fit(choices(50, seed=15))


def test_a_term_with_the_name_of_a_nest_is_refused() -> None:
    log = choices(50, seed=16)
    log = log.with_columns({"nest": pa.array(np.resize(["another", "two", "third"], log.n_rows))})
    with pytest.raises(SpecificationError, match="rename the nest"):
        Nested("x + C(nest)", nests=NESTS).fit(log)


def test_a_scale_of_zero_is_no_point_to_look_from() -> None:
    log = choices(50, seed=17)
    with pytest.raises(EvidenceError, match=r"nest\[two\] is 0"):
        TWO.law(log).evidence(everything(log), np.array([0.0, 0.0, 0.0, 1.0, 0.0]), Detail.SCORE)


def test_models_and_fits_survive_json() -> None:
    log = choices(500, seed=18, scales={"one": 2.0})
    for model in (TWO, CROSS, CrossNested("x", nests=CROSSED, allocation=given())):
        fit = model.fit(log)
        again = Fit.from_json(fit.to_json())
        assert again.model == model
        assert again.law.signature == fit.law.signature
        assert again.probabilities(log).tobytes() == fit.probabilities(log).tobytes()
        assert str(again.summary()) == str(fit.summary())

"""What every model must do, run on each. A new model joins by one line in ``MODELS``.

A model with classes of people stands in a world of two kinds of people: ``classes`` says which parameters of it are
meant by those of one kind, and tests name these through ``Subject``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices import ChoiceLog, Partition
from revealed.engine import InProcess, Threads
from revealed.errors import DataError, RevealedError, SpecificationError
from revealed.evidence import Detail, Evidence
from revealed.models import CrossNested, Fit, LatentClass, Logit, Mixed, Model, Nested, ScaledLogit
from tests.worlds import COLUMNS, OTHERS, SHARE_OF_OTHERS, TRUTH, ragged, trips, trips_table, utilities

UTILITY = "C(mode) + cost + time"

#: A trip has no nests in truth, so the nest parameters must be free to come out below one.
FREE = {"nest[land]": (0.2, None), "nest[rail]": (0.2, None), "nest[road]": (0.2, None)}
CROSSED = {"road": ["bus", "car"], "rail": ["train", "bus"]}


def bounds(options: dict[str, Any], *nests: str) -> dict[str, Any]:
    """Return the bounds asked for, and those of some nests."""
    return {**{name: FREE[name] for name in nests}, **options.pop("bounds", {})}


MODELS: dict[str, Callable[..., Model]] = {
    "logit": lambda **options: Logit(options.pop("utility", UTILITY), **options),
    "scaled logit": lambda **options: ScaledLogit(options.pop("utility", UTILITY), scale="C(segment)", **options),
    "nested": lambda **options: Nested(
        options.pop("utility", UTILITY),
        nests={"land": ["train", "car"]},
        bounds=bounds(options, "nest[land]"),
        **options,
    ),
    "cross-nested": lambda **options: CrossNested(
        options.pop("utility", UTILITY),
        nests=CROSSED,
        allocation={"bus": {"road": 0.3, "rail": 0.7}},
        bounds=bounds(options, "nest[road]", "nest[rail]"),
        **options,
    ),
    # Nobody differs in truth, so the spread is held at none; point_of moves it, so that derivatives are of one.
    "mixed": lambda **options: Mixed(
        options.pop("utility", UTILITY),
        random={"cost": "normal", "time": "normal"},
        draws=8,
        fixed={"sd[cost]": 0.0, "sd[time]": 0.0, **options.pop("fixed", {})},
        **options,
    ),
    "latent class": lambda **options: LatentClass(
        options.pop("utility", UTILITY),
        starts=2,
        **of_a_class(options),
    ),
}

#: Models in whose world there are two kinds of people: ``{model: classes}``.
CLASSES = {"latent class": 2}


def of_a_class(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with what they impose on parameters imposed on those of the first class."""
    named = ("fixed", "bounds", "start", "prior")
    imposed = {what: {f"class1.{name}": value for name, value in options.pop(what, {}).items()} for what in named}
    return {**imposed, **options}


@dataclass(frozen=True)
class Subject:
    """A model under test, and the world it stands in."""

    make: Callable[..., Model]
    classes: int

    def table(self, n_cases: int, seed: int) -> pa.Table:
        return trips_table(n_cases, seed, self.classes)

    def log(self, n_cases: int, seed: int) -> ChoiceLog:
        return trips(n_cases, seed, kinds=self.classes)

    def name(self, parameter: str) -> str:
        """Return the parameter that holds a weight (of the first class)."""
        return parameter if self.classes == 1 else f"class1.{parameter}"

    def everybodys(self, parameter: str) -> list[str]:
        """Return the parameters that hold a weight, of all classes."""
        return [parameter] if self.classes == 1 else [f"class{k}.{parameter}" for k in range(1, self.classes + 1)]

    @property
    def truth(self) -> dict[str, float]:
        if self.classes == 1:
            return TRUTH
        share = float(np.log(SHARE_OF_OTHERS / (1 - SHARE_OF_OTHERS)))
        weights = {
            f"class{k}.{name}": value for k, kind in enumerate((TRUTH, OTHERS), 1) for name, value in kind.items()
        }
        return weights | {"share2.constant": share}


@pytest.fixture(params=MODELS, scope="module")
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(MODELS[request.param], CLASSES.get(request.param, 1))


@pytest.fixture(scope="module")
def make(subject: Subject) -> Callable[..., Model]:
    return subject.make


@pytest.fixture(scope="module")
def log(subject: Subject) -> ChoiceLog:
    return subject.log(900, seed=1)


@pytest.fixture(scope="module")
def fit(make: Callable[..., Model], log: ChoiceLog) -> Fit:
    return make().fit(log)


def everything(log: ChoiceLog) -> Partition:
    return Partition(log, 0, log.n_cases)


def point_of(names: tuple[str, ...]) -> np.ndarray:
    return origin(names) + np.random.default_rng(0).normal(0.0, 0.3, len(names))


def origin(names: tuple[str, ...]) -> np.ndarray:
    """Return where a model says that all alternatives are alike and equally good."""
    return np.array([float(name.startswith("nest[")) for name in names])


def test_the_score_is_the_slope_of_the_log_likelihood(make: Callable[..., Model], log: ChoiceLog) -> None:
    law = make().law(log)
    point = point_of(law.names)
    score = law.evidence(everything(log), point, Detail.SCORE).score
    for i, unit in enumerate(np.eye(len(point))):
        up, down = (law.evidence(everything(log), point + h * unit, Detail.SCORE).log_likelihood for h in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx(score[i], rel=1e-6, abs=1e-4)


def test_the_information_is_the_slope_of_the_score(make: Callable[..., Model], log: ChoiceLog) -> None:
    law = make().law(log)
    point = point_of(law.names)
    information = law.evidence(everything(log), point, Detail.INFORMATION).information
    for i, unit in enumerate(np.eye(len(point))):
        up, down = (law.evidence(everything(log), point + h * unit, Detail.SCORE).score for h in (1e-5, -1e-5))
        np.testing.assert_allclose(-(up - down) / 2e-5, information[i], rtol=1e-6, atol=1e-3)


def test_detail_changes_nothing_but_the_detail(make: Callable[..., Model], log: ChoiceLog) -> None:
    law = make().law(log)
    point = point_of(law.names)
    full = law.evidence(everything(log), point, Detail.OUTER, ledger=True)
    for detail in Detail:
        part = law.evidence(everything(log), point, detail)
        assert part.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-14)
        np.testing.assert_allclose(part.score, full.score, rtol=1e-11, atol=1e-10)


def test_partitions_and_engines_give_the_same_bits(make: Callable[..., Model], subject: Subject) -> None:
    log = subject.log(5_000, seed=2)
    law = make().law(log)
    point = point_of(law.names)
    whole = law.evidence(everything(log), point, Detail.OUTER)
    assert Evidence.sum([law.evidence(p, point, Detail.OUTER) for p in reversed(log.partitions(3))]) == whole
    for engine in (InProcess(), Threads(2)):
        assert engine.sum(lambda p: law.evidence(p, point, Detail.OUTER), log) == whole
    fits = [make().fit(log, engine=engine) for engine in (InProcess(), Threads(2))]
    assert fits[0].params.tobytes() == fits[1].params.tobytes()
    assert fits[0].covariance().tobytes() == fits[1].covariance().tobytes()


def test_at_the_estimates_the_score_is_zero(fit: Fit, log: ChoiceLog) -> None:
    assert fit.status.sound, fit.status.messages()
    score = fit.law.evidence(everything(log), fit.params, Detail.SCORE).score
    assert np.abs(score * fit.standard_errors("classic")).max() < 1e-8
    at = fit.law.evidence(everything(log), fit.params, Detail.SCORE).log_likelihood
    assert fit.log_likelihood == pytest.approx(at, rel=1e-13)


def test_probabilities_sum_to_one_and_the_log_likelihood_is_theirs(fit: Fit, log: ChoiceLog, subject: Subject) -> None:
    probability, logsum = fit.predict(log)
    np.testing.assert_allclose(np.add.reduceat(probability, log.offsets[:-1]), 1.0, rtol=1e-12)
    # choices of one person tell of the class: log-likelihoods are sums over choices where each is of another person
    alone = ChoiceLog.from_table(log.table, replace(COLUMNS, person=None))
    at = fit.law.evidence(everything(alone), fit.params, Detail.SCORE).log_likelihood
    assert np.log(probability[log.chosen_rows]).sum() == pytest.approx(at, rel=1e-12)
    if subject.classes == 1:
        assert at == pytest.approx(fit.log_likelihood, rel=1e-12)
    else:
        assert at < fit.log_likelihood - 1
    assert np.isfinite(logsum).all()


def test_estimates_recover_the_truth_with_honest_intervals(make: Callable[..., Model], subject: Subject) -> None:
    hits, total = 0, 0
    seeds, n_cases = (60, 400) if subject.classes == 1 else (14, 1_000)  # to tell classes apart takes more people
    for seed in range(seeds):
        fit = make().fit(subject.log(n_cases, seed=1000 + seed))
        for name, value in subject.truth.items():
            i = fit.index(name)
            hits += abs(fit.params[i] - value) < 1.96 * fit.standard_errors("classic")[i]
            total += 1
    # 240 draws at 95%: 228 expected, standard deviation 3.4 if independent; of classes 126, 120 expected, 2.4
    least, most = (215, 239) if subject.classes == 1 else (110, 125)
    assert least <= hits <= most, f"{hits} of {total} intervals hold the truth"


def test_order_of_cases_and_rows_does_not_matter(
    make: Callable[..., Model], fit: Fit, log: ChoiceLog, subject: Subject
) -> None:
    order = np.random.default_rng(3).permutation(log.n_rows)
    shuffled = ChoiceLog.from_table(subject.table(900, seed=1).take(pa.array(order)), COLUMNS)
    again = make().fit(shuffled)
    np.testing.assert_allclose(again.params, fit.params, rtol=0, atol=1e-10)
    np.testing.assert_allclose(again.standard_errors(), fit.standard_errors(), rtol=1e-8)


def test_a_weight_of_two_is_the_case_twice(make: Callable[..., Model], log: ChoiceLog, subject: Subject) -> None:
    half = log.with_columns({"weight": np.repeat(np.where(np.arange(900) < 300, 2.0, 1.0), 3)})
    weighted = ChoiceLog.from_table(half.table, replace(COLUMNS, weight="weight"))
    table = subject.table(900, seed=1)
    again = table.slice(0, 900)  # whole people, five trips each; their doubles are people too
    again = again.set_column(0, "trip", pa.array(np.repeat(np.arange(10_000, 10_300), 3)))
    again = again.set_column(1, "who", pa.array(np.repeat(np.arange(10_000, 10_060), 15)))
    doubled = ChoiceLog.from_table(pa.concat_tables([table, again]), COLUMNS)
    one, two = make().fit(weighted), make().fit(doubled)
    np.testing.assert_allclose(one.params, two.params, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.standard_errors("classic"), two.standard_errors("classic"), rtol=1e-7)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-12)


def test_counts_are_cases_told_at_once(make: Callable[..., Model], log: ChoiceLog, subject: Subject) -> None:
    cost, time = (log.numbers(name).reshape(-1, 3) for name in ("cost", "time"))
    other = log.numbers("other")[::3] > 0 if subject.classes > 1 else np.zeros(log.n_cases, bool)
    weight = np.exp(utilities(cost, time, other))
    probability = weight / weight.sum(axis=1, keepdims=True)
    counts = np.random.default_rng(5).multinomial(3, probability).reshape(-1).astype(float)
    counted = ChoiceLog.from_table(log.with_columns({"chosen": counts}).table, COLUMNS, counts=True)
    rows = np.repeat(np.arange(log.n_rows), counts.astype(int))
    cases = rows // 3
    taken = (np.repeat(cases, 3) * 3).reshape(-1, 3) + np.arange(3)
    table = log.table.take(pa.array(taken.reshape(-1)))
    chosen = np.zeros(taken.shape, dtype=bool)
    chosen[np.arange(len(rows)), rows % 3] = True
    table = table.set_column(table.schema.get_field_index("chosen"), "chosen", pa.array(chosen.reshape(-1)))
    table = table.set_column(0, "trip", pa.array(np.repeat(np.arange(len(rows)), 3)))  # of the same people
    one, two = make().fit(counted), make().fit(ChoiceLog.from_table(table, COLUMNS))
    np.testing.assert_allclose(one.params, two.params, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.standard_errors("classic"), two.standard_errors("classic"), rtol=1e-7)


def test_an_unavailable_row_is_no_row_even_with_missing_cells(make: Callable[..., Model], subject: Subject) -> None:
    table = subject.table(600, seed=4)
    shut = ~np.asarray(table.column("open"))
    cost = np.asarray(table.column("cost")).copy()
    cost[shut] = np.nan
    blanked = table.set_column(table.schema.get_field_index("cost"), "cost", pa.array(cost))
    masked = ChoiceLog.from_table(blanked, replace(COLUMNS, available="open"))
    dropped = ChoiceLog.from_table(table.filter(pa.array(~shut)), COLUMNS)
    one, two = make().fit(masked), make().fit(dropped)
    np.testing.assert_allclose(one.params, two.params, rtol=0, atol=1e-10)
    np.testing.assert_allclose(one.standard_errors(), two.standard_errors(), rtol=1e-8)
    probability = one.probabilities(masked)
    assert (probability[shut] == 0).all()
    np.testing.assert_allclose(probability[~shut], two.probabilities(dropped), rtol=1e-9)


def test_a_missing_cell_in_use_is_refused_with_its_row(make: Callable[..., Model], log: ChoiceLog) -> None:
    cost = log.numbers("cost").copy()
    cost[[4, 1000]] = np.nan, np.inf
    with pytest.raises(DataError) as caught:
        make().fit(log.with_columns({"cost": cost}))
    text = str(caught.value)
    assert "cost" in text
    assert "5" in text
    assert "1001" in text


def test_fixed_parameters_stay_and_have_no_error(make: Callable[..., Model], log: ChoiceLog, subject: Subject) -> None:
    fit = make(fixed={"cost": -1.0}, bounds={"time": (-0.2, None)}).fit(log)
    cost, time = subject.name("cost"), subject.name("time")
    assert fit[cost] == -1.0
    assert fit[time] == -0.2
    assert fit.status.at_bound == (time,)
    errors = dict(zip(fit.names, fit.standard_errors(), strict=True))
    assert errors[cost] == 0.0
    assert errors[time] == 0.0
    assert fit.n_free == make().fit(log).n_free - 2


def test_equal_bounds_hold_a_parameter_as_fixing_it_does(make: Callable[..., Model], log: ChoiceLog) -> None:
    fixed, bounded = make(fixed={"cost": -1.0}).fit(log), make(bounds={"cost": (-1.0, -1.0)}).fit(log)
    assert bounded.n_free == fixed.n_free
    assert bounded.params.tobytes() == fixed.params.tobytes()
    assert bounded.covariance().tobytes() == fixed.covariance().tobytes()


def test_start_values_do_not_move_the_maximum(make: Callable[..., Model], fit: Fit, log: ChoiceLog) -> None:
    far = make(start={"cost": -3.0, "time": 1.0, "mode[car]": 4.0}).fit(log)
    np.testing.assert_allclose(far.params, fit.params, rtol=0, atol=1e-10)


def test_a_strong_prior_wins_and_a_weak_one_does_not(
    make: Callable[..., Model], fit: Fit, log: ChoiceLog, subject: Subject
) -> None:
    strong = make(prior={"cost": (0.7, 1e-4)}).fit(log)
    assert strong[subject.name("cost")] == pytest.approx(0.7, abs=1e-3)
    weak = make(ridge=1e-9).fit(log)
    np.testing.assert_allclose(weak.params, fit.params, atol=1e-7)


def test_json_brings_the_fit_back_whole(fit: Fit, log: ChoiceLog) -> None:
    again = Fit.from_json(fit.to_json())
    assert again.names == fit.names
    assert again.params.tobytes() == fit.params.tobytes()
    assert again.evidence == fit.evidence
    assert again.status == fit.status
    assert again.data == fit.data
    for kind in fit.covariances:
        assert again.covariance(kind).tobytes() == fit.covariance(kind).tobytes()
    assert again.probabilities(log).tobytes() == fit.probabilities(log).tobytes()
    assert repr(again) == repr(fit)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"revealed": 99}', '{"revealed": 1}', "\x00"])
def test_json_that_is_no_fit_is_refused(text: str) -> None:
    with pytest.raises(RevealedError):
        Fit.from_json(text)


def test_json_with_a_foreign_class_is_refused(fit: Fit) -> None:
    data = json.loads(fit.to_json())
    data["model"]["class"] = "Popen"
    with pytest.raises(SpecificationError, match="no model class 'Popen'"):
        Fit.from_json(json.dumps(data))


def test_update_and_forget_undo_each_other(
    make: Callable[..., Model], fit: Fit, log: ChoiceLog, subject: Subject
) -> None:
    new = subject.log(45, seed=77)
    new = new.with_columns(
        {"trip": np.repeat(np.arange(5_000, 5_045), 3), "who": np.repeat(np.arange(5_000, 5_009), 15)}
    )
    grown = fit.update(new)
    assert grown.data.n_cases == 945
    assert "one Newton step" in grown.status.reason
    full = fit.update(new, log + new)
    assert full.status.sound
    exact = make().fit(log + new)
    np.testing.assert_allclose(full.params, exact.params, rtol=0, atol=1e-10)
    # one step lands far closer to the truth than where it left from
    assert np.abs(grown.params - exact.params).max() < 0.2 * np.abs(fit.params - exact.params).max()
    back = grown.forget(new)
    assert back.evidence.total == replace(fit.evidence, ledger=None).total
    np.testing.assert_allclose(back.params, fit.params, rtol=0, atol=1e-12)
    again = exact.forget(new, log)
    np.testing.assert_allclose(again.params, fit.params, rtol=0, atol=1e-10)


def test_forgetting_everybody_is_refused(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="nothing is left"):
        fit.forget(log)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_utilities_neither_overflow_nor_are_clipped(
    make: Callable[..., Model], log: ChoiceLog, size: float, subject: Subject
) -> None:
    law = make().law(log)
    point = origin(law.names)
    point[[law.names.index(name) for name in subject.everybodys("cost")]] = size
    evidence = law.evidence(everything(log), point, Detail.OUTER)
    cost = log.numbers("cost").reshape(-1, 3) * size
    taken = cost.reshape(-1)[log.chosen_rows]
    exact = (taken - cost.max(axis=1)).sum()
    assert evidence.log_likelihood == pytest.approx(exact, rel=1e-6)
    assert evidence.log_likelihood < -1e6
    assert np.isfinite(evidence.information).all()


def test_choice_sets_of_one_say_nothing(log: ChoiceLog) -> None:
    world = ragged(800, seed=6)
    assert (world.sizes == 1).any()
    several = world.take_cases(world.sizes > 1)
    one, two = Logit("a + b").fit(world), Logit("a + b").fit(several)
    np.testing.assert_allclose(one.params, two.params, rtol=0, atol=1e-10)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-12)
    assert abs(one["a"] - 1.0) < 4 * one.standard_errors()[0]


def test_only_differences_within_a_case_matter(make: Callable[..., Model], fit: Fit, log: ChoiceLog) -> None:
    shift = np.repeat(np.random.default_rng(9).normal(0, 100, log.n_cases), 3)
    moved = make().fit(log.with_columns({"cost": log.numbers("cost") + shift}))
    np.testing.assert_allclose(moved.params, fit.params, atol=1e-8)

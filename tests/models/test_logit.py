"""The logit alone: its closed form against automatic differentiation, its formulas, its extremes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices import ChoiceLog, Columns, Partition
from revealed.errors import DataError, SpecificationError
from revealed.evidence import Detail
from revealed.evidence.status import collinearities
from revealed.models import Logit, ScaledLogit
from revealed.models.autodiff import AutodiffLaw
from revealed.models.utility import Utility
from tests.worlds import ragged, trips


def log() -> ChoiceLog:
    return trips(500, seed=11)


def test_closed_form_against_automatic_differentiation() -> None:
    for world, utility in (
        (trips(300, available="open", weight="weight"), "C(mode)*C(segment) + cost*income + time"),
        (ragged(300), "a + b + a:b"),
    ):
        law = Logit(utility).law(world)
        scale = ScaledLogit(utility, scale="one").law(world.with_columns({"one": np.zeros(world.n_rows)}))
        point = np.random.default_rng(1).normal(0, 0.4, len(law.names))
        part = Partition(world, 0, world.n_cases)
        closed = law.evidence(part, point, Detail.OUTER, ledger=True)
        assert isinstance(scale, AutodiffLaw)
        with_scale = world.with_columns({"one": np.zeros(world.n_rows)})
        auto = scale.evidence(Partition(with_scale, 0, world.n_cases), np.append(point, 0.0), Detail.OUTER, ledger=True)
        k = len(point)
        assert closed.log_likelihood == pytest.approx(auto.log_likelihood, rel=1e-13)
        np.testing.assert_allclose(closed.score, auto.score[:k], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(closed.information, auto.information[:k, :k], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(closed.outer, auto.outer[:k, :k], rtol=1e-9, atol=1e-9)
        assert closed.ledger is not None
        assert auto.ledger is not None
        np.testing.assert_allclose(closed.ledger.by_person()[1], auto.ledger.by_person()[1][:, :k], atol=1e-10)


@pytest.mark.parametrize(
    ("utility", "names"),
    [
        ("cost", ("cost",)),
        ("cost - 1 + time", ("cost", "time")),
        ("C(mode)", ("mode[car]", "mode[train]")),
        ("C(alternative)", ("alternative[car]", "alternative[train]")),
        ("mode", ("mode[car]", "mode[train]")),
        ("C(mode, Treatment('train'))", ("mode[bus]", "mode[car]")),
        ("C(mode):income", ("mode[car]:income", "mode[train]:income")),
        ("C(mode):cost", ("mode[bus]:cost", "mode[car]:cost", "mode[train]:cost")),
        ("cost + C(mode):cost", ("cost", "mode[car]:cost", "mode[train]:cost")),
        ("C(segment):cost", ("segment[north]:cost", "segment[south]:cost", "segment[west]:cost")),
        ("C(mode)*income", ("mode[car]", "mode[train]", "mode[car]:income", "mode[train]:income")),
        (
            "C(mode) + C(mode):C(segment)",
            (
                "mode[car]",
                "mode[train]",
                *(f"mode[{m}]:segment[{s}]" for m in ("car", "train") for s in ("south", "west")),
            ),
        ),
        ("log(cost) + I(time/60) + {cost * (income > 5)}", ("log(cost)", "time / 60", "cost * (income > 5)")),
        ("cost:time + cost", ("cost", "cost:time")),
        ("(cost + time)**2", ("cost", "time", "cost:time")),
        ("I(cost**2) + {cost ** 3} + log(sqrt(cost)**2)", ("cost ** 2", "cost ** 3", "log(sqrt(cost) ** 2)")),
        (
            {"bus": "cost", "car": "asc + cost", "train": "asc + own(cost)"},
            ("cost", "asc[car]", "asc[train]", "cost[train]"),
        ),
    ],
)
def test_formulas_name_their_columns(utility: Utility, names: tuple[str, ...]) -> None:
    found = Logit(utility).law(log()).names
    assert sorted(found) == sorted(names)


def test_two_categories_that_both_vary_keep_full_rank() -> None:
    random = np.random.default_rng(0)
    world = ragged(400, seed=2, largest=5)
    world = world.with_columns(
        {
            "brand": pa.array(np.array(["x", "y", "z"])[random.integers(0, 3, world.n_rows)]),
            "store": pa.array(np.array(["p", "q"])[random.integers(0, 2, world.n_rows)]),
        }
    )
    fit = Logit("C(brand):C(store)").fit(world)
    assert len(fit.names) == 5  # six cells less the one that is the same for all
    assert fit.status.sound
    same = Logit("C(brand)*C(store)").fit(world)
    assert same.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)


def test_a_reference_level_moves_the_constants_only() -> None:
    world = log()
    one = Logit("C(mode) + cost").fit(world)
    two = Logit("C(mode) + cost", reference={"mode": "train"}).fit(world)
    assert one.law.designs[0].references == {"mode": "bus"}
    assert two.law.designs[0].references == {"mode": "train"}
    assert one["cost"] == pytest.approx(two["cost"], abs=1e-10)
    assert two["mode[bus]"] == pytest.approx(-one["mode[train]"], abs=1e-10)


def test_per_alternative_formulas_are_the_long_formula_written_out() -> None:
    world = log()
    long = Logit("C(mode) + cost + C(mode):income").fit(world)
    wide = Logit({"bus": "cost", "car": "asc + cost + own(income)", "train": "asc + cost + own(income)"}).fit(world)
    assert wide.log_likelihood == pytest.approx(long.log_likelihood, rel=1e-12)
    assert wide["income[car]"] == pytest.approx(long["mode[car]:income"], abs=1e-9)


@pytest.mark.parametrize(
    ("utility", "message"),
    [
        ("csot", "did you mean 'cost'"),
        ("C(mdoe)", "did you mean 'mode'"),
        ("log(csot)", "did you mean 'cost'"),
        ("lg(cost)", "did you mean"),
        ("cost ~ time", "no left side"),
        ("cost | time", r"a formula has one part, and 'cost \| time' has several; write \+ instead of \|"),
        ("cost**2 + time", r"I\(cost\*\*2\)"),
        ("time + `cost` ^ 2", "crosses terms"),
        ("", "must be a formula"),
        ("cost +", "cannot read the formula"),
        ("(cost", "cannot read the formula"),
        ("income", r"C\(alternative\):income"),
        ("C(segment)", "cannot matter"),
        ("0", "no term"),
        ("cost * (mode == 'trian')", "cannot read the formula|did you mean 'train'"),
        ("{cost * (mode == 'trian')}", "did you mean 'train'"),
        ("{segment + 1}", "labels can only be compared"),
        ("__import__('os').system('true')", "not allowed|no function|cannot read|only plain calls"),
        ("cost + chosen", "the utility uses 'chosen', which says what was chosen"),
        ("cost + I(2 * chosen)", "the utility uses 'chosen', which says what was chosen"),
        ("cost + C(mode):C(chosen)", "the utility uses 'chosen', which says what was chosen"),
        ({"bus": "cost", "car": "cost"}, "no utility for the alternative 'train'"),
        ({"bus": "cost", "car": "cost", "trian": "cost"}, "did you mean 'train'"),
    ],
)
def test_formulas_that_cannot_be_are_refused(utility: Utility, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Logit(utility).fit(log())


def test_names_with_spaces_and_other_scripts() -> None:
    table = log().table.rename_columns(
        ["la travée", "qui", "moyen de transport", "choisi", "coût du trajet", "時間", "revenu", "segment", "o", "w"]
    )
    world = ChoiceLog.from_table(
        table, Columns(case="la travée", alternative="moyen de transport", chosen="choisi", person="qui")
    )
    fit = Logit("C(`moyen de transport`) + `coût du trajet` + log(`coût du trajet`) + 時間").fit(world)
    assert fit.status.sound
    assert "時間" in fit.names
    assert type(fit).from_json(fit.to_json()).probabilities(world).tobytes() == fit.probabilities(world).tobytes()


def test_a_million_alternatives_in_one_case() -> None:
    random = np.random.default_rng(0)
    n = 1_000_000
    x = random.normal(size=n + 30)
    case = np.concatenate([np.zeros(n, np.int64), np.repeat(np.arange(1, 11), 3)])
    chosen = np.zeros(n + 30, dtype=bool)
    chosen[np.argmax(x[:n] + random.gumbel(size=n))] = True
    chosen[n::3] = True
    world = ChoiceLog.from_table(
        pa.table({"case": case, "alternative": np.arange(n + 30), "chosen": chosen, "x": x}), source="large"
    )
    law = Logit("x").law(world)
    evidence = law.evidence(Partition(world, 0, world.n_cases), np.array([1.0]), Detail.OUTER)
    whole = np.log(np.exp(x[:n]).sum())
    first = x[:n][chosen[:n]][0] - whole
    rest = sum(x[n + 3 * i] - np.log(np.exp(x[n + 3 * i : n + 3 * i + 3]).sum()) for i in range(10))
    assert evidence.log_likelihood == pytest.approx(first + rest, rel=1e-12)


def test_zero_variance_and_constant_columns() -> None:
    world = log()
    with pytest.raises(SpecificationError, match="cannot matter"):
        Logit("flat + cost").fit(world.with_columns({"flat": np.ones(world.n_rows)}))
    # varies, but never within a case where it could matter
    once = np.zeros(world.n_rows)
    once[0] = 1e-300
    fit = Logit("cost + once").fit(world.with_columns({"once": once}))
    assert fit.status.not_identified
    assert "once" in fit.status.not_identified[0].names


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda number: f"{number:.2f}".replace(".", ","), r"decimal comma \('\d+,\d+'\); read .* write C\(odd\)"),
        (lambda number: f"${number:.2f}", r"text that reads as numbers \('\$\d.*write C\(odd\) for labels"),
        (lambda number: f"{1000 * number:,.0f} €" if number > 0.01 else "n/a", "text that reads as numbers"),
        (lambda number: f"{number:.2f}", "numbers written as text"),
        (lambda number: f"as of {number!r}", "1,500 different labels in 1,500 rows"),
    ],
)
def test_text_that_is_no_label_must_be_called_one(cell: Callable[[float], str], message: str) -> None:
    world = log()
    odd = pa.array([cell(number) for number in world.numbers("cost").tolist()])
    spoiled = ChoiceLog.from_table(world.table.append_column("odd", odd), world.columns)
    with pytest.raises(SpecificationError, match=message):
        Logit("time + odd").law(spoiled)
    assert len(Logit("time + C(odd)").law(spoiled).names) > 100


def test_a_parameter_is_not_fixed_outside_of_its_bounds() -> None:
    with pytest.raises(SpecificationError, match="'cost' is fixed at 1, outside of its bounds; leave out one"):
        Logit("cost + time", fixed={"cost": 1.0}, bounds={"cost": (2.0, 3.0)}).fit(log())
    inside = Logit("cost + time", fixed={"cost": 2.0}, bounds={"cost": (2.0, 3.0)}).fit(log())
    assert inside["cost"] == 2.0


def test_what_comes_as_categories_is_labels_whatever_it_looks_like() -> None:
    world = log()
    zone = pa.array([str(number % 7) for number in range(world.n_rows)])
    coded = ChoiceLog.from_table(world.table.append_column("zone", zone.dictionary_encode()), world.columns)
    assert Logit("time + zone").law(coded).names == ("time", *(f"zone[{number}]" for number in range(1, 7)))


def test_an_error_that_cannot_be_is_told_as_unknown() -> None:
    fit = Logit("cost + time").fit(log())
    fit.covariances["robust"][1, 1] = -1e-3
    assert np.isnan(fit.standard_errors("robust")).tolist() == [False, True]


def test_alerts_name_the_first_of_many_only() -> None:
    names = [f"x{number}" for number in range(9)]
    found = collinearities(np.ones((9, 9)), names)
    assert found[0].names == tuple(names)
    assert "x0, x1, x2, x3, x4 and 4 more move together" in found[0].why


def test_names_with_marks_of_the_grammar() -> None:
    names = ["a^b", "a~b", "a.b", "a+b (€)"]
    world = log()
    random = np.random.default_rng(3)
    world = world.with_columns({name: random.normal(size=world.n_rows) for name in names})
    fit = Logit(" + ".join(f"`{name}`" for name in names)).fit(world)
    assert fit.names == tuple(f"`{name}`" for name in names)
    with pytest.raises(SpecificationError, match=r"`a\.b`\*\*2 in the formula .* crosses terms"):
        Logit("`a.b`**2").fit(world)


def test_everything_chosen_alike_is_separation() -> None:
    world = log()
    first = np.zeros(world.n_rows)
    first[::3] = 1.0
    fit = Logit("C(mode) + cost").fit(world.with_columns({"chosen": first}))
    assert not fit.status.sound
    assert any(item.kind == "separation" for item in fit.status.not_identified)


def test_a_bad_cell_is_found_when_first_used_not_before() -> None:
    world = log()
    time = world.numbers("time").copy()
    time[7] = np.nan
    spoiled = world.with_columns({"time": time})
    assert Logit("cost").fit(spoiled).status.sound
    with pytest.raises(DataError, match="time"):
        Logit("cost + time").fit(spoiled)
    with pytest.raises(DataError, match="time"):
        Logit("cost + log(time)").fit(spoiled)


def test_an_expression_that_is_not_finite_says_where() -> None:
    world = log()
    with pytest.raises(DataError, match=r"log\(cost - 1\)"):
        Logit("log(cost - 1) + time").fit(world)

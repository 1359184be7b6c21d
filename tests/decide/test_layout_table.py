"""Layouts from a table of past A/B tests: the fit against brute force, what is refused, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import typer
from jaxtyping import TypeCheckError
from scipy.optimize import minimize
from typer.testing import CliRunner

from revealed.cli.exits import Commands
from revealed.cli.layout import layout
from revealed.cli.options import expanded
from revealed.decide.layout import (
    Design,
    LayoutSpace,
    LayoutTests,
    LayoutWorld,
    Priors,
    TestsFit,
    deviations,
    fit_tests,
    read_tests,
)
from revealed.decide.layout.counts import Belief, Counts, mode_of
from revealed.errors import ColumnError, DataError, SpecificationError
from revealed.models.glm.links import link_named
from revealed.models.glm.model import BayesianGLM
from revealed.report.layout_picture import picture_of_effects
from revealed.report.layouts import sections_of_tests
from revealed.report.text import to_text

UPWORTHY = Path(__file__).parents[3] / "shared/reference/data/upworthy_clean.parquet"

GOOD: dict[str, list[Any]] = {
    "headline": ["plain", "plain", "bold", "bold"],
    "image": ["cat", "dog", "cat", "dog"],
    "impressions": [1000, 1100, 900, 1000],
    "clicks": [50, 60, 40, 90],
}


def with_cells(**columns: list[Any]) -> dict[str, list[Any]]:
    return {**GOOD, **columns}


def many_tests(n_tests: int, seed: int, spread: float, noise: float = 0.0) -> tuple[dict[str, list[Any]], LayoutWorld]:
    """Return tests of a few arms each, whose levels differ, in a world whose truth is known."""
    space = LayoutSpace.of({"a": ["0", "1"], "b": ["0", "1", "2"]})
    world = LayoutWorld.random(space, seed, Priors(level=-2.0, option=0.3, pair=0.2))
    rng, every = np.random.Generator(np.random.Philox(1000 + seed)), space.layouts()
    rows: dict[str, list[Any]] = {"test": [], "a": [], "b": [], "impressions": [], "clicks": []}
    for test in range(n_tests):
        level = spread * rng.standard_normal()
        for arm in rng.choice(len(every), size=3, replace=False):
            f = float((world.design.rows(every[[arm]]) @ world.params)[0]) + level + noise * rng.standard_normal()
            count = int(rng.integers(500, 1500))
            cells = (
                f"t{test}",
                str(every[arm, 0]),
                str(every[arm, 1]),
                count,
                rng.binomial(count, 1 / (1 + np.exp(-f))),
            )
            for column, cell in zip(rows.values(), cells, strict=True):
                column.append(cell)
    return rows, world


# ---- the fit --------------------------------------------------------------------------------------------------------


def counts_of(tests: LayoutTests, design: Design) -> Counts:
    return Counts(design.rows(tests.layouts), tests.impressions, tests.clicks, tests.tests, len(tests.names))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_counts_are_as_many_single_answers(link: str) -> None:
    """The mode for counts is the GLM's for each impression on its own, where neither tests nor rows deviate."""
    small = with_cells(impressions=[40, 30, 20, 50], clicks=[5, 9, 2, 20])
    tests = read_tests(small)
    design, priors = Design.of(tests.space), Priors()
    deviations = {"option": priors.option, "pair": priors.pair}
    belief = Belief.of(design, priors.level, priors.level_deviation, deviations)
    found = mode_of(link_named(link), counts_of(tests, design), belief)
    assert found.converged
    assert not found.at.levels.any()
    assert not found.at.rows.any()
    rows = np.repeat(design.rows(tests.layouts), small["impressions"], axis=0)
    answers = np.concatenate([np.arange(n) < c for n, c in zip(small["impressions"], small["clicks"], strict=True)])
    mean, variance = design.prior(priors)
    whole = BayesianGLM.fresh(design.n_params, link, mean=mean, variance=variance).replay(rows, answers.astype(float))
    np.testing.assert_allclose(found.at.params, whole.posterior.mean, atol=1e-6)
    np.testing.assert_allclose(np.diag(found.covariance), whole.posterior.variance, rtol=1e-5)


@pytest.mark.parametrize(("test", "row"), [(0.6, 0.3), (0.6, 0.0), (0.0, 0.3), (0.0, 0.0)])
def test_levels_and_rows_are_taken_out_as_a_dense_fit_does(test: float, row: float) -> None:
    table, _ = many_tests(15, seed=1, spread=0.8, noise=0.3)
    tests = read_tests(table)
    design = Design.of(tests.space)
    counts = counts_of(tests, design)
    belief = Belief.of(design, 0.0, 3.0, {"option": 0.5, "pair": 0.25, "test": test, "row": row})
    found = mode_of(link_named("logit"), counts, belief)
    n, k = len(tests), design.n_params
    effects = np.concatenate([counts.x, test * np.eye(15)[tests.tests], row * np.eye(n)], axis=1)  # of unit variance
    precision = np.concatenate([1 / belief.variance, np.ones(15 + n)])

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        f = effects @ w
        rate = 1 / (1 + np.exp(-f))
        value = tests.impressions @ np.logaddexp(0, f) - tests.clicks @ f + 0.5 * precision @ w**2
        return float(value), effects.T @ (tests.impressions * rate - tests.clicks) + precision * w

    dense = minimize(objective, np.zeros(len(precision)), jac=True, options={"gtol": 1e-9})
    rate = 1 / (1 + np.exp(-effects @ dense.x))
    bend = (effects.T * (tests.impressions * rate * (1 - rate))) @ effects + np.diag(precision)
    covariance = np.linalg.inv(bend)
    variances = np.diag(covariance)
    assert found.converged
    np.testing.assert_allclose(found.at.params, dense.x[:k], atol=1e-5)
    np.testing.assert_allclose(found.at.levels, test * dense.x[k : k + 15], atol=1e-5)
    np.testing.assert_allclose(found.at.rows, row * dense.x[k + 15 :], atol=1e-5)
    np.testing.assert_allclose(found.covariance, covariance[:k, :k], atol=1e-6)
    np.testing.assert_allclose(found.level_variance, test**2 * variances[k : k + 15], atol=1e-7)
    np.testing.assert_allclose(found.row_variance, row**2 * variances[k + 15 :], atol=1e-7)
    evidence = -dense.fun - 0.5 * np.linalg.slogdet(bend)[1] + 0.5 * np.log(precision).sum()
    assert found.log_evidence == pytest.approx(evidence, abs=1e-6)


def test_few_points_say_what_many_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixture over deviations is an integral; 32 points stand for as many as one likes."""
    table, _ = many_tests(15, seed=2, spread=0.7, noise=0.3)
    few = fit_tests(read_tests(table))
    monkeypatch.setattr(deviations, "_POINTS", 256)
    many = fit_tests(read_tests(table))
    scale = np.sqrt(many.learner.posterior.variance)
    assert (abs(few.learner.posterior.mean - many.learner.posterior.mean) < 0.05 * scale).all()
    np.testing.assert_allclose(np.sqrt(few.learner.posterior.variance), scale, rtol=0.03)
    assert set(few.deviations) == {"option", "pair", "test", "row"}
    for name, deviation in few.deviations.items():
        other = many.deviations[name]
        assert abs(np.log(deviation.median / other.median)) < 0.25 * other.doubt
        assert deviation.doubt == pytest.approx(other.doubt, rel=0.2)


def test_only_what_a_table_can_tell_is_learned() -> None:
    assert set(fit_tests(read_tests(GOOD)).deviations) == {"option", "pair"}  # four rows, four parameters
    assert set(fit_tests(read_tests(GOOD), pairs=False).deviations) == {"option", "row"}
    tests = {**GOOD, "test": ["june", "june", "july", "july"]}  # not side by side: rows may differ, whatever fits them
    assert set(fit_tests(read_tests(tests)).deviations) == {"option", "pair", "test", "row"}


def coverage(noise: float) -> tuple[float, dict[str, float]]:
    """Return how often 90% intervals hold the truth where effects are larger than the prior guesses, and what is
    learned of how much things differ."""
    covered, learned = [], []
    guess = Priors(level=-2.0, option=0.1, pair=0.05)
    for seed in range(8):
        table, world = many_tests(60, seed, spread=0.7, noise=noise)
        fit = fit_tests(read_tests(table), priors=guess)
        # Options come in the order of the table, so the truth is looked up by name.
        at = {(e.slots, e.options): e for e in fit.effects(0.9)}
        for slots, options, value in truth_of(world):
            covered.append(at[slots, options].low <= value <= at[slots, options].high)
        learned.append({name: deviation.median for name, deviation in fit.deviations.items()})
    return float(np.mean(covered)), {name: float(np.mean([one[name] for one in learned])) for name in learned[0]}


def truth_of(world: LayoutWorld) -> list[tuple[tuple[str, ...], tuple[str, ...], float]]:
    space = world.design.space
    f = (world.design.rows(space.layouts()) @ world.params).reshape(space.sizes.tolist())
    a, b = f.mean(axis=1) - f.mean(), f.mean(axis=0) - f.mean()
    both = f - f.mean() - a[:, None] - b
    found: list[tuple[tuple[str, ...], tuple[str, ...], float]] = []
    found += [(("a",), (str(i),), float(a[i])) for i in range(2)]
    found += [(("b",), (str(j),), float(b[j])) for j in range(3)]
    found += [(("a", "b"), (str(i), str(j)), float(both[i, j])) for i in range(2) for j in range(3)]
    return found


def test_intervals_cover_though_tests_differ() -> None:
    covered, learned = coverage(0.0)
    assert 0.84 < covered < 0.98
    assert learned["test"] == pytest.approx(0.7, abs=0.1)
    assert learned["option"] > 0.15
    assert learned["row"] < 0.08


def test_intervals_cover_where_rows_vary_beyond_chance() -> None:
    covered, learned = coverage(0.4)
    assert 0.84 < covered < 0.98
    assert learned["row"] == pytest.approx(0.4, abs=0.05)


def test_a_forbidden_layout_teaches_but_is_not_recommended() -> None:
    free, bound = (fit_tests(read_tests(GOOD, forbidden=f)) for f in ([], [{"headline": "bold", "image": "dog"}]))
    assert free.learner.posterior.mean.tolist() == bound.learner.posterior.mean.tolist()
    best, allowed = free.ranked().layouts[0].layout, [item.layout for item in bound.ranked().layouts]
    assert best == {"headline": "bold", "image": "dog"}
    assert len(allowed) == 3
    assert best not in allowed


def test_a_learner_goes_on_from_past_tests(tmp_path: Path) -> None:
    fit = fit_tests(read_tests(GOOD))
    loaded = TestsFit.load(fit.save(tmp_path / "fit.json"))
    assert loaded.to_dict() == fit.to_dict()
    assert loaded.impressions_of({"headline": "bold", "image": "cat"}) == 900
    best = fit.ranked().layouts[0]
    shown = [loaded.learner.decide(seed=i).layout for i in range(50)]
    assert shown.count(best.layout) > 40
    after = loaded.learner.learn([best.layout] * 200, np.zeros(200))
    assert after.ranked().layouts[0].rate < best.rate
    with pytest.raises(SpecificationError, match="not a fit of layout tests of format 1"):
        TestsFit.from_dict({**fit.to_dict(), "format": 9})
    with pytest.raises(SpecificationError, match="not a fit of layout tests of format 1 but 'layout learner'"):
        TestsFit.load(fit.learner.save(tmp_path / "policy.json"))
    (tmp_path / "fit.json").write_text(json.dumps({**fit.to_dict(), "deviations": 3}))
    with pytest.raises(DataError, match="parts missing or spoiled(.|\n)*TestsFit.save"):
        TestsFit.load(tmp_path / "fit.json")


def test_no_click_at_all_is_an_answer_too() -> None:
    for clicks in ([0, 0, 0, 0], GOOD["impressions"]):
        fit = fit_tests(read_tests(with_cells(clicks=clicks)))
        rates = [item.rate for item in fit.ranked().layouts]
        assert np.isfinite(rates).all()
        assert abs(rates[0] - np.mean(clicks) / 1000) < 0.05


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (with_cells(clicks=[50, 2000, 40, 1001]), r"more clicks than impressions: 2,000 of 1,100 \[.*rows 2, 4\]"),
        (with_cells(clicks=[50, None, 40, 90]), r"missing cells \[column 'clicks'; row 2\]"),
        (with_cells(clicks=[50, "many", 40, 90]), r"'many' where a count must be \[column 'clicks'; row 2\]"),
        (with_cells(clicks=[50, 1.5, 40, 90]), "1.5 where a count must be"),
        (with_cells(clicks=[50, float("inf"), 40, 90]), "inf where a count must be"),
        (with_cells(impressions=[1000, -5, 900, 1000]), "-5 where a count must be"),
        (with_cells(image=["cat", None, "cat", "dog"]), r"missing cells \[column 'image'; row 2\]"),
        (with_cells(image=["cat", "", "cat", "dog"]), r"missing cells \[column 'image'; row 2\]"),
        (with_cells(impressions=[0] * 4, clicks=[0] * 4), "no impressions in any row"),
        ({name: [] for name in GOOD}, "a table without rows"),
    ],
)
def test_bad_tables(table: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_tests(table)


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(DataError, match="2 problems") as refused:
        read_tests(with_cells(clicks=[None, 1, 2, 3], image=[None, "a", "b", "c"]))
    assert len(refused.value.problems) == 2


def test_bad_names() -> None:
    with pytest.raises(ColumnError, match="no column 'impresions'(.|\n)*did you mean 'impressions'"):
        read_tests(GOOD, impressions="impresions")
    with pytest.raises(ColumnError, match="no column 'imag'(.|\n)*did you mean 'image'"):
        read_tests(GOOD, ["headline", "imag"])
    with pytest.raises(SpecificationError, match="column 'clicks' cannot play two roles"):
        read_tests(GOOD, ["clicks"])
    with pytest.raises(SpecificationError, match="no columns left for slots"):
        read_tests({name: GOOD[name] for name in ("impressions", "clicks")})
    with pytest.raises(SpecificationError, match="slot 'image' has only the option 'cat'"):
        read_tests(with_cells(image=["cat"] * 4))
    with pytest.raises(SpecificationError, match="no option 'dgo'; did you mean 'dog'"):
        read_tests(GOOD, forbidden=[{"headline": "bold", "image": "dgo"}])
    with pytest.raises(SpecificationError, match="no link 'poisson' for clicks"):
        fit_tests(read_tests(GOOD), "poisson")
    names = [str(i) for i in range(100)]
    wide = {"a": names, "b": names, "impressions": [10] * 100, "clicks": [1] * 100}
    with pytest.raises(SpecificationError, match="10,000 effects are more than the 4,000"):
        fit_tests(read_tests(wide))


# ---- what is shown --------------------------------------------------------------------------------------------------


def test_pictures_show_options_and_the_clearest_pairs() -> None:
    table, _ = many_tests(20, seed=2, spread=0.5)
    fit = fit_tests(read_tests(table))
    effects, space = fit.effects(), fit.learner.design.space
    figure = picture_of_effects(effects, space, most_pairs=2)
    labels = [text.get_text() for ax in figure.axes for text in ax.get_yticklabels()]
    assert sum(" × " in label for label in labels) == 2
    assert {"a=0", "a=1", "b=0", "b=1", "b=2"} <= set(labels)
    assert "the clearest 2 of 3" in figure.axes[-1].get_xlabel()  # of six, as a=0 does the opposite of a=1
    assert figure.axes[-1].get_xlabel().count("pairs") == 1
    with pytest.raises(SpecificationError, match="no effects to draw"):
        picture_of_effects([], space)


def test_what_data_do_not_tell_is_said() -> None:
    confounded = {
        "headline": ["plain", "bold"] * 2, "image": ["cat", "dog"] * 2,
        "impressions": [1000] * 4, "clicks": [50, 80, 55, 75],
    }  # fmt: skip
    fit = fit_tests(read_tests(confounded))
    text = to_text(sections_of_tests(fit, fit.ranked()))
    assert "Of 4 of these the data say next to nothing" in text  # the pairs, of which only two were ever seen
    told = {e.name: e.told for e in fit.effects()}
    assert told["headline=plain"] < 0.6  # headline and image never moved apart


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    pa_csv.write_csv(pa.table(many_tests(40, seed=3, spread=0.6)[0]), "tests.csv")
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @app.callback()
    def start(debug: bool = False) -> None: ...

    app.command()(expanded(layout))

    def invoke(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["layout", *arguments], prog_name="revealed")
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr, result.exception)
        return result

    return invoke


def test_the_command_says_what_the_library_says(command: Any) -> None:
    printed = command("tests.csv", "--test", "test", "--picture", "e.svg", "--report", "r.html", "--out", "fit.json")
    assert "All 6 allowed layouts were compared." in printed.stdout
    assert "Tests differ by" in printed.stdout
    pairs = [line.split("  ")[0] for line in printed.stdout.splitlines() if " × " in line]
    assert sorted(pair[-1] for pair in pairs) == ["0", "1", "2"]  # of a pair and its mirror the one above zero
    assert Path("e.svg").read_text().startswith("<?xml")
    assert "<svg" in Path("r.html").read_text()
    told = json.loads(command("tests.csv", "--test", "test", "--json").stdout)
    fit = fit_tests(read_tests("tests.csv", test="test"))
    assert told["ranking"] == json.loads(json.dumps(fit.ranked().to_dict()))
    assert told["effects"] == [effect.to_dict() for effect in fit.effects()]
    assert TestsFit.load("fit.json").to_dict() == fit.to_dict()


def test_the_command_keeps_constraints_and_refuses(command: Any) -> None:
    bound = ("tests.csv", "--slot", "a", "--slot", "b", "--forbid", "a=0,b=1", "--no-pairs", "--json")
    told = json.loads(command(*bound).stdout)
    assert told["ranking"]["n_layouts"] == 5
    assert {effect["kind"] for effect in told["effects"]} == {"option"}
    assert "is not of the form" in command("tests.csv", "--forbid", "a=0", code=4).stderr
    assert "names one slot twice" in command("tests.csv", "--forbid", "a=0,a=1", code=4).stderr
    assert "did you mean 'clicks'" in command("tests.csv", "--clicks", "click", code=4).stderr
    assert "there is nothing to choose" not in command("tests.csv", "--link", "probit", "--test", "test").stdout


# ---- real tests -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not UPWORTHY.exists(), reason="the Upworthy tests are not on this machine (osf.io/jd64p)")
def test_a_real_factorial_test() -> None:
    """Upworthy, 2014: three headlines times two images; a headline doubled clicks, the images did nothing."""
    import duckdb

    query = f"""select headline, eyecatcher_id as image, impressions, clicks from '{UPWORTHY}'
                where clickability_test_id = '53f548f1ba722b505e000029'"""
    relation = duckdb.sql(query)
    assert relation is not None
    fit = fit_tests(read_tests(relation.to_arrow_table()))
    assert (fit.n_rows, fit.impressions.sum(), fit.clicks.sum()) == (6, 61132, 381)
    by_kind = [e for e in fit.effects() if e.slots == ("headline",)]
    best = max(by_kind, key=lambda e: e.mean)
    assert best.options[0].startswith("HIV-Positive People")
    assert best.low > 0.2
    assert all(e.low < 0 < e.high for e in fit.effects() if "image" in e.slots)
    raw = {str(row): c / n for row, n, c in zip(fit.layouts, fit.impressions, fit.clicks, strict=True)}
    for item in fit.ranked().layouts:
        row = fit.learner.design.space.encode([item.layout])[0]
        assert item.low < raw[str(row)] < item.high


def test_shapes_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        Design.of(LayoutSpace.of({"a": ["0", "1"]})).rows(np.zeros((2, 1)))

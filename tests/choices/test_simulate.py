"""Simulated choices: the same from a seed however they are made, true to their truth, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import revealed
from revealed.choices import distributions as draw
from revealed.choices.simulate import TRUTH_KEY, Simulation
from revealed.errors import OutputError, SpecificationError

PLAIN = Simulation.of_size(20_000, 10, 4, seed=3)
RICH = Simulation(
    n_cases=15_000,
    n_alternatives=(2, 5),
    params={"cost": -1.0, "quality": 0.6, "income": {"a2": 0.5, "none": -0.4}, "mood": {"a1": 0.3}},
    constants={"a1": 0.4, "none": -0.5, "a5": -1.0},
    attributes={
        "cost": draw.LogNormal(0.0, 0.5),
        "quality": draw.Levels((0.0, 1.0, 2.0)),
        "income": draw.Normal(1.0, 0.5, varies="person"),
        "mood": draw.Uniform(-1.0, 1.0, varies="case"),
        "noise": draw.Bernoulli(0.3),
    },
    outside="none",
    availability=0.7,
    cases_per_person=4,
    seed=11,
)


def whole(simulation: Simulation) -> pa.Table:
    return pa.concat_tables(simulation.tables()).combine_chunks()


def written(path: Path) -> pa.Table:
    """Return the table in a file or folder, without its metadata."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return pa.concat_tables([pq.read_table(file) for file in files]).replace_schema_metadata().combine_chunks()


# ---- the same from a seed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simulation", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize(("rows_per_file", "rows_per_group"), [(None, 250_000), (30_000, 1), (1, 70_000)])
def test_files_of_any_cut_hold_the_same_choices(
    simulation: Simulation, rows_per_file: int | None, rows_per_group: int, tmp_path: Path
) -> None:
    simulation.write(tmp_path / "parts", rows_per_file=rows_per_file, rows_per_group=rows_per_group)
    assert written(tmp_path / "parts").equals(whole(simulation))


@pytest.mark.parametrize("simulation", [PLAIN, RICH], ids=["plain", "rich"])
def test_fewer_cases_are_the_first_of_more(simulation: Simulation) -> None:
    few = whole(replace(simulation, n_cases=simulation.chunk_cases + 37))
    many = whole(replace(simulation, n_cases=2 * simulation.chunk_cases + 5))
    assert few.equals(many.slice(0, few.num_rows))
    assert few["case"][-1].as_py() == simulation.chunk_cases + 36


def test_seeds_differ_and_repeat() -> None:
    again, other = replace(PLAIN), replace(PLAIN, seed=4)
    assert whole(PLAIN).equals(whole(again))
    same = np.mean(PLAIN.log().chosen_rows == other.log().chosen_rows)
    assert same < 0.25  # one in ten by chance, and more where utilities differ


def test_half_the_bits_hold_the_same_values_and_choices() -> None:
    double, single = whole(RICH), whole(replace(RICH, float32=True))
    assert double.schema.field("cost").type == pa.float64()
    assert single.schema.field("cost").type == pa.float32()
    assert single.cast(double.schema).equals(double)


# ---- true to its truth ----------------------------------------------------------------------------------------------


def true_probabilities(simulation: Simulation, table: pa.Table) -> np.ndarray:
    """Return the choice probability of each row, worked out from the specification alone."""
    labels = np.array(table["alternative"].to_pylist())
    utility = np.array([simulation.constants.get(label, 0.0) for label in labels])
    for name, param in simulation.params.items():
        values = table[name].to_numpy()
        utility += values * (np.array([param.get(a, 0.0) for a in labels]) if isinstance(param, dict) else param)
    mass = np.exp(utility)
    if "available" in table.column_names:
        mass *= table["available"].to_numpy()
    case = table["case"].to_numpy()
    return np.asarray(mass / np.bincount(case, mass)[case])


def score_test(columns: np.ndarray, chosen: np.ndarray, probability: np.ndarray, case: np.ndarray) -> float:
    """Return the p-value of the score of a logit at its true parameters, columns that say nothing left out."""
    mean = np.stack([np.bincount(case, probability * column) for column in columns])
    information = (columns * probability) @ columns.T - mean @ mean.T
    score = columns @ (chosen - probability)
    values, vectors = np.linalg.eigh(information)
    known = values > 1e-8 * values[-1]
    statistic = float(np.sum((vectors.T @ score)[known] ** 2 / values[known]))
    return float(stats.chi2.sf(statistic, known.sum()))


@pytest.mark.parametrize(
    "simulation",
    [
        PLAIN,
        RICH,
        Simulation(n_cases=20_000, n_alternatives=3, params={}, constants={"a1": 1.0}, seed=5),
        Simulation(n_cases=20_000, n_alternatives=2, params={"x": 3.0}, outside="stay", seed=6),
        Simulation(n_cases=20_000, n_alternatives=(1, 4), params={"x": -1.0}, availability=0.4, seed=7),
    ],
    ids=["plain", "rich", "constants", "outside", "sparse"],
)
def test_shares_and_scores_are_those_of_the_truth(simulation: Simulation) -> None:
    table = whole(simulation)
    case, chosen = table["case"].to_numpy(), table["chosen"].to_numpy().astype(float)
    probability = true_probabilities(simulation, table)
    codes = table["alternative"].combine_chunks().indices.to_numpy()
    indicators = np.stack([codes == code for code in range(codes.max() + 1)]).astype(float)
    assert score_test(indicators, chosen, probability, case) > 1e-3
    names = [name for name in simulation.params if name in table.column_names]
    if names:
        assert (
            score_test(np.stack([table[name].to_numpy() * indicators[0] for name in names]), chosen, probability, case)
            > 1e-3
        )
        rows = np.stack([table[name].to_numpy().astype(float) for name in names])
        assert score_test(np.concatenate([indicators, rows]), chosen, probability, case) > 1e-3


def test_the_test_of_shares_bites() -> None:
    table = whole(PLAIN)
    wrong = replace(PLAIN, params={**PLAIN.params, "x1": PLAIN.truth["x1"] + 0.05})
    case, chosen = table["case"].to_numpy(), table["chosen"].to_numpy().astype(float)
    column = table["x1"].to_numpy()[None, :]
    assert score_test(column, chosen, true_probabilities(wrong, table), case) < 1e-6


@pytest.mark.parametrize("simulation", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_logit_recovers_the_truth(simulation: Simulation) -> None:
    from revealed.models.logit import Logit

    fit = Logit(simulation.utility).fit(simulation.log(), errors="classic")
    assert set(fit.names) == set(simulation.truth)
    gap = fit.params - np.array([simulation.truth[name] for name in fit.names])
    distance = float(gap @ np.linalg.solve(fit.covariance("classic"), gap))
    assert stats.chi2.sf(distance, len(gap)) > 1e-3


def test_the_truth_is_relative_to_the_first_alternative() -> None:
    assert RICH.utility == "C(alternative) + cost + quality + C(alternative):income + C(alternative):mood"
    truth = RICH.truth
    assert truth["alternative[a2]"] == -0.4
    assert truth["alternative[none]"] == pytest.approx(-0.9)
    assert truth["alternative[none]:income"] == -0.4
    assert truth["alternative[a2]:mood"] == -0.3
    assert "alternative[a1]" not in truth


# ---- what is made ---------------------------------------------------------------------------------------------------


def test_columns_roles_and_kinds() -> None:
    log = RICH.log()
    table = log.table
    assert table.column_names[:5] == ["case", "person", "alternative", "chosen", "available"]
    assert set(table.column_names[5:]) == set(RICH.attributes)
    assert log.columns.person == "person"
    assert log.columns.available == "available"
    sizes = log.sizes
    assert (sizes.min(), sizes.max()) == (3, 6)  # two to five, and the outside option
    case, person = table["case"].to_numpy(), table["person"].to_numpy()
    assert (person == case // 4).all()
    for name, holder in (("income", person), ("mood", case)):
        values = table[name].to_numpy()
        first = values[np.unique(holder, return_index=True)[1]]
        assert (values == first[holder]).all()
        assert len(np.unique(first)) > 0.99 * len(first)
    outside = np.array(table["alternative"].to_pylist()) == "none"
    assert outside.sum() == log.n_cases
    assert (table["cost"].to_numpy()[outside] == 0).all()
    assert (table["cost"].to_numpy()[~outside] > 0).all()
    assert table["available"].to_numpy()[outside].all()
    assert 0.69 < table["available"].to_numpy()[~outside].mean() < 0.71
    assert set(np.unique(table["quality"].to_numpy()[~outside])) == {0.0, 1.0, 2.0}
    assert 0.28 < table["noise"].to_numpy()[~outside].mean() < 0.32


def test_every_alternative_is_as_likely_to_be_offered() -> None:
    table = whole(Simulation(n_cases=20_000, n_alternatives=(1, 6), params={"x": 1.0}, seed=8))
    counts = np.bincount(table["alternative"].combine_chunks().indices.to_numpy())
    assert stats.chisquare(counts).pvalue > 1e-3
    sizes = np.bincount(np.bincount(table["case"].to_numpy()))[1:]
    assert stats.chisquare(sizes).pvalue > 1e-3


@settings(max_examples=40)
@given(
    low=st.integers(1, 4),
    more=st.integers(0, 3),
    n_cases=st.integers(1, 40),
    availability=st.sampled_from([1.0, 0.5, 0.05]),
    outside=st.sampled_from([None, "none"]),
    cases_per_person=st.sampled_from([None, 1, 7]),
    seed=st.integers(0, 2**40),
)
def test_any_specification_gives_a_sound_log(low: int, more: int, n_cases: int, **options: Any) -> None:
    simulation = Simulation(n_cases=n_cases, n_alternatives=(low, low + more), params={"x": 1.0}, **options)
    assert simulation.log().n_cases == n_cases  # the log's own checks find no fault


def test_one_alternative_and_a_million() -> None:
    lonely = Simulation(n_cases=5, n_alternatives=1, params={"x": 1.0}).log()
    assert lonely.chosen.tolist() == [1.0] * 5
    crowded = Simulation(n_cases=1, n_alternatives=1_000_000, params={"x": 1.0}, float32=True)
    table = whole(crowded)
    assert table.num_rows == 1_000_000
    assert table["chosen"].to_numpy().sum() == 1
    assert table["alternative"][0].as_py() == "a0000001"


def test_huge_utilities_do_not_overflow() -> None:
    table = whole(Simulation(n_cases=500, n_alternatives=3, params={"x": 1e5}, seed=1))
    best = table["x"].to_numpy().reshape(-1, 3).argmax(1)
    assert (table["chosen"].to_numpy().reshape(-1, 3).argmax(1) == best).all()


def test_named_alternatives() -> None:
    log = Simulation(n_cases=50, n_alternatives=2, alternatives=["rail", "road é"], params={"x": 1.0}).log()
    assert log.facts.levels.labels == ("rail", "road é")


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_parquet_file_knows_its_roles_and_its_truth(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "choices.parquet"
    result = RICH.write(path, rows_per_group=20_000, progress=lambda done, total: seen.append((done, total)))
    assert result.path == path
    assert result.n_bytes == path.stat().st_size
    assert (result.n_cases, result.n_files) == (RICH.n_cases, 1)
    assert result.n_rows == whole(RICH).num_rows
    assert seen[-1] == (RICH.n_cases, RICH.n_cases)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert revealed.read(path).table.replace_schema_metadata().equals(RICH.log().table.replace_schema_metadata())
    assert revealed.read(path).columns == RICH.columns
    notes = json.loads(pq.read_schema(path).metadata[TRUTH_KEY])
    assert notes == {"seed": 11, "utility": RICH.utility, "truth": RICH.truth}


def test_row_groups_are_large_plain_and_of_whole_cases(tmp_path: Path) -> None:
    simulation = replace(PLAIN, n_cases=60_000, float32=True)
    simulation.write(tmp_path / "choices.parquet")
    file = pq.ParquetFile(tmp_path / "choices.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(sizes) == 600_000
    assert all(size % 10 == 0 for size in sizes)
    assert all(200_000 < size < 300_000 for size in sizes[:-1])
    schema = file.schema_arrow
    assert schema.field("case").type == pa.int64()
    assert pa.types.is_dictionary(schema.field("alternative").type)
    assert schema.field("x1").type == pa.float32()
    chunks = {file.metadata.row_group(0).column(i).path_in_schema: i for i in range(file.metadata.num_columns)}
    attribute = file.metadata.row_group(0).column(chunks["x1"])
    assert attribute.compression == "UNCOMPRESSED"
    assert not attribute.has_dictionary_page
    assert (np.diff(file.read(["case"])["case"].to_numpy()) >= 0).all()


def test_a_csv_file_reads_back(tmp_path: Path) -> None:
    simulation = replace(RICH, n_cases=300)
    result = simulation.write(tmp_path / "choices.csv")
    assert result.n_rows == whole(simulation).num_rows
    log = revealed.read(tmp_path / "choices.csv", person="person", available="available")
    assert log.n_cases == 300
    assert (log.chosen == simulation.log().chosen).all()
    assert np.array_equal(log.numbers("cost"), simulation.log().numbers("cost"))


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").write_bytes(b"precious")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for name in ("old.parquet", "new.parquet", "folder"):
        with pytest.raises(KeyboardInterrupt):
            PLAIN.write(tmp_path / name, rows_per_group=1, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["old.parquet"]
    assert (tmp_path / "old.parquet").read_bytes() == b"precious"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "choices"
    folder.mkdir()
    assert replace(PLAIN, n_cases=10).write(folder).n_files == 1  # an empty one is fine
    with pytest.raises(OutputError, match="there already"):
        PLAIN.write(folder)
    assert [path.name for path in folder.iterdir()] == ["part-00000.parquet"]
    with pytest.raises(OutputError, match="nothing was changed"):
        PLAIN.write(tmp_path / "missing" / "choices.parquet")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process's memory is read from /proc")
def test_memory_is_bounded_by_the_row_group(tmp_path: Path) -> None:
    program = (  # the peak that getrusage tells would begin at that of this process, which is the larger
        "import re, sys; from pathlib import Path; from revealed.choices.simulate import Simulation\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "make = lambda n: Simulation.of_size(n, 10, 20, seed=1, float32=True)\n"
        "make(60_000).write(sys.argv[1] + '/small.parquet', rows_per_group=250_000)\n"
        "small = peak()\n"
        "size = make(300_000).write(sys.argv[1] + '/large.parquet', rows_per_group=250_000).n_bytes\n"
        "print(small, peak(), size // 1024)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    small, large, size = map(int, output.split())
    assert size > 220 * 1024  # KiB: far more than may be held
    assert large - small < 40 * 1024
    assert large < 400 * 1024


# ---- what cannot be simulated ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_cases": 0}, "n_cases must be at least 1"),
        ({"n_alternatives": 0}, "n_alternatives must be at least 1"),
        ({"n_alternatives": (4, 2)}, "the smaller number first"),
        ({"seed": -1}, "seed must not be negative"),
        ({"availability": 0.0}, "availability must be above 0"),
        ({"cases_per_person": 0}, "cases_per_person must be at least 1"),
        ({"alternatives": ["a", "b"]}, "2 names for 3 alternatives"),
        ({"alternatives": ["a", "b", "b"]}, "must differ"),
        ({"alternatives": ["a", "b", "none"], "outside": "none"}, "must differ"),
        ({"constants": {"a9": 1.0}}, "a constant for 'a9', which is no alternative; there are: a1, a2, a3"),
        ({"attributes": {"x": draw.Normal(varies="person")}}, "give cases_per_person"),
        ({"attributes": {"x": draw.Normal(varies="case")}}, "is the same for all alternatives"),
        ({"params": {"x": {"a1": 1.0}}}, "varies by alternative"),
        (
            {"params": {"x": {"a7": 1.0}}, "attributes": {"x": draw.Normal(varies="case")}},
            "'x' for 'a7', which is no alternative",
        ),
        ({"params": {"chosen": 1.0}}, "cannot be called 'chosen'"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"n_cases": 10, "n_alternatives": 3, "params": {"x": 1.0}} | wrong
    with pytest.raises(SpecificationError, match=message):
        Simulation(**options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: draw.Normal(0.0, -1.0),
        lambda: draw.Normal(float("nan"), 1.0),
        lambda: draw.LogNormal(0.0, 50.0),
        lambda: draw.Uniform(2.0, 1.0),
        lambda: draw.Uniform(0.0, float("inf")),
        lambda: draw.Bernoulli(1.5),
        lambda: draw.Levels([]),
        lambda: draw.Levels([1.0, float("nan")]),
    ],
)
def test_impossible_distributions_are_refused(make: Any) -> None:
    with pytest.raises(SpecificationError):
        make()


@pytest.mark.parametrize(
    ("distribution", "law"),
    [
        (draw.Normal(2.0, 3.0), stats.norm(2, 3)),
        (draw.LogNormal(0.5, 0.4), stats.lognorm(0.4, scale=np.exp(0.5))),
        (draw.Uniform(-1.0, 4.0), stats.uniform(-1, 5)),
    ],
)
def test_distributions_are_what_they_say(distribution: draw.Distribution, law: Any) -> None:
    values = np.empty(20_000, np.float32)
    distribution.draw(np.random.default_rng(1), values)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3

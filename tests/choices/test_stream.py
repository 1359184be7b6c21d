"""A stream from disk is the log in memory, batch by batch, however the rows lie on disk."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices import BLOCK_CASES, ChoiceLog, ChoiceStream, Columns, read, scan
from revealed.choices.ahead import read_ahead
from revealed.choices.cells import find_bad_cells
from revealed.choices.cutting import whole_cases
from revealed.choices.repeats import Ascending, SeenKeys
from revealed.errors import DataError, SpecificationError
from tests.choices.tables import ALL, ragged, sound

ROLES = Columns(person="person", weight="weight")
SIZES = np.random.default_rng(3).integers(1, 9, 3 * BLOCK_CASES + 100).tolist()


def on_disk(table: pa.Table, folder: Path, group: int = 5000, files: int = 1, **options: Any) -> ChoiceStream:
    """Write a table in row groups over some files, cut anywhere, and open it as a stream."""
    edges = np.linspace(0, table.num_rows, files + 1).astype(int)
    for i, (start, stop) in enumerate(pairwise(edges)):
        pq.write_table(table.slice(start, stop - start), folder / f"part-{i}.parquet", row_group_size=group)
    return scan(folder, options.pop("columns", ROLES), **options)


def joined(batches: Iterator[ChoiceLog]) -> tuple[list[ChoiceLog], pa.Table]:
    logs = list(batches)
    return logs, pa.concat_tables([log.table for log in logs])


def assert_same(stream: ChoiceStream, log: ChoiceLog) -> None:
    """Assert that the batches of a stream are the log, in order and in blocks."""
    logs, table = joined(stream.batches())
    assert stream.facts.null_log_likelihood == pytest.approx(log.facts.null_log_likelihood, rel=1e-12)
    assert (stream.n_rows, stream.n_cases) == (log.n_rows, log.n_cases)
    assert stream.facts.levels.labels == log.facts.levels.labels
    assert stream.facts.chosen == dict(log.facts.chosen)
    assert (stream.facts.persons is None) == (log.facts.persons is None)
    assert stream.facts.n_persons == log.facts.n_persons
    first_case = 0
    for batch in logs:
        assert batch.first_case == first_case
        assert batch.first_case % BLOCK_CASES == 0
        assert batch.facts is stream.facts
        start = int(log.offsets[first_case])
        assert batch.row_numbers(np.arange(batch.n_rows)).tolist() == list(range(start + 1, start + batch.n_rows + 1))
        first_case += batch.n_cases
    assert first_case == log.n_cases
    for name in log.table.column_names:
        assert table[name].to_pylist() == log.table[name].to_pylist()
    assert np.concatenate([b.sizes for b in logs]).tolist() == log.sizes.tolist()
    assert np.concatenate([b.person_codes for b in logs]).tolist() == log.person_codes.tolist()
    assert np.concatenate([b.alternative_codes for b in logs]).tolist() == log.alternative_codes.tolist()


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(
    ("group", "files", "batch"), [(5000, 1, 4000), (333, 3, 1000), (10**6, 7, 20_000), (50, 1, 10**6)]
)
def test_cases_straddle_groups_and_files(tmp_path: Path, group: int, files: int, batch: int, ahead: bool) -> None:
    table = ragged(SIZES)
    stream = on_disk(table, tmp_path, group, files, batch_rows=batch, read_ahead=ahead)
    assert_same(stream, read(table, ROLES))


def test_cases_of_one_size(tmp_path: Path) -> None:
    table = ragged([5] * (2 * BLOCK_CASES + 7))
    stream = on_disk(table, tmp_path, group=5 * BLOCK_CASES, batch_rows=5 * BLOCK_CASES)
    assert_same(stream, read(table, ROLES))
    logs = list(stream.batches())
    assert [log.n_cases for log in logs] == [BLOCK_CASES, BLOCK_CASES, 7]
    assert logs[0].table["cost"].num_chunks == 1  # cut where the disk is cut, so nothing is copied


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
    st.integers(1, 40),
)
def test_cuts_anywhere(sizes: list[int], pieces: list[int], n_rows: int) -> None:
    """Whatever the pieces that come in, whole cases go out, in order and none lost."""
    repeated = [size for size in sizes for _ in range(BLOCK_CASES // 8)]
    case = np.repeat(np.arange(len(repeated)), repeated)
    table = pa.table({"case": case, "row": np.arange(len(case))})
    edges = np.unique(np.concatenate([[0], np.cumsum(np.resize(pieces, len(case))), [len(case)]]).clip(max=len(case)))
    parts = (table.slice(a, b - a) for a, b in pairwise(edges))
    cuts = list(whole_cases(parts, "case", n_rows * 50))
    assert pa.concat_tables([cut.table for cut in cuts])["row"].to_pylist() == list(range(len(case)))
    assert [size for cut in cuts for size in np.diff(cut.offsets)] == repeated
    assert all(len(cut.offsets) % BLOCK_CASES == 1 for cut in cuts[:-1])
    assert [cut.first_row for cut in cuts] == [int(cut.table["row"][0].as_py()) for cut in cuts]


def test_only_what_is_asked_for_is_decoded(tmp_path: Path) -> None:
    table = pa.table(sound(50))
    stream = on_disk(table, tmp_path, columns=ALL)
    (batch,) = stream.batches(["cost", "propensity"])
    assert set(batch.table.column_names) == {
        *("case", "alternative", "chosen", "person", "available", "weight"),
        *("cost", "propensity"),
    }
    with pytest.raises(SpecificationError, match="did you mean 'cost'"):
        stream.batches(["csot"])
    assert stream.attribute_names == ("cost", "colour", "income")
    assert stream.is_categorical("colour")
    assert not stream.is_categorical("cost")
    assert stream.levels_of("colour").labels == ("blue", "red")
    assert stream.levels_of("alternative").labels == ("bus", "car", "train")
    assert "150 rows in 1 file" in repr(stream)


@pytest.mark.parametrize(("group", "files"), [(100, 2), (4000, 1), (10**6, 1)])
@pytest.mark.parametrize("n_cases", [1, 200, 2000])
def test_sample(tmp_path: Path, group: int, files: int, n_cases: int) -> None:
    table = ragged(SIZES)
    log = read(table, ROLES)
    stream = on_disk(table, tmp_path, group, files)
    sample = stream.sample(n_cases, ["cost"])
    assert n_cases <= 1.05 * sample.n_cases + 40
    assert sample.n_cases <= 2 * n_cases + 40
    labels = sample.case_labels.to_numpy()
    assert (np.diff(labels) > 0).all()
    assert sample.table["cost"].to_pylist() == log.take_cases(labels).table["cost"].to_pylist()  # whole cases
    assert sample.row_numbers(np.arange(sample.n_rows)).tolist() == (
        log.take_cases(labels).row_numbers(np.arange(sample.n_rows)).tolist()
    )
    if n_cases >= 200:
        assert labels[0] < len(SIZES) // 4
        assert labels[-1] > len(SIZES) // 2
    assert sample.facts is stream.facts
    assert stream.sample(n_cases, ["cost"]).table == sample.table


def test_sample_of_all(tmp_path: Path) -> None:
    table = ragged([3] * 50)
    sample = on_disk(table, tmp_path).sample(1000)
    assert sample.n_cases == 50


def test_files_of_ours_know_their_roles(tmp_path: Path) -> None:
    log = read(ragged([3] * 50), ROLES)
    assert scan(log.to_parquet(tmp_path / "log.parquet")).columns == ROLES


# ---- what is wrong ----------------------------------------------------------------------------------------------


def spoilt(column: str, row: int, value: Any) -> pa.Table:
    table = ragged(SIZES)
    cells = table[column].to_pylist()
    cells[row - 1] = value
    index = table.column_names.index(column)
    return table.set_column(index, column, pa.array(cells, table.schema.field(column).type))


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [("chosen", 7, "chosen is not 0 or 1 but 7"), ("weight", -1.0, "negative"), ("case", None, "rows without a case")],
)
def test_bad_cells_are_numbered_over_all_files(tmp_path: Path, column: str, value: Any, what: str) -> None:
    row = len(SIZES) * 3
    stream = on_disk(spoilt(column, row, value), tmp_path, files=3, batch_rows=3000)
    with pytest.raises(DataError) as caught:
        _ = stream.facts
    assert any(what in problem.what and row in problem.rows for problem in caught.value.problems)
    with pytest.raises(DataError):
        list(stream.batches())


def test_problems_of_a_kind_are_told_once(tmp_path: Path) -> None:
    table = ragged(SIZES)
    table = table.set_column(2, "chosen", pa.array(np.zeros(table.num_rows, int)))
    with pytest.raises(DataError) as caught:
        _ = on_disk(table, tmp_path, batch_rows=2000).facts
    (problem,) = caught.value.problems
    assert problem.count == len(SIZES)
    assert problem.cases == ("0", "1", "2", "3", "4")


def test_bad_attributes(tmp_path: Path) -> None:
    table = spoilt("cost", 9000, None)
    stream = on_disk(table, tmp_path, batch_rows=2000)
    for found in (stream.find_bad_cells(["cost", "speed"]), find_bad_cells(stream, ["cost", "speed"])):
        assert [(problem.what, problem.rows) for problem in found] == [("missing cells", (9000,))]
    with pytest.raises(DataError, match="row 9000"):
        _ = on_disk(table, tmp_path, batch_rows=2000, attributes=["cost"]).facts
    assert stream.find_bad_cells(["csot"])[0].remedy == "did you mean 'cost'?"


@pytest.mark.parametrize("label", ["{}", "case {}"])
def test_cases_in_pieces_are_refused(tmp_path: Path, label: str) -> None:
    table = ragged(SIZES, label=label)
    case = table["case"].to_pylist()
    ends = np.cumsum(SIZES)
    order = np.arange(table.num_rows)
    moved = int(ends[4000]) if SIZES[4000] > 1 else int(ends[next(i for i in range(4001, 5000) if SIZES[i] > 1)])
    order = np.concatenate([[moved - 1], np.delete(order, moved - 1)])  # the last row of a late case comes first
    stream = on_disk(table.take(pa.array(order)), tmp_path, batch_rows=2000)
    with pytest.raises(DataError) as caught:
        _ = stream.facts
    problem = caught.value.problems[-1]
    assert problem.what == "cases whose rows are not together, or that come twice"
    assert problem.cases == (str(case[moved - 1]),)
    assert "sort the files by case" in problem.remedy
    assert read(tmp_path, ROLES).n_cases == len(SIZES)  # the remedy works


@pytest.mark.parametrize("label", ["{}", "case {}"])
def test_cases_need_not_ascend(tmp_path: Path, label: str) -> None:
    table = ragged(SIZES, label=label)
    order = np.random.default_rng(0).permutation(len(SIZES))
    log = read(table, ROLES).take_cases(order)
    assert_same(on_disk(log.table, tmp_path, files=2, batch_rows=3000), read(log.table, ROLES))


def test_persons_in_two_places(tmp_path: Path) -> None:
    n_cases = 5000
    table = pa.table(sound(n_cases))
    when = np.repeat([f"{i:05d}" for i in range(n_cases)], 3)
    table = table.set_column(4, "time", pa.array(when))
    assert on_disk(table, tmp_path, columns=ALL, batch_rows=999).facts.n_cases == n_cases
    table = table.set_column(3, "person", pa.array(np.repeat(np.arange(n_cases) % 50, 3)))
    when[3 * 4049 : 3 * 4050] = when[3 * 49]  # case 4050 and case 50 are of person 49
    table = table.set_column(4, "time", pa.array(when))
    with pytest.raises(DataError) as caught:
        _ = on_disk(table, tmp_path, columns=ALL, batch_rows=999).facts
    (problem,) = caught.value.problems
    assert problem.what == "a person in two places at once: 49 at 00049"
    assert (problem.cases, problem.rows) == (("4050",), (3 * 4049 + 1,))


def test_weights_all_zero(tmp_path: Path) -> None:
    table = pa.table(sound(3000) | {"weight": [0.0] * 9000})
    with pytest.raises(DataError, match="the weights are all zero"):
        _ = on_disk(table, tmp_path, columns=Columns(weight="weight")).facts
    some = pa.table(sound(3000) | {"weight": [0.0] * 8997 + [1.0] * 3})
    assert on_disk(some, tmp_path, columns=Columns(weight="weight"), batch_rows=300).facts.n_choices == 1


def test_what_cannot_be_streamed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("case,alternative,chosen\n1,a,1\n")
    with pytest.raises(DataError, match="a stream needs Parquet"):
        scan(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"did you mean 'a\.csv'"):
        scan(tmp_path / "b.csv")
    pq.write_table(pa.table(sound()), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'mode'"):
        scan(tmp_path, alternative="mode")
    pq.write_table(pa.table(sound()).slice(0, 0), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="there are no rows"):
        _ = scan(tmp_path).facts


def test_a_file_that_breaks_in_mid_stream(tmp_path: Path) -> None:
    stream = on_disk(ragged(SIZES), tmp_path, files=2, batch_rows=1000)
    assert stream.facts.n_cases == len(SIZES)
    (tmp_path / "part-1.parquet").write_bytes((tmp_path / "part-1.parquet").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"part-1.parquet: 1 problem found\n  1. cannot be read as Parquet"):
        list(stream.batches())


# ---- the machinery ----------------------------------------------------------------------------------------------


def _readers() -> int:
    return sum(thread.name == "revealed-read-ahead" for thread in threading.enumerate())


def test_read_ahead_stops_with_its_consumer(tmp_path: Path) -> None:
    stream = on_disk(ragged(SIZES), tmp_path, batch_rows=1000)
    batches = stream.batches()
    next(batches)
    assert _readers() == 1
    batches.close()  # type: ignore[attr-defined]
    assert _readers() == 0
    for _ in stream.batches():
        break
    assert _readers() == 0


def test_read_ahead_passes_errors_on() -> None:
    def parts() -> Iterator[int]:
        yield 1
        raise ValueError("on the way")

    taken: list[int] = []
    with pytest.raises(ValueError, match="on the way"):
        taken.extend(read_ahead(parts))
    assert _readers() == 0
    assert list(read_ahead(lambda: iter(range(100)))) == list(range(100))


def test_an_interrupt_ends_a_pass_at_once(tmp_path: Path) -> None:
    on_disk(ragged(SIZES * 20), tmp_path, columns=Columns(weight="weight"), group=2000)
    code = (
        "import sys, time\n"
        "from revealed.choices import scan\n"
        f"stream = scan({str(tmp_path)!r}, batch_rows=20000)\n"
        "stream.facts\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for batch in stream.batches():\n"
        "        pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        process.send_signal(2)
        started = time.monotonic()
        process.wait(timeout=20)
        assert time.monotonic() - started < 10
        assert process.stderr is not None
        assert b"KeyboardInterrupt" in process.stderr.read()


@given(st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=30))
def test_seen_keys_are_a_set(parts: list[list[int]]) -> None:
    seen, known = SeenKeys(), set()
    for part in parts:
        again = seen.add(np.array(part, np.uint64))
        for key, repeated in zip(part, again.tolist(), strict=True):
            assert repeated == (key in known)
            known.add(key)
        assert len(seen) == len(known)


@given(st.lists(st.lists(st.integers(0, 20), max_size=4), max_size=6), st.booleans())
def test_ascending(parts: list[list[int]], text: bool) -> None:
    ascending = Ascending()
    for part in parts:
        ascending.add(pa.array([f"{v:02d}" for v in part] if text else part, pa.string() if text else pa.int64()))
    cells = [cell for part in parts for cell in part]
    assert ascending.holds == all(a < b for a, b in pairwise(cells))

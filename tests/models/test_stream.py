"""A fit from disk is the fit from memory, on every engine, whatever the batches; and it forgets no person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revealed.choices import ChoiceLog, scan
from revealed.engine import InProcess, Threads
from revealed.errors import DataError, SpecificationError
from revealed.models import Logit, ScaledLogit
from tests.worlds import COLUMNS, ragged, trips_table

UTILITY = "C(mode) + log(cost) + time + C(mode):income"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 24,000 trips in three files whose edges cut cases in two."""
    place = tmp_path_factory.mktemp("trips")
    table = trips_table(24_000, seed=12)
    for i, (start, stop) in enumerate([(0, 20_001), (20_001, 55_000), (55_000, 72_000)]):
        pq.write_table(table.slice(start, stop - start), place / f"part{i}.parquet", row_group_size=7_000)
    return place


@pytest.fixture(scope="module")
def log() -> ChoiceLog:
    return ChoiceLog.from_table(trips_table(24_000, seed=12), COLUMNS)


@pytest.mark.parametrize("engine", [InProcess(), Threads(2)], ids=str)
@pytest.mark.parametrize("batch_rows", [6_500, 30_000])
def test_disk_and_memory_agree(folder: Path, log: ChoiceLog, engine: InProcess | Threads, batch_rows: int) -> None:
    memory = Logit(UTILITY).fit(log)
    disk = Logit(UTILITY).fit(scan(folder, COLUMNS, batch_rows=batch_rows), engine=engine)
    assert disk.names == memory.names
    np.testing.assert_allclose(disk.params, memory.params, rtol=0, atol=1e-10)
    assert disk.log_likelihood == pytest.approx(memory.log_likelihood, rel=1e-13)
    for kind in ("classic", "robust", "clustered"):
        np.testing.assert_allclose(disk.standard_errors(kind), memory.standard_errors(kind), rtol=1e-5)
    assert disk.data.n_persons == memory.data.n_persons
    assert disk.data.null_log_likelihood == pytest.approx(memory.data.null_log_likelihood, rel=1e-13)
    assert disk.status.passes <= 4


def test_evidence_from_disk_has_the_bits_of_memory(folder: Path, log: ChoiceLog) -> None:
    from revealed.evidence import Detail

    law = Logit(UTILITY).law(log)
    point = np.linspace(-0.5, 0.5, len(law.names))
    stream = scan(folder, COLUMNS, batch_rows=9_000)
    on_disk = InProcess().sum(lambda p: law.evidence(p, point, Detail.OUTER), stream)
    assert on_disk == InProcess().sum(lambda p: law.evidence(p, point, Detail.OUTER), log)


def test_the_autodiff_model_streams_too(folder: Path, log: ChoiceLog) -> None:
    few = log.take_cases(np.arange(3_000))
    stream = scan(folder, COLUMNS)
    model = ScaledLogit("C(mode) + cost + time", scale="C(segment)")
    assert model.law(stream).names == model.law(few).names
    disk = model.fit(stream)
    memory = model.fit(log)
    np.testing.assert_allclose(disk.params, memory.params, rtol=0, atol=1e-9)


def test_ragged_choice_sets_from_disk(tmp_path: Path) -> None:
    world = ragged(30_000, seed=3)
    pq.write_table(world.table, tmp_path / "log.parquet", row_group_size=10_000)
    memory = Logit("a + b").fit(world)
    disk = Logit("a + b").fit(scan(tmp_path / "log.parquet"))
    np.testing.assert_allclose(disk.params, memory.params, rtol=0, atol=1e-10)


def test_weights_and_availability_from_disk(tmp_path: Path) -> None:
    columns = replace(COLUMNS, weight="weight", available="open")
    table = trips_table(5_000, seed=8)
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=4_000)
    memory = Logit("C(mode) + cost").fit(ChoiceLog.from_table(table, columns))
    disk = Logit("C(mode) + cost").fit(scan(tmp_path / "log.parquet", columns))
    np.testing.assert_allclose(disk.params, memory.params, rtol=0, atol=1e-10)


def test_a_bad_cell_on_disk_is_refused_with_its_row(tmp_path: Path) -> None:
    table = trips_table(9_000, seed=1)
    cost = np.asarray(table.column("cost")).copy()
    cost[26_990] = np.nan
    table = table.set_column(table.schema.get_field_index("cost"), "cost", pa.array(cost))
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=5_000)
    with pytest.raises(DataError, match="26991"):
        Logit("C(mode) + cost").fit(scan(tmp_path / "log.parquet", COLUMNS))


def test_an_unknown_column_on_disk_is_named(folder: Path) -> None:
    with pytest.raises(SpecificationError, match="did you mean 'cost'"):
        Logit("csot").fit(scan(folder, COLUMNS))

"""The log as Parquet, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from revealed.errors import DataError, OutputError
from revealed.store import export as exporting
from revealed.store.export import export, read_export
from revealed.store.sql import SqlStore
from tests.store.rows import decision, outcome

DAY = 86_400.0


def test_what_is_exported_is_read_as_feedback(store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 7)
    monkeypatch.setattr(exporting, "OPEN", 2)
    rows = [decision(n, made=1e9 + (n * 5 % 4) * DAY, person=f"p{n % 7}") for n in range(1, 41)]
    store.write([*rows, decision(99, policy="other")], [outcome(n, 1 + n % 2, n / 8) for n in range(1, 31)])
    folder = tmp_path / "out"
    assert export(store, folder, "offers") == 80
    assert sorted(path.name for path in folder.iterdir()) == [f"day=2001-09-{day:02}" for day in (9, 10, 11, 12)]
    found = read_export(folder)
    assert (found.n_decisions, found.n_rows, int(found.answered.sum())) == (40, 80, 30)
    assert found.actions.labels == ("coupon", "gift")
    assert set(found.attribute_names) == {"policy", "version", "device", "hour", "member", "tenure", "visits"}
    by_place = {
        (row["decision"], row["position"]): (row["action"], row["reward"], row["propensity"], row["person"])
        for row in found.table.to_pylist()
    }
    for n in range(1, 41):
        rewards = [n / 8 if n <= 30 and 1 + n % 2 == position else None for position in (1, 2)]
        assert by_place[n, 1] == ("coupon", rewards[0], 0.25, f"p{n % 7}")
        assert by_place[n, 2] == ("gift", rewards[1], 0.5, f"p{n % 7}")
    assert np.all(found.numbers("tenure") == 3.25)
    for path in folder.rglob("*.parquet"):
        made = {str(time.date()) for time in pq.read_table(path, partitioning=None).column("time").to_pylist()}
        assert made == {path.parent.name.removeprefix("day=")}


def test_contexts_become_columns(store: SqlStore, tmp_path: Path) -> None:
    contexts = [
        {"device": {"os": "x", "age": 3}, "tags": ["a", "b"], "position": 7, "mixed": 1, "day": "monday", "b": True},
        {"device": {"age": 0.5}, "tags": None, "mixed": "one", "only": None},
    ]
    store.write([decision(n, context=json.dumps(context)) for n, context in enumerate(contexts, 1)], [outcome(1)])
    export(store, tmp_path / "out", "offers")
    found = read_export(tmp_path / "out")
    names = ["device.os", "device.age", "tags", "context.position", "mixed", "context.day", "b", "only"]
    cells = [[row[name] for name in names] for row in found.table.to_pylist()]
    assert cells[0] == cells[1] == ["x", 3.0, '["a", "b"]', 7.0, "1", "monday", True, None]
    assert cells[2] == cells[3] == [None, 0.5, None, None, "one", None, None, None]
    assert found.columns.person is None  # they have none


def test_it_is_written_whole_or_not_at_all(store: SqlStore, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(DataError, match="there are no decisions of 'offers' to write"):
        export(store, folder, "offers")
    store.write([decision(1), decision(2, propensities="[1.0]")], [])
    with pytest.raises(DataError, match="decision 2.*\n.*2 shown with 1 propensities"):
        export(store, folder, "offers")
    store.write([decision(3, policy="texts", context="no JSON")], [])
    with pytest.raises(DataError, match="context is not an object"):
        export(store, folder, "texts")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("log.db")] == []
    folder.mkdir()
    (folder / "mine").write_text("")
    with pytest.raises(OutputError, match="is there already; nothing was changed"):
        export(store, folder, "offers")
    with pytest.raises(DataError, match="cannot be read"):
        read_export(tmp_path / "nowhere")

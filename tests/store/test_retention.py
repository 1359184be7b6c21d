"""Taking out what is old, beside those who write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from revealed.store.open import open_store
from revealed.store.protocol import NOBODY_KNOWS, OutcomeRow
from revealed.store.sql import SqlStore
from tests.store.rows import decision, outcome

DROPPED = 7


def filled(store: SqlStore, count: int) -> None:
    """Write so many decisions and strays, of moments 1, 2, 3 …"""
    store.write([decision(n, made=float(n)) for n in range(1, count + 1)], [outcome(n) for n in range(1, count + 1)])
    strays = [OutcomeRow(NOBODY_KNOWS, 1, 1.0, float(n), float(n), f"order {n}") for n in range(1, count + 1)]
    store.write([], strays)


def test_others_write_while_the_old_is_looked_for(
    store: SqlStore, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revealed.store.sql.DROPPED", DROPPED)
    filled(store, 50)
    other, rows, said = open_store(address, patience=0.05), store._database.rows, list[tuple[str, Any]]()

    def watched(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = rows(sql, values)
        if sql.startswith("SELECT"):
            other.lease(1)  # a StoreError if a transaction is open
            assert len(found) <= DROPPED
        said.append((sql.split()[0], values))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "rows", watched)
        assert store.drop_before(0.0) == 0
        assert {word for word, _ in said} == {"SELECT"}, "nothing is due: nobody has to wait"
        assert store.drop_before(30.0) == 29
    assert "DELETE" in {word for word, _ in said}
    assert store.decision(29) is None
    assert store.outcomes_of(29) == []
    assert store.decision(30) == decision(30, made=30.0)
    assert {stray["name"] for stray in store.strays(99)} == {f"order {n}" for n in range(30, 51)}
    other.close()


def test_what_another_takes_out_meanwhile_is_not_counted(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store, 20)
    rows = store._database.rows

    def late(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = rows(sql, values)
        if sql.startswith("SELECT number, made"):
            rows("DELETE FROM decisions WHERE number <= 5")
        return found

    monkeypatch.setattr(store._database, "rows", late)
    assert store.drop_before(11.0) == 5


def test_versions_that_decide_no_more_are_not_kept_in_memory(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revealed.store.sql._VERSIONS", 5)
    versions = [f"v{n}" for n in range(40)]
    for n, version in enumerate(versions):
        store.write([decision(2 * n, version=version), decision(2 * n + 1, policy="layouts", version="v0")], [])
        assert len(store._versions) <= 5 + 2
    assert [row.version for _, row in store.decisions_after(0, 99, "offers")] == versions
    many = [decision(1000 + n, version=f"w{n}") for n in range(30)]  # in one batch
    store.write(many, [])
    store.write([decision(2000, version="w29")], [])
    assert len(store._versions) <= 5 + 2
    assert [row.version for _, row in store.decisions_after(80, 111, "offers")] == [
        *(f"w{n}" for n in range(30)),
        "w29",
    ]

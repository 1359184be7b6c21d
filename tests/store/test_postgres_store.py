"""What holds for the server: restarted, gone, too old, not ours, and never a password in a message."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

from revealed.errors import MissingExtraError, StoreError
from revealed.store import open as opening
from revealed.store.open import open_store
from revealed.store.protocol import Verdict
from revealed.store.sql import _ANSWERS_AFTER, _DECISIONS_AFTER
from tests.house.postgres import _run, binaries
from tests.store.rows import decision, outcome


def _restart(url: str, how: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    _run([binaries() / "pg_ctl", "-D", Path(row[0]), "-l", Path(row[0]).parent / "log", "-m", how, "-w", "restart"])


def test_a_restarted_server_is_found_again(empty_postgres: str) -> None:
    store = open_store(empty_postgres)
    store.write([decision(1)], [])
    _restart(empty_postgres, "fast")
    assert store.write([], [outcome(1)])[1] == [Verdict.NEW]
    _restart(empty_postgres, "immediate")
    assert store.outcomes_of(1) == [outcome(1)]
    store.close()


def test_a_connection_lost_in_the_middle_writes_nothing(empty_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(empty_postgres)
    inside = store._database.add_outcomes

    def lost(rows: object) -> int:
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'revealed'")
        return inside(rows)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "add_outcomes", lost)
        with pytest.raises(StoreError, match="the server does not answer: .* then send it again"):
            store.write([decision(1)], [outcome(1)])
    assert store.ends() == (0, 0)
    assert store.write([decision(1)], [outcome(1)])[1] == [Verdict.NEW]
    store.close()


def test_a_server_that_is_gone_is_told_without_the_password(empty_postgres: str) -> None:
    password = psycopg.conninfo.conninfo_to_dict(empty_postgres)["password"]
    for url in (
        empty_postgres.rpartition(":")[0] + ":1/postgres",
        empty_postgres.replace("/postgres", "/no_such_database").replace("//postgres:", "//nobody:"),
        empty_postgres.replace(f":{password}", f":x{password}"),
        f"{empty_postgres}?no_such_option={password}",
        f"postgresql://postgres:{password}@[::1/postgres",
    ):
        with pytest.raises(StoreError) as caught:
            open_store(url)
        assert str(password) not in str(caught.value)


def test_who_waits_too_long_for_another_writer_is_told(empty_postgres: str) -> None:
    store, other = open_store(empty_postgres), open_store(empty_postgres, patience=0.05)
    with store._database.transaction():
        with pytest.raises(StoreError, match="another process is writing for too long: send it again"):
            other.write([decision(1)], [])
        assert other.ends() == (0, 0)  # who reads does not wait
    other.write([decision(1)], [])
    other.close()
    store.close()


def test_a_commit_is_on_disk_whatever_the_default(empty_postgres: str) -> None:
    store = open_store(empty_postgres + "?options=-csynchronous_commit%3Doff")
    assert store._database.rows("SELECT current_setting('synchronous_commit')") == [("on",)]
    store.close()


def test_a_database_that_cannot_hold_all_text_is_refused(empty_postgres: str) -> None:
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match="keeps text as LATIN1: create the database with ENCODING 'UTF8'"):
        open_store(empty_postgres.removesuffix("postgres") + "latin")


def test_a_user_without_rights_is_told_which(empty_postgres: str) -> None:
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'p'")
    host = empty_postgres.rpartition("@")[2]
    with pytest.raises(StoreError, match="GRANT CREATE on the database"):
        open_store(f"postgresql://guest:p@{host}")


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "revealed.store.postgres", None)
    monkeypatch.setitem(sys.modules, "revealed.store.sqlite", None)
    with pytest.raises(MissingExtraError, match=r"revealed\[postgres\]"):
        opening.open_store("postgresql://localhost/x")
    with pytest.raises(MissingExtraError, match=r"revealed\[serve\]"):
        opening.open_store(tmp_path / "log.db")


def test_reading_follows_the_order_of_an_index(empty_postgres: str) -> None:
    """Nothing is sorted and no large table is read whole, also before the server knows how large they are."""
    store = open_store(empty_postgres)
    for sql in (_DECISIONS_AFTER, _ANSWERS_AFTER):
        plan = " ".join(row[0] for row in store._database.rows(f"EXPLAIN {sql}", (5, 10**6, "offers", 3)))
        assert "Sort" not in plan
        assert "Hash" not in plan
        assert "Seq Scan on decisions" not in plan
        assert "Seq Scan on outcomes" not in plan
    store.close()

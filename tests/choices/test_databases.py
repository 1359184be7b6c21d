"""Choices from queries: DuckDB in this process, and a real PostgreSQL server."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revealed.choices import Columns, read, read_sql
from revealed.choices.databases import without_password
from revealed.errors import DataError, MissingExtraError, RevealedError, SpecificationError
from tests.choices.tables import ALL, sound

TABLE = pa.table(sound())


def test_files_are_tables(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "log.parquet")
    log = read_sql(f"select * from '{tmp_path}/*.parquet' where income > 10", None, ALL, attributes=["cost"])
    assert log.n_cases == 3
    assert log.source == "query"


def test_roles_by_keyword_and_an_outside_option() -> None:
    query = "select 1 as trip, unnest(['bus', 'car']) as mode, 0 as taken"
    log = read_sql(query, case="trip", alternative="mode", chosen="taken", outside="none")
    assert log.facts.chosen["none"] == 1


def test_duckdb_connection_and_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("arrow", TABLE)
        connection.execute("create table choices as select * from arrow")
        assert read_sql("from choices", connection, ALL).facts == read(TABLE, ALL).facts
        assert connection.sql("select count(*) from choices").fetchall() == [(12,)]  # still open
    assert read_sql("from choices", path, ALL).n_cases == 4
    assert read_sql("from choices", str(path), ALL).n_cases == 4


def test_wrong_queries(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the query failed: Parser Error"):
        read_sql("selct 1")
    with pytest.raises(DataError, match="the query failed"):
        read_sql("select * from nowhere")
    with pytest.raises(DataError, match=r"returns no rows|no column 'case'"):
        read_sql("create table a (b int)")
    with pytest.raises(DataError, match="no such file"):
        read_sql("select 1", tmp_path / "missing.duckdb")
    (tmp_path / "a.duckdb").write_text("not a database, though long enough to be looked at" * 100)
    with pytest.raises(DataError, match="cannot be opened"):
        read_sql("select 1", tmp_path / "a.duckdb")


def test_what_is_no_connection() -> None:
    with pytest.raises(SpecificationError, match="no way to query a int"):
        read_sql("select 1", 7)
    with pytest.raises(SpecificationError, match=r"no way to query mysql://ann:\*\*\*@host/shop"):
        read_sql("select 1", "mysql://ann:secret@host/shop")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:se%40cret@host:5432/shop?sslmode=require", "postgresql://ann:***@host:5432/shop"),
        ("postgresql://ann:a:b@c@host/shop", "postgresql://ann:***@host/shop"),
        ("postgresql://ann@host/shop?password=secret", "postgresql://ann@host/shop"),
        ("postgresql://host/shop", "postgresql://host/shop"),
    ],
)
def test_addresses_are_shown_without_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'revealed\[postgres\]'"):
        read_sql("select 1", "postgresql://localhost/shop")


def test_nobody_listens() -> None:
    with pytest.raises(DataError) as caught:
        read_sql("select 1", "postgresql://ann:sesame@127.0.0.1:1/shop")
    assert "cannot connect" in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.fixture(scope="module")
def shop(postgres_url: str) -> str:
    """Return the URL of a server with the sound choices in a table."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists trips")
        cursor.adbc_ingest("trips", TABLE, mode="create")
        cursor.execute("alter table trips alter column cost type numeric(10, 2)")
        cursor.execute("alter table trips alter column time type date using time::date")
        connection.commit()
    return postgres_url


def test_postgres(shop: str) -> None:
    query = "select * from trips order by random()"
    log = read_sql(query, shop, ALL, attributes=["cost", "colour"])
    expected = read(TABLE, ALL)
    assert log.facts.chosen == dict(expected.facts.chosen)
    assert log.facts.null_log_likelihood == pytest.approx(expected.facts.null_log_likelihood)
    assert sorted(log.numbers("cost")) == sorted(expected.numbers("cost"))  # numeric came as a number
    assert log.source.startswith("query on postgresql://")
    assert sum(read_sql("select *, 7::numeric as seven from trips", shop, ALL).numbers("seven")) == 84


def test_postgres_by_an_open_connection(shop: str) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(shop) as connection:
        assert read_sql("select * from trips", connection, ALL).n_cases == 4


def test_postgres_problems_are_told(shop: str) -> None:
    with pytest.raises(DataError, match="no column 'mode'"):
        read_sql("select * from trips", shop, Columns(alternative="mode"))
    with pytest.raises(DataError, match="several alternatives are chosen"):
        read_sql('select "case", alternative, 1 as chosen from trips', shop)
    with pytest.raises(DataError, match="the query failed"):
        read_sql("select * from nowhere", shop)


def test_postgres_never_shows_a_password(shop: str) -> None:
    parts = urlsplit(shop)
    host = parts.netloc.rpartition("@")[2]
    wrong = urlunsplit(parts._replace(netloc=f"{parts.username}:open-sesame@{host}"))
    with pytest.raises(RevealedError) as caught:
        read_sql("select 1", wrong)
    assert "cannot connect" in str(caught.value)
    assert "password authentication failed" in str(caught.value)
    for text in (str(caught.value), repr(caught.value), str(caught.value.__cause__)):
        assert "open-sesame" not in text
    assert parts.password is not None
    with pytest.raises(RevealedError) as caught:
        read_sql(f"select '{parts.password}' from nowhere", shop)
    assert parts.password not in str(caught.value)

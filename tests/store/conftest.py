"""The same tests on each store: a fresh file, and a fresh schema on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from revealed.store import postgres, schema, sqlite
from revealed.store.open import open_store
from revealed.store.sql import SqlStore


class Clock:
    """A clock that goes where a test puts it."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def empty_postgres(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS revealed CASCADE")
    return postgres_url


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a store may be made."""
    if request.param == "postgres":
        url: Any = request.getfixturevalue("empty_postgres")
        return str(url)
    return str(tmp_path / "log.db")


@pytest.fixture
def store(address: str, clock: Clock) -> Iterator[SqlStore]:
    opened = open_store(address, clock=clock)
    yield opened
    opened.close()


def store_of_release(address: str, steps: int) -> SqlStore:
    """Return a store opened by a release that knew so many steps of the tables."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (schema, sqlite, postgres):
            patch.setattr(module, "STEPS", schema.STEPS[:steps])
        return open_store(address)

"""The PostgreSQL server that the tests start: it answers, and it leaves nothing behind."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import adbc_driver_postgresql.dbapi as postgres
import pytest

from tests.house.postgres import running_server


def test_it_answers(postgres_url):
    with postgres.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7 AS answer")
        assert cursor.fetch_arrow_table().column("answer").to_pylist() == [42]


def test_it_refuses_who_has_no_password(postgres_url):
    parts = urlsplit(postgres_url)
    with pytest.raises(postgres.OperationalError, match="password"):
        postgres.connect(f"postgresql://postgres:wrong@127.0.0.1:{parts.port}/postgres")


def test_it_stops_and_leaves_nothing_even_when_the_test_fails(monkeypatch):
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # the user postgres passes through
        monkeypatch.setattr(tempfile, "tempdir", place)
        with pytest.raises(ZeroDivisionError), running_server() as url:
            raise ZeroDivisionError
        assert list(Path(place).iterdir()) == []
    port = urlsplit(url).port
    assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0

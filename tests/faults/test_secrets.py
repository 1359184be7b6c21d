"""Keys, passwords and the words of a broken request are never in what a service says, nor in its audit log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from revealed.store.open import open_store
from tests.faults.running import ask, eventually, running
from tests.serve.world import request


@pytest.fixture
def empty(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS revealed CASCADE")
    return postgres_url


def test_no_secret_is_ever_told(empty, tmp_path, capsys) -> None:
    password = str(urlsplit(empty).password)
    user = "ann"
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("DROP OWNED BY ann" if _there(connection, user) else "SELECT 1")
        connection.execute("DROP ROLE IF EXISTS ann")
        connection.execute("CREATE ROLE ann LOGIN SUPERUSER PASSWORD 'sésame ouvre-toi'")
    odd = "sésame ouvre-toi"
    address = empty.replace(f"postgres:{password}@", f"ann:{quote(odd)}@")
    with running(tmp_path, store=address, options=()) as service:
        told_once = re.findall(r"rk_\w+\.[\w-]+", service.said)
        assert len(told_once) == 1
        key = told_once[0]
        bearer = {"authorization": f"Bearer {key}"}
        listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
        status, decided = ask(service.port, "POST", "/v1/decide", request(person="bob"), bearer)
        assert status == 200
        # All that may go wrong, with a key in each place where one may be by mistake.
        answers = [decided]
        for headers in (bearer, {"authorization": key}, {"authorization": f"Basic {key}"}, {"x-key": key}):
            for path, content in (("/v1/decide", [key]), (f"/v1/decisions/{key}", None), ("/v1/policies", {"x": key})):
                answers.append(ask(service.port, "POST" if content else "GET", path, content, headers)[1])
        ask(service.port, "PATCH", "/v1/policies/offers", {"state": "stopped"}, bearer)
        ask(service.port, "PATCH", "/v1/policies/offers", {"state": "live"}, bearer)
        ask(service.port, "DELETE", "/v1/people/bob", None, bearer)
        ask(service.port, "PATCH", "/v1/policies/offers", {"state": key}, bearer)
        subprocess.run(
            [sys.executable, "-m", "revealed", "keys", "--add", "read", "--note", "a clerk"], cwd=tmp_path, check=True,
            capture_output=True, env={**os.environ, "REVEALED_STORE": address},
        )  # fmt: skip
        with psycopg.connect(empty, autocommit=True) as connection:  # connections are lost, and none is let in
            connection.execute("ALTER ROLE ann NOLOGIN")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ann'")
        eventually(lambda: ask(service.port, "GET", "/ready")[0] == 503, 10.0)
        answers.append(ask(service.port, "POST", "/v1/outcome", {"decision": "x", "reward": 1}, bearer)[1])
        answers.append(ask(service.port, "GET", "/ready")[1])
        with psycopg.connect(empty, autocommit=True) as connection:
            connection.execute("ALTER ROLE ann LOGIN")
        eventually(lambda: ask(service.port, "GET", "/ready")[0] == 200, 20.0, lambda: service.said)
        assert service.stop() == 0
        said = service.said
    store = open_store(empty)
    notes, kept = json.dumps([dict(note) for note in store.notes(100)]), store.keys()
    store.close()
    assert len(json.loads(notes)) >= 4
    secret = key.partition(".")[2]
    assert said.count(secret) == 1  # where it was told
    for place in (listed, notes, json.dumps(answers[0]), *map(str, kept)):
        assert secret not in place
    for words in (odd, quote(odd), password):
        for place in (said, listed.replace(address, ""), notes, json.dumps(answers), *map(str, tmp_path.rglob("*"))):
            assert words not in place, words
    assert "bob" not in notes
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {len(answers)} answers, {len(said):,} letters said, {len(json.loads(notes))} notes: no secret\n"
        )


def _there(connection: psycopg.Connection[tuple[object, ...]], role: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None

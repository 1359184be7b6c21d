"""``/ready`` says what it promises: that something can be written, not only read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from revealed.errors import StoreError
from revealed.serve import other_routes
from revealed.store.open import open_store
from revealed.store.sql import SqlStore
from tests.serve.test_service import ask, run
from tests.serve.world import made, request, serving


class Disk:
    """A disk that can be read, and written to or not; it counts what is asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.leases = False, 0
        lease, write = SqlStore.lease, SqlStore.write

        def leased(store: SqlStore, count: int) -> range:
            self.leases += 1
            self.require_room()
            return lease(store, count)

        def written(store: SqlStore, *rows: Any) -> Any:
            self.require_room()
            return write(store, *rows)

        monkeypatch.setattr(SqlStore, "lease", leased)
        monkeypatch.setattr(SqlStore, "write", written)

    def require_room(self) -> None:
        if self.is_full:
            raise StoreError("the disk is full: make room, then send it again")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_service_that_can_only_read_is_not_ready(tmp_path, disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_routes, "_PROVED", 0.0)

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            for is_full, status in ((False, 200), (True, 503), (True, 503), (False, 200)):
                disk.is_full = is_full
                answer = await client.get("/ready")
                assert answer.status_code == status
            disk.is_full = True
            answer = await client.get("/ready")
            assert answer.json() == {"status": "not ready", "reason": "the disk is full: make room, then send it again"}
            assert answer.headers["retry-after"] == "1"
            assert (await client.get("/v1/strays")).status_code == 200  # it reads

    run(scenario())


def test_a_failed_write_is_told_at_once_though_it_went_well_a_moment_ago(
    tmp_path, disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_routes, "_PROVED", 1000.0)

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            assert (await client.get("/ready")).status_code == 200
            disk.is_full = True
            assert (await ask(client, "/v1/decide", request())).json()["fallback"] == "without a store"
            for _ in range(2):
                assert (await client.get("/ready")).status_code == 503
            disk.is_full = False
            assert (await client.get("/ready")).status_code == 200

    run(scenario())


def test_who_asks_again_and_again_makes_it_write_once_a_second(tmp_path, disk) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            before, store = disk.leases, open_store(where)
            (number,) = store.lease(1)
            disk.leases = before
            answers = await asyncio.gather(*(client.get("/ready") for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            assert 1 <= disk.leases - before <= 2
            assert store.lease(1)[0] > number + 1  # that was a write
            store.close()

    run(scenario())

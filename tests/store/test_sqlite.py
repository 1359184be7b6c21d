"""What holds for the file: on disk, of our making, not full, not read-only, and wiped where somebody is forgotten."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from revealed.errors import StoreError
from revealed.store.open import open_store
from revealed.store.protocol import Verdict
from revealed.store.sql import _ANSWERS_AFTER, _DECISIONS_AFTER
from revealed.store.sqlite import _require_version
from tests.store.processes import start
from tests.store.rows import decision, outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def syncs() -> Iterator[list[str]]:
    """Return the names of files that SQLite has forced to disk."""
    names: list[str] = []
    usual = apsw.vfs_names()[0]

    class File(apsw.VFSFile):
        def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
            super().__init__(usual, name, flags)
            self.name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)

        def xSync(self, flags: int) -> None:
            names.append(self.name)
            super().xSync(flags)

    class Counting(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("counting", usual)

        def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> File:
            return File(name, flags)

    counting = Counting()
    apsw.set_default_vfs("counting")
    yield names
    apsw.set_default_vfs(usual)
    counting.unregister()


def test_each_write_is_forced_to_disk(path: Path, syncs: list[str]) -> None:
    store = open_store(path)
    (number,) = store.lease(1)
    for act in (
        lambda: store.lease(1),
        lambda: store.write([decision(number)], []),
        lambda: store.write([], [outcome(number)]),
        lambda: store.note("a", "b", "c"),
    ):
        before = len(syncs)
        act()
        assert syncs[before:] == [f"{path}-wal"]
    store.close()


def test_another_process_reads_what_was_written(path: Path) -> None:
    store = open_store(path)
    store.write([decision(1)], [outcome(1)])
    script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT * FROM outcomes').fetchall())"
    told = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout == "[(1, 1, 1, 1.0, 1000000061.0, 1000000062.0)]\n"
    store.close()


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _require_version("3.51.3")
    _require_version("3.52.0.1")
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreError, match=r"SQLite 3\.51\.2 can lose its write-ahead log.*pip install --upgrade apsw"):
        open_store(path)
    assert not path.exists()


def test_a_file_of_another_application_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE decisions (a)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is an SQLite file of another application: choose another file"):
        open_store(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("visit,offer\n" * 1000)
    with pytest.raises(StoreError, match="it is not a log of decisions: choose another file"):
        open_store(path)
    assert path.read_text() == "visit,offer\n" * 1000


@pytest.mark.parametrize("where", ["no/such/folder/log.db", ""])
def test_a_place_where_nothing_can_be_opened(tmp_path: Path, where: str) -> None:
    with pytest.raises(StoreError, match="cannot be opened: check that its folder is there"):
        open_store(tmp_path / where)


def test_a_file_that_may_not_be_written_is_refused() -> None:
    """Root may write all, so where we are root another user tries."""
    with tempfile.TemporaryDirectory() as folder:  # one whose parents are open to all, other than tmp_path's
        path = Path(folder) / "log.db"
        store = open_store(path)
        store.write([decision(1)], [])
        store.close()
        path.chmod(0o444)
        path.parent.chmod(0o555)

        def refused() -> str:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with pytest.raises(StoreError) as caught:
                open_store(path)
            return str(caught.value)

        said = start(refused).result()
        path.parent.chmod(0o755)
    assert "it cannot be written: give this process the right to write to the file and its folder" in said


def test_a_full_disk_loses_nothing(path: Path) -> None:
    """A limit on the size of files stands for the disk: writes fail half-way, as they do there."""
    store = open_store(path)
    store.write([decision(1)], [outcome(1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = 1
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        with pytest.raises(StoreError, match="make room, then send it again|the disk does not answer"):  # noqa: PT012
            for first in range(2, 10_000, 100):
                store.write([decision(n) for n in range(first, first + 100)], [])
                written += 100
        with pytest.raises(StoreError):
            store.write([decision(n, context="x" * 10**6) for n in range(20_000, 20_010)], [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 100 < written < 9_000
    assert store.ends() == (written, 1)
    numbers = range(written + 1, written + 101)
    store.write([decision(n) for n in numbers], [])  # there is room again
    store.close()
    found = [row.number for _, row in open_store(path).decisions_after(0, 10**6, "offers")]
    assert found == list(range(1, written + 101))


def test_a_database_that_may_not_grow_is_full(path: Path) -> None:
    store = open_store(path)
    store._database.rows("PRAGMA max_page_count = 60")
    with pytest.raises(StoreError, match=r"the disk is full: make room, then send it again \(SQLite: "):
        store.write([decision(n) for n in range(1, 2000)], [])
    assert store.ends() == (0, 0)
    store.write([decision(1)], [])
    store.close()


def test_who_waits_too_long_for_another_writer_is_told(path: Path) -> None:
    store, other = open_store(path), open_store(path, patience=0.05)
    with store._database.transaction():
        began = time.monotonic()
        with pytest.raises(StoreError, match="another process is writing for too long: send it again"):
            other.write([decision(1)], [])
        assert 0.04 < time.monotonic() - began < 2
        assert other.ends() == (0, 0)  # who reads does not wait
    other.write([decision(1)], [])


def _marks(path: Path, who: int) -> list[bytes]:
    """Return what of a person can be found in the files."""
    left = b"".join(file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm"))
    return [mark for mark in (b"person%d", b"mark%dx", b"asked%d-") if mark % who in left]


@pytest.mark.parametrize("step", [1, 7919])
def test_what_is_forgotten_is_not_on_disk_any_more(path: Path, step: int) -> None:
    """Nor in the write-ahead log, nor in what is unused of pages that were split in the middle."""
    store = open_store(path)
    numbers = [n * step % 4001 for n in range(1, 4001)]
    for first in range(0, 4000, 100):
        rows = [
            decision(n, person=f"person{n % 4}", context=f'{{"secret": "mark{n % 4}x"}}', asked=f"asked{n % 4}-{n}")
            for n in numbers[first : first + 100]
        ]
        store.write(rows, [])
    assert store.forget("person1") == 1000
    assert path.with_name("log.db-wal").stat().st_size == 0
    if step == 1:
        assert b"mark%dx" not in _marks(path, 1)
    store.compact()
    assert _marks(path, 1) == []
    assert len(_marks(path, 2)) == 3
    assert len(list(store.decisions_after(0, 4000, "offers"))) == 3000
    store.close()


def test_another_process_moves_the_log_into_the_file(path: Path, tmp_path: Path) -> None:
    """What was settled is in the file itself, and who writes goes on."""
    writer, other = open_store(path), open_store(path)
    writer.write([decision(n) for n in range(1, 51)], [])
    without = tmp_path / "without.db"
    without.write_bytes(path.read_bytes())
    other.settle()
    settled = tmp_path / "settled.db"
    settled.write_bytes(path.read_bytes())
    writer.write([decision(51)], [outcome(51)])
    counts = []
    for file in (without, settled, path):
        store = open_store(file)
        counts.append(sum(store.decision(n) is not None for n in range(1, 52)))
        store.close()
    assert counts == [0, 50, 51]
    writer.close()
    other.close()


def test_reading_follows_the_order_of_the_file(path: Path) -> None:
    """Nothing is sorted and no table is read whole, wherever a reader starts."""
    store = open_store(path)
    for sql in (_DECISIONS_AFTER, _ANSWERS_AFTER):
        plan = [row[3] for row in store._database.rows(f"EXPLAIN QUERY PLAN {sql}", (5, 10, "offers", 3))]
        assert all(step.startswith("SEARCH") for step in plan), plan
    store.close()


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "log.db"))
    rows, came = [decision(1, asked="visit 1"), decision(2)], [outcome(1), outcome(2)]
    store.write(rows, came)
    before = store._database.rows("SELECT total_changes()")
    assert list(store.write(rows, came)[1]) == [Verdict.KNOWN] * 2
    assert store._database.rows("SELECT total_changes()") == before
    store.close()

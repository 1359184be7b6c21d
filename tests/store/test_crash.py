"""Writers that are killed and power that is cut: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import time
from pathlib import Path

import pytest

from revealed.store.open import open_store
from revealed.store.protocol import Verdict
from tests.store.processes import forked
from tests.store.rows import decision, outcome

KILLS = 20
BATCH = 5


def _write_on(address: str, start: int, acknowledge: int) -> None:
    """Write batches, telling of each that is on disk, until killed."""
    store = open_store(address)
    number = start
    while True:
        rows = [decision(n, asked=f"{number}-{i}") for i, n in enumerate(store.lease(BATCH))]
        standing, _ = store.write(rows, [])
        verdicts = store.write([], [outcome(row.number) for row in standing])[1]
        assert set(verdicts) <= {Verdict.NEW, Verdict.KNOWN}
        os.write(acknowledge, number.to_bytes(4, "big"))
        number += 1


def _killed_writer(address: str, start: int, seconds: float) -> int:
    """Let a process write, kill it some time after its first acknowledgement; return the last batch acknowledged."""
    reading, writing = os.pipe()
    child = forked()
    if child == 0:
        try:
            _write_on(address, start, writing)
        finally:
            os._exit(1)  # only where it failed: it is killed at work
    os.close(writing)
    assert select.select([reading], [], [], 30)[0]
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    told = b""
    while more := os.read(reading, 1 << 16):
        told += more
    os.close(reading)
    return int.from_bytes(told[-4:], "big")


def test_killed_writers_lose_nothing_acknowledged(address: str) -> None:
    chance = random.Random(1)
    open_store(address).close()
    last = 0
    for _ in range(KILLS):
        # As a client would: the last batch acknowledged and those after it are sent again.
        last = _killed_writer(address, last, chance.uniform(0, 0.08))
    store = open_store(address)
    decisions, outcomes = store.ends()
    found = [row for _, row in store.decisions_after(0, decisions, "offers")]
    ids = {row.asked for row in found}
    answered = [one.decision.asked for one in store.answers_after(0, outcomes, "offers")]
    acknowledged = {f"{batch}-{i}" for batch in range(last + 1) for i in range(BATCH)}
    print(  # noqa: T201
        f"{KILLS} kills: {len(acknowledged)} decisions acknowledged, {len(found)} found, "
        f"{len(answered)} outcomes, {len(store.strays(10**6))} strays"
    )
    assert acknowledged <= ids
    assert len(ids - acknowledged) <= BATCH  # of the batch that the last kill hit
    assert len(found) == len(ids)
    assert len(answered) == len(set(answered))
    assert acknowledged <= set(answered)
    assert store.strays(10) == []
    assert len({row.number for row in found}) == len(found)
    assert store.lease(1)[0] > max(row.number for row in found)
    store.close()


@pytest.mark.parametrize("rest", ["gone", "zeros", "noise"])
def test_power_cut_leaves_a_prefix(tmp_path: Path, rest: str) -> None:
    """Cut the write-ahead log at many bytes; what stood behind the cut is gone, or anything."""
    path, chance = tmp_path / "log.db", random.Random(2)
    store = open_store(path)
    store._database.rows("PRAGMA wal_autocheckpoint = 0")
    ends, sizes = [store.ends()], [_wal(path).stat().st_size]
    rows = [decision(n) for n in store.lease(60)]
    for i in range(0, 60, 3):
        store.write(rows[i : i + 3], [outcome(row.number) for row in rows[i : i + 2]])
        ends.append(store.ends())
        sizes.append(_wal(path).stat().st_size)
    whole = _wal(path).read_bytes()
    last_pages = range(sizes[-4], len(whole))
    cuts = sorted({*chance.sample(last_pages, 50), *chance.sample(range(sizes[0], len(whole)), 20), *sizes})
    seen = []
    for cut in cuts:
        copy = tmp_path / f"cut{cut}.db"
        shutil.copy(path, copy)
        lost = {"gone": b"", "zeros": bytes(len(whole) - cut), "noise": chance.randbytes(len(whole) - cut)}[rest]
        _wal(copy).write_bytes(whole[:cut] + lost)
        reopened = open_store(copy)
        found = reopened.ends()
        committed = max(i for i, size in enumerate(sizes) if size <= cut)
        assert found == ends[committed], f"cut at {cut} of {len(whole)}"
        assert [row for _, row in reopened.decisions_after(0, 99, "offers")] == rows[: found[0]]
        assert len(list(reopened.answers_after(0, 99, "offers"))) == found[1]
        assert reopened.write([rows[0]], [outcome(999)])[1] == [Verdict.UNKNOWN]  # and it goes on
        reopened.close()
        copy.unlink()
        seen.append(found)
    print(f"{len(cuts)} cuts of {len(whole):,} bytes: {len(set(seen))} states, whole: {seen[-1]}")  # noqa: T201
    assert seen[-1] == ends[-1] == (60, 40)
    store.close()


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")

"""A full disk and one that takes no writes: outcomes are sent away, decisions fall back, and it goes on by itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from revealed.store.open import open_store
from tests.faults.ledger import checked
from tests.faults.running import Running, ask, eventually, free_port, running, shopping
from tests.serve.world import made, request

MOUNTS = os.geteuid() == 0 and sys.platform == "linux"


class Disk:
    """A small disk; where none can be mounted, processes that may not write to files stand for a full one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.service = folder, Running(folder)
        folder.mkdir()
        self.mounted = MOUNTS and self._mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")

    def _mount(self, *words: str) -> bool:
        return subprocess.run(["mount", *words, str(self.folder)], capture_output=True, check=False).returncode == 0

    def read_only(self) -> None:
        """Take the right to write."""
        if self.mounted:
            assert self._mount("-o", "remount,ro")
        else:
            for path in self.folder.iterdir():
                path.chmod(0o444)
            self.folder.chmod(0o555)

    def fill(self) -> None:
        """Leave no room."""
        if not self.mounted:
            self._limit(0)
            return
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for piece in (1 << 16, 1 << 12):
                try:
                    while True:
                        ballast.write(bytes(piece))
                except OSError:
                    continue

    def make_room(self) -> None:
        """Take it back."""
        if self.mounted:
            (self.folder / "ballast").unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, most: int) -> None:
        for pids in self.service.children().values():
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def unmount(self) -> None:
        """Take it away."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=True)
        else:
            self.folder.chmod(0o755)


@pytest.fixture
def disk() -> Iterator[Disk]:
    # Not in pytest's own folder, which it clears later: a mount left behind by a run that was killed would stop it.
    with tempfile.TemporaryDirectory(prefix="revealed-disk-") as folder:
        made_here = Disk(Path(folder, "disk"))
        yield made_here
        made_here.unmount()


def test_a_full_disk_is_survived_without_a_restart(disk, tmp_path, capsys) -> None:
    where = str(disk.folder / "log.db")
    with running(tmp_path, store=where) as service:
        disk.service = service
        children = service.children()
        with shopping(service.port, 2, pause=0.01) as shoppers:

            def told() -> int:
                return sum(len(each.told) for each in shoppers)

            eventually(lambda: told() > 20, 20.0, lambda: service.said)
            disk.fill()
            eventually(lambda: ask(service.port, "POST", "/v1/decide", request())[1].get("fallback") is not None, 10.0)
            seen: Counter[int] = Counter()
            named: Counter[bool] = Counter()
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                name = f"probe {named.total()}"
                status, answer = ask(service.port, "POST", "/v1/decide", request(id=name))
                if status == 200 and answer["decision"] is not None:
                    shoppers[0].decided[name] = answer  # to be found like all others
                else:
                    assert status == 503 or answer.get("fallback") is not None, answer
                named[name in shoppers[0].decided] += 1
                seen[ask(service.port, "POST", "/v1/outcome", {"decision": "x", "reward": 1})[0]] += 1
            # Some are written: room that the write-ahead log gives back when the learner moves it into the file.
            assert named[False] > named[True], named
            assert seen[503] > seen[200], seen
            assert seen.keys() <= {200, 503}
            before = told()
            disk.make_room()
            again = eventually(lambda: told() > before + 20, 20.0, lambda: service.said)
            lesson = ask(service.port, "GET", "/ready")[1]["policies"]["offers"]["lesson"]
            eventually(
                lambda: ask(service.port, "GET", "/ready")[1]["policies"]["offers"]["lesson"] > lesson, 20.0,
                lambda: service.said,
            )  # fmt: skip
        assert service.children()["decider"] == children["decider"]
        assert service.stop() == 0
    said = checked(where, shoppers, Path(f"{where}.snapshots"))
    kind = "a full disk" if disk.mounted else "no write to files"
    with capsys.disabled():
        sys.stdout.write(f"\n  {kind} (going on after {again:.1f} s): {said}\n")


def test_a_log_that_cannot_be_written_is_told_at_the_start(disk, tmp_path) -> None:
    if not disk.mounted and os.geteuid() == 0:
        pytest.skip("root may write everywhere, and nothing can be mounted here")
    where = made(disk.folder)
    disk.read_only()
    service = Running(tmp_path, store=where)
    service.start()
    assert service.process is not None
    assert service.process.wait(30) == 8
    assert "give this process the right to write" in service.said or "cannot be opened" in service.said
    assert "Traceback" not in service.said


@contextmanager
def both(tmp_path: Path, where: str) -> Iterator[tuple[Running, Running]]:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with running(folders[0], store=where) as one, running(folders[1], store=where, port=free_port()) as other:
        yield one, other


def test_two_services_on_one_file_are_safe(tmp_path, capsys) -> None:
    """Deciders of both write, one learner learns, the other waits for its place."""
    where = str(tmp_path / "log.db")
    open_store(where).close()
    with both(tmp_path, where) as (one, other):
        with shopping(one.port, 2, pause=0.005) as first, shopping(other.port, 2, pause=0.005) as second:
            for each in second:
                each.name = f"second-{each.name}"
            eventually(lambda: all(len(each.told) > 10 for each in (*first, *second)), 30.0, lambda: other.said)
        assert (one.stop(), other.stop()) == (0, 0)
        assert "ended with" not in one.said + other.said
    told = checked(where, [*first, *second], Path(f"{where}.snapshots"))
    with capsys.disabled():
        sys.stdout.write(f"\n  two services on one file: {told}\n")

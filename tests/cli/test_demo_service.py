"""The demo's service: it decides, its console is there while somebody looks, and nothing of it is left behind."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest

from revealed.cli import demo_service
from revealed.errors import StoreError
from revealed.store.open import open_store
from tests.cli.conftest import ENVIRONMENT

#: The end of the demo, without what comes before it.
PROGRAM = """
from pathlib import Path
from revealed.cli.demo import serve_a_store
from revealed.cli.screen import Screen
serve_a_store(Path("."), Screen(False), 0.5, "Farewell")
"""


@dataclass
class Terminal:
    """A program at a terminal of its own."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    said: str = ""

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("CI", "DISPLAY")}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs,
            env=environment | {"REVEALED_MARK": self.mark, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(ours, False)
        self._ours = ours
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            self.heard()
            os.close(ours)

    def heard(self) -> str:
        """Return all that it has said."""
        try:
            while more := os.read(self._ours, 1 << 16):
                self.said += more.decode()
        except OSError:  # nothing yet, or nobody there any more
            pass
        return self.said

    def left(self) -> list[str]:
        """Return the processes that it, or one that it has started, has started and that still run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it has ended, or is somebody else's
                continue
        return found


def until(good: Callable[[], object], seconds: float, why: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="a Linux way to find processes")
def test_at_a_terminal_the_console_stays_open_until_control_c(tmp_path) -> None:
    terminal = Terminal(tmp_path)
    with terminal.running() as process:
        until(lambda: "The console is open" in terminal.heard(), 60, lambda: terminal.said)
        address = re.search(r"open: (http://127\.0\.0\.1:\d+/console/)", terminal.said)
        assert address is not None
        with urlopen(address[1]) as answer:
            assert b"simulated-store" in answer.read()
        assert len(terminal.left()) == 4  # the demo, the supervisor, a learner, a decider
        log = tmp_path / "simulated-store.db-wal"
        written = log.stat().st_mtime_ns
        until(lambda: log.stat().st_mtime_ns != written, 10, lambda: "nobody comes")
        process.send_signal(signal.SIGINT)
        until(lambda: process.poll() is not None, 30, terminal.left)
        assert process.returncode == 0, terminal.heard()
    assert "What does it do in a shop?" in terminal.said
    assert terminal.said.index("Farewell") < terminal.said.index("The console is open")
    assert "serve simulated-store.json --store simulated-store.db --without-keys" in terminal.said
    assert terminal.said.rstrip().endswith("The service has ended.")
    assert terminal.left() == []
    assert "Ended; what was acknowledged is in the log" in (tmp_path / "simulated-store.log").read_text()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="a Linux way to find processes")
def test_nothing_is_left_of_one_that_is_killed(tmp_path) -> None:
    terminal, said = Terminal(tmp_path), tmp_path / "simulated-store.log"
    with terminal.running() as process:
        until(lambda: said.exists() and "To look at it" in said.read_text(), 60, terminal.heard)
        until(lambda: len(terminal.left()) == 4, 30, terminal.heard)
        process.kill()
        until(lambda: not terminal.left(), 30, terminal.left)


def test_an_earlier_log_is_taken_away_and_a_service_that_does_not_start_is_told(tmp_path, monkeypatch) -> None:
    (tmp_path / "simulated-store.db").write_bytes(b"no log at all")
    (tmp_path / "simulated-store.db.snapshots").mkdir()
    (tmp_path / "mine.db").write_bytes(b"something else")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'Error: no room' >&2; exit 8\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(StoreError, match=r"it said: Error: no room"), demo_service.store_service(tmp_path):
        raise AssertionError("it did start")
    assert {path.name for path in tmp_path.iterdir()} == {
        "mine.db", "python", "simulated-store.json", "simulated-store.log",
    }  # fmt: skip


def test_a_page_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(StoreError, match="the console's page http://127.0.0.1:1/console/log answers nothing"):
        demo_service.StoreService(tmp_path, "http://127.0.0.1:1").page("log")


def demo_ended_with_its_service(folder: Path, stdout: str) -> None:
    """See that a demo without a terminal has decided, logged, and opened and drawn its console."""
    answered = re.search(r"([\d,]+) decisions, each on disk", " ".join(stdout.split()))
    assert answered is not None, stdout
    store = open_store(str(folder / "simulated-store.db"))
    decisions, outcomes = store.ends()
    store.close()
    assert int(answered[1].replace(",", "")) == decisions - 1 == outcomes > 0  # one to see whether it fits
    assert "Opened the pages of http://127.0.0.1:" in stdout
    assert "Now, What it learned, Why this decision" in stdout
    assert stdout.index("Now with your own choices") > stdout.index("8. What does it do in a shop?")
    assert stdout.rstrip().endswith("The service has ended.")
    pictures = [folder / name for name in re.findall(r"console-\w+\.png", stdout)]
    for picture in pictures:
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 20_000  # an empty page is smaller
    assert bool(pictures) == any(map(shutil.which, demo_service.CHROMIUM))

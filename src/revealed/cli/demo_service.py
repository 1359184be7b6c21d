"""The demo's last chapter: a service decides for a simulated store, its console is shown. Imports serve when run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from revealed.errors import StoreError

if TYPE_CHECKING:
    from revealed.cli.screen import Screen
    from revealed.report.content import Section
    from revealed.serve.load.found import Found

#: What the policy, its log and what the service said are called, in the demo's folder.
_NAME = "simulated-store"
#: Seconds for the service to be ready, to end in order, and for Chromium to draw a page.
_READY, _ENDED, _DRAWN = 60.0, 40.0, 30.0
#: While somebody looks at the console: visitors a second, and for how many seconds at most, a day.
_TRICKLE, _DAY = 20.0, 86_400.0
#: What a Chromium may be called.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: The pages that are drawn, by the end of their address; "why" is that of the latest decision.
_DRAWINGS = ("", "learned", "why")


@dataclass(frozen=True)
class StoreService:
    """``revealed serve`` for the simulated store, on this machine.

    Parameters
    ----------
    folder : Path
        With its policy, its log and what it said.
    address : str
        Such as ``http://127.0.0.1:8000``.
    """

    folder: Path
    address: str

    @property
    def console(self) -> str:
        """The address of its console."""
        return f"{self.address}/console/"

    def visited(self, seconds: float, rate: float | None = None, seed: int = 0) -> Found:
        """Let visitors come, as fast as it goes or so many a second, and return what came of it."""
        from revealed.serve.load.drive import LoadOptions, driven
        from revealed.serve.load.visitors import Visitors
        from revealed.serve.load.wire import Address

        return driven(Address.of(self.address), Visitors(seed), LoadOptions(seconds, rate))

    def page(self, path: str) -> str:
        """Return a page of the console.

        Raises
        ------
        StoreError
            If it cannot be had.
        """
        status, text = _get(self.address, f"/console/{path}")
        if status != 200:
            raise StoreError(f"the console's page {self.console}{path} answers {status or 'nothing'}")
        return text


@contextmanager
def store_service(folder: Path) -> Iterator[StoreService]:
    """Yield a service that is ready; end it in order, whatever happens in between.

    It listens on a port that is free. Should this process be killed, it ends by itself (:mod:`.attended`). The log of
    an earlier demo in the folder is taken away first.

    Raises
    ------
    StoreError
        If it does not get ready.
    """
    from revealed.serve.load.visitors import store_policy

    policy, log, said = (folder / f"{_NAME}{suffix}" for suffix in (".json", ".db", ".log"))
    for old in (log, *(log.with_name(f"{log.name}{more}") for more in ("-wal", "-shm"))):
        old.unlink(missing_ok=True)
    shutil.rmtree(f"{log}.snapshots", ignore_errors=True)
    store_policy().save(policy)
    command = [sys.executable, "-m", "revealed.cli.attended", "serve", str(policy), "--store", str(log), "--port", "0"]
    with said.open("wb") as told:
        # A group of its own: Ctrl-C in a terminal reaches the demo, which ends it.
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, "--without-keys"], stdin=subprocess.PIPE, stdout=told, stderr=told, start_new_session=True
        )
    try:
        yield StoreService(folder, _address(process, said))
    finally:
        process.terminate()
        try:
            process.wait(_ENDED)
        except subprocess.TimeoutExpired:
            process.kill()  # its children see that, and end
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    """Wait until a service is ready; return its address."""
    deadline = time.monotonic() + _READY
    while time.monotonic() < deadline:
        found = re.search(r"To look at it: (\S+)/console/", said.read_text())
        if process.poll() is not None:
            break
        if found is not None and _get(found[1], "/ready")[0] == 200:
            return found[1]
        time.sleep(0.05)
    lines = said.read_text().strip().splitlines() or ["nothing"]
    raise StoreError(f"the service for the simulated store did not get ready; it said: {lines[-1]} (all in {said})")


def _get(address: str, path: str) -> tuple[int, str]:
    """Return status and text of an answer; status 0 if there was none."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def chapter_on_service(found: Found, number: int) -> list[Section]:
    """Return the chapter of the story: how fast it decided, and how soon it decided well."""
    from revealed.cli.loadtest import sections_of
    from revealed.report.content import Section, Text

    last = found.earned[-1].to_dict()
    text = (
        f"A policy that learns can decide for a page. For {found.seconds:g} seconds a service decided which of 20 "
        f"items each visitor of a simulated store saw: {found.answered:,} decisions, each on disk before it was "
        "answered. A second after each it was told who bought. By lot, a decision loses "
        f"{last['regret_of_chance'] or 0:.3f} purchases against the best item for that visitor; in the last quarter of "
        f"the time those of the service lost {last['regret'] or 0:.3f}."
    )
    return [Section(f"{number}. What does it do in a shop?", (Text(text),)), *sections_of(found, None)]


# ---- its console ----------------------------------------------------------------------------------------------------


def somebody_looks(screen: Screen) -> bool:
    """Return whether there is somebody at a terminal, who can press Ctrl-C."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not screen.as_json and not os.environ.get("CI")


def stay_open(service: StoreService, screen: Screen, program: str) -> None:
    """Keep the console open, with a few visitors a second, until Ctrl-C."""
    store = service.folder / _NAME
    screen.say(
        f"The console is open: {service.console}\n"
        "Nobody has to sign in, as it answers on this machine alone. Visitors keep coming; Ctrl-C ends it."
    )
    _open_browser(service.console)
    with suppress(KeyboardInterrupt):
        service.visited(_DAY, _TRICKLE, seed=1)
    screen.say(f"\nTo go on from here:  {program} serve {store}.json --store {store}.db --without-keys")


def _open_browser(url: str) -> None:
    """Open a page where there is a window to open it in: not in a browser of the terminal, which would take it."""
    import webbrowser

    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


def look_around(service: StoreService, screen: Screen) -> list[Path]:
    """Open all pages of the console; where there is a Chromium, draw some. Return the pictures.

    Raises
    ------
    StoreError
        If a page cannot be had.
    """
    from revealed.serve.console.app import PAGES

    pages = {path: service.page(path) for path, _ in PAGES}
    screen.say(f"Opened the pages of {service.console}: {', '.join(name for _, name in PAGES)}.")
    latest = re.search(r'href="/console/(why\?decision=[^"]+)"', pages["log"])
    addresses = {path: path for path in _DRAWINGS} | ({} if latest is None else {"why": latest[1]})
    program = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if program is None:
        screen.say("There are no pictures of them: no Chromium is installed.")
        return []
    drawn = []
    for path, address in addresses.items():
        picture = service.folder / f"console-{path or 'now'}.png"
        if _drawn(program, f"{service.console}{address}", picture):
            drawn.append(picture)
    screen.say(f"Pictures of them: {', '.join(map(str, drawn)) or 'none, as Chromium drew none'}.")
    return drawn


def _drawn(program: str, url: str, picture: Path) -> bool:
    """Let Chromium draw a page without a screen; return whether it did."""
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", f"--user-data-dir={profile}",
            "--disable-background-networking", "--window-size=1280,1400", f"--screenshot={picture.resolve()}",
        ]  # fmt: skip
        if os.geteuid() == 0:  # as in containers: there it refuses its sandbox
            command.append("--no-sandbox")
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([*command, url], stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
        try:
            process.wait(_DRAWN)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):  # it has ended, and all that it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return picture.is_file()

"""A PostgreSQL server for the length of a test run: its own folder, its own port on loopback, its own password."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

REMEDY = "PostgreSQL's server is not installed; `make test` installs it on Debian, elsewhere put its initdb on PATH"


def binaries() -> Path:
    """Return the folder with the newest server's binaries."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parents[1].name), reverse=True
    )
    on_path = shutil.which("initdb")
    if not installed and on_path is None:
        raise RuntimeError(REMEDY)
    return installed[0].parent if installed else Path(str(on_path)).resolve().parent


def _run(command: Sequence[str | Path]) -> None:
    """Run a server command, as the user postgres where we are root: the server refuses to run as root."""
    words = [str(word) for word in command]
    name = "postgres" if os.geteuid() == 0 else None
    # pg_ctl's server inherits the pipes, so output goes to a file: a pipe would never reach its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            words,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            timeout=120,
            user=name,
            group=name,
            extra_groups=None if name is None else [],
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)} failed:\n{output.read().decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """Start a server; yield its URL; stop it and remove its folder, whatever happens in between."""
    bin_folder = binaries()
    folder = Path(tempfile.mkdtemp(prefix="revealed-postgres-"))
    data, log = folder / "data", folder / "log"
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(folder / "password", "postgres", "postgres")
    try:
        identity = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        _run([bin_folder / "initdb", "-D", data, "--encoding=UTF8", "--locale=C", "--no-sync", *identity])
        port = _start(bin_folder, data, log)
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            _run([bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


def _start(bin_folder: Path, data: Path, log: Path) -> int:
    """Start the server on a free port; another process may take the port first, so try a few."""
    for attempt in range(5):
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        try:
            _run([bin_folder / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "60", "start"])
        except RuntimeError as error:
            if attempt == 4:
                raise RuntimeError(f"{error}\n{log.read_text() if log.exists() else ''}") from error
        else:
            return port
    raise AssertionError("unreachable")

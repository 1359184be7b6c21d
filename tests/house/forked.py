"""The command line without its start: a process that has imported ``revealed`` forks for each command.

Half of what a short command takes is starting: reading numpy, scipy, pandas. Here a process of its own has done so
once, and done nothing else; each command is a fork of it, with the caller's arguments, folder and standard streams.
What one command leaves behind, no other sees. On the caller's side stands a script ``revealed``, so pipes,
redirections and exit codes are the shell's as ever. A command in another environment than the server's gets a process
from scratch. Imports nothing of ours until it serves.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import pkgutil
import select
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

#: What commands import when they need it. JAX starts threads, so each command that needs it imports its own.
HEAVY = "duckdb formulaic matplotlib.figure matplotlib.ticker pandas pyarrow.csv pyarrow.parquet rich.console "
HEAVY += "scipy.optimize scipy.stats typer.rich_utils"

#: Threads that a fork does not miss: jemalloc stops its own before and starts it again after.
KNOW_FORKS = {"jemalloc_bg_thd"}

#: What a shell sets anew for every command.
OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}

INSTALLED = Path(sys.executable).with_name("revealed")

_CALLER = """#!{python} -IS
import json, os, signal, socket, sys

if sys.argv[1:2] == ["serve"]:  # it is meant to stay, and to be told by signals to end
    os.execv({installed!r}, [{installed!r}, *sys.argv[1:]])
here = socket.socket(socket.AF_UNIX)
here.connect({address!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(here, [len(request).to_bytes(8, "big")], [0, 1, 2])
here.sendall(request)
code = int(here.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextlib.contextmanager
def forked_commands(environment: Mapping[str, str], from_scratch: Path = INSTALLED) -> Iterator[dict[str, str]]:
    """Return the environment with a ``revealed`` first on its PATH that forks; without where a fork loses threads."""
    if sys.platform != "linux" or environment.get("OMP_NUM_THREADS") != "1":
        yield dict(environment)
        return
    with tempfile.TemporaryDirectory(prefix="revealed-") as folder:  # a socket's path must be short
        address, script = Path(folder, "server"), Path(folder, "bin", "revealed")
        script.parent.mkdir()
        script.write_text(
            _CALLER.format(python=sys.executable, address=str(address), installed=str(from_scratch)), encoding="utf-8"
        )
        script.chmod(0o755)
        environment = {**environment, "PATH": str(script.parent) + os.pathsep + environment["PATH"]}
        command = [sys.executable, __file__, str(address), str(from_scratch)]
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n", "the server of commands did not start"
            yield environment
            # It ends when its input does, even where this process is killed.


# ---- the server -----------------------------------------------------------------------------------------------------


def load() -> None:
    """Import all of the command line, and check that nothing runs beside this thread: a fork would lose it."""
    import revealed

    for name in HEAVY.split():
        import_module(name)
    for module in pkgutil.walk_packages(revealed.__path__, "revealed."):
        if module.name != "revealed.__main__":
            import_module(module.name)
    others = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    threads = {(task / "comm").read_text().strip() for task in others}
    assert threads <= KNOW_FORKS, f"importing the package started threads: {threads - KNOW_FORKS}"
    assert "jax" not in sys.modules, "importing the package imported JAX"


class Request(NamedTuple):
    """What a caller wants run: its arguments, its folder, its environment, and its standard streams."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    streams: list[int]


def receive(connection: socket.socket) -> Request:
    """Return what a caller asks for."""
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += connection.recv(1 << 16)
    arguments, folder, environment = json.loads(request)
    return Request(arguments, folder, environment, streams)


def serve(listener: socket.socket) -> Request | None:
    """Fork for each caller; return what it asks for in the fork, None in the server once its input ends."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, _, _ = select.select([0, listener.fileno(), *running], [], [])
        if 0 in ready:
            return None
        for ended in running.keys() & set(ready):
            process, connection = running.pop(ended)
            _, status = os.waitpid(process, 0)
            os.close(ended)
            with connection, contextlib.suppress(BrokenPipeError):  # the caller may have been killed
                connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        if listener.fileno() in ready:
            connection, _ = listener.accept()
            request = receive(connection)
            process = os.fork()
            if process == 0:
                for held in (connection, *(other for _, other in running.values())):
                    held.close()
                for other_process in running:
                    os.close(other_process)
                return request
            for stream in request.streams:
                os.close(stream)
            running[os.pidfd_open(process)] = (process, connection)


def opened_anew(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a standard stream as an interpreter opens it; the server's was of another kind, a file or a pipe."""
    unbuffered = stream.write_through  # as PYTHONUNBUFFERED asks
    under = open(stream.fileno(), "wb" if stream.writable() else "rb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        under, stream.encoding, stream.errors, "\n", line_buffering=stream.line_buffering, write_through=unbuffered
    )


def become(command: str, request: Request, started_in: Mapping[str, str]) -> None:
    """Turn this fork into the caller's command; where its environment is not the server's, into one from scratch."""
    for number, (name, stream) in enumerate(zip(("stdin", "stdout", "stderr"), request.streams, strict=True)):
        os.dup2(stream, number)
        os.close(stream)
        setattr(sys, name, opened_anew(getattr(sys, name)))
    os.chdir(request.folder)
    differ = {item[0] for item in request.environment.items() ^ started_in.items()}
    if differ - OF_THE_SHELL:
        os.execve(command, [command, *request.arguments], request.environment)
    os.environ.update({name: request.environment[name] for name in differ & request.environment.keys()})
    sys.argv = [command, *request.arguments]
    sys.path[0] = str(Path(command).parent)  # as for the script itself


def run() -> int:
    """Run the command line; return the code that it exits with."""
    from revealed.cli import main

    try:
        main()
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        sys.stderr.write(f"{left.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - an interpreter tells of any
        traceback.print_exc()
        return 1
    return 0


def end(code: int) -> NoReturn:
    """End as an interpreter does, but leave the memory to the system: taking modules apart would copy every page."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def main_loop(address: str, command: str) -> NoReturn:
    """Serve until the input ends; in each fork, be the command."""
    started_in = dict(os.environ)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        load()
        gc.freeze()  # what is loaded stays; looking through it would copy its pages
        os.write(1, b"ready\n")
        request = serve(listener)
    if request is None:
        end(0)
    become(command, request, started_in)
    end(run())


if __name__ == "__main__":
    main_loop(*sys.argv[1:])

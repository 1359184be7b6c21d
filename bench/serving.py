"""The servers that are measured, and what a load on them finds: for bench.serve and bench.capacity."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from revealed.serve.load.drive import LoadOptions, driven
from revealed.serve.load.found import Found, milliseconds
from revealed.serve.load.visitors import Visitors
from revealed.serve.load.wire import Address

POLICY = "store"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A server: where it is, and its processes by name."""

    address: Address
    processes: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://{self.address.host}:{self.address.port}"


@contextmanager
def bare() -> Iterator[Running]:
    """Yield the bare server."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        listening.set_inheritable(True)
        command = [sys.executable, "-m", "bench.peers.bare_server", str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        address = Address("127.0.0.1", listening.getsockname()[1])
    try:
        _wait_for(f"http://127.0.0.1:{address.port}/ready")
        yield Running(address, {"decider": process.pid})
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """Yield the service of the store in a folder, as its one command starts it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "revealed", "serve", str(folder / f"{POLICY}.json"), "--without-keys"]
    command += ["--store", str(folder / "log.db"), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/ready")
        yield Running(Address("127.0.0.1", port), {"supervisor": process.pid, **_children(process.pid)})
    finally:
        process.terminate()
        process.wait(40)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _children(parent: int) -> dict[str, int]:
    pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    told = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
    return {kind: int(pid) for pid, line in told.items() for kind in ("decider", "learner") if f"serve.{kind}" in line}


def cpu_of(pid: int) -> float:
    """Return the processor seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory_of(pid: int) -> float:
    """Return the memory a process holds, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Loaded(NamedTuple):
    """What a load test found, beside microseconds of processor a request took of the process that answered it.

    ``stolen`` is the share of this machine's processors that the one beneath it gave to others meanwhile: milliseconds
    of delay are of that, not of the service.
    """

    found: Found
    cpu: float
    stolen: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.found.answered / self.found.seconds

    def fast(self) -> str:
        """Return the rate as text."""
        return f"{self.rate:,.0f}/s ({self.stolen:.1%} stolen)"

    def told(self) -> str:
        """Return the delays as text."""
        return "{:.2f} ms, {:.2f} ms".format(*delays([self])) + f" ({self.stolen:.1%} stolen)"


def delays(found: Sequence[Loaded]) -> tuple[float, float]:
    """Return the median and the 99th percentile of all requests of some load tests, in milliseconds."""
    took = milliseconds(array("d", chain.from_iterable(one.found.took for one in found)))
    return float(took["p50"] or "nan"), float(took["p99"] or "nan")


def loaded(running: Running, options: LoadOptions) -> Loaded:
    """Return what a load test finds."""
    before, ticks = cpu_of(running.processes["decider"]), _ticks()
    found = driven(running.address, Visitors(), options)
    cpu = 1e6 * (cpu_of(running.processes["decider"]) - before) / max(found.answered, 1)
    passed = [end - start for start, end in zip(ticks, _ticks(), strict=True)]
    return Loaded(found, cpu, passed[7] / sum(passed))


def _ticks() -> list[int]:
    """Return what all processors did so far, of which the eighth is waiting for a processor that others had."""
    return [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def posted(running: Running, path: str, body: bytes) -> Any:
    """Return what a service answers to JSON."""
    request = urllib.request.Request(running.url + path, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)

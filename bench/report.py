"""Tables of the benchmarks, and what machine they ran on. Imports rich and our loops, to say if there are."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from revealed.engine import loops

RESULTS = Path(__file__).parent / "results"
CONSOLE = Console(width=168, highlight=False)


def machine() -> str:
    """Return the machine in a line: processor, cores that may be used, load now, Python, numpy."""
    model = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        named = [
            line.split(":", 1)[1].strip() for line in about.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    by = "compiled loops" if loops.LIBRARY is not None else "no compiled loops"
    return f"{model}, {cores} cores (load {load}), Python {platform.python_version()}, numpy {version('numpy')}, {by}"


def heading(title: str, *lines: str) -> None:
    """Print what is measured, and where."""
    CONSOLE.print(f"\n[bold]{title}[/bold]")
    for line in (*lines, machine()):
        CONSOLE.print(f"  {line}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Print a table; the columns named in ``left`` are text, the others numbers."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    CONSOLE.print(shown)


def note(text: str) -> None:
    """Print a remark below a table."""
    CONSOLE.print(f"  {text}")


def goal(reached: bool, text: str) -> str:
    """Return a goal with whether it was reached."""
    return f"{text} {'reached' if reached else 'MISSED'}"


def save(name: str, data: Any) -> None:
    """Keep the figures of a run beside the earlier ones' place: bench/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine(), **data}, indent=1) + "\n")

"""What a command shows: text or one JSON document on stdout, all else on stderr. Imports report."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

#: Work that is done sooner shows no progress.
_PATIENCE = 0.4


class Screen:
    """Shows what a command has to say.

    Parameters
    ----------
    as_json : bool
        For a machine: stdout gets the document given to :meth:`document`, and nothing else.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def show(self, thing: Any) -> None:
        """Print a summary, an answer, a table, a section or a list of such."""
        if self.as_json:
            return
        from rich.console import Console

        from revealed.report.text import print_to, to_text

        _tolerate(sys.stdout)
        console = Console(highlight=False, soft_wrap=False)
        if console.is_terminal:
            print_to(console, thing)
        else:
            sys.stdout.write(to_text(thing) + "\n")

    def say(self, text: str = "") -> None:
        """Print a line."""
        if not self.as_json:
            _tolerate(sys.stdout)
            sys.stdout.write(text + "\n")

    def document(self, data: Mapping[str, Any]) -> None:
        """Print the result for a machine, if that is who asked."""
        if self.as_json:
            sys.stdout.write(json_text(data) + "\n")

    @contextmanager
    def working(self, what: str, each: str = "") -> Iterator[Passes | None]:
        """Show that work goes on, on a terminal's stderr; yield what to tell of cases done, None where nobody looks.

        Where it is no pass over cases, ``each`` says what is counted.
        """
        if not sys.stderr.isatty():
            yield None
            return
        from threading import Timer

        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24), TimeElapsedColumn())
        bars = Progress(*columns, console=Console(stderr=True), transient=True)
        patience = Timer(_PATIENCE, bars.start)
        patience.daemon = True
        patience.start()
        try:
            yield Passes(bars, what, each)
        finally:
            patience.cancel()
            patience.join()
            bars.stop()


class Passes:
    """Tells of passes over a log: which it is and how far it has come."""

    def __init__(self, bars: Bars, what: str, each: str = "") -> None:
        self.bars = bars
        self.what = what
        self.each = each
        self.done = 0
        self.shown = 0.0
        self.task = bars.add_task(what, total=None)

    def __call__(self, done: int, total: int | None) -> None:
        """Tell that so many more of all are done."""
        self.done += done
        now = time.monotonic()
        if not total or now - self.shown < 0.05:
            return
        self.shown = now
        passes, within = divmod(self.done, total)
        description = f"{self.what}, pass {passes + 1} over {total:,} cases"
        if self.each:
            description, within = f"{self.what}, {self.done:,} of {total:,} {self.each}", self.done
        self.bars.update(self.task, description=description, completed=within, total=total)

    def say(self, text: str) -> None:
        """Show how far it has come, in words."""
        self.bars.update(self.task, description=f"{self.what}, {text}")


def complain(message: str) -> None:
    """Print an error on stderr."""
    sys.stdout.flush()
    _tolerate(sys.stderr)
    mark = "\x1b[1;31mError:\x1b[0m" if _in_colour() else "Error:"
    sys.stderr.write(f"{mark} {message}\n")


def remark(message: str) -> None:
    """Print something by the way on stderr, such as what was written."""
    sys.stdout.flush()
    _tolerate(sys.stderr)
    sys.stderr.write(f"{message}\n")


def json_text(data: Any) -> str:
    """Return data as JSON; what JSON has no number for, NaN and infinity, becomes null."""
    return json.dumps(_clean(data), ensure_ascii=False, indent=2, allow_nan=False)


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy array or number
        return _clean(value.tolist())
    return value


def _in_colour() -> bool:
    from os import environ

    return sys.stderr.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _tolerate(stream: Any) -> None:
    """Let a terminal that lacks a letter show a question mark rather than fail."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")

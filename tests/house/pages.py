"""Documentation pages as programs: reads a page's fenced blocks, runs them in order, compares what they print.

The rules, as CONTRIBUTING.md tells them:

- ```` ```python ```` blocks of a page run in order in one namespace. A ```` ```text ```` block right after one is what
  it prints; ```` ```pycon ```` blocks are doctests in the same namespace.
- ```` ```console ```` blocks: each line after ``$ `` is run by the shell (it goes on after a backslash at the end, and
  on lines after ``> ``), and what it prints, errors included, must be the text below it. A command may fail only
  where its message is shown.
- What a page starts in the background (``command & echo $! > name.pid``) it ends; else it fails, and it is ended.
- ``...`` stands for any text, also of several lines; spaces at the ends of lines do not count.
- ``<!-- not run: reason -->`` before a block leaves it out; ``<!-- files: a b -->`` copies files of the repository into
  the folder the page runs in, which is otherwise empty.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("python", "pycon", "console", "text")

_FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,}) *(?P<kind>[\w+-]*)(?P<rest>.*)$")
_NOT_RUN = re.compile(r"^ *<!--\s*not run:(?P<reason>.*?)-->", re.DOTALL | re.MULTILINE)
_FILES = re.compile(r"^ *<!--\s*files:(?P<names>.*?)-->", re.DOTALL | re.MULTILINE)


class PageError(AssertionError):
    """A page that does not do what it says."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind, its text, the line it starts on, and what stands between it and the one before."""

    kind: str
    text: str
    line: int
    before: str

    @property
    def reason_not_run(self) -> str | None:
        """Why the block is left out, None when it is run."""
        found = _NOT_RUN.search(self.before)
        return None if found is None else found["reason"].strip()


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, also those inside lists and admonitions (indented)."""
    lines = page.splitlines()
    before: list[str] = []
    i = 0
    while i < len(lines):
        fence = _FENCE.match(lines[i])
        if fence is None:
            before.append(lines[i])
            i += 1
            continue
        start, indent, body = i, len(fence["indent"]), []
        i += 1
        while i < len(lines) and not (
            lines[i].strip().startswith(fence["mark"]) and not lines[i].strip().strip(fence["mark"][0])
        ):
            body.append(lines[i][indent:] if not lines[i][:indent].strip() else lines[i])
            i += 1
        if i == len(lines):
            raise PageError(f"line {start + 1}: the block that starts here never ends")
        i += 1
        yield Block(fence["kind"], "\n".join(body), start + 1, "\n".join(before))
        before = []


def same(expected: str, printed: str) -> bool:
    """Compare what is shown with what was printed; ``...`` stands for any text."""
    want, got = ("\n".join(line.rstrip() for line in text.splitlines()).strip("\n") for text in (expected, printed))
    flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_BLANKLINE | doctest.DONT_ACCEPT_TRUE_FOR_1
    return doctest.OutputChecker().check_output(want + "\n", got + "\n", flags)


def commands_of(block: Block) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the command and the text shown below it for each command of a console block."""
    command: list[str] = []
    shown: list[str] = []
    at = 0
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if command and not shown and (command[-1].endswith("\\") or line == ">" or line.startswith("> ")):
            command.append("" if line == ">" else line.removeprefix("> "))
        elif line.startswith("$ "):
            if command:
                yield at, "\n".join(command), "\n".join(shown)
            command, shown, at = [line[2:]], [], number
        elif not command and line.strip():
            raise PageError(f"line {number}: a console block starts with a line '$ command'")
        else:
            shown.append(line)
    if not command:
        raise PageError(f"line {block.line}: a console block without a line '$ command'")
    yield at, "\n".join(command), "\n".join(shown)


class PageRun:
    """One run of a page, in a folder and with an environment of its own."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.environment = environment
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.n_run = 0
        #: Seconds in which what the page has told to end does so.
        self.patience = 20.0

    def run(self, page: str, repository: Path) -> None:
        """Run the whole page; raise PageError at what is not as shown, and for what still runs at its end."""
        try:
            self._run(page, repository)
        finally:
            left = self._end()
        if left:
            raise PageError(f"{self.name}: still running at its end: {', '.join(left)}")

    def _end(self) -> list[str]:
        """End what the page started in the background and wrote the number of to a file; return which still ran."""
        left, until = [], time.monotonic() + self.patience
        for told in sorted(self.folder.glob("*.pid")):
            number = told.read_text().strip()
            with contextlib.suppress(OSError, ValueError):  # it has ended, as it should
                # Not another's by now, and not about to end in order.
                while Path(f"/proc/{number}/cwd").resolve(strict=True) == self.folder.resolve():
                    if time.monotonic() > until:
                        os.kill(int(number), signal.SIGTERM)
                        left.append(told.name)
                        break
                    time.sleep(0.05)
        return left

    def _run(self, page: str, repository: Path) -> None:
        blocks = list(blocks_of(page))
        for block, after in itertools.zip_longest(blocks, blocks[1:]):
            self._copy_files(block, repository)
            if block.kind not in KINDS or block.kind == "text" or block.reason_not_run is not None:
                if block.reason_not_run == "":
                    raise PageError(f"{self.name}:{block.line}: <!-- not run: --> without a reason")
                continue
            self.n_run += 1
            if block.kind == "console":
                self._console(block)
            elif block.kind == "pycon":
                self._pycon(block)
            else:
                shows = after is not None and after.kind == "text" and not after.before.strip()
                self._python(block, after.text if shows and after is not None else None)

    def _copy_files(self, block: Block, repository: Path) -> None:
        for found in _FILES.finditer(block.before):
            for name in found["names"].split():
                source = repository / name
                if not source.is_file():
                    raise PageError(f"{self.name}:{block.line}: <!-- files: {name} --> names no file of the repository")
                shutil.copy(source, self.folder)

    def _check(self, line: int, what: str, shown: str, printed: str) -> None:
        if not same(shown, printed):
            raise PageError(f"{self.name}:{line}: {what}\n--- the page shows\n{shown}\n--- it prints\n{printed}")

    def _console(self, block: Block) -> None:
        for line, command, shown in commands_of(block):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=300,
            )
            self._check(line, f"$ {command}", shown, done.stdout)
            if done.returncode and not shown.strip():
                raise PageError(f"{self.name}:{line}: $ {command}\nexits with code {done.returncode}")

    def _python(self, block: Block, shown: str | None) -> None:
        # The line numbers of a traceback are those of the page.
        code = compile("\n" * block.line + block.text, self.name, "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.namespace)
        if shown is not None:
            self._check(block.line, "the python block prints otherwise", shown, printed.getvalue())

    def _pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text + "\n", {}, self.name, self.name, block.line)
        test.globs = self.namespace
        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=report.write, clear_globs=False)
        if runner.failures:
            raise PageError(report.getvalue())

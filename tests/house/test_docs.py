"""The documentation is a test: what README and docs/ show is run, and prints what they say."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from docs.machinery.pictures import stale
from tests.house.forked import forked_commands
from tests.house.pages import PageError, PageRun, blocks_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_environment() -> dict[str, str]:
    """Return the environment that commands of a page run in: this installation's commands, a plain terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "PYTHONPATH")}
    commands = str(Path(sys.executable).parent)
    return {
        **environment,
        "PATH": commands + os.pathsep + environment["PATH"],
        "COLUMNS": "100",
        "LINES": "40",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "Agg",
    }


@pytest.fixture(scope="session")
def quick_start():
    """Return the environment of a page in which ``revealed`` need not start anew for each command."""
    with forked_commands(page_environment()) as environment:
        yield environment


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, quick_start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.setenv(name, page_environment()[name])
    text = page.read_text(encoding="utf-8")
    PageRun(str(page.relative_to(ROOT)), tmp_path, quick_start).run(text, ROOT)
    old = stale(text, tmp_path)
    assert not old, f"{', '.join(old)}: not what the page draws; run python -m docs.machinery.pictures and look at them"


# ---- the checks themselves can fail ------------------------------------------------------------------------------


def run(page: str, folder: Path) -> int:
    """Run a page given as text; return how many of its blocks were run."""
    of_page = PageRun("page.md", folder, page_environment())
    of_page.run(page, ROOT)
    return of_page.n_run


@pytest.mark.parametrize(
    "page",
    [
        "```python\nx = 1\n```\nthen\n```python\nprint(x + 1)\n```\n\n```text\n2\n```\n",
        "```pycon\n>>> x = 2\n>>> x\n2\n```\n```python\nassert x == 2\n```\n",
        "```console\n$ echo one two  \none two\n\n$ echo three\nthree\n```\n",
        "```console\n$ echo one \\\n>   two\none two\n```\n",
        "```console\n$ cat > file <<'END'\n> in a file\n> END\n$ cat file\nin a file\n```\n",
        "```console\n$ printf 'a\\nb\\nc\\n'\na\n...\nc\n```\n",
        "```console\n$ echo no; exit 3\nno\n```\n",
        "1. a list\n\n    ```console\n    $ echo indented\n    indented\n    ```\n",
        "<!-- files: LICENSE -->\n```console\n$ ls\nLICENSE\n```\n",
        '```python\nprint("no text block below: nothing to compare")\n```\nwords\n```text\nother\n```\n',
    ],
)
def test_a_page_that_keeps_its_word_passes(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(page, tmp_path) == page.count("```python") + page.count("```pycon") + page.count("```console")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "page.md:1: the python block prints otherwise"),
        ("```pycon\n>>> 1 + 1\n3\n```\n", "Expected:"),
        ("```console\n$ echo one\ntwo\n```\n", r"page.md:2: \$ echo one"),
        ("```console\n$ echo one; echo two\none\n```\n", r"--- it prints\none\ntwo"),
        ("```console\n$ false\n```\n", "exits with code 1"),
        ("```console\necho one\n```\n", "starts with a line"),
        ("```console\n$ printf 'a\\nb\\nc\\n'\na\n...\nd\n```\n", "the page shows"),
        ("<!-- not run: -->\n```console\n$ false\n```\n", "without a reason"),
        ("<!-- files: no-such-file.csv -->\n```console\n$ ls\n```\n", "names no file of the repository"),
        ("```python\nx = 1\n", "never ends"),
    ],
)
def test_a_page_that_does_not_is_caught(page, message, tmp_path):
    with pytest.raises(PageError, match=message):
        run(page, tmp_path)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="the system does not tell where a process runs")
def test_a_page_leaves_nothing_running(tmp_path):
    page = "```console\n$ sleep 60 > nap.txt 2>&1 & echo $! > nap.pid\n```\n"
    of_page = PageRun("page.md", tmp_path, page_environment())
    of_page.patience = 0.1
    with pytest.raises(PageError, match=r"still running at its end: nap\.pid"):
        of_page.run(page, ROOT)
    number, until = (tmp_path / "nap.pid").read_text().strip(), time.monotonic() + 10
    while _runs(number) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(number)


def _runs(number: str) -> bool:
    state = Path(f"/proc/{number}/stat")
    return state.exists() and state.read_text().rpartition(") ")[2][0] != "Z"


def test_an_error_in_python_names_the_line_of_the_page(tmp_path):
    with pytest.raises(ZeroDivisionError) as raised:
        run("# Title\n\n```python\nx = 1\n1 / 0\n```\n", tmp_path)
    assert raised.traceback[-1].lineno + 1 == 5


def test_a_block_left_out_says_why(tmp_path):
    page = "<!-- not run: it never ends -->\n```console\n$ sleep 1000\n```\n```console\n$ echo run\nrun\n```\n"
    assert run(page, tmp_path) == 1
    assert [block.reason_not_run for block in blocks_of(page)] == ["it never ends", None]

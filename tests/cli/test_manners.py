"""Manners of a command: quick to answer, quiet in a pipe, documented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from revealed import __version__
from revealed.cli.exits import EXIT_CODES
from revealed.cli.wording import for_the_command_line
from tests.cli.conftest import ENVIRONMENT, ROLES, UTILITY, Invoke, Run

COMMANDS = (
    "demo",
    "datasets",
    "simulate",
    "describe",
    "fit",
    "dynamic",
    "blp",
    "validate",
    "compare",
    "whatif",
    "wtp",
    "elasticities",
    "demand",
    "markets",
    "learn",
    "decide",
    "evaluate",
    "replay",
    "layout",
)
HEAVY = ("numpy", "scipy", "pyarrow", "pandas", "polars", "duckdb", "matplotlib", "jax", "formulaic", "narwhals")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy; sys.argv = ['revealed', '--help']\ntry: runpy.run_module('revealed', run_name='__main__')\n"
    )
    code += "except SystemExit: pass\nprint([m for m in sys.modules if '.' not in m], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert "Learn what people value" in done.stdout
    assert "'typer'" in done.stderr
    assert [name for name in HEAVY if f"'{name}'" in done.stderr] == []


def test_help_tells_each_command_and_exit_code(run: Run) -> None:
    done = run("--help")
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    text = " ".join(done.stdout.split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_that_fits_and_json(invoke: Invoke, command: str) -> None:
    text = invoke(command, "--help").stdout
    assert "--json" in text
    assert "Usage: revealed" in text


def test_examples_in_help_keep_their_brackets(invoke: Invoke) -> None:
    assert "cost[alternative == 'train']" in " ".join(invoke("whatif", "--help").stdout.replace("│", "").split())
    assert "as [slate] of the policy" in " ".join(invoke("decide", "--help").stdout.replace("│", "").split())


def test_the_version(run: Run) -> None:
    assert run("--version").stdout == f"revealed {__version__}\n"


def test_no_colour_in_a_pipe(run: Run, trips_csv: Path) -> None:
    done = run("fit", trips_csv, *ROLES, *UTILITY, "--out", "fit.json")
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == "Wrote fit.json\n"


@pytest.mark.parametrize("plain", [False, True])
def test_colour_on_a_terminal_unless_unwanted(trips_csv: Path, plain: bool) -> None:
    master, slave = os.openpty()
    environment = ENVIRONMENT | ({"NO_COLOR": "1"} if plain else {})
    process = subprocess.Popen(
        [sys.executable, "-m", "revealed", "fit", str(trips_csv), *ROLES, *UTILITY],
        stdout=slave,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            seen += os.read(master, 4096)
        except OSError:
            break
    os.close(master)
    assert process.wait(timeout=60) == 0
    assert b"mode[train]" in seen
    assert (b"\x1b[36m" in seen) is not plain


def test_json_is_all_there_is_on_stdout(run: Run, trips_csv: Path) -> None:
    done = run("fit", trips_csv, *ROLES, *UTILITY, "--out", "fit.json", "--report", "fit.html", "--json")
    assert json.loads(done.stdout)["fit"] == "fit.json"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('say text=TextFormat(encoding="utf-16")', '--encoding "utf-16"'),
        ("name it with person=…; there are: a", "name it with --person …; there are: a"),
        ('add an outside option with outside="none"', '--outside "none"'),
        ("at which values of the other columns: at={'time': …}", "columns: --at time=…"),
        ('where="choice != 3"', '--where "choice != 3"'),
    ],
)
def test_remedies_name_options(message: str, told: str) -> None:
    assert told in for_the_command_line(message)


@pytest.mark.parametrize("message", ["'cost[time==1] *= 2'", "no column 'case=1'", "x_time=3", "cost *= 2"])
def test_what_is_no_keyword_stays(message: str) -> None:
    assert for_the_command_line(message) == message

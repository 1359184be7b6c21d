"""The command line in a folder of its own, with files to try it on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.worlds import trips_table

ROLES = ("--case", "trip", "--alternative", "mode", "--person", "who")
UTILITY = ("--utility", "C(mode) + cost + time")
#: A plain terminal for subprocesses, whatever the tests run in.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")} | {
    "LC_ALL": "C.UTF-8",
    "TERM": "xterm",
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Invoke = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Return what runs the command line as a user does: in a process of its own."""

    def run(*arguments: object, largest_file: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "revealed", *map(str, arguments)]
        if largest_file:  # in KiB; by the shell, since a limit set between fork and exec forks a process with threads
            # Nor may the limit cut short what Python compiles on the way.
            options["environment"] = options.get("environment", {}) | {"PYTHONDONTWRITEBYTECODE": "1"}
            command = ["bash", "-c", f'ulimit -f {largest_file}; exec "$@"', "bash", *command]
        environment = ENVIRONMENT | options.pop("environment", {})
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False, **options
        )

    return run


@pytest.fixture
def invoke(folder: Path) -> Invoke:
    """Return what runs the command line in this process: fast, and its shapes are checked."""
    from revealed.cli.app import app

    runner = CliRunner()

    def invoke(*arguments: object, code: int = 0) -> Any:
        result = runner.invoke(app, list(map(str, arguments)), prog_name="revealed")
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def trips_csv(folder: Path) -> Path:
    """Return a CSV of trips."""
    path = folder / "trips.csv"
    pa_csv.write_csv(trips_table(400, seed=1), path)
    return path


@pytest.fixture
def trips_parquet(folder: Path) -> Path:
    """Return the same as Parquet."""
    path = folder / "trips.parquet"
    pq.write_table(trips_table(400, seed=1), path)
    return path


@pytest.fixture
def saved(invoke: Invoke, trips_csv: Path) -> Path:
    """Return a fit of the trips, saved."""
    invoke("fit", trips_csv, *ROLES, *UTILITY, "--out", "fit.json")
    return trips_csv.with_name("fit.json")

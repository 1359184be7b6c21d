"""Commands that fork are the commands that start: same output, same exit codes, nothing left from one to the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.forked import forked_commands
from tests.house.test_docs import page_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands fork on Linux only")

ENVIRONMENT = {**page_environment(), "OMP_NUM_THREADS": "1"}
TRIPS = (
    "trip,mode,chosen,cost\n1,bus,1,2\n1,car,0,4\n2,bus,0,3\n2,car,1,1\n3,bus,1,1\n3,car,0,2\n4,bus,0,2\n4,car,1,3\n"
)


@pytest.fixture(scope="module")
def forked():
    # Whatever would start from scratch is echo here, and so would be seen.
    with forked_commands(ENVIRONMENT, from_scratch=Path("/bin/echo")) as environment:
        yield environment


@pytest.fixture
def shell(forked, tmp_path):
    """Return what runs a line in the shell, with commands that fork or with those that start."""
    (tmp_path / "trips.csv").write_text(TRIPS)

    def shell(line: str, *, started: bool = False) -> tuple[int, str, str]:
        environment = ENVIRONMENT if started else forked
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    return shell


@pytest.mark.parametrize(
    "line",
    [
        "revealed --version; revealed nothing",
        "revealed describe trips.csv --case trip --alternative mode | head -4",
        "revealed fit trips.csv --case trip --alternative mode --utility csot 2>&1 > /dev/null",
        "revealed fit trips.csv --case trip --alternative mode --utility cost > fit.txt; echo $?; cat fit.txt",
        "cd .. && revealed fit nowhere.csv --utility cost --json < /dev/null",
    ],
)
def test_it_prints_and_exits_as_a_command_that_starts(shell, line):
    assert shell(line) == shell(line, started=True)


def test_commands_run_at_once_and_each_has_its_own_output(shell):
    code, out, err = shell("revealed datasets | revealed --version; revealed --version & revealed --version; wait")
    assert (code, out, err) == (0, "revealed 0.1.0\n" * 3, "")


def test_a_command_in_another_environment_starts(shell):
    assert shell("OMP_NUM_THREADS=2 revealed one 'two  three'; exit 0") == (0, "one two  three\n", "")

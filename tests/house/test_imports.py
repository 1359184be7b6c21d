"""Who may import whom, and what may not be imported until it is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: Rooms of the design that come later; planted where a case needs them.
FUTURE = ("answer", "decide", "report", "trust", "store", "serve")

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"pandas", "polars", "jax", "matplotlib", "formulaic", "scipy.stats", "duckdb", "adbc_driver_manager"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contract of the package under ``folder/src``, not of the one installed."""
    code = "from importlinter.cli import lint_imports_command as check; check(['--no-cache'])"
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the package and its contract, to plant imports in."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(folder: Path, room: str, statement: str) -> None:
    """Write a module with one import into a room, making the rooms that do not exist yet."""
    rooms = folder / "src/revealed"
    for name in (room, *(word for word in statement.replace(",", " ").replace(".", " ").split() if word in FUTURE)):
        if not (rooms / f"{name}.py").exists():
            (rooms / name).mkdir(exist_ok=True)
            (rooms / name / "__init__.py").touch()
    (rooms / room / "planted.py").write_text(f"{statement}\n")


def test_the_package_keeps_the_contract(copy):
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("choices", "import revealed.evidence"),
        ("engine", "import revealed.models"),
        ("evidence", "from revealed import models"),
        ("models", "import revealed.report"),
        ("models", "import revealed.store"),
        ("answer", "import revealed.decide"),
        ("decide", "import revealed.answer"),
        ("trust", "import revealed.report"),
        ("store", "import revealed.models"),
        ("store", "import revealed.serve"),
    ],
)
def test_a_forbidden_import_is_caught(copy, room, statement):
    plant(copy, room, statement)
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"revealed.{room}.planted -> revealed." in done.stdout


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("serve", "import revealed.store, revealed.report, revealed.models"),
        ("store", "import revealed.choices"),
        ("trust", "import revealed.answer, revealed.decide"),
        ("report", "import revealed.trust"),
    ],
)
def test_an_allowed_import_is_not(copy, room, statement):
    plant(copy, room, statement)
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_room_without_a_place_in_the_contract_is_caught(copy):
    plant(copy, "attic", "import revealed.errors")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "attic" in done.stdout


def heavy_after(code: str) -> set[str]:
    """Return the heavy packages that a fresh interpreter holds after running ``code``."""
    report = f"import sys\ntry:\n    exec({code!r})\nfinally:\n    print('held:', *({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.splitlines()[-1].removeprefix("held:").split())


def test_the_check_sees_a_heavy_import():
    assert "formulaic" in heavy_after("import formulaic")


def test_importing_the_package_is_light():
    assert heavy_after("import revealed") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["fit", "--help"]])
def test_help_is_light(arguments):
    assert heavy_after(f"sys.argv = ['revealed', *{arguments!r}]\nfrom revealed.cli import main\nmain()") == set()

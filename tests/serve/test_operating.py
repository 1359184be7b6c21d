"""What the page on operating tells an operator to write down: the unit, the container, the options it names."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from revealed.cli.app import app
from revealed.serve.supervisor import _PATIENCE
from tests.serve.world import listening, made

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
TEXT = PAGE.read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def command(name: str) -> Any:
    return get_command(app).commands[name]  # type: ignore[attr-defined]


def understood(words: list[str]) -> dict[str, Any]:
    """Return the options of a command line as the command line reads it; nothing is run."""
    program, name, *rest = words
    assert Path(program).name == "revealed"
    context = command(name).make_context(name, rest)
    return dict(context.params)


def unit() -> ConfigParser:
    # Keys as they are written; a key may stand twice.
    parser = ConfigParser(strict=False, interpolation=None, comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(block("ini"))
    return parser


def instructions() -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in block("dockerfile").strip().splitlines())


def test_words_that_mean_nothing_are_noticed() -> None:
    with pytest.raises(Exception, match="No such option: --decider"):
        understood(["revealed", "serve", "offers.toml", "--decider", "2"])


def test_the_unit_starts_the_service_and_gives_it_time_to_end() -> None:
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    assert understood(words)["deciders"] == 2
    assert Path(words[0]).is_absolute()  # else systemd refuses it
    assert words[2].startswith("/etc/revealed/")
    # What it writes is where ProtectSystem=strict lets it write.
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    # Deciders end, then the learner.
    assert float(service["TimeoutStopSec"]) > 2 * _PATIENCE
    assert service["KillMode"] == "mixed"
    store = next(option for option in command("serve").params if option.name == "store")
    assert store.envvar == "REVEALED_STORE"
    assert "REVEALED_STORE" in TEXT
    assert not Path(store.default).is_absolute()  # in the working folder


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path) -> None:
    def said(text: str) -> str:
        path = tmp_path / "revealed.service"
        path.write_text(text)
        tried = ["systemd-analyze", "verify", "--man=no", str(path)]
        done = subprocess.run(tried, capture_output=True, text=True, check=False, timeout=60)
        # It reads the machine's own units, too.
        return "\n".join(line for line in done.stderr.splitlines() if "revealed" in line)

    text = block("ini").replace("/opt/revealed/bin/revealed", str(Path(sys.executable).with_name("revealed")))
    assert said(text) == ""
    assert "ProtectHouse" in said(text.replace("ProtectHome", "ProtectHouse"))


def test_the_container_has_what_it_starts() -> None:
    told = instructions()
    python = re.fullmatch(r"python:(\d+)\.(\d+)-slim", told["FROM"])
    assert python is not None
    about = metadata("revealed")
    least = re.fullmatch(r">=(\d+)\.(\d+)", about["Requires-Python"])
    assert least is not None
    assert tuple(map(int, python.groups())) >= tuple(map(int, least.groups()))
    extras = re.search(r'"revealed\[([\w,]+)\]"', told["RUN"])
    assert extras is not None
    assert "serve" in extras[1].split(",")
    assert set(extras[1].split(",")) <= set(about.get_all("Provides-Extra") or ())
    options = understood(json.loads(told["CMD"]))
    assert options["host"] == "0.0.0.0"
    assert str(options["policy"]) == told["COPY"].split()[1]
    assert int(told["EXPOSE"]) == options["port"]
    assert told["WORKDIR"] == told["VOLUME"]
    assert f"--home-dir {told['WORKDIR']} {told['USER']}" in told["RUN"]


def test_the_containers_health_is_the_services(tmp_path) -> None:
    told = instructions()
    kind, words = told["HEALTHCHECK"].split(maxsplit=1)
    program, option, code = json.loads(words)
    assert (kind, program, option) == ("CMD", "python", "-c")
    address = f"http://127.0.0.1:{told['EXPOSE']}"
    assert address in code

    def healthy(url: str) -> bool:
        tried = [sys.executable, "-c", code.replace(address, url)]
        return subprocess.run(tried, capture_output=True, check=False, timeout=60).returncode == 0

    with listening(made(tmp_path)) as url:
        assert healthy(url)
    assert not healthy(url)


def test_options_that_the_page_names_exist() -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)`", prose))
    known = {opt for name in ("serve", "keys", "loadtest") for option in command(name).params for opt in option.opts}
    assert named
    assert named <= known


def test_command_lines_on_the_page_are_understood() -> None:
    lines = re.findall(r"^\$ (revealed .*)$", TEXT, re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(re.split(r" [12]?>|;|&", line)[0])
        understood(words)

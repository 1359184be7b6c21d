"""``demo``, ``datasets``, ``simulate``, ``describe``: what a newcomer tries first."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from revealed import datasets, read
from revealed.models import Fit, Logit
from tests.cli.conftest import ROLES, Invoke, Run
from tests.cli.test_demo_service import demo_ended_with_its_service


def test_the_demo_tells_what_the_library_finds(run: Run, folder: Path) -> None:
    done = run("demo", "--service", "1")
    assert done.returncode == 0, done.stderr
    fit = Logit("C(alternative) + cost + time").fit(datasets.swissmetro(unit=1))
    assert Fit.load(folder / "demo-output" / "fit.json").params == pytest.approx(fit.params, rel=1e-9)
    worth = fit.willingness_to_pay("-time", cost="cost", scale=60)["-time"]
    story = " ".join(done.stdout.split())
    assert f"pay {worth.value:.0f} francs to save an hour" in story
    assert f"from {worth.low:.0f} to {worth.high:.0f}" in story
    train = fit.whatif(datasets.swissmetro(unit=1), "cost[alternative == 'train'] *= 1.1").share("train")
    assert f"{train.after.value:.1%} of these trips instead of {train.before.value:.1%}" in story
    files = {path.name for path in (folder / "demo-output").iterdir()}
    pictures = {
        f"{name}.{kind}"
        for name in ("estimates", "demand", "shares", "calibration", "buses")
        for kind in ("png", "svg")
    }
    written = {"swissmetro.csv", "fit.json", "report.html", "policy.toml", "policy.json", "buses.json"} | pictures
    assert {name for name in files if not name.startswith(("console-", "simulated-store."))} == written
    demo_ended_with_its_service(folder / "demo-output", done.stdout)
    assert (folder / "demo-output" / "report.html").read_text().count("<svg") == 5

    # the command it ends with, on the file it wrote, finds the same
    command = re.search(r"^ {2}revealed (fit demo-output/swissmetro.csv .*)$", done.stdout, re.MULTILINE)
    assert command is not None
    again = run(*shlex.split(command[1]), "--json")
    found = {row["name"]: row["estimate"] for row in json.loads(again.stdout)["estimates"]}
    assert found == pytest.approx(fit.estimates, rel=1e-9)


def test_the_demo_wants_a_folder(invoke: Invoke, folder: Path) -> None:
    (folder / "taken").write_text("a file")
    assert "cannot make the folder" in invoke("demo", "--output", "taken", code=6).stderr


def test_the_demo_without_matplotlib(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = invoke("demo")
    assert "pip install 'revealed[plots]'" in result.stdout
    files = {path.name for path in (folder / "demo-output").iterdir()}
    assert files == {"swissmetro.csv", "fit.json", "report.html", "policy.toml", "policy.json", "buses.json"}


@pytest.mark.parametrize("name", datasets.names())
def test_each_data_set_can_be_exported_and_read_back(invoke: Invoke, name: str) -> None:
    data = json.loads(invoke("datasets", name, "--export", f"{name}.csv", "--json").stdout)
    log = datasets.load(name)
    assert data["n_cases"] == log.n_cases
    described = json.loads(invoke("describe", f"{name}.csv", *roles_of(data["roles"]), "--json").stdout)
    assert described["n_cases"] == log.n_cases
    assert described["n_rows"] == log.n_rows
    assert described["null_log_likelihood"] == pytest.approx(log.facts.null_log_likelihood)


def roles_of(roles: dict[str, str]) -> list[str]:
    return [part for role, column in roles.items() for part in (f"--{role}", column)]


def test_the_list_and_the_cards(invoke: Invoke) -> None:
    listed = invoke("datasets").stdout
    assert all(name in listed for name in datasets.names())
    assert invoke("datasets", "swissmetro").stdout.strip() == datasets.card("swissmetro").strip()
    assert "did you mean 'swissmetro'" in invoke("datasets", "swismetro", code=4).stderr
    assert "name of a data set" in invoke("datasets", "--export", "x.csv", code=4).stderr
    assert ".xlsx" in invoke("datasets", "swissmetro", "--export", "x.xlsx", code=4).stderr


def test_parquet_export_knows_its_roles(invoke: Invoke) -> None:
    invoke("datasets", "swissmetro", "--export", "s.parquet")
    assert read("s.parquet").columns == datasets.swissmetro().columns


def test_simulated_choices_are_found_again(invoke: Invoke) -> None:
    arguments = ("--cases", 20_000, "--alternatives", "bus,car,train", "--param", "cost=-1", "--param", "time=-0.5",
                 "--constant", "car=0.7", "--persons", 4, "--seed", 3)  # fmt: skip
    data = json.loads(invoke("simulate", "sim.parquet", *arguments, "--json").stdout)
    assert data["n_cases"] == 20_000
    fitted = json.loads(invoke("fit", "sim.parquet", "--utility", data["utility"], "--json").stdout)
    for row in fitted["estimates"]:
        assert abs(row["estimate"] - data["truth"][row["name"]]) < 4 * row["standard_error"]
    printed = invoke("simulate", "again.parquet", *arguments).stdout
    command = re.search(r"^ {2}revealed (fit .*)$", printed, re.MULTILINE)
    assert command is not None
    invoke(*shlex.split(command[1]))
    assert Path("again.parquet").read_bytes() == Path("sim.parquet").read_bytes()


def test_simulate_sizes(invoke: Invoke, folder: Path) -> None:
    data = json.loads(
        invoke("simulate", "s.csv", "--cases", 50, "--alternatives", "2:6", "--attributes", 3, "--outside", "none",
               "--availability", 0.8, "--json").stdout
    )  # fmt: skip
    assert set(data["truth"]) >= {"x1", "x2", "x3"}
    described = json.loads(invoke("describe", "s.csv", "--json").stdout)
    assert described["n_cases"] == 50
    assert "number, a range" in invoke("simulate", "s.csv", "--alternatives", "two", code=4).stderr
    assert "not a number" in invoke("simulate", "s.csv", "--param", "cost=cheap", code=4).stderr


def test_describe(invoke: Invoke, trips_csv: Path, folder: Path) -> None:
    printed = invoke("describe", trips_csv, *ROLES, "--report", "d.html").stdout
    for fact in ("400", "1,200", "80", "segment", "3 labels", "choice situation"):
        assert fact in printed
    data = json.loads(invoke("describe", trips_csv, *ROLES, "--json").stdout)
    assert data["n_persons"] == 80
    assert [item["label"] for item in data["alternatives"]] == ["bus", "car", "train"]
    assert "Attributes" in (folder / "d.html").read_text()

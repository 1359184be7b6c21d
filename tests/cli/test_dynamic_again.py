"""``dynamic --bootstrap`` and ``--types``, and ``whatif`` of what they save."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from revealed.cli.exits import INTERRUPTED
from revealed.cli.screen import Passes
from revealed.models.dynamic import DynamicFit, NestedFixedPoint, RecoveredFit, bootstrap
from revealed.models.dynamic.irl import PQR
from tests.cli.conftest import Invoke

WORLD = ("--states", "x=0:2", "--discount", 0.8, "--moves", "x=shares:action")
REWARD = ("--reward", "keep=x", "--reward", "mend=asc", "--estimator", "nfxp")
TYPED = ("--reward", "keep=x", "--reward", "mend=asc + type", "--estimator", "nfxp", "--types", 2, "--starts", 2)
ASKED = ("--set", "x[alternative == 'keep'] *= 1.5", "--months", 4, "--json")


@pytest.fixture
def things(folder: Path) -> Path:
    """Return sixty persons with a thing that wears; every third of them mends it as soon as it is worn a little."""
    rng, path = np.random.default_rng(1), folder / "things.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["person", "time", "x", "action"])
        for person in range(45):
            x, careful = 0, person % 3 == 0
            for month in range(10):
                mends = rng.random() < (0.05, 0.6, 0.9)[x] if careful else rng.random() < (0.02, 0.1, 0.3)[x]
                rows.writerow([person, month, x, "mend" if mends else "keep"])
                x = 0 if mends else min(x + int(rng.random() < 0.6), 2)
    return path


def change(invoke: Invoke, fit: str, *more: object) -> dict[str, np.ndarray]:
    """Return the change of the share that mends, period by period."""
    told = json.loads(invoke("whatif", fit, *ASKED, *more).stdout)
    return {name: np.array(values) for name, values in told["segments"][0]["difference"]["mend"].items()}


def test_draws_are_saved_and_used(invoke: Invoke, things: Path) -> None:
    again = ("--bootstrap", 6, "--seed", 5)
    told = json.loads(invoke("dynamic", things, *WORLD, *REWARD, *again, "--out", "fit.json", "--json").stdout)
    assert told["errors"] == "bootstrap"
    assert "by 6 draws of persons (bootstrap), with transitions estimated again in each" in told["assumptions"][-1]
    shown = invoke("dynamic", things, *WORLD, *REWARD, "--draws", 6, "--seed", 5, "--out", "same.json").stdout
    assert "bootstrap error" in shown
    assert "45 persons, 6 draws" in shown
    assert Path("fit.json").read_bytes() == Path("same.json").read_bytes()  # the same seed, the same file
    fit = DynamicFit.load("fit.json")
    np.testing.assert_array_equal(told["estimates"][0]["standard_error"], fit.standard_errors()[0])
    invoke("dynamic", things, *WORLD, *REWARD, "--out", "plain.json")
    with_draws, without = change(invoke, "fit.json"), change(invoke, "plain.json")
    np.testing.assert_allclose(with_draws["value"], without["value"], rtol=1e-9)
    assert not np.allclose(with_draws["low"], without["low"], rtol=1e-3)
    drawn = [one.params for one in fit.fits]
    assert len(drawn) == 6
    page = " ".join(invoke("whatif", "fit.json", *ASKED[:-1]).stdout.split())
    assert "by 6 draws of persons (bootstrap), with transitions estimated again" in page
    assert "transitions are taken as known" not in page


def test_transitions_by_rule_are_said_to_be(invoke: Invoke, things: Path, folder: Path) -> None:
    rows = (folder / "things.csv").read_text().splitlines()
    stays = [rows[0], *(row for row in rows[1:] if row.split(",")[2] == "0" and int(row.split(",")[0]) < 20)]
    (folder / "stays.csv").write_text("\n".join(stays) + "\n")
    where = ("--states", "x=0:1", "--discount", 0.8, "--moves", "x=stays", "--reward", "keep=0", "--reward", "mend=asc")
    told = json.loads(invoke("dynamic", folder / "stays.csv", *where, "--bootstrap", 3, "--json").stdout)
    assert "of parameters alone, as transitions are known by rule" in told["assumptions"][-1]


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> list[object]:
    """Interrupt some draw as Ctrl-C does; return what lists the draws that were estimated."""
    real = NestedFixedPoint.estimated
    estimated: list[object] = []

    def cut_short(*given: Any, **more: Any) -> Any:
        if more.get("near") is not None:
            estimated.append(given)
            if len(estimated) == at:
                raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(NestedFixedPoint, "estimated", cut_short)
    return estimated


def test_an_interrupted_bootstrap_goes_on(
    invoke: Invoke, things: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("dynamic", things, *WORLD, *REWARD)
    invoke(*command, "--bootstrap", 6, "--out", "whole.json")
    estimated = interrupted(monkeypatch, 4)
    (folder / "fit.json").write_text("before")
    cut = invoke(*command, "--bootstrap", 6, "--out", "fit.json", code=INTERRUPTED)
    assert "The same command goes on from fit.json.checkpoint" in cut.stderr
    assert (folder / "fit.json").read_text() == "before"
    assert sorted(path.name for path in folder.iterdir()) == [
        "fit.json",
        "fit.json.checkpoint",
        "things.csv",
        "whole.json",
    ]
    # What is about something else is refused before any work: another seed, world or panel.
    for other in (("--seed", 1), ("--discount", 0.7), ("--fix", "x=-1")):
        told = invoke(*command, "--bootstrap", 6, "--out", "fit.json", *other, code=4).stderr
        assert "fit.json.checkpoint is about another estimation (NestedFixedPoint(" in " ".join(told.split())
    rows = things.read_text()
    things.write_text(rows.replace("\n0,9,", "\n0,10,"))
    told = invoke(*command, "--bootstrap", 6, "--out", "fit.json", code=4).stderr
    assert "give another file, or remove this one" in " ".join(told.split())
    things.write_text(rows)
    assert len(estimated) == 4
    told = invoke(*command, "--bootstrap", 6, "--out", "fit.json").stderr
    assert "Going on from fit.json.checkpoint" in told
    assert len(estimated) == 4 + 3
    assert (folder / "fit.json").read_bytes() == (folder / "whole.json").read_bytes()
    assert not (folder / "fit.json.checkpoint").exists()


def test_interrupted_draws_of_rewards_without_a_formula_go_on(
    invoke: Invoke, things: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("dynamic", things, *WORLD, "--estimator", "pqr", "--anchor", "mend", "--behaviour", "polynomial:1")
    invoke(*command, "--draws", 5, "--out", "whole.npz")
    real, estimated = PQR.behaviour, []

    def cut_short(*given: Any) -> Any:
        estimated.append(given)
        if len(estimated) == 4:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(PQR, "behaviour", cut_short)
    cut = invoke(*command, "--draws", 5, "--out", "fit.npz", code=INTERRUPTED)
    assert "The same command goes on from fit.npz.checkpoint" in cut.stderr
    assert not (folder / "fit.npz").exists()
    told = invoke(*command, "--draws", 5, "--out", "fit.npz", "--anchor-reward", 2, code=4).stderr
    assert "fit.npz.checkpoint is about another estimation (" in " ".join(told.split())
    assert "Going on from fit.npz.checkpoint" in invoke(*command, "--draws", 5, "--out", "fit.npz").stderr
    assert len(estimated) == 4 + 3
    assert not (folder / "fit.npz.checkpoint").exists()
    found, whole = RecoveredFit.load("fit.npz"), RecoveredFit.load("whole.npz")
    np.testing.assert_array_equal(found.standard_errors, whole.standard_errors)
    np.testing.assert_array_equal(found.reward, whole.reward)


def test_interrupted_draws_of_types_go_on(
    invoke: Invoke, things: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("dynamic", things, *WORLD, *TYPED, "--bootstrap", 3, "--report", "types.txt", "--checkpoint", "reached")
    invoke(*command, "--out", "whole.json")
    assert not (folder / "reached").exists()
    with monkeypatch.context() as patch:
        drawn, take = [], bootstrap.taken

        def cut_short(*given: object) -> object:
            drawn.append(given)
            if len(drawn) == 3:
                raise KeyboardInterrupt
            return take(*given)  # type: ignore[arg-type]

        patch.setattr(bootstrap, "taken", cut_short)
        assert "goes on from reached" in invoke(*command, "--out", "fit.json", code=INTERRUPTED).stderr
    assert not (folder / "fit.json").exists()
    assert set(json.loads((folder / "reached").read_text())["notes"]) == {"start 0", "start 1", "draw 1", "draw 2"}
    invoke(*command, "--out", "fit.json")
    assert (folder / "fit.json").read_bytes() == (folder / "whole.json").read_bytes()
    assert not (folder / "reached").exists()


def test_nothing_noted_is_nothing_said(invoke: Invoke, things: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 1)
    cut = invoke("dynamic", things, *WORLD, *REWARD, "--bootstrap", 6, "--out", "fit.json", code=INTERRUPTED)
    assert "goes on from" not in cut.stderr


def test_types_nobody_observes(invoke: Invoke, things: Path) -> None:
    told = json.loads(
        invoke("dynamic", things, *WORLD, *TYPED, "--out", "types.json", "--report", "types.txt", "--json").stdout
    )
    assert told["method"] == "Nested fixed point, 2 types"
    rows = {row[0]: row[1:] for row in told["types"]["rows"]}
    assert rows["share"][0] + rows["share"][2] == pytest.approx(1.0)
    assert min(rows["share"][0], rows["share"][2]) == pytest.approx(1 / 3, abs=0.12)
    estimates = {row["name"]: row["estimate"] for row in told["estimates"]}
    assert rows["asc[mend]"][2] == pytest.approx(estimates["asc[mend]"] + estimates["type"])
    assert rows["asc[mend]"][1] > 0
    assert rows["asc[mend]"][3] > 0
    shown = " ".join(Path("types.txt").read_text().split())
    assert "type 0 error type 1 error 1" in shown
    assert "2 of 2 starts came to this maximum" in shown
    npl = json.loads(invoke("dynamic", things, *WORLD, *TYPED, "--estimator", "npl", "--json").stdout)
    found = {row["name"]: row["estimate"] for row in npl["estimates"]}
    assert found == pytest.approx(estimates, rel=0.02)
    answer = change(invoke, "types.json")
    assert (answer["low"] < answer["value"]).all()
    careful = int(estimates["type"] > 0)
    cohorts = ("--cohort", f"type == {careful}")
    two = json.loads(invoke("whatif", "types.json", *ASKED, *cohorts).stdout)["segments"]
    mends = {one["segment"]: one["before"]["mend"]["value"][0] for one in two}
    assert mends[f"type == {careful}"] > 2 * mends["all others"]


def test_draws_of_types(invoke: Invoke, things: Path) -> None:
    told = json.loads(
        invoke("dynamic", things, *WORLD, *TYPED, "--bootstrap", 3, "--out", "types.json", "--json").stdout
    )
    fit = DynamicFit.load("types.json")
    assert fit.draws is not None
    assert fit.draws.shares is not None
    assert told["errors"] == "bootstrap"
    share = {row[0]: row[1:] for row in told["types"]["rows"]}["share"]
    assert share[1] == pytest.approx(fit.draws.shares[:, 0].std(ddof=1))
    answer = change(invoke, "types.json")
    assert (answer["low"] < answer["high"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*REWARD, "--bootstrap", 1), "--bootstrap 1: errors need two draws at least"),
        ((*REWARD, "--types", 1), "--types 1: two at least"),
        ((*REWARD, "--types", 2), "no formula uses the column 'type'"),
        ((*REWARD, "--starts", 2), "--starts goes with --types"),
        ((*REWARD, "--types", 2, "--estimator", "ccp"), "--types goes with --estimator npl and nfxp, not with ccp"),
        ((*REWARD[:-1], "npl", "--checkpoint", "some.json"), "--checkpoint goes with --estimator nfxp, --bootstrap or"),
        (
            ("--estimator", "pqr", "--draws", 0, "--checkpoint", "some.json"),
            "--checkpoint goes with --estimator nfxp, --",
        ),
        ((*TYPED, "--out", "some.json", "--checkpoint", "some.json"), "name another file than for the results"),
        (("--estimator", "pqr", "--anchor", "mend", "--types", 2), "not with pqr"),
    ],
)
def test_what_does_not_go_together(invoke: Invoke, things: Path, options: tuple[object, ...], message: str) -> None:
    told = invoke("dynamic", things, *WORLD, *options, code=4).stderr
    assert message in " ".join(told.split())


def test_progress_tells_draws_and_rounds() -> None:
    bars = Progress(console=Console(file=StringIO()))
    told = Passes(bars, "Estimating again", "draws of persons")
    told(1, 5)
    assert bars.tasks[0].description == "Estimating again, 1 of 5 draws of persons"
    assert (bars.tasks[0].completed, bars.tasks[0].total) == (1, 5)
    told.say("start 1 of 2")
    assert bars.tasks[0].description == "Estimating again, start 1 of 2"

"""``dynamic``, and ``whatif`` over time."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from revealed.cli.exits import INTERRUPTED
from revealed.evidence import Checkpoint
from revealed.models.dynamic import DynamicFit, RecoveredFit
from tests.cli.conftest import Invoke

BUSES = (
    *("--states", "mileage_bin=0:89", "--discount", "0.9999"),
    *("--moves", "mileage_bin=rises", "--restart", "replace=0", "--after-another"),
)
REWARD = ("--reward", "replace=asc", "--reward", "keep=mileage_bin")


@pytest.fixture
def buses(invoke: Invoke, folder: Path) -> Path:
    """Return Rust's buses as a file, a row for each action."""
    invoke("datasets", "rust_buses", "--export", "buses.csv")
    return folder / "buses.csv"


@pytest.fixture
def plans(folder: Path) -> Path:
    """Return forty people who have a plan or none over a year, a row a month."""
    path = folder / "plans.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["person", "time", "plan", "season", "action"])
        for person in range(40):
            plan = "none"
            for month in range(12):
                season = "winter" if month < 6 else "summer"
                action = ("join" if (person + month) % 5 == 0 else "wait") if plan == "none" else "leave"
                action = "wait" if plan == "some" and (person * 7 + month) % 3 else action
                rows.writerow([person, month, plan, season, action])
                plan = {"join": "some", "leave": "none", "wait": plan}[action]
    return path


def test_buses_from_the_command_line(invoke: Invoke, buses: Path) -> None:
    told = json.loads(invoke("dynamic", buses, *BUSES, *REWARD, "--out", "fit.json", "--json").stdout)
    found = {row["name"]: row["estimate"] for row in told["estimates"]}
    assert found == pytest.approx({"asc[replace]": -9.8054, "mileage_bin": -0.00258}, rel=1e-2)
    fit = DynamicFit.load("fit.json")
    assert fit["asc[replace]"] == found["asc[replace]"]
    again = json.loads(invoke("dynamic", buses, *BUSES, *REWARD, "--estimator", "nfxp", "--json").stdout)
    assert {row["name"]: row["estimate"] for row in again["estimates"]} == pytest.approx(found, rel=1e-3)


def test_an_estimation_that_was_cut_short_goes_on(
    invoke: Invoke, buses: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("dynamic", buses, *BUSES, *REWARD, "--estimator", "nfxp", "--checkpoint", "reached.json", "--json")
    noted, note = [], Checkpoint.note

    def cut_short(self: Checkpoint, name: str, numbers: np.ndarray) -> None:
        note(self, name, numbers)
        noted.append(numbers)
        if len(noted) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "note", cut_short)
    invoke(*command, code=INTERRUPTED)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert Checkpoint.note is note
    again = invoke(*command)
    assert "Going on from reached.json" in again.stderr
    assert not (folder / "reached.json").exists()
    found = {row["name"]: row["estimate"] for row in json.loads(again.stdout)["estimates"]}
    assert found == pytest.approx({"asc[replace]": -9.8054, "mileage_bin": -0.00258}, rel=1e-2)
    told = invoke("dynamic", buses, *BUSES, *REWARD, "--checkpoint", "reached.json", code=4).stderr
    assert "goes with --estimator nfxp" in told


def test_what_if_over_time(invoke: Invoke, buses: Path, folder: Path) -> None:
    invoke("dynamic", buses, *BUSES, *REWARD, "--out", "fit.json", "--report", "fit.html")
    assert "Observed choices" in (folder / "fit.html").read_text()
    options = ("--set", "mileage_bin *= 1.2", "--months", 6, "--cohort", "mileage_bin > 50", "--leaving", "replace")
    shown = invoke("whatif", "fit.json", *options, "--report", "what.html").stdout
    assert "After 6 periods, if mileage_bin *= 1.2" in shown
    assert "mileage_bin > 50" in shown
    assert "all others" in shown
    assert (folder / "what.html").read_text().count("<svg") == 1
    told = json.loads(invoke("whatif", "fit.json", *options, "--json").stdout)
    everyone = told["segments"][0]
    assert len(everyone["after"]["keep"]["value"]) == 6
    assert everyone["difference"]["replace"]["low"][0] > 0
    less = json.loads(invoke("whatif", "fit.json", "--patience", 0.9, "--months", 2, "--json").stdout)
    assert less["changes"] == ["discount = 0.9"]


def test_rewards_without_a_formula(invoke: Invoke, buses: Path, folder: Path) -> None:
    free = ("--estimator", "pqr", "--anchor", "replace", "--anchor-reward", -9.8054, "--draws", 8)
    saved = ("--smooth", "polynomial:2", "--out", "free.npz", "--report", "free.html")
    told = json.loads(invoke("dynamic", buses, *BUSES, *free, *saved, "--json").stdout)
    assert told["sound"]
    assert "the reward of 'replace' is -9.8054: assumed" in told["assumptions"][0]
    assert len(told["rewards"]) == 180
    first = told["rewards"][0]
    assert first["action"] == "keep"
    assert first["seen"] == 261
    assert first["low"] < first["reward"] < first["high"]
    assert {row["error"] for row in told["rewards"] if row["action"] == "replace"} == {0.0}
    assert "95% low" in (folder / "free.html").read_text()
    assert len(RecoveredFit.load("free.npz").draws) == 8
    # The reward of keeping falls by about a quarter of a hundredth a bin, as the formula has it; so the same answer.
    asked = ("--set", "mileage_bin[alternative == 'keep'] *= 1.5", "--months", 12)
    answer = json.loads(invoke("whatif", "free.npz", *asked, "--json").stdout)["segments"][0]["difference"]["replace"]
    invoke("dynamic", buses, *BUSES, *REWARD, "--out", "fit.json")
    other = json.loads(invoke("whatif", "fit.json", *asked, "--json").stdout)["segments"][0]["difference"]["replace"]
    assert answer["value"][-1] == pytest.approx(other["value"][-1], rel=0.25)
    assert 0 < answer["low"][-1] < answer["value"][-1] < answer["high"][-1]
    genpqr = ("--estimator", "genpqr", "--behaviour", "polynomial", "--draws", 0)
    shown = invoke("dynamic", buses, *BUSES, *genpqr).stdout
    assert "the mean reward under 'uniform' is 0" in " ".join(shown.split())
    Path("free.npz").write_bytes(Path("free.npz").read_bytes()[:500])
    assert "is no file of that kind" in invoke("whatif", "free.npz", code=3).stderr
    odds: tuple[object, ...] = ([], {"mapping": {"fit": {"tuple": []}}})
    for odd in odds:
        with zipfile.ZipFile("free.npz", "w") as file:
            file.writestr("structure.json", json.dumps({"kind": "recovered fit", "format": 1, "parts": odd}))
        assert "parts missing or spoiled" in invoke("whatif", "free.npz", code=3).stderr


def test_a_row_a_month_with_columns_that_move_by_themselves(invoke: Invoke, plans: Path) -> None:
    where = ("--states", "plan=none|some,season", "--discount", 0.9)
    moves = ("--moves", "plan=shares:action", "--moves", "season=shares")
    only = ("--available", "join: plan == 'none'", "--available", "leave: plan == 'some'")
    rewards = ("--anchor", "wait", "--reward", "join=asc", "--reward", "leave=asc + own(season == 'winter')")
    told = json.loads(invoke("dynamic", plans, *where, *moves, *only, *rewards, "--json").stdout)
    assert told["sound"]
    assert told["formulas"]["wait"] == "0"
    assert told["facts"]["Choices"] == "480"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--states", "plam"), 4, "no column 'plam'"),
        (("--states", "plan=none:1"), 4, "whole numbers 0:89"),
        (("--states", "plan=none|some", "--moves", "plan=jumps"), 4, "rises, stays, or moves by shares"),
        (("--states", "plan=none|some", "--restart", "join=0"), 4, "--restart goes with"),
        (("--states", "plan=none|some", "--anchor", "sleep"), 4, "nobody takes 'sleep'"),
        (("--states", "plan=none|some", "--anchor", "join"), 4, "is the anchor and has a formula"),
        (("--states", "plan=none|some", "--estimator", "nplx"), 4, "no estimator 'nplx'"),
        (("--states", "plan=none|some", "--renewal", "join"), 4, "goes with --estimator ccp"),
        (("--states", "plan=none|some", "--basis", "C(plan)"), 4, "goes with --estimator td"),
        (("--states", "plan=none|some", "--estimator", "td"), 4, "say what values are made of"),
        (
            ("--states", "plan=none|some", "--behaviour", "table"),
            4,
            "--behaviour goes with pqr and genpqr, not with npl",
        ),
        (("--states", "plan=none|some", "--estimator", "pqr"), 4, "--reward goes with a formula, and pqr has none"),
        (("--states", "plan=none|some", "--available", "join"), 4, "a colon and a condition"),
        (("--states", "plan=none|some", "--discount", "1"), 4, "no value without end"),
        (("--states", "plan=none|some", "--time", "person"), 3, "two choices in one period"),
        (("--states", "plan=none|all"), 3, "no level of the state"),
    ],
)
def test_what_cannot_be_is_refused(
    invoke: Invoke, plans: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    given = ("--discount", 0.9) if "--discount" not in options else ()
    result = invoke("dynamic", plans, *given, "--reward", "join=asc", "--reward", "leave=asc", *options, code=code)
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 4, "npl needs the formula of the reward: --reward"),
        (("--estimator", "pqr"), 4, "pqr needs the action whose reward is known: --anchor"),
        (("--estimator", "pqr", "--anchor", "wiat"), 4, "nobody takes 'wiat'; did you mean 'wait'"),
        (("--estimator", "pqr", "--anchor", "wait", "--behaviour", "spline"), 4, "no class of functions 'spline'"),
        (("--estimator", "pqr", "--anchor", "wait", "--smooth", "table:2"), 4, "write table, polynomial"),
        (("--estimator", "pqr", "--anchor", "wait", "--horizon", 9), 4, "need a process that never ends"),
        (("--estimator", "pqr", "--anchor", "wait", "--anchor-reward", "nan"), 4, "must be a finite number"),
        (("--estimator", "pqr", "--anchor", "wait", "--draws", 1), 4, "0 is none"),
    ],
)
def test_rewards_without_a_formula_that_cannot_be(
    invoke: Invoke, plans: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    where = ("--states", "plan=none|some", "--discount", 0.9)
    assert message in " ".join(invoke("dynamic", plans, *where, *options, code=code).stderr.split())


def test_fits_of_either_kind_tell_what_they_take(invoke: Invoke, buses: Path, saved: Path, trips_csv: Path) -> None:
    invoke("dynamic", buses, *BUSES, *REWARD, "--out", "over.json")
    assert "takes no file of choices" in invoke("whatif", "over.json", trips_csv, code=4).stderr
    assert "needs a change" in invoke("whatif", saved, trips_csv, code=4).stderr
    assert (
        "--months is for fits of choices over time"
        in invoke("whatif", saved, trips_csv, "--set", "cost += 1", "--months", 3, code=4).stderr
    )
    assert "--method is not for fits" in invoke("whatif", "over.json", "--method", "simulation", code=4).stderr
    assert "the data saw nobody" in invoke("whatif", "over.json", "--cohort", "mileage_bin > 88", code=4).stderr
    told = json.loads(Path("over.json").read_text())
    Path("over.json").write_text(json.dumps(told | {"errors": None}))
    assert "parts missing or spoiled" in invoke("whatif", "over.json", code=3).stderr
    Path("over.json").write_text('{"kind": "dynamic fit", "format": 99}')
    assert "saved in format 99" in invoke("whatif", "over.json", code=3).stderr
    Path("over.json").write_text('{"kind": "dynamic fit", "format": 1}')
    assert "parts missing or spoiled" in invoke("whatif", "over.json", code=3).stderr


ROWS = [(1, 0, 0, "go"), (1, 1, 1, "stop"), (1, 2, 0, "go"), (2, 0, 0, "stop"), (2, 1, 0, "go"), (2, 2, 1, "go")]
LONG = [(who, when, x, one, int(one == did)) for who, when, x, did in ROWS for one in ("go", "stop")]


def written(rows: list[tuple[object, ...]], *more: str) -> Path:
    """Return a file of rows."""
    lines = [("person", "time", "x", *more), *rows]
    Path("panel.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    return Path("panel.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({0: (1, "", 0, "go")}, "cells are missing [column 'time'; row 1]"),
        ({0: (1, "x", 0, "go")}, "times that are no whole numbers: x [column 'time'; row 1]"),
        ({0: (1, "inf", 0, "go")}, "times that are no whole numbers: inf [column 'time'; row 1]"),
        ({0: (1, 0, "inf", "go")}, "cells that are no level of the state: inf [column 'x'; row 1]"),
        ({0: (1, 0, "1e300", "go")}, "cells that are no level of the state: 1e+300 [column 'x'; row 1]"),
        ({1: (1, 0, 0, "go")}, "persons with two choices in one period: 1 in period 0"),
    ],
)
def test_bad_rows_of_a_panel(
    invoke: Invoke, folder: Path, changes: dict[int, tuple[object, ...]], message: str
) -> None:
    panel = written([changes.get(place, row) for place, row in enumerate(ROWS)], "action")
    told = invoke("dynamic", panel, *SMALL, "--json", code=3 if message else 0)
    if message:
        assert message in json.loads(told.stdout)["error"]["message"]


SMALL = ("--states", "x", "--discount", 0.9, "--reward", "stop=asc", "--reward", "go=0", "--out", "panel.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({0: (1, 0, 0, "go", "yes")}, "chosen is not 0 or 1 but yes, 0, 1 [column 'chosen'; rows 1, 2, 3"),
        ({0: (1, 0, 0, "go", "")}, "chosen is not 0 or 1 but None [column 'chosen'; row 1]"),
        ({0: (1, 0, 0, "go", 0)}, "periods in which nothing is chosen: 1 in 0"),
        ({1: (1, 0, 0, "stop", 1)}, "persons with two choices in one period: 1 in period 0"),
        ({1: (1, 0, 1, "stop", 0)}, "periods in which the rows are of several states: 1 in 0"),
        ({1: (1, 0, 0, "go", 0)}, "periods in which an action has several rows: 1 in 0"),
        ({1: (1, 0, 0, "", 0)}, "cells are missing [column 'alternative'; row 2]"),
        ({1: (1, 0, 0, "jump", 0)}, "nobody ever took the action 'jump'"),
    ],
)
def test_bad_rows_of_a_panel_with_a_row_for_each_action(
    invoke: Invoke, folder: Path, changes: dict[int, tuple[object, ...]], message: str
) -> None:
    panel = written([changes.get(place, row) for place, row in enumerate(LONG)], "alternative", "chosen")
    told = invoke("dynamic", panel, *SMALL, code=3 if message else 0)
    assert message in " ".join(told.stderr.split())
    assert (folder / "panel.json").exists() == (not message)


@pytest.mark.parametrize("marked", [False, True])
def test_actions_that_had_no_row_could_not_be_taken(invoke: Invoke, folder: Path, marked: bool) -> None:
    rows: list[tuple[object, ...]] = []
    for who, when, x, one, _ in LONG:
        can, done = x == 1 or one == "go", "stop" if x == 1 and when == 1 else "go"  # to stop one has to be at 1
        if marked or can:
            rows.append((who, when, x, one, int(one == done), *[int(can)] * marked))
    panel = written(rows, "alternative", "chosen", *["available"] * marked)
    message = "the process has it there, the log never ['stop' in state x 0"
    told = " ".join(invoke("dynamic", panel, *SMALL, code=3).stderr.split())
    assert message in told
    assert "'stop: CONDITION'" in told
    found = json.loads(invoke("dynamic", panel, *SMALL, "--available", "stop: x == 1", "--json").stdout)
    assert found["facts"]["Choices"] == "6"


def test_where_a_horizon_begins(invoke: Invoke, folder: Path) -> None:
    rows: list[tuple[object, ...]] = []
    for who in range(30):
        x = 0
        for when in range(4):
            did = "stop" if (7 * who + 3 * when) % 10 < 2 + x else "go"
            rows.append((who, when, x, did))
            x = 0 if did == "stop" else min(x + 1, 2)
    panel = written([row for row in rows if row[1] != 0], "action")
    asked = ("--states", "x", "--discount", 0.9, "--reward", "stop=asc", "--reward", "go=x", "--estimator", "nfxp")

    def told(*options: object) -> tuple[float, str]:
        found = json.loads(invoke("dynamic", panel, *asked, "--horizon", 4, *options, "--json").stdout)
        return found["estimates"][0]["estimate"], " ".join(found["messages"])

    (first, warned), (second, quiet) = told(), told("--first-period", 0)
    assert "3 of 4 periods are seen, and taken as the first 3" in warned
    assert "taken as the first" not in quiet
    assert abs(first - second) > 0.01
    refused = invoke("dynamic", panel, *asked, "--first-period", 2, code=3).stderr
    assert "choices before the first period" in refused


def test_a_panel_without_rows(invoke: Invoke, folder: Path) -> None:
    assert "no cells [column 'x']" in invoke("dynamic", written([], "action"), *SMALL, code=3).stderr


def test_one_person_makes_no_clusters(invoke: Invoke, folder: Path) -> None:
    panel = written([*ROWS[:3], (1, 3, 0, "go"), (1, 4, 1, "go")], "action")
    told = json.loads(invoke("dynamic", panel, *SMALL, "--json").stdout)
    assert told["errors"] == "robust"
    assert told["estimates"][0]["standard_error"] > 0.1
    assert DynamicFit.load("panel.json").errors == "robust"

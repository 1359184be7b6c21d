"""Bad input, full disks, interrupts: one clear message, the right exit code, nothing half-written."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import ENVIRONMENT, ROLES, UTILITY, Invoke, Run
from tests.worlds import trips_table

GOOD = "trip,who,mode,chosen,cost,time\n1,1,bus,1,2.0,3\n1,1,car,0,4.5,1\n2,1,bus,0,2.5,3\n2,1,car,1,3.5,1\n"


def refused(invoke: Invoke, text: str, *options: str, code: int = 3) -> str:
    Path("bad.csv").write_text(text, encoding="utf-8")
    result = invoke("fit", "bad.csv", *ROLES, "--utility", "cost", *options, code=code)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    return str(result.stderr)


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda _: "", "the file is empty"),
    "header only": (lambda text: text.splitlines()[0] + "\n", "there are no rows"),
    "wrong delimiter": (lambda text: text.replace(",", ";"), "--delimiter ';'"),
    "nothing chosen": (lambda text: text.replace("bus,1,2.0", "bus,0,2.0"), "no alternative is chosen"),
    "x or empty": (
        lambda text: text.replace(",1,", ",x,", 2).replace("car,0", "car,").replace("bus,0", "bus,"),
        "labels where 0 and 1 should be: 'x', empty",
    ),
    "two chosen": (lambda text: text.replace("car,0,4.5", "car,1,4.5"), "several alternatives are chosen"),
    "alternative twice": (lambda text: text.replace("car,0", "bus,0"), "twice"),
    "missing attribute": (lambda text: text.replace("2.5", ""), "missing cells [column 'cost'; row 3"),
    "infinite attribute": (lambda text: text.replace("2.5", "inf"), "infinite cells [column 'cost'; row 3"),
    "ragged rows": (lambda text: text + "3,1,bus\n", "another number of cells"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused_with_what_where_and_the_remedy(invoke: Invoke, name: str) -> None:
    spoil, told = BAD[name]
    message = refused(invoke, spoil(GOOD))
    assert told in message
    assert "remedy:" in message
    assert "TextFormat" not in message


FORM = """
choice = "CHOICE"
alternatives = {bus = 1, car = 2}
attributes = {cost = "{alternative}_csot"}
"""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--utility", "csot + time"), ["no column 'csot' among the attributes", "did you mean 'cost'?"]),
        (("--utility", "bus=cost", "--utility", "car=asc + csot"), ["no column 'csot' among", "did you mean 'cost'?"]),
        (("--utility", "cost", "--model", "scaled-logit", "--scale", "C(wo)"), ["no column 'wo' among", "'who'"]),
        (("--utility", "where(time > 1, csot, 0)"), ["no column 'csot' in t.csv; did you mean 'cost'?"]),
        (("--utility", "cost", "--case", "tirp"), ["no column 'tirp' for the role 'case'", "--case …; did you mean"]),
        (("--utility", "cost", "--weight", "csot"), ["no column 'csot' for the role 'weight'", "--weight …"]),
        (("--utility", "tmie", "--case", "tirp"), ["2 problems", "no column 'tirp' for", "no column 'tmie' among"]),
        (("--utility", "cost", "--person", "mode"), ["the roles 'alternative' and 'person' have the same column"]),
    ],
)
def test_a_column_that_is_not_there_is_a_name_that_does_not_fit(
    invoke: Invoke, folder: Path, options: tuple[str, ...], told: list[str]
) -> None:
    (folder / "t.csv").write_text(GOOD, encoding="utf-8")
    result = invoke("fit", "t.csv", *ROLES, *options, code=4)
    assert all(text in result.stderr for text in told)
    assert result.stdout == ""


def test_so_is_the_default_of_a_role_and_the_column_of_a_form_or_of_a_fit(
    invoke: Invoke, folder: Path, saved: Path, trips_csv: Path
) -> None:
    assert "for the role 'case'" in invoke("describe", trips_csv, code=4).stderr
    (folder / "form.toml").write_text(FORM, encoding="utf-8")
    (folder / "wide.csv").write_text("CHOICE,bus_cost,car_cost\n1,2.0,3.0\n2,2.5,1.0\n", encoding="utf-8")
    message = invoke("fit", "wide.csv", "--wide", "form.toml", "--utility", "cost", code=4).stderr
    assert "no column 'bus_csot'" in message
    assert "did you mean 'bus_cost'" in message
    (folder / "other.csv").write_text(trips_csv.read_text().replace("cost", "toll"), encoding="utf-8")
    assert "no column 'cost'" in invoke("whatif", saved, "other.csv", "--set", "time *= 2", code=4).stderr


def test_a_missing_column_of_a_stream(invoke: Invoke, trips_parquet: Path) -> None:
    given = ("fit", trips_parquet, "--stream")
    assert "'csot'" in invoke(*given, "--case", "trip", "--alternative", "mode", "--utility", "csot", code=4).stderr
    assert "'tirp'" in invoke(*given, "--case", "tirp", "--alternative", "mode", *UTILITY, code=4).stderr


def test_every_problem_comes_at_once(invoke: Invoke) -> None:
    spoiled = GOOD.replace("bus,1,2.0", "bus,0,").replace("car,1", "car,oops")
    message = refused(invoke, spoiled)
    assert "column 'cost'" in message
    assert "column 'chosen'" in message


def test_wrong_encoding(invoke: Invoke, folder: Path) -> None:
    (folder / "bad.csv").write_bytes(GOOD.replace("bus", "métro").encode("cp1252"))
    stderr = invoke("fit", "bad.csv", *ROLES, "--utility", "cost", code=3).stderr
    assert '--encoding "cp1252"' in stderr
    invoke("describe", "bad.csv", *ROLES, "--encoding", "cp1252")


def test_no_such_file_tells_the_nearest(invoke: Invoke, trips_csv: Path, saved: Path) -> None:
    assert "did you mean 'trips.csv'?" in invoke("fit", "trisp.csv", *UTILITY, code=3).stderr
    assert "did you mean 'fit.json'?" in invoke("whatif", "fti.json", trips_csv, "--set", "cost *= 2", code=3).stderr
    assert "not a saved fit" in invoke("wtp", trips_csv, "time", code=3).stderr


def test_a_truncated_parquet_file(invoke: Invoke, trips_parquet: Path) -> None:
    trips_parquet.write_bytes(trips_parquet.read_bytes()[:-200])
    assert "trips.parquet" in invoke("fit", trips_parquet, *ROLES, *UTILITY, code=3).stderr


def test_a_million_rows_with_one_bad_cell_on_the_last(run: Run, folder: Path) -> None:
    n = 500_000
    taken = np.random.default_rng(0).random(n) < 0.5
    table = pa.table(
        {
            "case": np.repeat(np.arange(n), 2),
            "alternative": np.tile(["a", "b"], n),
            "chosen": np.column_stack([taken, ~taken]).ravel().astype(int),
            "cost": np.random.default_rng(1).random(2 * n).round(3),
        }
    )
    path = folder / "million.csv"
    pa_csv.write_csv(table, path)
    path.write_text(path.read_text().rstrip("\n").rpartition(",")[0] + ",oops\n")
    started = time.monotonic()
    done = run("fit", path, "--utility", "cost")
    assert time.monotonic() - started < 30
    assert done.returncode == 3
    assert "'oops'" in done.stderr
    assert "row 1000000" in done.stderr
    assert len(done.stderr) < 1000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--utility", "cost + tim)"), "cannot read the formula"),
        (("--utility", "income"), "cannot matter"),
        (("--utility", "cost", "--utility", "time"), "more than one --utility"),
        (("--utility", "bus=cost", "--utility", "time"), "does not say for which alternative"),
        (("--utility", "bus=cost", "--utility", "bus=time"), "two formulas"),
        (("--utility", "bus=cost"), "no utility for the alternative 'car'"),
        (("--utility", "tram=cost"), "no alternative 'tram'"),
        (("--utility", "cost", "--fix", "cots=1"), "did you mean 'cost'?"),
        (("--utility", "cost", "--fix", "cost"), "write NAME=VALUE"),
        (("--utility", "cost", "--fix", "cost=low"), "'low' is not a number"),
        (("--utility", "cost", "--bound", "cost=0"), "two numbers with a colon"),
        (("--utility", "cost", "--prior", "cost=0:"), "standard deviation"),
        (("--utility", "cost", "--errors", "robst"), "did you mean 'robust'?"),
        (("--utility", "cost", "--errors", "clustered", "--person", ""), "name their column: --person"),
        (("--utility", "cost", "--model", "logt"), "did you mean 'logit'?"),
        (("--utility", "cost", "--model", "scaled-logit"), "--scale"),
        (("--utility", "cost", "--scale", "C(segment)"), "--model scaled-logit"),
        (("--utility", "cost", "--where", "income"), "--where"),
        (("--utility", "cost", "--where", "incme > 1"), "trips.csv; did you mean 'income'"),
        (("--utility", "cost", "--delimiter", "::"), "single mark"),
        (("--utility", "cost", "--wide", "form.toml"), "--case does not go with --wide"),
        (("--utility", "cost", "--stream", "--where", "income > 1"), "--where does not go with --stream"),
    ],
)
def test_what_does_not_fit_together(invoke: Invoke, trips_csv: Path, options: tuple[str, ...], told: str) -> None:
    result = invoke("fit", trips_csv, *ROLES, *options, code=4)
    assert told in result.stderr
    assert result.stdout == ""


def test_a_stream_needs_parquet(invoke: Invoke, trips_csv: Path) -> None:
    assert "Parquet" in invoke("fit", trips_csv, *ROLES, *UTILITY, "--stream", code=3).stderr


def test_usage_errors(run: Run, trips_csv: Path) -> None:
    assert run("fit", trips_csv).returncode == 2
    typo = run("fit", trips_csv, "--utilty", "cost")
    assert typo.returncode == 2
    assert "--utility" in typo.stderr
    assert run("fti").returncode == 2
    assert typo.stdout == ""
    told = json.loads(run("fit", trips_csv, "--utilty", "cost", "--json").stdout)["error"]
    assert told["exit_code"] == 2
    assert "--utilty" in told["message"]


@pytest.mark.parametrize("utility", ["cost + time + {cost + time}", "cost + perfect"])
def test_what_is_not_identified_is_named_and_exits_with_7(invoke: Invoke, folder: Path, utility: str) -> None:
    table = trips_table(300)
    table = table.append_column("perfect", table["chosen"].cast(pa.float64()))
    pa_csv.write_csv(table, folder / "t.csv")
    arguments = ("fit", "t.csv", *ROLES, "--utility", utility, "--out", "fit.json", "--report", "fit.html")
    result = invoke(*arguments, code=7)
    text = " ".join(result.stdout.split())
    assert ("cost, time, cost + time move together" in text) or ("perfect" in text and "Separation" in text)
    assert "not identified" in text
    assert (folder / "fit.json").is_file()
    assert "alert" in (folder / "fit.html").read_text()
    assert json.loads(invoke(*arguments, "--json", code=7).stdout)["sound"] is False


def test_a_fit_that_does_not_converge_exits_with_7(invoke: Invoke, trips_csv: Path) -> None:
    result = invoke("fit", trips_csv, *ROLES, *UTILITY, "--max-passes", 1, code=7)
    assert "Not converged" in result.stdout


def test_one_person_makes_no_clusters(invoke: Invoke, trips_csv: Path) -> None:
    rows = pa_csv.read_csv(trips_csv)
    pa_csv.write_csv(rows.set_column(rows.column_names.index("who"), "who", pa.array([1] * rows.num_rows)), "one.csv")
    told = json.loads(invoke("fit", "one.csv", *ROLES, *UTILITY, "--json").stdout)
    assert told["errors"] == "robust"
    refused = invoke("fit", "one.csv", *ROLES, *UTILITY, "--errors", "clustered", code=4).stderr
    assert "two decision makers or more" in refused


def test_a_checkpoint_is_no_place_for_results(invoke: Invoke, trips_csv: Path, folder: Path) -> None:
    files = ("--checkpoint", "fit.json", "--out", "fit.json")
    assert "--checkpoint is removed" in invoke("fit", trips_csv, *ROLES, *UTILITY, *files, code=4).stderr


def test_errors_as_json(invoke: Invoke, trips_csv: Path) -> None:
    told = json.loads(invoke("fit", trips_csv, *ROLES, "--utility", "cst + tme", "--json", code=4).stdout)["error"]
    assert told["kind"] == "ColumnError"
    assert told["exit_code"] == 4
    assert [problem["remedy"] for problem in told["problems"]] == ["did you mean 'cost'?", "did you mean 'time'?"]


def test_debug_shows_where(run: Run, trips_csv: Path) -> None:
    plain = run("fit", trips_csv, "--utility", "cost")
    assert "Traceback" not in plain.stderr
    shown = run("--debug", "fit", trips_csv, "--utility", "cost")
    assert "Traceback" in shown.stderr
    assert plain.returncode == shown.returncode == 4


def test_a_fault_of_ours_is_told_as_such(invoke: Invoke, trips_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("revealed.models.logit.Logit.law", broken)
    result = invoke("fit", trips_csv, *ROLES, *UTILITY, code=1)
    assert "unexpected ZeroDivisionError: by design" in result.stderr
    assert "--debug" in result.stderr


# ---- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(invoke: Invoke, trips_csv: Path, option: str) -> None:
    result = invoke("fit", trips_csv, *ROLES, *UTILITY, option, "nowhere/fit.html", code=6)
    assert "there is no folder nowhere" in result.stderr
    assert result.stdout == ""
    (trips_csv.parent / "taken.html").mkdir()
    assert "it is a folder" in invoke("fit", trips_csv, *ROLES, *UTILITY, option, "taken.html", code=6).stderr


def test_a_report_of_unknown_kind(invoke: Invoke, trips_csv: Path) -> None:
    assert ".docx" in invoke("fit", trips_csv, *ROLES, *UTILITY, "--report", "fit.docx", code=6).stderr
    assert ".gif" in invoke("layout", "absent.csv", "--picture", "effects.gif", code=6).stderr


@pytest.mark.parametrize(
    ("command", "places"),
    [
        (("fit", "trips.csv", *ROLES, *UTILITY), ("--out", "trips.csv")),
        (("fit", "trips.csv", *ROLES, *UTILITY), ("--out", "./linked.csv")),
        (("fit", "trips.csv", *ROLES, *UTILITY), ("--checkpoint", "trips.csv")),
        (("fit", "trips.csv", *ROLES, "--utility", "u.toml"), ("--out", "u.toml")),
        (("fit", "parts", *ROLES, *UTILITY), ("--out", "parts/more/a.parquet")),
        (("fit", "trips.csv", *ROLES, *UTILITY), ("--out", "same.html", "--report", "same.html")),
        (("describe", "notes.txt", *ROLES), ("--report", "notes.txt")),
        (("whatif", "fit.json", "trips.csv", "--set", "cost *= 1.1"), ("--out", "fit.json")),
        (("wtp", "fit.json", "time"), ("--out", "fit.json")),
        (("compare", "fit.json", "fit.json"), ("--out", "fit.json")),
        (("learn", "policy.toml", "trips.csv"), ("--out", "policy.toml")),
        (("learn", "policy.toml", "trips.csv"), ("--out", "trips.csv")),
        (("learn", "policy.json", "trips.csv"), ("--out", "trips.csv")),
        (("evaluate", "policy.json", "log.txt"), ("--report", "log.txt")),
        (("dynamic", "trips.csv", "--states", "x", "--discount", 0.9), ("--out", "trips.csv")),
        (("layout", "trips.csv"), ("--out", "trips.csv")),
    ],
)
def test_no_result_takes_the_place_of_what_is_read_or_of_another(
    invoke: Invoke, folder: Path, command: tuple[object, ...], places: tuple[str, ...]
) -> None:
    (folder / "parts" / "more").mkdir(parents=True)
    names = ("trips.csv", "u.toml", "parts/more/a.parquet", "notes.txt", "log.txt", "fit.json", "policy.toml")
    for name in (*names, "policy.json"):
        (folder / name).write_text("what was there")
    (folder / "linked.csv").symlink_to("trips.csv")
    told = invoke(*command, *places, code=6).stderr
    assert f"cannot write {Path(places[1])}: " in told
    assert ("another result goes there" if "same.html" in places else "this command reads it") in told
    assert all((folder / name).read_text() == "what was there" for name in names)


def test_a_result_may_lie_beside_what_is_read(invoke: Invoke, trips_csv: Path) -> None:
    Path("parts").mkdir()
    pq.write_table(pa_csv.read_csv(trips_csv), "parts/a.parquet")
    invoke("fit", "parts", *ROLES, "--utility", "cost", "--out", "parts/cost")
    assert Path("parts/cost").exists()


@pytest.mark.parametrize("name", ["fit.html", "fit.json"])
def test_a_full_disk_leaves_what_was_there(run: Run, trips_csv: Path, folder: Path, name: str) -> None:
    option = "--report" if name.endswith("html") else "--out"
    (folder / name).write_text("what was there")
    before = sorted(path.name for path in folder.iterdir())
    done = run(
        "fit", trips_csv, *ROLES, *UTILITY, option, name,
        largest_file=1,
    )  # fmt: skip
    assert done.returncode == 6
    assert f"cannot write {name}" in done.stderr
    assert "File too large" in done.stderr
    assert "mode[train]" in done.stdout  # the result itself was shown
    assert (folder / name).read_text() == "what was there"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_reader_who_has_read_enough(folder: Path) -> None:
    command = f"{sys.executable} -m revealed datasets swissmetro | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.stdout.startswith("# Swissmetro")
    assert done.stderr == ""


# ---- interrupts -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return choices that take seconds to fit."""
    from revealed.choices.simulate import Simulation

    path = tmp_path_factory.mktemp("long") / "long.parquet"
    Simulation.of_size(80_000, 8, 8, float32=True).write(path)
    return path


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_interrupt_in_mid_fit(long_log: Path, folder: Path, stop: signal.Signals, threads: str) -> None:
    names = [f"x{i}" for i in range(1, 9)]
    utility = " + ".join(":".join(some) for size in (1, 2, 3) for some in itertools.combinations(names, size))
    (folder / "fit.json").write_text("what was there")
    master, slave = os.openpty()  # progress, by which we know that it is in mid-fit, is for terminals
    process = subprocess.Popen(
        [sys.executable, "-m", "revealed", "fit", str(long_log), "--utility", utility, "--threads", threads,
         "--out", "fit.json", "--report", "fit.html"],
        cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=slave, text=True,
    )  # fmt: skip
    os.close(slave)
    seen = bytearray()
    fitting = threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while True:
                seen.extend(os.read(master, 4096))
                if b"Fitting, pass" in seen:
                    fitting.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert fitting.wait(timeout=60)
    process.send_signal(stop)
    sent = time.monotonic()
    stdout, _ = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    watcher.join()
    os.close(master)
    assert process.returncode == (130 if stop == signal.SIGINT else 143)
    assert stdout == ""
    assert b"Traceback" not in seen
    if stop == signal.SIGINT:
        assert b"interrupted; nothing was left half-written" in seen
    assert [path.name for path in folder.iterdir()] == ["fit.json"]
    assert (folder / "fit.json").read_text() == "what was there"

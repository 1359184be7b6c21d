"""``revealed fit``: the same numbers as the library, on any file, with every option."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pytest

from revealed import read
from revealed.cli.exits import NOT_SOUND
from revealed.models import CrossNested, Fit, Logit, Nested, ScaledLogit
from tests.cli.conftest import ROLES, UTILITY, Invoke, Run
from tests.models.test_latent import people


def library_fit(path: Path, **options: object) -> Fit:
    log = read(path, case="trip", alternative="mode", person="who")
    return Logit("C(mode) + cost + time", **options).fit(log)  # type: ignore[arg-type]


def test_it_is_the_library_s_fit(invoke: Invoke, trips_csv: Path) -> None:
    invoke("fit", trips_csv, *ROLES, *UTILITY, "--out", "fit.json")
    ours, theirs = Fit.load("fit.json"), library_fit(trips_csv)
    assert ours.estimates == theirs.estimates
    assert np.array_equal(ours.covariance(), theirs.covariance())
    assert ours.errors == "clustered"


def test_the_summary_is_printed_and_reported(invoke: Invoke, trips_csv: Path, folder: Path) -> None:
    result = invoke("fit", trips_csv, *ROLES, *UTILITY, "--report", "fit.html", "--both-errors")
    fit = library_fit(trips_csv)
    assert f"{fit.log_likelihood:,.3f}" in result.stdout
    assert "clustered error" in result.stdout
    assert "robust error" in result.stdout
    assert result.stderr.strip() == "Wrote fit.html"
    page = (folder / "fit.html").read_text()
    assert "<svg" in page
    assert "mode[train]" in page
    for name in ("fit.md", "fit.txt"):
        invoke("fit", trips_csv, *ROLES, *UTILITY, "--report", name)
        assert "mode" in (folder / name).read_text()


def test_roles_default_to_columns_of_their_name(invoke: Invoke, folder: Path, trips_csv: Path) -> None:
    table = pa_csv.read_csv(trips_csv).rename_columns(
        ["case", "person", "alternative", "chosen", "cost", "time", "income", "segment", "available", "weight"]
    )
    pa_csv.write_csv(table, folder / "named.csv")
    utility = ("--utility", "C(alternative) + cost + time")
    data = json.loads(invoke("fit", "named.csv", *utility, "--out", "a.json", "--json").stdout)
    columns = Fit.load("a.json").data.columns
    # time and weight may be attributes, so they take a role only when told to
    assert columns.roles() == {name: name for name in ("case", "alternative", "chosen", "person", "available")}
    assert data["data"]["Decision makers"] == "80"
    invoke("fit", "named.csv", *utility, "--out", "b.json", "--person", "", "--available", "", "--weight", "weight")
    assert Fit.load("b.json").data.columns.person is None
    assert Fit.load("b.json").data.columns.weight == "weight"
    assert Fit.load("b.json").errors == "robust"


def test_model_options(invoke: Invoke, trips_csv: Path) -> None:
    imposed = ("--fix", "mode[bus]=0.25", "--bound", "time=:-0.8", "--start", "cost=-2")
    believed = ("--prior", "cost=-1:0.5", "--ridge", "0.5")
    shown = ("--reference", "mode=train", "--errors", "classic", "--out", "fit.json")
    invoke("fit", trips_csv, *ROLES, *UTILITY, *imposed, *believed, *shown)
    fit = Fit.load("fit.json")
    assert fit["mode[bus]"] == 0.25
    assert fit["time"] == -0.8
    assert fit.status.at_bound == ("time",)
    assert fit.model.start == {"cost": -2.0}
    assert fit.model.prior == {"cost": (-1.0, 0.5)}
    assert fit.model.ridge == 0.5
    assert fit.errors == "classic"
    assert dict(fit.law.designs[0].references) == {"mode": "train"}


def test_a_formula_for_each_alternative(invoke: Invoke, trips_csv: Path, folder: Path) -> None:
    formulas = {"bus": "cost", "car": "asc + cost + own(time)", "train": "asc + cost"}
    pairs = [part for name, formula in formulas.items() for part in ("--utility", f"{name}={formula}")]
    invoke("fit", trips_csv, *ROLES, *pairs, "--out", "pairs.json")
    (folder / "u.json").write_text(json.dumps(formulas))
    (folder / "u.toml").write_text("\n".join(f'"{name}" = "{formula}"' for name, formula in formulas.items()))
    log = read(trips_csv, case="trip", alternative="mode", person="who")
    expected = Logit(formulas).fit(log).estimates
    for file in ("u.json", "u.toml"):
        invoke("fit", trips_csv, *ROLES, "--utility", file, "--out", f"{file}.fit")
        assert Fit.load(f"{file}.fit").estimates == expected
    assert Fit.load("pairs.json").estimates == expected


def test_the_scaled_logit(invoke: Invoke, trips_csv: Path) -> None:
    model = ("--model", "scaled-logit", "--scale", "C(segment)")
    invoke("fit", trips_csv, *ROLES, *UTILITY, *model, "--out", "fit.json")
    log = read(trips_csv, case="trip", alternative="mode", person="who")
    expected = ScaledLogit("C(mode) + cost + time", scale="C(segment)").fit(log)
    assert Fit.load("fit.json").estimates == expected.estimates


def test_the_nested_and_the_cross_nested_logit(invoke: Invoke, trips_csv: Path) -> None:
    log = read(trips_csv, case="trip", alternative="mode", person="who")
    land = ("--nest", "land=train, car", "--fix", "nest[land]=1.5")
    invoke("fit", trips_csv, *ROLES, *UTILITY, "--model", "nested", *land, "--out", "fit.json")
    nested = Nested("C(mode) + cost + time", nests={"land": ["train", "car"]}, fixed={"nest[land]": 1.5}).fit(log)
    assert Fit.load("fit.json").estimates == nested.estimates
    crossed = ["--model", "cross-nested", *land, "--nest", "road=bus,car", "--fix", "nest[road]=1.5"]
    invoke("fit", trips_csv, *ROLES, *UTILITY, *crossed, "--fix", "allocation[car:road]=0.2", "--out", "fit.json")
    model = Fit.load("fit.json").model
    assert isinstance(model, CrossNested)
    assert model.nests_of("car") == ("land", "road")
    for options, told in (
        (("--model", "nested"), "needs nests: --nest"),
        (land, "--nest goes with --model nested or cross-nested"),
        (("--model", "nested", *land, *land), "--nest names 'land' twice"),
    ):
        assert told in invoke("fit", trips_csv, *ROLES, *UTILITY, *options, code=4).stderr


def test_streams_threads_and_parquet_agree_with_memory(invoke: Invoke, trips_csv: Path, trips_parquet: Path) -> None:
    expected = library_fit(trips_csv)
    for i, options in enumerate([(), ("--stream",), ("--threads", "2"), ("--stream", "--threads", "2")]):
        invoke("fit", trips_parquet, *ROLES, *UTILITY, *options, "--out", f"{i}.json")
        assert Fit.load(f"{i}.json").params == pytest.approx(expected.params, rel=1e-10)


def test_a_file_that_knows_its_roles(invoke: Invoke, trips_csv: Path) -> None:
    read(trips_csv, case="trip", alternative="mode", person="who").to_parquet("ours.parquet")
    invoke("fit", "ours.parquet", *UTILITY, "--out", "fit.json")
    assert Fit.load("fit.json").estimates == library_fit(trips_csv).estimates
    invoke("fit", "ours.parquet", *UTILITY, "--stream", "--out", "stream.json")
    assert Fit.load("stream.json").params == pytest.approx(library_fit(trips_csv).params, rel=1e-10)


def test_some_rows_only(invoke: Invoke, trips_csv: Path) -> None:
    invoke("fit", trips_csv, *ROLES, *UTILITY, "--where", "segment == 'north'", "--out", "fit.json")
    log = read(trips_csv, case="trip", alternative="mode", person="who", where="segment == 'north'")
    assert Fit.load("fit.json").data.n_cases == log.n_cases < 400


def test_an_outside_option(invoke: Invoke, trips_csv: Path) -> None:
    options = ("--where", "mode != 'bus'", "--outside", "none")
    invoke("fit", trips_csv, *ROLES, *UTILITY, *options, "--out", "fit.json")
    assert Fit.load("fit.json").data.alternatives == ("car", "none", "train")


def test_wide_files(invoke: Invoke, folder: Path) -> None:
    (folder / "wide.csv").write_text(
        "id;taken;bus_cost;car_cost\n" + "".join(f"{i};{1 + i % 2};{1 + i % 3},5;{2 + i % 5},0\n" for i in range(60))
    )
    (folder / "form.toml").write_text(
        'choice = "taken"\ncase = "id"\nkeep = []\n[alternatives]\nbus = 1\ncar = 2\n'
        '[attributes]\ncost = "{alternative}_cost"\n'
    )
    form = ("--wide", "form.toml", "--delimiter", ";", "--decimal", ",")
    invoke("fit", "wide.csv", *form, "--utility", "C(alternative) + cost", "--out", "fit.json")
    fit = Fit.load("fit.json")
    assert fit.data.n_cases == 60
    assert fit.names == ("alternative[car]", "cost")
    invoke("whatif", "fit.json", "wide.csv", *form, "--set", "cost[alternative == 'car'] *= 2")
    half = json.loads(invoke("fit", "wide.csv", *form, "--where", "id < 30", "--utility", "cost", "--json").stdout)
    assert half["data"]["Choice situations"] == "30"


def test_unicode_and_spaces_in_names(run: Run, folder: Path) -> None:
    rng = np.random.default_rng(0)
    price = rng.uniform(1, 5, (200, 2)).round(2)
    taken = (-price + rng.gumbel(size=(200, 2))).argmax(axis=1)
    lines = ["Fahrt Nr,Verkehrsmittel,gewählt,Preis €,運賃"]
    for i in range(200):
        for j, name in enumerate(("Zug (schnell)", "Straßenbahn")):
            lines.append(f"{i},{name},{int(taken[i] == j)},{price[i, j]},{price[i, j] ** 2}")
    (folder / "Fahrten – März.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    roles = ("--case", "Fahrt Nr", "--alternative", "Verkehrsmittel", "--chosen", "gewählt")
    done = run("fit", "Fahrten – März.csv", *roles, "--utility", "C(Verkehrsmittel) + `Preis €` + 運賃",
               "--out", "Ergebnis.json", "--report", "Bericht.html")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "`Preis €`" in done.stdout
    assert "Verkehrsmittel[Zug (schnell)]" in done.stdout
    assert "運賃" in (folder / "Bericht.html").read_text(encoding="utf-8")
    change = "`Preis €`[Verkehrsmittel == 'Zug (schnell)'] *= 1.1"
    done = run("whatif", "Ergebnis.json", "Fahrten – März.csv", "--set", change)
    assert done.returncode == 0, done.stderr


def test_a_terminal_that_knows_ascii_only(run: Run, trips_csv: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    done = run("fit", trips_csv, *ROLES, *UTILITY, environment=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "mode[car]" in done.stdout


def test_a_latent_class_logit(invoke: Invoke, folder: Path) -> None:
    pa_csv.write_csv(people(150, 1)[0].to_arrow(), folder / "people.csv")
    what = ("fit", "people.csv", "--utility", "price + speed")
    told = json.loads(
        invoke(
            *what, "--model", "latent", "--membership", "income", "--class-starts", 2, "--out", "fit.json", "--json"
        ).stdout
    )
    names = [row["name"] for row in told["estimates"]]
    assert names == ["class1.price", "class1.speed", "class2.price", "class2.speed", "share2.constant", "share2.income"]
    assert Fit.load("fit.json").model.title == "Latent-class logit"
    assert "go with --model latent" in invoke(*what, "--classes", 3, code=4).stderr


def test_a_fit_that_was_cut_short_goes_on(invoke: Invoke, trips_csv: Path, folder: Path) -> None:
    command = ("fit", trips_csv, *ROLES, *UTILITY, "--checkpoint", "reached.json")
    cut = invoke(*command, "--max-passes", "3", code=NOT_SOUND)
    assert "3 passes were not enough" in cut.stdout
    assert (folder / "reached.json").exists()
    whole = invoke(*command, "--out", "fit.json")
    assert "Going on from reached.json" in whole.stderr
    assert not (folder / "reached.json").exists()
    assert Fit.load("fit.json").estimates == pytest.approx(library_fit(trips_csv).estimates, rel=1e-7)
    invoke(*command, "--max-passes", "3", code=NOT_SOUND)
    other = invoke("fit", trips_csv, *ROLES, "--utility", "cost", "--checkpoint", "reached.json", code=4)
    assert "about another estimation" in other.stderr

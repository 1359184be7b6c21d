"""``--worth-in``: the mixed logit in willingness-to-pay space on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

from revealed.models import Fit, Mixed
from tests.cli.conftest import ROLES, UTILITY, Invoke

RANDOM = ("--model", "mixed", "--random", "time=normal", "--draws", "20")


def test_it_is_the_library_s_fit_and_worths_are_its_parameters(invoke: Invoke, trips_csv: Path) -> None:
    result = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "cost", "--out", "fit.json")
    assert "worths: of one unit more, in units of cost" in result.stdout
    fit = Fit.load("fit.json")
    assert isinstance(fit.model, Mixed)
    assert fit.model.worth_in == "cost"
    told = json.loads(invoke("wtp", "fit.json", "time", "--cost", "cost", "--json").stdout)
    assert told["items"][0]["worth"]["value"] == pytest.approx(fit["time"], rel=1e-12)


def test_a_cost_of_the_wrong_sign_is_told_as_such(invoke: Invoke, trips_csv: Path) -> None:
    table = pa_csv.read_csv(trips_csv)
    place = table.column_names.index("cost")
    pa_csv.write_csv(table.set_column(place, "cost", pc.negate(table.column("cost"))), "turned.csv")
    told = invoke(
        *("fit", "turned.csv", *ROLES, *UTILITY, *RANDOM, "--worth-in", "cost"),
        *("--draws", "4", "--max-passes", "8", "--out", "turned.json"),
        code=7,
    ).stdout
    assert "Not converged: the cost has the wrong sign" in told
    assert "Wrong sign of the cost: a higher cost goes with more choices" in told
    assert "tells some choices for sure" not in " ".join(told.split())  # separation it is not
    fit = Fit.load("turned.json")
    invoke("fit", "turned.csv", *ROLES, *UTILITY, "--out", "plain.json")
    assert fit.status.not_identified[0].names[0] == "cost"
    assert (
        f"(its coefficient is {Fit.load('plain.json')['cost']:.4g} in the plain logit)"
        in fit.status.not_identified[0].why
    )
    refused = invoke("wtp", "turned.json", "time", "--cost", "cost", code=4)
    assert "do not identify" in refused.stderr


def test_it_goes_with_a_mixed_logit(invoke: Invoke, trips_csv: Path) -> None:
    wrong = invoke("fit", trips_csv, *ROLES, *UTILITY, "--worth-in", "cost", code=4)
    assert "--worth-in" in wrong.stderr
    absent = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "csot", code=4)
    assert "did you mean 'cost'?" in absent.stderr
    for held in (("--fix", "cost=0"), ("--fix", "cost=1"), ("--bound", "cost=0:2")):
        positive = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "cost", *held, code=4)
        assert "worths in 'cost' need a coefficient of it below zero" in positive.stderr
    started = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "cost", "--start", "cost=1", code=4)
    assert "need a start of its coefficient below zero" in started.stderr
    assert "is empty" in invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "", code=4).stderr

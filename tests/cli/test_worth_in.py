"""``--worth-in``: the mixed logit in willingness-to-pay space on the command line."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_it_goes_with_a_mixed_logit(invoke: Invoke, trips_csv: Path) -> None:
    wrong = invoke("fit", trips_csv, *ROLES, *UTILITY, "--worth-in", "cost", code=4)
    assert "--worth-in" in wrong.stderr
    absent = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "csot", code=4)
    assert "did you mean 'cost'?" in absent.stderr
    for held in (("--fix", "cost=0"), ("--fix", "cost=1"), ("--bound", "cost=0:2")):
        positive = invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "cost", *held, code=4)
        assert "worths in 'cost' need a coefficient of it below zero" in positive.stderr
    assert "is empty" in invoke("fit", trips_csv, *ROLES, *UTILITY, *RANDOM, "--worth-in", "", code=4).stderr

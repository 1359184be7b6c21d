"""``whatif``, ``wtp``, ``elasticities``, ``demand``, ``validate``, ``compare``: the library's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from revealed import read
from revealed.answer import Answer, calibrate, compare, demand_curve, validate, whatif, willingness_to_pay
from revealed.choices import ChoiceLog
from revealed.models import Fit
from tests.cli.conftest import ROLES, Invoke

CHANGE = "cost[mode == 'train'] *= 1.1"


def the_log(path: Path) -> ChoiceLog:
    return read(path, case="trip", alternative="mode", person="who")


def as_json(answer: Answer) -> object:
    """Return an answer as it comes back from JSON, less what names its source."""
    return json.loads(json.dumps({k: v for k, v in answer.to_dict().items() if k not in ("assumptions", "warnings")}))


def told(text: str) -> object:
    return {k: v for k, v in json.loads(text).items() if k not in ("assumptions", "warnings")}


def test_whatif(invoke: Invoke, saved: Path, trips_csv: Path, folder: Path) -> None:
    arguments = (
        "whatif",
        saved,
        trips_csv,
        "--set",
        CHANGE,
        "--set",
        "remove bus",
        "--by",
        "segment",
        "--cost",
        "cost",
    )
    printed = invoke(*arguments, "--report", "w.html", "--out", "w.json")
    expected = whatif(Fit.load(saved), the_log(trips_csv), CHANGE, "remove bus", by="segment", cost="cost")
    assert told(invoke(*arguments, "--json").stdout) == as_json(expected)
    assert told((folder / "w.json").read_text()) == as_json(expected)
    assert "Change of consumer surplus" in printed.stdout
    for segment in ("north", "south", "west"):
        assert segment in printed.stdout
    page = (folder / "w.html").read_text()
    assert "<svg" in page
    assert "remove bus" in page


def test_a_warning_stands_out(invoke: Invoke, saved: Path, trips_csv: Path) -> None:
    result = invoke("whatif", saved, trips_csv, "--set", "cost[mode == 'train'] *= 20")
    assert "Warning: 'cost' of 'train' leaves its observed range" in " ".join(result.stdout.split())


def test_willingness_to_pay(invoke: Invoke, saved: Path) -> None:
    arguments = ("wtp", saved, "time", "--less", "--cost", "cost", "--scale", "60", "--per", "hour")
    expected = willingness_to_pay(Fit.load(saved), "-time", cost="cost", scale=60, per="hour")
    assert told(invoke(*arguments, "--json").stdout) == as_json(expected)
    assert f"{expected['-time'].value:.2f}" in invoke(*arguments).stdout
    assert told(invoke("wtp", saved, "--json", "--", "-time").stdout)["items"][0]["name"] == "-time"  # type: ignore[index]
    several = told(invoke("wtp", saved, "time + cost", "mode[car]", "--less", "--method", "fieller", "--json").stdout)
    assert [item["name"] for item in several["items"]] == ["-(time + cost)", "-mode[car]"]  # type: ignore[index]


def test_willingness_to_pay_at_values(invoke: Invoke, trips_csv: Path) -> None:
    invoke("fit", trips_csv, *ROLES, "--utility", "C(mode) + cost + time + time:income", "--out", "i.json")
    arguments = ("wtp", "i.json", "time", "--at", "income=5", "--json")
    expected = willingness_to_pay(Fit.load("i.json"), "time", cost="cost", at={"income": 5.0})
    assert told(invoke(*arguments).stdout) == as_json(expected)


def test_willingness_to_pay_for_names_in_backticks(invoke: Invoke, trips_csv: Path) -> None:
    trips_csv.write_text(trips_csv.read_text().replace('"time"', '"travel.time"', 1))
    invoke("fit", trips_csv, *ROLES, "--utility", "cost + `travel.time`", "--out", "i.json")
    one, other = (
        told(invoke("wtp", "i.json", name, "--less", "--json").stdout) for name in ("`travel.time`", "travel.time")
    )
    assert one["items"][0]["worth"] == other["items"][0]["worth"]  # type: ignore[index]


def test_elasticities(invoke: Invoke, saved: Path, trips_csv: Path, folder: Path) -> None:
    arguments = ("elasticities", saved, trips_csv, "--attribute", "cost")
    expected = Fit.load(saved).elasticities(the_log(trips_csv), "cost")
    assert told(invoke(*arguments, "--json").stdout) == as_json(expected)
    assert "share of" in invoke(*arguments).stdout
    assert "standard error" in invoke(*arguments, "--details", "--report", "e.md").stdout
    assert "Elasticities with respect to cost" in (folder / "e.md").read_text()
    arc = told(invoke(*arguments, "--arc", "0.1", "--of", "train", "--json").stdout)
    assert {item["of"] for item in arc["items"]} == {"train"}  # type: ignore[index]
    assert arc["arc"] == 0.1  # type: ignore[index]


def test_demand(invoke: Invoke, saved: Path, trips_csv: Path, folder: Path) -> None:
    arguments = (
        "demand",
        saved,
        trips_csv,
        "--alternative",
        "train",
        "--from",
        0.5,
        "--to",
        4.5,
        "--steps",
        5,
        "--price",
    )
    expected = demand_curve(Fit.load(saved), the_log(trips_csv), "cost", "train", [0.5, 1.5, 2.5, 3.5, 4.5], price=True)
    assert told(invoke(*arguments, "--json").stdout) == as_json(expected)
    printed = invoke(*arguments, "--report", "d.html").stdout
    assert expected.best is not None
    assert f"Best price: {expected.best.price.value:.4g}" in printed
    assert "<svg" in (folder / "d.html").read_text()


def test_validate(invoke: Invoke, saved: Path, trips_csv: Path, folder: Path) -> None:
    arguments = ("validate", saved, trips_csv, "--folds", 3, "--seed", 2, "--bins", 4)
    fit = Fit.load(saved)
    expected = validate(fit.model, the_log(trips_csv), folds=3, seed=2, bins=4)
    assert told(invoke(*arguments, "--json").stdout) == as_json(expected)
    printed = invoke(*arguments, "--report", "v.html").stdout
    assert "Held-out validation" in printed
    assert "Market shares" in printed
    assert "<svg" in (folder / "v.html").read_text()
    as_is = told(invoke("validate", saved, trips_csv, "--as-is", "--bins", 4, "--json").stdout)
    assert as_is == as_json(calibrate(fit, the_log(trips_csv), bins=4))


def test_compare(invoke: Invoke, saved: Path, trips_csv: Path) -> None:
    invoke("fit", trips_csv, *ROLES, "--utility", "cost", "--out", "small.json")
    expected = compare(Fit.load(saved), Fit.load("small.json"), labels=["fit", "small"])
    assert told(invoke("compare", saved, "small.json", "--json").stdout) == as_json(expected)
    assert "***" in invoke("compare", saved, "small.json", "--stars").stdout
    named = json.loads(invoke("compare", saved, saved, "--label", "a", "--label", "b", "--json").stdout)
    assert named["fits"] == ["a", "b"]


def test_the_same_fit_twice_can_be_compared(invoke: Invoke, saved: Path) -> None:
    assert json.loads(invoke("compare", saved, saved, "--json").stdout)["warnings"] == []


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_levels(invoke: Invoke, saved: Path, level: float) -> None:
    data = json.loads(invoke("wtp", saved, "time", "--level", level, "--json").stdout)
    expected = willingness_to_pay(Fit.load(saved), "time", cost="cost", level=level)
    assert data["items"][0]["worth"]["high"] == expected["time"].high

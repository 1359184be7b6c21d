"""``revealed blp`` and ``revealed markets``: the same numbers as the library."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from revealed.answer import market_merger, market_substitution
from revealed.cli.blp import starts_of
from revealed.errors import SpecificationError
from revealed.models.blp import BlpFit
from tests.cli.conftest import Invoke
from tests.models.blp.market_worlds import STARTS, made, simple

DEMAND = ("--linear", "1 + prices + quality", "--random", "1 + prices + quality", "--demographics", "income")
SPREAD = ("--sigma", "1=0.5", "--sigma", "quality=0.3", "--pi", "prices,income=0.2")


@pytest.fixture
def tables(folder: Path) -> tuple[str, ...]:
    for name, table in zip(("products", "agents"), made(0, n_markets=15), strict=True):
        pa_csv.write_csv(pa.table(table), folder / f"{name}.csv")
    return ("products.csv", "--agents", "agents.csv")


def test_it_is_the_library_s_fit(invoke: Invoke, tables: tuple[str, ...]) -> None:
    result = invoke("blp", *tables, *DEMAND, *SPREAD, "--out", "fit.json", "--report", "fit.html")
    theirs = simple().fit(*made(0, n_markets=15), **STARTS)
    ours = BlpFit.load("fit.json")
    assert ours.names == theirs.names
    assert ours.params == pytest.approx(theirs.params, rel=1e-6)
    assert "pi[prices, income]" in result.stdout
    assert Path("fit.html").exists()
    asked = invoke("markets", "fit.json", "--merge", "2=1", "--market", "3", "--out", "told.json", "--json")
    told = json.loads(Path("told.json").read_text())
    assert json.loads(asked.stdout) == told
    titles = [answer["title"] for answer in told["answers"]]
    assert titles[0] == "Over all products"
    assert titles[2:4] == ["Price elasticities in 3", "Diversion in 3"]
    found = [item["estimate"]["value"] for item in told["answers"][0]["items"]]
    assert found == [item.estimate.value for item in market_substitution(ours).items]
    merged = [item["estimate"]["low"] for item in told["answers"][4]["items"]]
    assert merged == [item.estimate.low for item in market_merger(ours, {2: 1}).items]


def test_what_is_wrong_is_told(invoke: Invoke, tables: tuple[str, ...]) -> None:
    Path("none.json").write_text('{"revealed": 1}')
    assert "no saved demand on market shares" in invoke("markets", "none.json", code=3).stderr
    wrong = invoke("blp", *tables, *DEMAND, "--sigma", "sugar=1", code=4)
    assert "no random coefficient 'sugar'" in wrong.stderr


def test_starts() -> None:
    assert starts_of(["1=0.5", "a,1=0.2"], "--sigma", alone=True) == {"1": {"1": 0.5}, "a": {"1": 0.2}}
    assert starts_of(["f(a, b),income=1"], "--pi", alone=False) == {"f(a, b)": {"income": 1.0}}
    with pytest.raises(SpecificationError, match="without a demographic"):
        starts_of(["prices=1"], "--pi", alone=False)

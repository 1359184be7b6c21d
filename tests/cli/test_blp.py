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


@pytest.mark.parametrize(
    ("table", "column", "cell", "told"),
    [
        ("products", "prices", "abc", "holds labels, not numbers: abc [prices; row 3]"),
        ("products", "prices", "1e300", "missing or not finite [prices; row 3]"),
        ("products", "quality", "1e300", "missing or not finite [quality; row 3]"),
        ("products", "firm_ids", "", "an id is missing [firm_ids; row 3]"),
        ("products", "shares", "0", "a share is zero or less, in market 0 [shares; row 3]"),
        ("agents", "income", "1e300", "missing or not finite [income; row 3]"),
        ("agents", "market_ids", "", "an id is missing [market_ids; row 3]"),
    ],
)
def test_bad_cells(invoke: Invoke, tables: tuple[str, ...], table: str, column: str, cell: str, told: str) -> None:
    rows = [line.split(",") for line in Path(f"{table}.csv").read_text().splitlines()]
    rows[3][rows[0].index(f'"{column}"')] = cell
    Path(f"{table}.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    error = json.loads(invoke("blp", *tables, *DEMAND, *SPREAD, "--out", "fit.json", "--json", code=3).stdout)["error"]
    assert told in error["message"]
    assert table in error["message"]
    assert not Path("fit.json").exists()


def test_bad_tables(invoke: Invoke, tables: tuple[str, ...]) -> None:
    lines = Path("products.csv").read_text().splitlines()
    Path("none.csv").write_text(lines[0] + "\n")
    assert "the table has no rows" in invoke("blp", "none.csv", "--linear", "1 + prices", code=3).stderr
    named = [lines[0] + ",product_ids", *(f"{line},{place}" for place, line in enumerate(lines[1:])), lines[1] + ",0"]
    Path("twice.csv").write_text("\n".join(named) + "\n")
    told = invoke("blp", "twice.csv", "--linear", "1 + prices", code=3).stderr
    assert f"a product stands in a market twice [product_ids; row {len(lines)}]" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--linear", "0"), "has no terms"),
        (("--linear", "1 + prices", "--random", "prices"), "none of the random coefficients of 'prices' has a start"),
        (("--linear", "1 + prices", "--log-costs"), "log_costs is of marginal costs and there are none"),
        (("--linear", "1 + prices", "--cost-floor", "0.1"), "cost_floor is of marginal costs and there are none"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    invoke: Invoke, tables: tuple[str, ...], options: tuple[str, ...], told: str
) -> None:
    assert told in " ".join(invoke("blp", *tables, *options, code=4).stderr.split())


def test_a_search_that_loses_its_way(invoke: Invoke, tables: tuple[str, ...]) -> None:
    # At this start nobody minds one of the prices, and no mark-up is the best one.
    supply = ("--linear", "1 + prices + quality", "--costs", "1 + steel", "--beta", "prices=0")
    assert "the objective is not finite at the starts" in invoke("blp", *tables, *supply, code=4).stderr
    lines = Path("products.csv").read_text().splitlines()
    Path("one.csv").write_text("\n".join([lines[0], *(line for line in lines if line.startswith("0,"))]) + "\n")
    options = ("--agents", "agents.csv", "--linear", "1 + prices", "--random", "prices", "--sigma", "prices=1")
    assert "the search left the tastes" in " ".join(invoke("blp", "one.csv", *options, code=4).stderr.split())


def test_starts() -> None:
    assert starts_of(["1=0.5", "a,1=0.2"], "--sigma", alone=True) == {"1": {"1": 0.5}, "a": {"1": 0.2}}
    assert starts_of(["f(a, b),income=1"], "--pi", alone=False) == {"f(a, b)": {"income": 1.0}}
    with pytest.raises(SpecificationError, match="without a demographic"):
        starts_of(["prices=1"], "--pi", alone=False)

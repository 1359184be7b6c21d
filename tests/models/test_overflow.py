"""Numbers so large that sums overflow: the error names the number, whatever the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revealed.choices import ChoiceLog, scan
from revealed.errors import DataError, SpecificationError
from revealed.evidence import Gaussian
from revealed.models import LatentClass, Logit, Mixed, Model, Nested
from tests.worlds import COLUMNS, trips, trips_table

UTILITY = "cost + time"
MODELS: dict[str, Callable[..., Model]] = {
    "logit": lambda **options: Logit(UTILITY, **options),
    "nested": lambda **options: Nested(UTILITY, nests={"land": ["train", "car"]}, **options),
    "mixed": lambda **options: Mixed(UTILITY, random={"time": "normal"}, draws=4, **options),
    "latent": lambda **options: LatentClass(UTILITY, starts=1, **options),
}


def changed(column: str, row: int, value: float, **options: Any) -> ChoiceLog:
    """Return trips with one cell changed."""
    table = trips_table(40, seed=3)
    cells = table.column(column).to_numpy().astype(np.float64)
    cells[row] = value
    place = table.column_names.index(column)
    table = table.set_column(place, column, pa.array(cells))
    return ChoiceLog.from_table(table, replace(COLUMNS, **options), source="trips")


@pytest.mark.parametrize("name", MODELS)
def test_a_huge_attribute_is_named_with_its_case(name: str) -> None:
    log = changed("cost", 31, -1e200)
    with pytest.raises(DataError, match="I\\(cost / 1e200\\)") as raised:
        MODELS[name]().fit(log)
    (problem,) = raised.value.problems
    assert problem.what == "cost is -1e+200, and its square is beyond what numbers hold"
    assert (problem.where, problem.cases) == ("cost", ("10",))


def test_what_nobody_could_choose_is_not_blamed() -> None:
    available = trips(40, seed=3, available="open").available
    assert available is not None
    away = changed("cost", int(np.flatnonzero(~available)[0]), 1e250, available="open")
    assert Logit(UTILITY).fit(away).status.converged
    there = int(np.flatnonzero(available)[-1])
    with pytest.raises(DataError, match=f"case {there // 3}"):
        Logit(UTILITY).fit(changed("cost", there, 1e200, available="open"))


def test_a_huge_weight_is_named() -> None:
    table = trips_table(40, seed=3)
    weights = np.repeat(np.where(np.arange(40) == 7, 1e300, 1.0), 3)
    place = table.column_names.index("weight")
    table = table.set_column(place, "weight", pa.array(weights))
    log = ChoiceLog.from_table(table, replace(COLUMNS, weight="weight"), source="trips")
    with pytest.raises(DataError, match=r"a weight of 1e\+300 .*\[case 7\]\n.*divide the weights by their mean"):
        Logit(UTILITY).fit(log)


def test_a_stream_is_searched_too(tmp_path: Path) -> None:
    pq.write_table(changed("cost", 31, 1e200).table, tmp_path / "trips.parquet")
    with pytest.raises(DataError, match=r"cost is 1e\+200.*\[cost; case 10\]"):
        Logit(UTILITY).fit(scan(tmp_path / "trips.parquet", COLUMNS))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("what", ["fixed", "start"])
def test_a_huge_parameter_is_refused_by_name(name: str, what: str) -> None:
    parameter = "class1.cost" if name == "latent" else "cost"
    with pytest.raises(SpecificationError, match=f"the {what} value of '{parameter}' must be below 1e\\+100 in size"):
        MODELS[name](**{what: {parameter: 1e300}}).fit(trips(40))


def test_bounds_far_out_are_told_as_starts() -> None:
    with pytest.raises(SpecificationError, match=r"'cost' starts at 1e\+300, with which utilities are beyond"):
        Logit(UTILITY, bounds={"cost": (1e300, None)}).fit(trips(40))


def test_otherwise_all_that_may_be_the_cause_is_told() -> None:
    with pytest.raises(SpecificationError, match=r"'nest\[land\]' is held at 1e-300; the largest of .* in case"):
        MODELS["nested"](fixed={"nest[land]": 1e-300}, bounds={"nest[land]": (1e-300, 1.0)}).fit(trips(40))
    with pytest.raises(SpecificationError, match=r"\('time' starts at 800; the largest of"):
        Mixed(UTILITY, random={"time": "lognormal"}, draws=4, start={"time": 800.0}).fit(trips(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": {"cost": (0.0, 1e-200)}}, "'cost' must be above zero, not 1e-200; one below 1e-50 holds it: fix it"),
        ({"prior": {"cost": (1e300, 1.0)}}, r"prior mean of 'cost' must be below 1e\+50 in size, not 1e\+300"),
        ({"prior": {"cost": (float("nan"), 1.0)}}, "prior mean of 'cost' must be below"),
        ({"ridge": 1e308}, r"a ridge of 1e\+308 holds all parameters at zero"),
    ],
)
def test_beliefs_that_overflow_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Logit(UTILITY, **options).fit(trips(40))


def test_a_belief_too_wide_to_matter_is_none() -> None:
    assert not Gaussian.independent({"cost": (3.0, 1e200)}, ["cost"]).precision.any()

"""Wide tables become long ones as their form says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices import Wide, from_wide
from revealed.errors import DataError, OutputError, SpecificationError

TABLE: dict[str, list[Any]] = {
    "id": [7, 7, 8, 9],
    "choice": [1, 3, 2, 1],
    "train_time": [100, 120, 90, 80],
    "car_time": [50, 60, 70, 80],
    "bus time": [10, 20, 30, 40],
    "train_cost": [4.0, 5.0, 6.0, 7.0],
    "car_cost": [1.0, 2.0, 3.0, 4.0],
    "car_ok": [1, 0, 1, 1],
    "pass": [0, 1, 0, 1],
    "income": [30, 30, 40, 50],
    "region": ["north", "north", "south", "west"],
    "weight": [1.0, 1.0, 2.0, 3.0],
}
FORM = Wide(
    alternatives={"train": 1, "car": 2, "bus": 3},
    choice="choice",
    person="id",
    weight="weight",
    attributes={
        "time": {"train": "train_time", "car": "car_time / 2", "bus": "bus time"},
        "cost": {"train": "train_cost * (`pass` == 0)", "car": "car_cost", "bus": 1.5},
        "kind": {"train": "'rail'", "car": "region", "bus": "'road'"},
    },
    available={"train": 1, "car": "car_ok", "bus": 1},
)


def test_wide_to_long() -> None:
    log = from_wide(TABLE, FORM)
    assert log.columns.roles() == {
        "case": "case",
        "alternative": "alternative",
        "chosen": "chosen",
        "person": "id",
        "available": "available",
        "weight": "weight",
    }
    assert log.attribute_names == ("time", "cost", "kind", "income")
    assert log.case_labels.to_pylist() == [1, 2, 3, 4]
    assert log.table["alternative"].to_pylist() == ["train", "car", "bus"] * 4
    assert log.chosen.reshape(4, 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert log.numbers("time").reshape(4, 3).tolist() == [[100, 25, 10], [120, 30, 20], [90, 35, 30], [80, 40, 40]]
    assert log.numbers("cost").reshape(4, 3).tolist() == [[4, 1, 1.5], [0, 2, 1.5], [6, 3, 1.5], [0, 4, 1.5]]
    assert log.table["kind"].to_pylist()[:6] == ["rail", "north", "road", "rail", "north", "road"]
    assert log.available is not None
    assert np.flatnonzero(~log.available).tolist() == [4]
    assert log.weights is not None
    assert log.weights.tolist() == [1, 1, 2, 3]
    assert log.facts.n_persons == 3


def test_templates_columns_kept_and_filters() -> None:
    form = Wide(
        alternatives={"train": "1", "car": 2.0},  # codes are matched as text
        choice="choice",
        attributes={"time": "{alternative}_time / 10", "code": "{code}"},
        keep=["region", "pass"],
        where="choice != 3 and income >= 40",
    )
    log = from_wide(TABLE, form)
    assert log.numbers("time").tolist() == [9, 7, 8, 8]
    assert log.numbers("code").tolist() == [1, 2, 1, 2]
    assert log.attribute_names == ("time", "code", "region", "pass")
    assert log.case_labels.to_pylist() == [3, 4]  # the numbers of the source's rows
    assert log.row_numbers(np.arange(4)).tolist() == [3, 3, 4, 4]


def test_counts_per_alternative() -> None:
    table = {"shop": ["a", "b"], "n_red": [3, 0], "n_blue": [1, 2]}
    form = Wide(alternatives={"red": 0, "blue": 1}, chosen="n_{alternative}", case="shop")
    log = from_wide(table, form, counts=True)
    assert log.facts.n_choices == 6
    assert dict(log.facts.chosen) == {"blue": 3.0, "red": 3.0}
    assert log.case_labels.to_pylist() == ["a", "b"]


def test_choice_codes_of_text() -> None:
    form = Wide(alternatives={"by rail": "T", "by road": "C"}, choice="mode")
    log = from_wide({"mode": ["T", "C", "T"]}, form)
    assert dict(log.facts.chosen) == {"by rail": 2.0, "by road": 1.0}
    with pytest.raises(DataError, match="where=\"mode != 'X'\""):
        from_wide({"mode": ["T", "X"]}, form)


def test_codes_that_stand_for_nothing() -> None:
    table = TABLE | {"choice": [1, 0, None, 9]}
    with pytest.raises(DataError) as caught:
        from_wide(table, FORM)
    assert [(problem.what, problem.rows) for problem in caught.value.problems] == [
        ("the choice code 0 stands for no alternative", (2,)),
        ("the choice code 9 stands for no alternative", (4,)),
        ("no choice", (3,)),
    ]
    assert 'where="choice != 0"' in caught.value.problems[0].remedy


def test_unknown_columns_all_at_once() -> None:
    form = replace(
        FORM,
        person="idd",
        keep=["incme"],
        where="regoin == 'north'",
        attributes={"time": "{alternative}_time", "cost": {"train": "train_cst + 1", "car": "1 +", "bus": 0}},
    )
    with pytest.raises(DataError) as caught:
        from_wide(TABLE, form)
    assert [(p.what, p.where) for p in caught.value.problems if "cannot read" not in p.what] == [
        ("no column 'idd'", "person"),
        ("no column 'incme'", "keep"),
        ("no column 'regoin'", "where"),
        ("no column 'bus_time'", "attribute 'time' of 'bus'"),
        ("no column 'train_cst'", "attribute 'cost' of 'train'"),
    ]
    assert any(p.where == "attribute 'cost' of 'car'" for p in caught.value.problems)
    assert caught.value.problems[0].remedy == "did you mean 'id'?"


def test_problems_of_cells_name_the_wide_row() -> None:
    table = TABLE | {"car_ok": [1, 0, 0, 1], "car_cost": [1.0, None, 3.0, None]}
    with pytest.raises(DataError) as caught:
        from_wide(table, FORM, attributes=["cost"])
    assert [(p.what, p.rows) for p in caught.value.problems] == [
        ("chosen but not available", (3,)),
        ("missing cells", (4,)),
    ]


def test_names_that_are_taken() -> None:
    with pytest.raises(DataError, match="the column 'alternative' has the name of one that the wide form makes"):
        from_wide(TABLE | {"alternative": [1, 2, 3, 4]}, FORM)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alternatives": {}}, "names no alternatives"),
        ({"chosen": "{alternative}_n"}, "give either choice"),
        ({"choice": None}, "give either choice"),
        ({"alternatives": {"train": 1, "car": 1.0, "bus": 3}}, "the code 1 stands for more than one alternative"),
        ({"attributes": {"cost": {"train": 1, "car": 1}}}, "attribute 'cost' says nothing of bus; write 0"),
        (
            {"attributes": {"cost": {"train": 1, "car": 1, "bus": 1, "trian": 2}}},
            "given for 'trian'; did you mean 'train'",
        ),
        ({"attributes": {"chosen": 1}}, "'chosen' has the name of a role"),
    ],
)
def test_unsound_forms(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        replace(FORM, **change)


def test_text_and_numbers_do_not_mix() -> None:
    form = replace(FORM, attributes={"kind": {"train": "region", "car": 1, "bus": "'x'"}})
    with pytest.raises(SpecificationError, match="train text, car numbers, bus text"):
        from_wide(TABLE, form)


@pytest.mark.parametrize("suffix", ["toml", "json"])
@pytest.mark.parametrize(
    "form", [FORM, Wide({"ein Zug": 'a"b\\', "Ü\x7f": 2}, choice="Wahl der\nWege", keep=[], where="x == 'y'")]
)
def test_forms_to_file_and_back(tmp_path: Path, suffix: str, form: Wide) -> None:
    path = form.to_file(tmp_path / f"form.{suffix}")
    assert Wide.from_file(path) == form
    if form is FORM:
        assert from_wide(TABLE, path).table == from_wide(TABLE, FORM).table


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("alternatives = [", DataError, "cannot be read"),
        ("choice = 'c'", SpecificationError, "needs a table of alternatives"),
        ("choise = 'c'\n[alternatives]\na = 1", SpecificationError, "no entry 'choise'; did you mean 'cho"),
        ("choice = 3\n[alternatives]\na = 1", SpecificationError, "choice is a text, not 3"),
        ("choice = 'c'\nattributes = 'x'\n[alternatives]\na = 1", SpecificationError, "needs a table of attributes"),
        ("[alternatives]\na = 1", SpecificationError, "form.toml: the wide form is not sound: give either choice"),
    ],
)
def test_forms_that_cannot_be_read(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    (tmp_path / "form.toml").write_text(content)
    with pytest.raises(error, match=message):
        Wide.from_file(tmp_path / "form.toml")
    with pytest.raises(DataError, match=r"did you mean 'form\.toml'"):
        Wide.from_file(tmp_path / "from.toml")


def test_form_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        FORM.to_file(tmp_path / "nowhere" / "form.toml")


@given(st.integers(1, 6), st.integers(1, 40), st.randoms(use_true_random=False))
def test_long_is_the_wide_cell_by_cell(size: int, n_rows: int, random: Any) -> None:
    labels = [f"mode {j}" for j in range(size)]
    cost = [[random.uniform(0, 9) for _ in labels] for _ in range(n_rows)]
    choice = [random.randrange(size) for _ in range(n_rows)]
    table = {"taken": choice} | {f"cost {label}": [row[j] for row in cost] for j, label in enumerate(labels)}
    form = Wide({label: j for j, label in enumerate(labels)}, choice="taken", attributes={"cost": "cost {alternative}"})
    log = from_wide(pa.table(table), form)
    assert log.numbers("cost").reshape(n_rows, size).tolist() == cost
    assert log.chosen.reshape(n_rows, size).argmax(axis=1).tolist() == choice
    assert log.uniform_size == size

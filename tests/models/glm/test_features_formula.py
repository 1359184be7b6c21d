"""Formulas as feature spaces: the same as the fields they stand for, on records, tables and frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features import FeatureSpace

RECORDS = [
    {"item": "tea", "price": 2.0, "segment": "old", "item.kind": "drink"},
    {"item": "jam", "price": 3.0, "segment": "young", "item.kind": "food"},
    {"item": "tea", "price": 8.0, "segment": "young", "item.kind": "drink"},
]


def test_a_formula_is_the_fields_it_names() -> None:
    formula = FeatureSpace.from_formula("C(item) + price + C(segment):C(item) + C(`item.kind`)*price")
    fields = FeatureSpace.of(
        numeric=["price"],
        categorical=["item", "item.kind", "segment"],
        interactions=["segment:item", "item.kind:price"],
    )
    rows, formula = formula.grow(RECORDS)
    others, fields = fields.grow(RECORDS)
    assert sorted(set(fields.names) - set(formula.names)) == ["segment=old", "segment=young"]  # no C(segment) there
    by_name = dict(zip(formula.names, rows.dense().T, strict=True))
    theirs = dict(zip(fields.names, others.dense().T, strict=True))
    assert all(np.array_equal(column, theirs[name]) for name, column in by_name.items())


def test_expressions_are_computed() -> None:
    space = FeatureSpace.from_formula("log(price) + I(price * (segment == 'old')) + I(price**2):C(item) - 1")
    rows, space = space.grow(RECORDS)
    assert space.names == ("log(price)", "price * (segment == 'old')", "price ** 2:item=tea", "price ** 2:item=jam")
    price = np.array([2.0, 3.0, 8.0])
    expected = [np.log(price), [2, 0, 0], [4, 0, 64], [0, 9, 0]]
    assert np.array_equal(rows.dense(), np.transpose(expected))
    columns = {name: pa.array([record[name] for record in RECORDS]) for name in ("item", "price", "segment")}
    assert np.array_equal(space.rows_from_columns(columns).dense(), rows.dense())
    again = FeatureSpace.from_json(space.to_json())
    for i, record in enumerate(RECORDS):
        assert np.array_equal(again.rows([record]).dense()[0], rows.dense()[i])
    with pytest.raises(DataError, match=r"NaN or infinite \[feature 'log\(price\)'; row 2\]\n.*logarithms"):
        space.rows([RECORDS[0], RECORDS[1] | {"price": -1.0}])
    with pytest.raises(DataError, match="no value .feature 'price'; row 1"):
        space.rows([RECORDS[0] | {"price": None}])


def test_an_optional_source_that_is_missing_gives_no_feature() -> None:
    space = FeatureSpace.from_formula("log(price) + C(item)", optional=["price"])
    _, space = space.grow(RECORDS)
    rows = space.rows([RECORDS[0], {"item": "tea"}, {"item": "jam", "price": None}])
    assert [
        space.index("log(price)") in rows.index[a:b] for a, b in zip(rows.starts, rows.starts[1:], strict=False)
    ] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("data", [RECORDS, pa.Table.from_pylist(RECORDS), pd.DataFrame(RECORDS)], ids=type)
def test_data_tell_what_is_text(data: Any) -> None:
    space = FeatureSpace.from_formula("item + price + segment:price", data)
    _, space = space.grow(RECORDS)
    assert space.names[:2] == ("1", "price")
    assert set(space.names[2:]) == {"item=tea", "item=jam", "segment=old:price", "segment=young:price"}
    with pytest.raises(SpecificationError, match="no field 'pirce' in the data; did you mean 'price'"):
        FeatureSpace.from_formula("item + pirce", data)


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("", {}, "features are a formula"),
        ("a +", {}, "cannot read the formula"),
        ("a:b:c", {}, "of 3 fields; interactions are of two"),
        ("C(a, Treatment('x'))", {}, "no reference level here"),
        ("a + C(a)", {}, "'a' is a number and a label"),
        ("I(2 + 3)", {}, "names no field"),
        ("a.b", {}, "not allowed|cannot read"),
        ("y ~ x", {}, "no left side"),
        ("a + b", {"optional": ["c"]}, "optional names no field 'c'"),
        ("C(a) + b", {"hashed": {"b": 3}}, "holds numbers"),
    ],
)
def test_formulas_that_cannot_be_are_refused(formula: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        FeatureSpace.from_formula(formula, **options)


def test_a_computed_field_of_labels_alone_is_refused() -> None:
    with pytest.raises(SpecificationError, match=r"holds labels, not numbers; write C\(item\)"):
        FeatureSpace.from_formula("I(item)").rows(RECORDS)

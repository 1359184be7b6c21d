"""Expressions on columns: arithmetic, labels, and nothing that runs code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices.expression import FUNCTIONS, Labels, evaluate, names_in
from revealed.errors import SpecificationError

COST = np.array([1.0, 2.0, 4.0])
MODE = Labels(np.array([0, 1, 0]), ("train", "car"))
COLUMNS = {"cost": COST, "mode": MODE, "travel time": 10 * COST}


def value(expression: str) -> object:
    return evaluate(expression, COLUMNS.__getitem__)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cost / 2 + 1", COST / 2 + 1),
        ("-cost ** 2 % 3", -(COST**2) % 3),
        ("cost // 2", COST // 2),
        ("log(`travel time`) - sqrt(cost)", np.log(10 * COST) - np.sqrt(COST)),
        ("1 < cost <= 2", [False, True, False]),
        ("mode == 'train'", [True, False, True]),
        ("mode != 'train' or cost > 3", [False, True, True]),
        ("mode in ['train', 'car'] and not cost == 1", [False, True, True]),
        ("mode not in ['car']", [True, False, True]),
        ("(cost > 1) & ~(cost > 2) | (cost == 4)", [False, True, True]),
        ("cost * (mode == 'car')", [0.0, 2.0, 0.0]),
        ("where(cost > 1, min(cost, 3), 0)", [0.0, 2.0, 3.0]),
        ("clip(cost, 1.5, 3)", [1.5, 2.0, 3.0]),
        ("'car' == mode", [False, True, False]),
        ("mode == mode", [True, True, True]),
    ],
)
def test_arithmetic_is_numpys(expression: str, expected: object) -> None:
    np.testing.assert_allclose(np.asarray(value(expression), dtype=float), np.asarray(expected, dtype=float))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("__import__('os')", "no function"),
        ("cost.real", "Attribute is not allowed"),
        ("(lambda: 1)()", "only plain calls"),
        ("[c for c in cost]", "ListComp is not allowed"),
        ("log(cost, cost)", "takes 1 argument"),
        ("log(x=cost)", "only plain calls"),
        ("cost[0]", "Subscript is not allowed"),
        ("f'{cost}'", "not allowed"),
        ("b'x'", "not allowed"),
        ("1j * cost", "not allowed"),
        ("cost @ cost", "MatMult is not allowed"),
        ("cost is None", "Is is not allowed|not allowed"),
        ("mode + 1", "only be compared"),
        ("mode > 'a'", "only be compared"),
        ("mode == 'trian'", "did you mean 'train'"),
        ("cost == 'train'", "without quotes"),
        ("cost in mode", "needs a list"),
        ("lgo(cost)", "did you mean 'log'"),
        ("cost +", "cannot read"),
        ("", "cannot read"),
        ("-" * 5_000 + "cost", "nested too deeply|cannot read"),
        ("(" * 500 + "cost" + ")" * 500, "cannot read"),
    ],
)
def test_all_else_is_refused(expression: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        value(expression)


def test_a_part_of_a_column_need_not_hold_every_label() -> None:
    part = Labels(np.array([0]), ("train",), strict=False)
    np.testing.assert_array_equal(evaluate("mode == 'bus'", {"mode": part}.__getitem__), [False])


def test_names_come_in_order_once() -> None:
    assert names_in("b + log(a) * b - `the price`") == ("b", "a", "the price")


def test_no_function_writes_on_its_argument() -> None:
    for name, (_, arity) in FUNCTIONS.items():
        before = COST.copy()
        evaluate(f"{name}({', '.join(['cost'] * arity)})", COLUMNS.__getitem__)
        np.testing.assert_array_equal(before, COST)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_evaluate_or_be_refused(text: str) -> None:
    def lookup(name: str) -> np.ndarray:
        if name != "cost":
            raise SpecificationError(f"no column {name!r}")
        return COST

    try:
        evaluate(text, lookup)
    except SpecificationError:
        return

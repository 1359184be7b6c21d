"""Numbers as text: nothing that matters is lost, and columns of them line up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.answer.table import Column, Table
from revealed.report.numbers import cells_as_text, halves, number_as_text, table_as_text

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9)


def back(text: str) -> float:
    return float(text.replace(",", "").rstrip("%"))


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_number_keeps_two_digits_at_least_and_its_sign(values: list[float]) -> None:
    for value, text in zip(values, cells_as_text(Column("x"), values), strict=True):
        assert back(text) == pytest.approx(value, rel=0.05, abs=1e-12)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8))
def test_typical_numbers_keep_four_digits(values: list[float]) -> None:
    typical = sorted(values)[(len(values) - 1) // 2]
    text = cells_as_text(Column("x"), values)[values.index(typical)]
    assert back(text) == pytest.approx(typical, rel=6e-4)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_shares_are_percent_and_never_a_negative_zero(values: list[float]) -> None:
    for value, text in zip(values, cells_as_text(Column("x", "share"), values), strict=True):
        assert text.endswith("%")
        assert back(text) / 100 == pytest.approx(value, abs=0.00051)
        assert not (text.startswith("-") and back(text) == 0)


@pytest.mark.parametrize(
    ("column", "cells", "shown"),
    [
        (Column("x"), [5.2074, -0.0155, -0.0961, 0.0133], ["5.20740", "-0.01550", "-0.09610", "0.01330"]),
        (Column("x"), [-5331.25178, 0.2345], ["-5,331.25", "0.23"]),
        (Column("x"), [3, 2.5], ["3", "2.5000"]),
        (Column("x"), [0.0, 1.0, 2.0], ["0", "1", "2"]),
        (Column("x"), [None, float("nan"), "fixed", math.inf, -math.inf], ["", "n/a", "fixed", "∞", "-∞"]),
        (Column("x"), [1e-9, 1e20], ["1.00e-09", "1.00e+20"]),
        (Column("x", "statistic"), [-23.4135, 0.031], ["-23.41", "0.03"]),
        (Column("x", "p-value"), [0.04999, 0.00001, 1.0], ["0.0500", "<0.0001", "1.0000"]),
        (Column("x", "integer"), [1234567.0, 12], ["1,234,567", "12"]),
        (Column("x", "share"), [0.256, 0.744], ["25.6%", "74.4%"]),
        (Column("x", "share"), [-0.0084, 0.0057], ["-0.84%", "0.57%"]),
        (Column("x", "points"), [-0.124, 0.0651], ["-12.4", "6.5"]),
        (Column("x", "points"), [-0.0084, -0.00001], ["-0.84", "0.00"]),
    ],
)
def test_kinds(column: Column, cells: list[float | str | None], shown: list[str]) -> None:
    assert cells_as_text(column, cells) == shown


def test_an_estimate_and_its_error_get_the_same_decimals() -> None:
    columns = (Column("estimate"), Column("error"), Column("count"))
    table = Table("", columns, ((0.154633, 0.0432114, 5000.0), (-1.083791, 0.0682258, 6000.0)))
    assert table_as_text(table) == [["0.1546", "0.0432", "5,000"], ["-1.0838", "0.0682", "6,000"]]


def test_a_single_number() -> None:
    assert number_as_text(0.5) == "0.5000"
    assert number_as_text(120.0) == "120"


@given(st.lists(NUMBERS, min_size=1))
def test_halves_make_the_whole(values: list[float]) -> None:
    texts = cells_as_text(Column("x"), values)
    cut = halves(texts)
    assert ["".join(part) for part in cut] == texts
    assert all("." not in part.whole for part in cut)

"""The exact sum: a commutative group whatever the numbers, rounded once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from revealed.errors import EvidenceError
from revealed.evidence import ExactSum

numbers = st.floats(min_value=-1e280, max_value=1e280, allow_nan=False)
rows = st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, 3), elements=numbers))


@given(rows, st.randoms())
def test_any_order_and_any_cut_gives_the_same_bits(terms: np.ndarray, random: object) -> None:
    order = list(range(len(terms)))
    random.shuffle(order)  # type: ignore[attr-defined]
    cut = random.randint(0, len(terms))  # type: ignore[attr-defined]
    whole = ExactSum.of(terms)
    parts = ExactSum.of(terms[order][:cut]) + ExactSum.of(terms[order][cut:])
    assert parts == whole
    assert parts.value().tobytes() == whole.value().tobytes()


@given(rows, rows, rows)
def test_group_laws(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = ExactSum.of(a), ExactSum.of(b), ExactSum.of(c)
    zero = ExactSum.zero(3)
    assert (x + y) + z == x + (y + z)
    assert x + y == y + x
    assert x + zero == x
    assert x - x == zero
    assert (x + y) - y == x
    assert hash(x + y) == hash(y + x)


@given(rows)
def test_the_value_is_the_true_sum_to_the_last_bit_but_one(terms: np.ndarray) -> None:
    value = ExactSum.of(terms).value()
    for column in range(3):
        true = sum(map(Fraction, terms[:, column]), Fraction(0))
        assert abs(Fraction(value[column]) - true) <= abs(true) * Fraction(1, 2**52) + Fraction(1, 2**1074)


@given(arrays(np.float64, (1, 4), elements=numbers))
def test_one_term_comes_back_as_it_was(term: np.ndarray) -> None:
    assert np.array_equal(ExactSum.of(term).value(), term[0])


@given(rows)
def test_json_keeps_every_bit(terms: np.ndarray) -> None:
    total = ExactSum.of(terms)
    assert ExactSum.from_dict(total.to_dict()) == total


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(EvidenceError, match="not finite"):
        ExactSum.of(np.array([[1.0, bad]]))


def test_sums_of_different_width_are_refused() -> None:
    with pytest.raises(EvidenceError, match="cannot be added"):
        ExactSum.of(np.ones((1, 2))) + ExactSum.of(np.ones((1, 3)))


def test_plain_addition_would_not_pass_these_tests() -> None:
    terms = np.array([1e16, 1.0, -1e16])
    assert (terms[0] + terms[1]) + terms[2] != terms[0] + (terms[1] + terms[2]) or terms.sum() != 1.0
    assert ExactSum.of(terms[:, None]).value()[0] == 1.0

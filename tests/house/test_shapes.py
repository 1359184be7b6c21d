"""Shapes and types in signatures are checked while tests run."""

from __future__ import annotations

import random

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError, jaxtyped

from revealed.errors import nearest
from revealed.evidence import ExactSum, Gaussian
from tests.house.shape_checks import MOST_CALLS, begin_test, check


def test_a_wrong_shape_is_caught():
    with pytest.raises(TypeCheckError, match="rows"):
        ExactSum.of(np.ones(3))


def test_a_wrong_type_is_caught():
    with pytest.raises(TypeCheckError, match="name"):
        nearest(3, ["cost"])  # type: ignore[arg-type]


def test_an_int_does_for_a_float():
    assert Gaussian.ridge(2, 3).precision.tolist() == Gaussian.ridge(2.0, 3).precision.tolist()


def inner(kept: int):
    """Return a function that is defined anew in each call, as the import hook would have it."""

    @jaxtyped(typechecker=check)
    def first(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.asarray((x + y)[:kept])

    return first


@pytest.mark.parametrize("time", ["first", "again"])
def test_inner_functions_are_checked_each_time_they_are_defined(time):
    assert inner(2)(np.ones(2), np.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(TypeCheckError, match="parameters of .*first"):
        inner(2)(np.ones(2), np.ones(3))
    with pytest.raises(TypeCheckError, match="return value of .*first"):
        inner(1)(np.ones(2), np.ones(2))


def test_checks_leave_the_numbers_alone_that_hypothesis_guards():
    @jaxtyped(typechecker=check)
    def first(items: list[int]) -> int:
        return items[0]

    before = random.getstate()
    assert first([1, 2]) == 1
    with pytest.raises(TypeCheckError):
        first(["one"])  # type: ignore[list-item]
    assert random.getstate() == before


def test_the_first_calls_in_each_test_are_checked():
    for _ in range(2):
        begin_test()
        for _ in range(MOST_CALLS):
            with pytest.raises(TypeCheckError):
                ExactSum.of(np.ones(3))
        with pytest.raises(TypeError, match="absolute"):  # beyond that it is taken as it is
            ExactSum.of("no array")  # type: ignore[arg-type]


def test_so_are_the_first_objects_of_a_dataclass():
    for _ in range(2):
        begin_test()
        for _ in range(MOST_CALLS):
            with pytest.raises(TypeCheckError):
                Gaussian("no array", np.eye(2))  # type: ignore[arg-type]
        Gaussian.ridge(2, 3)

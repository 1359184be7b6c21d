"""Shapes and types in signatures are checked while tests run."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from revealed.errors import nearest
from revealed.evidence import ExactSum, Gaussian


def test_a_wrong_shape_is_caught():
    with pytest.raises(TypeCheckError, match="rows"):
        ExactSum.of(np.ones(3))


def test_a_wrong_type_is_caught():
    with pytest.raises(TypeCheckError, match="name"):
        nearest(3, ["cost"])  # type: ignore[arg-type]


def test_an_int_does_for_a_float():
    assert Gaussian.ridge(2, 3).precision.tolist() == Gaussian.ridge(2.0, 3).precision.tolist()

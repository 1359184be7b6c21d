"""Sparse rows against the matrices that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features import FeatureSpace, Rows

matrices = arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.integers(1, 5)),
    elements=st.sampled_from([0.0, 0.0, 1.0, -2.5, 1e-300, 1e300]),
)


@given(matrices, st.data())
def test_rows_are_their_matrix(matrix: np.ndarray, data: st.DataObject) -> None:
    rows = Rows.of_dense(matrix)
    n = len(matrix)
    assert len(rows) == n
    assert rows.nnz == np.count_nonzero(matrix)
    assert np.array_equal(rows.dense(), matrix)
    chosen = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=8) if n else st.just([])), np.int64)
    assert np.array_equal(rows.take(chosen).dense(), matrix[chosen])
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    assert np.array_equal(rows.slice(start, stop).dense(), matrix[start:stop])
    params = np.arange(1.0, matrix.shape[1] + 1)
    np.testing.assert_allclose(rows.times(params), matrix @ params, rtol=1e-12)
    assert np.array_equal(rows.widened(9).dense(), np.pad(matrix, ((0, 0), (0, 9 - matrix.shape[1]))))


def test_what_is_unseen_goes_with_its_rows() -> None:
    _, space = FeatureSpace.of(categorical=["item"]).grow([{"item": "a"}])
    rows = space.rows([{"item": item} for item in "abacb"])
    assert rows.unseen is not None
    assert rows.unseen.names == ("item=b", "item=c")
    assert rows.unseen.entries.dense().tolist() == [[0, 0], [1, 0], [0, 0], [0, 1], [1, 0]]
    for part, at in ((rows.slice(1, 4), [1, 2, 3]), (rows.take(np.array([4, 0])), [4, 0])):
        assert part.unseen is not None
        assert np.array_equal(part.unseen.entries.dense(), rows.unseen.entries.dense()[at])


def test_bad_matrices_and_numbers_are_refused() -> None:
    matrix = np.eye(3)
    matrix[1, 2] = np.nan
    with pytest.raises(DataError, match=r"no finite numbers \[column 2 first; row 2\]"):
        Rows.of_dense(matrix)
    rows = Rows.of_dense(np.eye(3))
    with pytest.raises(SpecificationError, match="2 parameters for rows of 3"):
        rows.times(np.ones(2))
    with pytest.raises(SpecificationError, match="no rows 2 to 5 in a batch of 3"):
        rows.slice(2, 5)
    with pytest.raises(SpecificationError, match="rows of 3 parameters do not fit 2"):
        rows.widened(2)

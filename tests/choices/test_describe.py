"""A description says what is in a log, and the same of a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revealed.choices import AlternativeSummary, AttributeSummary, Columns, read, scan
from tests.choices.tables import ALL, ragged, sound


def test_description() -> None:
    table = sound()
    table["cost"][2] = None  # train is not available in case 1
    seen = read(table, ALL).describe()
    assert (seen.source, seen.n_cases, seen.n_rows, seen.n_persons, seen.n_choices) == ("table", 4, 12, 2, 12.0)
    assert (seen.counts, seen.weighted, seen.has_persons) == (False, True, True)
    assert seen.alternatives == (
        AlternativeSummary("bus", rows=4, available=4, chosen=3.5, share=3.5 / 12),
        AlternativeSummary("car", rows=4, available=3, chosen=6.0, share=6.0 / 12),
        AlternativeSummary("train", rows=4, available=3, chosen=2.5, share=2.5 / 12),
    )
    assert seen.set_sizes == {2: 2, 3: 2}
    assert seen.attributes == (
        AttributeSummary("cost", "number", 1.0, 57 / 11, 12.0, 1, None, True),
        AttributeSummary("colour", "label", None, None, None, 0, 2, True),
        AttributeSummary("income", "number", 10.0, 25.0, 40.0, 0, None, False),
    )
    assert seen.time_span == ("2024-01-01", "2024-01-04")
    assert seen.propensity_range == (0.25, 0.5)
    assert seen.null_log_likelihood == pytest.approx(-5 * np.log(2) - 7 * np.log(3))


def test_a_column_with_nothing_in_it() -> None:
    (nothing,) = read({"case": [1], "alternative": ["a"], "chosen": [True], "x": [None]}).describe().attributes
    assert nothing == AttributeSummary("x", "other", None, None, None, 0, None, False)
    table = {"case": [1, 1], "alternative": ["a", "b"], "chosen": [True, False], "x": [float("inf"), None]}
    (infinite,) = read(table).describe().attributes
    assert (infinite.smallest, infinite.missing) == (None, 2)


def test_description_of_a_stream(tmp_path: Path) -> None:
    log = read(
        ragged(np.random.default_rng(0).integers(1, 6, 3000).tolist()), Columns(person="person", weight="weight")
    )
    stream = scan(log.to_parquet(tmp_path / "log.parquet"), batch_rows=700)
    seen, expected = stream.describe(), log.describe()
    assert seen.alternatives == expected.alternatives
    assert seen.set_sizes == expected.set_sizes
    for one, other in zip(seen.attributes, expected.attributes, strict=True):
        assert one.mean == pytest.approx(other.mean)
        assert (one.name, one.smallest, one.largest, one.varies_within_case) == (
            other.name,
            other.smallest,
            other.largest,
            other.varies_within_case,
        )

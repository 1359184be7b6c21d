"""What a log is once it is let in: roles, parts, changes, and the labels beneath."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices import BLOCK_CASES, ChoiceLog, Columns, read
from revealed.choices.facts import LevelCounts, merge
from revealed.choices.keys import combine, keys_of
from revealed.choices.levels import Levels, encode, levels_in, union_of
from revealed.errors import DataError, SpecificationError
from tests.choices.tables import ALL, ragged, sound

ROLES = Columns(person="person", weight="weight")


def test_roles() -> None:
    log = read(sound(), ALL)
    assert log.chosen_rows is not None
    assert log.chosen_rows.tolist() == [1, 5, 6, 10]
    assert log.weights is not None
    assert log.weights.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert log.available is not None
    assert np.flatnonzero(~log.available).tolist() == [2, 7]
    assert log.person_codes.tolist() == [0, 0, 1, 1]
    assert log.alternative_codes.tolist() == [0, 1, 2] * 4
    assert log.choices_per_case.tolist() == [1.0] * 4
    assert log.uniform_size == 3
    facts = log.facts
    assert facts.n_choices == 12.0
    assert dict(facts.chosen) == {"bus": 3.5, "car": 6.0, "train": 2.5}
    assert (facts.smallest_set, facts.largest_set) == (2, 3)
    expected = -(1.5 + 3.5) * np.log(2) - (2.5 + 4.5) * np.log(3)
    assert facts.null_log_likelihood == pytest.approx(expected, rel=1e-14)


def test_everything_available_is_no_mask() -> None:
    assert read(sound() | {"available": [1] * 12}, ALL).available is None


def test_without_persons_each_case_is_one() -> None:
    log = read(sound())
    assert log.person_codes.tolist() == [0, 1, 2, 3]
    assert log.facts.n_persons == 4


def test_names_are_columns_or_roles() -> None:
    log = read(ragged([2, 3]).rename_columns({"alternative": "mode"}), ROLES, alternative="mode")
    assert log.column_name("alternative") == "mode"
    assert log.levels_of("alternative") is log.facts.levels
    with pytest.raises(SpecificationError, match="no column 'csot' in Arrow table; did you mean 'cost'"):
        log.numbers("csot")


def test_numbers_keep_single_precision_and_widen_the_rest() -> None:
    log = read(ragged([2, 3]).append_column("small", pa.array([100] * 5, pa.int8())))
    assert log.numbers("speed").dtype == np.float32
    assert np.shares_memory(log.numbers("speed"), log.table["speed"].chunk(0).to_numpy())
    small = log.numbers("small")
    assert small.dtype == np.float64
    assert (small * small).tolist() == [10_000.0] * 5  # would wrap around in eight bits


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1.5, None, 2.5, 3.5]),
        pa.array([1.5, None, 2.5, 3.5], pa.float32()),
        pa.array([1, None, 0, 1]).cast(pa.bool_()),
        pa.array([1, None, 3, 4], pa.uint64()),
        pa.array(["1.50", None, "2.50", "3.50"]).cast(pa.decimal128(5, 2)),
        pa.array([1.5, None, 2.5, 3.5]).dictionary_encode(),
    ],
)
def test_missing_cells_are_nan_whatever_the_type(cells: pa.Array) -> None:
    table = pa.table({"case": [1, 1, 2, 2], "alternative": ["a", "b"] * 2, "chosen": [1, 0, 0, 1], "x": cells})
    numbers = read(table).numbers("x")
    assert np.isnan(numbers).tolist() == [False, True, False, False]
    assert numbers[[0, 2, 3]].tolist() == [float(v) for v in cells.to_pylist() if v is not None]


def test_partitions_are_whole_blocks_whatever_their_number() -> None:
    n_cases = 3 * BLOCK_CASES + 17
    log = read(ragged(np.random.default_rng(0).integers(1, 4, n_cases).tolist()))
    for count in (1, 2, 3, 7, 1000):
        parts = log.partitions(count)
        assert parts[0].start == 0
        assert parts[-1].stop == n_cases
        assert all(a.stop == b.start and b.start % BLOCK_CASES == 0 for a, b in pairwise(parts))
        assert len(parts) == min(count, 4)


def test_take_cases() -> None:
    log = read(ragged([2, 3, 1, 4]), ROLES)
    some = log.take_cases(np.array([3, 0]))
    assert some.case_labels.to_pylist() == [3, 0]
    assert some.sizes.tolist() == [4, 2]
    assert some.row_numbers(np.arange(6)).tolist() == [7, 8, 9, 10, 1, 2]
    mask = np.array([True, False, False, True])
    assert log.take_cases(mask).facts.n_rows == 6


def test_with_columns_replaces_and_adds() -> None:
    log = read(sound(), ALL)
    before, income = log.numbers("cost"), log.numbers("income")
    changed = log.with_columns({"cost": before * 2, "chosen": np.roll(log.chosen, 1), "new": np.arange(12)})
    assert changed.numbers("cost").tolist() == (before * 2).tolist()
    assert changed.numbers("income") is income  # what did not change is not computed again
    assert changed.numbers("new").tolist() == list(range(12))
    assert changed.facts.chosen != log.facts.chosen
    assert log.numbers("cost") is before
    with pytest.raises(SpecificationError, match="'cost' has 3 values for 12 rows"):
        log.with_columns({"cost": [1, 2, 3]})


def test_logs_add() -> None:
    whole = read(ragged([2, 3, 1, 4]), ROLES)
    first, second = whole.take_cases(np.array([0, 1])), whole.take_cases(np.array([2, 3]))
    both = first + second
    assert both.table == whole.table
    assert both.facts == whole.facts
    assert both.offsets.tolist() == whole.offsets.tolist()
    with pytest.raises(
        DataError, match=r"cases that are in the log already \[column 'case'; cases 1; 1 in all\]|case 1"
    ):
        both + whole.take_cases(np.array([1]))
    with pytest.raises(SpecificationError, match="no column 'speed'"):
        first + read(second.table.drop_columns(["speed"]), ROLES)


def test_merged_facts_are_those_of_the_whole() -> None:
    whole = read(ragged(np.random.default_rng(1).integers(1, 9, 500).tolist()), ROLES)
    parts = [whole.take_cases(np.arange(start, min(start + 90, 500))).facts for start in range(0, 500, 90)]
    merged = merge(parts)
    assert merged.levels == whole.facts.levels
    assert merged.chosen == whole.facts.chosen
    assert merged.persons == whole.facts.persons
    assert (merged.n_cases, merged.n_rows, merged.n_choices) == (500, whole.n_rows, whole.facts.n_choices)
    assert merged.null_log_likelihood == pytest.approx(whole.facts.null_log_likelihood, rel=1e-13)
    assert (parts[0] + parts[1]).n_cases == 180


def test_a_batch_has_the_facts_of_its_stream() -> None:
    log = read(ragged([2, 3, 1, 4]), ROLES)
    part = log.take_cases(np.array([3])).with_facts(log.facts)
    assert part.facts is log.facts
    assert part.own_facts.n_cases == 1
    assert part.person_codes.tolist() == [1]
    assert part.with_columns({"cost": np.zeros(4)}).facts is log.facts


def test_represents_itself() -> None:
    assert repr(read(sound(), ALL)) == "ChoiceLog(table: 4 cases, 3 alternatives, 2 persons, 12 rows)"
    assert read(sound()).renamed("trips").source == "trips"


# ---- labels -----------------------------------------------------------------------------------------------------

_texts = st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=40).map(
    lambda cells: pa.array(cells, pa.string())
)
_wholes = st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), max_size=40).map(
    lambda cells: pa.array(cells, pa.int64())
)
_dense = st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=40).map(lambda c: pa.array(c, pa.int64()))
_numbers = st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=40).map(
    lambda cells: pa.array(cells, pa.float64())
)
_flags = st.lists(st.one_of(st.none(), st.booleans()), max_size=40).map(lambda cells: pa.array(cells, pa.bool_()))
_dates = st.lists(st.one_of(st.none(), st.dates()), max_size=40).map(lambda cells: pa.array(cells, pa.date32()))
_columns = st.one_of(_texts, _wholes, _dense, _numbers, _flags, _dates)


@given(_columns, st.booleans())
def test_labels_and_back(column: pa.Array, coded: bool) -> None:
    levels, codes = encode(column.dictionary_encode() if coded else column)
    cells = column.to_pylist()
    assert [None if code < 0 else levels.values[int(code)].as_py() for code in codes] == cells
    assert levels.values.to_pylist() == sorted({cell for cell in cells if cell is not None})


@given(st.one_of([st.tuples(kind, kind) for kind in (_texts, _wholes, _dense, _numbers, _dates)]), st.booleans())
def test_index_of_a_short_column_among_many_levels(columns: tuple[pa.Array, pa.Array], chunked: bool) -> None:
    first, second = columns
    levels = levels_in(first)
    known = {cell: i for i, cell in enumerate(levels.values.to_pylist())}
    asked: Any = pa.chunked_array([second[:3], second[3:]]) if chunked else second
    assert levels.index(asked).tolist() == [known.get(cell, -1) for cell in second.to_pylist()]
    assert union_of([levels, levels_in(second)]).values.to_pylist() == sorted(
        {cell for cell in first.to_pylist() + second.to_pylist() if cell is not None}
    )


def test_labels_of_unlike_types_match_by_text() -> None:
    levels = levels_in(pa.array([1, 2, 3]))
    assert levels.index(pa.array(["2", "x", None, "1"])).tolist() == [1, -1, -1, 0]
    assert levels.index(pa.array([2.0, 2.5, None])).tolist() == [1, -1, -1]
    assert levels.index(pa.array([3, 1], pa.int32())).tolist() == [2, 0]
    assert levels == levels_in(pa.array([3.0, 2.0, 1.0]))
    assert hash(levels) == hash(levels_in(pa.array([3.0, 2.0, 1.0])))
    assert union_of([levels, levels_in(pa.array([0.5]))]).labels == ("0.5", "1", "2", "3")
    assert union_of([levels, levels_in(pa.array(["a"]))]).labels == ("1", "2", "3", "a")


def test_level_counts_read_like_a_dict() -> None:
    counts = LevelCounts(Levels(pa.array(["a", "b"])), np.array([1.0, 2.0]))
    assert counts == {"a": 1.0, "b": 2.0}
    assert list(counts.values()) == [1.0, 2.0]
    assert counts != {"a": 1.0}
    assert repr(counts) == "{'a': 1.0, 'b': 2.0}"


@given(st.one_of(_texts, _wholes, _numbers, _dates))
def test_keys_tell_cells_apart(column: pa.Array) -> None:
    cells = column.to_pylist()
    for array in (column, column.dictionary_encode()):
        keys = keys_of(array)
        of_cell: dict[Any, int] = {}
        for cell, key in zip(cells, keys.tolist(), strict=True):
            if cell is not None:
                assert of_cell.setdefault(cell, key) == key
        assert len(set(of_cell.values())) == len(of_cell)


def test_keys_of_pairs_depend_on_the_order() -> None:
    a, b = keys_of(pa.array([1, 2])), keys_of(pa.array([2, 1]))
    ab = combine(a, b)
    assert ab[0] != ab[1]
    assert combine(a, b).tolist() == ab.tolist()


@pytest.mark.parametrize("make", [lambda a: a, lambda a: a[3:], lambda a: a.slice(2, 5)])
def test_keys_of_slices(make: Callable[[pa.Array], pa.Array]) -> None:
    texts = pa.array(["", "a", "ab", "ba", "ü", "a\0", "a", None, "ab"])
    assert keys_of(make(texts)).tolist() == keys_of(pa.array(make(texts).to_pylist(), pa.string())).tolist()


def test_log_is_let_in_by_its_class() -> None:
    log = ChoiceLog.from_table(pa.table(sound()), ALL, attributes=("cost",), source="here")
    assert log.source == "here"

"""Records to rows: by definition, by every path, in any batches, before and after growth and saving."""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features import FeatureSpace, Rows
from revealed.models.glm.features.columns import columns_of_records
from revealed.models.glm.features.joint import joined
from revealed.models.glm.features.records import FEW, UnusualError

NUMBERS, LABELS = ("price", "age"), ("item", "segment", "day")
PAIRS = (("price", "item"), ("item", "price"), ("price", "age"), ("item", "segment"), ("segment", "day"))

Record = Mapping[str, Any]


def space_of(**options: Any) -> FeatureSpace:
    return FeatureSpace.of(numeric=NUMBERS, categorical=LABELS, **options)


def by_definition(space: FeatureSpace, record: Record) -> dict[str, float]:
    """Return the features of a record by their names, one by one (no hashing)."""
    out = {}
    for term in space.specification.terms:
        fields = [space.specification.fields[i] for i in term.factors]
        cells = [record.get(item.name) for item in fields]
        if any(cell is None for cell in cells):
            continue
        pairs = list(zip(fields, cells, strict=True))
        name = ":".join(f"{item.name}={cell}" if item.categorical else item.name for item, cell in pairs)
        out[name or "1"] = math.prod(
            [float(cell) for item, cell in pairs if cell is not None and not item.categorical], start=1.0
        )
    return out


def named(space: FeatureSpace, rows: Rows) -> list[dict[str, float]]:
    names = space.names
    return [
        {names[i]: float(v) for i, v in zip(rows.index[a:b], rows.value[a:b], strict=True)}
        for a, b in zip(rows.starts[:-1], rows.starts[1:], strict=True)
    ]


def same(one: Rows, other: Rows) -> bool:
    arrays = ("starts", "index", "value")
    return one.n_params == other.n_params and all(np.array_equal(getattr(one, a), getattr(other, a)) for a in arrays)


def the_long_way(space: FeatureSpace, records: Sequence[Record]) -> Rows:
    """Return the rows as a large batch would give them."""
    return space._known(space._batch(records))


def drawn(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "price": float(rng.normal()),
            "age": float(rng.normal()),
            "item": f"i{rng.integers(20)}",
            "segment": f"s{rng.integers(4)}",
            "day": f"d{rng.integers(3)}",
        }
        for _ in range(n)
    ]


cell = st.none() | st.floats(-1e6, 1e6)
label = st.none() | st.sampled_from("abcdefg")
records_of = st.lists(
    st.fixed_dictionaries({**dict.fromkeys(NUMBERS, cell), **dict.fromkeys(LABELS, label)}), min_size=1, max_size=12
)
interactions = st.lists(st.sampled_from(PAIRS), max_size=5, unique_by=frozenset)


@settings(max_examples=25)
@given(records_of, interactions, st.booleans(), st.integers(0, 12))
def test_every_path_gives_what_the_definition_says(
    records: list[Record], pairs: list[tuple[str, str]], intercept: bool, cut: int
) -> None:
    empty = space_of(interactions=pairs, optional=NUMBERS + LABELS, intercept=intercept)
    grown_rows, space = empty.grow(records)
    wanted = [by_definition(space, record) for record in records]
    assert named(space, grown_rows) == wanted
    assert space.n_params == len({name for row in wanted for name in row} | set(empty.names))
    # the short way, the long way, and columns of three kinds
    assert same(space.path.rows(records, space.extent, note=False), grown_rows)
    assert same(the_long_way(space, records), grown_rows)
    columns = {name: [record[name] for record in records] for name in NUMBERS + LABELS}
    assert same(space.rows_from_columns(columns), grown_rows)
    assert same(space.rows_from_columns({name: pa.array(column) for name, column in columns.items()}), grown_rows)
    objects = {name: np.array(column, dtype=object) for name, column in columns.items()}
    assert same(space.rows_from_columns(objects), grown_rows)
    # batches do not matter, the first of them one record at a time included
    _, other = empty.grow(records[:cut])
    for record in records[cut:]:
        _, other = other.grow([record])
    assert other.to_dict() == space.to_dict()
    # what is saved is the same
    again = FeatureSpace.from_json(space.to_json())
    assert again.to_dict() == space.to_dict()
    assert same(again.rows(records), grown_rows)


@settings(max_examples=25)
@given(records_of, records_of, interactions)
def test_a_space_never_sees_what_others_have_grown(
    first: list[Record], later: list[Record], pairs: list[tuple[str, str]]
) -> None:
    _, space = space_of(interactions=pairs, optional=NUMBERS + LABELS, hashed={"day": 2}).grow(first)
    before, saved = space.rows(later), space.to_dict()
    rows_one, one = space.grow(later)
    rows_other, other = space.grow(list(reversed(later)))  # a second branch of the same space
    assert space.to_dict() == saved
    after = space.rows(later)
    assert same(before, after)
    assert (before.unseen is None) == (after.unseen is None)
    assert np.array_equal(one.groups[: space.n_params], space.groups)
    assert sorted(one.names) == sorted(other.names)
    assert named(one, rows_one) == named(other, rows_other)[::-1]
    # what was unseen is what growing added, by name, group and value
    if before.unseen is not None:
        assert list(before.unseen.names) == list(one.names[space.n_params :])
        assert np.array_equal(before.unseen.group, one.groups_since(space.n_params))
        whole = np.hstack([before.dense(), before.unseen.entries.dense()])
        assert np.array_equal(whole, rows_one.dense())
    else:
        assert one.n_params == space.n_params


@settings(max_examples=25)
@given(records_of)
def test_hashed_rows_are_the_same_by_every_path(records: list[Record]) -> None:
    hashed = {"item": 3, "item:segment": 2, "price:segment": 4}
    pairs = [("item", "segment"), ("price", "segment"), ("item", "day"), ("age", "item")]
    empty = space_of(interactions=pairs, optional=NUMBERS + LABELS, hashed=hashed)
    rows, space = empty.grow(records)
    assert same(space.path.rows(records, space.extent, note=True), rows)
    assert same(the_long_way(space, records), rows)
    one_by_one = empty
    for record in records:
        _, one_by_one = one_by_one.grow([record])
    assert one_by_one.to_dict() == space.to_dict()
    assert FeatureSpace.from_json(space.to_json()).collisions == space.collisions


def test_labels_are_the_same_label_in_any_type() -> None:
    space = FeatureSpace.of(categorical=["item"], intercept=False)
    _, space = space.grow([{"item": "1"}, {"item": "2.5"}, {"item": "True"}])
    cells = [1, 1.0, "1", np.int64(1), np.float32(1), 2.5, True, np.True_]
    expected = [0, 0, 0, 0, 0, 1, 2, 2]
    assert [int(space.rows([{"item": cell}]).index[0]) for cell in cells] == expected
    assert the_long_way(space, [{"item": cell} for cell in cells]).index.tolist() == expected
    assert space.rows_from_columns({"item": np.array([1.0, 1.0, 2.5])}).index.tolist() == [0, 0, 1]
    assert space.rows_from_columns({"item": np.array([True])}).index.tolist() == [2]
    coded = pa.chunked_array([pa.array(["2.5", "1"]).dictionary_encode(), pa.array(["1", "2.5"]).dictionary_encode()])
    assert space.rows_from_columns({"item": coded}).index.tolist() == [1, 0, 0, 1]


def test_frames_tables_and_records_agree() -> None:
    records = drawn(200, seed=1)
    rows, space = space_of(interactions=["item:segment"]).grow(records)
    frame = pd.DataFrame(records)
    for data in (frame, pa.Table.from_pandas(frame), {name: frame[name] for name in frame}):
        other_rows, other = space_of(interactions=["item:segment"]).grow_from_columns(data)
        assert same(other_rows, rows)
        assert other.to_dict() == space.to_dict()


def test_joint_rows_are_those_of_the_joined_records() -> None:
    space = FeatureSpace.of(
        numeric=["context.age", "item.price"],
        categorical=["item.kind", "segment"],
        interactions=["context.age:item.kind", "segment:item.kind", "context.age:item.price"],
    )
    context = {"age": 0.5, "segment": "young", "price": "not the item's"}
    candidates = [{"kind": kind, "price": price} for kind, price in (("book", 9.0), ("film", 4.0), ("game", 60.0))]
    _, space = space.grow(space.joined(context, candidates[:2]))
    rows = space.joint(context, candidates)
    assert named(space, rows)[1] == {
        "1": 1.0,
        "context.age": 0.5,
        "item.price": 4.0,
        "context.age:item.price": 2.0,
        "item.kind=film": 1.0,
        "segment=young": 1.0,
        "context.age:item.kind=film": 0.5,
        "segment=young:item.kind=film": 1.0,
    }
    assert rows.unseen is not None
    assert set(rows.unseen.names) == {
        "item.kind=game",
        "context.age:item.kind=game",
        "segment=young:item.kind=game",
    }
    assert rows.unseen.entries.dense()[:2].sum() == 0
    assert sorted(rows.unseen.entries.dense()[2]) == [0.5, 1.0, 1.0]
    assert len(space.joint(context, [])) == 0
    with pytest.raises(DataError, match=r"both the context and candidates have it \[feature 'segment'; row 2\]"):
        space.joint(context, [candidates[0], {**candidates[1], "segment": "x"}])
    with pytest.raises(DataError, match=r"a str for a candidate \[row 1\]"):
        joined(["item.kind"], context, ["book"])
    with pytest.raises(DataError, match="a context that is no mapping"):
        joined(["item.kind"], None, candidates)


def test_groups_by_attribute_by_order_and_as_told() -> None:
    records = drawn(50, seed=2)
    pairs = ["item:segment", "price:item"]
    for groups, names in (
        ("attribute", ("intercept", "price", "age", "item", "segment", "day", "item:segment", "price:item")),
        ("order", ("intercept", "main", "pair")),
        ({"item": "what", "price": "what", "item:segment": "who"},
         ("intercept", "what", "age", "segment", "day", "who", "price:item")),
    ):  # fmt: skip
        rows, space = space_of(interactions=pairs, groups=groups).grow(records)
        assert space.group_names == names
        assert space.groups.dtype == np.int64
        assert len(space.groups) == space.n_params == rows.n_params
        for name, group in zip(space.names, space.groups, strict=True):
            term = ":".join(part.partition("=")[0] for part in name.split(":"))
            told = groups.get(term, term) if isinstance(groups, dict) else term
            wanted = ("pair" if ":" in term else "main") if groups == "order" else told
            assert space.group_names[group] == ("intercept" if term == "1" else wanted)


def test_parameters_by_name() -> None:
    _, space = space_of(interactions=["item:segment", "price:item"], hashed={"day": 4}).grow(drawn(100, seed=3))
    for param, name in enumerate(space.names):
        if "#" not in name and name != "1":
            term = ":".join(part.partition("=")[0] for part in name.split(":"))
            labels = [part.partition("=")[2] for part in name.split(":") if "=" in part]
            assert space.index(term, *labels) == param
    rows = space.rows([drawn(1, seed=4)[0] | {"day": "d1"}])
    assert space.index("day", "d1") in rows.index
    with pytest.raises(SpecificationError, match="never was 'i99'; did you mean 'i9'"):
        space.index("item", "i99")
    with pytest.raises(SpecificationError, match="no term 'itm'.*did you mean 'item'"):
        space.index("itm", "i9")
    with pytest.raises(SpecificationError, match="is of 2 labels, not 1"):
        space.index("item:segment", "i9")


GOOD = {"price": 1.0, "age": 2.0, "item": "a", "segment": "b", "day": "c"}


@pytest.mark.parametrize("n_before", [0, FEW + 5], ids=["one", "many"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": float("nan")}, r"NaN or infinite \[feature 'price'; row {row}\]"),
        ({"age": float("-inf")}, r"NaN or infinite \[feature 'age'; row {row}\]"),
        ({"age": 10**400}, r"NaN or infinite \[feature 'age'; row {row}\]"),
        ({"price": None}, r"no value \[feature 'price'; row {row}\]\n    remedy: .*declare it optional"),
        ({"item": None}, r"no value \[feature 'item'; row {row}\]"),
        ({"price": "cheap"}, r"'cheap' where a number was declared \[feature 'price'; row {row}\]"),
        ({"price": "3"}, r"'3' where a number was declared"),
        ({"price": 1 + 2j}, r"where a number was declared"),
        ({"item": float("nan")}, r"nan where a label was declared \[feature 'item'; row {row}\]"),
        ({"item": b"a"}, r"b'a' where a label was declared"),
        ({"item": ["a", "b"]}, r"a collection where a label was declared \[feature 'item'; row {row}\]"),
        ({"price": 1e200, "age": 1e200}, r"the product is infinite \[feature 'price:age'; row {row}\]"),
    ],
    ids=str,
)
def test_bad_records_are_refused(change: dict[str, Any], message: str, n_before: int) -> None:
    _, space = space_of(interactions=["price:age"]).grow([GOOD])
    records = [GOOD] * n_before + [GOOD | change]
    for attempt in (space.rows, space.grow):
        with pytest.raises(DataError, match=message.format(row=n_before + 1)):
            attempt(records)
    assert same(space.rows([GOOD]), the_long_way(space, [GOOD]))


def test_all_problems_are_told_at_once() -> None:
    space = space_of()
    with pytest.raises(DataError) as caught:
        space.grow([GOOD | {"price": "x", "item": None}, {"prise": 1.0}, GOOD | {"age": np.inf}])
    told = {(problem.where, problem.rows) for problem in caught.value.problems}
    assert told >= {("feature 'price'", (1,)), ("feature 'price'", (2,)), ("feature 'item'", (1, 2))}
    assert ("feature 'age'", (3,)) in told
    with pytest.raises(DataError, match="did you mean 'prise'"):
        space.grow([{key if key != "price" else "prise": value for key, value in GOOD.items()}])
    with pytest.raises(DataError, match=r"a list where a record was expected \[row 2\]"):
        columns_of_records([GOOD, ["a"]], ["item"])


def test_bad_columns_are_refused() -> None:
    space = FeatureSpace.of(numeric=["price"], categorical=["item"])
    prices, items = np.array([1.0, np.nan]), np.array(["a", "b"])
    with pytest.raises(DataError, match=r"NaN or infinite \[feature 'price'; row 2\]"):
        space.rows_from_columns({"price": prices, "item": items})
    with pytest.raises(DataError, match=r"no value \[feature 'price'; row 2\]"):
        space.rows_from_columns({"price": pa.array([1.0, None]), "item": items})
    with pytest.raises(DataError, match="columns of unlike length: price 2, item 1"):
        space.rows_from_columns({"price": prices, "item": items[:1]})
    with pytest.raises(DataError, match="'a' where a number was declared"):
        space.rows_from_columns({"price": items, "item": items})
    with pytest.raises(DataError, match="NaN or infinite .feature 'item'; row 2"):
        space.rows_from_columns({"price": np.ones(2), "item": prices})
    with pytest.raises(DataError, match="where a label was declared"):
        space.rows_from_columns({"price": np.ones(2), "item": pa.array([["a"], ["b"]])})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interactions": ["item:sgement"]}, "no field 'sgement'.*did you mean 'segment'"),
        ({"interactions": ["item"]}, "of 1 fields; interactions are of two"),
        ({"interactions": ["item:segment:day"]}, "of 3 fields; interactions are of two"),
        ({"interactions": ["item:item"]}, "with itself"),
        ({"interactions": ["item:day", "day:item"]}, "'day:item' is there twice"),
        ({"optional": ["prize"]}, "no field 'prize'; did you mean 'price'"),
        ({"hashed": {"prize": 3}}, "hashed names no term or field 'prize'"),
        ({"hashed": {"price": 3}}, "holds numbers, which are not hashed"),
        ({"hashed": {"item": 40}}, "number of bits, 1 to 28"),
        ({"hashed": {"item": True}}, "number of bits"),
        ({"interactions": ["price:age"], "hashed": {"price:age": 3}}, "nothing to hash"),
        ({"groups": "odrer"}, "no way to group 'odrer'; did you mean 'order'"),
        ({"groups": {"itme": "g"}}, "groups names no term 'itme'; did you mean 'item'"),
    ],
    ids=str,
)
def test_bad_specifications_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        space_of(**options)


def test_names_that_cannot_be_are_refused() -> None:
    with pytest.raises(SpecificationError, match="named twice"):
        FeatureSpace.of(numeric=["a"], categorical=["a"])
    with pytest.raises(SpecificationError, match="':' joins"):
        FeatureSpace.of(numeric=["a:b"])
    with pytest.raises(SpecificationError, match="without a feature"):
        FeatureSpace.of(intercept=False)


def test_saved_spaces_of_other_versions_or_damaged_are_refused() -> None:
    _, space = space_of(interactions=["item:segment"], hashed={"day": 3}).grow(drawn(30, seed=5))
    data = json.loads(space.to_json())
    for change, message in [
        ({"version": 2}, "version 2; this package reads 1"),
        ({"what": "a fit"}, "not a saved feature space"),
        ({"labels": data["labels"][:2]}, "damaged"),
        ({"labels": [[], [], ["x", "x"], [], []]}, "damaged.*twice there"),
        ({"labels": [[], [], ["x"], [], []]}, "damaged.*a parameter of label"),
        ({"params": {"term": "AAAA", "key": ""}}, "damaged"),
        ({"buckets": []}, "damaged"),
        ({"terms": [{"factors": [9], "name": "x", "group": 0, "bits": 0}]}, "damaged"),
    ]:
        with pytest.raises(SpecificationError, match=message):
            FeatureSpace.from_dict(data | change)
    with pytest.raises(SpecificationError, match="cannot be read"):
        FeatureSpace.from_json(space.to_json()[:100])
    assert pickle.loads(pickle.dumps(space)).to_dict() == space.to_dict()


def test_a_single_record_among_a_million_parameters_takes_microseconds() -> None:
    rare = pa.array(np.arange(1_000_000)).cast(pa.string())
    fields = [f"f{i}" for i in range(98)]
    space = FeatureSpace.of(categorical=["rare", *fields])
    common = dict.fromkeys(fields, pa.array(["x"]).take(pa.array(np.zeros(10, np.int64))))
    _, space = space.grow_from_columns({"rare": rare.slice(0, 10), **common})
    _, wide = FeatureSpace.of(categorical=["rare"]).grow_from_columns({"rare": rare})
    assert wide.n_params == 1_000_001
    record = {"rare": "7"} | dict.fromkeys(fields, "x")
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        rows, narrow = space.rows([record]), wide.rows([record])
        seconds.append(time.perf_counter() - start)
    assert (rows.nnz, narrow.nnz) == (100, 2)
    assert np.median(seconds) < 1e-3  # looking at a million of anything takes longer


def test_the_short_way_gives_up_rather_than_guess() -> None:
    _, space = space_of().grow([GOOD])
    for change in ({"item": "new"}, {"price": "1"}, {"price": None}, {"age": float("nan")}):
        with pytest.raises(UnusualError):
            space.path.rows([GOOD | change], space.extent, note=False)

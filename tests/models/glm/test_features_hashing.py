"""Hashes that must never change, collisions counted against brute force, buckets spread as chance would."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from revealed.models.glm.features import FeatureSpace
from revealed.models.glm.features.hashing import hash_of_label, hash_of_pair, hashes_of_pairs, prefix_of

LABEL, WIDE, MIXED = 0xC2C2C33600E7E796, 0x5AD47B83C8C2C108, 0xCBA1FFC0017363E6


def test_hashes_are_those_of_saved_models() -> None:
    assert hash_of_label(prefix_of("item"), "book") == LABEL
    assert hash_of_label(prefix_of("item"), "Bücher 書") == WIDE
    assert hash_of_pair(LABEL, WIDE) == MIXED
    # SplitMix64 from seed 0, as its authors' reference program prints it
    assert hash_of_pair(1, 0) == 0xE220A8397B1DCDAF
    assert hash_of_pair(2, 0) == 0x6E789E6AA1B965F4


def test_a_vector_of_pairs_has_the_hashes_of_its_pairs() -> None:
    one, other = np.random.default_rng(0).integers(0, 2**64, (2, 100), dtype=np.uint64)
    expected = [hash_of_pair(int(a), int(b)) for a, b in zip(one, other, strict=True)]
    assert hashes_of_pairs(one, other).tolist() == expected
    assert hash_of_pair(1, 2) != hash_of_pair(2, 1)


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_collisions_are_counted(batch: int) -> None:
    rng = np.random.default_rng(1)
    records = [{"user": f"u{rng.integers(60)}", "item": f"i{rng.integers(9)}"} for _ in range(500)]
    space = FeatureSpace.of(
        categorical=["user", "item"], interactions=["user:item"], hashed={"user": 6, "user:item": 8}, intercept=False
    )
    for start in range(0, 500, batch):
        _, space = space.grow(records[start : start + batch])
    assert space.n_params == 64 + 256 + 9
    names = space.names
    for report, keys in zip(space.collisions, (("user",), ("user", "item")), strict=True):
        values = defaultdict(set)
        for record in records:
            value = tuple(record[key] for key in keys)
            values[space.index(":".join(keys), *value)].add(value)
        assert all(names[param].startswith(f"{report.term}#") for param in values)
        assert report.n_taken == len(values)
        assert report.n_shared == sum(len(those) > 1 for those in values.values()) > 0
        distinct = sum(map(len, values.values()))
        assert abs(report.estimated_values / distinct - 1) < 0.25
        assert f"{report.n_shared} of them" in str(report)


def test_nothing_is_counted_without_growing() -> None:
    space = FeatureSpace.of(categorical=["user"], hashed={"user": 10})
    space.rows([{"user": f"u{i}"} for i in range(100)])
    (report,) = space.collisions
    assert (report.n_taken, report.n_shared, report.share, report.estimated_values) == (0, 0, 0.0, 0.0)
    rows, grown = space.grow([{"user": "u"}])
    assert rows.unseen is None
    assert grown.n_params == space.n_params
    assert grown.grow([{"user": "u"}])[1] is grown  # nothing new


def test_many_values_spread_as_chance_would() -> None:
    n, bits = 20_000, 14
    space = FeatureSpace.of(categorical=["user"], hashed={"user": bits}, intercept=False)
    _, space = space.grow_from_columns({"user": np.array([f"user-{i}" for i in range(n)])})
    (report,) = space.collisions
    m = 2**bits
    free = np.exp(-n / m)
    assert abs(report.n_taken - m * (1 - free)) < 5 * np.sqrt(m * free * (1 - free))
    shared = m * (1 - free - n / m * free)
    assert abs(report.n_shared - shared) < 5 * np.sqrt(shared)
    assert abs(report.estimated_values / n - 1) < 0.03

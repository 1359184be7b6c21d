"""Outcomes that count for nothing: each is kept, by what its client called the decision; none outlives a person."""

from __future__ import annotations

import random

import pytest

from revealed.errors import DataError
from revealed.store.open import open_store
from revealed.store.protocol import NOBODY_KNOWS, OutcomeRow, Verdict
from revealed.store.sql import SqlStore
from tests.store.conftest import store_of_release
from tests.store.rows import decision, outcome, spoiled

#: The longest name that the service takes, of which nothing can be squeezed out.
LONGEST = "".join(chr(code) for code in random.Random(1).sample(range(0x4E00, 0x9F00), 682)) + "ab"


def unknown(name: str, **other: float) -> OutcomeRow:
    """Return an outcome of a decision that nobody knows; all are of the same moment."""
    about = {"position": 1, "reward": 1.0, "came": 5.0, "received": 6.0} | other
    return OutcomeRow(decision=NOBODY_KNOWS, name=name, **about)  # type: ignore[arg-type]


def names(store: SqlStore) -> list[str]:
    return [stray["name"] for stray in reversed(store.strays(1000))]


def test_each_of_many_unknown_outcomes_is_kept_by_its_name_once(store: SqlStore) -> None:
    odd = ["", "ord\u00ebr 'x'; --", LONGEST]
    sent = [unknown(f"order {i}") for i in range(100)] + [unknown(name) for name in odd]
    for _ in range(2):  # the same again is the same
        assert set(store.write([], sent)[1]) == {Verdict.UNKNOWN}
    store.write([], [unknown("order 7", reward=0.0)])
    assert names(store) == [one.name for one in sent] + ["order 7"]
    first = store.strays(1000)[-1]
    assert first == {
        "decision": -1, "position": 1, "reward": 1.0, "came": 5.0, "received": 6.0, "why": "unknown", "name": "order 0",
    }  # fmt: skip


def test_an_outcome_of_a_decision_that_is_known_has_no_name(store: SqlStore) -> None:
    store.write([decision(1)], [outcome(1), outcome(1, reward=0.0), outcome(1, 9)])
    assert names(store) == ["", ""]


@pytest.mark.parametrize("name", ["a\0", "\ud800", None])
def test_a_name_that_cannot_be_kept_is_refused(store: SqlStore, name: object) -> None:
    with pytest.raises(DataError, match=r"\[name\]"):
        store.write([], [unknown("a"), spoiled(unknown("b"), name=name)])
    assert store.strays(9) == []


def test_the_longest_names_are_kept_and_found(store: SqlStore) -> None:
    assert len(LONGEST.encode()) == 2048
    row = decision(1, asked=LONGEST, person=LONGEST)
    store.write([row], [])
    assert store.asked([LONGEST]) == {LONGEST: row}
    assert store.forget(LONGEST) == 1


def test_who_is_forgotten_is_so_in_what_was_told_too_early(store: SqlStore) -> None:
    store.write([], [unknown("visit 1"), unknown("visit 2"), unknown("visit 3")])
    rows = [decision(1, person="ann", asked="visit 1"), decision(2, person="bob", asked="visit 2")]
    store.write(rows, [])
    assert store.forget("ann") == 1
    assert names(store) == ["visit 2", "visit 3"]
    assert store.drop_before(2e9) == 1
    assert names(store) == []


def test_a_log_of_the_release_before_keeps_its_strays(address: str) -> None:
    old = store_of_release(address, 2)
    old.write([decision(1, asked="visit 1")], [outcome(1)])
    insert = "INSERT INTO strays (decision, position, reward, came, received, why) VALUES (?, ?, ?, ?, ?, ?)"
    before = [(-1, 1, 1.0, 5.0, 6.0, "unknown"), (1, 1, 0.0, 5.0, 6.0, "different"), (1, 9, 0.0, 5.0, 6.0, "unknown")]
    for row in before:
        old._database.rows(insert, row)
    new = open_store(address)
    assert [tuple(stray.values()) for stray in reversed(new.strays(9))] == [(*row, "") for row in before]
    new.write([], [unknown("order 1"), unknown("order 2")])
    # A process of that release goes on beside it until it is upgraded, too.
    old._database.rows(insert, (-1, 1, 0.5, 7.0, 8.0, "unknown"))
    assert names(new) == ["", "", "", "order 1", "order 2", ""]
    assert len({row[0] for row in new._database.rows("SELECT seq FROM strays")}) == 6
    assert new.drop_before(7.0) == 0
    assert names(new) == [""]
    assert new.outcomes_of(1) == [outcome(1)]
    old.close()
    new.close()

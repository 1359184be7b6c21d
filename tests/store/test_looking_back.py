"""The readers that the console looks back with: the last decisions, those of a person, on each store."""

from __future__ import annotations

from revealed.store.open import open_store
from revealed.store.sql import _OF_PERSON
from tests.store.conftest import store_of_release
from tests.store.rows import decision, outcome


def test_the_last_decisions_come_first_of_all_policies(store) -> None:
    rows = [decision(number, policy=("offers", "pages")[number % 2]) for number in range(1, 8)]
    store.write(rows, [])
    end = store.ends()[0]
    found = store.decisions_before(end + 1, 3)
    assert [row for _, row in found] == rows[:3:-1]
    assert [seq for seq, _ in found] == [end, end - 1, end - 2]
    assert [row for _, row in store.decisions_before(found[-1][0], 100)] == rows[3::-1]
    assert store.decisions_before(1, 5) == []
    assert store.decisions_before(end + 1, 0) == []


def test_a_gap_is_stepped_over(store) -> None:
    store.write([decision(number, person="ann" if 2 <= number <= 4 else None) for number in range(1, 6)], [])
    store.forget("ann")
    assert [seq for seq, _ in store.decisions_before(6, 10)] == [5, 1]


def test_a_persons_decisions_are_found_wherever_they_are(store) -> None:
    numbers = (1, 255, 256, 700, 1023, 1024, 5000, 70_000)
    rows = [decision(number, person="ann") for number in numbers]
    store.write([*rows, decision(2, person="bob"), decision(3)], [outcome(1)])
    assert list(store.decisions_of("ann", 100)) == rows[::-1]
    assert list(store.decisions_of("ann", 2)) == rows[:-3:-1]
    assert list(store.decisions_of("bob", 2)) == [decision(2, person="bob")]
    for other in ("", "an", "ann' OR '1'='1", "%", "ANN"):
        assert list(store.decisions_of(other, 2)) == []
    store.forget("ann")
    assert list(store.decisions_of("ann", 100)) == []


def test_a_person_is_looked_for_by_the_index(store) -> None:
    explain = "EXPLAIN" if store._database.any_text.startswith("=") else "EXPLAIN QUERY PLAN"
    if explain == "EXPLAIN":  # a planner that would read a small table through
        store._database.rows("SET enable_seqscan = off")
    told = str(store._database.rows(f"{explain} {_OF_PERSON}", ("ann",)))
    assert "decisions_person" in told


def test_a_log_of_the_release_before_finds_persons(address: str) -> None:
    old = store_of_release(address, 3)
    rows = [decision(number, person="ann" if number % 3 else "bob") for number in (1, 256, 1023, 1024, 70_000)]
    old.write(rows, [])
    new = open_store(address)
    assert list(new.decisions_of("ann", 9)) == [row for row in rows[::-1] if row.person == "ann"]
    assert new.forget("bob") == 1
    old.close()
    new.close()

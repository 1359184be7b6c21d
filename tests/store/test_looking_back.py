"""The readers that the console looks back with: the last decisions, those of a person, on each store."""

from __future__ import annotations

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
    numbers = (1, 700, 1023, 1024, 5000, 70_000)
    rows = [decision(number, person="ann") for number in numbers]
    store.write([*rows, decision(2, person="bob"), decision(3)], [outcome(1)])
    assert list(store.decisions_of("ann", 100)) == rows[::-1]
    assert list(store.decisions_of("ann", 2)) == rows[:3:-1]
    assert list(store.decisions_of("bob", 2)) == [decision(2, person="bob")]
    for other in ("", "an", "ann' OR '1'='1", "%", "ANN"):
        assert list(store.decisions_of(other, 2)) == []
    store.forget("ann")
    assert list(store.decisions_of("ann", 100)) == []

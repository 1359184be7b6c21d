"""Policies as they once were, and what was found of them, in each store; and a store that knew nothing of them yet."""

from __future__ import annotations

from revealed.store.open import open_store
from revealed.store.protocol import Milestone
from revealed.store.sql import SqlStore
from tests.store.rows import decision


def milestone(lesson: int, policy: str = "offers") -> Milestone:
    return Milestone(policy, lesson, 100 * lesson, 10 * lesson, 1e9 + lesson + 0.25)


def state(lesson: int) -> bytes:
    return bytes([lesson, 0, 255]) * 1000


def test_the_first_and_the_last_seven_are_kept_with_their_states(store: SqlStore) -> None:
    assert store.milestones("offers") == []
    for lesson in range(12):
        store.add_milestone(milestone(lesson), state(lesson))
        if lesson < 3:
            store.add_milestone(milestone(lesson, "layouts"), b"other")
    kept = [milestone(lesson) for lesson in (0, 5, 6, 7, 8, 9, 10, 11)]
    assert store.milestones("offers") == kept
    assert [store.milestone_state(one) for one in kept] == [state(one.lesson) for one in kept]
    assert store.milestone_state(milestone(4)) is None
    assert store.milestones("layouts") == [milestone(lesson, "layouts") for lesson in range(3)]
    store.add_milestone(milestone(11), b"again, after a crash")
    assert store.milestones("offers") == kept
    assert store.milestone_state(milestone(11)) == state(11), "a milestone stays what it was"


def test_what_was_found_last_is_kept_of_each_slot(store: SqlStore) -> None:
    assert store.judgement("offers") is None
    store.put_judgement("offers", 1e9 + 0.5, '{"x": 1}')
    store.put_judgement("layouts", 2e9, "{}")
    store.put_judgement("offers", 1e9 + 1.5, '{"x": "ä"}')
    assert store.judgement("offers") == (1e9 + 1.5, '{"x": "ä"}')
    assert store.judgement("layouts") == (2e9, "{}")


def test_a_store_from_before_milestones_is_brought_up_to_date(store: SqlStore, address: str) -> None:
    rows = [decision(number) for number in store.lease(3)]
    store.write(rows, [])
    database = store._database
    for table in ("milestones", "judgements"):
        database.rows(f"DROP TABLE {table}")
    database.rows("UPDATE meta SET version = 1" if database.any_text.startswith("=") else "PRAGMA user_version = 1")
    store.close()
    upgraded = open_store(address)
    assert upgraded.decision(rows[1].number) == rows[1]
    upgraded.add_milestone(milestone(3), state(3))
    upgraded.put_judgement("offers", 1.0, "{}")
    upgraded.close()
    again = open_store(address)
    assert again.milestones("offers") == [milestone(3)]
    again.close()

"""What every store must do, on each of them."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from revealed.errors import DataError, SpecificationError, StoreError
from revealed.store.open import open_store
from revealed.store.protocol import (
    Answered,
    Checkpoint,
    KeyRow,
    Lesson,
    OutcomeRow,
    PolicyRow,
    Store,
    Verdict,
)
from revealed.store.sql import CHUNK, SqlStore
from tests.store.conftest import Clock
from tests.store.processes import start
from tests.store.rows import decision, outcome, spoiled

FULL = {"person": "ann", "asked": "a-1", "candidates": '["coupon", "gift", "news"]'}


def test_is_a_store(store: SqlStore) -> None:
    assert isinstance(store, Store)


# ---- writing and reading --------------------------------------------------------------------------------------------


def test_rows_come_back_as_they_were(store: SqlStore, address: str) -> None:
    assert store.ends() == (0, 0)
    first, second = store.lease(2)
    rows = [decision(first, **FULL, made=1e9 + 1 / 3), decision(second)]
    came = [outcome(first, 2, -0.1), outcome(first, 1, 1 / 3), outcome(second, 1, 0)]
    assert store.write(rows, came) == (rows, [Verdict.NEW] * 3)
    other = open_store(address)
    for reader in (store, other):
        assert reader.decision(first) == rows[0]
        assert reader.decision(second) == rows[1]
        assert reader.outcomes_of(first) == [came[1], came[0]]
        assert reader.asked(["a-1", "a-2"]) == {"a-1": rows[0]}
        assert reader.ends() == (2, 3)
    other.close()
    assert store.decision(99) is None
    assert store.decision(2**70) is None
    assert store.outcomes_of(99) == store.outcomes_of(-(2**70)) == []
    assert store.asked([]) == {}


def test_nothing_to_write_is_nothing_written(store: SqlStore) -> None:
    assert store.write([], []) == ((), ())
    assert store.ends() == (0, 0)


@pytest.mark.parametrize(
    "text",
    ['it\'s "quoted" \\ `x`; DROP TABLE decisions; --', "Straße 東京 عربى", "🙂👩‍👩‍👧", "\x01\x7f\u2028\ufeff", ""],
)
def test_any_text_comes_back(store: SqlStore, text: str) -> None:
    about = {"policy": text, "version": text, "person": text, "asked": text, "candidates": text}
    row = decision(1, **about, context=text, shown=json.dumps([text, text]), propensities=text)
    store.write([row], [])
    assert store.decision(1) == row
    assert list(store.asked([text])) == [text]
    assert [found for _, found in store.decisions_after(0, 1, text)] == [row]
    assert store.forget(text) == 1


def test_a_context_of_a_megabyte_comes_back(store: SqlStore) -> None:
    row = decision(1, context=json.dumps({"text": "ä" * 2**20}, ensure_ascii=False))
    store.write([row], [])
    assert store.decision(1) == row


# ---- once only ------------------------------------------------------------------------------------------------------


def test_the_same_id_is_decided_once(store: SqlStore) -> None:
    first = decision(1, asked="id")
    store.write([first], [])
    other = decision(2, asked="id", shown='["gift", "coupon"]')
    new = decision(3, asked="other")
    assert store.write([other, new], [])[0] == [first, new]
    assert store.decision(2) is None
    assert store.ends()[0] == len(list(store.decisions_after(0, 100, "offers"))) + 1  # a place was left free


def test_the_same_id_twice_in_one_batch_is_decided_once(store: SqlStore) -> None:
    rows = [decision(1, asked="id"), decision(2, asked="id"), decision(3)]
    assert store.write(rows, [])[0] == [rows[0], rows[0], rows[2]]
    assert [row for _, row in store.decisions_after(0, 100, "offers")] == [rows[0], rows[2]]


def test_a_batch_sent_again_counts_once(store: SqlStore) -> None:
    rows, came = [decision(1), decision(2, asked="x")], [outcome(1), outcome(2, 2)]
    store.write(rows, came)
    ends = store.ends()
    assert store.write(rows, came) == (rows, [Verdict.KNOWN] * 2)
    assert store.ends() == ends
    assert store.strays(10) == []
    assert list(store.answers_after(0, 9, "offers")) == [
        Answered(1, came[0], rows[0]),
        Answered(2, came[1], rows[1]),
    ]


def test_a_number_of_another_decision_is_refused(store: SqlStore) -> None:
    store.write([decision(1)], [])
    with pytest.raises(StoreError, match=r"decision 1 is there already and is another one.*lease\(\)"):
        store.write([decision(2), decision(1, person="bob")], [])
    assert store.decision(2) is None
    store.write([decision(2)], [])


def test_what_becomes_of_outcomes(store: SqlStore) -> None:
    came = [
        outcome(1),
        outcome(1, came=5.0),  # the same reward: the same outcome, told again
        outcome(1, reward=0.0),
        outcome(1, 3),
        outcome(1, 0),
        outcome(1, -4),
        outcome(8),
        outcome(-8),
        outcome(1, 2),
    ]
    _, verdicts = store.write([decision(1)], came)
    expected = ["new", "known", "different", "unknown", "unknown", "unknown", "unknown", "unknown", "new"]
    assert verdicts == expected
    assert store.outcomes_of(1) == [came[0], came[8]]
    again = store.write([], came)[1]
    assert again == ["known", "known", *expected[2:8], "known"]
    strays = store.strays(100)
    assert [OutcomeRow(**{k: v for k, v in stray.items() if k != "why"}) for stray in strays] == came[7:1:-1]
    assert [stray["why"] for stray in strays] == [*["unknown"] * 5, "different"]
    assert len(store.strays(2)) == 2


# ---- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reward", "came", "received"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None, "1"])
def test_what_is_no_finite_number_is_refused(store: SqlStore, name: str, value: object) -> None:
    bad = spoiled(outcome(1), **{name: value})
    with pytest.raises(DataError, match=rf"outcome of decision 1: 1 problem found\n.*finite number \[{name}\]"):
        store.write([decision(1)], [outcome(1, 2), bad])
    assert store.ends() == (0, 0)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("context", "a\0b", "NUL"),
        ("person", "\0", "NUL"),
        ("asked", "a\ud800", "half a character"),
        ("policy", None, "NoneType where a text belongs"),
        ("context", {"a": 1}, "dict where a text belongs"),
        ("made", float("nan"), "not a finite number"),
        ("number", 1.5, "not a whole number"),
        ("number", -1, "not a whole number"),
        ("number", 2**53, "not a whole number"),
        ("shown", '"coupon"', "not a JSON array"),
        ("shown", "[", "not a JSON array"),
        ("shown", "[" * 100_000, "not a JSON array"),
    ],
)
def test_what_cannot_be_kept_is_refused(store: SqlStore, name: str, value: object, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        store.write([decision(1), spoiled(decision(2), **{name: value})], [])
    assert caught.value.problems[0].where == name
    assert store.ends() == (0, 0)


@pytest.mark.parametrize("bad", [outcome(2**63), outcome(1, 2**63), spoiled(outcome(1), position=1.5)])
def test_an_outcome_beyond_all_numbers_is_refused(store: SqlStore, bad: OutcomeRow) -> None:
    with pytest.raises(DataError, match="not a whole number"):
        store.write([decision(1)], [bad])
    assert store.ends() == (0, 0)


def test_an_error_in_the_middle_writes_nothing(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("revealed.store.sql.verdict", fail)
        with pytest.raises(ZeroDivisionError):
            store.write([decision(1, policy="new")], [outcome(1), outcome(1)])
    assert store.ends() == (0, 0)
    assert store.decision(1) is None
    store.write([decision(1, policy="new")], [outcome(1)])  # the names of that transaction are not taken as known
    assert [found.seq for found in store.answers_after(0, 9, "new")] == [1]


# ---- order ----------------------------------------------------------------------------------------------------------


def test_reading_in_order_from_anywhere(store: SqlStore) -> None:
    count = 2 * CHUNK + 7
    names = ["offers", "layouts"]
    rows = [decision(n, policy=names[n % 2], version=f"v{n % 3}") for n in store.lease(count)]
    for first in range(0, count, 100):
        store.write(rows[first : first + 100], [])
    came = [outcome(row.number, reward=row.number) for row in reversed(rows)]
    store.write([], came)
    for name in names:
        mine = [(seq, row) for seq, row in enumerate(rows, 1) if row.policy == name]
        assert list(store.decisions_after(0, count, name)) == mine
        assert list(store.decisions_after(100, 900, name)) == [pair for pair in mine if 100 < pair[0] <= 900]
        answers = [
            Answered(seq, one, rows[one.decision - 1])
            for seq, one in enumerate(came, 1)
            if rows[one.decision - 1].policy == name
        ]
        assert list(store.answers_after(0, count, name)) == answers
        assert list(store.answers_after(501, 777, name)) == [one for one in answers if 501 < one.seq <= 777]
    assert list(store.answers_after(0, count, "no such policy")) == []
    assert list(store.decisions_after(count, count, "offers")) == []


def test_two_processes_write_at_once(address: str, store: SqlStore) -> None:
    """Places are in the order of commitment: whoever follows sees every one, once."""

    def write() -> None:
        mine = open_store(address)
        for _ in range(40):
            leased = mine.lease(5)
            mine.write([decision(n) for n in leased], [outcome(n) for n in leased])

    writers = [start(write) for _ in range(2)]
    seen: list[int] = []
    last = (0, 0)
    until = time.monotonic() + 60
    while last[1] < 400:
        assert time.monotonic() < until, f"the writers stopped at {last}"
        ends = store.ends()
        assert ends[0] >= last[0]
        seen += [row.number for _, row in store.decisions_after(last[0], ends[0], "offers")]
        answered = [found.seq for found in store.answers_after(last[1], ends[1], "offers")]
        assert answered == list(range(last[1] + 1, ends[1] + 1))
        last = ends
    assert [writer.result() for writer in writers] == ["None", "None"]
    assert sorted(seen) == list(range(1, 401))


def test_numbers_are_leased_once(address: str, store: SqlStore) -> None:
    """Also by processes that end as soon as they have them."""

    def lease() -> list[int]:
        mine = open_store(address)
        return [n for _ in range(20) for n in mine.lease(3)]

    leasers = [start(lease) for _ in range(2)]
    leased = [n for leaser in leasers for n in json.loads(leaser.result())]
    assert sorted(leased) == list(range(1, 121))
    assert store.lease(1) == range(121, 122)
    store.write([decision(500)], [])  # not leased, as in a log taken over from elsewhere
    assert store.lease(2) == range(501, 503)
    with pytest.raises(SpecificationError, match="cannot lease 0 numbers"):
        store.lease(0)


def test_a_store_goes_from_thread_to_thread(store: SqlStore) -> None:
    thread = threading.Thread(target=lambda: store.write([decision(1)], []))
    thread.start()
    thread.join()
    assert store.decision(1) is not None


# ---- learning -------------------------------------------------------------------------------------------------------


def test_lessons_follow_each_other(store: SqlStore) -> None:
    lessons = [Lesson("offers", n, 10 * n, 20 * n, 1e9 + n / 3) for n in (1, 2, 3)]
    for lesson in lessons:
        store.add_lesson(lesson)
    store.add_lesson(lessons[2])  # sent again
    store.add_lesson(Lesson("layouts", 1, 5, 5, 1e9))
    assert store.lessons_after("offers", 0) == lessons
    assert store.lessons_after("offers", 2) == lessons[2:]
    for wrong in (
        Lesson("offers", 3, 31, 60, 1e9),
        Lesson("offers", 5, 50, 100, 1e9),
        Lesson("offers", 4, 29, 60, 1e9),
        Lesson("offers", 4, 30, 59, 1e9),
        Lesson("others", 2, 1, 1, 1e9),
        Lesson("others", 0, 0, 0, 0.0),
    ):
        with pytest.raises(StoreError, match="does not follow lesson"):
            store.add_lesson(wrong)
    assert store.lessons_after("offers", 0) == lessons


def test_the_last_checkpoints_are_kept(store: SqlStore) -> None:
    assert store.checkpoint("offers") is None
    states = {n: bytes([n, 0, 255]) * 1000 for n in range(6)}
    for n, state in states.items():
        store.add_checkpoint(Checkpoint("offers", n, state))
        store.add_checkpoint(Checkpoint("layouts", n, b""))
    assert store.checkpoint("offers") == Checkpoint("offers", 5, states[5])
    assert store._database.rows("SELECT lesson FROM checkpoints WHERE policy = 'offers' ORDER BY lesson") == [
        (3,),
        (4,),
        (5,),
    ]
    store.add_checkpoint(Checkpoint("offers", 5, b"again"))
    assert store.checkpoint("offers") == Checkpoint("offers", 5, b"again")


def test_a_role_has_one_holder(store: SqlStore, address: str, clock: Clock) -> None:
    other = open_store(address, clock=clock)
    assert store.hold("learner", "a", 10)
    assert not other.hold("learner", "b", 10)
    assert other.hold("sweeper", "b", 10)
    clock.now += 9
    assert store.hold("learner", "a", 10)
    clock.now += 9
    assert not other.hold("learner", "b", 10)
    clock.now -= 60  # the clock is put back a little: still a's
    assert not other.hold("learner", "b", 10)
    clock.now -= 3600  # far: what reaches so far ahead was taken before, and is over
    assert other.hold("learner", "b", 10)
    assert not store.hold("learner", "a", 10)
    store.release("learner", "a")  # not its own
    assert not store.hold("learner", "a", 10)
    other.release("learner", "b")
    assert store.hold("learner", "a", 10)
    other.close()


# ---- administration -------------------------------------------------------------------------------------------------


def test_policies_keys_and_notes(store: SqlStore, clock: Clock) -> None:
    rows = [PolicyRow("b", "{}", "live", 0.5, 1.5, "a"), PolicyRow("a", '{"x": "ü"}', "shadow", 1.0, 2.5, "a", "b")]
    for row in rows:
        store.put_policy(row)
    assert store.policies() == rows[::-1]
    changed = dataclasses.replace(rows[0], state="stopped", share=0.0)
    store.put_policy(changed)
    assert store.policies() == [rows[1], changed]

    key = KeyRow("rk_1", bytes(range(32)), ("decide", "outcome"), "the shop's", 1.0, expires=9.5)
    store.put_key(key)
    store.put_key(KeyRow("rk_2", b"", (), "", 2.0))
    store.put_key(dataclasses.replace(key, revoked=3.0))
    assert store.keys() == [dataclasses.replace(key, revoked=3.0), KeyRow("rk_2", b"", (), "", 2.0)]

    store.note("rk_1", "promote", "b")
    clock.now += 1
    store.note("rk_1", "stop", "a 'quoted' one")
    latest = {"seq": 2, "at": 1001.0, "who": "rk_1", "act": "stop", "about": "a 'quoted' one"}
    assert store.notes(1) == [latest]
    assert [note["act"] for note in store.notes(10)] == ["stop", "promote"]


def test_a_block_is_one_transaction(store: SqlStore, address: str) -> None:
    row = PolicyRow("a", "{}", "live", 1.0, 0.0, "a")
    with store.transaction():
        store.put_policy(row)
        store.note("rk_1", "create", "a")
        assert store.policies() == [row]

    def fail_late() -> None:
        with store.transaction():
            store.put_policy(dataclasses.replace(row, state="stopped"))
            with store.transaction():  # part of the one around it
                store.note("rk_1", "stop", "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert store.policies() == [row]
    assert [note["act"] for note in store.notes(9)] == ["create"]

    def count() -> None:
        mine = open_store(address)
        for _ in range(20):
            with mine.transaction():
                (now,) = mine.policies()
                mine.put_policy(dataclasses.replace(now, changed=now.changed + 1))
        mine.close()

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.policies() == [dataclasses.replace(row, changed=40.0)]


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.note("a\0", "x", "y"),
        lambda store: store.put_policy(PolicyRow("a\0", "{}", "live", 1.0, 1.0, "a")),
        lambda store: store.put_key(KeyRow("a", b"", (), "\0", 1.0)),
        lambda store: store.hold("a\0", "b", 1),
        lambda store: store.add_lesson(Lesson("a\0", 1, 0, 0, 0.0)),
        lambda store: store.add_checkpoint(Checkpoint("a\0", 1, b"")),
    ],
)
def test_a_nul_is_refused_everywhere(store: SqlStore, act: Callable[[SqlStore], None]) -> None:
    with pytest.raises(DataError, match="NUL"):
        act(store)


# ---- taking out -----------------------------------------------------------------------------------------------------


def test_forget_takes_a_person_out(store: SqlStore) -> None:
    rows = [decision(n, person=["ann", "bob", None][n % 3], asked=f"id{n}") for n in range(1, 31)]
    came = [outcome(n) for n in range(1, 31)]
    store.write(rows, [*came, *[outcome(n, reward=7.0) for n in range(1, 31)]])
    assert store.forget("ann") == 10
    assert store.forget("ann") == 0
    assert store.forget("nobody") == 0
    left = [row for row in rows if row.person != "ann"]
    assert [row for _, row in store.decisions_after(0, 99, "offers")] == left
    assert [one.decision for one in store.answers_after(0, 99, "offers")] == left
    assert len(store.strays(99)) == 20
    assert store.asked([f"id{n}" for n in range(1, 31)]).keys() == {row.asked for row in left}
    assert store.outcomes_of(3) == []
    assert store.write([], [outcome(3)])[1] == [Verdict.UNKNOWN]
    assert store.ends() == (30, 30)
    store.write([decision(31)], [])
    assert [seq for seq, _ in store.decisions_after(30, 99, "offers")] == [31]


def test_forget_finds_all_of_a_person(store: SqlStore) -> None:
    """Numbers far apart, as of deciders that lease blocks, and at the ends of what numbers may be."""
    numbers = [0, 1, 1023, 1024, 1025, 5_000, 10**6, 10**6 + 1, 2**40, 2**53 - 1]
    store.write([decision(n, person=p) for i, p in enumerate(["ann", "bob"]) for n in numbers[i::2]], [])
    assert store.forget("ann") == 5
    assert [row.number for _, row in store.decisions_after(0, 99, "offers")] == numbers[1::2]
    assert store.forget("bob") == 5
    store.compact()
    assert store.ends() == (10, 0)


def test_a_place_is_not_given_again(store: SqlStore) -> None:
    """Whoever has read up to a place would never see what is written there later."""
    store.write([decision(1, person="ann")], [outcome(1)])
    store.forget("ann")
    store.write([decision(2)], [outcome(2)])
    assert store.ends() == (2, 2)
    assert [seq for seq, _ in store.decisions_after(1, 9, "offers")] == [2]


def test_drop_before_takes_the_old_out(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revealed.store.sql.DROPPED", 7)
    rows = [decision(n, made=float((n * 37) % 100)) for n in range(1, 51)]
    store.write(rows, [outcome(n, received=float((n * 37) % 100)) for n in range(1, 51)])
    store.write([], [outcome(n, reward=3.0, received=float((n * 37) % 100)) for n in range(1, 51)])
    store.write([], [outcome(77, received=1.0), outcome(78, received=99.0)])
    old = [row for row in rows if row.made < 50]
    assert store.drop_before(50.0) == len(old) > 10
    left = [row for row in rows if row.made >= 50]
    assert [row for _, row in store.decisions_after(0, 99, "offers")] == left
    assert [one.decision for one in store.answers_after(0, 99, "offers")] == left
    assert {stray["decision"] for stray in store.strays(99)} == {row.number for row in left} | {78}
    assert store.drop_before(50.0) == 0


# ---- opening --------------------------------------------------------------------------------------------------------


def test_a_closed_store_says_so(store: SqlStore) -> None:
    store.close()
    store.close()
    for act in (store.ends, lambda: store.write([decision(1)], []), lambda: store.lease(1)):
        with pytest.raises(StoreError, match="it has been closed: open it again"):
            act()


def test_a_newer_log_is_refused(store: SqlStore, address: str) -> None:
    newer = "PRAGMA user_version = 99" if store._database.any_text.startswith("IN") else "UPDATE meta SET version = 99"
    store._database.rows(newer)
    with pytest.raises(StoreError, match="written by a newer release.*pip install --upgrade revealed"):
        open_store(address)


def test_processes_that_start_at_once_make_one_log(address: str) -> None:
    started = [start(lambda: open_store(address).lease(1)) for _ in range(6)]
    assert sorted(one.result() for one in started) == [f"range({n}, {n + 1})" for n in range(1, 7)]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("mysql://host/x", "no log can be kept at a mysql:// address"),
        ("sqlite://log.db", "write sqlite:///FILE"),
        ("sqlite:///", "names no file"),
    ],
)
def test_other_addresses_are_refused(where: str, says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        open_store(where)


def test_an_address_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    open_store(f"sqlite:///{path}").write([decision(1)], [])
    assert open_store(path).decision(1) == decision(1)

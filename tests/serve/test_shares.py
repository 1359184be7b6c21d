"""Which persons are under test: so many as are wanted, and the same ones whatever happens to other policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from revealed.serve.roster import LIVE, SHADOW, STOPPED
from revealed.serve.shares import Shares
from revealed.store.protocol import PolicyRow

PEOPLE = [f"person {i}" for i in range(4000)]


def under_test(**shares: float) -> list[PolicyRow]:
    """Return a slot's policies: one that leads, and some under test."""
    rows = [PolicyRow("leader", "{}", LIVE, 1.0, 0.0, "s", None)]
    return rows + [PolicyRow(name, "{}", LIVE, share, 0.0, "s", None) for name, share in shares.items()]


def of_each(rows: list[PolicyRow], slot: str = "s") -> dict[str | None, set[str]]:
    found: dict[str | None, set[str]] = {}
    shares = Shares()
    for person in PEOPLE:
        found.setdefault(shares.tried_for(slot, rows, person, LIVE), set()).add(person)
    return found


def test_each_has_its_share() -> None:
    found = of_each(under_test(a=0.2, b=0.05, c=0.5))
    assert {name: round(len(some) / len(PEOPLE), 2) for name, some in found.items()} == {
        "a": pytest.approx(0.2, abs=0.02),
        "b": pytest.approx(0.05, abs=0.015),
        "c": pytest.approx(0.5, abs=0.02),
        None: pytest.approx(0.25, abs=0.02),
    }
    assert of_each(under_test(a=0.5, b=0.5)).keys() == {"a", "b"}  # all of them
    apart = of_each(under_test(a=0.2), "another slot")["a"] & found["a"]
    assert len(apart) == pytest.approx(0.04 * len(PEOPLE), rel=0.3)  # what is tested elsewhere makes no difference


@pytest.mark.parametrize("state", [SHADOW, STOPPED])
def test_one_that_is_put_to_sleep_leaves_the_others_theirs(state: str) -> None:
    rows = under_test(a=0.2, b=0.2)
    before = of_each(rows)
    after = of_each([replace(row, state=state) if row.name == "a" else row for row in rows])
    assert after == {"b": before["b"], None: before[None] | before["a"]}
    # A larger share adds persons, be they of one that sleeps.
    more = [replace(rows[1], state=state, share=0.5), replace(rows[2], share=0.4)]
    most = [more[0], replace(rows[2], share=0.6)]
    assert of_each([*rows[:1], *more])["b"] < of_each([*rows[:1], *most])["b"]
    # It comes back to its own, too; and where it would be too much, those that decide have theirs all the same.
    full = [*rows[:1], replace(rows[1], state=state, share=0.4), replace(rows[2], share=0.9)]
    assert len(of_each(full)["b"]) == pytest.approx(0.9 * len(PEOPLE), rel=0.03)


def test_a_larger_share_takes_nobody_away_and_a_newcomer_few() -> None:
    before = of_each(under_test(b=0.2, c=0.2))
    more = of_each(under_test(b=0.3, c=0.2))
    assert before["b"] < more["b"]
    assert len(before["c"] - more["c"]) < 0.15 * len(before["c"])
    joined = of_each(under_test(a=0.1, b=0.2, c=0.2))
    for name in ("b", "c"):
        assert len(before[name] - joined[name]) < 0.15 * len(before[name])


def test_a_share_of_nearly_nobody_is_somebody() -> None:
    shares = Shares()
    everyone = [shares.tried_for("s", under_test(a=1e-6), f"visitor {i}", LIVE) for i in range(100_000)]
    assert 0 < everyone.count("a") < 40


def test_nobody_in_particular_is_drawn() -> None:
    shares = Shares()
    drawn = [shares.tried_for("s", under_test(a=0.3), None, LIVE) for _ in range(3000)]
    assert drawn.count("a") == pytest.approx(900, rel=0.2)

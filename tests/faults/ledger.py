"""What was acknowledged against what is in the store: nothing lost, nothing twice, and learned as the lessons say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from revealed.decide.policy import LearningPolicy
from revealed.serve.learner import Pupil
from revealed.serve.lessons import taught
from revealed.serve.names import Names
from revealed.serve.snapshots import Snapshots, policy_of, state_of
from revealed.store.open import open_store
from revealed.store.protocol import Store
from tests.faults.running import Shopper
from tests.serve.world import fresh

#: The number that stands for a decision that nobody knows.
NOBODY = -1


def checked(where: str, shoppers: Sequence[Shopper], snapshots: Path | None = None) -> str:
    """Check the store of a service that has ended; return the counts, to be printed."""
    store = open_store(where)
    try:
        return _checked(store, shoppers, snapshots)
    finally:
        store.close()


def _checked(store: Store, shoppers: Sequence[Shopper], snapshots: Path | None) -> str:
    decisions_end, outcomes_end = store.ends()
    names = Names(store.secret())
    rows = {row.asked: row for _, row in store.decisions_after(0, decisions_end, "offers")}
    answers = list(store.answers_in_slot(0, outcomes_end, "offers"))
    decided = {asked: told for shopper in shoppers for asked, told in shopper.decided.items()}
    told = {asked: reward for shopper in shoppers for asked, reward in shopper.told.items()}
    assert [entry for shopper in shoppers for entry in shopper.odd] == []
    # Every decision acknowledged is there, with what was told of it.
    assert decided.keys() <= rows.keys(), sorted(decided.keys() - rows.keys())[:5]
    for asked, answer in decided.items():
        row = rows[asked]
        assert answer["decision"] == names.name(row.number)
        assert answer["shown"] == json.loads(row.shown)
        assert answer["propensities"] == json.loads(row.propensities)
        assert answer["version"] == row.version
    # Every outcome acknowledged counts, and once.
    counted = Counter(answer.decision.asked for answer in answers)
    assert told.keys() <= counted.keys(), sorted(told.keys() - counted.keys())[:5]
    assert set(counted.values()) <= {1}
    rewards = {answer.decision.asked: answer.outcome.reward for answer in answers}
    assert told.items() <= rewards.items()
    assert [stray for stray in store.strays(1000) if stray["decision"] != NOBODY] == []
    # No number twice, none behind what is leased; no row but what was asked for.
    numbers = [row.number for row in rows.values()]
    assert len(set(numbers)) == len(numbers) == decisions_end or len(numbers) <= decisions_end
    assert store.lease(1)[0] > max(numbers, default=0)
    underway = len(rows) - len(decided)
    assert underway <= len(shoppers), "decisions that nobody asked for"
    lessons = _require_learned(store, snapshots, answers_end=outcomes_end)
    sent, away = sum(each.sent for each in shoppers), sum(each.sent_away for each in shoppers)
    lost, fixed = sum(each.unanswered for each in shoppers), sum(each.fallbacks for each in shoppers)
    return (
        f"{sent:,} requests sent ({lost:,} got no answer, {away:,} were sent away, {fixed:,} got the fall-back); "
        f"acknowledged {len(decided):,} decisions and {len(told):,} outcomes; found {len(rows):,} and {len(answers):,} "
        f"(none twice); {lessons:,} lessons repeat to the same bits"
    )


def _require_learned(store: Store, snapshots: Path | None, answers_end: int) -> int:
    """Check that lessons have no gaps, and that what was learned is what they teach from the start; return how many."""
    lessons = store.lessons_after("offers", 0)
    assert [lesson.number for lesson in lessons] == list(range(1, len(lessons) + 1))
    policy, before, at = fresh_as_served(), 0, {}
    for lesson in lessons:
        policy, odd = taught(policy, list(store.answers_in_slot(before, lesson.outcomes_to, "offers")))
        assert odd == 0
        before = lesson.outcomes_to
        at[lesson.number] = state_of(policy)
    kept = store.checkpoint("offers")
    assert kept is not None
    assert kept.lesson == 0 or kept.state == at[kept.lesson]
    if snapshots is not None:
        published = Snapshots(snapshots).news("offers")
        assert published is not None
        assert state_of(published.policy) == (
            at[published.lesson] if published.lesson else state_of(policy_of(kept.state))
        )
    # And what comes after the last lesson is learned by whoever resumes.
    pupil = Pupil.resumed(store, "offers", "offers")
    while pupil.look(1e9):
        pass
    assert pupil.policy.model.n_answers == len(list(store.answers_in_slot(0, answers_end, "offers")))
    return len(lessons)


def fresh_as_served() -> LearningPolicy:
    """Return the policy as ``revealed serve`` begins it."""
    return LearningPolicy.fresh(fresh().specification, seed=0)

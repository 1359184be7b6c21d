"""Versions and shadow policies judged on what they have not learned from: against a world whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from revealed.choices.feedback import read_feedback
from revealed.decide.explore import Limits
from revealed.decide.many import Desk, Request
from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import Showing
from revealed.serve import learner
from revealed.serve.enrolment import enrol
from revealed.serve.judging import EACH, STRETCHES, _stretches, judge_all, judged, judgement_of
from revealed.serve.learner import Pupil
from revealed.serve.snapshots import policy_of
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow, Lesson, Milestone, OutcomeRow, Store
from tests.serve.world import OFFERS, fresh

CANDIDATES = [{"offer": offer} for offer in OFFERS]
#: How often each offer is taken: what is right on a phone is wrong on a desktop.
TAKEN = {"phone": [0.1, 0.55, 0.2, 0.3, 0.05], "desktop": [0.5, 0.1, 0.2, 0.05, 0.35]}
PLAIN = {"features": {"formula": "C(offer)"}, "explore": {"floor": 0.08}}
DEVICES = tuple(TAKEN)


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "log.db"))
    yield opened
    opened.close()


def decided(
    store: Store,
    policy: LearningPolicy,
    count: int,
    rng: np.random.Generator,
    candidates: Sequence[Any] | None = CANDIDATES,
    n_shown: int | None = None,
    answers: Callable[[int], bool] = lambda _: True,
    persons: int = 4000,
) -> list[DecisionRow]:
    """Let a policy decide as the service would, and write what came of it."""
    numbers, rows, came = store.lease(count), [], []
    devices = [DEVICES[int(code)] for code in rng.integers(2, size=count)]
    asked = [Request({"device": device}, n, candidates, n_shown) for n, device in zip(numbers, devices, strict=True)]
    for number, device, made in zip(numbers, devices, Desk(policy).decide(asked), strict=True):
        assert not isinstance(made, Exception)
        rows.append(
            DecisionRow(
                number, "offers", made.policy_version, float(number), json.dumps({"device": device}),
                json.dumps(made.shown), json.dumps(made.propensities), f"person {rng.integers(persons)}", None,
                None if candidates is None else json.dumps(candidates),
            )
        )  # fmt: skip
        for position, label in enumerate(made.shown, start=1):
            if answers(number):
                taken = float(rng.random() < TAKEN[device][OFFERS.index(label)])
                came.append(OutcomeRow(number, position, taken, number + 1.0, number + 1.0))
    store.write(rows, came)
    return rows


def truth(policy: LearningPolicy) -> float:
    """Return what a policy earns in this world, by its probabilities under many other random numbers."""
    asked = [Request({"device": device}, 10**9 + 97 * i, CANDIDATES) for device in DEVICES for i in range(40)]
    found = np.zeros((len(asked), len(OFFERS)))
    for places, labels, chances in Desk(policy).chances(asked):
        assert labels == OFFERS
        found[places] = chances
    assert found.sum(axis=1) == pytest.approx(1.0)
    return float(np.mean([found[i] @ TAKEN[one.context["device"]] for i, one in enumerate(asked)]))


def warm(**sections: Any) -> LearningPolicy:
    """Return a policy that has met all there is and knows next to nothing: it decides many at once."""
    pairs = [(offer, device, yes) for offer in OFFERS for device in DEVICES for yes in (0, 1)]
    columns = dict(zip(("offer", "device", "clicked"), map(list, zip(*pairs, strict=True)), strict=True))
    policy = fresh(**sections)
    rows = {"visit": list(range(len(pairs))), "propensity": [0.2] * len(pairs), **columns}
    return policy.learn(read_feedback(rows, policy.columns))


def now_at(store: Store, name: str, policy: LearningPolicy) -> Milestone:
    return Milestone(name, 1, policy.model.n_answers, store.ends()[0], 5.0)


# ---- what it is told ------------------------------------------------------------------------------------------------


def test_a_shadow_that_is_better_is_found_to_be_and_the_interval_covers_the_truth(store) -> None:
    enrol(store, "offers", warm(**PLAIN), 0.0)
    enrol(store, "by device", warm(), 1.0, "offers")
    rng = np.random.default_rng(5)
    pupils = {name: Pupil.resumed(store, name, "offers") for name in ("offers", "by device")}
    decided_by = [truth(pupils["offers"].policy)]  # what each lot of decisions was worth
    for turn in range(5):
        decided(store, pupils["offers"].policy, 300, rng)
        for pupil in pupils.values():
            assert pupil.look(100.0 + turn)
            pupil.mark()
        decided_by.append(truth(pupils["offers"].policy))
    found = judgement_of(store, "offers", 200.0)
    assert [(one.policy, one.answers) for one in found.versions] == [
        (name, answers) for name in ("by device", "offers") for answers in (20, 320, 920)
    ]
    for one in found.versions:
        kept = next(milestone for milestone in store.milestones(one.policy) if milestone.lesson == one.lesson)
        state = store.milestone_state(kept)
        assert state is not None
        true = truth(policy_of(state))
        shown = float(np.mean(decided_by[kept.decisions_to // 300 : 5]))
        assert not one.refused, one
        assert one.low is not None
        assert one.high is not None
        assert one.low < true < one.high, one
        assert one.answered == 1500 - kept.decisions_to
        if one.by_low is None or one.by_high is None:
            assert one.policy == "offers"
            assert "too few for an interval" in one.warnings[-1], "nearly the same as what decided"
            continue
        assert one.by_low <= true - shown <= one.by_high, one
        if one.policy == "by device" and one.lesson:
            assert one.by_low > 0, "better than what was shown, which does not look at the device"
            assert true > shown + 0.1
    judge_all(store, 300.0)
    assert store.judgement("offers") is not None


def test_intervals_cover_the_truth_as_often_as_they_say(store) -> None:
    """Ten logs of 200 decisions: below seven that cover it is one in a thousand."""
    rng = np.random.default_rng(8)
    leader, other = warm(**PLAIN), warm()
    enrol(store, "offers", leader, 0.0)
    learned = Pupil.resumed(store, "offers", "offers")
    judged_one = Pupil(store, "other", "offers", other, learned.lesson)
    decided(store, leader, 500, rng)
    assert learned.look(1.0)
    judged_one._learn(learned.lesson)
    policy = judged_one.policy
    true, covered = truth(policy), 0
    for _ in range(10):
        before = now_at(store, "other", policy)
        decided(store, learned.policy, 200, rng)
        found = judged(store, "offers", before, policy, store.ends()[0], 1e6)
        assert found.low is not None
        assert found.high is not None
        covered += found.low < true < found.high
    assert covered >= 7


def test_where_the_log_never_shows_what_a_policy_would_it_says_so(store) -> None:
    rng = np.random.default_rng(1)
    always = warm(business={"pinned": "gift", "fallback": ["news"]})
    enrol(store, "offers", always, 0.0)
    decided(store, always, 300, rng)
    other = warm(business={"pinned": "news", "fallback": ["news"]})
    found = judged(store, "offers", Milestone("other", 0, 0, 0, 0.0), other, store.ends()[0], 1e6)
    assert (found.answered, found.effective, found.missing) == (300, 0.0, 1.0)
    assert (found.value, found.low, found.by) == (None, None, None)
    assert any("100.0% of what the policy would show was never shown" in why for why in found.refused)
    assert any("an effective sample of 0.0 rows out of 300" in why for why in found.refused)
    same = judged(store, "offers", Milestone("offers", 0, 0, 0, 0.0), always, store.ends()[0], 1e6)
    assert not same.refused
    assert same.value == same.shown
    assert (same.by, same.missing) == (0.0, 0.0)


def test_a_little_that_had_no_chance_makes_intervals_wider_and_more_is_refused(store) -> None:
    rng = np.random.default_rng(2)
    enrol(store, "offers", warm(**PLAIN), 0.0)
    decided(store, warm(**PLAIN), 400, rng)
    greedy = warm(features=PLAIN["features"], explore={"rule": "greedy"})
    pupil = Pupil(store, "other", "offers", greedy, Lesson("other", 0, 0, 0, 0.0))
    assert pupil.look(1.0)
    start = now_at(store, "other", pupil.policy)
    decided(store, warm(business={"blocked": ["trial", "news"], "fallback": ["gift"]}), 700, rng)
    for floor, refuses in ((0.01, False), (0.06, True)):
        asked = replace(pupil.policy, explorer=replace(pupil.policy.explorer, limits=Limits(floor)))
        found = judged(store, "offers", start, asked, store.ends()[0], 1e6)
        assert found.missing == pytest.approx(2 * floor, abs=0.02)
        assert bool(found.refused) == refuses
        if not refuses:
            assert found.value is not None
            assert found.slack == pytest.approx((found.missing * found.value, found.missing * (1 - found.value)))


def test_what_cannot_be_judged_says_why(store) -> None:
    rng = np.random.default_rng(3)
    policy = warm(**PLAIN)
    enrol(store, "offers", policy, 0.0)
    start = Milestone("offers", 0, 0, 0, 0.0)
    nothing = judged(store, "offers", start, policy, 0, 1e6)
    assert (nothing.count, nothing.refused) == (0, ["no decision made after it has an outcome yet"])
    decided(store, policy, 100, rng, answers=lambda _: False)
    silent = judged(store, "offers", start, policy, store.ends()[0], 1e6)
    assert (silent.read, silent.answered, silent.refused) == (100, 0, nothing.refused)
    decided(store, policy, 40, rng)
    wants_more = fresh(features={"formula": "C(offer) + C(country)"})
    found = judged(store, "offers", start, wants_more, store.ends()[0], 1e6)
    assert found.value is None
    assert found.refused[0].startswith("it cannot decide 40 of the 40 decisions that have an outcome: no 'country'")
    assert "'country'" in found.refused[0]
    decided(store, policy, 20, rng, answers=lambda number: number % 2 == 0)
    few = judged(store, "offers", now_at(store, "offers", policy), policy, store.ends()[0], 1e6)
    assert few.refused == ["no decision made after it has an outcome yet"]


def test_silence_is_a_no_where_the_policy_says_when(store) -> None:
    rng = np.random.default_rng(4)
    late = fresh(
        **PLAIN, delay={"method": "wait", "shown": "shown", "answered": "answered", "unit": "seconds", "horizon": 50}
    )
    enrol(store, "offers", late, 0.0)
    rows = decided(store, late, 24, rng, answers=lambda number: number % 2 == 0)
    start = Milestone("offers", 0, 0, 0, 0.0)
    soon = judged(store, "offers", start, late, 24, rows[0].made + 49)
    afterwards = judged(store, "offers", start, late, 24, rows[-1].made + 51)
    assert (soon.answered, afterwards.answered) == (12, 24)
    assert soon.shown == pytest.approx(2 * (afterwards.shown or 0.0))


def test_intervals_count_persons_and_too_few_of_them_say_nothing(store) -> None:
    rng = np.random.default_rng(13)
    policy = warm(**PLAIN)
    enrol(store, "offers", policy, 0.0)
    decided(store, policy, 100, rng, persons=10)
    found = judged(store, "offers", Milestone("offers", 0, 0, 0, 0.0), policy, store.ends()[0], 1e6)
    assert found.refused == ["only 10 persons tell how persons differ, fewer than 30"]
    assert found.value is None


def taught(store: Store, count: int, rng: np.random.Generator, **changes: Any) -> Pupil:
    """Return who has learned from some decisions."""
    enrol(store, "offers", warm(**changes), 0.0)
    pupil = Pupil.resumed(store, "offers", "offers")
    decided(store, pupil.policy, count, rng)
    assert pupil.look(1.0)
    return pupil


# ---- how it asks ----------------------------------------------------------------------------------------------------


def test_many_at_once_are_as_likely_as_one_by_one_with_the_very_numbers(store) -> None:
    rng = np.random.default_rng(6)
    pupil = taught(store, 300, rng)
    requests = [Request({"device": DEVICES[n % 2]}, 700 * n, CANDIDATES if n % 3 else None) for n in range(30)]
    requests.append(Request({"device": "watch"}, 5, CANDIDATES))  # never met: not among those that are alike
    seen: list[int] = []
    for places, labels, chances in Desk(pupil.policy).chances(requests):
        for place, row in zip(places, chances, strict=True):
            one = requests[place]
            alone = Showing.of(pupil.policy, one.context, one.candidates, 1)
            assert alone.labels == labels
            assert row == pytest.approx(alone.given_above(one.seed, [0])[0])
        seen += places
    assert sorted(seen) == list(range(30))


def test_the_version_that_decided_weighs_each_decision_one(store) -> None:
    rng = np.random.default_rng(7)
    pupil = taught(store, 300, rng)
    before = now_at(store, "offers", pupil.policy)
    for candidates in (CANDIDATES, None, list(OFFERS)):
        decided(store, pupil.policy, 200, rng, candidates)
    found = judged(store, "offers", before, pupil.policy, store.ends()[0], 1e6)
    assert found.answered == 600
    assert found.effective == pytest.approx(600, rel=1e-6)
    assert found.by == pytest.approx(0.0, abs=1e-9)


def test_labels_that_are_younger_than_the_version_are_asked_for_with_what_is_known_of_them_now(store) -> None:
    rng = np.random.default_rng(9)
    pupil = taught(store, 100, rng, **PLAIN)
    decided(store, pupil.policy, 40, rng, list(OFFERS))
    young = fresh(features={"formula": "C(offer) + price", "item": ["price"]})
    start = Milestone("offers", 0, 0, 100, 0.0)
    assert "it cannot decide 40" in judged(store, "offers", start, young, 140, 1e6).refused[0]
    met = {offer: {"price": 2.0} for offer in OFFERS}
    assert judged(store, "offers", start, young, 140, 1e6, met).answered == 40


def test_several_things_at_once_are_judged_from_the_top(store) -> None:
    rng = np.random.default_rng(10)
    policy = fresh(**PLAIN)
    enrol(store, "offers", policy, 0.0)
    decided(store, policy, 45, rng, n_shown=2)
    start = Milestone("offers", 0, 0, 0, 0.0)
    own = judged(store, "offers", start, policy, 45, 1e6)
    assert own.answered == 45
    assert own.shown == pytest.approx(sum(o.reward for n in range(1, 46) for o in store.outcomes_of(n)) / 45)
    assert own.by == pytest.approx(0.0, abs=1e-9)
    other = judged(store, "offers", start, fresh(business={"blocked": ["guide"], "fallback": ["news"]}), 45, 1e6)
    assert other.low is not None
    assert other.high is not None
    even = np.mean([TAKEN[device][i] for device in DEVICES for i in (0, 1, 3, 4)])  # it knows nothing yet
    assert other.low < 2 * even < other.high


@pytest.mark.parametrize("count", [0, 1, EACH, 3 * EACH + 7, 10**6])
def test_a_window_is_read_in_part_from_all_of_it(count) -> None:
    stretches = sorted(_stretches(40, 40 + count))
    assert stretches[0][0] == 40
    assert stretches[-1][1] == 40 + count
    assert all(one[1] == other[0] for one, other in pairwise(stretches))
    assert len(stretches) <= STRETCHES
    if count <= STRETCHES * EACH:
        assert max(stop - start for start, stop in stretches) <= EACH, "a short one is read whole"


# ---- milestones -----------------------------------------------------------------------------------------------------


def test_a_milestone_is_kept_at_enrolment_and_at_twice_as_many_outcomes_also_after_a_restart(store) -> None:
    rng = np.random.default_rng(11)
    enrol(store, "offers", warm(**PLAIN), 7.0)
    pupil = Pupil.resumed(store, "offers", "offers")
    for turn in range(12):
        decided(store, pupil.policy, 60, rng)
        assert pupil.look(10.0 + turn)
        pupil.mark()
        if turn % 5 == 3:
            pupil.keep(1e9, 0.0)
            pupil = Pupil.resumed(store, "offers", "offers")
    kept = store.milestones("offers")
    assert [(one.lesson, one.answers) for one in kept] == [(0, 20), (2, 140), (5, 320), (11, 680)]
    assert [(one.decisions_to, one.at) for one in kept[:2]] == [(0, 7.0), (120, 11.0)]
    for one in kept:
        state = store.milestone_state(one)
        assert state is not None
        assert policy_of(state).model.n_answers == one.answers


def test_no_milestone_while_a_new_policy_learns_what_came_before_it(store, monkeypatch) -> None:
    monkeypatch.setattr(learner, "_LONGEST", 150)
    rng = np.random.default_rng(12)
    policy = warm(**PLAIN)
    enrol(store, "offers", policy, 0.0)
    decided(store, policy, 600, rng)
    enrol(store, "later", fresh(), 1.0, "offers")
    pupil = Pupil.resumed(store, "later", "offers")
    while pupil.look(2.0):
        pupil.mark()
    kept = store.milestones("later")
    assert [(one.answers, one.decisions_to) for one in kept] == [(0, 600), (600, 600)]

"""Late answers through a policy: silence says what it says, until the answer takes its place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.delay import WeibullDelay
from revealed.decide.delay import known as known_module
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.posterior import Posterior
from revealed.report.markdown import to_markdown
from revealed.report.policy import sections_of_policy

ITEMS = ("cap", "hat", "scarf")
SEGMENTS = ("new", "old")
#: Of a purchase, by segment and item.
CHANCES = np.array([[0.1, 0.6, 0.2], [0.1, 0.15, 0.5]])
KINDS = ("full", "grouped", "diagonal")
ROLES = {"decision": "visit", "action": "item", "reward": "bought", "propensity": "chance"}


@dataclass
class World:
    """What happens: who is shown what when, and what comes of it, and when."""

    item: np.ndarray
    segment: np.ndarray
    shown: np.ndarray
    buys: np.ndarray
    came: np.ndarray

    @classmethod
    def of(cls, n: int, seed: int, *, until: float = 100.0, law: WeibullDelay | None = None) -> World:
        rng = np.random.default_rng(seed)
        item, segment = rng.integers(0, 3, n), rng.integers(0, 2, n)
        shown, buys = np.sort(rng.uniform(0, until, n)), rng.random(n) < CHANCES[segment, item]
        law = law or WeibullDelay.with_mean(10.0)
        covariates = segment[:, None].astype(float) if law.n_covariates else np.zeros((n, 0))
        return cls(item, segment, shown, buys, shown + law.draw(rng, covariates))

    def log(self, rows: Iterable[int], now: float, *, noes: bool = False, **changes: Any) -> Feedback:
        """Return rows as they stand at a time; with ``noes`` those who will not buy say so when their answer comes."""
        rows = np.array(list(rows))
        answered = (self.came[rows] <= now) & (self.buys[rows] | noes)
        table = {
            "visit": rows,
            "item": [ITEMS[i] for i in self.item[rows]],
            "segment": [SEGMENTS[s] for s in self.segment[rows]],
            "old": self.segment[rows],
            "bought": pa.array([float(b) if a else None for a, b in zip(answered, self.buys[rows], strict=True)]),
            "shown_at": self.shown[rows],
            "answered_at": pa.array([t if a else None for a, t in zip(answered, self.came[rows], strict=True)]),
            "chance": np.full(len(rows), 1 / 3),
        }
        return read_feedback({**table, **changes}, **ROLES)  # type: ignore[arg-type]

    def later(self, then: float, now: float) -> np.ndarray:
        """Return the rows of the log of a day: shown since then, or answered since then."""
        return np.flatnonzero(
            (self.shown <= now) & ((self.shown > then) | (self.buys & (self.came > then) & (self.came <= now)))
        )


def policy_of(
    covariance: str = "full", link: str = "logit", learn: dict[str, Any] | None = None, **delay: Any
) -> LearningPolicy:
    sections = {
        "features": {"formula": "C(item) + C(segment):C(item)"},
        "learn": {"covariance": covariance, "link": link, **(learn or {})},
        "log": ROLES,
        "delay": {"shown": "shown_at", "answered": "answered_at", **delay},
    }
    return LearningPolicy.fresh(Specification.from_dict(sections), seed=5)


def through_a_file(policy: LearningPolicy) -> LearningPolicy:
    return LearningPolicy.from_dict(json.loads(json.dumps(policy.to_dict())))


def expected(policy: LearningPolicy) -> np.ndarray:
    records = [{"item": item, "segment": segment} for segment in SEGMENTS for item in ITEMS]
    return policy.model.expected(policy.space.rows(records)).mean.reshape(2, 3)


def assert_same(one: Posterior, other: Posterior, rtol: float) -> None:
    """Assert that natural parameters are the same, whatever kind they are of."""

    def numbers(data: Any) -> list[float]:
        if isinstance(data, dict):
            return [x for key, value in data.items() if key not in ("kind", "groups") for x in numbers(value)]
        return [x for value in data for x in numbers(value)] if isinstance(data, list) else [data]

    np.testing.assert_allclose(numbers(one.to_dict()), numbers(other.to_dict()), rtol=rtol, atol=rtol)


def summary(policy: LearningPolicy) -> dict[str, Any]:
    assert policy.late is not None
    return policy.late.summary()


# ---- the answer takes the place of silence ------------------------------------------------------------------------


@settings(max_examples=8)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(["logit", "probit"]),
    st.sampled_from(["nothing-yet", "naive", "wait"]),
    st.sampled_from([7, 1000]),
    st.sampled_from([1.0, 0.9]),
    st.integers(2, 25),
    st.integers(0, 1000),
)
def test_to_learn_that_nothing_has_come_and_then_the_answers_is_to_learn_the_answers_at_once(
    kind, link, method, batch, keep, n, seed
):
    world = World.of(n, seed, until=1.0)
    world.came = world.shown + 5.0
    fresh = policy_of(
        kind, link, {"batch": batch, "keep": keep}, method=method, mean=None if method != "nothing-yet" else 8.0
    )
    answers = world.log(range(n), 9.0, noes=True)
    at_once = fresh.learn(answers, now=9.0)
    pending = fresh.learn(world.log(range(n), 4.0, noes=True), now=4.0)
    assert summary(pending)["n_pending"] == n
    assert pending.model.n_answers == 0
    moved = np.abs(pending.model.posterior.mean - fresh.model.prior.mean.mean()).max()
    assert (moved > 1e-3) == (method != "wait")
    if n > 2:  # some answers first
        some = pending.learn(world.log(range(n // 2), 5.5 + 1.0, noes=True), now=6.5)
        assert summary(some)["n_pending"] == n - n // 2
    after = through_a_file(pending).learn(answers, now=9.0)
    assert summary(after)["n_pending"] == 0
    assert after.model.n_answers == n
    assert_same(after.model.posterior, at_once.model.posterior, 1e-7)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("kind", KINDS)
def test_where_all_is_answered_it_learns_what_it_would_without_delays(kind: str, link: str) -> None:
    world = World.of(60, 3, until=1.0)
    log = world.log(range(60), 200.0, noes=True)
    sections = {name: part for name, part in policy_of(kind, link).specification.to_dict().items() if name != "delay"}
    plain = LearningPolicy.fresh(Specification.from_dict(sections))
    late = policy_of(kind, link, method="wait").learn(log)
    assert_same(late.model.posterior, plain.learn(log).model.posterior, 1e-9)
    assert late.model.n_answers == 60


def test_without_delay_rows_without_an_answer_teach_nothing_and_no_time_is_asked() -> None:
    world = World.of(200, 3)
    sections = {name: part for name, part in policy_of().specification.to_dict().items() if name != "delay"}
    plain = LearningPolicy.fresh(Specification.from_dict(sections))
    log = world.log(range(200), 50.0)
    learned = plain.learn(log)
    assert learned.model.n_answers == int(log.answered.sum())
    assert learned.to_dict()["late"] is None
    with pytest.raises(SpecificationError, match=r"say how they are learned in \[delay\]"):
        plain.learn(log, now=50.0)


@pytest.mark.parametrize("kind", KINDS)
def test_silence_says_more_as_time_passes_and_no_in_the_end(kind: str) -> None:
    world = World.of(150, 1, until=1.0)
    world.buys[:] = False
    policy = policy_of(kind, mean=10.0)
    believed = [expected(policy.learn(world.log(range(150), 2.0), now=2.0)).mean()]
    policy = policy.learn(world.log(range(150), 2.0), now=2.0)
    for now in (6.0, 15.0, 40.0):
        policy = through_a_file(policy).learn(world.log(range(3), now), now=now)  # still nothing: time has passed
        assert summary(policy)["n_pending"] == 150
        believed.append(expected(policy).mean())
    assert believed == sorted(believed, reverse=True)
    assert believed[-1] < believed[0] / 3
    policy = policy.learn(world.log(range(3), 100.0), now=100.0)
    assert summary(policy) | {"law": None} == {
        "n_pending": 0,
        "n_answered": 0,
        "n_closed": 150,
        "n_too_late": 0,
        "law": None,
        "messages": [],
    }
    noes = policy_of(kind, mean=10.0, zero="no").learn(
        world.log(range(150), 2.0, bought=np.zeros(150), answered_at=np.full(150, 2.0)), now=2.0
    )
    assert abs(expected(policy).mean() - expected(noes).mean()) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_grow_while_answers_are_out(kind: str) -> None:
    first, second = World.of(80, 1, until=1.0), World.of(80, 2, until=1.0)
    first.segment[:], second.item[:] = 0, np.minimum(second.item, 1)
    both = World(*(np.append(getattr(first, name), getattr(second, name)) for name in World.__dataclass_fields__))
    policy = policy_of(kind, mean=10.0).learn(both.log(range(80), 3.0), now=3.0)
    grown = through_a_file(policy).learn(both.log(range(80, 160), 5.0), now=5.0)
    assert grown.space.n_params > policy.space.n_params
    told = np.flatnonzero(both.buys & (both.came > np.where(np.arange(160) < 80, 3.0, 5.0)) & (both.came <= 90.0))
    done = through_a_file(grown).learn(both.log(told, 90.0), now=90.0)
    assert summary(done)["n_pending"] == 0
    assert summary(done)["n_answered"] == int(both.buys.sum())
    at_once = policy_of(kind, method="wait").learn(both.log(range(160), 900.0, noes=True), now=900.0)
    assert np.abs(expected(done) - expected(at_once)).max() < 0.05


# ---- the law, and what is believed with it --------------------------------------------------------------------------


def test_the_law_of_delays_is_recovered_in_daily_logs_and_beliefs_are_truer_than_the_naive_ones() -> None:
    law = WeibullDelay(np.array([np.log(1 / 8.0), -0.7]), shape=0.8)
    world = World.of(6000, 11, law=law)
    errors = {}
    for method in ("nothing-yet", "naive"):
        covariates: dict[str, Any] = {"covariates": ["old"]} if method == "nothing-yet" else {}
        policy, then = policy_of(method=method, **covariates), -1.0
        for now in (25.0, 50.0, 75.0, 100.0):
            policy = through_a_file(policy).learn(world.log(world.later(then, now), now), now=now)
            then = now
        # In the last days nobody has had time to answer, so what is believed matters for who is shown what.
        errors[method] = expected(policy) - CHANCES
        if method == "nothing-yet":
            assert policy.late is not None
            fit = policy.late.ledger.hearing.watch.fit
            assert fit is not None
            truth = np.array([*law.coefficients, np.log(law.shape)])
            assert (np.abs(fit.params - truth) < 3 * fit.standard_errors).all()
            assert (fit.standard_errors < 0.25).all()
            assert summary(policy)["law"] == fit.law.to_dict()
            assert fit.n_answers == int((world.buys & (world.came <= 100)).sum())
    assert np.abs(errors["nothing-yet"]).max() < 0.06
    assert abs(errors["nothing-yet"].mean()) < 0.015 < 0.025 < -errors["naive"].mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["nothing-yet", "fake-negative", "es-dfm"])
def test_who_answers_is_recovered_from_one_large_log(kind: str, method: str) -> None:
    # A batch of a thousand in which all silences would be learned before all answers ends at .9 where .6 is true.
    world = World.of(1200, 4, until=60.0)
    window = 5.0 if method == "es-dfm" else None
    policy = policy_of(kind, method=method, window=window)
    policy = policy.learn(world.log(range(1200), 100.0), now=100.0)
    assert np.abs(expected(policy) - CHANCES).max() < (0.12 if method == "nothing-yet" else 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_who_answers_is_recovered_from_many_small_logs(kind: str) -> None:
    # Were what comes not found anew beside all the rest, it would be off by .06 (grouped) and .1 (diagonal).
    world = World.of(300, 11, until=30.0, law=WeibullDelay.with_mean(3.0))
    policy, then = policy_of(kind, mean=3.0), -1.0
    for now in np.linspace(2.0, 32.0, 6):
        rows = world.later(then, now)
        policy, then = policy.learn(world.log(rows, now), now=now), now
    cells = [[(world.segment == segment) & (world.item == item) for item in range(3)] for segment in range(2)]
    bought = np.array([[world.buys[here].mean() for here in row] for row in cells])
    assert np.abs(expected(policy) - bought).max() < 0.05


def test_until_the_law_is_known_silence_is_no_until_yes() -> None:
    world = World.of(60, 2, until=3.0)
    ours, naive = (
        policy_of(method=method).learn(world.log(range(60), 4.0), now=4.0) for method in ("nothing-yet", "naive")
    )
    assert_same(ours.model.posterior, naive.model.posterior, 1e-12)
    assert "answers so far, and a delay law needs 50" in summary(ours)["messages"][0]
    assert summary(naive)["messages"] == []


@pytest.mark.parametrize("estimator", ["prediction", "moments"])
def test_the_meta_prior_waits_for_the_first_answers(estimator: str) -> None:
    world = World.of(400, 6, until=1.0)
    world.came += 1.0
    fresh = policy_of(learn={"meta_prior": estimator}, mean=50.0)
    pending = fresh.learn(world.log(range(400), 1.0), now=1.0)
    assert pending.prior is None
    answers = world.log(range(400), 300.0, noes=True)
    learned = through_a_file(pending).learn(answers)
    assert learned.prior is not None
    at_once = fresh.learn(answers)
    assert_same(learned.model.posterior, at_once.model.posterior, 1e-6)
    assert not np.allclose(learned.model.prior.variance, 1.0)


# ---- what answers belong to ---------------------------------------------------------------------------------------


def test_answers_that_cannot_be_are_refused_all_at_once_and_nothing_is_learned() -> None:
    world = World.of(40, 1, until=10.0)
    world.buys[:] = True
    policy = policy_of(mean=5.0).learn(world.log(range(20), 12.0), now=12.0)
    before = policy.to_dict()
    answered = int(np.flatnonzero(world.came[:20] <= 12.0)[0])
    pending = int(np.flatnonzero(world.came[:20] > 12.0)[0])
    rows = [answered, pending, 20, 21, 22, 23]
    shown, came = world.shown[rows], world.came[rows]
    shown[4], came[2], came[3] = np.nan, shown[2] - 0.5, 999.0
    with pytest.raises(DataError) as caught:
        policy.learn(
            world.log(
                rows,
                500.0,
                bought=[1, 1, 1, 1, 1, 7],
                shown_at=pa.array(shown, from_pandas=True),
                answered_at=came,
                item=["cap", "hat" if world.item[pending] != 1 else "cap", *["hat"] * 4],
            ),
            now=500.0,
        )
    told = str(caught.value)
    for said in (
        "rows without the time when it was shown [column 'shown_at'; row 5]",
        "answers that are not 0 or 1 [column 'bought'; row 6]",
        "negative delays [column 'answered_at'; row 3]",
        "answers from the future [column 'answered_at'; row 4]",
        "decisions answered before [column 'visit'; row 1]",
        "decisions that showed something else before [column 'item'; row 2]",
    ):
        assert said in told, told
    with pytest.raises(DataError, match="the clock runs backwards: 11 after 12"):
        policy.learn(world.log([30], 11.0), now=11.0)
    with pytest.raises(DataError, match=r"decisions from the future \[column 'shown_at'; row 1\]"):
        policy.learn(world.log([30], 11.0, shown_at=[13.0]), now=12.5)
    with pytest.raises(DataError, match=r'answers "yes" without the time when they came'):
        policy_of().learn(world.log(range(20), 12.0, answered_at=pa.nulls(20)))
    assert policy.to_dict() == before


def test_a_decision_never_met_is_met_with_its_answer() -> None:
    world = World.of(60, 1, until=10.0)
    policy = policy_of(mean=5.0).learn(world.log(range(30), 12.0), now=12.0)
    # Decided before the last log ended, and not in it: logs need not come in the order of time.
    policy = policy.learn(world.log(range(30, 60), 200.0, noes=True), now=200.0)
    assert summary(policy)["n_answered"] >= 30


def test_an_answer_after_the_end_is_too_late_but_tells_how_long_answers_take() -> None:
    world = World.of(60, 1, until=1.0)
    world.buys[:], world.came[:] = True, world.shown + 30.0
    policy = policy_of(method="naive", horizon=10.0).learn(world.log(range(60), 5.0), now=5.0)
    policy = policy.learn(world.log(range(60), 12.0), now=12.0)
    assert summary(policy)["n_closed"] == 60
    after = policy.learn(world.log(range(60), 40.0), now=40.0)
    assert_same(after.model.posterior, policy.model.posterior, 1e-12)
    assert summary(after)["n_too_late"] == 60
    assert summary(after)["messages"] == ["60 answers came after their decision was closed, and were not learned"]
    assert after.late is not None
    np.testing.assert_allclose(after.late.ledger.hearing.watch.delay, 30.0)
    again = through_a_file(after)
    assert summary(again) == summary(after)
    assert summary(again)["n_closed"] == 60
    assert again.model.n_answers == policy.model.n_answers
    with pytest.raises(DataError, match=r"decisions answered before .*60 in all"):  # a file that is sent once more
        again.learn(world.log(range(60), 41.0), now=41.0)


@pytest.mark.parametrize("method", ["nothing-yet", "wait"])
def test_late_answers_too_are_forgotten_as_fast_however_they_are_cut_into_logs(method: str) -> None:
    world, mean = World.of(300, 4, until=1.0), 8.0 if method == "nothing-yet" else None
    known = []
    for keep, size in ((1.0, 300), (0.9, 300), (0.9, 10)):
        policy = policy_of("diagonal", learn={"keep": keep, "batch": 50}, method=method, mean=mean)
        for start in range(0, 300, size):
            policy = policy.learn(world.log(range(start, start + size), 200.0, noes=True), now=200.0)
        known.append((1 / policy.model.posterior.variance - 1).sum())
    np.testing.assert_allclose(known[1:], known[1], rtol=0.1)
    assert known[1] < 0.8 * known[0]


def test_what_is_too_old_to_be_known_is_counted_and_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.of(60, 1, until=10.0)
    monkeypatch.setattr(known_module, "REMEMBERED", 20)
    policy = policy_of(mean=5.0).learn(world.log(range(1, 60), 1000.0, noes=True), now=1000.0)
    assert policy.late is not None
    assert len(policy.late.known) == 20
    again = through_a_file(policy).learn(world.log([0, 5], 1000.0, noes=True), now=1001.0)
    assert_same(again.model.posterior, policy.model.posterior, 1e-12)
    assert summary(again)["messages"] == ["2 rows are of decisions too old to be known, and taught nothing"]
    with pytest.raises(DataError, match="decisions answered before"):
        policy.learn(world.log([59], 1000.0, noes=True), now=1001.0)
    # Those still waited for are never forgotten.
    waiting = policy_of(method="naive").learn(world.log(range(60), 0.0), now=10.0)
    assert waiting.late is not None
    assert len(waiting.late.known) == 60


def test_the_order_of_rows_and_the_kind_of_names_do_not_matter() -> None:
    world = World.of(80, 1, until=10.0)
    policy = policy_of(mean=5.0)
    one = policy.learn(world.log(range(80), 12.0), now=12.0)
    other = policy.learn(world.log(range(79, -1, -1), 12.0, visit=[str(i) for i in range(79, -1, -1)]), now=12.0)
    np.testing.assert_allclose(expected(one), expected(other), atol=1e-6)
    rows = world.later(12.0, 30.0)
    np.testing.assert_allclose(
        expected(one.learn(world.log(rows, 30.0), now=30.0)),
        expected(other.learn(world.log(rows, 30.0), now=30.0)),
        atol=1e-6,
    )


def test_positions_tell_rows_of_a_decision_apart() -> None:
    world = World.of(20, 1, until=1.0)
    sections = policy_of(method="naive").specification.to_dict()
    sections["log"] = {**ROLES, "position": "place"}
    policy = LearningPolicy.fresh(Specification.from_dict(sections))
    visit, place = np.arange(20) // 2, np.arange(20) % 2
    table = world.log(range(20), 0.0, place=place).table.set_column(0, "visit", pa.array(visit))
    log = Feedback.from_table(table, policy.columns)
    policy = policy.learn(log, now=2.0)
    assert summary(policy)["n_pending"] == 20
    answer = log.take(np.array([3]))
    answered = Feedback.from_table(
        answer.table.set_column(answer.table.column_names.index("bought"), "bought", pa.array([1.0])), answer.columns
    )
    assert summary(policy.learn(answered, now=3.0))["n_pending"] == 19


# ---- clocks -------------------------------------------------------------------------------------------------------


def test_dates_and_times_are_read_in_their_unit_and_clocks_are_not_mixed() -> None:
    world = World.of(300, 1, until=10.0)
    start = datetime(2026, 3, 1)  # noqa: DTZ001, of no time zone, as logs often are

    def dated(rows: range, now: float, zone: str | None = None) -> Feedback:
        log = world.log(rows, now)
        kind = pa.timestamp("ms", zone)
        columns = {}
        for name in ("shown_at", "answered_at"):
            moments = [None if x is None else start + timedelta(days=x) for x in log.column(name).to_pylist()]
            columns[name] = pa.array(moments, pa.timestamp("ms")).cast(kind)
        return world.log(rows, now, **columns)

    numbers = policy_of(mean=4.0).learn(world.log(range(300), 12.0), now=12.0)
    days = policy_of(mean=4.0, unit="days").learn(dated(range(300), 12.0), now="2026-03-13")
    hours = policy_of(mean=96.0, unit="hours").learn(dated(range(300), 12.0, "UTC"), now="2026-03-13T01:00+01:00")
    for other in (days, hours):
        np.testing.assert_allclose(expected(other), expected(numbers), atol=1e-5)
    assert through_a_file(days).late.clock == "dates and times"  # type: ignore[union-attr]
    for log, now, told in (
        (world.log(range(5), 20.0), None, "times in dates and times and in numbers cannot be compared"),
        (dated(range(5), 20.0, "UTC"), None, "with a time zone cannot be compared"),
        (dated(range(5), 20.0), "2026-03-30T00:00Z", "now is told in dates and times with a time zone, where"),
        (dated(range(5), 20.0), 30.0, "now is told in numbers, where the log has dates and times"),
        (dated(range(5), 20.0), "soon", "'soon' is no time"),
    ):
        with pytest.raises(SpecificationError, match=told):
            days.learn(log, now=now)
    with pytest.raises(SpecificationError, match="column 'shown_at' of table holds string, not times"):
        policy_of().learn(world.log(range(5), 20.0, shown_at=["now"] * 5))


def test_the_end_of_the_log_is_the_latest_time_in_it() -> None:
    world = World.of(100, 1, until=10.0)
    policy = policy_of(mean=5.0).learn(world.log(range(100), 12.0))
    assert policy.late is not None
    came = world.came[world.buys & (world.came <= 12.0)]
    assert policy.late.ledger.now == max(came.max(), world.shown.max())
    earlier = policy.learn(World.of(100, 2, until=1.0).log(range(100), 0.5, visit=np.arange(100) + 1000))
    assert earlier.late is not None
    assert earlier.late.ledger.now == policy.late.ledger.now


def test_zeros_stand_for_nothing_yet_where_nobody_says_no() -> None:
    world = World.of(500, 1, until=40.0)
    for now in (40.0, 70.0):
        answered = world.buys & (world.came <= now)
        zeros = world.log(range(500), now, bought=answered.astype(float))
        told = policy_of(zero="nothing-yet").learn(zeros, now=now)
        empty = policy_of().learn(world.log(range(500), now), now=now)
        assert_same(told.model.posterior, empty.model.posterior, 1e-12)
    said = policy_of().learn(zeros, now=70.0)
    assert summary(said)["n_pending"] == 0


# ---- specifications and files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        ({"method": "nothing"}, r"\[delay\] has no method 'nothing'; did you mean 'nothing-yet'"),
        ({"unit": "day"}, "did you mean 'days'"),
        ({"zero": "yes"}, "has no zero 'yes'"),
        ({"law": "weibul"}, "no delay law 'weibul'; did you mean 'weibull'"),
        ({"method": "es-dfm"}, "es-dfm needs a window"),
        ({"window": 3}, "window is for method es-dfm, not for nothing-yet"),
        ({"method": "es-dfm", "window": -1}, "the window must be"),
        ({"method": "wait", "zero": "nothing-yet"}, 'learn from "yes" alone'),
        ({"shape": 0.7}, "shape goes with a mean"),
        ({"mean": -2.0}, "a mean delay must be"),
        ({"mean": "two"}, r"\[delay\] mean must be of type int or float"),
        ({"mean": 2.0, "covariates": ["old"]}, "leave one of the two out"),
        ({"horizon": 0}, "the horizon must be"),
        ({"negligible": 2.0}, "a negligible share"),
        ({"metod": "naive"}, r"\[delay\] has no 'metod'; did you mean 'method'"),
        ({"shown": None}, r"\[delay\]|shown"),
    ],
)
def test_a_section_that_cannot_be_is_refused(delay: dict[str, Any], message: str) -> None:
    if delay == {"shown": None}:
        with pytest.raises(SpecificationError, match="late answers need to know when things were shown"):
            policy_of(shown=None).learn(World.of(5, 1).log(range(5), 1.0))
        return
    with pytest.raises(SpecificationError, match=message):
        policy_of(**delay)


def test_what_does_not_go_with_late_answers_is_refused() -> None:
    for link in ("gaussian", "poisson"):
        with pytest.raises(SpecificationError, match="late answers are yes or no: use the logit or the probit link"):
            policy_of(link=link)
    world = World.of(20, 1)
    with pytest.raises(SpecificationError, match=r"no column 'answered_on' in table; did you mean 'answered_at'"):
        policy_of(answered="answered_on").learn(world.log(range(20), 50.0))
    with pytest.raises(SpecificationError, match="it must be known when they came"):
        policy_of(answered=None).learn(world.log(range(20), 50.0))
    with pytest.raises(SpecificationError, match="column 'segment' of table holds labels, not numbers"):
        policy_of(covariates=["segment"]).learn(world.log(range(20), 50.0))
    assert policy_of(answered=None, mean=3.0).learn(world.log(range(20), 50.0)).model.n_answers > 0


TOML = """
[features]
formula = "C(item) + C(segment):C(item)"
[log]
decision = "visit"
action = "item"
reward = "bought"
propensity = "chance"
[delay]
shown = "shown_at"
answered = "answered_at"
unit = "days"
covariates = ["old"]
"""


def test_from_a_toml_file_to_decisions_answers_and_the_report(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(TOML)
    world = World.of(2000, 11, law=WeibullDelay(np.array([np.log(1 / 8.0), -0.7])))
    fresh = LearningPolicy.fresh(Specification.read(tmp_path / "policy.toml"))
    assert "nothing learned yet" in to_markdown(sections_of_policy(fresh))
    fresh.learn(world.log(world.later(-1.0, 60.0), 60.0), now=60.0).save(tmp_path / "policy.json")
    pending = LearningPolicy.load(tmp_path / "policy.json")
    shown = pending.decide({"segment": "new"}, seed=1)
    told = to_markdown(sections_of_policy(pending))
    assert f"{summary(pending)['n_pending']:,}, learned as nothing-yet" in told
    assert "where covariates are 0 (shape" in told
    # What was decided goes into the log with its answer, beside the answers to what was shown before.
    i = int(np.flatnonzero(world.shown > 60.0)[0])
    world.item[i], world.segment[i], world.buys[i], world.came[i] = ITEMS.index(shown.shown[0]), 0, True, 62.0
    done = pending.learn(world.log(world.later(60.0, 62.0), 62.0), now=62.0)
    assert summary(done)["n_answered"] == int((world.buys & (world.came <= 62.0)).sum())
    assert done.version != pending.version
    assert "- Up to: 62" in to_markdown(sections_of_policy(done))


def test_a_policy_goes_on_from_its_file_to_the_bit(tmp_path: Path) -> None:
    world = World.of(800, 1)
    for method in ("nothing-yet", "fake-negative"):
        policy = policy_of(method=method).learn(world.log(world.later(-1.0, 60.0), 60.0), now=60.0)
        again = LearningPolicy.load(policy.save(tmp_path / "policy.json"))
        log = world.log(world.later(60.0, 90.0), 90.0)
        assert policy.learn(log, now=90.0).to_dict() == again.learn(log, now=90.0).to_dict()
        assert again.decide({"segment": "new"}, seed=3) == policy.decide({"segment": "new"}, seed=3)
    data = policy.to_dict()
    data["late"]["ledger"]["format"] = 99
    with pytest.raises(SpecificationError, match="a ledger of format 99"):
        LearningPolicy.from_dict(data)
    for spoiled in ("AAAA", "%"):
        data = json.loads(json.dumps(policy.to_dict()))
        data["late"]["known"]["key"]["zlib"] = spoiled
        (tmp_path / "spoiled.json").write_text(json.dumps(data))
        with pytest.raises(DataError, match="parts missing or spoiled"):
            LearningPolicy.load(tmp_path / "spoiled.json")

"""Compiled loops against numpy: the same numbers, the same refusals; and everything works without them."""

import copy
import pickle
import subprocess
import sys
import tracemalloc
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.answer.offpolicy import (
    Clipped,
    DirectMethod,
    DoublyRobust,
    InversePropensity,
    Switched,
    asked_once,
    evaluate,
    evaluate_each,
)
from revealed.answer.offpolicy.parts import Parts, Rounds
from revealed.answer.offpolicy.weights import Plain
from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.layout import LayoutSpace, SearchOptions
from revealed.decide.layout.search import Search
from revealed.engine import loops
from revealed.errors import SpecificationError
from revealed.models.glm.diagonal import DiagonalLearner, DiagonalPosterior
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import link_named

needs_loops = pytest.mark.skipif(loops.LIBRARY is None, reason="no compiler was there when the package was installed")

TOLERANCE = 1e-6
ESTIMATORS = (
    InversePropensity(),
    InversePropensity(normalised=True),
    InversePropensity(Clipped(1.5)),
    DirectMethod(),
    DoublyRobust(),
    DoublyRobust(Switched(2.0), normalised=True),
)


@contextmanager
def without_loops() -> Iterator[None]:
    """Have numpy do all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "LIBRARY", None)
        yield


def drawn(seed: int, n_rows: int, n_actions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities of a policy, what was shown, with which propensity, and rewards."""
    rng = np.random.default_rng(seed)
    each = rng.dirichlet(np.ones(n_actions), n_rows)
    codes = rng.integers(0, n_actions, n_rows).astype(np.int32)
    return each, codes, rng.uniform(0.05, 1, n_rows), rng.normal(size=n_rows)


shapes = {"seed": st.integers(0, 2**20), "n_rows": st.integers(1, 40), "n_actions": st.integers(1, 13)}


@needs_loops
@given(**shapes)
def test_weights_and_their_sums(seed: int, n_rows: int, n_actions: int) -> None:
    each, codes, propensity, reward = drawn(seed, n_rows, n_actions)
    each[::3] = np.eye(n_actions)[codes[::3] // 2]  # some are sure of what they show
    found = loops.weigh(each, codes, propensity, reward, TOLERANCE)
    assert found is not None
    weight = each[np.arange(n_rows), codes] / propensity
    np.testing.assert_array_equal(found.weight, weight)
    np.testing.assert_array_equal(found.weighted, weight * reward)
    weighted = weight * reward
    wanted = (weight.sum(), weight @ weight, weighted.sum(), weighted @ weighted, weight @ weighted)
    np.testing.assert_allclose(found[2:7], wanted, rtol=1e-12, atol=1e-12)
    assert (found.largest, found.n_zero) == (weight.max(), (weight == 0).sum())
    sums = loops.sum_up(each, codes, propensity, reward, TOLERANCE, block=7)
    assert sums is not None
    assert len(sums) == -(-n_rows // 7)
    np.testing.assert_allclose(sums[:, :5].sum(axis=0), wanted, rtol=1e-12, atol=1e-12)
    assert (sums[:, 5].max(), sums[:, 6].sum()) == (weight.max(), (weight == 0).sum())
    gathered = np.empty(n_rows)
    assert loops.gather(each, codes, TOLERANCE, gathered)
    np.testing.assert_array_equal(gathered, each[np.arange(n_rows), codes])


@needs_loops
@given(
    **shapes, place=st.integers(0, 2**20), cell=st.sampled_from([np.nan, np.inf, -np.inf, -0.2, 0.5, 1e300, -1e-300])
)
def test_a_wrong_cell_is_seen_wherever_it_is(seed: int, n_rows: int, n_actions: int, place: int, cell: float) -> None:
    each, codes, propensity, reward = drawn(seed, n_rows, n_actions)
    each.ravel()[place % each.size] += cell
    wrong = not (np.abs(each.sum(axis=1) - 1) <= TOLERANCE).all() or bool((each < 0).any())
    assert (loops.weigh(each, codes, propensity, reward, TOLERANCE) is None) == wrong
    assert loops.gather(each, codes, TOLERANCE, np.empty(n_rows)) != wrong
    shown = each[np.arange(n_rows), codes]
    finite = bool(np.isfinite(shown).all() and np.abs(shown).max() < 1e150)
    assert (loops.weigh(each, codes, propensity, reward, None) is not None) == finite  # rows were looked at before


@needs_loops
@given(**shapes, one_policy=st.booleans(), one_reward=st.booleans(), told=st.booleans())
def test_what_is_foretold(
    seed: int, n_rows: int, n_actions: int, one_policy: bool, one_reward: bool, told: bool
) -> None:
    each, codes, _, _ = drawn(seed, n_rows, n_actions)
    rewards = np.random.default_rng(seed + 1).normal(size=(n_rows, n_actions))
    each, rewards = (each[:1] if one_policy else each), (rewards[:1] if one_reward else rewards)
    found = loops.foretell(each, rewards, codes, told=told)
    assert found is not None
    np.testing.assert_allclose(found[0], (each * rewards).sum(axis=1) + np.zeros(n_rows), rtol=1e-12, atol=1e-12)
    if told:
        np.testing.assert_array_equal(found[1], np.broadcast_to(rewards, (n_rows, n_actions))[np.arange(n_rows), codes])
    rewards = rewards.copy()
    rewards[-1, -1] = np.inf
    each = np.zeros_like(each)  # zero times infinity
    assert loops.foretell(each, rewards, codes, told=told) is None


class Draws:
    """Contexts, and draws for them, of whole numbers: sums are exact, and many are equal."""

    def __init__(self, seed: int, n_contexts: int, n_columns: int, n_half: int, n_candidates: int, odd: bool) -> None:
        rng, self.n_draws, self.n_cells = np.random.default_rng(seed), 2 * n_half - odd, 3
        self.cells = rng.integers(-2, 3, (n_contexts, self.n_cells)).astype(float)
        self.left, self.right = rng.integers(0, self.n_cells, (2, n_columns))
        self.parts = rng.integers(-2, 3, (n_half, n_columns, n_candidates)).astype(float)
        self.twice = rng.integers(-2, 3, (n_columns, n_candidates)).astype(float)
        self.allowed, self.members = rng.random(n_candidates) < 0.7, rng.integers(0, self.n_draws, self.n_draws)
        self.numbers = rng.integers(0, self.n_draws, n_contexts).tolist()
        self.contexts = self.cells.take(self.left, axis=1) * self.cells.take(self.right, axis=1)
        self.means, self.whose = self.contexts @ self.twice, self.members[self.numbers]
        self.plain = loops.Reading(n_columns)

    def counter(self, allowed: np.ndarray | None = None) -> loops.Counter:
        return loops.Counter(self.parts, self.n_draws, self.twice, self.members, allowed)


@needs_loops
@given(
    seed=st.integers(0, 2**20),
    n_contexts=st.integers(1, 4),
    n_columns=st.integers(1, 5),
    n_half=st.integers(1, 5),
    n_candidates=st.integers(1, 40),
    odd=st.booleans(),
)
def test_the_best_of_each_draw_and_of_its_mirror_image(
    seed: int, n_contexts: int, n_columns: int, n_half: int, n_candidates: int, odd: bool
) -> None:
    it = Draws(seed, n_contexts, n_columns, n_half, n_candidates, odd)
    for may in (None, it.allowed) if it.allowed.any() else (None,):
        scores = it.contexts @ it.parts
        scores = np.concatenate([scores, it.means - scores])[: it.n_draws]
        if may is not None:
            scores[:, :, ~may] = -np.inf
        counter, own = it.counter(may), scores[it.whose, np.arange(n_contexts)]
        found = counter.count(it.contexts, it.means, it.whose)
        counts = (scores.argmax(axis=2)[:, :, None] == np.arange(n_candidates)).sum(axis=0)
        assert (found is not None) == (n_candidates >= 4)
        if found is not None:
            np.testing.assert_array_equal(found.own, own)
            np.testing.assert_array_equal(found.counts, counts)
        best = own.argmax(axis=1)
        shares = counts[np.arange(n_contexts), best] / it.n_draws
        for some, reading in ((it.cells, loops.Reading(it.n_cells, it.left, it.right)), (it.contexts, it.plain)):
            for one in (some, array("d", some.ravel())):
                for first in (0, n_contexts - 1):
                    chosen = counter.choose(one, first, it.numbers[first:], reading, 1e9)
                    assert chosen == (best[first:].tolist(), shares[first:].tolist())
        chosen = counter.choose(it.cells, 0, it.numbers, loops.Reading(it.n_cells, it.left), 1e9)
        assert chosen == counter.choose(it.cells[:, it.left].copy(), 0, it.numbers, it.plain, 1e9)


@needs_loops
def test_draws_of_what_cannot_be_read_are_left_to_numpy() -> None:
    it = Draws(1, 3, 4, 5, 6, True)
    counter = it.counter()
    for infinite in (np.nan, np.inf):  # where a draw's own scores are finite its mirror image may not be
        wrong = it.means.copy()
        wrong[-1, -1] = infinite
        assert counter.count(it.contexts, wrong, it.whose) is None
    assert counter.count(it.contexts, it.means, it.whose + it.n_draws) is None
    for small in (it.contexts[:, 1:].copy(), it.contexts[1:]):
        assert counter.count(small, it.means, it.whose) is None
    assert counter.count(it.contexts, it.means[:, 1:].copy(), it.whose) is None
    assert counter.count(it.contexts, it.means, it.whose[1:]) is None
    few = loops.Counter(it.parts[:, :, :3].copy(), it.n_draws, it.twice[:, :3].copy(), it.members, None)
    assert few.count(it.contexts, it.means[:, :3].copy(), it.whose) is None
    many = it.n_draws + 2 * len(it.parts)
    further = loops.Counter(it.parts, many, it.twice, np.resize(it.members, many), None)
    assert further.count(it.contexts, it.means, it.whose) is None
    it.parts[-1, -1, -1] = np.nan
    assert it.counter().count(it.contexts, it.means, it.whose) is None


@needs_loops
def test_choices_among_what_cannot_be_read_are_left_to_numpy() -> None:
    it = Draws(1, 3, 4, 5, 6, True)
    counter, n = it.counter(), it.numbers
    assert counter.choose(it.contexts, 0, n, it.plain, 1e9) is not None
    for odd in (np.nan, np.inf, -1e9, 1e9):
        large = it.contexts.copy()
        large[-1, -1] = odd
        assert counter.choose(large, 0, n, it.plain, 1e9) is None
    for number in (-1, it.n_draws):
        assert counter.choose(it.contexts, 0, [*n[:-1], number], it.plain, 1e9) is None
    for first in (-1, 1):
        assert counter.choose(it.contexts, first, n, it.plain, 1e9) is None
    for small in (it.contexts.astype(np.float32), array("f", it.contexts.ravel())):
        assert counter.choose(small, 0, n, it.plain, 1e9) is None
    for other in (
        loops.Reading(5),
        loops.Reading(2, it.left),  # a cell that is not there
        loops.Reading(4, it.left - 3),
        loops.Reading(4, it.left[1:]),
        loops.Reading(4, it.left, it.right[1:]),
    ):
        assert counter.choose(it.contexts, 0, n, other, 1e9) is None
    for twice, members in ((it.twice[1:], it.members), (it.twice, it.members[1:])):
        assert (
            loops.Counter(it.parts, it.n_draws, twice, members, None).choose(it.contexts, 0, n, it.plain, 1e9) is None
        )
    it.members[it.numbers[0]] = it.n_draws
    assert it.counter().choose(it.contexts, 0, n, it.plain, 1e9) is None
    it.members[it.numbers[0]], it.parts[-1, -1, -1] = 0, np.nan
    assert it.counter().choose(it.contexts, 0, n, it.plain, 1e9) is None


@needs_loops
def test_codes_that_are_none_read_nothing() -> None:
    each, codes, propensity, reward = drawn(0, 30, 4)
    for wrong in (-1, 4, 2**31 - 1):
        codes[17] = wrong
        assert loops.weigh(each, codes, propensity, reward, TOLERANCE) is None
        assert not loops.gather(each, codes, TOLERANCE, np.empty(30))
        assert loops.foretell(each, each, codes, told=True) is None


@needs_loops
@pytest.mark.parametrize("kind", ["single precision", "every other column", "wide codes"])
def test_arrays_of_another_kind_are_left_to_numpy(kind: str) -> None:
    each, codes, propensity, reward = drawn(0, 30, 4)
    if kind == "single precision":
        each = each.astype(np.float32)
    elif kind == "every other column":
        each = np.repeat(each, 2, axis=1)[:, ::2]
    else:
        codes = codes.astype(np.int64)
    assert loops.weigh(each, codes, propensity, reward, TOLERANCE) is None


@pytest.fixture(scope="module")
def log() -> Feedback:
    """A log of three actions, of 70,000 rows: more than a loop is given at once."""
    rng = np.random.default_rng(3)
    n_rows = 70_000
    running = rng.dirichlet(np.full(3, 4.0), n_rows)
    action = (rng.random((n_rows, 1)) > running.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    propensity = running[np.arange(n_rows), action]
    reward = (rng.random(n_rows) < 0.1 * (1 + action)).astype(float)
    return read_feedback({"decision": np.arange(n_rows), "action": action, "reward": reward, "propensity": propensity})


@needs_loops
def test_estimates_are_those_of_numpy(log: Feedback) -> None:
    rng = np.random.default_rng(4)
    policy, rewards = rng.dirichlet(np.ones(3), log.n_rows), rng.random((log.n_rows, 3))
    shown = policy[np.arange(log.n_rows), log.action_codes]
    same = {str(action): share for action, share in enumerate(policy[0])}
    by_weights, all_kinds = ESTIMATORS[:3], ESTIMATORS
    for target, estimators in (
        (policy, all_kinds),
        (asked_once(log, policy), all_kinds),
        (same, all_kinds),
        (shown, by_weights),  # of what was shown alone: no model can be asked
    ):
        each = evaluate_each(log, target, estimators, rewards=rewards).values
        compiled = [*each, *(evaluate(log, target, estimator) for estimator in ESTIMATORS[:2])]  # these by sums alone
        with without_loops():
            each = evaluate_each(log, target, estimators, rewards=rewards).values
        plain = [*each, *each[:2]]
        for one, other in zip(compiled, plain, strict=True):
            assert one.value == pytest.approx(other.value, rel=1e-12, nan_ok=True)
            assert one.standard_error == pytest.approx(other.standard_error, rel=1e-9, nan_ok=True)
            assert one.overlap.effective_sample_size == pytest.approx(other.overlap.effective_sample_size, rel=1e-12)
            assert one.overlap.effective_rewards == pytest.approx(other.overlap.effective_rewards, rel=1e-12)
            assert one.overlap.largest_weight == other.overlap.largest_weight
            assert one.overlap.unseen_share == other.overlap.unseen_share
            assert not one.refused
            assert not other.refused


@pytest.mark.parametrize("wrong", ["sum", "negative", "nan"])
def test_the_words_are_numpys(log: Feedback, wrong: str) -> None:
    policy = np.full((log.n_rows, 3), 1 / 3)
    row = 69_123  # in the second block
    policy[row] = {"sum": [0.5, 0.2, 0.2], "negative": [1.2, -0.1, -0.1], "nan": [np.nan, 0.5, 0.5]}[wrong]
    said = "outside of" if wrong == "negative" else f"row {row} "
    for asking in (lambda: evaluate(log, policy), lambda: asked_once(log, policy)):
        with pytest.raises(SpecificationError, match=said):
            asking()
        with without_loops(), pytest.raises(SpecificationError, match=said):
            asking()


def learners(link: str) -> tuple[DiagonalLearner, DiagonalLearner]:
    """Return two that know the same, of which the second learns by numpy."""
    prior = DiagonalPosterior.independent(np.linspace(-1, 1, 50), np.linspace(0.2, 2, 50))
    first = prior.learner(link_named(link))
    with without_loops():
        return first, prior.learner(link_named(link))


@needs_loops
@pytest.mark.parametrize("link", ["logit", "probit", "gaussian", "poisson"])
def test_answers_are_learned_as_by_numpy(link: str) -> None:
    rng = np.random.default_rng(5)
    compiled, plain = learners(link)
    rows = [rng.choice(50, rng.integers(0, 8), replace=False) for _ in range(200)]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).tolist()
    index = np.concatenate(rows).astype(np.int64)
    value, answers = rng.normal(size=len(index)), rng.integers(0, 2, 200).astype(float).tolist()
    added = compiled.learn_each(index, value, starts, answers)
    by_numpy = plain.learn_each(index, value, starts, answers)
    np.testing.assert_allclose(added, by_numpy, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(compiled.precision, plain.precision, rtol=1e-10)
    np.testing.assert_allclose(compiled.shift, plain.shift, rtol=1e-9, atol=1e-12)
    one = slice(starts[-2], starts[-1])
    for learner in (compiled, plain):
        learner.learn(index[one], value[one], answers[-1])
    np.testing.assert_allclose(compiled.shift, plain.shift, rtol=1e-9, atol=1e-12)


@needs_loops
@pytest.mark.parametrize("link", ["logit", "probit"])
@given(mean=st.floats(-1e4, 1e4), log_variance=st.floats(-12, 12), answer=st.sampled_from([0.0, 1.0]))
def test_an_answer_however_sure_or_surprising_says_what_numpy_says(
    link: str, mean: float, log_variance: float, answer: float
) -> None:
    prior = DiagonalPosterior.independent(np.array([mean]), np.array([10.0**log_variance]))
    compiled, plain = prior.learner(link_named(link)), prior.learner(link_named(link))
    row = np.array([0]), np.ones(1), answer
    found = compiled.learn(*row)
    assert loops.learn_one(link, compiled.precision.copy(), compiled.shift.copy(), *row) is not None  # no detour
    with without_loops():
        np.testing.assert_allclose(found, plain.learn(*row), rtol=1e-9, atol=1e-12 * (1 + 10.0**-log_variance))
    np.testing.assert_allclose(compiled.shift, plain.shift, rtol=1e-12)


@needs_loops
def test_arrays_that_do_not_fit_are_left_to_numpy() -> None:
    each, codes, propensity, reward = drawn(0, 30, 4)
    for policy in (each[:7], np.tile(each, (2, 1))):
        assert loops.weigh(policy, codes, propensity, reward, TOLERANCE) is None
        assert not loops.gather(policy, codes, TOLERANCE, np.empty(30))
    assert loops.weigh(each, codes[:7], propensity, reward, TOLERANCE) is None
    assert loops.weigh(each, codes, propensity[:7], reward, TOLERANCE) is None
    for rewards in (np.ones((30, 1)), np.ones((30, 3)), np.ones((31, 4)), np.ones((7, 4))):
        assert loops.foretell(each, rewards, codes, told=False) is None


def test_a_policy_asked_about_other_actions_is_refused(log: Feedback) -> None:
    other = read_feedback(
        {"decision": range(4), "action": [0, 1, 0, 1], "reward": [0, 1, 1, 0], "propensity": [0.5] * 4}
    )
    asked = asked_once(other, np.full((4, 2), 0.5))
    with pytest.raises(SpecificationError, match="asked about 2 actions, not the 3"):
        evaluate(log, asked, DirectMethod(), rewards=np.ones((log.n_rows, 3)))


@pytest.mark.parametrize("scale", [1e153, 1e160, 1e300])
def test_rewards_whose_squares_are_too_large_are_refused(log: Feedback, scale: float) -> None:
    columns = {name: log.table.column(name) for name in ("decision", "action", "propensity")}
    reward = np.random.default_rng(7).uniform(0.5, 1, log.n_rows) * scale
    huge, policy = read_feedback({**columns, "reward": reward}), np.full((log.n_rows, 3), 1 / 3)
    for target in (policy, policy[:, 0], asked_once(huge, policy)):
        with pytest.raises(SpecificationError, match="larger than a number can be"):
            evaluate(huge, target, InversePropensity())
    with pytest.raises(SpecificationError, match="larger than a number can be|not finite"):
        evaluate(huge, policy, DoublyRobust(), rewards=np.full((log.n_rows, 3), 1e306))


def test_propensities_next_to_zero_are_refused_without_a_warning(log: Feedback) -> None:
    columns = {name: log.table.column(name) for name in ("decision", "action", "reward")}
    tiny = read_feedback({**columns, "propensity": np.full(log.n_rows, 1e-152)})
    with pytest.raises(SpecificationError, match="propensity is next to zero"):
        evaluate(tiny, np.full((log.n_rows, 3), 1 / 3), InversePropensity())


def test_what_somebody_made_of_an_estimator_is_asked(log: Feedback) -> None:
    class Nothing(InversePropensity):
        def parts(self, rounds: Rounds) -> Parts:
            return Parts(np.zeros(len(rounds.reward)))

    class Doubled(Plain):
        def of(self, weight: np.ndarray) -> np.ndarray:
            return 2 * weight

    policy = np.full((log.n_rows, 3), 1 / 3)
    assert evaluate(log, policy, Nothing()).value == 0
    once = evaluate(log, policy, InversePropensity()).value
    assert evaluate(log, policy, InversePropensity(Doubled())).value == pytest.approx(2 * once)


@pytest.mark.parametrize("asked", [False, True])
def test_what_is_not_read_as_it_lies_is_read_in_small_blocks(asked: bool) -> None:
    n_rows, rng = 66_000, np.random.default_rng(8)
    feedback = read_feedback(
        {
            "decision": np.arange(n_rows),
            "action": rng.integers(0, 200, n_rows),
            "reward": rng.integers(0, 2, n_rows),
            "propensity": np.full(n_rows, 1 / 200),
        }
    )
    policy = np.full((n_rows, 200), 1 / 200, np.float32)
    _ = feedback.action_codes, feedback.times_shown
    tracemalloc.start()
    if asked:
        asked_once(feedback, policy)
    else:
        evaluate(feedback, policy, InversePropensity())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # a block of all rows would be 105 MB


@needs_loops
@given(sizes=st.lists(st.integers(2, 4), min_size=1, max_size=6), seed=st.integers(0, 2**20), forbidden=st.booleans())
def test_climbs_end_where_those_of_numpy_do(sizes: list[int], seed: int, forbidden: bool) -> None:
    slots = {f"s{i}": [f"o{j}" for j in range(size)] for i, size in enumerate(sizes)}
    apart = [{"s0": "o0", "s1": "o0"}] if forbidden and len(sizes) > 1 else []
    space, rng = LayoutSpace.of(slots, apart), np.random.default_rng(seed)
    search = Search(space, SearchOptions(exhaustive_up_to=0, starts=5, rounds=int(rng.integers(1, 6))))
    pairs = rng.normal(size=(space.n_options,) * 2)
    pairs = np.triu(pairs, 1) + np.triu(pairs, 1).T
    unary = rng.normal(size=space.n_options)
    compiled = search.best(unary, pairs, np.random.default_rng(seed))
    with without_loops():
        assert search.best(unary, pairs, np.random.default_rng(seed)) == compiled  # to the last bit
    unary[-1] = np.nan
    compiled = search.best(unary, pairs, np.random.default_rng(seed))
    with without_loops():
        plain = search.best(unary, pairs, np.random.default_rng(seed))
    assert compiled.layout == plain.layout
    assert compiled.value == pytest.approx(plain.value, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("wrong", [50, -51, 2**40])
def test_a_parameter_that_is_none_moves_nothing(wrong: int) -> None:
    for learner in learners("logit"):
        before = learner.precision.copy()
        with pytest.raises(IndexError):
            learner.learn(np.array([3, wrong]), np.ones(2), 1.0)
        np.testing.assert_array_equal(learner.precision, before)


def test_what_does_not_fit_is_refused_and_what_is_read_only_not_moved() -> None:
    for learner in learners("logit"):
        with pytest.raises(ValueError, match="broadcast"):
            learner.learn(np.array([2, 3, 4, 5]), np.ones(2), 1.0)
        learner.precision.flags.writeable = False
        before = learner.precision.copy()
        with pytest.raises(ValueError, match="read-only"):
            learner.learn(np.array([2]), np.ones(1), 1.0)
        np.testing.assert_array_equal(learner.precision, before)


def test_rows_that_end_beyond_the_last_cell_are_refused() -> None:
    learner, _ = learners("probit")
    with pytest.raises(IndexError, match="beyond the last cell"):
        learner.learn_each(np.arange(5), np.ones(5), [0, 400, 5], [1.0, 0.0])


@needs_loops
def test_functions_of_other_libraries_are_not_taken_for_ours() -> None:
    """Curses has a function `move`, and may be found before ours where a program shares all with all."""
    pytest.importorskip("_curses")
    code = """
import os, sys
sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
import _curses
import numpy as np
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.links import link_named
learner = DiagonalPosterior.independent(np.zeros(2), np.ones(2)).learner(link_named("probit"))
learner.learn(np.array([0, 1]), np.ones(2), 1.0)
print((learner.shift > 0.1).all())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_learners_are_copied_and_kept() -> None:
    learner, _ = learners("probit")
    for other in (copy.deepcopy(learner), pickle.loads(pickle.dumps(learner))):
        other.learn(np.array([2]), np.ones(1), 1.0)
        assert other.shift[2] != learner.shift[2]


def test_threads_may_learn_at_once() -> None:
    """What they learn of one parameter may be lost, as with numpy; nothing else is touched."""
    learner, _ = learners("logit")
    long, short = np.tile(np.arange(40), 200), np.array([41, 42, 41, 42])

    def many() -> None:
        for _ in range(20):
            learner.learn_each(long, np.ones(8000), list(range(0, 8001, 40)), [1.0, 0.0] * 100)

    def few() -> None:
        for _ in range(2000):
            learner.learn_each(short, np.ones(4), [0, 2, 4], [1.0, 0.0])

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(many), pool.submit(few)):
            done.result()
    assert np.isfinite(learner.precision).all()
    np.testing.assert_array_equal(learner.precision[43:], np.linspace(0.2, 2, 50)[43:] ** -1)


def test_learning_one_by_one_is_learning_at_once() -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(40, 50)) * (rng.random((40, 50)) < 0.2)
    answers = rng.integers(0, 2, 40).astype(float)
    prior = DiagonalPosterior.independent(np.zeros(50), np.ones(50))
    link, rows = link_named("probit"), Rows.of_dense(features)
    at_once, _ = prior.learn(link, rows, answers)
    learner, starts = prior.learner(link), rows.starts.tolist()
    for i, answer in enumerate(answers.tolist()):
        cells = slice(starts[i], starts[i + 1])
        learner.learn(rows.index[cells], rows.value[cells], answer)
    np.testing.assert_array_equal(learner.shift, at_once.shift)


@needs_loops
def test_a_library_of_another_text_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = Path(loops.__file__).with_suffix(".c")
    (tmp_path / "loops.c").write_bytes(source.read_bytes() + b"/* another */")
    assert loops.loaded() is not None
    monkeypatch.setattr(loops, "_SOURCE", tmp_path / "loops.c")
    assert loops.loaded() is None


def test_a_library_that_is_none_is_none(tmp_path: Path) -> None:
    assert loops.loaded(tmp_path / "loops.compiled") is None
    (tmp_path / "loops.compiled").write_bytes(b"\x7fELF of another machine")
    assert loops.loaded(tmp_path / "loops.compiled") is None

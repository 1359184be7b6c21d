"""Slates: lazy greedy is greedy, its guarantees and its bound hold against all slates there are, floors are met."""

from collections.abc import Iterable
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.decide.slate import Categories, Coverage, select
from revealed.decide.slate import greedy as greedy_module
from revealed.errors import DataError, SpecificationError


def value_of(objective: Coverage, order: Iterable[int], positions: Iterable[float]) -> float:
    """Return what a slate is worth, by the formula, one category after the other."""
    total = 0.0
    order, positions = list(order), list(positions)
    weights = objective.padded_weights()
    before = objective.padded_shown()
    for c in range(len(objective.categories.labels)):
        placed = zip(order, positions, strict=True)
        inside = sum(e * objective.scores[i] for i, e in placed if c in objective.categories.sets[i])
        total += weights[c] * (np.log1p(before[c] + inside) - np.log1p(before[c]))
    if objective.bonus is not None:
        total += sum(e * objective.bonus[i] for i, e in zip(order, positions, strict=True))
    return float(total)


def plain_greedy(objective: Coverage, positions: np.ndarray) -> tuple[list[int], list[float]]:
    """Return the gains of the greedy slate, every candidate tried at every position; positions descend."""
    order: list[int] = []
    gains: list[float] = []
    for k in range(len(positions)):
        held = value_of(objective, order, positions[:k])
        tried = {
            i: value_of(objective, [*order, i], positions[: k + 1]) - held
            for i in range(len(objective.scores))
            if i not in order
        }
        best = max(tried.values())
        # As the module says: ties go to the higher score, then to the first.
        order.append(min((i for i in tried if tried[i] >= best - 1e-12), key=lambda i: (-objective.scores[i], i)))
        gains.append(best)
    return order, gains


@st.composite
def objectives(draw, bonuses="any", most=7):
    n = draw(st.integers(3, most))
    n_categories = draw(st.integers(1, 3))
    # Quarters: ties and zeros are common, and near-ties are not.
    quarter = st.integers(0, 8).map(lambda k: k / 4)
    scores = draw(st.lists(quarter, min_size=n, max_size=n))
    named = st.lists(st.sampled_from("abc"[:n_categories]), max_size=2, unique=True)
    memberships = draw(st.lists(named, min_size=n, max_size=n))
    weights = draw(st.lists(quarter, min_size=n_categories, max_size=n_categories))
    bonus = None
    if bonuses != "none" and draw(st.booleans()):
        low = -4 if bonuses == "any" else 0
        bonus = np.array(draw(st.lists(st.integers(low, 4).map(lambda k: k / 8), min_size=n, max_size=n)))
    shown = np.array(draw(st.lists(quarter, min_size=n_categories, max_size=n_categories)))
    return np.array(scores), (memberships, list("abc"[:n_categories])), np.array(weights), bonus, shown


def build(drawn: Any) -> Coverage:
    """Return the objective; it is built outside the strategies, as the checks of types draw numbers of their own."""
    scores, memberships, *rest = drawn
    return Coverage(scores, Categories.of(*memberships), *rest)


@st.composite
def places(draw, alike=None):
    size = draw(st.integers(1, 3))
    if alike or (alike is None and draw(st.booleans())):
        return np.ones(size)
    return np.sort(np.array(draw(st.lists(st.integers(1, 8).map(lambda k: k / 8), min_size=size, max_size=size))))[::-1]


@given(objectives(), places(), st.sampled_from([1, 2, 512]))
def test_lazy_greedy_is_greedy(drawn, positions, pool):
    objective = build(drawn)
    order, gains = plain_greedy(objective, positions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(greedy_module, "POOL", pool)  # a pool too small for the candidates must be renewed in time
        slate = select(objective, len(positions), positions=positions.copy())
    assert slate.gains.tolist() == pytest.approx(gains, abs=1e-12)
    assert slate.order.tolist() == order
    assert slate.value == pytest.approx(value_of(objective, slate.order, positions), abs=1e-12)


@given(objectives(bonuses="positive"), places())
def test_guarantee_and_bound_hold_against_every_slate(drawn, positions):
    objective = build(drawn)
    slate = select(objective, len(positions), positions=positions.copy())
    best = max(value_of(objective, o, positions) for o in permutations(range(len(objective.scores)), len(positions)))
    assert slate.value >= slate.guarantee * best - 1e-12
    assert best <= slate.upper_bound + 1e-12
    assert slate.value >= slate.optimality * best - 1e-12
    size = len(positions)
    assert slate.guarantee == (1 - (1 - 1 / size) ** size if positions[0] == positions[-1] else 0.5)


@given(objectives(), places())
def test_the_bound_holds_with_negative_bonuses_and_some_not_eligible(drawn, positions):
    objective = build(drawn)
    eligible = np.ones(len(objective.scores), bool)
    eligible[0] = len(eligible) == len(positions)
    slate = select(objective, len(positions), positions=positions.copy(), eligible=eligible)
    fine = np.flatnonzero(eligible)
    best = max(value_of(objective, o, positions) for o in permutations(fine.tolist(), len(positions)))
    assert best <= slate.upper_bound + 1e-12
    assert set(slate.order.tolist()) <= set(fine.tolist())


def test_greedy_can_reach_its_guarantee_nearly():
    # Item 2 is in both categories and goes first, though 0 and 1 together would be better.
    categories = Categories.of([["a"], ["b"], ["a", "b"]])
    objective = Coverage(np.array([1e3, 1e3, 501.0]), categories, np.array([1.0, 1.0]))
    slate = select(objective, 2)
    best = value_of(objective, [0, 1], np.ones(2))
    assert slate.value < best <= slate.upper_bound


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("bonus", [False, True])
def test_many_candidates_agree_with_plain_greedy(m, bonus):
    rng = np.random.default_rng(5)
    n, n_categories = 20_000, 40
    rows = np.repeat(np.arange(n), m)
    labels = [f"c{c}" for c in range(n_categories)]
    categories = Categories.from_rows(rows, rng.integers(0, n_categories, n * m), n, labels)
    extra = rng.normal(0, 0.02, n) if bonus else None
    # One category holds nearly all high scores: the pool must be renewed.
    scores = rng.beta(1, 20, n) * np.where((categories.sets == 0).any(axis=1), 8.0, 1.0)
    objective = Coverage(scores, categories, rng.gamma(1.0, 1.0, n_categories), extra)
    positions = 1 / np.log2(np.arange(10) + 2)
    weights, spent = objective.padded_weights(), objective.padded_shown()
    order: list[int] = []
    for e in positions:
        inside = np.log1p(spent[categories.sets] + e * scores[:, None]) - np.log1p(spent[categories.sets])
        gains = (weights[categories.sets] * inside).sum(axis=1) + (0 if extra is None else e * extra)
        gains[order] = -np.inf
        order.append(int(gains.argmax()))
        spent[categories.sets[order[-1]]] += e * scores[order[-1]]
        spent[-1] = 0.0
    slate = select(objective, 10, positions=positions)
    assert slate.order.tolist() == order
    assert slate.value / slate.upper_bound > 0.95


def test_more_interest_in_a_category_shows_more_of_it():
    rng = np.random.default_rng(0)
    categories = Categories.of(["a", "b"] * 50)
    scores = rng.uniform(0.4, 0.6, 100)
    even = select(Coverage(scores, categories), 10)
    keen = select(Coverage(scores, categories, np.array([3.0, 1.0])), 10)
    assert categories.holds("a")[even.order].sum() == 5
    assert categories.holds("a")[keen.order].sum() > 6


def test_what_was_shown_before_counts():
    categories = Categories.of(["a", "a", "b"])
    scores = np.array([0.9, 0.8, 0.6])
    assert select(Coverage(scores, categories), 1).order.tolist() == [0]
    assert select(Coverage(scores, categories, shown=np.array([2.0, 0.0])), 1).order.tolist() == [2]


def test_the_best_goes_where_people_look_whatever_the_order_of_positions():
    categories = Categories.of(["a", "b", "c"])
    slate = select(Coverage(np.array([0.9, 0.5, 0.1]), categories), 3, positions=np.array([0.2, 1.0, 0.5]))
    assert slate.order.tolist() == [2, 0, 1]
    assert slate.gains[1] == pytest.approx(np.log1p(0.9))
    assert slate.exposure(categories) == pytest.approx({"a": 1.0 / 1.7, "b": 0.5 / 1.7, "c": 0.2 / 1.7})


# ---- floors -------------------------------------------------------------------------------------------------------


def meets(order: Any, objective: Coverage, positions: np.ndarray, floors: dict[str, float]) -> bool:
    for name, least in floors.items():
        held = objective.categories.holds(name)[np.asarray(order)]
        if isinstance(least, int):
            if held.sum() < least:
                return False
        elif (positions * held).sum() / positions.sum() < least - 1e-9:
            return False
    return True


@given(
    objectives(bonuses="none", most=6),
    places(),
    st.dictionaries(
        st.sampled_from("abc"), st.one_of(st.integers(1, 3), st.sampled_from([0.1, 0.3, 0.5, 0.9])), max_size=2
    ),
)
def test_floors_are_met_whenever_any_slate_meets_them(drawn, positions, floors):
    objective = build(drawn)
    floors = {name: least for name, least in floors.items() if name in objective.categories.labels}
    floors = {name: min(least, len(positions)) if isinstance(least, int) else least for name, least in floors.items()}
    every = permutations(range(len(objective.scores)), len(positions))
    fine = [o for o in every if meets(o, objective, positions, floors)]
    if not fine:
        with pytest.raises(SpecificationError, match="no slate of"):
            select(objective, len(positions), positions=positions.copy(), floors=floors)
        return
    slate = select(objective, len(positions), positions=positions.copy(), floors=floors)
    assert meets(slate.order, objective, positions, floors)
    best = max(value_of(objective, o, positions) for o in fine)
    assert slate.guarantee * best - 1e-12 <= slate.value
    assert best <= slate.upper_bound + 1e-12
    free = select(objective, len(positions), positions=positions.copy())
    if not slate.binding:
        assert slate.value == pytest.approx(free.value, abs=1e-12)


def test_floors_that_bind_are_named():
    categories = Categories.of(["big"] * 8 + ["small"] * 2)
    objective = Coverage(np.array([0.9] * 8 + [0.1, 0.05]), categories, np.array([1.0, 0.2]))
    assert select(objective, 4, floors={"big": 2}).binding == ()
    slate = select(objective, 4, floors={"small": 1, "big": 1})
    assert slate.binding == ("small",)
    assert slate.guarantee == 0.5
    positions = np.array([1.0, 0.6, 0.4, 0.2])
    shared = select(objective, 4, positions=positions, floors={"small": 0.3})
    assert shared.exposure(categories)["small"] >= 0.3
    assert shared.value < select(objective, 4, positions=positions).value


def test_one_item_may_serve_two_floors():
    categories = Categories.of([["a", "b"], ["a"], ["b"], []])
    objective = Coverage(np.array([0.1, 0.5, 0.5, 0.9]), categories)
    slate = select(objective, 1, floors={"a": 1, "b": 1})
    assert slate.order.tolist() == [0]
    assert slate.guarantee == 0


@pytest.mark.parametrize(
    ("floors", "message"),
    [
        ({"shose": 1}, "no category 'shose'; did you mean 'shoes'"),
        ({"shoes": 0}, "the floor of 'shoes' is 0 of 2 positions"),
        ({"shoes": 3}, "the floor of 'shoes' is 3 of 2 positions"),
        ({"shoes": 1.5}, "the floor of 'shoes' is the share 1.5"),
        ({"shoes": float("nan")}, "the floor of 'shoes' is the share nan"),
        ({"shoes": True}, "the floor of 'shoes' is True"),
        (
            {"shoes": 2, "hats": 1},
            "no slate of 2 meets all floors ('shoes' 2, 'hats' 1); candidates there are: 'shoes' 2",
        ),
        ({"hats": 2}, "candidates there are: 'hats' 1"),
        ({"shoes": 0.6, "hats": 0.6}, "no slate of 2 meets all floors"),
    ],
)
def test_floors_that_cannot_be(floors, message):
    objective = Coverage(np.ones(3), Categories.of(["shoes", "shoes", "hats"]))
    with pytest.raises(SpecificationError) as refused:
        select(objective, 2, floors=floors)
    assert message in str(refused.value)


def test_a_search_without_end_is_given_up():
    # A partition of these numbers in two equal halves exists by a hair or not at all: there is no short way to tell.
    rng = np.random.default_rng(1)
    positions = rng.uniform(0.5, 1.0, 60)
    objective = Coverage(np.ones(120), Categories.of(["a", "b"] * 60))
    with pytest.raises(SpecificationError, match="so little room"):
        select(objective, 60, positions=positions, floors={"a": 0.5, "b": 0.5})


# ---- bad input ----------------------------------------------------------------------------------------------------

TWO = Categories.of(["a", "b"])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Coverage(np.array([0.1, -0.2]), TWO), DataError, "entry 1"),
        (lambda: Coverage(np.array([np.nan, np.inf]), TWO), DataError, "scores: 1 problem found"),
        (lambda: Coverage(np.array([0.1]), TWO), SpecificationError, "scores has shape (1,)"),
        (lambda: Coverage(np.ones(2), TWO, np.array([1.0, -1.0])), DataError, "weights"),
        (lambda: Coverage(np.ones(2), TWO, np.ones(3)), SpecificationError, "weights has shape (3,)"),
        (lambda: Coverage(np.ones(2), TWO, bonus=np.array([0.0, np.nan])), DataError, "bonus"),
        (lambda: Coverage(np.ones(2), TWO, shown=np.array([0.0, -1.0])), DataError, "shown"),
        (lambda: select(Coverage(np.ones(2), TWO), 3), SpecificationError, "needs 3 candidates, and 2 are eligible"),
        (lambda: select(Coverage(np.ones(2), TWO), 0), SpecificationError, "a slate of 0 shows nothing"),
        (
            lambda: select(Coverage(np.ones(2), TWO), 1, eligible=np.zeros(2, bool)),
            SpecificationError,
            "no candidate of 2 is eligible",
        ),
        (lambda: select(Coverage(np.ones(0), Categories.of([])), 1), SpecificationError, "no candidate is eligible"),
        (
            lambda: select(Coverage(np.ones(2), TWO), 1, eligible=np.ones(3, bool)),
            SpecificationError,
            "eligible has 3 entries",
        ),
        (lambda: select(Coverage(np.ones(2), TWO), 2, positions=np.array([1.0, 0.0])), DataError, "entry 1"),
        (lambda: select(Coverage(np.ones(2), TWO), 2, positions=np.array([1.0])), SpecificationError, "positions has"),
        (lambda: Categories.of(["a", "x"], labels=["a", "b"]), SpecificationError, "candidate 1: no category 'x'"),
        (lambda: Categories(("a", "a"), np.zeros((1, 1), int)), SpecificationError, "names come twice"),
        (lambda: Categories(("a",), np.array([[0], [2]])), SpecificationError, "candidate 1 is in category 2"),
        (
            lambda: Categories.from_rows(np.array([0]), np.array([5]), 1, ["a"]),
            SpecificationError,
            "memberships name categories 5 to 5",
        ),
        (lambda: TWO.holds("A"), SpecificationError, "did you mean 'a'"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as refused:
        make()
    assert message in str(refused.value)


def test_rows_of_memberships_are_the_same_categories():
    named = Categories.of([["b", "a"], [], ["b"]])
    rows = Categories.from_rows(np.array([2, 0, 0, 2]), np.array([1, 1, 0, 1]), 3, ["a", "b"])
    assert rows.labels == named.labels
    assert [sorted(row) for row in rows.sets.tolist()] == [sorted(row) for row in named.sets.tolist()]


def test_candidates_without_category_or_score_can_fill_a_slate():
    objective = Coverage(np.zeros(3), Categories.of([[], [], ["a"]]))
    slate = select(objective, 3)
    assert sorted(slate.order.tolist()) == [0, 1, 2]
    assert (slate.value, slate.upper_bound, slate.optimality) == (0.0, 0.0, 1.0)


def test_every_set_of_a_small_world_is_within_one_minus_one_over_e():
    rng = np.random.default_rng(2)
    worst = 1.0
    for _ in range(60):
        categories = Categories.of([list(rng.choice(list("abcd"), 2, replace=False)) for _ in range(7)], labels="abcd")
        objective = Coverage(rng.pareto(1.0, 7), categories, rng.gamma(1.0, 1.0, 4))
        best = max(value_of(objective, s, np.ones(3)) for s in combinations(range(7), 3))
        worst = min(worst, select(objective, 3).value / best)
    assert 1 - 1 / np.e <= worst < 1  # greedy is not always best, or the test shows nothing

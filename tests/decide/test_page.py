"""Slates that a policy decides: greedy at heart, within floors and rules, with propensities that are what they say."""

from __future__ import annotations

from itertools import permutations
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed.choices.feedback import Feedback
from revealed.choices.policy import Decision
from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import Showing
from revealed.decide.slate import Categories, Coverage, select
from revealed.errors import DataError, SpecificationError
from tests.decide.slate_world import CONTEXT, DIVERSE, GREEDY, ITEMS, KIND, MARGIN, SEEN, learned, log_of, specified


def expected(policy: LearningPolicy) -> np.ndarray:
    """Return the expected answer to each action of the catalogue."""
    mean, _ = policy.model.posterior.predictor(policy.space.joint(CONTEXT, policy.catalogue.candidates(None)))
    return policy.model.link.mean(mean)


# ---- what is shown -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slate", "strength"),
    [
        ({}, 1.0),
        ({"diversity": 6.0}, 6.0),
        ({"diversity": 0.01}, 0.01),
        ({"positions": [8, 4, 2.5]}, 1.0),
        ({"floors": {"hand": 1}}, 1.0),
        ({"floors": {"head": 0.6}, "positions": [1.0, 0.9, 0.8]}, 1.0),
        ({"goals": {"margin": 0.05}}, 1.0),
        ({"goals": {"margin": -0.2}, "diversity": 3}, 3.0),
    ],
)
def test_without_exploration_it_is_the_greedy_slate(slate: dict[str, Any], strength: float) -> None:
    policy = learned({**DIVERSE, **slate}, n=2000, **GREEDY)
    scores = expected(policy)
    labels = list(policy.catalogue.actions)
    scale = strength / scores.max()
    categories = Categories.of([KIND[label] for label in labels])
    goal = slate.get("goals", {}).get("margin", 0.0)
    objective = Coverage(
        scores * scale,
        categories,
        np.full(len(categories.labels), 1 / scale),
        bonus=np.array([goal * MARGIN[label] for label in labels]),
    )
    positions = np.array(slate.get("positions", [1.0, 1.0, 1.0])) / slate.get("positions", [1.0])[0]
    wanted = select(objective, 3, positions=positions, floors=slate.get("floors"))
    decision = policy.decide(CONTEXT, seed=0)
    assert decision.shown == tuple(labels[i] for i in wanted.order)
    assert decision.propensities == (1.0, 1.0, 1.0)


def test_stronger_diversity_shows_more_kinds() -> None:
    kinds = []
    for diversity in (0.0, 1.0, 20.0):
        policy = learned({**DIVERSE, "diversity": diversity}, n=2000, **GREEDY)
        kinds.append([KIND[label] for label in policy.decide(CONTEXT, seed=0).shown])
    assert [len(set(each)) for each in kinds] == [1, 2, 3]
    plain = learned(n=2000, **GREEDY).decide(CONTEXT, seed=0, count=3).shown
    assert [KIND[label] for label in plain] == kinds[0]


def test_floors_hold_for_everybody_and_a_pin_takes_one_place() -> None:
    slate = {**DIVERSE, "floors": {"head": 1, "hand": 1}, "positions": [1, 0.6, 0.35]}
    rules = {"holdout": 0.5, "blocked": ["hat"], "pinned": "sandal"}
    policy = learned(slate, explore={"floor": 0.02}, business=rules)
    for i in range(30):
        decision = policy.decide(CONTEXT, seed=i, person=f"p{i}")
        assert decision.shown[0] == "sandal"
        assert sorted(decision.shown[1:]) == ["bag", "cap"]
        assert decision.propensities[0] == 1.0
        assert decision.propensities[2] == 1.0
        assert decision.propensities[1] == 0.5 or not decision.policy_version.endswith("/holdout")


def test_all_eligible_may_be_shown_and_no_more() -> None:
    policy = learned(DIVERSE, business={"blocked": ["hat"], "pinned": "cap"})
    assert sorted(policy.decide(CONTEXT, seed=0, count=5).shown) == sorted({*ITEMS} - {"hat"})
    with pytest.raises(SpecificationError, match=r"cannot show 6 of 6 candidates, of which 5 eligible"):
        policy.decide(CONTEXT, seed=0, count=6)
    alone = policy.decide(CONTEXT, ["boot"], seed=0, count=1)
    assert (alone.shown, alone.propensities) == (("boot",), (1.0,))


@pytest.mark.parametrize("rule", ["thompson", "top_two", "upper_confidence", "epsilon_greedy", "greedy"])
@pytest.mark.parametrize("limits", [{}, {"floor": 0.03, "cap": 0.8}])
def test_every_rule_decides_slates(rule: str, limits: dict[str, float]) -> None:
    policy = learned({**DIVERSE, "floors": {"hand": 1}}, explore={"rule": rule, **limits})
    for number in range(8):
        decision = policy.decide(CONTEXT, seed=number)
        assert "bag" in decision.shown
        assert len(set(decision.shown)) == 3
        if limits:
            assert all(0.03 <= chance <= 0.8 or chance == 1.0 for chance in decision.propensities)


@pytest.mark.parametrize(("link", "covariance"), [("gaussian", "full"), ("poisson", "diagonal"), ("probit", "grouped")])
def test_every_link_and_covariance_decides_slates(link: str, covariance: str) -> None:
    """Gaussian scores may be below zero, where no return diminishes; counts under a wide draw may be huge."""
    learn = {"link": link, "covariance": covariance, "variance": 400.0 if link == "poisson" else 1.0}
    policy = learned({**DIVERSE, "goals": {"margin": 0.1}}, n=60, learn=learn)
    for number in range(20):
        decision = policy.decide(CONTEXT, seed=number)
        assert prod(decision.propensities) == pytest.approx(decision.propensity)


# ---- how likely ----------------------------------------------------------------------------------------------------

PLANS: list[tuple[dict[str, Any] | None, dict[str, Any]]] = [
    (None, {}),
    (DIVERSE, {}),
    ({**DIVERSE, "goals": {"margin": 0.02}, "floors": {"head": 1}}, {"explore": {"floor": 0.02}}),
]


def law_of(showing: Showing, number: int, size: int) -> dict[tuple[int, ...], float]:
    """Return the probability of each slate, from the conditional probabilities of a decision."""
    known: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(size):
        longer: dict[tuple[int, ...], float] = {}
        for above, probability in known.items():
            page = showing.page(number)
            for item in above:
                page.show(item)
            each = showing.explorer.probabilities_by(page)
            longer |= {(*above, i): probability * float(each[i]) for i in np.flatnonzero(each).tolist()}
        known = longer
    return known


@pytest.mark.parametrize(("slate", "sections"), PLANS)
def test_propensities_of_all_slates_sum_to_one(slate: dict[str, Any] | None, sections: dict[str, Any]) -> None:
    policy = learned(slate, n=40, **sections)
    showing = Showing.of(policy, CONTEXT, None, 3)
    for number in (0, 77):
        law = law_of(showing, number, 3)
        assert sum(law.values()) == pytest.approx(1.0, rel=1e-9)
        shown, told = showing.decide(number)
        assert prod(told) == pytest.approx(law[tuple(shown)], rel=1e-12)
        given = showing.given_above(number, shown)
        assert told == [given[place, item] for place, item in enumerate(shown)]
        np.testing.assert_allclose(given.sum(axis=1), 1.0)
        assert policy.decide(CONTEXT, seed=number, count=3).propensities == tuple(told)


@pytest.mark.parametrize(("slate", "sections"), PLANS)
def test_slates_are_shown_as_often_as_is_said(slate: dict[str, Any] | None, sections: dict[str, Any]) -> None:
    policy = learned(slate, n=40, **sections)
    showing = Showing.of(policy, CONTEXT, None, 2)
    counts = dict.fromkeys(permutations(range(6), 2), 0)
    told = dict.fromkeys(counts, 0.0)
    n = 120
    for number in range(n):
        counts[tuple(showing.decide(number)[0])] += 1  # type: ignore[index]
        if number % 4 == 0:  # four decisions share a pool
            for each, probability in law_of(showing, number, 2).items():
                told[each] += 4 * probability  # type: ignore[index]
    spread = [np.sqrt(max(t * (1 - t / n), 1.0)) for t in told.values()]
    gaps = (np.array(list(counts.values())) - np.array(list(told.values()))) / spread
    assert np.abs(gaps).max() < 4.0
    assert np.count_nonzero(list(counts.values())) > 6


def test_goals_count_where_a_single_thing_is_judged() -> None:
    log = log_of(200, 4)
    plain, rich = (learned({"goals": {"margin": worth}}, n=2000, **GREEDY) for worth in (0.0, 5.0))
    assert plain.probabilities(log)[:, list(log.actions.labels).index("bag")].max() == 0
    assert rich.probabilities(log)[:, list(log.actions.labels).index("bag")].min() == 1


def test_marginals_are_sums_over_what_stands_above() -> None:
    policy = learned(DIVERSE, n=40)
    showing = Showing.of(policy, CONTEXT, None, 3)
    law = law_of(showing, 5, 3)
    decision = policy.decide(CONTEXT, seed=5, marginal_draws=150)
    shown = [showing.labels.index(label) for label in decision.shown]
    for place, item in enumerate(shown):
        exact = sum(probability for each, probability in law.items() if each[place] == item)
        assert decision.marginals[place] == pytest.approx(exact, abs=0.05)
    assert decision.marginals[0] == decision.propensities[0]
    assert policy.decide(CONTEXT, seed=5).marginals == ()
    assert policy.decide(CONTEXT, seed=5, marginal_draws=150) == decision
    again = Decision.from_dict(decision.to_dict())
    assert again == decision
    assert [row["marginal"] for row in decision.rows()] == list(decision.marginals)


def test_a_policy_of_slates_comes_back_from_its_file(tmp_path: Path) -> None:
    slate = {**DIVERSE, "positions": "estimated", "goals": {"margin": {"least": 3.0, "worth": 1.0}}}
    policy = learned(slate, n=1500, places=3)
    again = LearningPolicy.load(policy.save(tmp_path / "policy.json"))
    assert again.version == policy.version
    assert again.slates == policy.slates
    assert [again.decide(CONTEXT, seed=i) for i in range(5)] == [policy.decide(CONTEXT, seed=i) for i in range(5)]
    other = learned({**slate, "goals": {"margin": {"least": 4.0, "worth": 1.0}}}, n=1500, places=3)
    assert other.version != policy.version
    data = learned(n=40).to_dict()
    del data["slates"]  # as written before there were slates
    assert LearningPolicy.from_dict(data).decide(CONTEXT, seed=0) == learned(n=40).decide(CONTEXT, seed=0)


# ---- what a log tells ----------------------------------------------------------------------------------------------


def test_positions_are_estimated_from_the_log() -> None:
    policy = learned({**DIVERSE, "positions": "estimated"}, n=6000, places=3)
    np.testing.assert_allclose(policy.slates.examination, SEEN, atol=0.06)
    with pytest.raises(SpecificationError, match=r"cannot show 4: .* told by the log for 3"):
        policy.decide(CONTEXT, seed=0, count=4)
    few = log_of(3, 9, 3)
    assert policy.learn(few).slates.effects == policy.slates.effects  # so few clicks tell nothing
    with pytest.raises(DataError, match="positions where nothing was clicked"):
        learned({**DIVERSE, "positions": "estimated"}, n=4, places=3)


def margin_of(policy: LearningPolicy, n: int) -> float:
    """Return the average margin of what a policy shows."""
    margins = []
    for number in range(n):
        shown = policy.decide({"segment": ("new", "old")[number % 2]}, seed=number).shown
        margins.append(np.mean([MARGIN[label] for label in shown]))
    return float(np.mean(margins))


@pytest.mark.parametrize("diversity", [0.0, 1.0])
def test_a_level_is_kept_on_average(diversity: float) -> None:
    slate = {**DIVERSE, "diversity": diversity}
    kept = learned({**slate, "goals": {"margin": {"least": 3.4, "worth": 2.0}}}, n=2000)
    assert 0.01 < kept.slates.prices[0].value < 1.9
    assert kept.slates.prices[0].average >= 3.4
    assert margin_of(learned(slate, n=2000), 40) < 3.1
    assert margin_of(kept, 60) == pytest.approx(3.4, abs=0.25)


EXPLORE: list[dict[str, Any]] = [
    {"rule": "upper_confidence", "options": {"width": 3.0}},
    {"rule": "epsilon_greedy", "options": {"epsilon": 0.4}},
    {"rule": "top_two"},
    {"floor": 0.1},
    {"rule": "greedy", "cap": 0.5},
]


@pytest.mark.parametrize("explore", EXPLORE, ids=str)
def test_a_level_is_kept_by_what_is_shown_and_told_as_it_is(explore: dict[str, Any]) -> None:
    """Whatever the rule and its limits: the average told is that of decisions, which keeps the level or cannot."""
    level = 5.0 if "floor" in explore else 3.4
    policy = learned({**DIVERSE, "goals": {"margin": {"least": level, "worth": 2.0}}}, n=100, explore=explore)
    price = policy.slates.prices[0]
    assert price.out_of_reach is ("floor" in explore)
    assert margin_of(policy, 80) == pytest.approx(price.average, abs=0.2)


def test_several_levels_are_kept_together() -> None:
    """The one needs bags and hats, the other boots, and each price has to follow the other."""
    log = log_of(2000, 1)
    boots = np.array([float(label in ("boot", "shoe")) for label in log.table["action"].to_pylist()])
    wider = Feedback.from_table(log.table.append_column("boots", [boots]), log.columns)
    features = {"formula": "C(action) + C(segment):C(action)", "item": ["kind", "margin", "boots"]}
    goals = {"margin": {"least": 3.6, "worth": 3.0}, "boots": {"least": 0.3, "worth": 3.0}}
    policy = LearningPolicy.fresh(specified({**DIVERSE, "goals": goals}, features=features)).learn(wider)
    margin, share = policy.slates.prices
    assert margin.average == pytest.approx(3.6, abs=0.1)
    assert share.average == pytest.approx(0.3, abs=0.02)
    assert min(margin.value, share.value) > 0.05


def test_a_level_out_of_reach_is_said_to_be() -> None:
    far, easy = (learned({**DIVERSE, "goals": {"margin": {"least": least, "worth": 0.5}}}) for least in (5.9, 0.5))
    assert far.slates.prices[0].out_of_reach
    assert far.slates.prices[0].average < 5
    assert not easy.slates.prices[0].out_of_reach
    assert easy.slates.prices[0].value == 0.0


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slate", "message"),
    [
        ({"category": "knid"}, r"\[slate\] speaks of 'knid'.*item = .*did you mean 'kind'"),
        ({"goals": {"margn": 1}}, "did you mean 'margin'"),
        ({"size": 0}, "at least 1, not 0"),
        ({"size": "ten"}, r"\[slate\] size must be of type int"),
        ({"sise": 3}, "did you mean 'size'"),
        ({"diversity": -1}, "finite number, 0 or more"),
        ({"positions": "guessed"}, 'above 0, or "estimated"'),
        ({"positions": [1, 0.5, 0.7]}, "none may be looked at more than the one before"),
        ({"positions": [1, 0]}, "above 0"),
        ({"positions": [1, True]}, "above 0"),
        ({"positions": [1, 0.5], "size": 3}, "2 positions for a size of 3"),
        ({"floors": {"feet": 1}}, "floors are of categories"),
        ({"category": "kind", "floors": {"feet": 0}}, "the floor of 'feet' is 0"),
        ({"category": "kind", "floors": {"feet": 1.5}}, "the floor of 'feet' is 1.5"),
        ({"category": "kind", "floors": {"feet": "all"}}, "the floor of 'feet' is 'all'"),
        ({"goals": {"margin": "high"}}, "the goal 'margin' is 'high'"),
        ({"goals": {"margin": {"least": 1}}}, "the most that a unit may be worth"),
        ({"goals": {"margin": {"least": 1, "worth": 0}}}, "worth of 'margin' is 0"),
    ],
)
def test_a_slate_that_cannot_be_is_refused(slate: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        specified(slate)


def test_estimated_positions_need_their_column() -> None:
    with pytest.raises(SpecificationError, match=r'position = "…" in \[log\]'):
        specified({"positions": "estimated"}, log={})


@pytest.mark.parametrize(
    ("slate", "candidates", "count", "error", "message"),
    [
        (DIVERSE, None, 7, SpecificationError, "cannot show 7 of 6 candidates"),
        (DIVERSE, ["hat", "cap"], None, SpecificationError, "cannot show 3 of 2 candidates"),
        (DIVERSE, None, 0, SpecificationError, "cannot show 0 of 6 candidates"),
        ({**DIVERSE, "positions": [1, 0.5, 0.2]}, None, 4, SpecificationError, r"given in \[slate\] for 3"),
        (DIVERSE, ["hat", "cap", {"action": "glove"}], None, DataError, "no 'kind' of glove"),
        (
            {**DIVERSE, "floors": {"hnad": 1}},
            None,
            None,
            SpecificationError,
            r"no category 'hnad'; did you mean .*'hand'",
        ),
        ({**DIVERSE, "floors": {"hand": 2}}, None, None, SpecificationError, "no slate of 3 meets all floors"),
        ({**DIVERSE, "floors": {"hand": 1}}, ["hat", "cap", "boot"], None, SpecificationError, "'hand' 0"),
        ({**DIVERSE, "floors": {"feet": 3}}, None, 2, SpecificationError, "3 of 2 positions"),
        (
            {**DIVERSE, "goals": {"margin": 1}},
            ["hat", "cap", {"action": "boot", "margin": "high"}],
            None,
            DataError,
            "'margin' of boot is 'high'",
        ),
    ],
)
def test_what_cannot_be_decided(
    slate: dict[str, Any], candidates: Any, count: int | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        learned(slate).decide(CONTEXT, candidates, seed=0, count=count)


def test_a_pin_that_breaks_a_floor_is_refused() -> None:
    policy = learned({**DIVERSE, "floors": {"feet": 3}}, business={"pinned": "hat"})
    with pytest.raises(SpecificationError, match="what is pinned leaves no slate that meets all floors"):
        policy.decide(CONTEXT, seed=0)


def test_nothing_eligible() -> None:
    policy = learned(DIVERSE, business={"blocked": list(ITEMS)})
    with pytest.raises(SpecificationError, match="no candidate is eligible: all 6 are blocked"):
        policy.decide(CONTEXT, seed=0)

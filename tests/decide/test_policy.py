"""A policy: learns what is better, decides the same from the same, keeps to the rules, and survives files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices.feedback import Feedback, read_feedback
from revealed.choices.policy import Chooser, Policy
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import DataError, SpecificationError

ITEMS = ("cap", "hat", "scarf")
KIND = {"cap": "head", "hat": "head", "scarf": "neck"}
FORMULA = "C(item) + C(segment):C(item) + C(kind)"


def shown(n: int, seed: int, lacking: float = 0.0) -> Feedback:
    """Return a log in which new visitors like hats, and others scarves."""
    rng = np.random.default_rng(seed)
    item, segment = rng.integers(0, 3, n), rng.integers(0, 2, n)
    chance = np.array([[0.1, 0.6, 0.2], [0.1, 0.15, 0.5]])[segment, item]
    reward: list[float | None] = [float(x) for x in rng.random(n) < chance]
    for i in np.flatnonzero(rng.random(n) < lacking):
        reward[i] = None
    return read_feedback(
        {
            "visit": np.arange(n),
            "item": [ITEMS[i] for i in item],
            "kind": [KIND[ITEMS[i]] for i in item],
            "segment": [("new", "old")[s] for s in segment],
            "bought": reward,
            "chance": np.full(n, 1 / 3),
        },
        decision="visit",
        action="item",
        reward="bought",
        propensity="chance",
    )


def specification(**sections: Any) -> Specification:
    return Specification.from_dict(
        {
            "features": {"formula": FORMULA, "item": ["kind"]},
            "log": {"decision": "visit", "action": "item", "reward": "bought", "propensity": "chance"},
            **sections,
        }
    )


@pytest.fixture(scope="module")
def learned() -> LearningPolicy:
    return LearningPolicy.fresh(specification(), seed=5).learn(shown(2000, 1))


def test_it_is_a_policy_and_a_chooser(learned: LearningPolicy) -> None:
    assert isinstance(learned, Policy)
    assert isinstance(learned, Chooser)


def test_it_learns_what_is_better_for_whom(learned: LearningPolicy) -> None:
    for segment, best in (("new", "hat"), ("old", "scarf")):
        decisions = [learned.decide({"segment": segment}, seed=i) for i in range(40)]
        assert sum(d.shown == (best,) for d in decisions) > 36
        assert all(0 < d.propensity <= 1 for d in decisions)


def test_the_same_number_is_the_same_decision_in_any_order(learned: LearningPolicy, tmp_path: Path) -> None:
    early = LearningPolicy.fresh(specification(), seed=5).learn(shown(8, 1))
    there = [early.decide({"segment": "new"}, seed=i) for i in range(50)]
    back = [early.decide({"segment": "new"}, seed=i) for i in reversed(range(50))]
    assert there == back[::-1]
    again = LearningPolicy.load(early.save(tmp_path / "policy.json"))
    assert [again.decide({"segment": "new"}, seed=i) for i in range(50)] == there
    assert len({early.decide({"segment": "new"}, seed=i).shown for i in range(300)}) > 1  # one in 150 is another
    assert LearningPolicy.fresh(specification(), seed=6).learn(shown(8, 1)).version != early.version


def test_propensities_are_how_often_things_are_shown() -> None:
    policy = LearningPolicy.fresh(specification(), seed=5).learn(shown(40, 1))
    counts = dict.fromkeys(ITEMS, 0)
    told = {item: [] for item in ITEMS}  # type: ignore[var-annotated]
    for i in range(3000):
        decision = policy.decide({"segment": "new"}, seed=i)
        counts[decision.shown[0]] += 1
        told[decision.shown[0]].append(decision.propensity)
    for item in ITEMS:
        if counts[item] > 100:
            assert np.mean(told[item]) == pytest.approx(counts[item] / 3000, abs=0.035)
    probabilities = policy.probabilities(shown(50, 3))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    row = int(np.flatnonzero(np.array(shown(50, 3).table["segment"].to_pylist()) == "new")[0])
    for number, item in enumerate(shown(50, 3).actions.labels):
        assert probabilities[row, number] == pytest.approx(counts[item] / 3000, abs=0.035)


def test_several_are_shown_one_after_the_other(learned: LearningPolicy) -> None:
    decision = learned.decide({"segment": "old"}, seed=1, count=3)
    assert sorted(decision.shown) == sorted(ITEMS)
    assert decision.shown[0] == "scarf"


def test_what_was_never_seen_is_explored_and_then_known(learned: LearningPolicy) -> None:
    record = {"item": "glove", "kind": "hand"}
    decisions = [learned.decide({"segment": "new"}, ["cap", record], seed=i) for i in range(40)]
    assert any(d.shown == ("glove",) for d in decisions)
    with pytest.raises(SpecificationError, match="no action 'glove' was met so far"):
        learned.decide({"segment": "new"}, ["glove"], seed=0)
    known = learned.decide({"segment": "unheard of"}, seed=0)
    assert known.shown[0] in ITEMS


def test_to_learn_in_two_goes_is_to_learn_in_one() -> None:
    spec = specification(learn={"link": "gaussian"})
    whole = shown(300, 2)
    first, second = whole.take(np.arange(200)), whole.take(np.arange(200, 300))
    one = LearningPolicy.fresh(spec).learn(whole)
    two = LearningPolicy.fresh(spec).learn(first).learn(second)
    names = one.space.names
    order = [two.space.names.index(name) for name in names]
    np.testing.assert_allclose(one.model.posterior.mean, two.model.posterior.mean[order], rtol=1e-8, atol=1e-10)


def test_rows_without_an_answer_teach_nothing() -> None:
    log = shown(400, 4, lacking=0.5)
    some = LearningPolicy.fresh(specification()).learn(log)
    assert some.model.n_answers == int(log.answered.sum())
    assert 100 < some.model.n_answers < 300
    with pytest.raises(DataError, match="no row has an answer yet"):
        LearningPolicy.fresh(specification()).learn(log.take(~log.answered))


def test_floor_cap_pin_block_and_holdout() -> None:
    spec = specification(
        explore={"floor": 0.05, "cap": 0.8}, business={"blocked": ["cap"], "holdout": 0.3, "salt": "a"}
    )
    policy = LearningPolicy.fresh(spec).learn(shown(2000, 1))
    decisions = [policy.decide({"segment": "new"}, seed=i) for i in range(300)]
    assert {d.shown[0] for d in decisions} == {"hat", "scarf"}
    assert {round(d.propensity, 6) for d in decisions} == {0.2, 0.8}
    out = [policy.decide({"segment": "new"}, seed=i, person=f"p{i}") for i in range(1000)]
    held = [d for d in out if d.policy_version.endswith("/holdout")]
    assert 240 < len(held) < 360
    assert {d.propensity for d in held} == {0.5}
    again = [policy.decide({"segment": "new"}, seed=i + 7, person=f"p{i}") for i in range(1000)]
    assert [d.policy_version for d in again] == [d.policy_version for d in out]
    pinned = LearningPolicy.fresh(specification(business={"pinned": "cap"})).learn(shown(2000, 1))
    decision = pinned.decide({"segment": "new"}, seed=0)
    assert (decision.shown, decision.propensity) == (("cap",), 1.0)
    assert pinned.decide({"segment": "new"}, seed=0, count=2).shown == ("cap", "hat")


def test_it_knows_the_logs_it_learned_from(learned: LearningPolicy, tmp_path: Path) -> None:
    again = LearningPolicy.load(learned.save(tmp_path / "policy.json"))
    assert again.learned_from(shown(2000, 1))
    assert not again.learned_from(shown(2000, 2))


def test_a_meta_prior_is_estimated_per_group() -> None:
    spec = specification(
        features={"formula": "C(item) + C(segment):C(item)", "groups": "order"}, learn={"meta_prior": True}
    )
    policy = LearningPolicy.fresh(spec).learn(shown(3000, 1))
    assert policy.prior is not None
    assert {group.name for group in policy.prior.groups} == set(policy.space.group_names)
    pairs = next(group for group in policy.prior.groups if group.n_params == 6)
    assert pairs.variance != 1.0
    again = policy.learn(shown(100, 9))
    assert again.model.n_answers == 3100


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"lern": {}}, r"no section \[lern\]; did you mean 'learn'"),
        ({"learn": {"lnk": "logit"}}, r"\[learn\] has no 'lnk'; did you mean 'link'"),
        ({"learn": {"link": "lgoit"}}, "did you mean 'logit'"),
        ({"learn": {"variance": "one"}}, r"\[learn\] variance must be of type int or float"),
        ({"learn": {"meta_prior": 1}}, "must be of type bool"),
        ({"learn": {"keep": 0}}, "share to keep"),
        ({"explore": {"rule": "tompson"}}, "did you mean 'thompson'"),
        ({"explore": {"floor": 0.9, "cap": 0.1}}, "floor"),
        ({"business": {"holdout": 2}}, "holdout share"),
        ({"business": {"pinned": "cap", "blocked": ["cap"]}}, "pinned and blocked"),
        ({"features": {"formula": "C(item)", "numeric": ["age"]}}, "one of the two"),
        ({"log": {"rewrd": "bought"}}, "did you mean 'reward'"),
        ({"log": "x"}, r"\[log\] must be a section, not 'x'"),
        ({"log": None}, r"\[log\] must be a section"),
        ({"explore": {"rule": None}}, r"\[explore\] rule must be of type str, not None"),
        ({"learn": {"link": None}}, r"\[learn\] link must be of type str, not None"),
        ({"learn": {"covariance": None}}, "must be of type str"),
        ({"learn": {"mean": 10**400}}, r"\[learn\] mean is too large a number: 1000"),
        ({"explore": {"options": {"width": "x"}}}, r"\[explore\] options: width must be a number, not 'x'"),
        ({"explore": {"options": {"width": 10**400}}}, "width is too large a number: 1000"),
        ({"layout": {"slots": {"a": ["x", "y"], "b": ["x", "y"]}, "pairs": [1]}}, "pairs lists pairs of slots"),
        ({"layout": {"slots": {"a": ["x", "y"], "b": ["x", "y"]}, "by_context": [[]]}}, "or a list of slots"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        LearningPolicy.fresh(specification(**sections))


def test_a_missing_cell_is_refused_with_its_row(learned: LearningPolicy) -> None:
    table = shown(30, 3).table
    cells = table["segment"].to_pylist()
    cells[6] = None
    column = table.column_names.index("segment")
    log = Feedback.from_table(table.set_column(column, "segment", pa.array(cells)), learned.columns)
    with pytest.raises(DataError, match=r"(?s)missing.*segment.*row 7"):
        learned.probabilities(log)


def test_bad_decisions_are_refused(learned: LearningPolicy) -> None:
    with pytest.raises(SpecificationError, match="'hat' is given twice"):
        learned.decide({"segment": "new"}, ["hat", "hat"], seed=0)
    with pytest.raises(DataError, match=r"(?s)no 'segment' in the context.*did you mean 'segmnt'"):
        learned.decide({"segmnt": "new"}, seed=0)
    with pytest.raises(SpecificationError, match="cannot show 4 of 3"):
        learned.decide({"segment": "new"}, seed=0, count=4)
    for number in (-1, 2**55, 2**64):
        for count, person in ((1, None), (2, None), (1, "held out")):
            policy = LearningPolicy.fresh(specification(business={"holdout": 1.0})).learn(shown(50, 1))
            with pytest.raises(SpecificationError, match=r"numbered from 0 to 2\*\*55 - 1, not"):
                policy.decide({"segment": "new"}, seed=number, count=count, person=person)
    assert learned.decide({"segment": "new"}, seed=2**55 - 1, count=2).decision == 2**55 - 1
    with pytest.raises(SpecificationError, match="none met so far"):
        LearningPolicy.fresh(specification()).decide({"segment": "new"}, seed=0)
    blocked = LearningPolicy.fresh(specification(business={"blocked": list(ITEMS)})).learn(shown(50, 1))
    with pytest.raises(SpecificationError, match="all 3 are blocked"):
        blocked.decide({"segment": "new"}, seed=0)


def test_an_attribute_that_changes_belongs_to_the_context() -> None:
    log = shown(50, 1)
    spec = specification(features={"formula": "C(item) + C(segment)", "item": ["segment"]})
    with pytest.raises(DataError, match="an attribute of an action that changes"):
        LearningPolicy.fresh(spec).learn(log)


def test_files_that_are_no_policy_are_refused(tmp_path: Path, learned: LearningPolicy) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        LearningPolicy.load(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        LearningPolicy.load(tmp_path / "odd.json")
    (tmp_path / "fit.json").write_text('{"kind": "fit"}')
    with pytest.raises(SpecificationError, match="this is no policy"):
        LearningPolicy.load(tmp_path / "fit.json")
    newer = learned.to_dict() | {"format": 2}
    with pytest.raises(SpecificationError, match="format 2, which this version does not know"):
        LearningPolicy.from_dict(newer)
    (tmp_path / "odd.toml").write_text("[features")
    with pytest.raises(DataError, match="is not TOML"):
        Specification.read(tmp_path / "odd.toml")


@pytest.mark.parametrize("covariance", ["full", "grouped", "diagonal"])
def test_what_is_forgotten_does_not_depend_on_how_answers_are_cut_into_logs(covariance: str) -> None:
    spec, log = specification(learn={"keep": 0.9, "batch": 100, "covariance": covariance}), shown(600, 3)
    whole = LearningPolicy.fresh(spec).learn(log)
    known = (1 / whole.model.posterior.variance - 1).sum()
    for size in (20, 150):
        policy = LearningPolicy.fresh(spec)
        for start in range(0, 600, size):
            policy = policy.learn(log.take(np.arange(start, start + size)))
        assert (1 / policy.model.posterior.variance - 1).sum() == pytest.approx(known, rel=0.1)


@pytest.mark.parametrize("covariance", ["full", "grouped", "diagonal"])
@pytest.mark.parametrize("estimator", ["prediction", "moments"])
@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_each_meta_prior_is_learned_with_an_intercept_and_each_covariance(
    covariance: str, estimator: str, keep: float
) -> None:
    sections = {"covariance": covariance, "meta_prior": estimator, "keep": keep, "batch": 100}
    policy = LearningPolicy.fresh(specification(learn=sections)).learn(shown(300, 1))
    assert policy.prior is not None
    np.testing.assert_allclose(policy.model.prior.variance, policy.prior.variance_of(policy.space.groups))
    assert policy.decide({"segment": "old"}, seed=1).propensity > 0


@pytest.mark.parametrize("hashed", ["item", "segment"])
@pytest.mark.parametrize("estimator", [False, "prediction", "moments"])
def test_groups_without_a_parameter_yet_stand_before_hashed_ones(hashed: str, estimator: bool | str) -> None:
    features = {"categorical": ["item", "segment"], "hashed": {hashed: 3}}
    policy = LearningPolicy.fresh(
        specification(features=features, learn={"covariance": "grouped", "meta_prior": estimator})
    )
    again = LearningPolicy.from_dict(policy.to_dict())
    assert again.version == policy.version
    assert policy.decide({"segment": "new"}, [{"item": item} for item in ITEMS], seed=1).shown[0] in ITEMS
    learned = again.learn(shown(300, 1))
    shares = [p.decide({"segment": "old"}, seed=1) for p in (learned, LearningPolicy.from_dict(learned.to_dict()))]
    assert shares[0] == shares[1]


def test_logs_of_other_decisions_are_others_though_the_same_was_shown_and_came_of_it() -> None:
    def log(first: int) -> Feedback:
        columns = {"visit": first + np.arange(3), "item": ["cap", "hat", "cap"], "bought": [1.0, 0.0, 1.0]}
        table = {**columns, "chance": np.full(3, 0.5), "kind": ["head"] * 3, "segment": ["new"] * 3}
        return read_feedback(table, decision="visit", action="item", reward="bought", propensity="chance")

    monday = LearningPolicy.fresh(specification()).learn(log(1))
    assert monday.learned_from(log(1))
    assert not monday.learned_from(log(4))

"""Layouts as actions of a policy: names, features, catalogue, and what is believed of options and pairs."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.layout.believed import effects_in
from revealed.decide.many import Desk, Request
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import DataError, SpecificationError
from revealed.models.glm.features.knowing import knowing

SLOTS = {"headline": ["question", "claim", "joke"], "image": ["people", "none"], "order": ["price", "reviews"]}


def policy_of(**layout: Any) -> LearningPolicy:
    """Return a policy of layouts for two devices and an age."""
    never = [{"headline": "joke", "image": "none"}]
    sections = {
        "layout": {"slots": SLOTS, "never": never, **layout},
        "features": {"categorical": ["device"], "numeric": ["age"], "interactions": ["device:age"]},
    }
    return LearningPolicy.fresh(Specification.from_dict(sections), seed=4)


def log_of(policy: LearningPolicy, n: int, seed: int = 0) -> Feedback:
    """Return a log of layouts shown by the policy, answered by lot."""
    rng = np.random.default_rng(seed)
    contexts = [{"device": f"device {rng.integers(3)}", "age": float(rng.normal())} for _ in range(n)]
    made = [policy.decide(context, seed=number) for number, context in enumerate(contexts)]
    shown = [one.shown[0] for one in made]
    table: dict[str, Any] = {
        "decision": [str(number) for number in range(n)], "action": shown,
        "reward": (rng.random(n) < 0.3).astype(float), "propensity": [one.propensity for one in made],
        "device": [context["device"] for context in contexts], "age": [context["age"] for context in contexts],
    }  # fmt: skip
    table |= {slot: [policy.catalogue.actions[label][slot] for label in shown] for slot in SLOTS}
    return read_feedback(pa.table(table))


def rows_of(policy: LearningPolicy, context: dict[str, Any], layouts: list[dict[str, str]]) -> np.ndarray:
    """Return the features of layouts in a context."""
    return np.asarray(policy.space.joint(context, layouts).dense())


def mean_with(rows: np.ndarray, layouts: list[dict[str, str]], wanted: dict[str, str]) -> np.ndarray:
    """Return the mean of the rows of layouts that hold some options."""
    some = [i for i, one in enumerate(layouts) if wanted.items() <= one.items()]
    return np.asarray(rows[some].mean(axis=0))


def test_effects_are_those_of_all_layouts_averaged() -> None:
    """By brute force: means of the predictor over all layouts that hold an option, or two, less what is told before."""
    policy = policy_of()
    policy = policy.learn(log_of(policy, 60))
    device_of = policy.space.ledger.labels[[f.name for f in policy.space.specification.fields].index("device")]
    everything = [dict(zip(SLOTS, options, strict=True)) for options in product(*SLOTS.values())]
    for context, weights in (
        ({"device": "device 1", "age": 2.0}, [("device 1", 1.0)]),
        ({"age": -1.0}, [(device, 1 / 3) for device in device_of]),
    ):
        age = context["age"]
        each = [weight * rows_of(policy, {"device": device, "age": age}, everything) for device, weight in weights]
        rows = np.sum(each, axis=0)
        found = {(one.slots, one.options): one for one in effects_in(policy, context, 0.9)}
        assert len(found) == 7 + 6 + 6 + 4

        for (slots, options), effect in found.items():
            wanted = dict(zip(slots, options, strict=True))
            alone = [mean_with(rows, everything, {slot: option}) for slot, option in wanted.items()]
            middle = rows.mean(axis=0)
            row = alone[0] - middle
            if len(slots) == 2:
                row = mean_with(rows, everything, wanted) - alone[0] - alone[1] + middle
            mean, variance = policy.model.posterior.predictor(row[None])
            assert effect.mean == pytest.approx(float(mean[0]), abs=1e-10)
            assert effect.high - effect.mean == pytest.approx(1.6448536 * float(np.sqrt(variance[0])), rel=1e-6)
            assert 0 <= effect.told <= 1
    with pytest.raises(SpecificationError, match="no part"):
        effects_in(LearningPolicy.fresh(Specification.from_dict({"features": {"formula": "C(offer)"}})), {})


def test_effects_without_pairs_and_before_anything_was_learned() -> None:
    effects = effects_in(policy_of(pairs=[["order", "headline"]], by_context=False), {})
    assert {one.slots for one in effects if one.kind == "pair"} == {("headline", "order")}
    for one in effects:
        assert [one.mean, one.told, one.above_zero - 0.5] == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
        assert one.low < 0 < one.high
    alone = [one for one in effects if one.slots == ("image",)]
    # Two options a prior deviation of 0.5 apart from their mean: half their difference.
    assert alone[0].high == pytest.approx(1.959964 * 0.5 / np.sqrt(2))


def test_layouts_of_one_context_are_decided_together_once_it_was_met() -> None:
    """Though most of them never were: each option has a parameter for each device."""
    policy = policy_of()
    policy = policy.learn(log_of(policy, 8))
    desk = Desk(policy)
    requests = [Request({"device": "device 1", "age": 0.5}, number) for number in range(40)]
    together = desk.decide(requests)
    assert desk._set_of(None, None) is not None
    assert [one.shown for one in together] == [policy.decide(r.context, seed=r.seed).shown for r in requests]  # type: ignore[union-attr]
    assert desk._crossing is not None
    part = desk._crossing.candidates(policy.catalogue.candidates(None))
    assert part is not None
    assert not part.lacking.any()
    assert knowing(policy.space, SLOTS).n_params == policy.space.n_params


def test_a_policy_of_layouts_is_kept_in_a_file(tmp_path) -> None:
    policy = policy_of()
    policy = policy.learn(log_of(policy, 30))
    kept = LearningPolicy.load(policy.save(tmp_path / "policy.json"))
    assert json.dumps(kept.to_dict()) == json.dumps(policy.to_dict())
    further = log_of(policy, 20, seed=9)
    assert kept.learn(further).version == policy.learn(further).version
    assert kept.decide({"device": "new", "age": 1.0}, seed=1) == policy.decide({"device": "new", "age": 1.0}, seed=1)
    assert kept.probabilities(further).sum(axis=1) == pytest.approx(1.0)


def test_a_log_of_something_else_is_refused() -> None:
    policy = policy_of()
    log = log_of(policy, 3)
    table = {name: log.column(name) for name in ("decision", "action", "reward", "propensity", "device", "age", *SLOTS)}
    odd = read_feedback(pa.table(table | {"action": ["headline=joke", *table["action"].to_pylist()[1:]]}))
    with pytest.raises(DataError, match="is no layout"):
        policy.learn(odd)

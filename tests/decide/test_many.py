"""Many decisions at once are those of one by one: whatever the features, the rule, the limits, and what is odd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revealed.choices.feedback import read_feedback
from revealed.choices.policy import Decision
from revealed.decide import many
from revealed.decide.many import Desk, Request
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.engine import loops
from revealed.errors import RevealedError
from revealed.models.glm.features import FeatureSpace
from revealed.models.glm.features.crossing import Crossing

LOG = {"decision": "visit", "action": "offer", "reward": "clicked"}
FEATURES = {
    "labels": {"formula": "C(offer) + C(device) + C(offer):C(device)"},
    "numbers": {"numeric": ["age", "price"], "interactions": ["age:price"], "item": ["price"]},
    "both": {
        "numeric": ["age", "price"],
        "categorical": ["offer", "device", "kind"],
        "interactions": ["offer:device", "age:offer", "price:device", "kind:device", "age:price", "age:device"],
        "item": ["price", "kind"],
        "optional": ["age", "kind"],
    },
    "two numbers": {
        "numeric": ["age", "price", "visits"],
        "interactions": ["age:price", "age:visits", "visits:price"],
        "item": ["price"],
    },
    "computed": {"formula": "C(offer) + log(price) + C(device):log(price)", "item": ["price"]},
}
EXPLORE = (
    {"rule": "thompson"},
    {"rule": "thompson", "floor": 0.02},
    {"rule": "upper_confidence", "cap": 0.9},
    {"rule": "epsilon_greedy"},
    {"rule": "top_two"},
    {"rule": "greedy"},
)
OFFERS = ("coupon", "gift", "guide", "news", "trial")


def learned(features: str, explore: dict[str, object] | None = None, **business: object) -> LearningPolicy:
    """Return a policy that has learned from 400 made-up rows."""
    told = {"features": FEATURES[features], "log": LOG, "explore": explore or {}, "business": business}
    rng, n = np.random.default_rng(3), 400
    offer = rng.integers(5, size=n)
    table = pa.table(
        {
            "visit": np.arange(n),
            "offer": np.array(OFFERS)[offer],
            "clicked": (rng.random(n) < 0.2 + 0.1 * offer / 5).astype(float),
            "propensity": np.full(n, 0.2),
            "device": rng.choice(["phone", "desktop", "tablet"], n),
            "age": rng.normal(size=n),
            "visits": rng.poisson(2.0, n).astype(float),
            "price": 1.0 + offer,
            "kind": np.array(["cheap", "dear"])[offer // 3],
        }
    )
    policy = LearningPolicy.fresh(Specification.from_dict(told), seed=5)
    return policy.learn(read_feedback(table, policy.columns))


def require_same(policy: LearningPolicy, requests: list[Request]) -> list[Decision | RevealedError]:
    """Require that a desk decides as the policy does, one by one."""
    found = Desk(policy).decide(requests)
    for one, request in zip(found, requests, strict=True):
        alone = one_by_one(policy, request)
        if isinstance(alone, RevealedError):
            assert isinstance(one, RevealedError)
            assert str(one) == str(alone)
            continue
        assert isinstance(one, Decision), one
        assert one == replace(alone, propensity=one.propensity, propensities=one.propensities)
        assert one.propensities == pytest.approx(alone.propensities, rel=1e-12)
    return found


def one_by_one(policy: LearningPolicy, request: Request) -> Decision | RevealedError:
    """Return what the policy decides, or what is wrong."""
    try:
        return policy.decide(
            request.context, request.candidates, seed=request.seed, count=request.count, person=request.person
        )
    except RevealedError as error:
        return error


def contexts(n: int, seed: int = 0) -> list[dict[str, object]]:
    """Return contexts that are all usual."""
    rng = np.random.default_rng(seed)
    devices = ("phone", "desktop", "tablet")
    return [{"device": devices[rng.integers(3)], "age": float(rng.normal()), "visits": i % 4} for i in range(n)]


@pytest.mark.parametrize("explore", EXPLORE, ids=str)
@pytest.mark.parametrize("features", FEATURES)
def test_the_same_as_one_by_one(features, explore, monkeypatch) -> None:
    policy = learned(features, explore)
    requests = [Request(context, 7 * i) for i, context in enumerate(contexts(40))]
    wanted = require_same(policy, requests)
    assert len({one.shown for one in wanted if isinstance(one, Decision)}) > 1 or explore["rule"] == "greedy"
    # And all of it on the short way: one by one nothing may be decided any more.
    monkeypatch.setattr(many.Desk, "_alone", lambda *_: pytest.fail("went the long way"))
    assert len(Desk(policy).decide(requests)) == 40


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("blocked", [[], ["gift", "news"]], ids=str)
def test_pools_of_draws_are_shared_and_crossed(compiled, blocked, monkeypatch) -> None:
    if not compiled:
        monkeypatch.setattr(loops, "LIBRARY", None)
    policy = learned("both", blocked=blocked)
    requests = [Request(context, 250 + i) for i, context in enumerate(contexts(12))]  # across the end of a pool
    require_same(policy, requests)
    require_same(policy, requests[::-1])


@pytest.mark.parametrize("business", [{"blocked": ["gift"]}, {"pinned": "guide"}, {"holdout": 0.5}], ids=str)
def test_rules_of_the_business(business) -> None:
    policy = learned("labels", **business)
    require_same(policy, [Request(c, i, person=f"person {i}") for i, c in enumerate(contexts(30))])


def test_what_is_odd_goes_the_long_way_and_takes_nobody_with_it() -> None:
    policy = learned("both")
    usual = {"device": "phone", "age": 0.3}
    odd: list[dict[str, object]] = [
        {"device": "watch", "age": 0.1},  # a label never met
        {"age": 0.1},  # what must be there is not
        {"device": "phone"},  # what may be missing is
        {"device": "phone", "age": None},
        {"device": "phone", "age": float("nan")},
        {"device": "phone", "age": "old"},
        {"device": ["phone"], "age": 1.0},
        {"device": "phone", "age": 1, "price": 3.0},  # the candidates have it too
        {"device": "phone", "age": True},
        {"device": "phone", "age": 10**400},
        {"device": "phone", "age": 1e160},
        {"device": "phone", "age": -1.7e308},
        {},
    ]
    found = require_same(policy, [Request(c, i) for i, c in enumerate([usual, *odd, usual])])
    assert isinstance(found[0], Decision)
    assert isinstance(found[-1], Decision)
    assert sum(isinstance(one, RevealedError) for one in found) >= 6


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("explore", EXPLORE, ids=str)
@pytest.mark.parametrize("features", ["numbers", "two numbers"])
def test_contexts_of_numbers_alone(features, explore, compiled, monkeypatch) -> None:
    """They are read at once; what is no number, or a number too large, sends the group the other way."""
    if not compiled:
        monkeypatch.setattr(loops, "LIBRARY", None)
    policy = learned(features, explore)
    names = ("age",) if features == "numbers" else ("visits", "age")
    rng = np.random.default_rng(1)
    usual = [dict(zip(names, rng.normal(size=2).tolist(), strict=False)) for _ in range(9)]
    require_same(policy, [Request(context, i) for i, context in enumerate(usual)])
    odd: list[object] = [True, 2, 0.0, -0.0, 1e153, 1e154, 1.2e154, -1e160, 2**70, 10**400, float("nan"), float("inf")]
    odd += ["1", None, [1.0], np.float64(0.5), np.float32(0.5), np.int64(3), np.array(1.0)]
    cases: list[dict[str, object]] = [{**usual[0], "age": cell} for cell in odd]
    cases += [{}, {"age": 1.0, "price": 2.0}, {**usual[0], "device": "phone"}, {name.upper(): 1.0 for name in names}]
    for case in cases:
        require_same(policy, [Request(case, 3)])
        require_same(policy, [Request(context, i) for i, context in enumerate((usual[1], case, usual[2]))])


def test_a_key_that_two_fields_read_hides_no_other() -> None:
    features = {"numeric": ["age", "context.age", "price"], "item": ["price"]}
    policy = LearningPolicy.fresh(Specification.from_dict({"features": features, "log": LOG}), seed=5)
    offers = [{"offer": offer, "price": float(place)} for place, offer in enumerate(OFFERS)]
    for context in ({"age": 0.3, "price": 2.0}, {"age": 0.3}, {"age": 0.3, "context.age": 0.3}):
        require_same(policy, [Request(context, 3, offers), Request(context, 4, offers)])


@pytest.mark.skipif(loops.LIBRARY is None, reason="loops are not compiled here")
@pytest.mark.parametrize("features", ["labels", "numbers", "two numbers", "both"])
@pytest.mark.parametrize("explore", EXPLORE, ids=str)
def test_the_compiled_loop_takes_all_kinds_of_contexts(features, explore, monkeypatch) -> None:
    """What is slow, but right, is not seen else: each kind is chosen for, or counted, by one call, and by no other."""
    called = list[tuple[str, bool]]()

    def watched(name: str) -> None:
        loop = getattr(loops.Counter, name)

        def told(*given: object) -> object:
            found = loop(*given)
            called.append((name, found is not None))
            return found

        monkeypatch.setattr(loops.Counter, name, told)

    watched("choose")
    watched("count")
    policy = learned(features, explore)
    for n in (1, 2, 9):
        Desk(policy).decide([Request(context, i) for i, context in enumerate(contexts(n))])
    rule = policy.explorer.rule.name
    if rule == "thompson" and not policy.explorer.limits.bind:
        assert called == [("choose", True)] * 3
        Desk(policy).decide([Request(context, i, ["gift", "news"]) for i, context in enumerate(contexts(2))])
        assert called == [("choose", True)] * 4
    else:
        assert called == [("count", True)] * 3 * (rule in ("thompson", "top_two"))


def test_a_group_of_two_pools_and_one_in_no_order() -> None:
    policy = learned("numbers")
    given, last = contexts(12), policy.explorer.pool
    for numbers in (range(last - 5, last + 7), range(last + 6, last - 6, -1), (3 * last, 3, last) * 4):
        require_same(policy, [Request(context, number) for context, number in zip(given, numbers, strict=True)])


def test_candidates() -> None:
    policy = learned("both")
    context = {"device": "phone", "age": 0.3}
    sets: list[list[object] | None] = [
        None,
        ["gift", "news"],
        ["news", "gift"],
        ["news"],
        ["news", "news"],  # twice
        ["nothing we know"],
        [],
        [{"offer": "voucher", "price": 2.0, "kind": "cheap"}, "news"],
        [{"offer": "news", "price": 9.0}, "gift"],
    ]
    require_same(policy, [Request(context, i, candidates) for i, candidates in enumerate(sets * 2)])  # type: ignore[arg-type]
    odd: list[list[object]] = [
        [{"offer": "news", "price": [1]}],
        [{"offer": "news", "price": 1, "kind": 1}, {"offer": "gift", "price": 1, "kind": "dear"}],
        [{"offer": "news", "price": 1, "kind": True}, {"offer": "gift", "price": 1, "kind": "dear"}],
    ]
    require_same(policy, [Request(context, i, candidates) for i, candidates in enumerate(odd)])  # type: ignore[arg-type]
    require_same(policy, [Request(context, i, None, count) for i, count in enumerate([1, 2, 5, 6, 0, None])])


def test_a_pair_never_met_has_its_prior() -> None:
    """Both labels are known, but never came together: their pair has no parameter, and no effect of zero either."""
    policy = learned("labels")
    rows = {"visit": ["a"], "offer": ["sale"], "clicked": [1.0], "propensity": [0.5], "device": ["phone"]}
    policy = policy.learn(read_feedback(pa.table(rows), policy.columns))
    requests = [Request({"device": device}, i) for i, device in enumerate(["phone", "desktop", "tablet"] * 6)]
    found = require_same(policy, requests)
    assert any(one.shown == ("sale",) for one in found if isinstance(one, Decision))


def test_hashed_fields_have_no_crossing() -> None:
    space = FeatureSpace.of(categorical=["user", "item"], hashed={"user": 4})
    assert Crossing.of(space, ["item"]) is None
    both = FeatureSpace.from_formula("C(item) + I(price * age)")
    assert Crossing.of(both, ["item", "price"]) is None


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_rows_are_products(data) -> None:
    """The product of both parts is the row that the space gives."""
    policy = learned("both")
    crossing = Crossing.of(policy.space, ("offer", "price", "kind"))
    assert crossing is not None
    candidates = policy.catalogue.candidates(data.draw(st.lists(st.sampled_from(OFFERS), min_size=1, unique=True)))
    number = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-5, 5))
    records = data.draw(
        st.lists(
            st.fixed_dictionaries({"device": st.sampled_from(["phone", "desktop", "tablet"]), "age": number}),
            min_size=1,
        )
    )
    part, (values, odd) = crossing.candidates(candidates), crossing.contexts(records)
    assert part is not None
    assert not odd
    for context, value in zip(records, values, strict=True):
        if (value[part.lacking] != 0).any():
            continue
        rows = policy.space.joint(context, candidates)
        assert rows.unseen is None
        np.testing.assert_array_equal(part.values[:, crossing.item] * value[crossing.context], rows.dense())

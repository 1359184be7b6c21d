"""Why a decision was made: what its features add makes its score, by whichever version is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from revealed.decide.showing import Showing
from revealed.serve.explaining import MOST_CANDIDATES, explained
from revealed.serve.explanation import Explanation
from revealed.store.protocol import DecisionRow
from tests.serve.test_layouts import layouts
from tests.serve.test_service import ask, run
from tests.serve.world import OFFERS, Learning, fresh, made, request, serving

LEARN = {"mean": -0.3, "variance": 0.5}


def row_of(policy: Any, context: dict[str, Any], candidates: list[Any] | None, count: int = 1) -> DecisionRow:
    """Return a decision of a policy as the log keeps it."""
    made = policy.decide(context, candidates, seed=17, count=count)
    return DecisionRow(17, "offers", made.policy_version, 1e9, json.dumps(context), json.dumps(made.shown),
                       json.dumps(made.propensities), None, None,
                       None if candidates is None else json.dumps(candidates))  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
def test_what_features_add_sums_to_the_linear_predictor(count) -> None:
    """Also of what was never met, which adds what its prior says."""
    policy = fresh(learn=LEARN)
    candidates = [{"offer": offer} for offer in OFFERS]
    row = row_of(policy, {"device": "phone"}, candidates, count)
    found = explained(policy, 0, row)
    assert isinstance(found, Explanation)
    assert (found.same, found.agrees, found.lesson, found.link, found.by_lot) == (True, True, 0, "logit", False)
    assert [one.label for one in found.contributions] == json.loads(row.shown)
    showing = Showing.of(policy, {"device": "phone"}, candidates, count)
    mean = dict(zip(showing.labels, showing.base.means()[0].tolist(), strict=True))
    deviation = dict(zip(showing.labels, showing.base.deviations()[0].tolist(), strict=True))
    for one in found.contributions:
        names = [part.feature for part in one.parts]
        assert sorted(names) == sorted(["1", f"offer={one.label}", "device=phone", f"offer={one.label}:device=phone"])
        assert all(part.adds == part.value * part.effect == pytest.approx(-0.3) for part in one.parts)
        assert one.score == pytest.approx(sum(part.adds for part in one.parts)) == pytest.approx(mean[one.label])
    assert sum(one.chance for one in found.candidates) == pytest.approx(1.0)
    for told in found.candidates:
        assert (told.score, told.deviation) == pytest.approx((mean[told.label], deviation[told.label]))


def test_a_layout_is_made_of_its_options_and_pairs() -> None:
    policy = layouts()
    row = row_of(policy, {"device": "phone"}, None)
    found = explained(policy, 4, row)
    assert isinstance(found, Explanation)
    assert found.agrees
    assert found.n_candidates == len(found.candidates) == 10 < MOST_CANDIDATES
    names = {part.feature for part in found.contributions[0].parts}
    slots = policy.specification.layout.named(json.loads(row.shown)[0])  # type: ignore[union-attr]
    options = [f"{slot}={option}" for slot, option in slots.items()]
    pairs = [f"{one}:{other}" for i, one in enumerate(options) for other in options[i + 1 :]]
    assert names == {"1", "device=phone", *options, *pairs, *(f"{one}:device=phone" for one in options)}


def test_the_service_explains_and_says_when_it_has_learned_since(tmp_path) -> None:
    where = made(tmp_path, fresh(learn=LEARN))

    async def scenario() -> None:
        async with serving(where) as client:
            told = (await ask(client, "/v1/decide", request(id="a visit", count=2))).json()
            one = (await client.get("/v1/decisions/a visit")).json()
            assert one["explanation"]["same"]
            assert one["explanation"]["agrees"]
            assert one["unexplained"] is None
            assert one["layout"] is None
            assert (one["version"], one["shown"]) == (told["version"], told["shown"])
            assert one["draw"] > 0
            chances = {each["label"]: each["chance"] for each in one["explanation"]["candidates"]}
            assert chances[told["shown"][0]] == pytest.approx(told["propensities"][0])
            outcomes = [{"decision": "a visit", "reward": 1.0}, {"decision": "a visit", "reward": 0.0, "position": 2}]
            await client.post("/v1/outcome/batch", json={"outcomes": outcomes})
            later = await _when_learned(client)
            assert later["explanation"]["agrees"] is None
            assert later["explanation"]["version"].startswith("2-") != later["version"].startswith("2-")
            assert later["explanation"]["lesson"] == 1
            scores = {each["label"]: each["score"] for each in later["explanation"]["candidates"]}
            for each in later["explanation"]["contributions"]:
                assert sum(part["adds"] for part in each["parts"]) == pytest.approx(scores[each["label"]])
            first, second = (each["score"] for each in later["explanation"]["contributions"])
            assert first > second
            assert [round(each["reward"]) for each in later["outcomes"]] == [1, 0]
            assert (await client.get("/v1/decisions/nobody")).status_code == 404
            described = (await client.get("/openapi.json")).json()
            given = described["paths"]["/v1/decisions/{name}"]["get"]["responses"]["200"]["content"]
            assert given["application/json"]["schema"]["$ref"].endswith("/DecisionTold")
            assert "contributions" in described["components"]["schemas"]["Explanation"]["properties"]

    with Learning(where):
        run(scenario())


async def _when_learned(client: httpx.AsyncClient) -> dict[str, Any]:
    for _ in range(2000):
        told: dict[str, Any] = (await client.get("/v1/decisions/a visit")).json()
        if not told["explanation"]["same"]:
            return told
        await asyncio.sleep(0.005)
    raise AssertionError("nothing was learned")


def test_what_cannot_be_explained_says_why() -> None:
    row = row_of(fresh(), {"device": "phone"}, [{"offer": "news"}, {"offer": "gift"}])
    text = explained(fresh(features={"formula": "C(offer) + age"}), 0, row)
    assert isinstance(text, str)
    assert "no 'age' in the context" in text

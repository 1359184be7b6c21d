"""What the pages say, against the log they say it of."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx
import numpy as np
import pytest

from revealed.serve.console.charts import chart
from revealed.serve.console.learned import PAGE, effects_of
from revealed.serve.console.now import MOST, now_of
from revealed.serve.console.sampling import STRETCHES
from revealed.serve.console.shown import duration
from revealed.serve.explaining import explained
from revealed.serve.explanation import Explanation
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow
from tests.console.test_guard import run, token_of
from tests.console.world import HOSTILE
from tests.serve.world import OFFERS, Learning, made, request, serving
from tests.store.rows import decision, outcome

NOW = 2e9


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "log.db"))
    yield opened
    opened.close()


def filled(store: Any, times: list[float]) -> list[DecisionRow]:
    """Write decisions made at some times, one of three by another policy, and outcomes of two of three."""
    rows = [
        decision(
            number, made=time, policy="pages" if number % 3 == 0 else "offers", shown='["gift"]',
            propensities=json.dumps([0.2 + 0.6 * (number % 5) / 5]), person=f"person {number % 7}",
        )
        for number, time in enumerate(times)
    ]  # fmt: skip
    for start in range(0, len(rows), 5000):
        part = rows[start : start + 5000]
        store.write(
            part,
            [
                outcome(row.number, reward=float(row.number % 4), came=row.made + 10 * (1 + row.number % 2))
                for row in part
                if row.number % 3 < 2
            ],
        )
    return rows


# ---- now ------------------------------------------------------------------------------------------------------------


def test_what_happens_now_is_what_the_log_says(store) -> None:
    times = [NOW - 400 + 0.25 * i for i in range(1600)]
    rows = [row for row in filled(store, times) if row.made > NOW - 300]
    now = now_of(store, ["offers", "pages"], NOW, 300)
    assert (now.count, now.read) == (len(rows), len(rows))
    assert now.rate == pytest.approx(4.0, abs=0.01)
    assert now.last == times[-1]
    assert sum(stretch.count for stretch in now.stretches) == len(rows)
    assert {stretch.count for stretch in now.stretches} <= {39, 40, 41}
    for one in now.policies:
        own = [row for row in rows if row.policy == one.name]
        assert one.count == pytest.approx(len(own))
        assert one.answered == pytest.approx(np.mean([row.number % 3 < 2 for row in own]))
        assert one.exploration == pytest.approx(np.mean([1 - json.loads(row.propensities)[0] for row in own]))
        assert one.reward == pytest.approx(np.mean([row.number % 4 for row in own if row.number % 3 < 2]))
    assert [one.name for one in now.policies] == ["offers", "pages"]
    assert now.delay is not None
    assert 10 <= now.delay.half <= now.delay.most == 20


def test_a_long_log_is_read_in_part_and_counted_whole(store) -> None:
    rows = filled(store, [NOW - 299 * (1 - i / 20_000) ** 2 for i in range(20_000)])  # ever faster
    looked: Counter[str] = Counter()
    inner = store.decisions_before

    def counting(seq: int, limit: int) -> Any:
        looked["asked"] += 1
        found = inner(seq, limit)
        looked["rows"] += len(found)
        return found

    store.decisions_before = counting
    now = now_of(store, ["offers", "pages"], NOW, 300)
    assert now.count == len(rows) > MOST >= now.read > MOST // 3
    assert looked["rows"] <= MOST + looked["asked"]
    assert looked["asked"] <= STRETCHES * 18
    for stretch in now.stretches:
        there = [row for row in rows if stretch.start < row.made <= stretch.start + 10]
        assert stretch.count == pytest.approx(len(there), abs=1)
    assert sum(one.count for one in now.policies) == pytest.approx(len(rows))
    share = next(one.count for one in now.policies if one.name == "pages") / len(rows)
    assert share == pytest.approx(1 / 3, abs=0.03)


def test_who_was_forgotten_leaves_gaps_and_nothing_else(store) -> None:
    filled(store, [NOW - 290 + 0.1 * i for i in range(2800)])
    for person in range(5):
        store.forget(f"person {person}")
    now = now_of(store, ["offers"], NOW, 300)
    everything = [row for _, row in store.decisions_before(10_000, 10_000)]
    assert now.read == len(everything) == 800
    assert now.count == pytest.approx(2800, abs=5)  # by their places
    for person in (5, 6):
        store.forget(f"person {person}")
    now = now_of(store, ["offers"], NOW, 300)
    assert (now.count, now.read, now.policies, now.last) == (0, 0, (), None)


def test_a_quiet_and_an_empty_log(store) -> None:
    assert now_of(store, ["offers"], NOW, 300).last is None
    filled(store, [NOW - 5000])
    now = now_of(store, ["pages"], NOW, 300)
    assert (now.count, now.last, now.stretches, now.policies) == (0, NOW - 5000, (), ())
    assert now.delay is not None
    assert now_of(store, ["offers"], NOW, 86_400).count == 1


def test_a_chart_shows_nothing_where_nothing_is_known() -> None:
    drawn = chart([1.0, None, 3.0, 2.0], ("<then>", "now"), 'a "title"')
    assert drawn.count("<circle") == 3
    assert drawn.count("M") >= 2  # the line begins anew after the gap
    assert "&lt;then&gt;" in drawn
    assert 'aria-label="a &#34;title&#34;"' in drawn
    assert "<circle" not in chart([], ("", ""), "")
    assert "NaN" not in chart([0.0, 0.0], ("", ""), "", bars=True)
    assert (duration(-90), duration(1e9), duration(0)) == ("−1.5 min", "11,574 d", "0 s")


# ---- what it learned, and why ---------------------------------------------------------------------------------------


def test_a_decision_is_computed_again_by_its_version_and_by_no_other_in_its_name(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            client.base_url = httpx.URL("http://localhost")
            asked = [request(person=f"p{i}", context={"device": ("phone", "desktop")[i % 2]}) for i in range(40)]
            answers = (await client.post("/v1/decide/batch", json={"requests": asked})).json()["decisions"]
            page = (await client.get("/console/why", params={"decision": answers[3]["decision"]})).text
            assert "the same is shown, with the same probability" in page
            assert "The policy has learned since" not in page
            for offer in OFFERS:
                assert f'<th scope="row">{offer}</th>' in page
            told = [{"decision": one["decision"], "reward": float(one["shown"] == ["gift"])} for one in answers]
            await client.post("/v1/outcome/batch", json={"outcomes": told})
            with Learning(where):
                for _ in range(500):
                    page = (await client.get("/console/why", params={"decision": answers[3]["decision"]})).text
                    if "The policy has learned since" in page:
                        break
            assert "The policy has learned since" in page
            assert "the same is shown" not in page
            page = (await client.get("/console/learned", params={"search": "GIFT"})).text
            assert "offer=gift" in page
            assert "offer=news" not in page

    run(scenario())
    store = open_store(where)
    kept = store.checkpoint("offers")
    assert kept is not None
    from revealed.serve.snapshots import policy_of

    policy = policy_of(kept.state)
    row = store.decisions_before(10**9, 1)[0][1]
    store.close()
    again = explained(policy, kept.lesson, row)
    assert isinstance(again, Explanation)
    assert not again.same
    assert again.agrees is None
    assert sum(one.chance for one in again.candidates) == pytest.approx(1.0)
    believed = {one.label: one.score for one in again.candidates}
    shown = json.loads(row.shown)[0]
    assert sum(part.adds for part in again.contributions[0].parts) == pytest.approx(believed[shown])
    effects = effects_of(policy, "", "", 1)
    assert effects.found == policy.space.n_params <= PAGE
    k = policy.space.names.index(effects.effects[0].feature)
    assert effects.effects[0].mean == pytest.approx(policy.model.posterior.mean[k])
    assert effects.effects[0].high - effects.effects[0].mean == pytest.approx(
        1.959964 * np.sqrt(policy.model.posterior.variance[k])
    )
    assert {one.group for one in effects_of(policy, "", "device", 1).effects} == {"device"}
    assert effects_of(policy, "nothing like it", "", 1).found == effects_of(policy, "", "no group", 1).found == 0
    assert effects_of(policy, "", "", 99).effects == []


# ---- the log, people, policies --------------------------------------------------------------------------------------


def test_the_log_is_paged_without_a_gap_or_a_repetition(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            client.base_url = httpx.URL("http://localhost")
            empty = (await client.get("/console/log")).text
            assert "No decision yet" in empty
            asked = {"requests": [request() for _ in range(120)]}
            answers = (await client.post("/v1/decide/batch", json=asked)).json()["decisions"]
            seen: list[str] = []
            path = "/console/log?policy=offers"
            while path:
                page = (await client.get(path)).text
                seen += [part.split('"')[0] for part in page.split("/console/why?decision=")[1:]]
                older = page.partition('rel="next" href="')[2].partition('"')[0]
                path = f"/console/log{older}".replace("&amp;", "&") if older else ""
            assert seen == [one["decision"] for one in answers][::-1]
            assert "No decision of nobody" in (await client.get("/console/log?policy=nobody")).text
            for odd in ("-1", "x", "9" * 30, "1.5", "١"):
                assert (await client.get("/console/log", params={"before": odd})).status_code == 200

    run(scenario())


def test_a_person_is_forgotten_once_the_name_was_written_twice_and_it_is_noted_without_it(tmp_path) -> None:
    where = made(tmp_path)
    person = HOSTILE[3]

    async def scenario() -> None:
        async with serving(where) as client:
            client.base_url = httpx.URL("http://localhost")
            asked = {"requests": [request(person=who) for who in (person, "ann", person)]}
            await client.post("/v1/decide/batch", json=asked)
            token = token_of(await client.get("/console/people"))
            for again in ("", "ann", person + " "):
                form = {"token": token, "person": person, "again": again}
                assert "Not forgotten" in (await client.post("/console/people/forget", data=form)).text
            form["again"] = person
            assert "Forgotten: 2 decisions" in (await client.post("/console/people/forget", data=form)).text
            looked = await client.post("/console/people", data={"token": token, "person": person})
            assert "Nothing is kept of that person" in looked.text
            looked = await client.post("/console/people", data={"token": token, "person": "ann"})
            assert "1 decision:" in looked.text
            acts = (await client.get("/console/log/acts")).text
            assert "<td>forget</td>" in acts
            assert "DROP" not in acts
            for odd in ("", "\0", "x" * 1025):
                looked = await client.post("/console/people", data={"token": token, "person": odd})
                assert "1 to 1,024 letters" in looked.text

    run(scenario())


def test_a_policy_is_stopped_and_let_on(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            client.base_url = httpx.URL("http://localhost")
            token = token_of(await client.get("/console/policies"))

            async def act(**form: str) -> httpx.Response:
                return await client.post("/console/policies", data={"token": token, "policy": "offers"} | form)

            assert (await act(act="stopped")).status_code == 303
            assert '<span class="state stopped">' in (await client.get("/console/policies")).text
            answer = (await client.post("/v1/decide", json=request())).json()
            assert (answer["shown"], answer["fallback"]) == (["news"], "stopped")
            assert (await act(act="live")).status_code == 303
            assert "fallback" not in (await client.post("/v1/decide", json=request())).json()
            assert "live" in (await client.get("/console/log/acts")).text
            for wrong in ({"act": "burn"}, {}, {"act": "live", "share": "many"}, {"act": "promote", "policy": "none"}):
                assert (await act(**wrong)).status_code == 422
            assert (await act(act="roll back", slot="offers")).status_code == 422  # nothing was there before

    run(scenario())


def test_a_store_that_does_not_answer_is_told_on_a_page(tmp_path) -> None:
    where = made(tmp_path)

    async def scenario() -> None:
        async with serving(where) as client:
            client.base_url = httpx.URL("http://localhost")
            (tmp_path / "log.db").write_bytes(b"not a database" * 100)
            answer = await client.get("/console/log")
            assert answer.status_code == 503
            assert "The store does not answer" in answer.text

    run(scenario())

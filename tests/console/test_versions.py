"""Versions and shadows on the page "Is it better": judged beside the service, shown with intervals or with why not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from revealed.serve.console.judge import Judge, found_of
from revealed.serve.enrolment import enrol
from revealed.serve.judgement import Judged, Judgement
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from revealed.store.protocol import Store
from tests.console.browser import CHROMIUM_TESTS, barriers, chromium, watched
from tests.serve.world import Learning, fresh, listening, made, request

pytestmark = CHROMIUM_TESTS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Yield a store and the address of its service, which has decided and has a policy in the shadow."""
    # With a floor the log says something of whatever any of them would show.
    where = made(tmp_path_factory.mktemp("versions"), fresh(explore={"floor": 0.1}))
    store = open_store(where)
    enrol(store, "in the shadow", fresh(features={"formula": "C(offer)"}), time.time(), "offers")
    other = fresh(features={"formula": "C(offer) + C(country)"})
    enrol(store, "wants a country", other, time.time(), "offers")
    store.close()
    with listening(where, ServiceOptions(open=True, refresh=0.05)) as address:
        with Learning(where), httpx.Client(base_url=address, timeout=60) as client:
            for count in (20, 60, 60):
                asked = [request(context={"device": ("phone", "desktop")[i % 2]}) for i in range(count)]
                made_ = client.post("/v1/decide/batch", json={"requests": asked}).raise_for_status().json()["decisions"]
                told = [{"decision": one["decision"], "reward": float(i % 3 == 0)} for i, one in enumerate(made_)]
                client.post("/v1/outcome/batch", json={"outcomes": told}).raise_for_status()
        yield where, address


def test_the_page_has_versions_judged_and_shows_them_or_why_not(served, tmp_path) -> None:
    where, address = served
    first = httpx.get(f"{address}/console/better").text
    assert "Being judged: that takes some seconds." in first
    deadline = time.monotonic() + 60
    store = open_store(where)
    while (kept := store.judgement("offers")) is None:
        assert time.monotonic() < deadline, "nothing was judged"
        time.sleep(0.2)
    versions = msgspec.json.decode(kept[1], type=Judgement).versions
    assert {one.policy for one in versions} == {"offers", "in the shadow", "wants a country"}
    told = [one for one in versions if one.value is not None]
    assert {one.policy for one in told} >= {"offers", "in the shadow"}
    store.close()
    kept_in = Path(os.environ.get("CONSOLE_PICTURES", str(tmp_path)))
    with chromium() as browser:
        for width in (1200, 375):
            page = browser.new_page(viewport={"width": width, "height": 800})
            said = watched(page)
            page.goto(f"{address}/console/better")
            table = page.locator("table", has=page.get_by_text("Versions of policies on offers"))
            assert table.locator("tbody tr").count() == len(versions)
            assert f"{told[0].value:.4g}"[:5] in table.inner_text()
            why = " ".join(page.locator("p.reason").all_inner_texts())
            assert "The log cannot say: it cannot decide" in why
            assert "no 'country' in the context" in why
            assert table.locator("svg.interval").count() == sum(one.by_low is not None for one in versions)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert barriers(page) == []
            page.screenshot(path=kept_in / f"versions-{width}.png", full_page=True)
            assert said == []
            page.close()


def test_what_was_found_is_shown_until_it_is_old_and_something_was_decided_since(served) -> None:
    where, _ = served
    store: Store = open_store(where)
    one = Judged("offers", "1-a", 1, 100, 5.0, 10, by=-0.25, by_low=-0.5, by_high=0.125)
    end = store.ends()[0]
    for ended, took, age, fresh_ in (
        (end, 1.0, 1e6, True), (end - 1, 1.0, 19.0, True), (end - 1, 1.0, 21.0, False), (end - 1, 0.1, 14.0, True),
        (end - 1, 0.1, 16.0, False), (end - 1, 1.0, -5.0, False),
    ):  # fmt: skip
        store.put_judgement("tried", 1e9, msgspec.json.encode(Judgement(ended, took, [one])).decode())
        found = found_of(store, "tried", 1e9 + age)
        assert (found.fresh, found.reach, found.versions) == (fresh_, 0.5, [one])
    assert found_of(store, "never", 1e9).fresh is False
    store.close()


def test_judging_is_started_once_and_a_failure_is_told(tmp_path) -> None:
    now = [0.0]
    judge = Judge(str(tmp_path / "no folder" / "log.db"), lambda: now[0])
    assert not judge.is_running
    judge.start()
    under_way = judge._process
    assert under_way is not None
    judge.start()
    assert judge._process is under_way
    under_way.wait(60)
    assert judge.has_failed, "there is no such folder"
    judge.start()
    assert judge._process is under_way, "it was tried just now"
    now[0] = 20.0
    judge.start()
    again = judge._process
    assert again is not under_way
    judge.close()
    assert again is not None
    assert again.returncode is not None
    assert not Path(tmp_path / "no folder").exists()

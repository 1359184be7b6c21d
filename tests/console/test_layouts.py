"""The matrix of options and pairs, as it is seen in a real Chromium."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from revealed.decide.layout.believed import effects_in
from revealed.serve.console.layouts import matrix_of
from revealed.serve.snapshots import policy_of
from revealed.store.open import open_store
from tests.serve.test_layouts import LAYOUTS, SLOTS, layouts
from tests.serve.world import Learning, listening, made

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
from playwright.sync_api import Browser, expect

from tests.console.browser import CHROMIUM_TESTS, barriers, chromium, watched

pytestmark = CHROMIUM_TESTS

HOSTILE = '"><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Browser]]:
    """A service of layouts that has learned, where it is, its store, and a browser."""
    image = {"image": ["people", "product", HOSTILE]}
    sections: dict[str, Any] = {"layout": LAYOUTS["layout"] | {"slots": SLOTS | image, "never": [
        {"headline": "claim", "image": HOSTILE}]}, "business": {}}  # fmt: skip
    where = made(tmp_path_factory.mktemp("matrix"), layouts(**sections))
    rng = np.random.default_rng(2)
    with chromium() as browser, listening(where) as address:
        with Learning(where), httpx.Client(base_url=address, timeout=30) as client:
            total = 0
            for count in (4, 80, 80, 80, 80):  # what was never met is decided one by one
                total += count
                asked = [{"context": {"device": ("phone", "desktop")[i % 2]}} for i in range(count)]
                told = client.post("/v1/decide/batch", json={"requests": asked}).raise_for_status().json()
                outcomes = [
                    {"decision": one["decision"], "reward": float(rng.random() < _rate(one["layout"], i % 2))}
                    for i, one in enumerate(told["decisions"])
                ]
                client.post("/v1/outcome/batch", json={"outcomes": outcomes}).raise_for_status()
                deadline = time.monotonic() + 20
                while not client.get("/v1/policies").json()[0]["version"].startswith(f"{total}-"):
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
        yield address, where, browser


def _rate(layout: dict[str, str], desktop: int) -> float:
    """Phones want reviews with a question, desktops the other order."""
    together = (layout["headline"] == "question") == (layout["order"] == "reviews")
    return 0.1 + 0.4 * (together != bool(desktop)) + 0.3 * (layout["image"] == "people")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 375)])
def test_the_matrix_is_read_by_all(scene, scheme, width) -> None:
    address, where, browser = scene
    window = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, base_url=address)
    page = window.new_page()
    said = watched(page)
    page.goto("/console/learned")
    table = page.get_by_role("table", name="Effects of options and of pairs of options")
    expect(table).to_be_visible()
    assert table.locator("tbody").count() == len(SLOTS)
    assert table.locator("th[scope=row]").count() == table.locator("thead th[scope=col]").count() - 1 == 7
    assert table.get_by_text("never together").count() == 2
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page) == []
    kept = Path(os.environ.get("CONSOLE_PICTURES", str(Path(where).parent)))
    assert len(page.screenshot(path=kept / f"matrix-{scheme}.png", full_page=True)) > 5000
    assert said == []
    window.close()


def test_what_it_says_is_what_is_believed_in_the_context_that_is_looked_at(scene) -> None:
    address, where, browser = scene
    store = open_store(where)
    policy = policy_of(store.checkpoint("offers").state)  # type: ignore[union-attr]
    store.close()
    window = browser.new_context(base_url=address)
    page, n_sure = window.new_page(), 0
    for device in ("", "phone", "desktop"):
        page.goto("/console/learned")
        looked = page.get_by_role("combobox", name="device", exact=True)
        looked.select_option(device)
        page.get_by_role("button", name="Look").click()
        expect(looked).to_have_value(device)
        cells = page.locator("table.matrix td[title]").evaluate_all("all => all.map(one => [one.title, one.className])")
        for effect in effects_in(policy, {"device": device} if device else {}):
            if set(effect.options) == {"claim", HOSTILE}:
                continue
            ends = [f"{end:+.4f}".replace("-", "−") for end in (effect.mean, effect.low, effect.high)]
            told = f"{effect.name}: {ends[0]}, 95% from {ends[1]} to {ends[2]}"
            found = [shade for title, shade in cells if title == told]
            assert len(found) == (1 if effect.kind == "option" else 2), told  # a pair stands on both sides
            sure = effect.low > 0 or effect.high < 0
            shade = ("sure more-" if effect.mean > 0 else "sure less-") if sure else "n"
            assert all(one.startswith(f"n {shade}") if sure else one == shade for one in found)
        n_sure += page.locator("td.sure").count()
    assert n_sure  # or nothing of shades was seen
    window.close()


def test_a_policy_of_something_else_has_no_matrix() -> None:
    from tests.serve.world import fresh

    assert matrix_of(fresh(), {}) is None
    plain = LAYOUTS["layout"] | {"by_context": False}
    told = matrix_of(layouts(layout=plain), {"in.device": "phone"})
    assert told is not None
    assert (told.n_layouts, told.fields) == (10, [])

"""The page "what if" as people use it, in a real Chromium: a lever is moved by keyboard, and the shares follow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from revealed import read
from revealed.models import Fit
from revealed.serve.console.what_if import FitFile
from revealed.serve.service import ServiceOptions
from tests.console.asked import saved
from tests.serve.world import listening, made

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
from playwright.sync_api import Browser, Page, expect

from tests.console.browser import CHROMIUM_TESTS, SCREENS, barriers, chromium, watched

pytestmark = CHROMIUM_TESTS


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Browser, FitFile, Fit, Path]]:
    folder = tmp_path_factory.mktemp("what-if")
    file, fit = saved(folder)
    second, _ = saved(folder, "other", cases=60)
    kept = Path(os.environ.get("CONSOLE_PICTURES", str(folder)))
    kept.mkdir(exist_ok=True)
    options = ServiceOptions(open=True, refresh=0.05, fits=(file, second))
    with chromium() as browser, listening(made(folder), options) as address:
        yield address, browser, file, fit, kept


@pytest.fixture
def page(scene) -> Iterator[Page]:
    address, browser, *_ = scene
    window = browser.new_context(base_url=address, viewport={"width": 1200, "height": 800})
    opened = window.new_page()
    said = watched(opened)
    yield opened
    window.close()
    assert [text for text in said if "422" not in text] == []


def share(page: Page, alternative: str, column: str = "Then") -> float:
    """Return a share that the page shows, in percent."""
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=alternative, exact=True))
    return float(row.locator(f'td[data-name="{column}"]').inner_text().rstrip("%"))


@pytest.mark.parametrize("screen", SCREENS)
def test_it_is_whole_readable_and_open_to_all(scene, screen) -> None:
    address, browser, _, _, kept = scene
    scheme, width = SCREENS[screen]
    window = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 800},
        color_scheme="light" if scheme == "light" else "dark",
    )
    page = window.new_page()
    said = watched(page)
    page.goto("/console/what-if?cost+of+train=30")
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    assert barriers(page) == []
    picture = page.screenshot(path=kept / f"what-if-{screen}.png", full_page="CONSOLE_PICTURES" in os.environ)
    assert len(picture) > 5000
    assert said == []
    window.close()


def test_shares_follow_a_lever_that_is_moved_by_keyboard(scene, page) -> None:
    _, _, file, fit, _ = scene
    page.goto("/console/what-if")
    before = share(page, "train")
    lever = page.get_by_role("group", name="train").get_by_role("slider", name="cost")
    lever.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("PageUp")
    moved = int(lever.input_value())
    assert moved > 3
    expect(page.get_by_role("status")).to_contain_text("train")
    page.wait_for_url(re.compile(rf"cost\+of\+train={moved}$"))
    log = read(file.choices)
    found = fit.whatif(log, f"cost[alternative == 'train'] *= {1 + moved / 100}").share("train")
    assert share(page, "train") == pytest.approx(100 * found.after.value, abs=0.051)
    assert share(page, "train") < before == share(page, "train", "As it is")
    expect(lever).to_be_focused()
    expect(lever).to_have_attribute("aria-valuetext", re.compile(rf"^\+{moved}%: mean [\d.]+ → [\d.]+$"))
    page.reload()  # the address tells it all
    assert share(page, "train") == pytest.approx(100 * found.after.value, abs=0.051)
    page.get_by_role("link", name="All as it is").click()
    expect(page.get_by_role("status")).to_have_text("Shares are as they are")
    page.get_by_role("link", name="other").click()
    expect(page.get_by_text("of 60 choices")).to_be_visible()


def test_the_last_of_many_moves_is_answered(page) -> None:
    page.goto("/console/what-if")
    lever = page.get_by_role("group", name="bus").get_by_role("slider", name="cost")
    for value in range(0, 51, 5):
        lever.fill(str(value))
    page.wait_for_url(re.compile(r"cost\+of\+bus=50$"))
    expect(lever).to_have_attribute("aria-valuetext", re.compile(r"^\+50%"))
    page.get_by_role("group", name="bus").get_by_label("wifi").select_option("1")
    page.wait_for_url(re.compile(r"wifi\+of\+bus=1"))
    expect(page.get_by_text("wifi[alternative == 'bus'] = 1")).to_be_visible()
    page.get_by_label("Money").select_option("mood")
    expect(page.get_by_role("alert")).to_contain_text("does not lower utility")
    page.get_by_label("Money").select_option("cost")
    expect(page.get_by_role("heading", name="Consumer surplus")).to_be_visible()


def test_without_a_script_the_button_asks(scene) -> None:
    address, browser, *_ = scene
    window = browser.new_context(base_url=address, java_script_enabled=False)
    page = window.new_page()
    page.goto("/console/what-if")
    before = share(page, "bus")
    page.get_by_role("group", name="bus").get_by_role("slider", name="cost").press("PageUp")
    page.get_by_role("button", name="Tell what if").click()
    assert share(page, "bus") < before
    window.close()

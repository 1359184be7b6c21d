"""The console as people see and use it, in a real Chromium: light, dark, on a phone, by keyboard, under attack.

``CONSOLE_PICTURES=folder`` keeps the pictures that are taken of each page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from revealed.serve.service import ServiceOptions
from tests.console.world import HOSTILE, keys_of, visited
from tests.serve.world import listening, made, request

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from tests.console.browser import CHROMIUM_TESTS, SCREENS, barriers, chromium, watched

pytestmark = CHROMIUM_TESTS


@dataclass(frozen=True)
class Scene:
    """A service with something in it, and a browser that has signed in for admin."""

    address: str
    keys: dict[str, str]
    names: list[str]
    browser: Browser
    kept: Path
    signed_in: list[StorageState]

    def window(self, screen: str = "light") -> BrowserContext:
        """Return a window that has signed in."""
        scheme, width = SCREENS[screen]
        window = self.browser.new_context(
            color_scheme="light" if scheme == "light" else "dark",
            viewport={"width": width, "height": 800},
            base_url=self.address,
            storage_state=self.signed_in[0] if self.signed_in else None,
        )
        if self.signed_in:
            return window
        page = window.new_page()
        page.goto("/console/")
        page.get_by_label("API key").fill(self.keys["admin"])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()
        page.close()
        self.signed_in.append(window.storage_state())
        return window

    def ask(self, path: str, **content: object) -> httpx.Response:
        """Send something to the service as a client."""
        headers = {"authorization": f"Bearer {self.keys['admin']}"}
        return httpx.post(self.address + path, json=content, headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("console")
    where = made(folder)
    keys = keys_of(where)
    kept = Path(os.environ.get("CONSOLE_PICTURES", str(folder)))
    kept.mkdir(exist_ok=True)
    with chromium() as browser, listening(where, ServiceOptions(refresh=0.05)) as address:
        names = visited(address, where, {"authorization": f"Bearer {keys['admin']}"})
        yield Scene(address, keys, names, browser, kept, [])


@pytest.fixture
def page(scene: Scene) -> Iterator[Page]:
    window = scene.window()
    opened = window.new_page()
    said = watched(opened)
    yield opened
    window.close()
    assert [text for text in said if "422" not in text] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_each_page_is_whole_readable_and_open_to_all(scene, screen) -> None:
    window = scene.window(screen)
    page = window.new_page()
    said = watched(page)
    width, whole = SCREENS[screen][1], "CONSOLE_PICTURES" in os.environ
    paths = {
        "now": "", "learned": "learned?group=offer", "why": f"why?decision={scene.names[-9]}",
        "better": "better", "log": "log?before=12", "strays": "log/strays", "acts": "log/acts",
        "people": "people", "policies": "policies",
    }  # fmt: skip
    for name, path in paths.items():
        answer = page.goto(f"/console/{path}")
        assert answer is not None
        assert answer.status == 200
        for closed in page.locator("summary").all():
            closed.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        if screen == "light" or (
            screen == "phone" and name in ("now", "why", "log", "policies")
        ):  # dark is on the phone, too
            assert barriers(page) == [], name
        picture = page.screenshot(path=scene.kept / f"{name}-{screen}.png", full_page=whole)
        assert len(picture) > 5000
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if screen == "light" else "rgb(20, 24, 29)")
    assert said == []
    window.clear_cookies()
    page.goto("/console/login")
    assert barriers(page) == []
    page.screenshot(path=scene.kept / f"login-{screen}.png")
    window.close()


def test_what_clients_send_is_text_and_nothing_else(scene, page) -> None:
    def harmless() -> None:
        assert page.title().endswith("– Revealed")
        assert page.locator("script").count() == 1
        assert page.locator("img, iframe, object, svg[onload], [onmouseover], [onerror]").count() == 0

    page.goto("/console/log")
    for text in HOSTILE:
        expect(page.get_by_role("cell", name=text, exact=True).first).to_be_visible()
    harmless()
    for number, text in enumerate(HOSTILE):
        page.goto("/console/why")
        page.get_by_label("Name of the decision").fill(f"{text} {number}")  # by the client's own id
        page.get_by_role("button", name="Look it up").click()
        expect(page.get_by_role("heading", name="What was decided")).to_be_visible()
        expect(page.get_by_label("Name of the decision")).to_have_value(f"{text} {number}")
        for row, told in (("Person", text), ("The client's id", f"{text} {number}"), ("device", text)):
            assert page.locator(".facts div", has=page.get_by_text(row, exact=True)).locator("dd").inner_text() == told
        expect(page.get_by_role("rowheader", name=text, exact=True).first).to_be_visible()
        harmless()
        page.goto("/console/people")
        page.get_by_label("Person, as told").fill(text)
        page.get_by_role("button", name="Look up").click()
        expect(page.get_by_text("1 decision:")).to_be_visible()
        harmless()
    page.goto("/console/learned")
    for text in HOSTILE:
        expect(page.get_by_role("rowheader", name=f"device={text}", exact=True)).to_be_visible()
    harmless()
    page.get_by_role("searchbox", name="Feature").fill(HOSTILE[1])
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("searchbox", name="Feature")).to_have_value(HOSTILE[1])
    expect(page.get_by_role("rowheader", name=f"device={HOSTILE[1]}", exact=True)).to_be_visible()
    harmless()
    for query in ("learned?policy=", "log?policy=", "learned?group=", "login?next="):
        page.goto(f"/console/{query}" + httpx.QueryParams({"x": HOSTILE[0]})["x"])
        assert page.locator("script").count() == 1


def test_no_inline_script_runs_whoever_puts_it_there(scene) -> None:
    refused: list[str] = []
    window = scene.window()
    page = window.new_page()
    page.on("console", lambda message: refused.append(message.text))
    page.goto("/console/policies")
    page.evaluate(
        """() => {
        const script = document.createElement('script');
        script.textContent = 'window.taken = 1';
        document.body.append(script);
        const box = document.createElement('div');
        box.innerHTML = '<img src="x:y" onerror="window.taken = 2">'
            + '<a id="go" href="javascript:window.taken = 3">go</a>';
        document.body.append(box);
        document.getElementById('go').click();
    }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.taken") is None
    assert any("Content Security Policy" in text for text in refused)
    said = page.evaluate("fetch('https://example.com/').then(() => 'sent', () => 'refused')")
    assert said == "refused"
    window.close()


def test_it_is_used_by_keyboard(page) -> None:
    page.goto("/console/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0, "what has the focus is seen"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto("/console/learned")
    reached: list[str] = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if reached[-1] == "search":
            break
    assert {"Revealed", "Now", "Why this decision", "Log", "People", "Policies", "Sign out"} <= set(reached)
    page.keyboard.type("news")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=news**")
    assert page.locator("table.effects tbody th").count() > 0
    assert all("news" in text for text in page.locator("table.effects tbody th").all_inner_texts())


def test_now_looks_again_by_itself_until_it_is_paused(scene, page) -> None:
    page.clock.install()
    page.goto("/console/?window=3600")
    before = page.get_by_text("decisions in the last hour").inner_text()
    count = int(before.split()[0].replace(",", ""))
    page.get_by_text("The numbers of the charts").click()
    page.locator("h1").click()
    scene.ask("/v1/decide", **request())
    page.clock.run_for(5500)
    expect(page.get_by_text(f"{count + 1} decisions in the last hour")).to_be_visible()
    expect(page.locator("details")).to_have_attribute("open", "")
    page.get_by_role("button", name="Pause").click()
    scene.ask("/v1/decide", **request())
    page.clock.run_for(20_000)
    expect(page.get_by_text(f"{count + 1} decisions in the last hour")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text(f"{count + 2} decisions in the last hour")).to_be_visible()


def test_a_decision_is_looked_up_from_the_log(scene, page) -> None:
    page.goto("/console/log")
    page.get_by_role("link", name="Older").click()
    link = page.get_by_role("link", name=re.compile("^[A-Za-z0-9_-]{22}$")).first
    name = link.inner_text()
    link.click()
    expect(page.get_by_label("Name of the decision")).to_have_value(name)
    told = scene.ask("/v1/decide", **request(person="somebody new")).json()
    page.get_by_label("Name of the decision").fill(told["decision"])
    page.get_by_role("button", name="Look it up").click()
    expect(page.get_by_text("the same is shown, with the same probability")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=told["shown"][0], exact=True)).last
    expect(page.locator("tr.chosen th")).to_have_text(told["shown"][0])
    assert float(page.locator("tr.chosen td").first.inner_text()) == pytest.approx(told["propensity"], rel=1e-3)
    expect(row).to_be_visible()


def test_a_person_is_forgotten_and_a_policy_stopped(scene, page) -> None:
    scene.ask("/v1/decide/batch", requests=[request(person="zoë 'quoted'") for _ in range(3)])
    page.goto("/console/people")
    page.get_by_label("Person, as told").fill("zoë 'quoted'")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("3 decisions:")).to_be_visible()
    assert "zo" not in page.url
    page.get_by_label("Write the person once more").fill("zoe")
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("alert")).to_contain_text("Not forgotten")
    page.get_by_label("Write the person once more").fill("zoë 'quoted'")
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("status")).to_contain_text("Forgotten: 3 decisions")
    page.goto("/console/policies")
    page.get_by_role("button", name="Stop it").click()
    expect(page.locator(".state")).to_have_text("stopped")
    assert scene.ask("/v1/decide", **request()).json()["fallback"] == "stopped"
    page.get_by_role("button", name="Let it decide again").click()
    expect(page.locator(".state")).to_have_text("live")
    page.goto("/console/log/acts")
    told = page.get_by_role("row").all_inner_texts()
    assert [any(act in row for row in told) for act in ("forget", "stopped", "live")] == [True] * 3
    assert not any("zo" in row for row in told)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/console/people")
    assert "/console/login?next=" in page.url

"""A Chromium without a screen for tests, and what it must not say of a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from revealed.cli.demo_service import CHROMIUM

#: Of each test that opens Chromium.
CHROMIUM_TESTS = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the driver's pipes
    pytest.mark.xdist_group("chromium"),
]
#: The scheme of colours and the width of screens to look at pages on.
SCREENS = {"light": ("light", 1200), "dark": ("dark", 1200), "phone": ("dark", 375)}
#: What axe is to look for: WCAG 2.2 A and AA, and what it calls good practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield the system's Chromium; skip where there is none and none can be installed."""
    path = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if path is None:
        pytest.skip("no Chromium: `.ci/chromium` installs Debian's; elsewhere put `chromium` on the PATH")
    # As root, as in containers, Chromium refuses its sandbox; it only sees pages of ours.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()


def watched(page: Page) -> list[str]:
    """Return a list to which comes what the page complains of: errors, refused scripts, dialogs."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    def closed(dialog: Any) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", closed)
    return said


def barriers(page: Page) -> list[str]:
    """Return what axe finds on a page that keeps people out."""
    page.evaluate(_AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", _RULES
    )
    return [f"{one['id']}: {one['help']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"]]

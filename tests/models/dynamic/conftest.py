"""A small panel of persons of two types, for tests of what is drawn and searched with it again and again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from revealed.models.dynamic import DecisionProcess, Panel, counted
from tests.models.dynamic.test_types import mixed, wearing


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Return some dozens of persons who wear something down and mend it."""
    return mixed(60, 8, 4)


@pytest.fixture(scope="module")
def process(panel: Panel) -> DecisionProcess:
    """Return what they live in, as far as the panel tells."""
    return replace(wearing(), transitions=counted(panel).matrices)

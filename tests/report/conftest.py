"""Fits that several tests of reports share."""

from __future__ import annotations

import pytest

from revealed.choices import ChoiceLog
from revealed.models import Fit, Logit
from tests.worlds import trips


@pytest.fixture(scope="session")
def log() -> ChoiceLog:
    return trips(800, seed=5)


@pytest.fixture(scope="session")
def fit(log: ChoiceLog) -> Fit:
    return Logit("C(mode) + cost + time").fit(log)

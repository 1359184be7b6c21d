"""Fits that several tests of answers share."""

from __future__ import annotations

import pytest

from revealed.choices import ChoiceLog
from revealed.models import Fit, Logit
from tests.worlds import trips


@pytest.fixture(scope="session")
def log() -> ChoiceLog:
    return trips(1200, seed=3)


@pytest.fixture(scope="session")
def fit(log: ChoiceLog) -> Fit:
    return Logit("C(mode) + cost + time").fit(log)


@pytest.fixture(scope="session")
def ragged_log() -> ChoiceLog:
    """Return trips where not everybody has every mode, weighted."""
    return trips(1200, seed=4, available="open", weight="weight")


@pytest.fixture(scope="session")
def ragged_fit(ragged_log: ChoiceLog) -> Fit:
    return Logit("C(mode) + cost + time").fit(ragged_log)

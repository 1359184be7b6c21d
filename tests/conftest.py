"""What every test stands on: shapes checked while tests run, repeatable examples, a real PostgreSQL server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from tests.house.shape_checks import begin_test, sparing

assert "revealed" not in sys.modules, "the package was imported before its shapes could be checked"
jaxtyping.jaxtyped = sparing(jaxtyping.jaxtyped)
install_import_hook("revealed", "tests.house.shape_checks.check")

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(autouse=True)
def shapes() -> None:
    """Check each function's first calls in each test."""
    begin_test()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of a real PostgreSQL server of this worker's own, started on first use and stopped at the end."""
    from tests.house.postgres import running_server

    with running_server() as url:
        yield url

"""What every test stands on: shapes checked while tests run, repeatable examples, a real PostgreSQL server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import config, install_import_hook

assert "revealed" not in sys.modules, "the package was imported before its shapes could be checked"
install_import_hook("revealed", "shape_checks.check")

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of a real PostgreSQL server of this worker's own, started on first use and stopped at the end."""
    from tests.house.postgres import running_server

    with running_server() as url:
        yield url


@pytest.fixture
def quick() -> Iterator[None]:
    """Leave out the checks of shapes, which take ten times what they check does where much is simulated."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)

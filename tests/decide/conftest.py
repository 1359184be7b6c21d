"""What tests that simulate share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jaxtyping import config


@pytest.fixture
def quick() -> Iterator[None]:
    """Leave out the checks of shapes, which take ten times what they check does where answers are learned singly."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)

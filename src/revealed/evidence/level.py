"""Confidence levels: whether one is, and how far a normal interval of it reaches. Imports errors."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from revealed.errors import SpecificationError


def quantile(level: float) -> float:
    """Return how many standard errors a two-sided normal interval reaches."""
    return float(ndtri(0.5 * (1 + level)))


def require_level(level: float) -> None:
    """Raise SpecificationError unless a confidence level lies between 0 and 1."""
    if not isinstance(level, int | float | np.floating) or not 0 < level < 1:
        raise SpecificationError(f"a level must lie between 0 and 1, such as 0.95, not {level!r}")

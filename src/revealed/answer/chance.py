"""What estimates of choices over time might have been: draws of parameters and of shares of types. Imports models."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import RecoveredFit

#: A share of a type is drawn no smaller.
_LEAST = 1e-9


def draws_of(
    fit: DynamicFit | RecoveredFit, draws: int, seed: int, errors: str | None = None
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return draws of parameters, and of the shares of types where there are any, from the covariance of both.

    None where some parameter is not identified. Shares are drawn from the normal distribution and kept above zero.
    """
    kind = errors or (fit.errors if isinstance(fit, DynamicFit) else "")
    spread, mean, k = fit.covariance(kind), fit.params, len(fit.params)
    types = fit.types if isinstance(fit, DynamicFit) else None
    if types is not None and kind in types.covariances:
        spread, mean = types.covariances[kind], np.append(mean, types.shares[:-1])
    if not draws or not len(mean) or not np.isfinite(spread).all():
        return []
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = mean + np.random.default_rng(seed).standard_normal((draws, len(mean))) @ root.T
    if len(mean) == k:
        return [(one, None) for one in drawn]
    shares = np.maximum(np.column_stack([drawn[:, k:], 1 - drawn[:, k:].sum(axis=1)]), _LEAST)
    return list(zip(drawn[:, :k], shares / shares.sum(axis=1, keepdims=True), strict=True))


def respread(
    fit: DynamicFit | RecoveredFit,
    cohorts: Float[np.ndarray, "G S"],
    weight: Float[np.ndarray, " G"],
    shares: Float[np.ndarray, " types"],
) -> tuple[Float[np.ndarray, "G S"], Float[np.ndarray, " G"]]:
    """Return cohorts, and how many members each has, if types had other shares.

    The probability that someone is of a type, given what they chose, is in proportion to the type's share; and the type
    is the last column of the state.
    """
    assert isinstance(fit, DynamicFit)
    assert fit.types is not None
    factor = shares / np.maximum(fit.types.shares, _LEAST)
    found = cohorts * np.tile(factor, cohorts.shape[1] // len(shares))
    size = found.sum(axis=1)
    return found / size[:, None], weight * size

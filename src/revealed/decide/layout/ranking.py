"""Layouts by what is expected of them. Imports models and evidence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.decide.layout.design import Design
from revealed.decide.layout.search import Method, Search
from revealed.decide.layout.space import Layouts
from revealed.errors import SpecificationError
from revealed.evidence.level import quantile, require_level
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import Link

#: Draws from the posterior to tell how likely a layout is the best, and layouts looked at together.
DRAWS, _BLOCK = 1000, 4096


@dataclass(frozen=True)
class RankedLayout:
    """A layout and what is expected of it.

    Parameters
    ----------
    layout : dict from str to str
    rate, low, high : float
        The expected answer with its interval.
    best : float
        The share of posterior draws in which it is the best.
    """

    layout: dict[str, str]
    rate: float
    low: float
    high: float
    best: float


@dataclass(frozen=True)
class Ranking:
    """Layouts by falling expected answer.

    Parameters
    ----------
    layouts : tuple of RankedLayout
    method : {"exhaustive", "hill climbing"}
        Exhaustive: all allowed layouts were ranked. Hill climbing: those that were the best found in some draw, so that
        a layout may be missing.
    n_layouts : int
        How many were ranked.
    median : float
        The median expected answer of those, which the paper compares its best layout with.
    level : float
        The probability of the intervals.
    """

    layouts: tuple[RankedLayout, ...]
    method: Method
    n_layouts: int
    median: float
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {**vars(self), "layouts": [vars(item) for item in self.layouts]}


def rank(
    design: Design,
    posterior: FullPosterior,
    link: Link,
    search: Search,
    *,
    features: Float[np.ndarray, " L"] | None = None,
    top: int = 10,
    level: float = 0.95,
    seed: int = 0,
) -> Ranking:
    """Return the layouts of the highest expected answers.

    Parameters
    ----------
    design, posterior, link, search : Design, FullPosterior, Link, Search
    features : ndarray of float64, shape (L,), optional
        Of the context.
    top : int
        How many to return.
    level : float
        The probability of the intervals.
    seed : int
        Of the draws that tell how likely each layout is the best.
    """
    require_level(level)
    if top < 1:
        raise SpecificationError(f"a ranking shows one layout or more, not {top}")
    rng = np.random.Generator(np.random.Philox(seed))
    draws = [posterior.mean, *posterior.draw(rng.standard_normal((DRAWS, design.n_params)))]
    winners = [search.best(*design.tables(params, features)[1:], rng).layout for params in draws]
    wins = Counter(winners[1:])
    layouts = (
        design.space.layouts() if search.method == "exhaustive" else np.array(sorted(set(winners)), dtype=np.int64)
    )
    mean, variance = _predictors(design, posterior, layouts, features)
    rate = link.expected(mean, variance)
    order = np.argsort(-rate, kind="stable")[:top]
    reach = quantile(level) * np.sqrt(variance)
    low, high = link.mean(mean - reach), link.mean(mean + reach)
    ranked = tuple(
        RankedLayout(
            design.space.decode(layouts[i]),
            float(rate[i]),
            float(low[i]),
            float(high[i]),
            wins[tuple(layouts[i].tolist())] / DRAWS,
        )
        for i in order
    )
    return Ranking(ranked, search.method, len(layouts), float(np.median(rate)), level)


def _predictors(
    design: Design, posterior: FullPosterior, layouts: Layouts, features: Float[np.ndarray, " L"] | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    means, variances = [], []
    for start in range(0, len(layouts), _BLOCK):
        some = layouts[start : start + _BLOCK]
        known = None if features is None else np.broadcast_to(features, (len(some), len(features)))
        mean, variance = posterior.predictor(design.rows(some, known))
        means.append(mean)
        variances.append(variance)
    return np.concatenate(means), np.concatenate(variances)

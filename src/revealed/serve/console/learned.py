"""What a policy has learned, feature by feature, to be searched. Imports decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from revealed.decide.policy import LearningPolicy

#: Effects on a page, and features that are looked through for a search.
PAGE, SEARCHED = 50, 20_000
_SURE = 1.959963984540054


@dataclass(frozen=True)
class Effect:
    """The effect of a feature, with its 95% interval.

    Parameters
    ----------
    feature, group : str
    mean, low, high : float
        On the scale of the link.
    sure : bool
        Whether the interval leaves the prior's mean out.
    """

    feature: str
    group: str
    mean: float
    low: float
    high: float
    sure: bool


@dataclass(frozen=True)
class Effects:
    """A page of effects.

    Parameters
    ----------
    effects : sequence of Effect
    found : int
        How many there are in all.
    reach : float
        The end of an interval furthest from 0 on this page.
    all_searched : bool
        Whether all features were looked through.
    """

    effects: Sequence[Effect]
    found: int
    reach: float
    all_searched: bool


def effects_of(policy: LearningPolicy, search: str, group: str, page: int) -> Effects:
    """Return a page of effects, those first that are surest to differ from their prior.

    Parameters
    ----------
    policy : LearningPolicy
    search : str
        Letters that the feature's name has, in whatever case; empty for all.
    group : str
        The group of features; empty for all.
    page : int
        From 1.
    """
    posterior, space = policy.model.posterior, policy.space
    mean, deviation = posterior.mean, np.sqrt(posterior.variance)
    prior = policy.model.prior.mean
    away = np.abs(mean - prior) / deviation
    order = np.argsort(-away, kind="stable")
    names = list(space.group_names)
    if group:
        order = order[space.groups[order] == (names.index(group) if group in names else -1)]
    everything = True
    if search:
        everything = len(order) <= SEARCHED
        order = order[:SEARCHED]
        wanted = search.casefold()
        order = np.array([k for k in order.tolist() if wanted in space.name(k).casefold()], dtype=np.int64)
    effects = [
        Effect(
            space.name(k),
            names[space.groups[k]],
            float(mean[k]),
            float(mean[k] - _SURE * deviation[k]),
            float(mean[k] + _SURE * deviation[k]),
            bool(away[k] > _SURE),
        )
        for k in order[PAGE * (page - 1) : PAGE * page].tolist()
    ]
    reach = max((max(-effect.low, effect.high) for effect in effects), default=1.0)
    return Effects(effects, len(order), reach or 1.0, everything)

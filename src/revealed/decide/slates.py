"""What a policy learns of slates from a log: how positions are looked at, what goals cost. Imports its own room.

The price of a level to keep ("a margin of at least 2.5 on average") is its multiplier in the Lagrangian
(:mod:`revealed.decide.slate.goals`). It needs no answers: what things are is known, and what would be shown can be
worked out: slates are decided anew for contexts of the log, all actions met being candidates, each slate by a draw or,
where the rule of exploration has none, by means. Their average rises with the price, in steps where there is little to
choose from; the least price at which the level is kept is found by halving. Of several levels each is kept given the
prices of the others, in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from revealed.choices.feedback import Feedback
from revealed.decide.explore import Thompson, TopTwo
from revealed.decide.judged import contexts_of, from_the_top
from revealed.decide.showing import Showing
from revealed.decide.slate.goals import AtLeast
from revealed.decide.slate.learned import LearnedSlates, Price
from revealed.decide.slate.positions import PositionEffects, fit_positions
from revealed.errors import DataError

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy

#: Decisions of the log that are looked at for contexts, and different ones for which slates are decided.
_DECISIONS, _CONTEXTS = 1000, 64
#: How often the range of a price is halved, and how often the prices of several levels are gone through.
_HALVINGS, _ROUNDS = 10, 12
#: Numbers of features that are held of them: 128 MiB.
_HELD = 1 << 24


def learned_slates(policy: LearningPolicy, outcomes: Feedback) -> LearnedSlates:
    """Return what is known of slates after a log, from which the policy has learned all else.

    Raises
    ------
    DataError
        If positions are to be estimated, were not yet, and cannot be from this log.
    """
    slates = policy.specification.slate
    if slates is None:
        return policy.slates
    known = LearnedSlates(policy.slates.effects)
    if slates.positions == "estimated":
        known = replace(known, effects=_effects(outcomes, policy.slates.effects))
    if slates.constraints:
        known = replace(known, prices=_prices(replace(policy, slates=known), slates.constraints, outcomes))
    return known


def _effects(outcomes: Feedback, known: PositionEffects | None) -> PositionEffects:
    answered = outcomes.take(outcomes.answered)
    clicked = answered.reward > 0
    try:
        return fit_positions(answered.position, clicked, item=answered.action_codes)
    except DataError:
        if known is None:
            raise
        return known  # a small log may have no click in the last place


def _prices(policy: LearningPolicy, levels: tuple[AtLeast, ...], outcomes: Feedback) -> tuple[Price, ...]:
    drawn = _drawn(policy, outcomes)
    values, rounds = [0.0] * len(levels), 0
    averages = _averages(drawn, levels, values)
    while rounds < _ROUNDS and any(averages < [level.level for level in levels]):
        rounds += 1
        before = values.copy()
        for j, level in enumerate(levels):

            def kept(value: float, j: int = j, level: AtLeast = level) -> bool:
                return bool(_averages(drawn, levels, [*values[:j], value, *values[j + 1 :]])[j] >= level.level)

            values[j] = _least(kept, level.worth)
        averages = _averages(drawn, levels, values)
        if values == before:
            break  # as near as it gets
    return tuple(Price(*each) for each in zip(levels, values, averages.tolist(), strict=True))


def _least(kept: Callable[[float], bool], most: float) -> float:
    """Return the least number at which something is kept, or the most if it is nowhere."""
    if kept(0.0):
        return 0.0
    low, high = 0.0, most
    if kept(most):
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if kept(middle) else (middle, high)
    return high


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What could be shown in a context that came so often, and the scores of all actions under some draws."""

    showing: Showing
    times: int
    scores: Float[np.ndarray, "draws actions"]


def _drawn(policy: LearningPolicy, outcomes: Feedback) -> list[_Drawn]:
    """Return contexts of a log, which share the draws of a pool."""
    order, starts = from_the_top(outcomes)  # a decision's context is that of its first place
    some = np.unique(np.linspace(0, len(starts) - 1, _DECISIONS).astype(np.int64))
    contexts = contexts_of(policy, outcomes, order[starts[some]])
    times = Counter(tuple(context.values()) for context in contexts)
    n_cells = max(len(policy.catalogue.actions) * policy.model.n_params, 1)
    kept = list(times.items())[: int(np.clip(_HELD // n_cells, 1, _CONTEXTS))]
    rule, found = policy.explorer.rule, []
    for number, (values, count) in enumerate(kept):
        showing = Showing.of(policy, dict(zip(contexts[0], values, strict=True)))
        base = showing.base
        predictors = base.means()
        if isinstance(rule, Thompson | TopTwo):
            predictors = base.source.pool(base.belief, rule.width, 0)[number :: len(kept)] @ base.features[0].T
        found.append(_Drawn(showing, count, showing.worth.scores(predictors)))
    return found


def _averages(
    drawn: Sequence[_Drawn], levels: Sequence[AtLeast], values: Sequence[float]
) -> Float[np.ndarray, " levels"]:
    """Return the average of each measure over what is shown at some prices, weighted by examination."""
    prices = [Price(level, value) for level, value in zip(levels, values, strict=True)]
    sums, times = np.zeros(len(levels)), 0
    for one in drawn:
        worth = one.showing.priced(prices).worth
        shown = worth.filled(one.scores, one.showing.unblocked, one.showing.first)
        share = worth.positions / worth.positions.sum()
        sums += [one.times * (one.showing.measures[level.name][shown] @ share).mean() for level in levels]
        times += one.times
    return np.asarray(sums / times)

"""What a policy learns of slates from a log: how positions are looked at, what goals cost. Imports its own room.

The price of a level to keep ("a margin of at least 2.5 on average") is its multiplier in the Lagrangian
(:mod:`revealed.decide.slate.goals`). It needs no answers: what things are is known, and what would be shown can be
worked out: slates are decided anew for contexts of the log, all actions met being candidates, as the policy decides
them. Rules that show the best of some scores fill many slates at once, each by a draw or, where they draw nothing, by
means; for other rules, and under a floor or a cap, slates are decided place by place, and the probabilities of all that
might stand there averaged. The average rises with the price, in steps where there is little to choose from; the least
price at which the level is kept is found by halving. Of several levels each is kept given the prices of the others, in
turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from revealed.choices.feedback import Feedback
from revealed.decide.explore import Thompson
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
#: Slates that are decided place by place, at least.
_WALKED = 32
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

    @cache
    def averages(values: tuple[float, ...]) -> Float[np.ndarray, " levels"]:
        return _averages(drawn, levels, values)

    found, rounds = (0.0,) * len(levels), 0
    while rounds < _ROUNDS and any(averages(found) < [level.level for level in levels]):
        rounds += 1
        before = found
        for j, level in enumerate(levels):

            def kept(value: float, j: int = j, level: AtLeast = level, others: tuple[float, ...] = found) -> bool:
                return bool(averages((*others[:j], value, *others[j + 1 :]))[j] >= level.level)

            found = (*found[:j], _least(kept, level.worth), *found[j + 1 :])
        if found == before:
            break  # as near as it gets
    return tuple(Price(*each) for each in zip(levels, found, averages(found).tolist(), strict=True))


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
    """What could be shown in a context that came so often.

    Parameters
    ----------
    showing : Showing
    times : int
    scores : array, shape (draws, actions), or None
        Of all actions under some draws; None where the rule does not show the best of scores.
    numbers : range
        Of the decisions that are looked at, where there are no scores.
    """

    showing: Showing
    times: int
    scores: Float[np.ndarray, "draws actions"] | None
    numbers: range

    def averages(self, prices: Sequence[Price]) -> Float[np.ndarray, " levels"]:
        """Return the average of each measure over what is shown at some prices, weighted by examination."""
        showing = self.showing.priced(prices)
        share = showing.worth.positions / showing.worth.positions.sum()
        measures = np.array([showing.measures[price.goal.name] for price in prices])
        if self.scores is not None:
            shown = showing.worth.filled(self.scores, showing.unblocked, showing.first)
            return np.asarray((measures[:, shown] @ share).mean(axis=1))
        return np.asarray(np.mean([measures @ (share @ showing.walked(number)) for number in self.numbers], axis=0))


def _drawn(policy: LearningPolicy, outcomes: Feedback) -> list[_Drawn]:
    """Return contexts of a log, which share the draws of a pool."""
    order, starts = from_the_top(outcomes)  # a decision's context is that of its first place
    some = np.unique(np.linspace(0, len(starts) - 1, _DECISIONS).astype(np.int64))
    contexts = contexts_of(policy, outcomes, order[starts[some]])
    times = Counter(tuple(context.values()) for context in contexts)
    n_cells = max(len(policy.catalogue.actions) * policy.model.n_params, 1)
    kept = list(times.items())[: int(np.clip(_HELD // n_cells, 1, _CONTEXTS))]
    explorer, each, found = policy.explorer, -(-_WALKED // len(kept)), []
    for number, (values, count) in enumerate(kept):
        showing = Showing.of(policy, dict(zip(contexts[0], values, strict=True)))
        base, scores = showing.base, None
        if explorer.by_scores:
            predictors = base.means()
            if isinstance(explorer.rule, Thompson):
                pool = base.source.pool(base.belief, explorer.rule.width, 0)
                predictors = pool[number :: len(kept)] @ base.features[0].T
            scores = showing.worth.scores(predictors)
        found.append(_Drawn(showing, count, scores, range(each * number, each * (number + 1))))
    return found


def _averages(
    drawn: Sequence[_Drawn], levels: Sequence[AtLeast], values: Sequence[float]
) -> Float[np.ndarray, " levels"]:
    """Return the average of each measure over what is shown at some prices, weighted by examination."""
    prices = [Price(level, value) for level, value in zip(levels, values, strict=True)]
    return np.average([one.averages(prices) for one in drawn], axis=0, weights=[one.times for one in drawn])

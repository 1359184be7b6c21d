"""Whether another world stays within what the data have seen, where one comes to in it. Imports models to choices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.answer.scenario import Scenario
from revealed.answer.support import changed_rows, columns_of, outside_of, ranges_of, unknown_labels
from revealed.models.dynamic.free import FreeReward
from revealed.models.dynamic.reward import LinearReward

#: Below this share of the periods nothing is said of what happens in them.
_RARE = 0.005


def support_of_states(
    linear: LinearReward | FreeReward, scenario: Scenario, spent: Float[np.ndarray, " S"], states: tuple[str, ...]
) -> list[str]:
    """Return where another world, in the states that one comes to there, leaves what the data have seen.

    Parameters
    ----------
    linear : LinearReward or FreeReward
        As the data saw it, with its log of states.
    scenario : Scenario
        The states of the other world.
    spent : ndarray of float64, shape (S,)
        The share of the periods that is spent in each of them.
    states : tuple of str
        The columns of the state, whose ranges are those of all actions.
    """
    log, notes = linear.log, []
    state = np.repeat(np.arange(log.n_cases), log.sizes)
    observed, periods = (log.choices_per_case > 0)[state], spent[state]
    for column in columns_of_reward(linear):
        changed = changed_rows(log, scenario, column) & (periods > 0)
        if not changed.any():
            continue
        if scenario.log.is_categorical(column):
            notes += [] if isinstance(linear, FreeReward) else unknown_labels((linear.design,), scenario, column)
            continue
        codes = np.zeros(log.n_rows, np.int64) if column in states else scenario.codes
        low, high = ranges_of(log, column, codes, len(scenario.labels), observed)
        after = scenario.numbers(column)
        for code in np.unique(codes[changed]):
            if not low[code] <= high[code]:
                continue  # nobody saw it: there is no range
            rows = changed & (codes == code)
            outside = outside_of(after[rows], low[code], high[code])
            # Of the actions of a state one is enough to be outside.
            share = float(spent[np.unique(state[rows][outside > 0])].sum())
            if share > _RARE:
                of = "" if column in states else f" of {scenario.labels[code]!r}"
                notes.append(
                    f"{column!r}{of} leaves its observed range ({low[code]:.6g} to {high[code]:.6g}) in states where "
                    f"{share:.0%} of the periods in the changed world are spent, by up to {outside.max():.6g}: "
                    "there the answer rests on the form of the reward, not on data"
                )
    return notes


def columns_of_reward(linear: LinearReward | FreeReward) -> tuple[str, ...]:
    """Return the columns that a reward uses; one without a formula uses all of the state."""
    return linear.space.columns if isinstance(linear, FreeReward) else columns_of((linear.design,), linear.log)

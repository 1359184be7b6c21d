r"""How good a slate could be at most, so that one sees how near the best a slate is. Imports errors only.

The logarithm lies below its tangents: for any amounts :math:`z_c \geq 0` spent on the categories,

.. math::
   f(S) \leq \sum_c w_c \Big[\log\frac{1 + z_c}{1 + a_c} - \frac{z_c - a_c}{1 + z_c}\Big]
   + \sum_k e_k \Big[b_{i_k} + s_{i_k} \sum_{c \ni i_k} \frac{w_c}{1 + z_c}\Big]

for every slate. The last sum is largest with the candidates sorted by their brackets, so its maximum is at hand: a
bound for each :math:`z`. We start from what the greedy slate spends and improve :math:`z` by Frank and Wolfe (1956)
steps towards what the maximiser spends; the limit is the value of the problem in which candidates may be shown in part.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.objective import Coverage

#: Steps at most, and how near the value makes further ones idle.
STEPS = 4
NEAR = 5e-3


def upper_bound(
    objective: Coverage,
    positions: Float[np.ndarray, " size"],
    items: Int[np.ndarray, " size"],
    eligible: Bool[np.ndarray, " candidates"] | None,
) -> float:
    """Return a value that no slate without floors exceeds.

    Parameters
    ----------
    objective : Coverage
    positions : array, shape (size,)
        Examination probabilities, none above the one before.
    items : array of int, shape (size,)
        A good slate, in the order of the positions.
    eligible : array of bool, shape (candidates,), optional
    """
    categories, bonus = objective.categories, objective.bonus
    groups = categories.groups if bonus is None else categories.singles
    weights, before = objective.padded_weights(), objective.padded_shown()
    scores = objective.scores[groups.order]
    closed = None if eligible is None else ~eligible[groups.order]
    value, lowest = objective.value(items, positions), np.inf
    spent = objective.spent(items, positions)
    for step in range(STEPS):
        by_category = weights / (1.0 + spent)
        rate = np.zeros(len(groups.sets))
        for column in groups.sets.T:
            rate += by_category[column]
        slopes = scores * (rate if len(rate) == len(scores) else np.repeat(rate, groups.sizes))
        if bonus is not None:
            slopes += bonus
        if closed is not None:
            slopes[closed] = -np.inf
        best = _top(slopes, len(positions))
        tangent = np.log1p(spent) - np.log1p(before) - (spent - before) / (1.0 + spent)
        lowest = min(lowest, float(weights @ tangent + positions @ slopes[best]))
        if lowest - value <= NEAR * abs(value):
            break
        towards = objective.spent(groups.order[best], positions)
        spent = spent + (towards - spent) * (1.0 / (step + 2.0))
    return max(lowest, value)  # below its own value only by rounding


def _top(values: Float[np.ndarray, " candidates"], size: int) -> Int[np.ndarray, " size"]:
    """Return the largest, largest first."""
    found = np.argpartition(values, len(values) - size)[len(values) - size :]
    return found[np.argsort(-values[found], kind="stable")]

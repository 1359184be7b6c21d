r"""The empirical risk of choices and of Bellman's equation at an anchor, as data. Imports its own room.

Everything is in units of the shocks' scale, so the two parts of the risk have one unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.dynamic.irl.scaling import log_shares
from revealed.models.dynamic.irl.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class Risk:
    r"""What a minimiser is told.

    Parameters
    ----------
    data : Trajectories
    anchor : int
        The action whose reward is known.
    known : ndarray of float64, shape (n,)
        That reward in the state of each choice.
    discount : float
    """

    data: Trajectories
    anchor: int
    known: Float[np.ndarray, " n"]
    discount: float

    @property
    def anchored(self) -> Bool[np.ndarray, " n"]:
        """Which choices tell of Bellman's equation at the anchor."""
        return np.asarray((self.data.actions == self.anchor) & self.data.followed)

    def tallied(self, groups: Int[np.ndarray, " n"], count: int) -> tuple[Risk, Float[np.ndarray, "groups distinct"]]:
        """Return the risk of distinct transitions only, and what each weighs in each group.

        Where states are few that is a hundred rows in place of a million; where they are not, nothing is lost.
        """
        data = self.data
        cells = np.column_stack([data.states, data.actions, data.next_states, data.followed]) + 0.0
        _, first, inverse = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        sums = np.bincount(groups * len(first) + inverse.reshape(-1), data.weights, count * len(first))
        weights = sums.reshape(count, len(first))
        few = replace(data.taken(first), weights=weights.sum(axis=0))
        return Risk(few, self.anchor, self.known[first], self.discount), weights


def worth(
    score: Float[np.ndarray, "*rows A"], can: Bool[np.ndarray, "... A"]
) -> tuple[Float[np.ndarray, "*rows"], Float[np.ndarray, "*rows A"]]:
    r"""Return :math:`\log\sum_a e^{Q_a}` over the actions that can be taken, and its slopes: choice probabilities."""
    logs = log_shares(score, can)
    best = np.where(can, score, -np.inf).argmax(axis=-1)[..., None]
    value = np.take_along_axis(score, best, axis=-1) - np.take_along_axis(logs, best, axis=-1)
    return np.asarray(value[..., 0]), np.exp(logs)

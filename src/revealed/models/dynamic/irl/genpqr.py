r"""GenPQR: rewards given their mean under any policy, of which an anchor action is a case. Imports its own room.

Van der Laan, Kallus and Bibaut (2025), "Inverse reinforcement learning with just classification and a few regressions",
arXiv 2509.21172. Known is :math:`\sum_a \mu(a|s)\,r(s, a) = g(s)`. With :math:`u = \alpha\log\pi`, evaluate :math:`\mu`
by fitted iteration on all transitions,

.. math:: q(s, a) = u(s, a) - g(s) + \gamma\,\mathrm{E}\Big[\sum_b \mu(b|s')\,q(s', b) \,\Big|\, s, a\Big],

then :math:`r(s, a) = q(s, a) - \sum_b \mu(b|s)\,q(s, b) + g(s)`. Where :math:`\mu` always takes the anchor that is PQR,
with one difference: values of all actions are fitted together, from all transitions, and none apart for the reward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.function_class import Function, Rows
from revealed.models.dynamic.irl.iteration import Fixed, fixed_point
from revealed.models.dynamic.irl.pqr import Again, Normalised, Normaliser, Usual, always, require_known, require_taken
from revealed.models.dynamic.irl.recovered import Known, RecoveredReward, at, in_words
from revealed.models.dynamic.irl.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class GenPQR(Normalised):
    r"""Rewards from behaviour, given their mean under a policy; see :class:`Recovery` for the other parameters.

    Parameters
    ----------
    normaliser : str or callable
        :math:`\mu`: an action that is always taken, ``"uniform"`` for each alike, or a function from states, shape
        (m, d), to probabilities, shape (m, A).
    mean_reward : float or callable
        :math:`g`: the mean reward under it, a number or a function from states to numbers, shape (m,).
    """

    normaliser: str | Normaliser
    mean_reward: Known = 0.0

    def recover(self, data: Trajectories, log_policy: Function | None = None) -> RecoveredReward:
        """Recover rewards; parameters and errors as in :meth:`.PQR.recover`."""
        mu, known, spoken = self.assumed(data)
        log_policy = log_policy or self.behaviour(data)
        some = data.only(data.followed & (data.weights > 0))
        fixed = self._evaluated(some, log_policy, mu)

        value = MeanOff(fixed.function, mu)
        for states in (some.states, some.next_states):
            require_known(states, value(states), data, spoken)

        return RecoveredReward(
            method=f"GenPQR ({self.spoken})",
            citation="van der Laan, Kallus and Bibaut (2025), arXiv 2509.21172",
            labels=data.labels,
            discount=self.discount,
            scale=self.scale,
            log_policy=log_policy,
            reward=MeanKnown(fixed.function, value, known),
            value=value,
            fixed=fixed,
            identification=(
                f"the mean reward under {spoken!r} is {in_words(self.mean_reward)}: assumed, as no choice tells it",
                self.relative("that mean"),
            ),
            remarks=data.remarks(),
            data=data,
            again=Again(self, data, log_policy),
        )

    def assuming(self, known: Known) -> GenPQR:
        """Return the estimator with another mean reward."""
        return replace(self, mean_reward=known)

    def _evaluated(self, data: Trajectories, log_policy: Function, mu: Normaliser) -> Fixed:
        """Return what log-probabilities less the known mean are worth to who follows the normaliser."""
        mix = _probabilities(mu(data.next_states), data)
        taken = log_policy(data.states)[np.arange(data.n_choices), data.actions]
        flow = self.scale * taken - at(self.mean_reward, data.states)
        rows = Rows(data.states, data.actions, data.n_actions, data.weights)
        regression = self.function_class.regression(rows, data.next_states)
        return fixed_point(regression, flow, mix, self.discount, self.function_class.iteration)

    def assumed(self, data: Trajectories) -> tuple[Normaliser, Known, str]:
        """Return the policy that normalises, its mean reward, and what it is called."""
        if callable(self.normaliser):
            return self.normaliser, self.mean_reward, getattr(self.normaliser, "__name__", "a policy")
        if self.normaliser == "uniform" and "uniform" not in data.labels:
            return Usual(np.full(data.n_actions, 1 / data.n_actions), data.available), self.mean_reward, "uniform"
        require_taken(data, self.normaliser, self.function_class)
        return always(data, self.normaliser), self.mean_reward, self.normaliser


@dataclass(frozen=True, eq=False)
class MeanOff:
    r""":math:`V(s) = -\sum_a \mu(a|s)\,q(s, a)`.

    Parameters
    ----------
    function : callable
        :math:`q`, shape (m, A).
    normaliser : callable
    """

    function: Function
    normaliser: Normaliser

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
        """Return values of some states."""
        weight = self.normaliser(states)
        # A table does not know what was never done: that is nothing to worry of where the policy never does it.
        return np.asarray(-(np.where(weight > 0, self.function(states), 0.0) * weight).sum(axis=1))


@dataclass(frozen=True, eq=False)
class MeanKnown:
    r""":math:`r(s, a) = q(s, a) + V(s) + g(s)`.

    Parameters
    ----------
    function, value : callable
    mean : float or callable
    """

    function: Function
    value: Function
    mean: Known

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return rewards in some states."""
        found = self.function(states) + self.value(states)[:, None]
        return np.asarray(found + at(self.mean, states)[:, None])


def _probabilities(mix: np.ndarray, data: Trajectories) -> np.ndarray:
    """Return the normaliser's probabilities, once they are some."""
    shape = (data.n_choices, data.n_actions)
    if mix.shape != shape or not (np.isfinite(mix).all() and mix.min() >= 0 and np.allclose(mix.sum(axis=1), 1)):
        what = f"not shape {mix.shape}" if mix.shape != shape else "and some of these are not or do not"
        raise SpecificationError(f"a normaliser gives probabilities that sum to one, shape {shape}, {what}")
    return mix

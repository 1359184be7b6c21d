r"""GenPQR: rewards given their mean under any policy, of which an anchor action is a case. Imports its own room.

Van der Laan, Kallus and Bibaut (2025), "Inverse reinforcement learning with just classification and a few regressions",
arXiv 2509.21172. Known is :math:`\sum_a \mu(a|s)\,r(s, a) = g(s)`. With :math:`u = \alpha\log\pi`, evaluate :math:`\mu`
by fitted iteration on all transitions,

.. math:: q(s, a) = u(s, a) - g(s) + \gamma\,\mathrm{E}\Big[\sum_b \mu(b|s')\,q(s', b) \,\Big|\, s, a\Big],

then :math:`r(s, a) = q(s, a) - \sum_b \mu(b|s)\,q(s, b) + g(s)`. Where :math:`\mu` always takes the anchor that is PQR,
with one difference: values of all actions are fitted together, from all transitions, and none apart for the reward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.function_class import Function, Rows
from revealed.models.dynamic.irl.iteration import Fixed, fixed_point
from revealed.models.dynamic.irl.pqr import Recovery, require_known, require_taken
from revealed.models.dynamic.irl.recovered import Known, RecoveredReward, at, in_words
from revealed.models.dynamic.irl.trajectories import Trajectories

#: From states, shape (m, d), to probabilities of actions, shape (m, A).
Normaliser = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class GenPQR(Recovery):
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
        mu, spoken = self._normaliser(data)
        log_policy = log_policy or self.behaviour(data)
        some = data.only(data.followed & (data.weights > 0))
        fixed = self._evaluated(some, log_policy, mu)

        def value(states: np.ndarray) -> np.ndarray:
            weight = mu(states)
            # A table does not know what was never done: that is nothing to worry of where the policy never does it.
            return np.asarray(-(np.where(weight > 0, fixed.function(states), 0.0) * weight).sum(axis=1))

        for states in (some.states, some.next_states):
            require_known(states, value(states), data, spoken)

        def reward(states: np.ndarray) -> np.ndarray:
            found = fixed.function(states) + value(states)[:, None]
            return np.asarray(found + at(self.mean_reward, states)[:, None])

        return RecoveredReward(
            method=f"GenPQR ({self.spoken})",
            citation="van der Laan, Kallus and Bibaut (2025), arXiv 2509.21172",
            labels=data.labels,
            discount=self.discount,
            scale=self.scale,
            log_policy=log_policy,
            reward=reward,
            value=value,
            fixed=fixed,
            identification=(
                f"the mean reward under {spoken!r} is {in_words(self.mean_reward)}: assumed, as no choice tells it",
                self.relative("that mean"),
            ),
            remarks=data.remarks(),
            data=data,
            again=lambda known: replace(self, mean_reward=known).recover(data, log_policy),
        )

    def _evaluated(self, data: Trajectories, log_policy: Function, mu: Normaliser) -> Fixed:
        """Return what log-probabilities less the known mean are worth to who follows the normaliser."""
        mix = _probabilities(mu(data.next_states), data)
        taken = log_policy(data.states)[np.arange(data.n_choices), data.actions]
        flow = self.scale * taken - at(self.mean_reward, data.states)
        rows = Rows(data.states, data.actions, data.n_actions, data.weights)
        regression = self.function_class.regression(rows, data.next_states)
        return fixed_point(regression, flow, mix, self.discount, self.function_class.iteration)

    def _normaliser(self, data: Trajectories) -> tuple[Normaliser, str]:
        n_actions = data.n_actions
        if callable(self.normaliser):
            return self.normaliser, getattr(self.normaliser, "__name__", "a policy")
        if self.normaliser == "uniform" and "uniform" not in data.labels:
            return lambda states: np.full((len(states), n_actions), 1 / n_actions), "uniform"
        point = np.eye(n_actions)[data.index(self.normaliser)]
        require_taken(data, self.normaliser, self.function_class)
        return lambda states: np.tile(point, (len(states), 1)), self.normaliser


def _probabilities(mix: np.ndarray, data: Trajectories) -> np.ndarray:
    """Return the normaliser's probabilities, once they are some."""
    shape = (data.n_choices, data.n_actions)
    if mix.shape != shape or not (np.isfinite(mix).all() and mix.min() >= 0 and np.allclose(mix.sum(axis=1), 1)):
        raise SpecificationError(f"a normaliser gives probabilities that sum to one, shape {shape}, not {mix.shape}")
    return mix

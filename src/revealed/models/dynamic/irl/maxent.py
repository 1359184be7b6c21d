r"""Maximum causal entropy inverse reinforcement learning: a control without an anchor. Imports dynamic and its room.

Ziebart, Maas, Bagnell and Dey (2008), "Maximum entropy inverse reinforcement learning", AAAI; in the causal form of
Ziebart, Bagnell and Dey (2010), which is right where transitions are random. Rewards are linear in features,
:math:`r(s, a) = \theta_a^\top\phi(s)`, or :math:`\theta^\top\phi(s)` where they are of states alone. Of all policies
that have the feature expectations of the data the one of most entropy is the soft-optimal one of some
:math:`\theta`, and :math:`\theta` maximises the likelihood of choices. With :math:`n(s, a)` the choices, :math:`T` the
transitions, estimated from the log (:mod:`.estimated`), and :math:`\pi_\theta` from soft value iteration, the slope is

.. math::
   \alpha\,\partial L / \partial r(s, a) = n(s, a) - d(s)\,\pi_\theta(a|s), \qquad
   d = \nu + \gamma\,T_{\pi_\theta}^\top d, \qquad \nu(s') = n(s') - \gamma \sum_{s, a} n(s, a)\,T_a(s, s')

so that at the maximum the features of the choices are those expected of the policy, from where the choices begin. With
a ridge :math:`\tfrac{\lambda}{2}\lVert\theta\rVert^2` they are missed by :math:`\alpha\lambda\theta`.

What it identifies: behaviour. A reward of states and actions is one of many that explain it, the one of least
:math:`\lVert\theta\rVert`, which has no claim to be true: it is a control. A reward of states alone is identified up to
a constant, where the true reward is of states alone and actions lead to different states (Fu, Luo and Levine 2018;
Cao, Cohen and Szpruch 2021); else it is the best description of behaviour by such a reward. For a reward of states and
actions with one action's at zero the same procedure is the nested fixed point (Rust 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.estimated import (
    EstimatedProcess,
    NothingKnown,
    WithoutAnchor,
    Worth,
)
from revealed.models.dynamic.irl.function_class import Function
from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.pqr import LogSum, Restricted
from revealed.models.dynamic.irl.recovered import RecoveredReward
from revealed.models.dynamic.irl.trajectories import Trajectories
from revealed.models.dynamic.solve import SolveOptions, forward, solved

#: Values are solved to this, relative to the largest.
_SOLVED = SolveOptions(tolerance=1e-10)
#: Feature expectations may miss those of the data by this, relative to the number of choices.
_MATCHED = 1e-4


@dataclass(frozen=True, kw_only=True)
class MaxEnt(WithoutAnchor):
    r"""Rewards whose soft-optimal policy has the feature expectations of the data; :class:`.WithoutAnchor` says more.

    Parameters
    ----------
    ridge : float
        :math:`\lambda`, in units of choices: what one observation weighs about one.
    rounds : int
        The most steps of the maximiser.
    """

    ridge: float = 1.0
    rounds: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.ridge > 0 and np.isfinite(self.ridge)) or self.rounds < 1:
            raise SpecificationError(
                f"a ridge above zero and one round or more are needed, not {self.ridge!r} and {self.rounds!r}"
            )

    def recover(self, data: Trajectories) -> RecoveredReward:
        """Fit a reward.

        Parameters
        ----------
        data : Trajectories

        Raises
        ------
        DataError
            If an action was never taken with a known next state.
        SpecificationError
            If features are no finite numbers.
        """
        columns = self.columns(data)
        world = EstimatedProcess.of(data, self.discount, self.scale, self.neighbours)
        fit = _Matching(self, world, np.asarray(columns(world.states)), world.counts(data))
        params, rounds, left = fit.matched()
        reward = LinearReward(columns, params, data.n_actions)
        worth = Worth(reward, world, fit.value(params), self.scale)
        assumed = "no action's reward is known: of all rewards that explain behaviour this is the least in its features"
        if not self.by_action:
            assumed = "rewards are of states alone: assumed; they are known up to a constant if that is so"
        return RecoveredReward(
            method=f"MaxEnt ({self.spoken})",
            citation="Ziebart, Maas, Bagnell and Dey (2008), Maximum entropy inverse reinforcement learning",
            labels=data.labels,
            discount=self.discount,
            scale=self.scale,
            log_policy=Restricted(worth, data.available),
            reward=reward,
            value=LogSum(worth, self.scale, data.available),
            fixed=Fixed(reward, rounds, left, left <= _MATCHED, "of feature expectations"),
            identification=(assumed, "a control: compare others with it"),
            remarks=data.remarks(),
            data=data,
            again=NothingKnown("MaxEnt"),
        )


@dataclass(frozen=True, eq=False)
class LinearReward:
    """Rewards linear in features; :data:`~.function_class.Function`.

    Parameters
    ----------
    features : callable
    params : ndarray of float64, shape (K, A), or (K, 1) for a reward of states alone
    n_actions : int
    """

    features: Function
    params: Float[np.ndarray, "K outputs"]
    n_actions: int

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return rewards in some states."""
        found = self.features(states) @ self.params
        return np.array(np.broadcast_to(found, (len(states), self.n_actions)))


class _Matching:
    """The penalised likelihood of a reward's coefficients, shape (K, A) or (K, 1), with its slope."""

    def __init__(
        self,
        model: MaxEnt,
        world: EstimatedProcess,
        features: Float[np.ndarray, "S K"],
        counts: Float[np.ndarray, "S A"],
    ) -> None:
        self._model, self._process, self._features, self._counts = model, world.process, features, counts
        self._shape = (features.shape[1], counts.shape[1] if model.by_action else 1)
        began = -counts.sum(axis=1)
        for action, matrix in enumerate(self._process.transitions):
            began += model.discount * (matrix.T @ counts[:, action])
        self._began = began
        self._total = float(counts.sum())
        self._value, self._visits = np.zeros(len(features)), np.zeros(len(features))

    def matched(self) -> tuple[Float[np.ndarray, "K outputs"], int, float]:
        """Return coefficients, steps, and by how much feature expectations are missed a choice."""
        ended = minimize(
            self.loss,
            np.zeros(self._shape[0] * self._shape[1]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self._model.rounds, "maxfun": 2 * self._model.rounds, "gtol": 1e-6, "ftol": 1e-13},
        )
        return ended.x.reshape(self._shape), int(ended.nit), float(np.abs(ended.jac).max())

    def loss(self, flat: Float[np.ndarray, " params"]) -> tuple[float, Float[np.ndarray, " params"]]:
        """Return the negative of the penalised log-likelihood a choice, and its slope."""
        params = flat.reshape(self._shape)
        model, process, counts = self._model, self._process, self._counts
        solution = solved(process, self._reward(params), self._value, _SOLVED)
        self._value = solution.value
        under = process.under(solution.policy)
        # Visits of the policy, less than zero as it is taken off: the transposed equation of values.
        back = under.T if isinstance(under, np.ndarray) else under.T.tocsr()
        self._visits = forward(process, back, self._began, self._visits)
        missed = (counts + self._visits[:, None] * solution.policy) / model.scale
        if not model.by_action:
            missed = missed.sum(axis=1, keepdims=True)
        logs = np.where(counts > 0, solution.action_value - solution.value[:, None], 0.0) / model.scale
        fit = float((counts * logs).sum()) - 0.5 * model.ridge * float((params**2).sum())
        slope = self._features.T @ missed - model.ridge * params
        return -fit / self._total, -slope.ravel() / self._total

    def value(self, params: Float[np.ndarray, "K outputs"]) -> Float[np.ndarray, " S"]:
        """Return values at the states of the process."""
        return np.asarray(solved(self._process, self._reward(params), self._value, _SOLVED).value)

    def _reward(self, params: Float[np.ndarray, "K outputs"]) -> Float[np.ndarray, "S A"]:
        found = self._features @ params
        return np.asarray(np.broadcast_to(found, self._counts.shape))

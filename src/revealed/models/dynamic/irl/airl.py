r"""Adversarial inverse reinforcement learning, from a log: a control without an anchor. Imports dynamic and its room.

Fu, Luo and Levine (2018), "Learning robust rewards with adversarial inverse reinforcement learning", ICLR. A
discriminator tells what people did from what a policy :math:`\pi` would do,

.. math::
   D(s, a, s') = \frac{e^{f(s, a, s')}}{e^{f(s, a, s')} + \pi(a|s)}, \qquad
   f(s, a, s') = g(s, a) + \gamma\,h(s') - h(s),

by cross-entropy, and the policy earns :math:`\log D - \log(1 - D) = f - \log\pi`, entropy included :math:`f`. In turn,
until neither moves. Then :math:`D = \tfrac12`, :math:`f = \log\pi` is the advantage, and :math:`g` the reward.

The original lets the policy act in a simulator. A log has none, so here

- the policy stands in the states that people were in, rather than in those to which it would come itself; what is told
  apart is actions and next states, not states;
- its next states are drawn from transitions estimated from the log (:mod:`.estimated`);
- its answer to :math:`g` is exact soft value iteration under those transitions, in place of a policy gradient. (To earn
  :math:`f` or :math:`g` makes no difference to it: they differ by a potential.)

What it identifies: with a reward of states and actions, behaviour only: any potential may move between :math:`g` and
:math:`h`, and which one comes out is chance and decay, so that :math:`g` is a control, nothing more. With a reward of
states alone (``by_action=False``) it is known up to a constant, if the true reward is of states alone and any two
states are linked by what leads to them (their "decomposable" dynamics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.estimated import (
    EstimatedProcess,
    NothingKnown,
    WithoutAnchor,
    Worth,
)
from revealed.models.dynamic.irl.function_class import Function
from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.network import Network, layers_of
from revealed.models.dynamic.irl.pqr import LogSum, Restricted
from revealed.models.dynamic.irl.recovered import RecoveredReward
from revealed.models.dynamic.irl.scaling import log_shares
from revealed.models.dynamic.irl.trajectories import Trajectories
from revealed.models.dynamic.solve import Solution, solved

#: The share of choices that may change in the last round of a game that has settled.
_SETTLED = 0.01


@dataclass(frozen=True, kw_only=True)
class AIRL(WithoutAnchor):
    """Rewards by which a discriminator cannot tell people from a policy; :class:`.WithoutAnchor` says more.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer of the networks g and h, which see the features; none makes them linear in those.
    rate : float
        Adam's step at the beginning; it falls to zero over the rounds.
    decay : float
        Of the weights, per step and unit of rate.
    rounds, steps : int
        Rounds of discriminator and policy, and steps of the discriminator in each.
    batch : int
        Choices a step.
    seed : int
        The same seed gives the same numbers.
    """

    hidden: tuple[int, ...] = (32, 32)
    rate: float = 3e-3
    decay: float = 0.1
    rounds: int = 20
    steps: int = 100
    batch: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.rounds, self.steps, self.batch, *self.hidden) < 1 or not (self.rate > 0 and self.decay >= 0):
            raise SpecificationError(
                f"sizes must be one or more, the rate above zero and the decay not below it: {self}"
            )

    def recover(self, data: Trajectories) -> RecoveredReward:
        """Recover rewards; parameters and errors as in :meth:`.MaxEnt.recover`."""
        columns = self.columns(data)
        # Rewards in units of the shocks: a discriminator compares them with log-probabilities.
        world = EstimatedProcess.of(data, self.discount, 1.0, self.neighbours)
        game = _Game(self, data, world, columns)
        left = np.inf
        for turn in range(self.rounds):
            game.discriminate(turn)
            left = game.answer()
        reward = NetworkReward(columns, tuple(game.params), self.scale, data.n_actions)
        worth = Worth(reward, world, self.scale * game.solution.value, self.scale)
        assumed = "no action's reward is known: rewards are one of many that explain behaviour, up to a potential"
        if not self.by_action:
            assumed = "rewards are of states alone: assumed; they are known up to a constant if that is so"
        return RecoveredReward(
            method=f"AIRL ({self.spoken})",
            citation="Fu, Luo and Levine (2018), Learning robust rewards with adversarial IRL",
            labels=data.labels,
            discount=self.discount,
            scale=self.scale,
            log_policy=Restricted(worth, data.available),
            reward=reward,
            value=LogSum(worth, self.scale, data.available),
            fixed=Fixed(reward, self.rounds, left, left <= _SETTLED, "of choices"),
            identification=(assumed, "a control: compare others with it"),
            remarks=(*data.remarks(), "the policy was answered in the states of the log, under estimated transitions"),
            data=data,
            again=NothingKnown("AIRL"),
        )


@dataclass(frozen=True, eq=False)
class NetworkReward:
    """Rewards by one network on features; :data:`~.function_class.Function`.

    Parameters
    ----------
    features : callable
    params : tuple of ndarray
        Weights and constants of each layer.
    scale : float
        What outputs are multiplied by.
    n_actions : int
    """

    features: Function
    params: tuple[np.ndarray, ...]
    scale: float
    n_actions: int

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return rewards in some states."""
        found = layers_of(self.params, np.asarray(self.features(states), dtype=np.float32))[-1][0]
        return np.array(np.broadcast_to(self.scale * found.astype(np.float64), (len(states), self.n_actions)))


class _Game:
    """Discriminator and policy, in turn."""

    def __init__(self, model: AIRL, data: Trajectories, world: EstimatedProcess, columns: Function) -> None:
        self._model, self._world, self._actions = model, world, data.n_actions
        self._random = np.random.default_rng(model.seed)
        self._features = np.asarray(columns(world.states), dtype=np.float32)
        known = np.flatnonzero(data.followed & (data.weights > 0))
        self._chance = data.weights[known] / data.weights[known].sum()
        self._place, self._taken = world.place[known], data.actions[known]
        self._later = world.later[known]
        sizes = (self._features.shape[1], *model.hidden)
        self._g = Network((*sizes, data.n_actions if model.by_action else 1), 1, self._random)
        self._h = Network((*sizes, 1), 1, self._random)
        self.solution = self._solved()

    @property
    def params(self) -> list[np.ndarray]:
        """The weights of g."""
        return self._g.state()

    def discriminate(self, turn: int) -> None:
        """Learn to tell the choices of people from those of the policy."""
        model = self._model
        log_policy = log_shares(self.solution.action_value)
        drawn = np.column_stack(
            [self._world.drawn(self._place, action, self._random) for action in range(self._actions)]
        )
        for step in range(model.steps):
            rows = self._random.choice(len(self._place), model.batch, p=self._chance)
            rate = model.rate * (1 - (turn * model.steps + step) / (model.rounds * model.steps))
            self._step(rows, drawn[rows], log_policy[self._place[rows]].astype(np.float32), rate)

    def answer(self) -> float:
        """Let the policy earn the most of the reward; return the mean share of choices that changed by it."""
        before = self.solution.policy
        self.solution = self._solved()
        change = 0.5 * np.abs(self.solution.policy - before)[self._place].sum(axis=1)
        return float(change @ self._chance)

    def _solved(self) -> Solution:
        earned = self._g(self._features)[0].astype(np.float64)
        return solved(self._world.process, np.array(np.broadcast_to(earned, (len(earned), self._actions))))

    def _step(
        self,
        rows: Int[np.ndarray, " batch"],
        drawn: Int[np.ndarray, "batch A"],
        log_policy: Float[np.ndarray, "batch A"],
        rate: float,
    ) -> None:
        """Go a step down the cross-entropy of choices and of what the policy would have done, action by action."""
        size, n_actions = drawn.shape
        each, taken, gamma = np.arange(size), self._taken[rows], np.float32(self._model.discount)
        here = self._features[self._place[rows]]
        # The next states of people, then those of each action of the policy, then where all of them were.
        places = np.concatenate([self._later[rows], drawn.T.ravel(), self._place[rows]])
        g, h = self._g.layers(here), self._h.layers(self._features[places])
        later = h[-1][0, :, 0].reshape(n_actions + 2, size)
        earned = np.broadcast_to(g[-1][0], (size, n_actions))
        ours = earned[each, taken] + gamma * later[0] - later[-1]
        theirs = earned + gamma * later[1:-1].T - later[-1][:, None]
        # The slopes of -log D at people's choices, and of -log(1 - D) at the policy's, which are weighted as likely.
        real = (_sigmoid(ours - log_policy[each, taken]) - 1) / np.float32(size)
        made = _sigmoid(theirs - log_policy) * np.exp(log_policy) / np.float32(size)
        slope = made.copy()
        slope[each, taken] += real
        back = np.concatenate([gamma * real, gamma * made.T.ravel(), -real - made.sum(axis=1)])
        if not self._model.by_action:
            slope = slope.sum(axis=1, keepdims=True)
        self._g.step(self._g.slopes(g, slope[None]), rate, self._model.decay)
        self._h.step(self._h.slopes(h, back[None, :, None]), rate, self._model.decay)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return the logistic function."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))

r"""The risk minimised by networks: up in :math:`\zeta` to the end, a step down in Q, and so on. Imports its own room.

*Up.* For a fixed :math:`\zeta` the risk falls without end along :math:`V_Q(s')`, in which it is linear. So a
:math:`\zeta` that learns as fast as Q, as a network of its own does, is too slow: tried, it ran away on buses. Here it
is linear in the last hidden layer of the anchor's network, u, and the best one is least squares, taken at each step.

*Down.* With :math:`b = g + \gamma\zeta - Q_A`, the slope of the second part of the risk is
:math:`2b\,(\gamma\nabla V_Q(s') - \nabla Q_A)`; as b is a function of the state, one draw of what followed is enough.

*The function.* :math:`Q_a = c + u + h_a - h_A`, with networks h and u: any values are of that form. Choices depend on h
alone; in one network for all, values that are :math:`1/(1-\gamma)` times as large drown the differences in them.

*The level.* Networks learn :math:`f = Q - c`, differences from a level c. b moves by :math:`1-\gamma` where c moves by
one, so given f the best level makes the mean of b zero, :math:`c = \overline{g + \gamma V_f(s') - f_A(s)}/(1-\gamma)`;
with it in place the slope in f is as if it stood still. What a level is wrong by is :math:`1/(1-\gamma)` times what the
mean is, so at the end it is taken once more for the mean of the ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.network import Network, layers_of
from revealed.models.dynamic.irl.neural import Neural, folds_of
from revealed.models.dynamic.irl.risk import Risk, worth
from revealed.models.dynamic.irl.scaling import Scaling, log_shares

#: Batches up to which all rows are taken at each step: then there is no chance in it. Also what is drawn of the
#: anchor's rows, as least squares on few rows takes chance for what it explains.
_MANY = 4
#: Of the least squares, relative to features whose squares are at most one.
_RIDGE = 1e-6


def minimised(family: Neural, risk: Risk) -> Fixed:
    """Return action values, in units of the shocks, of an ensemble.

    Parameters
    ----------
    family : Neural
        Steps are its rounds of ``again`` each, with a rate that falls to zero.
    risk : Risk

    Returns
    -------
    Fixed
        What is left is that of Bellman's equation at the anchor, root mean square, as far as it moves values.
    """
    random = np.random.default_rng(family.seed)
    folds = folds_of(risk.data.persons, family.members, random)
    count = family.members if folds.max() > 0 else 1
    few, by_fold = risk.tallied(folds, count)
    scaling = Scaling.of(risk.data.states)
    whole = np.repeat(few.data.weights[None], family.members, axis=0)
    held = by_fold if count > 1 else whole
    saddle = _Saddle.of(family, few, scaling, whole - held if count > 1 else whole, random)
    best, kept = np.full(family.members, np.inf), (saddle.h.state(), saddle.u.state())
    steps = family.rounds * family.again
    for step in range(steps):
        saddle.descend(family.rate * (1.0 - step / steps), family.decay)
        if (step + 1) % family.again == 0:
            loss = saddle.losses(held)
            better = loss < best
            best[better] = loss[better]
            for array, good in zip(saddle.h.params + saddle.u.params, kept[0] + kept[1], strict=True):
                good[better] = array[better]
    saddle.h.params, saddle.u.params = kept
    level, left = saddle.level(few.data.weights)
    found = EnsembleMean(tuple(kept[0]), tuple(kept[1]), scaling, risk.anchor, level)
    return Fixed(found, family.rounds, left, left <= family.iteration.tolerance)


@dataclass(frozen=True, eq=False)
class EnsembleMean:
    """The mean of an ensemble's action values; :data:`~.function_class.Function`.

    Parameters
    ----------
    differences, own : tuple of ndarray of float32
        The parameters of h and u.
    scaling : Scaling
    anchor : int
    level : float
    """

    differences: tuple[np.ndarray, ...]
    own: tuple[np.ndarray, ...]
    scaling: Scaling
    anchor: int
    level: float

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return the mean at some states."""
        x = self.scaling(states).astype(np.float32)[None]
        differences, own = (
            layers_of(params, x)[-1].mean(axis=0, dtype=np.float64) for params in (self.differences, self.own)
        )
        return np.asarray(differences - differences[:, [self.anchor]] + own + self.level)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Rows of a kind, drawn for each member by weight; all of them, with their weights, where they are few.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
    share : ndarray of float32, shape (members, n)
        Weights that sum to one.
    size : int
        Rows to draw, 0 for all.
    random : Generator
    """

    rows: Int[np.ndarray, " n"]
    share: Float[np.ndarray, "members n"]
    size: int
    random: np.random.Generator

    @classmethod
    def of(
        cls,
        weights: Float[np.ndarray, "members distinct"],
        rows: Int[np.ndarray, " n"],
        size: int,
        random: np.random.Generator,
    ) -> _Drawn:
        some = weights[:, rows]
        # A member that is left with no row of this kind takes what the others take.
        some = np.where(some.sum(axis=1, keepdims=True) > 0, some, some.sum(axis=0))
        return cls(rows, (some / some.sum(axis=1, keepdims=True)).astype(np.float32), size, random)

    def __call__(self) -> tuple[Int[np.ndarray, "... drawn"], Float[np.ndarray, "members drawn"]]:
        """Return rows, alike for all members or of each, and weights."""
        if not self.size:
            return self.rows, self.share
        ends = self.share.cumsum(axis=1, dtype=np.float64)
        drawn = self.random.random((len(ends), self.size)) * ends[:, -1:]
        places = [np.searchsorted(end, some, side="right") for end, some in zip(ends, drawn, strict=True)]
        return self.rows[np.stack(places)], np.full(drawn.shape, 1 / self.size, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Saddle:
    """The networks and what they learn from.

    Parameters
    ----------
    h, u : Network
    risk : Risk
    x, after : ndarray of float32, shape (n, d)
    can, can_after : ndarray of bool, shape (n, A)
    choices, anchored : _Drawn
        Rows for the likelihood, and for Bellman's equation.
    """

    h: Network
    u: Network
    risk: Risk
    x: Float[np.ndarray, "n d"]
    after: Float[np.ndarray, "n d"]
    can: Bool[np.ndarray, "n A"]
    can_after: Bool[np.ndarray, "n A"]
    choices: _Drawn
    anchored: _Drawn

    @classmethod
    def of(
        cls,
        family: Neural,
        risk: Risk,
        scaling: Scaling,
        weights: Float[np.ndarray, "members n"],
        random: np.random.Generator,
    ) -> _Saddle:
        data, few = risk.data, _MANY * family.batch
        h, u = (
            Network((data.states.shape[1], *family.hidden, outputs), family.members, random)
            for outputs in (data.n_actions, 1)
        )
        every, some = np.arange(data.n_choices), np.flatnonzero(risk.anchored)
        choices = _Drawn.of(weights, every, family.batch if len(every) > few else 0, random)
        anchored = _Drawn.of(weights, some, few if len(some) > few else 0, random)
        x, after = (scaling(states).astype(np.float32) for states in (data.states, data.next_states))
        return cls(h, u, risk, x, after, data.mask(data.states), data.mask(data.next_states), choices, anchored)

    def descend(self, rate: float, decay: float) -> None:
        """Go a step down the likelihood of choices and Bellman's error at the anchor, each on rows of its own."""
        data, discount = self.risk.data, np.float32(self.risk.discount)
        rows, weights = self.choices()
        layers = self.h.layers(self.x[rows])
        taken = np.eye(data.n_actions, dtype=np.float32)[data.actions[rows]]
        slope = (np.exp(log_shares(layers[-1], self.can[rows])) - taken) * weights[..., None]
        slopes = self.h.slopes(layers, slope)
        rows, weights = self.anchored()
        own, later, odds = self.u.layers(self.x[rows]), self.u.layers(self.after[rows]), self.h.layers(self.after[rows])
        value, likely = self._value(rows, later, odds)
        share = data.weights[self.risk.anchored].sum() / data.weights.sum()
        error = (np.float32(2 * share) * weights * self._error(rows, own, value, weights))[..., None]
        likely[..., self.risk.anchor] -= 1
        _add(slopes, self.h.slopes(odds, discount * error * likely))
        self.h.step(slopes, rate, decay)
        slopes = self.u.slopes(own, -error)
        _add(slopes, self.u.slopes(later, discount * error))
        self.u.step(slopes, rate, decay)

    def losses(self, held: Float[np.ndarray, "members n"]) -> Float[np.ndarray, " members"]:
        """Return each member's mean negative log-likelihood and error of Bellman's equation over rows held out."""
        logs = log_shares(self.h(self.x[None]), self.can)[:, np.arange(len(self.x)), self.risk.data.actions]
        errors = held[:, self.anchored.rows] * self._errors(self.anchored.share) ** 2
        return np.asarray((errors.sum(axis=1) - (held * logs).sum(axis=1)) / held.sum(axis=1))

    def level(self, weights: Float[np.ndarray, " n"]) -> tuple[float, float]:
        """Return the level that is best for the mean of the ensemble, and what is left of the way of values there."""
        risk, rows = self.risk, self.anchored.rows
        share = weights[rows] / weights[rows].sum()
        own, later, odds = (
            [net(x[rows][None]).mean(axis=0, dtype=np.float64)]
            for net, x in ((self.u, self.x), (self.u, self.after), (self.h, self.after))
        )
        value, _ = self._value(rows, later, odds)
        level = float(share @ (risk.known[rows] + risk.discount * value - own[0][:, 0])) / (1 - risk.discount)
        spread = np.tile(share.astype(np.float32), (len(self.anchored.share), 1))
        error = float(np.sqrt(share @ self._errors(spread).mean(axis=0, dtype=np.float64) ** 2))
        return level, error / (1 - risk.discount) / max(float(np.abs(value + level).max()), 1.0)

    def _errors(self, weights: Float[np.ndarray, "members m"]) -> Float[np.ndarray, "members m"]:
        """Return Bellman's error at all rows of the anchor, with what is best by some weights of them."""
        rows = self.anchored.rows
        x, after = self.x[rows][None], self.after[rows][None]
        value, _ = self._value(rows, self.u.layers(after), self.h.layers(after))
        return self._error(rows, self.u.layers(x), value, weights)

    def _value(
        self, rows: Int[np.ndarray, "... m"], later: list[np.ndarray], odds: list[np.ndarray]
    ) -> tuple[Float[np.ndarray, "*members m"], Float[np.ndarray, "*members m A"]]:
        """Return values of what followed, less their level, and choice probabilities there."""
        value, likely = worth(odds[-1], self.can_after[rows])
        return np.asarray(value + later[-1][..., 0] - odds[-1][..., self.risk.anchor]), likely

    def _error(
        self,
        rows: Int[np.ndarray, "... m"],
        own: list[np.ndarray],
        value: Float[np.ndarray, "members m"],
        weights: Float[np.ndarray, "members m"],
    ) -> Float[np.ndarray, "members m"]:
        r"""Return :math:`g + \gamma\zeta - Q_A`, its mean zero, with the best :math:`\zeta` in the last layer."""
        hidden = own[-2] - (weights[:, None] @ own[-2])
        weighted = np.swapaxes(hidden * weights[..., None], 1, 2).astype(np.float64)
        gram = weighted @ hidden + _RIDGE * np.eye(hidden.shape[-1])
        part = hidden @ np.linalg.solve(gram, weighted @ value[..., None])
        error = self.risk.known[rows] + self.risk.discount * part[..., 0] - own[-1][..., 0]
        return np.asarray(error - (weights * error).sum(axis=1, keepdims=True), dtype=np.float32)


def _add(slopes: list[np.ndarray], more: list[np.ndarray]) -> None:
    for place, extra in enumerate(more):
        slopes[place] = slopes[place] + extra

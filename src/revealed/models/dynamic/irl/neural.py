r"""Functions by small networks: an ensemble, in numpy. Imports its own room.

Choice probabilities are an energy-based network, :math:`\log\pi(a|s) = f_a(s) - \log\sum_b e^{f_b(s)}` (Geng et al.
2020), by cross-entropy. Each member of the ensemble leaves out a fold of persons and stops where the likelihood of
those is best; log-probabilities are the mean of the members', scaled to sum to one. Rewards hang on differences of
log-probabilities times :math:`1/(1-\gamma)`, so what matters is that they are smooth, which an ensemble is.

Regressions share one network over all outputs, and go on from the last fit, so a round of a fitted iteration is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.function_class import Function, Iteration, Rows
from revealed.models.dynamic.irl.network import Network, layers_of
from revealed.models.dynamic.irl.scaling import Scaling, log_shares
from revealed.models.dynamic.irl.trajectories import Can, Trajectories, can_be_taken


@dataclass(frozen=True)
class Neural:
    """Ensembles of small networks; the same seed gives the same numbers.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    members : int
        Networks in the ensemble, which is also the number of folds of persons.
    rate : float
        Adam's step.
    decay : float
        Of the weights, per step and unit of rate.
    epochs : int
        The most passes through the data for a policy.
    patience : int
        Passes without a better fold after which a policy ends.
    batch : int
        Rows a step.
    steps, again : int
        Steps of a first regression, and of each further one of a fitted iteration.
    rounds : int
        The most rounds of a fitted iteration.
    seed : int
    """

    hidden: tuple[int, ...] = (32, 32)
    members: int = 5
    rate: float = 3e-3
    decay: float = 0.1
    epochs: int = 60
    patience: int = 8
    batch: int = 256
    steps: int = 2_000
    again: int = 80
    rounds: int = 60
    seed: int = 0

    title: ClassVar[str] = "neural"

    def __post_init__(self) -> None:
        least = min(
            self.members, self.epochs, self.batch, self.steps, self.again, self.rounds, self.patience, *self.hidden
        )
        if least < 1 or not (self.rate > 0 and self.decay >= 0):
            raise SpecificationError(
                f"sizes must be one or more, the rate above zero and the decay not below it: {self}"
            )

    @property
    def iteration(self) -> Iteration:
        """Rounds are dear, and their ends are as exact as the network."""
        return Iteration(self.rounds, 2e-2, exact=False)

    def needs(self, columns: int) -> int:
        """Return how many rows a regression on states of some columns needs at least."""
        return 10 * (columns + 1)

    def policy(self, data: Trajectories) -> Function:
        """Return the log-probabilities of the ensemble."""
        random = np.random.default_rng(self.seed)
        scaling = Scaling.of(data.states)
        x = scaling(data.states).astype(np.float32)
        network = Network((x.shape[1], *self.hidden, data.n_actions), self.members, random)
        folds = folds_of(data.persons, self.members, random)
        members = np.arange(self.members)
        held = folds[None, :] == members[:, None] if folds.max() > 0 else np.zeros((self.members, len(x)), dtype=bool)
        weight = (data.weights / data.weights.mean()).astype(np.float32)
        can = data.mask(data.states)
        best, kept, since = np.full(self.members, np.inf), network.state(), 0
        for _ in range(self.epochs):
            for rows in _batches([np.flatnonzero(~out) for out in held], self.batch, random):
                layers = network.layers(x[rows])
                residual = np.exp(log_shares(layers[-1], can[rows]))
                residual[members[:, None], np.arange(rows.shape[1])[None, :], data.actions[rows]] -= 1
                residual *= weight[rows][:, :, None] / np.float32(rows.shape[1])
                network.step(network.slopes(layers, residual), self.rate, self.decay)
            loss = _losses(network, x, data, weight, held if held.any() else ~held)
            better = loss < best
            best[better] = loss[better]
            for array, good in zip(network.params, kept, strict=True):
                good[better] = array[better]
            since = 0 if better.any() else since + 1
            if since >= self.patience:
                break
        return LogNetwork(tuple(kept), scaling, data.available)

    def regression(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> NeuralRegression:
        """Return a regression by one network with an output for each action."""
        return NeuralRegression(self, rows, at)


class NeuralRegression:
    """Squared error at the output that each row tells of; :class:`~.function_class.Regression`."""

    def __init__(self, family: Neural, rows: Rows, at: Float[np.ndarray, "m d"]) -> None:
        self._family, self._rows = family, rows
        self._random = np.random.default_rng(family.seed + 1)
        self._scaling = Scaling.of(rows.states)
        self._x, self._at = (self._scaling(states).astype(np.float32) for states in (rows.states, at))
        self._weight = (rows.weights / rows.weights.mean()).astype(np.float32)
        self._network = Network((self._x.shape[1], *family.hidden, rows.n_outputs), family.members, self._random)
        self._centre, self._spread = 0.0, 0.0

    def fit(self, targets: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m outputs"]:
        """Fit, from the last fit on, and return predictions at the states named before."""
        family = self._family
        first = self._spread == 0.0
        if first:
            self._spread = max(float(targets.std()), 1e-6)
        # The network tells deviations from the mean: a mean that a fitted iteration moves need not be learned again.
        self._centre = float(targets.mean())
        y = ((targets - self._centre) / self._spread).astype(np.float32)
        steps = family.steps if first else family.again
        size = min(family.batch, len(y))
        members, each = np.arange(family.members)[:, None], np.arange(size)[None, :]
        for step in range(steps):
            rows = self._random.integers(0, len(y), (family.members, size))
            layers = self._network.layers(self._x[rows])
            place = (members, each, self._rows.output[rows])
            slope = np.zeros_like(layers[-1])
            slope[place] = (layers[-1][place] - y[rows]) * self._weight[rows] / np.float32(size)
            rate = family.rate * (1.0 - step / steps if first else 0.3)
            self._network.step(self._network.slopes(layers, slope), rate, 0.0)
        return self._predicted(self._network(self._at[None]))

    def function(self) -> Function:
        """Return the function of the last fit."""
        return NetworkFunction(tuple(self._network.state()), self._scaling, self._centre, self._spread)

    def _predicted(self, members: np.ndarray) -> Float[np.ndarray, "m outputs"]:
        return np.asarray(members.mean(axis=0, dtype=np.float64) * self._spread + self._centre)


def folds_of(persons: Int[np.ndarray, " n"], count: int, random: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return a fold for each row, all rows of a person in one; a single fold if there are fewer persons than folds."""
    distinct, place = np.unique(persons, return_inverse=True)
    if count < 2 or len(distinct) < count:
        return np.zeros(len(persons), dtype=np.int64)
    return np.asarray((random.permutation(len(distinct)) % count)[place.reshape(-1)])


@dataclass(frozen=True, eq=False)
class NetworkFunction:
    """The mean of an ensemble of networks; :data:`~.function_class.Function`.

    Parameters
    ----------
    params : tuple of ndarray
        Weights and constants of each layer, all members in one array.
    scaling : Scaling
    centre, spread : float
        What outputs are multiplied by, and then added.
    """

    params: tuple[np.ndarray, ...]
    scaling: Scaling
    centre: float
    spread: float

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return the outputs at some states."""
        members = layers_of(self.params, self.scaling(states).astype(np.float32)[None])[-1]
        return np.asarray(members.mean(axis=0, dtype=np.float64) * self.spread + self.centre)


@dataclass(frozen=True, eq=False)
class LogNetwork:
    """Log-probabilities of an ensemble: the mean of the members', scaled to sum to one.

    Parameters
    ----------
    params : tuple of ndarray
    scaling : Scaling
    available : callable, optional
    """

    params: tuple[np.ndarray, ...]
    scaling: Scaling
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return log-probabilities at some states."""
        score = layers_of(self.params, self.scaling(states).astype(np.float32)[None])[-1]
        logs = log_shares(score, can_be_taken(self.available, states, score.shape[-1]))
        return log_shares(logs.mean(axis=0, dtype=np.float64))


def _batches(rows: list[np.ndarray], size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return shuffled batches, shape (members, size), each member from rows of its own."""
    least = min(len(some) for some in rows)
    shuffled = np.stack([random.permutation(some)[:least] for some in rows])
    return [np.asarray(part) for part in np.array_split(shuffled, max(1, least // size), axis=1)]


def _losses(
    network: Network, x: np.ndarray, data: Trajectories, weight: np.ndarray, held: np.ndarray
) -> Float[np.ndarray, " members"]:
    """Return each member's mean loss over the rows held out for it."""
    logs = log_shares(network(x[None]), data.mask(data.states))[:, np.arange(len(x)), data.actions]
    return np.asarray(-(logs * weight * held).sum(axis=1) / (weight * held).sum(axis=1))

r"""Means of recovered rewards and values of policies without the bias of flexible fits, with standard errors.

Imports its own room. Van der Laan, Bibaut and Kallus (2025), "Efficient inference for inverse reinforcement learning
and dynamic discrete choice models", arXiv 2512.24407. A network's reward errs where its behaviour or its regressions
do, and a mean of it errs to first order. The one-step estimate adds the mean of the influence function, after which
only products of errors are left. With :math:`\mu` the policy whose mean reward is known, :math:`w` weights of actions,
and :math:`d(s)` the discounted time that :math:`\mu` spends in a state relative to the data, begun from
:math:`\sum_a w(s, a)\,[\delta_s - \gamma T_a(s, \cdot)]`, the mean :math:`\psi = \mathrm{E}\sum_a w(s, a)\,r(s, a)` has

.. math::
   \sum_a w(s, a)\,r(s, a) - \psi - \alpha\sum_b c(s, b) + \frac{c(s, a)}{\pi(a|s)}
   \big[\alpha + \alpha\log\pi(a|s) + V(s) - \gamma V(s') - r(s, a)\big], \qquad c = w - d\,\mu.

The value of a policy :math:`\nu` has :math:`w = d_\nu\,\nu`, the time that :math:`\nu` itself spends, and the usual
term of off-policy evaluation beside. All of it is estimated on the persons of other folds; :math:`d` is linear in the
columns of a table or polynomial and solves its moment equations, which need no transitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from revealed.errors import DataError, Problem, SpecificationError
from revealed.evidence.level import quantile, require_level
from revealed.models.dynamic.irl.function_class import Function, Rows
from revealed.models.dynamic.irl.iteration import fixed_point
from revealed.models.dynamic.irl.neural import folds_of
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.pqr import Normalised, Normaliser, Recovery
from revealed.models.dynamic.irl.recovered import RecoveredReward
from revealed.models.dynamic.irl.scaling import Scaling
from revealed.models.dynamic.irl.tabular import Cells, Tabular
from revealed.models.dynamic.irl.trajectories import Trajectories

#: Probabilities that divide are taken as this at least.
_LEAST = 1e-3
#: What is added to columns that depend on each other, relative to their size.
_RIDGE = 1e-9
#: Singular values of the moment equations are held from zero by this share of one less the discount factor.
_HELD = 0.3


@dataclass(frozen=True)
class Debiased:
    """A number that a recovered reward tells, and how sure it is.

    Parameters
    ----------
    value, standard_error : float
        The one-step estimate; its error is clustered by person.
    plug_in : float
        The same number of the reward as recovered, without the correction.
    n_persons : int
    """

    value: float
    standard_error: float
    plug_in: float
    n_persons: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return where the truth lies, by the normal law.

        Raises
        ------
        SpecificationError
            For a level that is not between 0 and 1.
        """
        require_level(level)
        half = quantile(level) * self.standard_error
        return self.value - half, self.value + half


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Rewards recovered on the persons of all folds but one, and what they tell of the choices of that one.

    Parameters
    ----------
    data : Trajectories
    parts : tuple of Part
        One a fold.
    rows : tuple of ndarray of int64
        The choices of each fold whose next state is known; the others tell of behaviour only, and are in no mean.
    """

    data: Trajectories
    parts: tuple[Part, ...]
    rows: tuple[np.ndarray, ...]

    def mean(self, action: str | Normaliser, where: Callable[[np.ndarray], np.ndarray] | None = None) -> Debiased:
        """Return the mean reward of an action, or of a policy, over states as often as the data saw them.

        Parameters
        ----------
        action : str or callable
            An action, or a policy: from states, shape (m, d), to probabilities, shape (m, A).
        where : callable, optional
            From states to weights, shape (m,): the states that count. By default all do.

        Raises
        ------
        SpecificationError
            If there is no such action.
        DataError
            If no state counts, or the reward is not known in one that does.
        """
        policy = _policy(self.data, action)

        def counted(states: np.ndarray) -> np.ndarray:
            return np.ones(len(states)) if where is None else np.asarray(where(states), dtype=np.float64)

        def of_fold(part: Part, test: Trajectories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            here, there = test.states, part.train.states
            counts = counted(here)
            taken = policy(here) * counts[:, None]
            time = part.time(part.normaliser, counted(there), policy(there) * counted(there)[:, None])
            return _sum(taken, part.found.reward(here)), part.correction(test, taken, time(here)), counts

        return self._added(of_fold)

    def value(self, policy: str | Normaliser, begin: Float[np.ndarray, "m d"] | None = None) -> Debiased:
        """Return the discounted rewards of who follows a policy for ever, without the shocks.

        Parameters
        ----------
        policy : str or callable
            An action that is always taken, or from states, shape (m, d), to probabilities, shape (m, A).
        begin : ndarray, shape (m, d), optional
            The states to begin in, taken as given; by default those of the data, each as often as it was seen.

        Raises
        ------
        SpecificationError, DataError
            As for :meth:`mean`.
        """
        followed = _policy(self.data, policy)

        def of_fold(part: Part, test: Trajectories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            action_value, here = part.evaluated(followed), test.states
            places = here if begin is None else begin
            start = _sum(followed(places), action_value(places))
            plug = start if begin is None else np.full(test.n_choices, start.mean())
            taken = followed(here) * part.time(followed, begin)(here)[:, None]
            rows = np.arange(test.n_choices)
            ratio = taken[rows, test.actions] / part.chance(test)
            later = _sum(followed(test.next_states), action_value(test.next_states))
            surprise = (part.found.reward(here) - action_value(here))[rows, test.actions]
            usual = ratio * (surprise + part.model.discount * later)
            correction = part.correction(test, taken, part.time(part.normaliser, begin)(here))
            return plug, usual + correction, np.ones(test.n_choices)

        return self._added(of_fold)

    def _added(self, of_fold: _OfFold) -> Debiased:
        """Add up what each fold tells, with the error by person."""
        data, told = self.data, np.concatenate(self.rows)
        each = [of_fold(part, data.taken(rows)) for part, rows in zip(self.parts, self.rows, strict=True)]
        plug, more, count = (np.concatenate(part) for part in zip(*each, strict=True))
        weight = data.weights[told]
        whole = float(weight @ count)
        if not whole > 0:
            raise DataError(data.source, [Problem("no state of the data counts", "say where= so that some do")])
        value = float(weight @ (plug + more)) / whole
        if not np.isfinite(value):
            what = "the reward is not known in some states that count: nobody of the other folds was seen there"
            remedy = "take coarser states, fewer of them, or a smooth class of functions"
            raise DataError(data.source, [Problem(what, remedy)])
        persons, place = np.unique(data.persons[told], return_inverse=True)
        influence = np.bincount(place.reshape(-1), weight * (plug + more - value * count))
        spread = float(np.sqrt((influence**2).sum() * len(persons) / (len(persons) - 1))) / whole
        return Debiased(value, spread, float(weight @ plug) / whole, len(persons))


def cross_fitted(
    model: Recovery,
    data: Trajectories,
    *,
    folds: int = 5,
    weights: Tabular | Polynomial | None = None,
    seed: int = 0,
) -> CrossFitted:
    """Recover rewards once for each fold of persons, from all the others.

    Parameters
    ----------
    model : PQR or GenPQR
    data : Trajectories
    folds : int
    weights : Tabular or Polynomial, optional
        What the time spent in states is made of; by default a table for a table, else powers and products up to the
        second.
    seed : int
        Of the folds.

    Raises
    ------
    SpecificationError
        For fewer than two folds.
    DataError
        If there are fewer persons than folds, or an anchor is too rare without some of them.
    """
    if folds < 2:
        raise SpecificationError(
            f"rewards are estimated apart from where they are used: 2 folds or more, not {folds!r}"
        )
    if not isinstance(model, Normalised):
        what = f"{type(model).__name__} has no estimate without bias here: take PQR or GenPQR"
        raise SpecificationError(f"{what}, or bootstrapped_reward, which takes each")
    fold = folds_of(data.persons, folds, np.random.default_rng(seed))
    if fold.max() == 0:
        what = f"{folds} folds need as many persons, and there are {len(np.unique(data.persons))}"
        raise DataError(data.source, [Problem(what, "give more persons, or say whose choices are whose: persons=…")])
    known = data.followed & (data.weights > 0)
    parts = []
    for number in range(folds):
        others = data.only(fold != number)
        found, normaliser = model.recover(others), model.assumed(others)[0]
        seen = others.only(others.followed & (others.weights > 0))
        parts.append(Part(model, seen, found, normaliser, _basis(model, weights, seen)))
    return CrossFitted(data, tuple(parts), tuple(np.flatnonzero(known & (fold == number)) for number in range(folds)))


@dataclass(frozen=True, eq=False)
class Part:
    """What the persons of the other folds tell."""

    model: Normalised
    train: Trajectories
    found: RecoveredReward
    normaliser: Normaliser
    basis: Function

    def chance(self, data: Trajectories) -> Float[np.ndarray, " n"]:
        """Return the probability of each choice."""
        logs = self.found.log_policy(data.states)[np.arange(data.n_choices), data.actions]
        return np.asarray(np.maximum(np.exp(logs), _LEAST))

    def time(
        self,
        policy: Normaliser,
        begun: Float[np.ndarray, " n"] | Float[np.ndarray, "m d"] | None = None,
        left: Float[np.ndarray, "n A"] | None = None,
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the discounted time that a policy spends in states, relative to the data.

        It begins in the states of the data, with weights if some are given, or in some other states, each alike; less
        what actions in the states of the data, with weights ``left``, lead to.
        """
        train, rows, discount = self.train, np.arange(self.train.n_choices), self.model.discount
        now, later = self.basis(train.states), self.basis(train.next_states)
        shares = train.weights / self.chance(train)
        weighted = now * train.weights[:, None]
        gone = (policy(train.states)[rows, train.actions] * shares)[:, None] * later
        if begun is not None and begun.ndim == 2:
            right = self.basis(begun).mean(axis=0) * float(train.weights.sum())
        else:
            right = weighted.sum(axis=0) if begun is None else weighted.T @ begun
        if left is not None:
            right = right - discount * later.T @ (shares * left[rows, train.actions])
        # The moments hold for each column f of the basis: the mean of d(s) [f(s) - gamma mu / pi f(s')].
        square = weighted.T @ now + _RIDGE * np.eye(now.shape[1]) * float((weighted * now).sum()) / now.shape[1]
        matrix = weighted.T @ now - discount * gone.T @ now
        near = np.full(len(now), 1 / (1 - discount)) if left is None or begun is None else begun
        guess = np.linalg.solve(square, weighted.T @ near)
        params = guess + _held_apart(matrix, right - matrix @ guess, square, _HELD * (1 - discount))
        return lambda states: self.basis(states) @ params

    def correction(
        self, data: Trajectories, taken: Float[np.ndarray, "n A"], time: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Return what the reward being estimated adds to the influence of each choice."""
        found, scale, rows = self.found, self.model.scale, np.arange(data.n_choices)
        change = taken - time[:, None] * self.normaliser(data.states)
        logs, reward = found.log_policy(data.states), found.reward(data.states)
        value, later = found.value(data.states), found.value(data.next_states)
        ratio = change[rows, data.actions] / self.chance(data)
        surprise = scale + scale * logs[rows, data.actions] + value - self.model.discount * later
        return np.asarray(ratio * (surprise - reward[rows, data.actions]) - scale * change.sum(axis=1))

    def evaluated(self, policy: Normaliser) -> Function:
        """Return the action values of a policy under the recovered reward."""
        train, family = self.train, self.model.function_class
        earned = self.found.reward(train.states)[np.arange(train.n_choices), train.actions]
        rows = Rows(train.states, train.actions, train.n_actions, train.weights)
        regression = family.regression(rows, train.next_states)
        return fixed_point(
            regression, earned, policy(train.next_states), self.model.discount, family.iteration
        ).function


def _held_apart(
    matrix: Float[np.ndarray, "K K"], right: Float[np.ndarray, " K"], square: Float[np.ndarray, "K K"], held: float
) -> Float[np.ndarray, " K"]:
    """Solve the moment equations, singular values held from zero.

    For stationary data none is below one less the discount factor, in the columns' own metric: one that is, is noise,
    and what it is divided into would be more than the bias it is to take out.
    """
    root = np.linalg.cholesky(square)
    whitened = solve_triangular(root, solve_triangular(root, matrix, lower=True).T, lower=True).T
    moments_of, size, params_of = np.linalg.svd(whitened)
    moments = moments_of.T @ solve_triangular(root, right, lower=True)
    return np.asarray(solve_triangular(root.T, params_of.T @ (size / (size**2 + held**2) * moments)))


_OfFold = Callable[[Part, Trajectories], tuple[np.ndarray, np.ndarray, np.ndarray]]


def _basis(model: Normalised, weights: Tabular | Polynomial | None, data: Trajectories) -> Function:
    """Return the columns that the time spent in states is made of."""
    family = weights or (Tabular() if isinstance(model.function_class, Tabular) else Polynomial(2))
    if isinstance(family, Polynomial):
        powers, scaling = family, Scaling.of(data.states)
        return lambda states: powers.features(scaling(states))
    cells = Cells.of(np.concatenate([data.states, data.next_states]))
    unit = np.eye(len(cells.rows) + 1, len(cells.rows))  # the last for states not seen
    return lambda states: unit[cells.place(states)]


def _policy(data: Trajectories, action: str | Normaliser) -> Normaliser:
    if callable(action):
        return action
    point = np.eye(data.n_actions)[data.index(action)]
    return lambda states: np.tile(point, (len(states), 1))


def _sum(weights: Float[np.ndarray, "m A"], numbers: Float[np.ndarray, "m A"]) -> Float[np.ndarray, " m"]:
    """Return weighted sums over actions; what has no weight may be unknown."""
    return np.asarray((weights * np.where(weights != 0, numbers, 0.0)).sum(axis=1))

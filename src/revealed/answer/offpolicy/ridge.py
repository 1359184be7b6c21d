r"""The default model of rewards: a ridge regression, cross-fitted by subtraction. Imports rewards and choices.

.. math:: \hat q(x, a) = z(x)^\top (\beta + \gamma_a)

with :math:`z` a constant, the position and the context. The :math:`\gamma_a` are shrunk towards zero, so that an
action seldom shown is foretold like the others. What a fold says is its Gram matrices, which add: those of all folds
but one are the sum of the others', so the log is passed over once, however many folds there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.base import require_whole
from revealed.answer.offpolicy.parts import Groups, Rows
from revealed.answer.offpolicy.totals import bounded
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError

#: Cells of Gram matrices held at most (400 MiB).
_MOST_CELLS = 50_000_000


@dataclass(frozen=True)
class RidgeRewards:
    """A ridge regression of rewards on action, position and context, cross-fitted.

    Parameters
    ----------
    context : sequence of str
        Columns that describe to whom and when things were shown. Not columns that describe *what* was shown: they would
        have to be known of each action.
    by_action : bool
        Each action has its own slopes in the context, not its own level only.
    penalty : float
        How many rows' worth of evidence hold an action to the others; above 0.
    folds : int
        Rows of a person are foretold by a fit to the other folds.
    seed : int
        Of the folds.
    """

    context: Sequence[str] = ()
    by_action: bool = True
    penalty: float = 10.0
    folds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(self.folds, "folds", 2)
        require_whole(self.seed, "seed", 0)
        if not self.penalty > 0:
            raise SpecificationError(f"penalty must be above 0, not {self.penalty!r}")
        if isinstance(self.context, str):
            raise SpecificationError(f"context is a tuple of columns: ({self.context!r},)")

    def fold_of(self, n_rows: int, groups: Groups | None) -> Int[np.ndarray, " rows"]:
        """Return the fold of each row: 0, 1, …, the same for all rows of a person.

        Raises
        ------
        SpecificationError
            If there are fewer persons than folds.
        """
        n_groups = n_rows if groups is None else int(groups.max()) + 1
        if n_groups < self.folds:
            persons = "1 person" if n_groups == 1 else f"{n_groups:,} persons"
            raise SpecificationError(
                f"{persons} cannot be split into {self.folds} folds, so that none foretells its own rewards; give the "
                "expected rewards as an array, or use an estimator without a model"
            )
        order = np.random.default_rng(self.seed).permutation(n_groups) % self.folds
        return order if groups is None else order[groups]

    def foretell(self, feedback: Feedback, groups: Groups | None) -> RidgeForetold:
        """Return what is foretold of feedback in which each row has an answer.

        Parameters
        ----------
        feedback : Feedback
        groups : array of int, shape (rows,), or None
            The person of each row; None where each row is its own.

        Returns
        -------
        RidgeForetold

        Raises
        ------
        SpecificationError
            If there are fewer persons than folds, no such column of context, or too many parameters.
        """
        fold = self.fold_of(feedback.n_rows, groups)
        features = _features(feedback, self.context)
        n_own = features.shape[1] if self.by_action else 1
        n_actions = len(feedback.actions)
        if self.folds * n_actions * n_own * features.shape[1] > _MOST_CELLS:
            raise SpecificationError(
                f"{n_actions:,} actions with {n_own:,} slopes each are too many; say by_action=False or fewer columns"
            )
        with bounded():
            grams = Grams.of(features, feedback.reward, fold * n_actions + feedback.action_codes, n_actions, n_own)
            params = np.stack([grams.without(k, self.folds).solved(self.penalty) for k in range(self.folds)])
        low, high = float(feedback.reward.min()), float(feedback.reward.max())
        return RidgeForetold(features, fold, params, low, high)


@dataclass(frozen=True, eq=False)
class RidgeForetold:
    """What the regression foretells, within the range of rewards seen.

    Parameters
    ----------
    features : array, shape (rows, K)
    fold : array of int, shape (rows,)
        The fit that foretells each row.
    params : array, shape (folds, actions, K)
    low, high : float
        The range of rewards seen.
    """

    features: Float[np.ndarray, "rows K"]
    fold: Int[np.ndarray, " rows"]
    params: Float[np.ndarray, "folds actions K"]
    low: float
    high: float

    def of_each(self, rows: slice) -> Float[np.ndarray, "some actions"]:
        """Return the expected reward of each action on some rows."""
        features, fold = self.features[rows], self.fold[rows]
        expected = np.empty((len(features), self.params.shape[1]))
        for k, params in enumerate(self.params):
            own = np.flatnonzero(fold == k)
            expected[own] = features[own] @ params.T
        return np.clip(expected, self.low, self.high, out=expected)


@dataclass(frozen=True, eq=False)
class Grams:
    """Sums of products over the rows of each fold and action.

    Parameters
    ----------
    total : array, shape (folds, K, K)
        Of all features.
    total_reward : array, shape (folds, K)
        Of all features with the reward.
    own : array, shape (folds, actions, K, own)
        Of all features with those that have a slope by action.
    own_reward : array, shape (folds, actions, own)
    """

    total: Float[np.ndarray, "folds K K"]
    total_reward: Float[np.ndarray, "folds K"]
    own: Float[np.ndarray, "folds actions K own"]
    own_reward: Float[np.ndarray, "folds actions own"]

    @classmethod
    def of(
        cls,
        features: Float[np.ndarray, "rows K"],
        reward: Rows,
        cell: Int[np.ndarray, " rows"],
        n_actions: int,
        n_own: int,
    ) -> Grams:
        """Return the sums; cells are numbered fold by fold, action by action."""
        order = np.argsort(cell, kind="stable")
        ordered, rewards = features[order], reward[order]
        n_folds = int(cell.max()) // n_actions + 1
        edges = np.searchsorted(cell[order], np.arange(n_folds * n_actions + 1))
        width = features.shape[1]
        own = np.zeros((n_folds * n_actions, width, n_own))
        with_reward = np.zeros((n_folds * n_actions, width))
        total = np.zeros((n_folds, width, width))
        for i in np.flatnonzero(np.diff(edges)):
            part = ordered[edges[i] : edges[i + 1]]
            own[i] = part.T @ part[:, :n_own]
            with_reward[i] = rewards[edges[i] : edges[i + 1]] @ part
        for k in range(n_folds):
            part = ordered[edges[k * n_actions] : edges[(k + 1) * n_actions]]
            total[k] = part.T @ part
        rewarded = with_reward.reshape(n_folds, n_actions, width)
        of_action = own.reshape(n_folds, n_actions, width, n_own)
        return cls(total, rewarded.sum(axis=1), of_action, rewarded[:, :, :n_own])

    def without(self, fold: int, folds: int) -> Grams:
        """Return the sums over all folds but one, as those of one fold."""
        kept = [k for k in range(folds) if k != fold and k < len(self.total)]
        arrays = (self.total, self.total_reward, self.own, self.own_reward)
        total, total_reward, own, own_reward = (array[kept].sum(axis=0)[None] for array in arrays)
        return Grams(total, total_reward, own, own_reward)

    def solved(self, penalty: float) -> Float[np.ndarray, "actions K"]:
        r"""Return :math:`\beta + \gamma_a` for each action; the :math:`\gamma_a` are eliminated one by one."""
        own, own_reward = self.own[0], self.own_reward[0]
        width, n_own = own.shape[1:]
        held = own[:, :n_own] + penalty * np.eye(n_own)
        solved = np.linalg.solve(held, np.concatenate([np.swapaxes(own, 1, 2), own_reward[:, :, None]], axis=2))
        small = np.full(width, 1e-3)
        small[0] = 1e-9  # the level is free, but for a log whose rewards are all in the other fold
        shared = self.total[0] - np.einsum("akm,aml->kl", own, solved[:, :, :width]) + np.diag(small)
        beta = np.linalg.solve(shared, self.total_reward[0] - np.einsum("akm,am->k", own, solved[:, :, width]))
        params = np.repeat(beta[None], len(own), axis=0)
        params[:, :n_own] += solved[:, :, width] - solved[:, :, :width] @ beta
        return params


def _features(feedback: Feedback, context: Sequence[str]) -> Float[np.ndarray, "rows K"]:
    """Return a constant, the positions but the first, and the context."""
    own = context_features(feedback, context)
    if feedback.positions is None:
        return own
    places = [(feedback.position == k).astype(np.float64) for k in range(1, len(feedback.positions))]
    return np.column_stack([own[:, 0], *places, own[:, 1:]])


def context_features(feedback: Feedback, context: Sequence[str]) -> Float[np.ndarray, "rows K"]:
    """Return a constant and the context: numbers standardised, labels as indicators but the first."""
    columns = [np.ones(feedback.n_rows)]
    for name in context:
        if feedback.holds_numbers(name):
            cells = feedback.numbers(name)
            spread = float(cells.std())
            columns.append((cells - cells.mean()) / (spread or 1.0))
        else:
            levels, codes = feedback.labels(name)
            columns += [(codes == k).astype(np.float64) for k in range(1, len(levels))]
    return np.column_stack(columns)

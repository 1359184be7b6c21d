r"""Functions by boosted trees. Imports its own room.

Choice probabilities are :math:`\log\pi(a|s) = f_a(s) - \log\sum_b e^{f_b(s)}`, with :math:`f` a sum of trees that each
go a step of Newton down the cross-entropy (:mod:`.boosting`). As with networks, each member of an ensemble leaves out a
fold of persons and stops where the likelihood of those is best; log-probabilities are the mean of the members'.

A regression is a sum of trees, too; a fold of rows says how many. In a fitted iteration the questions of the trees stay
as they are after a few fits, and only what leaves say is fitted again, so that the iteration has an end (Ernst, Geurts
and Wehenkel 2005). Trees are flat beyond what they have seen: such an iteration seldom expands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.boosting import Bins, Tree, grown
from revealed.models.dynamic.irl.function_class import Function, Iteration, Rows
from revealed.models.dynamic.irl.neural import folds_of
from revealed.models.dynamic.irl.scaling import log_shares
from revealed.models.dynamic.irl.trajectories import Can, Trajectories, can_be_taken

#: The fits of a fitted iteration that ask new questions.
_ANEW = (1, 8, 32)
#: The part of the rows that says how many trees a regression takes.
_HELD = 5


@dataclass(frozen=True)
class Boosted:
    """Boosted trees; the same seed gives the same numbers.

    Parameters
    ----------
    depth : int
        Questions a tree.
    trees, value_trees : int
        The most trees of a policy, and of a regression.
    rate, value_rate : float
        What each tree is shrunk by there.
    ridge : float
        In units of choices: a leaf's number is drawn to zero as by one observation of that weight.
    bins : int
        The most levels of a column that are told apart.
    members : int
        Policies in the ensemble, which is also the number of folds of persons.
    patience : int
        Trees without a better fold after which no more are grown.
    seed : int
    """

    depth: int = 3
    trees: int = 400
    value_trees: int = 100
    rate: float = 0.1
    value_rate: float = 0.3
    ridge: float = 5.0
    bins: int = 64
    members: int = 5
    patience: int = 20
    seed: int = 0

    title: ClassVar[str] = "boosted trees"

    def __post_init__(self) -> None:
        if min(self.depth, self.trees, self.value_trees, self.members, self.patience) < 1 or self.bins < 2:
            raise SpecificationError(f"sizes must be one or more, bins two or more: {self}")
        if not (0 < self.rate <= 1 and 0 < self.value_rate <= 1 and self.ridge > 0):
            raise SpecificationError(f"rates must be above zero and at most one, the ridge above zero: {self}")

    @property
    def iteration(self) -> Iteration:
        """Once the questions stay, a fit is linear in its targets."""
        return Iteration(2_000, 1e-6)

    def needs(self, columns: int) -> int:  # noqa: ARG002
        """Return how many rows a regression needs at least: some for the fold that says how many trees."""
        return 4 * _HELD

    def policy(self, data: Trajectories) -> Function:
        """Return the log-probabilities of the ensemble."""
        random = np.random.default_rng(self.seed)
        cut = Bins.of(data.states, self.bins)
        folds = folds_of(data.persons, self.members, random)
        count = self.members if folds.max() > 0 else 1
        policies = [self._policy(data, cut, folds == fold) for fold in range(count)]
        return LogTrees(tuple(policies), data.available)

    def _policy(self, data: Trajectories, cut: Bins, held: np.ndarray) -> TreesFunction:
        """Return a beginning and trees, as many as are best for the rows held out: for all, where none is left."""
        learned = ~held if not held.all() else held
        bins, check = cut(data.states[learned]), cut(data.states[held])
        can, there = data.mask(data.states), (np.arange(len(check)), data.actions[held])
        weights = data.weights[learned][:, None]
        taken = np.eye(data.n_actions)[data.actions]
        begin = np.log(((taken[learned] * weights).sum(axis=0) + 1) / (weights.sum() + data.n_actions))[None]
        score, other = np.repeat(begin, len(bins), axis=0), np.repeat(begin, len(check), axis=0)
        trees: list[Tree] = []
        best, kept = np.inf, 0
        while len(trees) < self.trees and len(trees) - kept < self.patience:
            share = np.exp(log_shares(score, can[learned]))
            curve = np.maximum(share * (1 - share), 1e-9)
            slopes = (weights * (taken[learned] - share), weights * curve)
            trees.append(self.grown(bins, cut, *slopes, self.rate))
            score += trees[-1](bins)
            other += trees[-1](check)
            loss = -float(data.weights[held] @ log_shares(other, can[held])[there])
            if loss < best:
                best, kept = loss, len(trees)
        return TreesFunction.of(cut, begin[0], trees[:kept])

    def regression(self, rows: Rows, at: Float[np.ndarray, "m d"]) -> BoostedRegression:
        """Return a regression by trees that hold a number for each output."""
        return BoostedRegression(self, rows, at)

    def grown(self, bins: np.ndarray, cut: Bins, slope: np.ndarray, weight: np.ndarray, rate: float) -> Tree:
        """Return one more tree."""
        return grown(bins, cut.most, slope, weight, depth=self.depth, ridge=self.ridge, rate=rate)


@dataclass(frozen=True, eq=False)
class TreesFunction:
    """A sum of trees; :data:`~.function_class.Function`.

    Parameters
    ----------
    cut : Bins
    centre : ndarray of float64, shape (outputs,)
        What the trees add to.
    columns, cuts : ndarray of int64, shape (trees, depth)
    leaves : ndarray of float64, shape (trees, leaves, outputs)
    """

    cut: Bins
    centre: Float[np.ndarray, " outputs"]
    columns: Int[np.ndarray, "trees depth"]
    cuts: Int[np.ndarray, "trees depth"]
    leaves: Float[np.ndarray, "trees leaves outputs"]

    @classmethod
    def of(cls, cut: Bins, centre: Float[np.ndarray, " outputs"], trees: list[Tree]) -> TreesFunction:
        """Return the sum of some trees of one depth."""
        if not trees:
            none = np.zeros((0, 0), dtype=np.int64)
            return cls(cut, centre, none, none, np.zeros((0, 1, len(centre))))
        columns, cuts = np.array([tree.columns for tree in trees]), np.array([tree.cuts for tree in trees])
        return cls(cut, centre, columns, cuts, np.stack([tree.leaves for tree in trees]))

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m outputs"]:
        """Return the sums at some states."""
        bins, found = self.cut(states), np.repeat(self.centre[None], len(states), axis=0)
        for columns, cuts, leaves in zip(self.columns, self.cuts, self.leaves, strict=True):
            found += Tree(tuple(columns.tolist()), tuple(cuts.tolist()), leaves)(bins)
        return found


@dataclass(frozen=True, eq=False)
class LogTrees:
    """Log-probabilities of an ensemble: the mean of the members', scaled to sum to one.

    Parameters
    ----------
    members : tuple of TreesFunction
    available : callable, optional
    """

    members: tuple[TreesFunction, ...]
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return log-probabilities at some states."""
        score = np.stack([member(states) for member in self.members])
        return log_shares(log_shares(score, can_be_taken(self.available, states, score.shape[2])).mean(axis=0))


class BoostedRegression:
    """Squared error at the output that each row tells of; :class:`~.function_class.Regression`."""

    def __init__(self, family: Boosted, rows: Rows, at: Float[np.ndarray, "m d"]) -> None:
        self._family, self._rows, self._fits = family, rows, 0
        self._cut = Bins.of(rows.states, family.bins)
        self._bins, self._at = self._cut(rows.states), self._cut(at)
        self._tells = np.eye(rows.n_outputs)[rows.output] * rows.weights[:, None]
        held = np.random.default_rng(family.seed).permutation(len(rows.output)) % _HELD == 0
        self._held = held if len(held) >= _HELD else np.zeros(len(held), dtype=bool)
        self._trees: list[Tree] = []
        self._centre = np.zeros(rows.n_outputs)

    def fit(self, targets: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m outputs"]:
        """Fit, and return predictions at the states named before."""
        self._fits += 1
        total = self._tells.sum(axis=0)
        self._centre = self._tells.T @ targets / np.where(total > 0, total, 1.0)
        residual = targets - self._centre[self._rows.output]
        if self._fits in _ANEW:
            count = len(self._grow(residual, ~self._held, self._held)) if self._held.any() else self._family.value_trees
            every = np.ones(len(targets), dtype=bool)
            self._trees = self._grow(residual, every, None, count)
            self._places = [tree.place(self._bins) for tree in self._trees]
            self._later = [tree.place(self._at) for tree in self._trees]
        else:
            self._trees = self._refitted(residual)
        found = np.repeat(self._centre[None], len(self._at), axis=0)
        for tree, place in zip(self._trees, self._later, strict=True):
            found += tree.leaves[place]
        return found

    def function(self) -> Function:
        """Return the function of the last fit."""
        return TreesFunction.of(self._cut, self._centre.copy(), self._trees)

    def _grow(
        self, residual: np.ndarray, learned: np.ndarray, held: np.ndarray | None, count: int | None = None
    ) -> list[Tree]:
        """Return trees grown on some rows: so many, or as many as are best for the rows held out."""
        family, output = self._family, self._rows.output
        bins, tells, left = self._bins[learned], self._tells[learned], residual[learned]
        each = np.arange(len(left)), output[learned]
        check = self._bins[held] if held is not None else self._bins[:0]
        there = np.arange(len(check)), output[held] if held is not None else output[:0]
        other = residual[held] if held is not None else residual[:0]
        trees: list[Tree] = []
        best, kept = np.inf, 0
        while len(trees) < (count if count is not None else family.value_trees):
            trees.append(family.grown(bins, self._cut, tells * left[:, None], tells, family.value_rate))
            left = left - trees[-1](bins)[each]
            if held is None:
                continue
            other = other - trees[-1](check)[there]
            loss = float((self._rows.weights[held] * other**2).sum())
            if loss < best:
                best, kept = loss, len(trees)
            if len(trees) - kept >= family.patience:
                break
        return trees if held is None else trees[:kept]

    def _refitted(self, residual: np.ndarray) -> list[Tree]:
        """Return trees of the same questions whose leaves are fitted anew, one after the other."""
        family, rows = self._family, self._rows
        trees, left = [], residual
        for tree, place in zip(self._trees, self._places, strict=True):
            cell = place * rows.n_outputs + rows.output
            weight = np.bincount(cell, rows.weights, tree.leaves.size) + family.ridge
            leaves = family.value_rate * np.bincount(cell, rows.weights * left, tree.leaves.size) / weight
            left = left - leaves[cell]
            trees.append(Tree(tree.columns, tree.cuts, leaves.reshape(tree.leaves.shape)))
        return trees

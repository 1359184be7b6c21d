"""What is believed of candidates, computed when a rule asks for it. Imports its own room and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.draws import half_of, members_of
from revealed.decide.explore.protocol import Belief
from revealed.errors import DataError, Problem

#: Scores held at a time while shares are counted: 4 MiB.
_AT_ONCE = 1 << 19

#: The whole pool costs as much as so many draws in one go,
_POOL_COSTS = 32

#: and a draw by itself as much as so many.
_ONE_COSTS = 8


class _Known(NamedTuple):
    """What is known of a pool under a belief: whose draw each decision has, and the draws once computed."""

    belief: Belief
    width: float
    block: int
    members: Int[np.ndarray, " size"]
    params: Float[np.ndarray, "size K"] | None


@dataclass(eq=False)
class Source:
    """Where the draws of an explorer come from; it keeps those of the belief and the pool asked for last.

    Parameters
    ----------
    seed, size : int
        The seed, and the number of draws of a pool.
    """

    seed: int
    size: int
    _kept: _Known | None = field(default=None, repr=False)
    _spent: int = field(default=0, repr=False)

    def drawn(self, belief: Belief, width: float, number: int) -> Float[np.ndarray, " K"]:
        """Return the parameters that are a decision's own draw."""
        block = number // self.size
        known, at = self._known(belief, width, block), number - block * self.size
        params = self._if_worth(known, _ONE_COSTS)
        if params is None:
            params, member = self._drawn_alone(known, known.members[at : at + 1]), 0
        else:
            member = known.members[at]
        own: np.ndarray = params[member]
        return own

    def drawn_many(
        self, belief: Belief, width: float, block: int, numbers: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n K"]:
        """Return the parameters that are the own draws of some decisions of a block."""
        known = self._known(belief, width, block)
        members = known.members[numbers - block * self.size]
        params = self._if_worth(known, max(len(members), _ONE_COSTS))
        return self._drawn_alone(known, members) if params is None else params.take(members, axis=0)

    def pool(self, belief: Belief, width: float, block: int) -> Float[np.ndarray, "size K"]:
        """Return the parameters of all members of a pool, not to be written to."""
        known = self._known(belief, width, block)
        return self._computed(known) if known.params is None else known.params

    def _known(self, belief: Belief, width: float, block: int) -> _Known:
        known = self._kept  # read at once: another thread may replace it
        if known is None or known.belief is not belief or known.block != block or known.width != width:
            known = _Known(belief, width, block, members_of(self.seed, block, self.size), None)
            self._kept, self._spent = known, 0
        return known

    def _if_worth(self, known: _Known, cost: int) -> Float[np.ndarray, "size K"] | None:
        """Return the whole pool, unless what was drawn of it so far, and now, costs less than all of it."""
        if known.params is not None:
            return known.params
        self._spent += cost
        return self._computed(known) if self._spent > _POOL_COSTS else None

    def _half(self, known: _Known) -> Float[np.ndarray, "half K"]:
        return half_of(self.seed, known.block, self.size, known.belief.n_params, known.width)

    def _drawn_alone(self, known: _Known, members: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n K"]:
        """Return some members of a pool without the others."""
        half = self._half(known)
        sides = np.where(members < len(half), 1.0, -1.0)
        return known.belief.draw(half[members % len(half)] * sides[:, None])

    def _computed(self, known: _Known) -> Float[np.ndarray, "size K"]:
        half, belief = known.belief.draw(self._half(known)), known.belief
        params, first = np.empty((self.size, belief.n_params)), len(half)
        params[:first] = half
        # As far from the mean on its other side: what the same normals with the other sign would give.
        np.subtract(2 * belief.mean, half[: self.size - first], out=params[first:])
        params.flags.writeable = False
        self._kept = known._replace(params=params)
        return params


class OneOutlook:
    """The outlook of one decision without its shares, as fast as it gets.

    Parameters
    ----------
    source : Source
    belief : Belief
    features : ndarray of float64, shape (actions, K)
    number : int
    """

    __slots__ = ("belief", "features", "number", "source")

    def __init__(self, source: Source, belief: Belief, features: Float[np.ndarray, "actions K"], number: int) -> None:
        self.source, self.belief, self.features, self.number = source, belief, features, number

    @property
    def eligible(self) -> Bool[np.ndarray, " actions"]:
        """All, as far as scores go."""
        return np.ones(len(self.features), dtype=bool)

    def means(self) -> Float[np.ndarray, " actions"]:
        """Return the mean of each linear predictor."""
        scores: np.ndarray = self.features.dot(self.belief.mean)
        return scores

    def deviations(self) -> Float[np.ndarray, " actions"]:
        """Return the standard deviation of each linear predictor."""
        require_finite(self.features[None])
        return np.asarray(np.sqrt(self.belief.predictor(self.features)[1]))

    def under_draw(self, width: float) -> Float[np.ndarray, " actions"]:
        """Return the linear predictors under the decision's own draw."""
        scores: np.ndarray = self.features.dot(self.source.drawn(self.belief, width, self.number))
        return scores

    def shares(self, width: float) -> Float[np.ndarray, " actions"]:
        """Return the shares of the pool."""
        many = ManyOutlook(self.source, self.belief, self.features[None], np.array([self.number]))
        return np.asarray(many.shares(width)[0])


@dataclass(frozen=True, eq=False)
class ManyOutlook:
    """The outlook of several decisions.

    Parameters
    ----------
    source : Source
    belief : Belief
    features : ndarray of float64, shape (n, actions, K)
    numbers : ndarray of int64, shape (n,)
    allowed : ndarray of bool, shape (n, actions), optional
        Which may be shown; all by default.
    """

    source: Source
    belief: Belief
    features: Float[np.ndarray, "n actions K"]
    numbers: Int[np.ndarray, " n"]
    allowed: Bool[np.ndarray, "n actions"] | None = None

    @cached_property
    def eligible(self) -> Bool[np.ndarray, "n actions"]:
        """Which may be shown."""
        return np.ones(self.features.shape[:2], dtype=bool) if self.allowed is None else self.allowed

    def means(self) -> Float[np.ndarray, "n actions"]:
        """Return the mean of each linear predictor."""
        require_finite(self.features)
        n, actions, k = self.features.shape
        scores: np.ndarray = self.features.reshape(-1, k).dot(self.belief.mean).reshape(n, actions)
        return scores

    def deviations(self) -> Float[np.ndarray, "n actions"]:
        """Return the standard deviation of each linear predictor."""
        require_finite(self.features)
        n, actions, k = self.features.shape
        return np.asarray(np.sqrt(self.belief.predictor(self.features.reshape(-1, k))[1]).reshape(n, actions))

    def under_draw(self, width: float) -> Float[np.ndarray, "n actions"]:
        """Return the linear predictors under each decision's own draw."""
        blocks = self._blocks()
        if len(blocks) == 1:
            params = self.source.drawn_many(self.belief, width, blocks[0][0], self.numbers)
        else:
            params = np.empty((len(self.numbers), self.belief.n_params))
            for block, some in blocks:
                params[some] = self.source.drawn_many(self.belief, width, block, self.numbers[some])
        # A product of matrix and vector for each decision, as for one: the features are read once.
        scores: np.ndarray = np.matmul(self.features, params[:, :, None])[:, :, 0]
        return scores

    def shares(self, width: float) -> Float[np.ndarray, "n actions"]:
        """Return the shares of the pools."""
        require_finite(self.features)
        n, actions, k = self.features.shape
        counts = np.empty((n, actions))
        for block, some in self._blocks():
            params = self.source.pool(self.belief, width, block)
            members = len(params)
            step = max(1, _AT_ONCE // (members * actions))
            rows = np.arange(len(self.numbers))[some]
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                # One product for all: (decisions · actions, K) by (K, members).
                scores = (params @ self.features[part].reshape(-1, k).T).reshape(members, len(part), actions)
                if self.allowed is not None:
                    scores = np.where(self.allowed[part], scores, -np.inf)
                best = scores.argmax(axis=2) + actions * np.arange(len(part))
                counts[part] = np.bincount(best.ravel(), minlength=len(part) * actions).reshape(-1, actions)
        return counts / self.source.size

    def _blocks(self) -> list[tuple[int, Int[np.ndarray, " some"] | slice]]:
        """Return the blocks that the numbers are of, each with its places: a slice where numbers rise."""
        n = len(self.numbers)
        if not n:
            return []
        size, places = self.source.size, None
        block = int(np.minimum.reduce(self.numbers)) // size
        if int(np.maximum.reduce(self.numbers)) < (block + 1) * size:
            return [(block, slice(n))]
        blocks = self.numbers // size
        steps = blocks[1:] - blocks[:-1]
        if np.minimum.reduce(steps) < 0:
            places = blocks.argsort(kind="stable")
            blocks = blocks[places]
            steps = blocks[1:] - blocks[:-1]
        ends = pairwise([0, *(np.flatnonzero(steps) + 1).tolist(), n])
        return [(int(blocks[start]), slice(start, end) if places is None else places[start:end]) for start, end in ends]


def require_finite(features: Float[np.ndarray, "n actions K"]) -> None:
    """Raise DataError unless all features are finite numbers, and none beyond 1e154, whose square is not."""
    flat = features.ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        square = flat.dot(flat)
    if isfinite(square):  # a tenth of the cost of looking at each
        return
    odd = ~(np.abs(features) < np.sqrt(np.finfo(np.float64).max)).all(axis=2)
    if odd.any():
        decision, action = (int(place[0]) for place in np.nonzero(odd))
        where = f"candidate {action} of decision {decision} of these"
        problem = "features that are not finite numbers (or beyond 1e154)"
        raise DataError(
            "candidates", [Problem(problem, "fill them in, or leave the candidate out", where, count=int(odd.sum()))]
        )

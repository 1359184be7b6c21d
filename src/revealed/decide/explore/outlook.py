"""What is believed of candidates, computed when a rule asks for it. Imports its own room and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.draws import lots_of, pool_of
from revealed.decide.explore.protocol import Belief
from revealed.errors import DataError, Problem

#: Scores held at a time while shares are counted: 4 MiB.
_AT_ONCE = 1 << 19

#: So many draws one by one cost less than those of the whole pool.
_SINGLY = 8


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
    _kept: tuple[Belief | None, float, int, Float[np.ndarray, "size K"] | None, list[int]] = field(
        default=(None, 0.0, -1, None, []), repr=False
    )
    _asked: int = field(default=0, repr=False)

    def drawn(self, belief: Belief, width: float, number: int) -> Float[np.ndarray, " K"]:
        """Return the parameters that are a decision's own draw."""
        known, of_width, block, params, members = self._kept  # read at once: another thread may replace it
        if known is not belief or number // self.size != block or of_width != width:
            block = number // self.size
            params, members = None, lots_of(self.seed, block, self.size)[0].tolist()
            self._kept, self._asked = (belief, width, block, None, members), 0
        member = members[number - block * self.size]
        if params is None:
            self._asked += 1
            if self._asked <= _SINGLY:
                normals = pool_of(self.seed, block, self.size, belief.n_params)
                single: np.ndarray = belief.draw(width * normals[member : member + 1])[0]
                return single
            params = self.pool(belief, width, block)
        of_number: np.ndarray = params[member]
        return of_number

    def pool(self, belief: Belief, width: float, block: int) -> Float[np.ndarray, "size K"]:
        """Return the parameters of all members of a pool."""
        known, of_width, of_block, params, _ = self._kept
        if params is None or known is not belief or of_block != block or of_width != width:
            params = belief.draw(width * pool_of(self.seed, block, self.size, belief.n_params))
            self._kept = (belief, width, block, params, lots_of(self.seed, block, self.size)[0].tolist())
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

    @property
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
        source, k = self.source, self.belief.n_params
        blocks = self._blocks()
        normals = np.empty((len(self.numbers), k))
        for block, some in blocks:
            members = lots_of(source.seed, block, source.size)[0][self.numbers[some] - block * source.size]
            drawn = pool_of(source.seed, block, source.size, k)[members]
            if len(blocks) == 1:
                normals = drawn
            else:
                normals[some] = drawn
        normals *= width
        return np.asarray(np.einsum("nak,nk->na", self.features, self.belief.draw(normals)))

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

    def _blocks(self) -> list[tuple[int, Bool[np.ndarray, " n"] | slice]]:
        if not len(self.numbers):
            return []
        block = self.numbers // self.source.size
        first, last = int(block.min()), int(block.max())
        if first == last:
            return [(first, slice(None))]
        blocks = range(first, last + 1) if last - first < len(block) else np.unique(block).tolist()
        return [(one, some) for one in blocks if (some := block == one).any()]


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

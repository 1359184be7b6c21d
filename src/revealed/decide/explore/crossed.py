r"""What is believed of the same candidates in many contexts, by products. Imports its own room and loops.

With features :math:`x_{njk} = \varphi_{j,a(k)}\psi_{n,b(k)}` (:mod:`revealed.models.glm.features.crossing`) the linear
predictor under parameters :math:`\theta` is :math:`\varphi_j^\top W(\theta)\psi_n`, where :math:`W` has
:math:`\theta_k` in its cell :math:`(a(k), b(k))`. For half of the 256 draws of a pool :math:`\varphi W` is computed
once, since the others are as far from the mean on its other side; a context then costs :math:`128 \cdot J \cdot B`
products instead of :math:`256 \cdot J \cdot K`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.draws import members_of
from revealed.decide.explore.outlook import Source, require_finite
from revealed.decide.explore.protocol import Belief
from revealed.engine import loops

#: What contexts hold is below this in size, so that its square is finite; others go the long way, and are refused.
LARGEST = 1e154
#: Scores held at a time, twice: 512 KiB each, which stay in cache from the product to the count.
_AT_ONCE = 1 << 16


class _Pool(NamedTuple):
    """The candidates' part of a pool's linear predictors: of the draws that are no mirror images."""

    draws: Float[np.ndarray, "size K"]
    members: Int[np.ndarray, " size"]
    parts: Float[np.ndarray, "half B actions"]
    #: The same of twice the mean: less what a draw gives it is what its mirror image gives.
    twice: Float[np.ndarray, "B actions"]
    counter: loops.Counter


#: Linear predictors under own draws, and the shares of pools.
_Found = tuple[Float[np.ndarray, "n actions"], Float[np.ndarray, "n actions"]]


@dataclass(eq=False)
class Crossed:
    """Candidates that come again and again, with what was computed of them last.

    Parameters
    ----------
    source : Source
    values : ndarray of float64, shape (actions, A)
    item, context : ndarray of int64, shape (K,)
        The columns of both parts that each parameter belongs to.
    n_columns : int
        Of contexts, :math:`B`.
    allowed : ndarray of bool, shape (actions,), optional
        Which may be shown; all by default.
    """

    source: Source
    values: Float[np.ndarray, "actions A"]
    item: Int[np.ndarray, " K"]
    context: Int[np.ndarray, " K"]
    n_columns: int
    allowed: Bool[np.ndarray, " actions"] | None = None
    _kept: _Pool | None = field(default=None, repr=False)

    def pool(self, belief: Belief, width: float, block: int) -> _Pool:
        """Return the candidates' part for all draws of a pool."""
        draws = self.source.pool(belief, width, block)  # which keeps them, and returns the same array again
        known = self._kept  # read at once: another thread may replace it
        if known is None or known.draws is not draws:
            parts, twice = self.part(draws[: (len(draws) + 1) // 2]), self.part(2 * belief.mean[None])[0]
            members = members_of(self.source.seed, block, self.source.size)
            counter = loops.Counter(parts, len(draws), twice, members, self.allowed)
            known = _Pool(draws, members, parts, twice, counter)
            self._kept = known
        return known

    def chosen(
        self,
        belief: Belief,
        width: float,
        cells: Float[np.ndarray, "n cells"] | array[float],
        numbers: Sequence[int],
        reading: loops.Reading,
    ) -> tuple[list[int], list[float]] | None:
        """Return which is the best under each decision's own draw, and in which share of its pool, by a compiled loop.

        None without that; where a column of a context is no number below 1e154, whose square is finite; and where
        decisions are of more than two pools, or in no order.

        Parameters
        ----------
        belief : Belief
        width : float
        cells : ndarray of float64, shape (n, cells), or as many numbers one after the other
            What contexts are read from.
        numbers : sequence of int
        reading : Reading
        """
        size, n = self.source.size, len(numbers)
        block, last = numbers[0] // size, numbers[-1] // size
        if not block <= last <= block + 1 or min(numbers) < block * size or max(numbers) >= (last + 1) * size:
            return None
        cut = n if block == last else next(at for at, number in enumerate(numbers) if number >= last * size)
        best, shares = list[int](), list[float]()
        for of, start, end in ((block, 0, cut), (last, cut, n)):
            if start < end:
                places = [number - of * size for number in numbers[start:end]]
                found = self.pool(belief, width, of).counter.choose(cells, start, places, reading, LARGEST)
                if found is None:  # also of numbers that are not in order
                    return None
                best += found[0]
                shares += found[1]
        return best, shares

    def part(self, params: Float[np.ndarray, "some K"]) -> Float[np.ndarray, "some B actions"]:
        """Return what contexts are multiplied by to give linear predictors under some parameters."""
        cells = np.zeros((len(params), self.n_columns, self.values.shape[1]))
        cells[:, self.context, self.item] = params
        return np.asarray(cells @ self.values.T)


@dataclass(frozen=True, eq=False)
class CrossedOutlook:
    """The outlook of several decisions on the same candidates.

    Parameters
    ----------
    crossed : Crossed
    belief : Belief
    contexts : ndarray of float64, shape (n, B)
    numbers : ndarray of int64, shape (n,)
    """

    crossed: Crossed
    belief: Belief
    contexts: Float[np.ndarray, "n B"]
    numbers: Int[np.ndarray, " n"]
    _found: dict[float, _Found] = field(default_factory=dict, repr=False)

    @property
    def eligible(self) -> Bool[np.ndarray, "n actions"]:
        """Which may be shown."""
        shape, allowed = (len(self.contexts), len(self.crossed.values)), self.crossed.allowed
        return np.ones(shape, dtype=bool) if allowed is None else np.broadcast_to(allowed, shape)

    def means(self) -> Float[np.ndarray, "n actions"]:
        """Return the mean of each linear predictor."""
        return np.asarray(self.contexts @ self.crossed.part(self.belief.mean[None])[0])

    def deviations(self) -> Float[np.ndarray, "n actions"]:
        """Return the standard deviation of each linear predictor."""
        crossed = self.crossed
        features = crossed.values[:, crossed.item] * self.contexts[:, None, crossed.context]
        require_finite(features)
        variances = self.belief.predictor(features.reshape(-1, features.shape[2]))[1]
        return np.asarray(np.sqrt(variances).reshape(features.shape[:2]))

    def under_draw(self, width: float) -> Float[np.ndarray, "n actions"]:
        """Return the linear predictors under each decision's own draw."""
        return self._counted(width)[0]

    def shares(self, width: float) -> Float[np.ndarray, "n actions"]:
        """Return the shares of the pools."""
        return self._counted(width)[1]

    def _counted(self, width: float) -> _Found:
        """Return what comes from one product of contexts and draws."""
        found = self._found.get(width)
        if found is None:
            found = self._found[width] = self._count(width)
        return found

    def _count(self, width: float) -> _Found:
        n, actions, size = len(self.contexts), len(self.crossed.values), self.crossed.source.size
        own, counts = np.empty((n, actions)), np.empty((n, actions))
        blocks = self.numbers // size
        for block in np.unique(blocks).tolist():
            some = np.flatnonzero(blocks == block)
            own[some], counts[some] = self._of_pool(width, block, some)
        return own, counts / size

    def _of_pool(self, width: float, block: int, some: Int[np.ndarray, " some"]) -> loops.Counted:
        """Return what comes of decisions of one block."""
        pool, size = self.crossed.pool(self.belief, width, block), self.crossed.source.size
        contexts, members = self.contexts[some], pool.members[self.numbers[some] - block * size]
        twice = contexts @ pool.twice
        found = pool.counter.count(contexts, twice, members)
        if found is not None:
            return found
        n, actions = twice.shape
        own, counts, allowed = np.empty((n, actions)), np.empty((n, actions)), self.crossed.allowed
        step = max(1, _AT_ONCE // (size * actions))
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            places = np.arange(part.stop - start)
            drawn = np.matmul(contexts[part], pool.parts)
            scores = np.concatenate([drawn, twice[part] - drawn[: size - len(drawn)]])
            if allowed is not None:
                scores[:, :, ~allowed] = -np.inf
            own[part] = scores[members[part], places]
            highest = scores.argmax(axis=2) + actions * places
            counts[part] = np.bincount(highest.ravel(), minlength=len(places) * actions).reshape(-1, actions)
        return loops.Counted(own, counts)

r"""What is believed of the same candidates in many contexts, by matrix products. Imports its own room and models.

With features :math:`x_{njk} = \varphi_{j,a(k)}\psi_{n,b(k)}` (:mod:`revealed.models.glm.features.crossing`) the linear
predictor under parameters :math:`\theta` is :math:`\varphi_j^\top W(\theta)\psi_n`, where :math:`W` has
:math:`\theta_k` in its cell :math:`(a(k), b(k))`. For the 256 draws of a pool :math:`\varphi W` is computed once; a
context then costs :math:`256 \cdot J \cdot B` products instead of :math:`256 \cdot J \cdot K`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.draws import members_of
from revealed.decide.explore.outlook import Source, require_finite
from revealed.decide.explore.protocol import Belief

#: Scores held at a time: 512 KiB, which stay in cache from the product to the count.
_AT_ONCE = 1 << 16


class _Pool(NamedTuple):
    """The candidates' part of a pool's linear predictors."""

    draws: Float[np.ndarray, "size K"]
    members: Int[np.ndarray, " size"]
    parts: Float[np.ndarray, "B cells"]


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
    """

    source: Source
    values: Float[np.ndarray, "actions A"]
    item: Int[np.ndarray, " K"]
    context: Int[np.ndarray, " K"]
    n_columns: int
    _kept: _Pool | None = field(default=None, repr=False)

    def pool(self, belief: Belief, width: float, block: int) -> _Pool:
        """Return the candidates' part for all draws of a pool."""
        draws = self.source.pool(belief, width, block)  # which keeps them, and returns the same array again
        known = self._kept  # read at once: another thread may replace it
        if known is None or known.draws is not draws:
            cells = np.zeros((self.n_columns, len(draws), self.values.shape[1]))
            cells[self.context, :, self.item] = draws.T
            parts = (cells @ self.values.T).reshape(self.n_columns, -1)
            known = _Pool(draws, members_of(self.source.seed, block, self.source.size), parts)
            self._kept = known
        return known


@dataclass(frozen=True, eq=False)
class CrossedOutlook:
    """The outlook of several decisions on the same candidates.

    Parameters
    ----------
    crossed : Crossed
    belief : Belief
    contexts : ndarray of float64, shape (n, B)
    numbers : ndarray of int64, shape (n,)
    allowed : ndarray of bool, shape (actions,), optional
        Which may be shown; all by default.
    """

    crossed: Crossed
    belief: Belief
    contexts: Float[np.ndarray, "n B"]
    numbers: Int[np.ndarray, " n"]
    allowed: Bool[np.ndarray, " actions"] | None = None

    @cached_property
    def eligible(self) -> Bool[np.ndarray, "n actions"]:
        """Which may be shown."""
        shape = len(self.contexts), len(self.crossed.values)
        return np.ones(shape, dtype=bool) if self.allowed is None else np.broadcast_to(self.allowed, shape)

    def means(self) -> Float[np.ndarray, "n actions"]:
        """Return the mean of each linear predictor."""
        crossed = self.crossed
        cells = np.zeros((crossed.values.shape[1], crossed.n_columns))
        cells[crossed.item, crossed.context] = self.belief.mean
        return np.asarray(self.contexts @ (crossed.values @ cells).T)

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

    def _counted(self, width: float) -> tuple[Float[np.ndarray, "n actions"], Float[np.ndarray, "n actions"]]:
        """Return the linear predictors under own draws and the shares, which come from the same product."""
        if width not in self._found:
            self._found[width] = self._count(width)
        return self._found[width]

    @cached_property
    def _found(self) -> dict[float, tuple[Float[np.ndarray, "n actions"], Float[np.ndarray, "n actions"]]]:
        return {}

    def _count(self, width: float) -> tuple[Float[np.ndarray, "n actions"], Float[np.ndarray, "n actions"]]:
        n, actions, size = len(self.contexts), len(self.crossed.values), self.crossed.source.size
        own, shares = np.empty((n, actions)), np.empty((n, actions))
        blocks = self.numbers // size
        step = max(1, min(n, _AT_ONCE // (size * actions)))
        room = np.empty((step, size * actions))
        for block in np.unique(blocks).tolist():
            pool = self.crossed.pool(self.belief, width, block)
            some = np.flatnonzero(blocks == block)
            for start in range(0, len(some), step):
                part = some[start : start + step]
                products = np.matmul(self.contexts[part], pool.parts, out=room[: len(part)])
                scores = products.reshape(len(part), size, actions)
                if self.allowed is not None:
                    scores[:, :, ~self.allowed] = -np.inf
                own[part] = scores[np.arange(len(part)), pool.members[self.numbers[part] - block * size]]
                best = scores.argmax(axis=2) + actions * np.arange(len(part))[:, None]
                shares[part] = np.bincount(best.ravel(), minlength=len(part) * actions).reshape(-1, actions)
        return own, shares / size

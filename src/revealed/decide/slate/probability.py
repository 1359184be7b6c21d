r"""With which probability a slate was shown: what must be logged to learn from it offline. Imports errors only.

Three probabilities are of use, each to the estimators that lean on the matching assumption
(``revealed.answer.offpolicy.slates``): of the whole slate; of each item and all above it (the prefix); of each item in
its place, whatever stands elsewhere (the marginal).

- :class:`PlackettLuce` draws slates at random by scores: slate and prefix are products, exact; marginals are averages
  of exact conditional probabilities over drawn prefixes.
- :func:`estimate_propensity` serves any other: Thompson draws of the scores that are then re-ranked, by this module's
  greedy or by anything else. It draws again and counts.

Counting :math:`C` times the same in :math:`n` more draws, we say :math:`\hat p = (C + 1)/(n + 1)`: what was shown is
itself a draw. It is never 0, and its inverse, which is what weighting needs, has expectation

.. math:: \operatorname{E} \frac{1}{\hat p} = \frac{1 - (1 - p)^{n+1}}{p},

so weights are too small by the factor :math:`1 - (1-p)^{n+1}` and no more; none exceeds :math:`n + 1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.slate.checks import require_finite, require_length
from revealed.errors import SpecificationError

#: Numbers, and draws of scores, that are in memory at once.
CELLS, AT_ONCE = 4_000_000, 50

#: Posterior draws of the scores: ``draw(rng, n)`` has shape (n, candidates).
Draw = Callable[[np.random.Generator, int], Float[np.ndarray, "draws candidates"]]
#: From scores to the slate: candidates in the order of positions.
Rerank = Callable[[Float[np.ndarray, " candidates"]], Int[np.ndarray, " size"]]


@dataclass(frozen=True)
class SlatePropensity:
    """With which probability a slate was shown, position by position.

    Parameters
    ----------
    slate, slate_error : float
        Of the whole slate, and its standard error; 0 where it is exact.
    prefix, prefix_error : tuple of float
        For each position: of its item and all above. The last is the slate's.
    marginal, marginal_error : tuple of float
        For each position: of its item there, whatever stands elsewhere.
    n_draws : int
        Draws behind the estimates.
    """

    slate: float
    slate_error: float
    prefix: tuple[float, ...]
    prefix_error: tuple[float, ...]
    marginal: tuple[float, ...]
    marginal_error: tuple[float, ...]
    n_draws: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, for the log."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class PlackettLuce:
    r"""Slates drawn at random: each position by a softmax over the candidates left.

    It is the same as sorting scores with Gumbel noise (Plackett 1975; Yellott 1977), so a draw costs one sort.

    Parameters
    ----------
    scores : array, shape (candidates,)
        Of any sign; item :math:`i` comes first with probability :math:`\propto \exp(s_i / \tau)`.
    temperature : float
        :math:`\tau`, above 0: the smaller, the less is left to chance.

    Raises
    ------
    DataError
        If scores are not finite.
    SpecificationError
        If there are no scores or the temperature is not above 0.
    """

    scores: Float[np.ndarray, " candidates"]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise SpecificationError(f"temperature is {self.temperature}; give a finite number above 0")
        if len(self.scores) == 0:
            raise SpecificationError("no candidate is eligible; let some in")
        require_finite(self.scores, "scores")

    def draw(self, rng: np.random.Generator, size: int) -> Int[np.ndarray, " size"]:
        """Return a slate.

        Raises
        ------
        SpecificationError
            If there are fewer candidates than positions.
        """
        return np.asarray(self._draws(rng, size, 1)[0])

    def log_prefix(self, order: Int[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """Return the logarithm of the probability of each item and all above, a sum of log-softmaxes over what is left.

        Parameters
        ----------
        order : array of int, shape (size,)

        Raises
        ------
        SpecificationError
            If an item comes twice or is no candidate.
        """
        _require_slate(order, len(self.scores))
        logits = (self.scores - self.scores.max()) / self.temperature
        rest = np.delete(logits, order)
        # Sums from the bottom: what is left at a position is its item, those below and those not shown.
        below = np.logaddexp.reduce(rest) if len(rest) else -np.inf
        left = np.logaddexp.accumulate(np.concatenate([[below], logits[order][::-1]]))[1:][::-1]
        return np.asarray(np.cumsum(logits[order] - left))

    def propensity(
        self, order: Int[np.ndarray, " size"], rng: np.random.Generator, n_draws: int = 1000
    ) -> SlatePropensity:
        """Return the probabilities of a slate: those of the slate and its prefixes exact, marginals by drawing.

        Parameters
        ----------
        order : array of int, shape (size,)
            What was shown.
        rng : numpy Generator
            For the marginals below the first position.
        n_draws : int
            Drawn prefixes, 2 or more.

        Raises
        ------
        SpecificationError
            If an item comes twice or is no candidate; or fewer than 2 draws are asked for.
        """
        prefix = np.exp(self.log_prefix(order))
        _require_draws(n_draws)
        size = len(order)
        logits = self.scores / self.temperature
        given = np.full((n_draws, size), prefix[0])
        at_once = max(CELLS // len(logits), 1)
        for first in range(0, n_draws if size > 1 else 0, at_once):
            rows = slice(first, min(first + at_once, n_draws))
            above = self._draws(rng, size - 1, rows.stop - first)
            for k in range(1, size):
                given[rows, k] = self._given(above[:, :k], int(order[k]), logits)
        marginal, error = given.mean(axis=0), given.std(axis=0, ddof=1) / np.sqrt(n_draws)
        marginal[0], error[0] = prefix[0], 0.0
        nothing = (0.0,) * size
        slate = float(prefix[-1])
        return SlatePropensity(
            slate, 0.0, tuple(prefix.tolist()), nothing, tuple(marginal.tolist()), tuple(error.tolist()), n_draws
        )

    def _draws(self, rng: np.random.Generator, size: int, n_draws: int) -> Int[np.ndarray, "draws size"]:
        n_candidates = len(self.scores)
        if not 1 <= size <= n_candidates:
            raise SpecificationError(f"a slate of {size} out of {n_candidates} candidates: ask for 1 to {n_candidates}")
        keys = -(self.scores / self.temperature + rng.gumbel(size=(n_draws, n_candidates)))
        first = np.argpartition(keys, size - 1, axis=1)[:, :size]
        return np.asarray(np.take_along_axis(first, np.argsort(np.take_along_axis(keys, first, 1), axis=1), 1))

    def _given(
        self, above: Int[np.ndarray, "draws k"], item: int, logits: Float[np.ndarray, " candidates"]
    ) -> Float[np.ndarray, " draws"]:
        """Return the probability of an item next, given what stands above."""
        left = np.full((len(above), len(logits)), logits)
        np.put_along_axis(left, above, -np.inf, axis=1)
        odds = np.exp(left - left.max(axis=1, keepdims=True))
        return np.asarray(odds[:, item] / odds.sum(axis=1))


def estimate_propensity(
    draw: Draw, rerank: Rerank, shown: Int[np.ndarray, " size"], rng: np.random.Generator, n_draws: int = 500
) -> SlatePropensity:
    """Estimate with which probability a slate was shown, where scores are drawn and then re-ranked.

    Parameters
    ----------
    draw : callable
        ``draw(rng, n)``: scores drawn from the posterior as for a decision, shape (n, candidates).
    rerank : callable
        From the scores of one draw to the slate. Ties must not depend on chance.
    shown : array of int, shape (size,)
        What was shown; drawn with the same two.
    rng : numpy Generator
        Independent of the draw behind what was shown.
    n_draws : int
        Draws in all, 2 or more; ``draw`` is asked for 50 at a time.

    Returns
    -------
    SlatePropensity
        Estimates ``(C + 1) / (n + 1)`` with binomial standard errors.

    Raises
    ------
    SpecificationError
        If an item was shown twice or is no candidate, slates have another length, or fewer than 2 draws are asked for.
    DataError
        If scores drawn are not finite.
    """
    _require_draws(n_draws)
    same = np.empty((n_draws, len(shown)), bool)
    for first in range(0, n_draws, AT_ONCE):
        wanted = min(AT_ONCE, n_draws - first)
        scores = draw(rng, wanted)
        if scores.ndim != 2 or len(scores) != wanted:
            raise SpecificationError(f"draw(rng, {wanted}) has shape {scores.shape}, not ({wanted}, candidates)")
        require_finite(scores.ravel(), "scores drawn")
        _require_slate(shown, scores.shape[1])
        for row, one in enumerate(scores, first):
            slate = rerank(one)
            require_length(slate, len(shown), "a slate drawn", "positions shown")
            same[row] = slate == shown
    prefix, prefix_error = _rates(np.logical_and.accumulate(same, axis=1))
    marginal, marginal_error = _rates(same)
    return SlatePropensity(prefix[-1], prefix_error[-1], prefix, prefix_error, marginal, marginal_error, n_draws)


def _rates(same: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    n_draws = len(same)
    rate = (same.sum(axis=0) + 1.0) / (n_draws + 1.0)
    # Of the rate less the one draw that is known; at 0 or n counts, as if half a draw had been otherwise.
    within = np.clip(rate, 0.5 / n_draws, 1 - 0.5 / n_draws)
    return tuple(rate.tolist()), tuple(np.sqrt(within * (1 - within) / n_draws).tolist())


def _require_draws(n_draws: int) -> None:
    if n_draws < 2:
        raise SpecificationError(f"{n_draws} draws cannot tell a probability; ask for 2 or more, better hundreds")


def _require_slate(order: Int[np.ndarray, " size"], n_candidates: int) -> None:
    if len(order) == 0:
        raise SpecificationError("the slate shows nothing; give at least one item")
    if order.min() < 0 or order.max() >= n_candidates:
        raise SpecificationError(f"the slate names item {order.max()} or {order.min()}, of {n_candidates} candidates")
    if len(np.unique(order)) != len(order):
        raise SpecificationError("the slate shows an item twice; give each once")

r"""Markets under estimated demand: substitution, mark-ups, and prices that firms would set. Imports its own room only.

At prices other than those observed, utility moves by the estimated coefficients of terms that hold the price; the
unobserved quality of each product stays. Equilibrium prices are the fixed point of Morrow and Skerlos (2011,
Operations Research 59(2)), which converges where the iteration :math:`p = c + \eta(p)` need not:

.. math:: p_j - c_j = \frac{1}{\Lambda_j}\Big(\sum_k O_{jk} \Gamma_{jk} (p_k - c_k) - s_j\Big), \quad
   \Lambda_j = \sum_i w_i a_{ij} P_{ij}, \quad \Gamma_{jk} = \sum_i w_i a_{ij} P_{ij} P_{ik}
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError
from revealed.models.blp.batch import Batch, batches
from revealed.models.blp.markets import Markets
from revealed.models.blp.shares import heterogeneity, probabilities
from revealed.models.blp.supply import Pricing


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Prices that no firm would change.

    Parameters
    ----------
    prices, shares : ndarray of float64, shape (N,)
    costs : ndarray of float64, shape (N,)
    residual : float
        The largest first-order condition that is left, in units of share.
    converged : bool
        Whether that is below the tolerance in every market.
    """

    prices: Float[np.ndarray, " N"]
    shares: Float[np.ndarray, " N"]
    costs: Float[np.ndarray, " N"]
    residual: float
    converged: bool

    @property
    def profits(self) -> Float[np.ndarray, " N"]:
        """What each product earns over its costs, for each who could buy."""
        return np.asarray((self.prices - self.costs) * self.shares)


@dataclass(frozen=True, eq=False)
class World:
    """Demand as estimated.

    Parameters
    ----------
    markets : Markets
    random : ndarray of float64, shape (N, K2)
        What has random coefficients, at observed prices.
    draws : ndarray of float64, shape (A, V)
    matrix : ndarray of float64, shape (K2, V)
        Of tastes.
    delta : ndarray of float64, shape (N,)
        Mean utilities at observed prices.
    effect : ndarray of float64, shape (N,)
        What the price does to mean utility.
    random_slopes : ndarray of float64, shape (N, K2)
        What it does to ``random``.
    batches : tuple of Batch
        The markets in batches; made of the rest.
    """

    markets: Markets
    random: Float[np.ndarray, "N K2"]
    draws: Float[np.ndarray, "A V"]
    matrix: Float[np.ndarray, "K2 V"]
    delta: Float[np.ndarray, " N"]
    effect: Float[np.ndarray, " N"]
    random_slopes: Float[np.ndarray, "N K2"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", batches(self.markets, self.random, self.draws))

    batches: tuple[Batch, ...] = ()

    def only(self, market: object) -> World:
        """Return one of the markets alone, under the same demand.

        Raises
        ------
        SpecificationError
            If there is no such market.
        """
        rows, agents = self.markets.rows_of(market), self.markets.agents_of(market)
        return World(
            self.markets.only(market),
            self.random[rows],
            self.draws[agents],
            self.matrix,
            self.delta[rows],
            self.effect[rows],
            self.random_slopes[rows],
        )

    # ---- at some prices -------------------------------------------------------------------------------------------

    def _bought(self, batch: Batch, prices: Float[np.ndarray, "T J"]) -> Float[np.ndarray, "T J I"]:
        """Return probabilities at prices of a batch."""
        rise = prices - batch.padded(self.markets.prices)
        moved = replace(batch, random=batch.random + rise[:, :, None] * self._slopes(batch))
        delta = batch.padded(self.delta) + rise * batch.padded(self.effect)
        return probabilities(batch, delta, heterogeneity(moved, self.matrix))

    def _slopes(self, batch: Batch) -> Float[np.ndarray, "T J K2"]:
        return np.where(batch.present[:, :, None], self.random_slopes[batch.rows], 0.0)

    def _effect(self, batch: Batch, pricing: Pricing) -> Float[np.ndarray, "T J I"]:
        return pricing.price_effect(batch.padded(self.effect), self.matrix)

    def shares(self, prices: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return shares at some prices."""
        found = np.empty_like(self.delta)
        for batch in self.batches:
            bought = self._bought(batch, batch.padded(prices))
            batch.put(found, np.einsum("tji,ti->tj", bought, batch.weights))
        return found

    def price_slopes(self) -> dict[str, Float[np.ndarray, "J J"]]:
        r"""Return for each market :math:`\partial s_k/\partial p_j` at observed prices, rows the price."""
        found: dict[str, np.ndarray] = {}
        firms = np.zeros(len(self.delta), dtype=np.int64)
        for batch in self.batches:
            pricing = Pricing.of(batch, self.random_slopes, firms)
            bought = self._bought(batch, batch.padded(self.markets.prices))
            slopes = pricing.share_slopes(bought, self._effect(batch, pricing))
            for place, market in enumerate(batch.markets):
                size = int(batch.present[place].sum())
                found[self.markets.labels[market]] = slopes[place, :size, :size]
        return {label: found[label] for label in self.markets.labels}

    def elasticities(self) -> dict[str, Float[np.ndarray, "J J"]]:
        """Return price elasticities by market: rows the share that moves, columns the price that moves it."""
        found = {}
        for label, slopes in self.price_slopes().items():
            rows = self.markets.rows_of(label)
            found[label] = slopes.T * self.markets.prices[rows] / self.markets.shares[rows][:, None]
        return found

    def diversion(self) -> dict[str, Float[np.ndarray, "J J"]]:
        """Return where those go who leave a product as its price rises: rows the product left, columns to which.

        On the diagonal stands the outside good, so that rows add to one.
        """
        found = {}
        for label, slopes in self.price_slopes().items():
            ratio = -slopes / np.diag(slopes)[:, None]
            np.fill_diagonal(ratio, 0.0)
            np.fill_diagonal(ratio, 1 - ratio.sum(axis=1))
            found[label] = ratio
        return found

    def surplus(self, prices: Float[np.ndarray, " N"]) -> Float[np.ndarray, " markets"]:
        """Return what each who could buy is better off for the products being there, in units of price, by market.

        Raises
        ------
        SpecificationError
            If the price does not mean the same for all products to an agent, so that utility has no price.
        """
        found = np.empty(len(self.markets))
        for batch in self.batches:
            pricing = Pricing.of(batch, self.random_slopes, np.zeros(len(self.delta), dtype=np.int64))
            worth = self._effect(batch, pricing)
            mean = np.where(batch.present[:, :, None], worth, worth[:, :1, :])
            if np.ptp(mean, axis=1).max() > 1e-9 * np.abs(mean).max():
                raise SpecificationError(
                    "the marginal utility of price differs between products, so surplus has no unit; "
                    "leave interactions of price with products out"
                )
            none = 1 - self._bought(batch, batch.padded(prices)).sum(axis=1)
            found[batch.markets] = (batch.weights * np.log(none) / mean[:, 0, :]).sum(axis=1)
        return found

    # ---- firms ----------------------------------------------------------------------------------------------------

    def markups(self, firms: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return price less marginal cost where firms set observed prices against each other."""
        found = np.empty_like(self.delta)
        for batch in self.batches:
            pricing = Pricing.of(batch, self.random_slopes, firms)
            bought = self._bought(batch, batch.padded(self.markets.prices))
            batch.put(found, pricing.markups(bought, self._effect(batch, pricing), batch.shares))
        return found

    def equilibrium(
        self,
        firms: Int[np.ndarray, " N"],
        costs: Float[np.ndarray, " N"],
        *,
        tolerance: float = 1e-12,
        max_evaluations: int = 5_000,
    ) -> Equilibrium:
        """Return the prices that firms would set, from those observed on."""
        prices, shares = self.markets.prices.copy(), np.empty_like(self.delta)
        worst = 0.0
        for batch in self.batches:
            found, bought, left = self._settled(batch, firms, costs, tolerance, max_evaluations)
            batch.put(prices, found)
            batch.put(shares, np.einsum("tji,ti->tj", bought, batch.weights))
            worst = max(worst, left)
        return Equilibrium(prices, shares, costs, worst, worst < tolerance)

    def _settled(
        self, batch: Batch, firms: Int[np.ndarray, " N"], costs: Float[np.ndarray, " N"], tolerance: float, most: int
    ) -> tuple[Float[np.ndarray, "T J"], Float[np.ndarray, "T J I"], float]:
        pricing = Pricing.of(batch, self.random_slopes, firms)
        effect, cost = self._effect(batch, pricing), batch.padded(costs)
        prices = batch.padded(self.markets.prices)
        for _ in range(most):
            bought = self._bought(batch, prices)
            weighted = batch.weights[:, None, :] * effect * bought
            own = weighted.sum(axis=2)
            rival = pricing.same * (weighted @ bought.swapaxes(1, 2))
            shares = np.einsum("tji,ti->tj", bought, batch.weights)
            wanted = np.einsum("tjk,tk->tj", rival, prices - cost) - shares
            left = float(np.abs(own * (prices - cost) - wanted).max(where=batch.present, initial=0.0))
            if left < tolerance:
                break
            prices = np.where(batch.present, cost + wanted / np.where(batch.present, own, 1.0), prices)
        return prices, bought, left

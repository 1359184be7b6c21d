"""Markets of like size side by side, padded, so that they are computed at once. Imports its own room only.

A batch fits the processor's cache: at most so many cells (markets times products times agents), unless a market alone
has more. Where a market has fewer products or agents than the largest of its batch, its rest is padding: products that
nobody can buy, agents of weight zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.blp.markets import Markets

#: The most cells (markets times products times agents) of a batch.
CELLS = 1 << 17


@dataclass(frozen=True, eq=False)
class Batch:
    """Some markets.

    Parameters
    ----------
    markets : ndarray of int64, shape (T,)
        Their places among all.
    rows : ndarray of int64, shape (T, J)
        The rows of their products; 0 where padding.
    present : ndarray of bool, shape (T, J)
    weights : ndarray of float64, shape (T, I)
        Of agents; 0 where padding.
    random : ndarray of float64, shape (T, J, K2)
        What has random coefficients; 0 where padding.
    draws : ndarray of float64, shape (T, I, V)
        Nodes and demographics of agents.
    shares : ndarray of float64, shape (T, J)
        1 where padding.
    """

    markets: Int[np.ndarray, " T"]
    rows: Int[np.ndarray, "T J"]
    present: Bool[np.ndarray, "T J"]
    weights: Float[np.ndarray, "T I"]
    random: Float[np.ndarray, "T J K2"]
    draws: Float[np.ndarray, "T I V"]
    shares: Float[np.ndarray, "T J"]

    def padded(self, values: Float[np.ndarray, " N"], padding: float = 0.0) -> Float[np.ndarray, "T J"]:
        """Return a column of the products market by market."""
        return np.where(self.present, values[self.rows], padding)

    def put(self, target: Float[np.ndarray, "N ..."], values: Float[np.ndarray, "T J ..."]) -> None:
        """Write values of these markets to a column of all products."""
        target[self.rows[self.present]] = values[self.present]


def batches(
    markets: Markets, random: Float[np.ndarray, "N K2"], draws: Float[np.ndarray, "A V"], cells: int = CELLS
) -> tuple[Batch, ...]:
    """Return all markets in batches, those of like size together."""
    n_markets = len(markets)
    products = np.bincount(markets.market, minlength=n_markets)
    agents = np.bincount(markets.agent_market, minlength=n_markets)
    by_market = np.argsort(markets.market, kind="stable")
    agents_by_market = np.argsort(markets.agent_market, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(products)])
    agent_firsts = np.concatenate([[0], np.cumsum(agents)])
    found: list[Batch] = []
    for some in _grouped(products, agents, cells):
        rows, present = _table(by_market, firsts, products, some)
        people, there = _table(agents_by_market, agent_firsts, agents, some)
        found.append(
            Batch(
                some,
                rows,
                present,
                np.where(there, markets.weights[people], 0.0),
                np.where(present[:, :, None], random[rows], 0.0),
                np.where(there[:, :, None], draws[people], 0.0),
                np.where(present, markets.shares[rows], 1.0),
            )
        )
    return tuple(found)


def _grouped(products: Int[np.ndarray, " T"], agents: Int[np.ndarray, " T"], cells: int) -> list[Int[np.ndarray, " S"]]:
    groups: list[list[int]] = []
    widest = 0
    for market in np.lexsort((products, agents)):
        wide = max(widest, int(products[market])) * int(agents[market])
        if not groups or wide * (len(groups[-1]) + 1) > cells:
            groups.append([])
            widest = 0
        groups[-1].append(int(market))
        widest = max(widest, int(products[market]))
    return [np.array(group, dtype=np.int64) for group in groups]


def _table(
    order: Int[np.ndarray, " rows"],
    firsts: Int[np.ndarray, " F"],
    sizes: Int[np.ndarray, " T"],
    some: Int[np.ndarray, " S"],
) -> tuple[Int[np.ndarray, "S width"], Bool[np.ndarray, "S width"]]:
    """Return the rows of some markets side by side, and which of them are there."""
    across = np.arange(sizes[some].max())
    there = across < sizes[some][:, None]
    return np.where(there, order[np.where(there, firsts[some][:, None] + across, 0)], 0), there

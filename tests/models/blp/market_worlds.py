"""Markets with known tastes and costs, whose prices are an equilibrium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from revealed.models.blp import Blp, Markets, World

MODEL = Blp(
    "1 + prices + quality",
    "1 + prices + quality",
    "income",
    costs="1 + quality + steel",
    steps=2,
)
TRUTH = {
    "sigma[1]": 0.8,
    "sigma[quality]": 0.5,
    "pi[prices, income]": 0.4,
    "beta[prices]": -2.0,
    "beta[1]": 1.0,
    "beta[quality]": 1.5,
    "gamma[1]": 1.0,
    "gamma[quality]": 0.4,
    "gamma[steel]": 0.5,
}
STARTS: dict[str, Any] = {"sigma": {"1": 0.5, "quality": 0.3}, "pi": {"prices": {"income": 0.2}}}


def made(
    seed: int, n_markets: int = 60, n_agents: int = 60, noise: float = 0.3
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return products and agents; markets have 4 to 9 products of 2 to 3 firms."""
    random = np.random.default_rng(seed)
    sizes = random.integers(4, 10, n_markets)
    n = int(sizes.sum())
    market = np.repeat(np.arange(n_markets), sizes)
    agents = n_agents + random.integers(0, 3, n_markets)
    people = np.repeat(np.arange(n_markets), agents)
    quality, steel = random.uniform(0, 2, n), random.uniform(0, 2, n)
    firm = random.integers(0, 3, n)
    xi, omega = noise * random.standard_normal((2, n))
    costs = 1.0 + 0.4 * quality + 0.5 * steel + omega
    draws = {
        "market_ids": people,
        "nodes0": random.standard_normal(len(people)),
        "nodes1": random.standard_normal(len(people)),
        "income": random.uniform(-1, 1, len(people)),
    }
    first = costs + 0.5
    rivals = [np.bincount(market, column, n_markets)[market] - column for column in (quality, steel)]
    mine = [_of_firm(column, market, firm) - column for column in (quality, np.ones(n))]
    products: dict[str, Any] = {
        "market_ids": market,
        "firm_ids": firm,
        "shares": np.full(n, 0.01),
        "prices": first,
        "quality": quality,
        "steel": steel,
        "demand_instruments0": steel,
        "demand_instruments1": rivals[0],
        "demand_instruments2": rivals[1],
        "demand_instruments3": mine[0],
        "demand_instruments4": mine[1],
        "demand_instruments5": quality**2,
        "demand_instruments6": steel * quality,
        "demand_instruments7": steel**2,
        "supply_instruments0": rivals[0],
        "supply_instruments1": mine[0],
        "supply_instruments2": mine[1],
        "supply_instruments3": rivals[1],
    }
    markets = Markets.read(products, draws)
    matrix = np.array([[0.8, 0.0, 0.0], [0.0, 0.0, 0.4], [0.0, 0.5, 0.0]])
    world = World(
        markets,
        np.column_stack([np.ones(n), first, quality]),
        np.column_stack([draws["nodes0"], draws["nodes1"], draws["income"]]),
        matrix,
        1.0 - 2.0 * first + 1.5 * quality + xi,
        np.full(n, -2.0),
        np.column_stack([np.zeros(n), np.ones(n), np.zeros(n)]),
    )
    settled = world.equilibrium(firm, costs)
    assert settled.converged
    return products | {"prices": settled.prices, "shares": settled.shares}, draws


def _of_firm(column: np.ndarray, market: np.ndarray, firm: np.ndarray) -> np.ndarray:
    codes = market * 3 + firm
    return np.asarray(np.bincount(codes, column)[codes])


def simple(model: Blp = MODEL) -> Blp:
    """Return the model without supply."""
    return replace(model, costs="")

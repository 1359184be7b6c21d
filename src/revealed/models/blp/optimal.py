r"""Instruments that are optimal given a first fit: the expected slopes of the errors. Imports its own room only.

Chamberlain (1987): the best instruments are :math:`E[\partial(\xi, \omega)/\partial\theta \mid z]\, \Omega^{-1}`, with
:math:`\Omega` the covariance of the errors. The expectation is approximated at errors of zero, their mean (Berry,
Levinsohn and Pakes 1999; Reynaert and Verboven 2014): at the prices that firms would then set, or without a supply side
at those that a regression on the instruments gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from revealed.models.blp.markets import Markets

if TYPE_CHECKING:
    from revealed.models.blp.fit import BlpFit


def optimal_instruments(fit: BlpFit) -> Markets:
    """Return the markets with the instruments replaced by those that are optimal at a fit, approximately.

    Fit the model to them again, from the estimates: ``model.fit(markets, sigma=fit.sigma, pi=fit.pi)``.
    """
    expected = _expected(fit)
    linear, _ = fit.model.terms()
    problem = fit.model.problem(expected, fit.sigma, fit.pi)
    slopes = problem.slopes(problem.at(fit.point.params))
    if fit.omega is None:
        moves = np.array(linear.depend_on("prices", "shares"), dtype=bool)
        demand = np.hstack([slopes[0], -expected.values(linear)[:, moves]])
        return _with(fit.markets, demand, np.zeros((len(demand), 0)))
    weights = np.linalg.inv(np.cov(fit.xi, fit.omega))
    demand, supply = (weights[side, 0] * slopes[0] + weights[side, 1] * slopes[1] for side in (0, 1))
    return _with(fit.markets, demand, supply)


def _expected(fit: BlpFit) -> Markets:
    """Return the markets as they would be without errors: prices and shares."""
    markets, problem = fit.markets, fit.problem
    world = replace(fit.world, delta=fit.delta - fit.xi)
    if fit.omega is not None:
        assert problem.costs is not None
        left = fit.point.left[1][:, 0] - fit.omega
        costs = np.exp(left) if problem.costs.log else left
        settled = world.equilibrium(problem.costs.firms, costs)
        prices, shares = settled.prices, settled.shares
    else:
        side = problem.moments.sides[0]
        removed = side.effects.removed(markets.prices[:, None])
        fitted = side.instruments @ np.linalg.lstsq(side.instruments, removed, rcond=None)[0]
        prices = markets.prices + (fitted - removed)[:, 0]
        shares = world.shares(prices)
    products = {name: markets.products.column(name) for name in markets.products.column_names}
    return Markets.read(products | {"prices": pa.array(prices), "shares": pa.array(shares)}, markets.agents)


def _with(markets: Markets, demand: Float[np.ndarray, "N M"], supply: Float[np.ndarray, "N L"]) -> Markets:
    """Return the markets with other instruments; columns that are zero throughout say nothing and are left out."""
    old = {name for side in ("demand", "supply") for name in markets.instruments(side)[0]}
    products = {name: markets.products.column(name) for name in markets.products.column_names if name not in old}
    for side, columns in (("demand", demand), ("supply", supply)):
        kept = columns[:, np.abs(columns).max(axis=0) > 0] if columns.size else columns
        products |= {f"{side}_instruments{place}": pa.array(column) for place, column in enumerate(kept.T)}
    return Markets.read(products, markets.agents)

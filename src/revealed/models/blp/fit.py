"""A fitted demand on markets: estimates, how sure they are, and what follows from them. Imports models and evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from revealed.doors import door
from revealed.errors import SpecificationError, nearest
from revealed.evidence import Status
from revealed.files import load_saved, write_whole
from revealed.models.blp.markets import Markets
from revealed.models.blp.optimal import optimal_instruments
from revealed.models.blp.problem import Point, Problem, solved_for
from revealed.models.blp.world import Equilibrium, World

if TYPE_CHECKING:
    from revealed.models.blp.model import Blp


@dataclass(frozen=True, eq=False, repr=False)
class BlpFit:
    """Demand (and supply) estimated on markets.

    Parameters
    ----------
    model : Blp
    problem : Problem
        The model read against the markets.
    point : Point
        Mean utilities and mark-ups at the estimates.
    names : tuple of str
        ``sigma[…]``, ``pi[…]``, ``beta[…]``, ``gamma[…]``.
    params : ndarray of float64, shape (K,)
    covariance : ndarray of float64, shape (K, K)
        Robust, or clustered if the model says so.
    xi, omega : ndarray of float64, shape (N,)
        The structural errors of demand and supply; ``omega`` is None without supply.
    objective : float
        The GMM objective at the estimates, times the number of products.
    objectives : tuple of float
        The objective at the end of each step.
    n_moments : int
        The instruments, of both sides, that are linearly independent.
    status : Status
    """

    model: Blp
    problem: Problem
    point: Point
    names: tuple[str, ...]
    params: Float[np.ndarray, " K"]
    covariance: Float[np.ndarray, "K K"]
    xi: Float[np.ndarray, " N"]
    omega: Float[np.ndarray, " N"] | None
    objective: float
    objectives: tuple[float, ...]
    n_moments: int
    status: Status

    @property
    def markets(self) -> Markets:
        """The markets it was fitted to."""
        return self.problem.markets

    @property
    def estimates(self) -> dict[str, float]:
        """The estimates by name."""
        return {name: float(value) for name, value in zip(self.names, self.params, strict=True)}

    def __getitem__(self, name: str) -> float:
        """Return one estimate by name."""
        return float(self.params[self.index(name)])

    def index(self, name: str) -> int:
        """Return the place of a parameter.

        Raises
        ------
        SpecificationError
            If there is none of that name.
        """
        if name not in self.names:
            raise SpecificationError(f"no parameter {name!r}; {nearest(name, self.names)}")
        return self.names.index(name)

    def standard_errors(self) -> Float[np.ndarray, " K"]:
        """Return standard errors; NaN where the moments cannot tell a parameter."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def delta(self) -> Float[np.ndarray, " N"]:
        """Mean utilities."""
        return self.point.delta

    @property
    def sigma(self) -> Float[np.ndarray, "K2 K2"]:
        """The matrix of random coefficients: rows their terms, columns independent draws."""
        tastes = self.problem.tastes
        whole = np.zeros((len(tastes.random),) * 2)
        whole[:, list(tastes.draws)] = self._matrix[:, : len(tastes.draws)]
        return whole

    @property
    def pi(self) -> Float[np.ndarray, "K2 D"]:
        """How random coefficients move with demographics."""
        return np.asarray(self._matrix[:, len(self.problem.tastes.draws) :])

    @property
    def _matrix(self) -> Float[np.ndarray, "K2 V"]:
        return self.problem.split(self.point.params)[0]

    # ---- what follows ---------------------------------------------------------------------------------------------

    @cached_property
    def world(self) -> World:
        """The markets under the estimated demand.

        Raises
        ------
        SpecificationError
            If a term is not linear in prices.
        """
        return self._world(self.params, self.delta)

    def world_at(self, params: Float[np.ndarray, " K"], market: object = None) -> World:
        """Return the markets under demand with other parameters: mean utilities are those that give the shares seen.

        Parameters
        ----------
        params : ndarray of float64, shape (K,)
            In the order of ``names``.
        market : object, optional
            The market wanted, as in ``market_ids``: it alone is solved. By default all.

        Raises
        ------
        SpecificationError
            If there is no such market.
        """
        searched = params[: len(self.point.params)]
        if market is not None:
            return self._alone_at(params, market, solved=np.array_equal(searched, self.point.params))
        if np.array_equal(searched, self.point.params):
            return self._world(params, self.delta)
        return self._world(params, self.problem.mean_utilities(searched, self.delta))

    def _alone_at(self, params: Float[np.ndarray, " K"], market: object, *, solved: bool) -> World:
        """Return one market under demand with other parameters; ``solved`` if mean utilities stay as they are."""
        label, rows = str(market), self.markets.rows_of(market)
        if label not in self._alone:
            self._alone[label] = self.world.only(label)
        matrix = self.problem.split(params[: len(self.point.params)])[0]
        world = replace(self._alone[label], matrix=matrix, effect=self._effect(params, rows))
        if solved:
            return world
        delta = solved_for(world.batches, matrix, world.delta, self.problem.contraction)
        return replace(world, delta=delta)

    @cached_property
    def _alone(self) -> dict[str, World]:
        """Single markets that were asked for, under the estimated demand."""
        return {}

    def _world(self, params: Float[np.ndarray, " K"], delta: Float[np.ndarray, " N"]) -> World:
        problem = self.problem
        matrix = problem.split(params[: len(self.point.params)])[0]
        effect = self._effect(params, slice(None))
        return World(self.markets, problem.random, problem.draws, matrix, delta, effect, self._slopes[1])

    def _effect(self, params: Float[np.ndarray, " K"], rows: Int[np.ndarray, " J"] | slice) -> Float[np.ndarray, " J"]:
        """Return what the price does to mean utility of some products."""
        moving, places = self._priced
        return np.asarray(self._slopes[0][rows][:, moving] @ params[places])

    @cached_property
    def _priced(self) -> tuple[Int[np.ndarray, " terms"], Int[np.ndarray, " terms"]]:
        """Which terms of mean utility hold the price, and where their coefficients are among the parameters."""
        linear, _ = self.model.terms()
        moving = np.flatnonzero(linear.depend_on("prices"))
        return moving, np.array([self.index(f"beta[{linear.names[k]}]") for k in moving], dtype=np.int64)

    @cached_property
    def _slopes(self) -> tuple[Float[np.ndarray, "N K1"], Float[np.ndarray, "N K2"]]:
        """How terms of mean utility and those with random coefficients move with the price."""
        linear, random = self.model.terms()
        return self.markets.slopes(linear), self.markets.slopes(random)

    def elasticities(self) -> dict[str, Float[np.ndarray, "J J"]]:
        """Return price elasticities by market: rows the share, columns the price; see :class:`World`."""
        return self.world.elasticities()

    def own_elasticities(self) -> Float[np.ndarray, " N"]:
        """Return the elasticity of each product's share to its own price, in the order of the products."""
        found = np.empty(len(self.delta))
        for label, matrix in self.elasticities().items():
            found[self.markets.rows_of(label)] = np.diag(matrix)
        return found

    def diversion(self) -> dict[str, Float[np.ndarray, "J J"]]:
        """Return diversion ratios by market: rows the product left, columns to which; the outside on the diagonal."""
        return self.world.diversion()

    def costs(self, firms: Mapping[object, object] | str = "firm_ids") -> Float[np.ndarray, " N"]:
        """Return marginal costs: prices less mark-ups."""
        return np.asarray(self.markets.prices - self.world.markups(self.owners(firms)))

    def markups(self, firms: Mapping[object, object] | str = "firm_ids") -> Float[np.ndarray, " N"]:
        """Return mark-ups as a share of price, (p - c) / p, the Lerner index."""
        return np.asarray(self.world.markups(self.owners(firms)) / self.markets.prices)

    def merger(
        self, into: Mapping[object, object] | str, *, costs: Float[np.ndarray, " N"] | None = None
    ) -> Equilibrium:
        """Return the prices and shares after a change of who owns what.

        Parameters
        ----------
        into : mapping or str
            ``{firm: the firm that takes it over}``, by ``firm_ids``; or a column of the products with the new owners.
            Who is taken over brings what it took over: ``{1: 2, 2: 3}`` makes one firm of 1, 2 and 3.
        costs : ndarray of float64, shape (N,), optional
            Marginal costs after it; by default those of before.

        Raises
        ------
        SpecificationError
            For a firm or column that is not there, or firms that take over each other.
        """
        before = self.costs()
        return self.world.equilibrium(self.owners(into), before if costs is None else costs)

    def surplus(self, prices: Float[np.ndarray, " N"] | None = None) -> Float[np.ndarray, " markets"]:
        """Return consumer surplus of each who could buy, by market, in units of price."""
        return self.world.surplus(self.markets.prices if prices is None else prices)

    def optimal_instruments(self) -> Markets:
        """Return the markets with optimal instruments: :func:`revealed.models.blp.optimal.optimal_instruments`."""
        return optimal_instruments(self)

    def owners(self, firms: Mapping[object, object] | str) -> Int[np.ndarray, " N"]:
        """Return who owns each product, as codes: a column, or ``firm_ids`` after a change; see :meth:`merger`."""
        if isinstance(firms, str):
            return self.markets.ids(firms)
        codes = self.markets.ids("firm_ids")
        labels = self.markets.labels_of("firm_ids")
        for name in (*firms, *firms.values()):
            if str(name) not in labels:
                raise SpecificationError(f"no firm {str(name)!r} in firm_ids; {nearest(str(name), labels)}")
        takers = {str(taken): str(taker) for taken, taker in firms.items()}
        owner = [labels.index(_last_taker(label, takers)) for label in labels]
        return np.asarray(np.array(owner, dtype=np.int64)[codes])

    # ---- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fit to a JSON file with its markets, whole or not at all."""
        from revealed.models.blp.saved import data_of

        return write_whole(path, json.dumps(data_of(self), ensure_ascii=False, allow_nan=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BlpFit:
        """Read a fit from a JSON file; no code in it is ever run.

        Raises
        ------
        DataError
            If the file cannot be read, or parts of it are missing or spoiled.
        RevealedError
            If it holds something else, or a newer version's fit.
        """
        from revealed.models.blp.saved import fit_of

        return load_saved(path, fit_of, "give a file that fit.save(path) or revealed blp --out wrote")

    # ---- words ----------------------------------------------------------------------------------------------------

    def summary(self, *, level: float = 0.95) -> Any:
        """Return the summary: :func:`revealed.report.markets.summarise_markets`."""
        return door("market_summary")(self, level=level)

    def __str__(self) -> str:
        return str(door("text")(self.summary()))

    def _repr_html_(self) -> str:
        return str(door("html")(self.summary()))

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.4g}" for name, value in self.estimates.items())
        ending = "" if self.status.sound else "; NOT SOUND: " + "; ".join(self.status.messages())
        return f"BlpFit({told}; objective {self.objective:.4f}{ending})"


def _last_taker(firm: str, takers: Mapping[str, str]) -> str:
    """Return who owns a firm in the end, where who takes it over may be taken over as well."""
    chain = [firm]
    while (taker := takers.get(chain[-1], chain[-1])) != chain[-1]:
        if taker in chain:
            told = " by ".join([*chain, taker])
            raise SpecificationError(
                f"firms that take over each other ({told}) leave nobody who owns them; to swap products, give a "
                "column of the products with the new owners"
            )
        chain.append(taker)
    return chain[-1]

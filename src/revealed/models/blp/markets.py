"""Markets as shares and prices of products, with the agents who stand for their customers. Imports choices.

The layout is that of pyblp: a row of ``products`` is a product in a market, a row of ``agents`` a customer drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from revealed.choices.kinds import as_numbers, holds_numbers
from revealed.choices.tables import as_table, lookup_in
from revealed.errors import ColumnError, DataError, Problem, SpecificationError, nearest
from revealed.models.blp.terms import LARGEST, Lookup, Terms

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


@dataclass(frozen=True, eq=False, repr=False)
class Markets:
    """Products with their shares in each market, and agents.

    Parameters
    ----------
    products : pyarrow.Table
        A row for each product in a market: ``market_ids``, ``shares``, ``prices``; ``firm_ids`` for mark-ups,
        ``clustering_ids`` for clustered errors; ``demand_instruments0`` … and ``supply_instruments0`` …; what the
        formulas name.
    agents : pyarrow.Table
        A row for each agent in a market: ``market_ids``, ``nodes0`` … (independent draws for the random coefficients,
        one column for each), ``weights`` (by default all equal), demographics.
    labels : tuple of str
        The markets, in the order of the products.
    market : ndarray of int64, shape (N,)
        The market of each product, as its place in ``labels``.
    agent_market : ndarray of int64, shape (A,)
    shares, prices : ndarray of float64, shape (N,)
        Shares of all who could buy: what they leave of one is the outside good.
    weights : ndarray of float64, shape (A,)
    nodes : ndarray of float64, shape (A, nodes)
    """

    products: pa.Table
    agents: pa.Table
    labels: tuple[str, ...]
    market: Int[np.ndarray, " N"]
    agent_market: Int[np.ndarray, " A"]
    shares: Float[np.ndarray, " N"]
    prices: Float[np.ndarray, " N"]
    weights: Float[np.ndarray, " A"]
    nodes: Float[np.ndarray, "A nodes"]

    @classmethod
    def read(cls, products: Any, agents: Any = None) -> Markets:
        """Read both tables from whatever :func:`revealed.read` takes: files, frames, dicts of columns.

        Without agents there is one in each market, for demand without random coefficients.

        Raises
        ------
        DataError
            With every problem found: a column that is not there, shares that are zero or add to one, a market
            without agents.
        """
        product_table, _ = as_table(products)
        _require(product_table, "products", ("market_ids", "shares", "prices"))
        if agents is None:
            agents = {"market_ids": pc.unique(product_table.column("market_ids"))}
        agent_table, _ = as_table(agents)
        _require(agent_table, "agents", ("market_ids",))
        _require_rows(product_table, "products")
        labels, market = _codes(product_table, "market_ids")
        _require_products_once(product_table, market)
        agent_labels, agent_codes = _codes(agent_table, "market_ids", "agents")
        places = {label: place for place, label in enumerate(labels)}
        of_market = np.array([places.get(label, -1) for label in agent_labels], dtype=np.int64)[agent_codes]
        if (of_market < 0).any():  # agents of other markets than those of the products
            agent_table = agent_table.filter(pa.array(of_market >= 0))
            of_market = of_market[of_market >= 0]
        shares, prices = _numbers(product_table, "shares"), _numbers(product_table, "prices")
        _check_shares(shares, market, labels)
        _check_agents(of_market, labels)
        if "firm_ids" in product_table.column_names:
            _codes(product_table, "firm_ids")  # refuses those that are missing, before anything is estimated
        nodes = [_numbers(agent_table, name, "agents") for name in _series(agent_table, "nodes")]
        read = np.column_stack(nodes) if nodes else np.zeros((agent_table.num_rows, 0))
        weights = _weights(agent_table, of_market, len(labels))
        return cls(product_table, agent_table, labels, market, of_market, shares, prices, weights, read)

    def __len__(self) -> int:
        """Return how many markets there are."""
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Markets({len(self):,} markets, {len(self.shares):,} products, {len(self.weights):,} agents)"

    @cached_property
    def outside(self) -> Float[np.ndarray, " markets"]:
        """The share of each market that buys nothing here."""
        return np.asarray(1 - np.bincount(self.market, self.shares, len(self)))

    def only(self, label: object) -> Markets:
        """Return one of the markets alone.

        Raises
        ------
        SpecificationError
            If there is no such market.
        """
        rows, agents = self.rows_of(label), self.agents_of(label)
        return Markets(
            self.products.take(pa.array(rows)),
            self.agents.take(pa.array(agents)),
            (str(label),),
            np.zeros(len(rows), dtype=np.int64),
            np.zeros(len(agents), dtype=np.int64),
            self.shares[rows],
            self.prices[rows],
            self.weights[agents],
            self.nodes[agents],
        )

    def numbers(self, name: str) -> Float[np.ndarray, " N"]:
        """Return a column of the products as numbers."""
        _require(self.products, "products", (name,))
        return _numbers(self.products, name)

    def ids(self, name: str) -> Int[np.ndarray, " N"]:
        """Return a column of the products as codes.

        Raises
        ------
        ColumnError
            If it is not there.
        """
        _require(self.products, "products", (name,))
        return _codes(self.products, name)[1]

    def labels_of(self, name: str) -> tuple[str, ...]:
        """Return the labels of the codes that :meth:`ids` gives."""
        _require(self.products, "products", (name,))
        return _codes(self.products, name)[0]

    def instruments(self, side: str) -> tuple[tuple[str, ...], Float[np.ndarray, "N instruments"]]:
        """Return names and columns of the instruments ``"demand"`` or ``"supply"``."""
        names = _series(self.products, f"{side}_instruments")
        if not names:
            return (), np.zeros((len(self.shares), 0))
        return names, np.column_stack([_numbers(self.products, name) for name in names])

    def values(self, terms: Terms, table: str = "products") -> Float[np.ndarray, "rows K"]:
        """Return the columns of a formula over ``products`` or ``agents``."""
        data = getattr(self, table)
        return terms.values(self._lookup(table), data.num_rows, table)

    def slopes(self, terms: Terms) -> Float[np.ndarray, "N K"]:
        """Return how the columns of a formula over products move with the price."""
        return terms.slopes(self._lookup("products"), len(self.shares))

    def _lookup(self, table: str) -> Lookup:
        return lookup_in(getattr(self, table), table)

    def rows_of(self, label: object) -> Int[np.ndarray, " J"]:
        """Return the rows of the products of a market.

        Raises
        ------
        SpecificationError
            If there is no such market.
        """
        return np.flatnonzero(self.market == self._place(label))

    def agents_of(self, label: object) -> Int[np.ndarray, " I"]:
        """Return the rows of the agents of a market; see :meth:`rows_of`."""
        return np.flatnonzero(self.agent_market == self._place(label))

    def _place(self, label: object) -> int:
        if str(label) not in self.labels:
            raise SpecificationError(f"no market {str(label)!r}; {nearest(str(label), self.labels)}")
        return self.labels.index(str(label))


def _require(table: pa.Table, source: str, names: tuple[str, ...]) -> None:
    known = table.column_names
    problems = [Problem(f"no column {name!r}", nearest(name, known)) for name in names if name not in known]
    if problems:
        raise ColumnError(source, problems)


def _series(table: pa.Table, stem: str) -> tuple[str, ...]:
    """Return the columns ``stem0``, ``stem1`` …, in the order of their numbers."""
    found = [name for name in table.column_names if re.fullmatch(rf"{stem}\d+", name)]
    return tuple(sorted(found, key=lambda name: int(name[len(stem) :])))


def _require_rows(table: pa.Table, source: str) -> None:
    if not table.num_rows:
        raise DataError(source, [Problem("the table has no rows", "check that it was written in full")])


def _require_products_once(table: pa.Table, market: Int[np.ndarray, " N"]) -> None:
    """Refuse a product that stands in a market twice, where ``product_ids`` tell."""
    if "product_ids" not in table.column_names:
        return
    product = _codes(table, "product_ids")[1]
    _, first, place = np.unique(market * (product.max() + 1) + product, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place.reshape(-1)] != np.arange(len(market)))
    if len(again):
        rows = tuple(int(row) + 1 for row in again[:5])
        problem = Problem("a product stands in a market twice", "keep one row", "product_ids", rows, count=len(again))
        raise DataError("products", [problem])


def _codes(table: pa.Table, name: str, source: str = "products") -> tuple[tuple[str, ...], Int[np.ndarray, " rows"]]:
    encoded = pc.dictionary_encode(table.column(name).cast(pa.string()).combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if encoded.null_count:
        missing = np.flatnonzero(np.asarray(encoded.is_null()))
        rows = tuple(int(row) + 1 for row in missing[:5])
        raise DataError(source, [Problem("an id is missing", "give every row its ids", name, rows, count=len(missing))])
    return tuple(encoded.dictionary.to_pylist()), np.asarray(encoded.indices).astype(np.int64)


def _numbers(table: pa.Table, name: str, source: str = "products") -> Float[np.ndarray, " rows"]:
    column = table.column(name)
    what, remedy = "missing or not finite", f"drop these rows, or take a unit in which numbers are below {LARGEST:g}"
    if not holds_numbers(column.type):
        text = column.cast(pa.string())
        bad = np.flatnonzero(~np.asarray(pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)))
        shown = ", ".join(dict.fromkeys(str(cell) for cell in text.take(pa.array(bad[:5])).to_pylist()))
        what, remedy = f"holds labels, not numbers: {shown}" if shown else "holds labels, not numbers", "give numbers"
    else:
        values = as_numbers(column).astype(np.float64)
        bad = np.flatnonzero(~(np.abs(values) < LARGEST))
        if not len(bad):
            return values
    rows = tuple(int(row) + 1 for row in bad[:5])
    raise DataError(source, [Problem(what, remedy, where=name, rows=rows, count=len(bad))])


def _check_shares(shares: Float[np.ndarray, " N"], market: Int[np.ndarray, " N"], labels: tuple[str, ...]) -> None:
    problems = []
    rows = np.flatnonzero(shares <= 0)
    if len(rows):
        told = tuple(dict.fromkeys(labels[place] for place in market[rows]))
        problems.append(
            Problem(
                f"a share is zero or less, in market{'s' if len(told) > 1 else ''} {', '.join(told[:5])}",
                "drop products that nobody bought, or pool markets or periods until each is bought",
                where="shares",
                rows=tuple(int(row) + 1 for row in rows[:5]),
                count=len(rows),
            )
        )
    totals = np.bincount(market, shares, len(labels))
    full = np.flatnonzero(totals >= 1)
    if len(full):
        told = tuple(f"{labels[place]} ({totals[place]:.3f})" for place in full[:5])
        problems.append(
            Problem(
                f"shares add to one or more, in market{'s' if len(told) > 1 else ''} {', '.join(told)}",
                "divide sales by all who could buy, not by those who did: the outside good needs a share",
                where="shares",
                count=len(full),
            )
        )
    if problems:
        raise DataError("products", problems)


def _check_agents(agent_market: Int[np.ndarray, " A"], labels: tuple[str, ...]) -> None:
    without = np.flatnonzero(np.bincount(agent_market, minlength=len(labels)) == 0)
    if len(without):
        told = ", ".join(labels[place] for place in without[:5])
        problem = Problem(f"no agents in {len(without):,} markets: {told}", "draw agents for each market")
        raise DataError("agents", [problem])


def _weights(table: pa.Table, market: Int[np.ndarray, " A"], n_markets: int) -> Float[np.ndarray, " A"]:
    """Return the weights of agents as they are; without any, equal ones that add to one in each market."""
    if "weights" not in table.column_names:
        return np.asarray(1 / np.bincount(market, minlength=n_markets)[market])
    weights = _numbers(table, "weights", "agents")
    if (weights < 0).any():
        rows = tuple(int(row) + 1 for row in np.flatnonzero(weights < 0)[:5])
        raise DataError("agents", [Problem("a weight is negative", "give weights of zero or more", "weights", rows)])
    return weights

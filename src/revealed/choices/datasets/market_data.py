"""Shares and prices of products in markets, for demand without single choices. Imports nothing of ours.

``markets/README.md`` beside this file tells where they come from, under which licence, and what the columns are.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

_HERE = Path(__file__).parent / "markets"


class MarketTables(NamedTuple):
    """A table with a row for each product in a market, and one with a row for each agent."""

    products: pa.Table
    agents: pa.Table


def automobiles() -> MarketTables:
    """Return 2,217 models of cars sold in the United States in 20 years, after Berry, Levinsohn and Pakes."""
    return _tables("automobile")


def cereals() -> MarketTables:
    """Return 24 cereals in 94 markets, made by Nevo to resemble real ones."""
    return _tables("cereal")


def _tables(name: str) -> MarketTables:
    return MarketTables(*(pa_csv.read_csv(_HERE / f"{name}_{table}.csv.gz") for table in MarketTables._fields))

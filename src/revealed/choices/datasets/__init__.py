"""Real choices that come with the package, each with its data card and its licence. Imports its own room only.

>>> from revealed import datasets
>>> datasets.swissmetro()
ChoiceLog(swissmetro: 6,768 cases, 3 alternatives, 752 persons, 20,304 rows)
>>> print(datasets.card("swissmetro").splitlines()[0])
# Swissmetro: a train that was never built
"""

from revealed.choices.datasets.bandit import open_bandit
from revealed.choices.datasets.buses import rust_buses, rust_buses_original
from revealed.choices.datasets.energy import electricity, heating
from revealed.choices.datasets.market_data import MarketTables, automobiles, cereals
from revealed.choices.datasets.purchases import cdnow
from revealed.choices.datasets.shelf import card, licence, load, names, path
from revealed.choices.datasets.travel import mode_canada, mode_choice, swissmetro

__all__ = [
    "MarketTables",
    "automobiles",
    "card",
    "cdnow",
    "cereals",
    "electricity",
    "heating",
    "licence",
    "load",
    "mode_canada",
    "mode_choice",
    "names",
    "open_bandit",
    "path",
    "rust_buses",
    "rust_buses_original",
    "swissmetro",
]

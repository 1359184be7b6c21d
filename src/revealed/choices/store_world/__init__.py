"""A simulated store with a known truth, for tests, pages and benchmarks. Imports its own room only.

:class:`StoreWorld` is the store; :class:`Arrivals`, :class:`RandomWalk`, :class:`Seasons` and :class:`Delay` are what
can happen in it; :class:`LayoutWorld` is how its page can be laid out; :class:`BernoulliStore` is the fixed world of
the benchmarks. Not to be confused with the room ``store``, the durable log.
"""

from revealed.choices.store_world.bernoulli import BernoulliStore
from revealed.choices.store_world.delays import Delay
from revealed.choices.store_world.drift import Drift, RandomWalk, Seasons
from revealed.choices.store_world.items import Arrivals
from revealed.choices.store_world.layouts import LayoutWorld
from revealed.choices.store_world.logs import StoreLog
from revealed.choices.store_world.tastes import Truth
from revealed.choices.store_world.visits import Answers, Visits
from revealed.choices.store_world.world import StoreWorld

__all__ = [
    "Answers",
    "Arrivals",
    "BernoulliStore",
    "Delay",
    "Drift",
    "LayoutWorld",
    "RandomWalk",
    "Seasons",
    "StoreLog",
    "StoreWorld",
    "Truth",
    "Visits",
]

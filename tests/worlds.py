"""Small worlds of choices with known truth, for tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices import ChoiceLog, Columns

TRUTH = {"mode[car]": 0.5, "mode[train]": -0.3, "cost": -1.0, "time": -0.5}
#: What those weigh by who are of the second kind, where there are two, and how many they are.
OTHERS = {"mode[car]": -0.8, "mode[train]": 0.9, "cost": -0.2, "time": -2.0}
SHARE_OF_OTHERS = 0.35
COLUMNS = Columns(case="trip", alternative="mode", chosen="chosen", person="who")


def trips(n_cases: int = 600, seed: int = 0, *, kinds: int = 1, **options: Any) -> ChoiceLog:
    """Return trips by bus, car or train with utilities ``TRUTH``; five trips a person, who may be of two kinds."""
    return ChoiceLog.from_table(trips_table(n_cases, seed, kinds), replace(COLUMNS, **options), source="trips")


def trips_table(n_cases: int = 600, seed: int = 0, kinds: int = 1) -> pa.Table:
    """Return the table of :func:`trips`, with an income, a segment and availabilities that respect the choice."""
    random = np.random.default_rng(seed)
    cost, time = random.gamma(2.0, 1.0, (2, n_cases, 3))
    person = np.arange(n_cases) // 5
    other = np.random.default_rng((seed, 1)).random(n_cases)[person] < SHARE_OF_OTHERS * (kinds - 1)
    utility = utilities(cost, time, other)
    taken = np.argmax(utility + random.gumbel(size=utility.shape), axis=1)
    available = random.random((n_cases, 3)) < 0.8
    available[np.arange(n_cases), taken] = True
    segment = np.array(["north", "south", "west"])[random.integers(0, 3, n_cases)]
    kind = {"other": np.repeat(other, 3).astype(float)} if kinds > 1 else {}
    return pa.table(
        {
            "trip": np.repeat(np.arange(n_cases), 3),
            "who": np.repeat(person, 3),
            "mode": np.tile(["bus", "car", "train"], n_cases),
            "chosen": np.eye(3, dtype=bool)[taken].reshape(-1),
            "cost": cost.reshape(-1),
            "time": time.reshape(-1),
            "income": np.repeat(random.normal(5.0, 1.0, n_cases), 3),
            "segment": np.repeat(segment, 3),
            **kind,
            "open": available.reshape(-1),
            "weight": np.repeat(random.integers(1, 4, n_cases).astype(float), 3),
        }
    )


def utilities(cost: np.ndarray, time: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the utilities of trips, shape (cases, 3), of people of the first kind and of others."""
    found = []
    for tastes in (TRUTH, OTHERS):
        constant = np.array([0.0, tastes["mode[car]"], tastes["mode[train]"]])
        found.append(constant + tastes["cost"] * cost + tastes["time"] * time)
    return np.where(other[:, None], found[1], found[0])


def ragged(n_cases: int = 500, seed: int = 0, largest: int = 6) -> ChoiceLog:
    """Return cases with one to ``largest`` alternatives and two attributes ``a`` (taste 1) and ``b`` (taste -0.7)."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, largest + 1, n_cases)
    case = np.repeat(np.arange(n_cases), sizes)
    a, b = random.normal(size=(2, len(case)))
    draw = a - 0.7 * b + random.gumbel(size=len(case))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    chosen = np.zeros(len(case), dtype=bool)
    for start, stop in pairwise(offsets):
        chosen[start + np.argmax(draw[start:stop])] = True
    place = np.arange(len(case)) - offsets[case]
    table = pa.table({"case": case, "alternative": place, "chosen": chosen, "a": a, "b": b})
    return ChoiceLog.from_table(table, source="ragged")

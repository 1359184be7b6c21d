"""Small worlds of choices with known truth, for tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices import ChoiceLog, Columns

TRUTH = {"mode[car]": 0.5, "mode[train]": -0.3, "cost": -1.0, "time": -0.5}
COLUMNS = Columns(case="trip", alternative="mode", chosen="chosen", person="who")


def trips(n_cases: int = 600, seed: int = 0, **options: Any) -> ChoiceLog:
    """Return trips by bus, car or train with utilities ``TRUTH``; five trips a person."""
    return ChoiceLog.from_table(trips_table(n_cases, seed), replace(COLUMNS, **options), source="trips")


def trips_table(n_cases: int = 600, seed: int = 0) -> pa.Table:
    """Return the table of :func:`trips`, with an income, a segment and availabilities that respect the choice."""
    random = np.random.default_rng(seed)
    cost, time = random.gamma(2.0, 1.0, (2, n_cases, 3))
    constant = np.array([0.0, TRUTH["mode[car]"], TRUTH["mode[train]"]])
    utility = constant + TRUTH["cost"] * cost + TRUTH["time"] * time
    taken = np.argmax(utility + random.gumbel(size=utility.shape), axis=1)
    available = random.random((n_cases, 3)) < 0.8
    available[np.arange(n_cases), taken] = True
    segment = np.array(["north", "south", "west"])[random.integers(0, 3, n_cases)]
    return pa.table(
        {
            "trip": np.repeat(np.arange(n_cases), 3),
            "who": np.repeat(np.arange(n_cases) // 5, 3),
            "mode": np.tile(["bus", "car", "train"], n_cases),
            "chosen": np.eye(3, dtype=bool)[taken].reshape(-1),
            "cost": cost.reshape(-1),
            "time": time.reshape(-1),
            "income": np.repeat(random.normal(5.0, 1.0, n_cases), 3),
            "segment": np.repeat(segment, 3),
            "open": available.reshape(-1),
            "weight": np.repeat(random.integers(1, 4, n_cases).astype(float), 3),
        }
    )


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

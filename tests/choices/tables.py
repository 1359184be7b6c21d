"""Small tables of choices that the tests of this room spoil and send around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices import Columns

#: All roles filled.
ALL = Columns(person="person", time="time", available="available", weight="weight", propensity="propensity")


def sound(n_cases: int = 4) -> dict[str, list[Any]]:
    """Return choices among bus, car and train with all roles and three attributes, rows by case."""
    modes = ["bus", "car", "train"]
    rows = [(case, mode) for case in range(1, n_cases + 1) for mode in modes]
    return {
        "case": [case for case, _ in rows],
        "alternative": [mode for _, mode in rows],
        "chosen": [int(mode == modes[case % 3]) for case, mode in rows],
        "person": [(case + 1) // 2 for case, _ in rows],
        "time": [f"2024-01-{case:02d}" for case, _ in rows],
        "available": [int(not (mode == modes[(case + 1) % 3] and case % 2)) for case, mode in rows],
        "weight": [0.5 + case for case, _ in rows],
        "propensity": [0.5 if mode == "bus" else 0.25 for _, mode in rows],
        "cost": [float(case * (1 + modes.index(mode))) for case, mode in rows],
        "colour": ["red" if mode == "bus" else "blue" for _, mode in rows],
        "income": [10 * case for case, _ in rows],
    }


def ragged(sizes: Sequence[int], seed: int = 0, label: str = "{}") -> pa.Table:
    """Return a log whose case ``i`` has ``sizes[i]`` rows, with persons, weights and two attributes."""
    rng = np.random.default_rng(seed)
    counts = np.asarray(sizes)
    case = np.repeat(np.arange(len(counts)), counts)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int)
    chosen = np.zeros(len(case), int)
    chosen[starts + rng.integers(0, counts)] = 1
    within = np.arange(len(case)) - starts[case]
    names = np.array([f"item {i}" for i in range(int(counts.max()))], dtype=object)
    return pa.table(
        {
            "case": pa.array(case) if label == "{}" else pa.array([label.format(i) for i in case]),
            "alternative": names[within],
            "chosen": chosen,
            "person": np.array([f"person {i}" for i in range(len(counts) // 3 + 1)], dtype=object)[case // 3],
            "weight": np.repeat(rng.integers(1, 4, len(counts)), counts).astype(float),
            "cost": rng.standard_normal(len(case)),
            "speed": rng.standard_normal(len(case)).astype(np.float32),
        }
    )

"""A saved fit and its choices for the page "what if": few, simulated, with every kind of number that can be moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from revealed import Logit, read
from revealed.models import Fit
from revealed.serve.console.what_if import FitFile

#: Hostile as a name, and hard to write in a condition.
HARD = "ca'r <b>"


def saved(folder: Path, name: str = "trips", cases: int = 300) -> tuple[FitFile, Fit]:
    """Write choices between train, bus and a car with a hard name, and a logit's fit of them.

    Costs are above zero, ``mood`` is on both sides of it, ``wifi`` is 0 or 1, ``income`` is a person's and told of the
    train only, and ``noise`` is in the data but not in the utility.
    """
    random = np.random.default_rng(3)
    labels = ["train", "bus", HARD]
    case = np.repeat(np.arange(cases), 3)
    alternative = np.tile(labels, cases)
    cost, mood = random.uniform(1, 9, 3 * cases).round(2), random.normal(0, 1, 3 * cases).round(2)
    wifi, income = random.integers(0, 2, 3 * cases), np.repeat(random.uniform(1, 5, cases).round(2), 3)
    utility = -0.5 * cost + 0.3 * mood + 0.4 * wifi + 0.2 * income * (alternative == "train")
    best = (utility + random.gumbel(size=3 * cases)).reshape(-1, 3).argmax(axis=1)
    chosen = (np.tile(np.arange(3), cases) == np.repeat(best, 3)).astype(int)
    table = {
        "case": case, "alternative": alternative, "chosen": chosen, "cost": cost, "mood": mood, "wifi": wifi,
        "income": income, "noise": random.normal(size=3 * cases),
    }  # fmt: skip
    log = read(table)
    log.to_parquet(folder / f"{name}.parquet")
    fit = Logit("C(alternative) + cost + mood + wifi + C(alternative):income").fit(log)
    fit.save(folder / f"{name}.json")
    return FitFile(name, str(folder / f"{name}.json"), str(folder / f"{name}.parquet")), fit

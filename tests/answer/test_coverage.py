"""Intervals cover the truth, and true hypotheses are rejected, as often as they say: by simulation."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from revealed.answer import Estimate, elasticities, wald_test, whatif, willingness_to_pay
from revealed.choices import ChoiceLog
from revealed.models import Logit
from tests.worlds import TRUTH, trips

REPLICATIONS = 120
LEVEL = 0.8
CHANGE = "cost[alternative == 'train'] *= 1.5"
KINDS = ["delta", "krinsky-robb", "fieller", "before", "after", "difference", "surplus", "elasticity", "wald"]


def true_values(log: ChoiceLog) -> dict[str, float]:
    """Return what the intervals should cover, by the closed forms of the logit."""
    constant = np.array([0.0, TRUTH["mode[car]"], TRUTH["mode[train]"]])
    cost, time = (log.numbers(name).reshape(-1, 3) for name in ("cost", "time"))
    weights = [
        np.exp(constant + TRUTH["cost"] * cost * factor + TRUTH["time"] * time)
        for factor in (np.ones(3), np.array([1, 1, 1.5]))
    ]
    before, after = (weight[:, 2] / weight.sum(axis=1) for weight in weights)
    gain = np.log(weights[1].sum(axis=1)) - np.log(weights[0].sum(axis=1))
    own = TRUTH["cost"] * cost[:, 2] * (1 - before)
    return {
        **dict.fromkeys(("delta", "krinsky-robb", "fieller"), TRUTH["time"] / TRUTH["cost"]),
        "before": before.mean(),
        "after": after.mean(),
        "difference": (after - before).mean(),
        "surplus": gain.mean() / -TRUTH["cost"],
        "elasticity": (before * own).sum() / before.sum(),
    }


@pytest.fixture(scope="module")
def covered() -> dict[str, list[bool]]:
    """Return, for each kind of interval, in which replications it held the truth."""
    hits = defaultdict(list)
    for seed in range(REPLICATIONS):
        log = trips(150, seed=5000 + seed)
        fit = Logit("C(mode) + cost + time").fit(log, errors="classic")
        found: dict[str, Estimate] = {
            method: willingness_to_pay(fit, "-time", cost="cost", level=LEVEL, method=method)["-time"]
            for method in ("delta", "krinsky-robb", "fieller")
        }
        answer = whatif(fit, log, CHANGE, level=LEVEL)
        train = answer.share("train")
        found |= {"before": train.before, "after": train.after, "difference": train.difference}
        found["surplus"] = answer.surplus[0].per_choice
        found["elasticity"] = elasticities(fit, log, "cost", of=["train"], level=LEVEL).find("train", "train")
        truth = true_values(log)
        for kind, interval in found.items():
            hits[kind].append(interval.low <= truth[kind] <= interval.high)
        hits["wald"].append(wald_test(fit, "cost = 2*time", "mode[car] - mode[train] = 0.8").p_value > 1 - LEVEL)
    return hits


@pytest.mark.parametrize("kind", KINDS)
def test_coverage(covered: dict[str, list[bool]], kind: str) -> None:
    # 120 draws at 0.8 have a standard error of 0.037: three of them, either way.
    assert len(covered[kind]) == REPLICATIONS
    assert LEVEL - 0.11 < np.mean(covered[kind]) < LEVEL + 0.11

"""Six things in three kinds, clicked by segment and place: a small world of slates."""

from __future__ import annotations

from typing import Any

import numpy as np

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification

ITEMS = ("boot", "shoe", "sandal", "cap", "hat", "bag")
KIND = {"boot": "feet", "shoe": "feet", "sandal": "feet", "cap": "head", "hat": "head", "bag": "hand"}
MARGIN = {"boot": 1.0, "shoe": 1.5, "sandal": 2.0, "cap": 3.0, "hat": 4.0, "bag": 6.0}
#: Of a click in the first place, by item and segment.
CLICKS = np.array([[0.6, 0.2], [0.55, 0.25], [0.5, 0.2], [0.3, 0.45], [0.25, 0.4], [0.2, 0.3]])
SEEN = np.array([1.0, 0.6, 0.35])
CONTEXT = {"segment": "new"}


def log_of(n: int, seed: int, places: int = 1) -> Feedback:
    """Return slates shown by lot, clicked by item, segment and place."""
    rng = np.random.default_rng(seed)
    item = np.argsort(rng.random((n, 6)), axis=1)[:, :places]
    segment = rng.integers(0, 2, n)
    clicked = rng.random(item.shape) < SEEN[:places] * CLICKS[item, segment[:, None]]
    flat, visit = item.ravel(), np.repeat(np.arange(n), places)
    chance = 1 / (6 - np.tile(np.arange(places), n))
    return as_feedback(flat, visit, np.tile(np.arange(places), n), segment[visit], clicked.ravel(), chance)


def as_feedback(
    item: np.ndarray, visit: np.ndarray, place: np.ndarray, segment: np.ndarray, clicked: np.ndarray, chance: np.ndarray
) -> Feedback:
    labels = [ITEMS[i] for i in item]
    table = {
        "decision": visit,
        "position": place,
        "action": labels,
        "kind": [KIND[label] for label in labels],
        "margin": [MARGIN[label] for label in labels],
        "segment": [("new", "old")[s] for s in segment],
        "reward": clicked.astype(float),
        "propensity": chance,
    }
    return read_feedback(table, position="position")


def specified(slate: dict[str, Any] | None = None, **sections: Any) -> Specification:
    data = {
        "features": {"formula": "C(action) + C(segment):C(action)", "item": ["kind", "margin"]},
        "log": {"position": "position"},
        **sections,
    }
    return Specification.from_dict(data if slate is None else {**data, "slate": slate})


def learned(slate: dict[str, Any] | None = None, *, n: int = 300, places: int = 1, **sections: Any) -> LearningPolicy:
    return LearningPolicy.fresh(specified(slate, **sections), seed=3).learn(log_of(n, 1, places))


DIVERSE = {"size": 3, "category": "kind"}
GREEDY: dict[str, Any] = {"explore": {"rule": "greedy"}}

"""What shoppers clicked on among fashion items that a bandit showed them. Imports its own room only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from revealed.choices.columns import Columns
from revealed.choices.datasets.shelf import raw
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest

_OF_THE_USER = ("user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3")
_OF_THE_ITEM = ("item_feature_1", "item_feature_2", "item_feature_3")


def open_bandit(*, policy: str = "random") -> ChoiceLog:
    """Return 10,000 showings of one of 80 fashion items to a shopper, who clicked on it or not.

    Parameters
    ----------
    policy : str
        The policy that showed them: ``"random"``, each item as likely, or ``"bts"``, Bernoulli Thompson sampling.

    Returns
    -------
    ChoiceLog
        A case offers the item shown and ``none``. Columns: case, time, alternative, chosen, propensity (1 for
        ``none``); position (1 to 3), affinity, item_feature_0 (numbers; 0 for ``none``), item_feature_1 to _3 and
        user_feature_0 to _3 (labels). See ``datasets.card("open_bandit")``.
    """
    table = raw("open_bandit")
    policies = sorted(pc.unique(table["policy"]).to_pylist())
    if policy not in policies:
        raise SpecificationError(f"no policy {policy!r}; {nearest(policy, policies)}")
    table = table.filter(pc.equal(table["policy"], policy))
    shown = table.num_rows
    twice = pa.array(np.repeat(np.arange(shown), 2))
    clicked = table["click"].to_numpy().astype(bool)
    items = [f"item_{number:02d}" for number in range(80)]
    item = table["item_id"].to_numpy().astype(np.int32)
    long: dict[str, Any] = {
        "case": np.repeat(np.arange(1, shown + 1), 2),
        "time": table["timestamp"].take(twice),
        "alternative": _labels(_above(item, len(items)), [*items, "none"]),
        "chosen": _above(clicked, ~clicked),
        "propensity": _above(table["propensity_score"].to_numpy(), 1.0),
        "position": table["position"].take(twice),
        "affinity": _above(table["affinity"].to_numpy(), 0.0),
        "item_feature_0": _above(table["item_feature_0"].to_numpy(), 0.0),
    }
    for name in _OF_THE_ITEM:
        codes = table[name].to_numpy().astype(np.int32)
        kinds = [f"kind_{number:02d}" for number in range(codes.max() + 1)]
        long[name] = _labels(_above(codes, len(kinds)), [*kinds, "none"])
    for name in _OF_THE_USER:
        codes = table[name].to_numpy().astype(np.int32)
        long[name] = _labels(np.repeat(codes, 2), [f"kind_{number:02d}" for number in range(codes.max() + 1)])
    roles = Columns(time="time", propensity="propensity")
    attributes = ("position", "affinity", "item_feature_0")
    return ChoiceLog.from_table(pa.table(long), roles, attributes=attributes, source="open_bandit")


def _above(item: np.ndarray, none: Any) -> np.ndarray:
    """Return a column with the values of the items shown, each followed by that of ``none``."""
    return np.column_stack([item, np.broadcast_to(np.asarray(none, item.dtype), item.shape)]).ravel()


def _labels(codes: np.ndarray, labels: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, labels)

"""How likely a policy would show what is in a log: what judging it takes. Imports its own room, models and choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from revealed.choices.feedback import Feedback
from revealed.decide.showing import Showing
from revealed.models.glm.features import FeatureSpace, Rows

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy

#: Cells of features held at a time: 32 MiB.
_AT_ONCE = 1 << 22
#: Further apart than any two decisions of one pool.
_POOLS_APART = 1 << 40
#: Contexts whose candidates are kept.
_KNOWN = 64


def fields_of(space: FeatureSpace, feedback: Feedback) -> dict[str, Any]:
    """Return the columns of a log that features are made of."""
    keys = [source for field in space.specification.fields for source in field.sources]
    return {key: feedback.column(key) for key in dict.fromkeys(keys)}


def probabilities_of(policy: LearningPolicy, feedback: Feedback) -> Float[np.ndarray, "rows actions"]:
    """Return the probability of each action in each row's context; see :meth:`LearningPolicy.probabilities`."""
    if policy.specification.slate is not None and policy.specification.slate.goals:
        return conditional_probabilities_of(policy, feedback)  # which even a single thing is chosen by
    labels = list(feedback.actions.labels)
    eligible = policy.specification.business.eligible(labels)
    items = policy.catalogue.table(labels)
    context = _context(policy, feedback)
    first, of_row = _distinct(context, feedback.n_rows)
    n_actions = len(labels)
    found = np.empty((len(first), n_actions))
    step = max(1, _AT_ONCE // (n_actions * max(policy.space.n_params, 1)))
    # A propensity is a share of one pool of draws; where few contexts come often, the mean over several is surer.
    pools = int(np.clip(feedback.n_rows // len(first), 1, 32))
    for start in range(0, len(first), step):
        some = np.arange(start, min(start + step, len(first)))
        repeated = pa.array(np.repeat(first[some], n_actions))
        each = pa.array(np.tile(np.arange(n_actions), len(some)))
        table = {key: column.take(repeated) for key, column in context.items()}
        table |= {key: pa.array(values).take(each) for key, values in items.items()}
        posterior, features = policy.belief_in(policy.space.rows_from_columns(table))
        dense = features.dense() if isinstance(features, Rows) else features
        allowed = np.broadcast_to(eligible, (len(some), n_actions))
        cube = dense.reshape(len(some), n_actions, -1)
        each_pool = [
            policy.explorer.probabilities_many(posterior, cube, some + pool * _POOLS_APART, allowed)
            for pool in range(pools)
        ]
        found[some] = np.mean(each_pool, axis=0)
    return np.asarray(found[of_row])


def conditional_probabilities_of(policy: LearningPolicy, feedback: Feedback) -> Float[np.ndarray, "rows actions"]:
    """Return the probability of each action in the place of each row, given what was shown above it.

    See :meth:`LearningPolicy.conditional_probabilities`.
    """
    order, starts = from_the_top(feedback)
    labels, found = list(feedback.actions.labels), np.zeros((feedback.n_rows, len(feedback.actions)))
    candidates = policy.catalogue.candidates(labels)
    contexts = contexts_of(policy, feedback, order[starts])
    known: dict[tuple[Any, ...], Showing] = {}  # contexts may come often, and features of candidates take their time
    for number, (context, rows) in enumerate(zip(contexts, np.split(order, starts[1:]), strict=True)):
        key = (len(rows), *context.values())
        if key not in known:
            if len(known) == _KNOWN:
                known.clear()
            known[key] = Showing.of(policy, context, candidates, len(rows))
        found[rows] = known[key].given_above(number, feedback.action_codes[rows].tolist())
    return found


def from_the_top(feedback: Feedback) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " decisions"]]:
    """Return the rows of a log, decision by decision and place by place, and where each decision starts."""
    order = np.lexsort((feedback.position, feedback.decision_codes))
    return order, np.flatnonzero(np.diff(feedback.decision_codes[order], prepend=-1))


def contexts_of(policy: LearningPolicy, feedback: Feedback, rows: Int[np.ndarray, " some"]) -> list[dict[str, Any]]:
    """Return the contexts of some rows of a log, as :meth:`LearningPolicy.decide` takes them.

    Raises
    ------
    DataError
        If a field is missing or not finite.
    """
    columns = _context(policy, feedback)
    cells = [column.take(pa.array(rows)).to_pylist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)] or [{} for _ in rows]


def _context(policy: LearningPolicy, feedback: Feedback) -> dict[str, Any]:
    """Return the columns of the context, no cell missing or infinite but of fields that are optional."""
    items = (policy.catalogue.column, *policy.catalogue.fields)
    context = {key: column for key, column in fields_of(policy.space, feedback).items() if key not in items}
    for field in policy.space.specification.fields:
        for source in field.sources:
            if source in context and not field.optional:
                _ = feedback.numbers(source) if feedback.holds_numbers(source) else feedback.labels(source)
    return context


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return cells as numbers, a missing one as a cell of its own."""
    cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    cells = pa.concat_arrays(cells.chunks) if isinstance(cells, pa.ChunkedArray) else cells
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return np.asarray(pc.dictionary_encode(cells, null_encoding="encode").indices.to_numpy(zero_copy_only=False))


def _distinct(columns: Mapping[str, pa.ChunkedArray], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct context, and which of them each row has."""
    if not columns:
        return np.zeros(1, np.int64), np.zeros(n_rows, np.int64)
    codes = np.column_stack([_codes(column) for column in columns.values()])
    _, first, of_row = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first, of_row.reshape(-1)

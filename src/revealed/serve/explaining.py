"""Why a decision was made: each candidate's chance, and what makes the scores of what was shown.

Imports its own room, decide, store's protocol and errors. Chances are computed again only by the very version that
decided; any other knows something else, and is told as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from revealed.decide.business import HOLDOUT
from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import Showing
from revealed.errors import RevealedError
from revealed.serve.explanation import CandidateTold, Contribution, Explanation, Part
from revealed.store.protocol import DecisionRow

#: Candidates that are told at most.
MOST_CANDIDATES = 200


def explained(policy: LearningPolicy, lesson: int, row: DecisionRow) -> Explanation | str:
    """Return a decision as a policy makes it, or in words why it cannot.

    Parameters
    ----------
    policy : LearningPolicy
        As it is known now.
    lesson : int
        The last one that it knows.
    row : DecisionRow
    """
    try:
        return _explained(policy, lesson, row)
    except RevealedError as error:
        return str(error)


def _explained(policy: LearningPolicy, lesson: int, row: DecisionRow) -> Explanation:
    context, shown = json.loads(row.context), json.loads(row.shown)
    wanted = None if row.candidates is None else json.loads(row.candidates)
    by_lot = row.version.endswith(HOLDOUT)
    showing = Showing.of(policy, context, wanted, len(shown), by_lot)
    same = policy.version == row.version.removesuffix(HOLDOUT)
    agrees = None
    if same:
        places, found = showing.decide(row.number)
        close = np.allclose(found, json.loads(row.propensities))
        agrees = close and [showing.labels[i] for i in places] == shown
    column = policy.catalogue.column
    records = {str(record[column]): record for record in policy.catalogue.candidates(wanted)}
    return Explanation(
        policy.version,
        lesson,
        same,
        agrees,
        policy.model.link.name,
        by_lot,
        len(showing.labels),
        _candidates(showing, row.number, shown),
        [_contribution(policy, context, label, records[label]) for label in shown if label in records],
    )


def _candidates(showing: Showing, number: int, shown: Sequence[str]) -> list[CandidateTold]:
    """Return the likeliest candidates, and those that were shown."""
    best = int(np.flatnonzero(showing.first & showing.unblocked)[0])
    chances = np.asarray(showing.given_above(number, [best])[0])
    mean, deviation = showing.base.means()[0], showing.base.deviations()[0]
    order = np.argsort(-chances, kind="stable")[:MOST_CANDIDATES].tolist()
    order += [place for place, label in enumerate(showing.labels) if label in shown and place not in order]
    labels = showing.labels
    return [
        CandidateTold(labels[i], float(chances[i]), float(mean[i]), float(deviation[i]), labels[i] in shown)
        for i in order
    ]


def _contribution(
    policy: LearningPolicy, context: Mapping[str, Any], label: str, record: Mapping[str, Any]
) -> Contribution:
    """Return what the features of a candidate add to its score; those never met add what their prior says."""
    rows = policy.space.joint(context, [record])
    known, mean = policy.space, policy.model.posterior.mean
    found = [(known.name(k), value, float(mean[k])) for k, value in _entries(rows.index, rows.value)]
    if rows.unseen is not None:
        names, entries = rows.unseen.names, rows.unseen.entries
        before = policy.prior_of(rows.unseen.group)[0]
        found += [(names[k], value, float(before[k])) for k, value in _entries(entries.index, entries.value)]
    parts = [Part(name, value, effect, value * effect) for name, value, effect in found]
    return Contribution(label, sum(part.adds for part in parts), sorted(parts, key=lambda part: -abs(part.adds)))


def _entries(index: np.ndarray, value: np.ndarray) -> list[tuple[int, float]]:
    return list(zip(index.tolist(), value.tolist(), strict=True))

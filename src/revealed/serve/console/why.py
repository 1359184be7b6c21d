"""Why a decision was made: what was known, what each candidate's chance was, and what came of it.

Imports decide, store's protocol and errors. Chances are computed again only by the very version that decided; any other
knows something else, and is shown as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import Showing
from revealed.errors import RevealedError
from revealed.models.glm.features import Rows
from revealed.store.protocol import DecisionRow

#: Candidates, and parts of what was shown first, that are told at most.
MOST_CANDIDATES, MOST_PARTS = 200, 30
_HOLDOUT = "/holdout"


@dataclass(frozen=True)
class Candidate:
    """What might have been shown first.

    Parameters
    ----------
    label : str
    chance : float
        Of being shown first.
    score, deviation : float
        What is believed of it, on the scale of the link.
    shown : bool
        Whether it was shown, in whatever place.
    """

    label: str
    chance: float
    score: float
    deviation: float
    shown: bool


@dataclass(frozen=True)
class Part:
    """A feature of what was shown first, and what it adds to the score: value times effect."""

    feature: str
    value: float
    effect: float

    @property
    def adds(self) -> float:
        """What it adds to the score."""
        return self.value * self.effect


@dataclass(frozen=True)
class Recomputed:
    """A decision computed again.

    Parameters
    ----------
    version : str
        Of the policy that did.
    same : bool
        Whether that is the version which decided.
    agrees : bool, optional
        Whether it shows the same with the same probability, for the same version.
    n_candidates : int
        How many there were; the likeliest are told.
    candidates : sequence of Candidate
        The likeliest first.
    parts : sequence of Part
        Those that add or take most first.
    by_lot : bool
        Whether the person is in the holdout group, for whom lots are drawn.
    """

    version: str
    same: bool
    agrees: bool | None
    n_candidates: int
    candidates: Sequence[Candidate]
    parts: Sequence[Part]
    by_lot: bool


def recomputed(policy: LearningPolicy, row: DecisionRow) -> Recomputed | str:
    """Return a decision as a policy makes it, or in words why it cannot.

    Parameters
    ----------
    policy : LearningPolicy
        As it is known now.
    row : DecisionRow
    """
    context, shown = json.loads(row.context), json.loads(row.shown)
    wanted = None if row.candidates is None else json.loads(row.candidates)
    try:
        return _recomputed(policy, row, context, shown, wanted)
    except RevealedError as error:
        return str(error)


def _recomputed(
    policy: LearningPolicy, row: DecisionRow, context: dict[str, Any], shown: list[str], wanted: list[Any] | None
) -> Recomputed:
    by_lot = row.version.endswith(_HOLDOUT)
    showing = Showing.of(policy, context, wanted, len(shown), by_lot)
    chances = _first_chances(showing, row.number)
    mean, deviation = showing.base.means()[0], showing.base.deviations()[0]
    order = np.argsort(-chances, kind="stable")[:MOST_CANDIDATES].tolist()
    there = [place for place, label in enumerate(showing.labels) if label in shown]
    order += [place for place in there if place not in order]
    candidates = [
        Candidate(showing.labels[i], float(chances[i]), float(mean[i]), float(deviation[i]), showing.labels[i] in shown)
        for i in order
    ]
    same = policy.version == row.version.removesuffix(_HOLDOUT)
    agrees = None
    if same:
        places, found = showing.decide(row.number)
        agrees = [showing.labels[i] for i in places] == shown and np.allclose(found, json.loads(row.propensities))
    records = [record for record in policy.catalogue.candidates(wanted) if _label(policy, record) == shown[0]]
    parts = _parts(policy, context, records) if records else []
    return Recomputed(policy.version, same, agrees, len(showing.labels), candidates, parts, by_lot)


def _label(policy: LearningPolicy, record: dict[str, Any]) -> str:
    return str(record[policy.catalogue.column])


def _first_chances(showing: Showing, number: int) -> np.ndarray:
    """Return how likely each candidate is shown first."""
    best = int(np.flatnonzero(showing.first & showing.unblocked)[0])
    return np.asarray(showing.given_above(number, [best])[0])


def _parts(policy: LearningPolicy, context: dict[str, Any], records: Sequence[dict[str, Any]]) -> list[Part]:
    """Return what the features of a candidate add to its score."""
    rows: Rows = policy.space.joint(context, records[:1])
    mean = policy.model.posterior.mean
    found = [
        Part(policy.space.name(int(k)), float(value), float(mean[k]))
        for k, value in zip(rows.index, rows.value, strict=True)
        if k < len(mean)
    ]
    return sorted(found, key=lambda part: -abs(part.adds))[:MOST_PARTS]

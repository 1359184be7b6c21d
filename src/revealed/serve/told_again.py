"""How likely a policy would have shown what a log shows, by its very candidates. Imports decide, store and errors.

What is needed stands in the log: the context, the candidates, what was shown and the decision's number, by which random
numbers are taken. Where a client gave no candidates, a policy chooses out of its own catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from revealed.decide.many import Desk, Request
from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import Showing
from revealed.errors import DataError, RevealedError
from revealed.store.protocol import DecisionRow

_READ_CONTEXT = msgspec.json.Decoder(dict[str, Any]).decode
_READ_LABELS = msgspec.json.Decoder(list[str]).decode
_READ_CANDIDATES = msgspec.json.Decoder(list[str | dict[str, Any]]).decode
#: Sets of candidates that are kept as they were read.
_KNOWN = 64


@dataclass(eq=False)
class Again:
    """A policy that is asked for the decisions of a log.

    Parameters
    ----------
    policy : LearningPolicy
        As it once was.
    met : mapping
        The attributes of what was met since: a candidate that was given by its label alone may be younger than the
        policy.
    """

    policy: LearningPolicy
    met: Mapping[str, Mapping[str, Any]]
    #: Decisions that went the long way, and sets of candidates that were met: about a millisecond each.
    slow: int = 0
    #: Those that the policy cannot decide, and why it cannot decide the first of them.
    refused: int = 0
    reason: str = ""
    #: How likely each label would be shown first, summed over decisions, and of how many it was a candidate.
    first: dict[str, tuple[float, int]] = field(default_factory=dict)
    _sets: dict[str, list[Any]] = field(default_factory=dict)

    def chances(self, rows: Sequence[DecisionRow]) -> list[list[float] | None]:
        """Return how likely each decision shows what was shown, place by place, given what stands above.

        None where the policy cannot decide: a field is missing, or a candidate cannot be.
        """
        labelled: list[list[str]] = [_READ_LABELS(row.shown) for row in rows]
        asked = [
            Request(_READ_CONTEXT(row.context), row.number, self._candidates(row.candidates), len(shown))
            for row, shown in zip(rows, labelled, strict=True)
        ]
        found: list[list[float] | None] = [None] * len(rows)
        usual: set[int] = set()
        desk = Desk(self.policy)
        for places, labels, chances in desk.chances(asked):
            self.slow += 1
            at = {label: number for number, label in enumerate(labels)}
            for place, of_each in zip(places, chances, strict=True):
                number = at.get(labelled[place][0])
                found[place] = [0.0 if number is None else float(of_each[number])]
            self._add_first(labels, chances)
            usual.update(places)
        for place, request in enumerate(asked):
            if place not in usual:
                found[place] = self._one(request, labelled[place])
        return found

    def _one(self, request: Request, shown: Sequence[str]) -> list[float] | None:
        self.slow += 1
        try:
            showing = Showing.of(self.policy, request.context, request.candidates, len(shown))
            at = {label: number for number, label in enumerate(showing.labels)}
            known = [at[label] for label in shown[: next((i for i, s in enumerate(shown) if s not in at), None)]]
            given = showing.given_above(request.seed, known or [0])
        except RevealedError as error:
            self.refused += 1
            self.reason = self.reason or _reason(error)
            return None
        self._add_first(showing.labels, given[:1])
        chances = [float(given[place, number]) for place, number in enumerate(known)]
        return chances + [0.0] * (len(shown) - len(known))

    def _candidates(self, text: str | None) -> list[Any] | None:
        if text is None:
            return None
        if text not in self._sets:
            if len(self._sets) >= _KNOWN:
                self._sets.clear()
            self._sets[text] = [self._candidate(item) for item in _READ_CANDIDATES(text)]
        return self._sets[text]

    def _candidate(self, item: str | dict[str, Any]) -> str | dict[str, Any]:
        catalogue = self.policy.catalogue
        if isinstance(item, dict) or item in catalogue.actions:
            return item
        return {catalogue.column: item, **self.met.get(item, {})}

    def _add_first(self, labels: Sequence[str], chances: Float[np.ndarray, "decisions candidates"]) -> None:
        for label, chance in zip(labels, chances.sum(axis=0).tolist(), strict=True):
            total, count = self.first.get(label, (0.0, 0))
            self.first[label] = total + chance, count + len(chances)


def _reason(error: RevealedError) -> str:
    """Return what is wrong in a few words."""
    return error.problems[0].what if isinstance(error, DataError) else str(error)

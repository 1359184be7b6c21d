"""Many decisions at once: the same as one by one, at a fraction of the cost. Imports its own room, models and errors.

What services spend their time with is one thing for somebody out of candidates that come again and again. Those
decisions share what can be shared (:mod:`revealed.decide.explore.crossed`); all others are decided one by one.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.choices.policy import Decision
from revealed.decide.explore.crossed import LARGEST, Crossed, CrossedOutlook
from revealed.decide.policy import LearningPolicy
from revealed.decide.showing import NUMBERS, SINGLES
from revealed.engine import loops
from revealed.errors import RevealedError
from revealed.models.glm.features.crossing import Candidates, Crossing

Chances = Float[np.ndarray, "requests candidates"]

#: Sets of candidates whose part is kept.
_KNOWN = 64
#: The most numbers that a set's part of a pool may take, twice: 64 MiB.
_MOST_CELLS = 1 << 23


@dataclass(slots=True)
class Request:
    """A decision that is wanted; see :meth:`LearningPolicy.decide` for the parameters."""

    context: Mapping[str, Any]
    seed: int
    candidates: Sequence[str | Mapping[str, Any]] | None = None
    count: int | None = None
    person: str | int | None = None


@dataclass(frozen=True, eq=False)
class _Set:
    """Candidates as they come again."""

    labels: tuple[str, ...]
    part: Candidates
    crossed: Crossed

    @cached_property
    def lacks(self) -> bool:
        """Whether a context can make a pair with one of them that has no parameter."""
        return bool(self.part.lacking.any())


@dataclass(eq=False)
class Desk:
    """Decides for one policy, and keeps what decisions share.

    Parameters
    ----------
    policy : LearningPolicy
    """

    policy: LearningPolicy
    _sets: dict[Hashable, _Set | None] = field(default_factory=dict, repr=False)

    def decide(self, requests: Sequence[Request]) -> list[Decision | RevealedError]:
        """Return a decision for each request, or what is wrong with it.

        Each is what :meth:`LearningPolicy.decide` gives, whatever it is asked with; but for candidates that are equal
        to rounding.
        """
        return [one for one in self.decide_within(inf, requests) if one is not None]

    def decide_within(self, patience: float, requests: Sequence[Request]) -> list[Decision | RevealedError | None]:
        """Return what :meth:`decide` does, but None for what would take too long.

        Parameters
        ----------
        patience : float
            Seconds after which no further one is decided by itself.
        requests : sequence of Request
        """
        found: list[Decision | RevealedError | None] = [None] * len(requests)
        version = self.policy.version
        for places, known in self._alike(requests):
            for some, actions, chances in self._chosen(known, requests, places):
                for place, action, chance in zip(some, actions, chances, strict=True):
                    found[place] = Decision.of_one(known.labels[action], chance, version, requests[place].seed)
        until = time.monotonic() + patience
        for place, request in enumerate(requests):
            if found[place] is None and time.monotonic() < until:
                found[place] = self._alone(request)
        return found

    def chances(self, requests: Sequence[Request]) -> Iterator[tuple[list[int], tuple[str, ...], Chances]]:
        """Yield how likely each candidate is shown, with the very random numbers that each request would be decided by.

        Parameters
        ----------
        requests : sequence of Request

        Yields
        ------
        places : list of int
            Requests for one thing out of the same candidates. Those that are none of these are left to
            :meth:`LearningPolicy.decide`'s way: :meth:`~.showing.Showing.given_above`.
        labels : tuple of str
        chances : ndarray of float64, shape (places, candidates)
        """
        for places, known in self._alike(requests):
            for some, outlook in self._outlook(known, requests, places):
                yield some, known.labels, self.policy.explorer.probabilities_many_by(outlook)

    # ---- how ------------------------------------------------------------------------------------------------------

    def _alike(self, requests: Sequence[Request]) -> Iterator[tuple[list[int], _Set]]:
        """Yield the requests that share candidates; odd ones are of no group."""
        groups: dict[Hashable, list[int]] = {}
        for place, request in enumerate(requests):
            if self._is_usual(request):
                try:
                    groups.setdefault(_key_of(request.candidates), []).append(place)
                except TypeError:  # a candidate that is neither a label nor a flat record
                    continue
        for key, places in groups.items():
            known = self._set_of(key, requests[places[0]].candidates)
            if known is not None:
                yield places, known

    def _chosen(
        self, known: _Set, requests: Sequence[Request], places: list[int]
    ) -> Iterator[tuple[list[int], Sequence[int], Sequence[float]]]:
        """Yield what is shown to those who share candidates, and with which probability; to odd ones nothing."""
        explorer, posterior, crossing = self.policy.explorer, self.policy.model.posterior, self._crossing
        assert crossing is not None
        width, cells = explorer.width, None
        if width is not None and not known.lacks:
            cells = crossing.numbers([requests[place].context for place in places])
        if width is not None and cells is not None:  # most often
            numbers = [requests[place].seed + SINGLES for place in places]
            found = known.crossed.chosen(posterior, width, cells, numbers, crossing.reading)
            if found is not None:
                yield places, *found
                return
        for some, outlook in self._outlook(known, requests, places):
            found = None
            if width is not None:
                numbers, contexts = outlook.numbers.tolist(), outlook.contexts
                found = known.crossed.chosen(posterior, width, contexts, numbers, self._as_they_are)
            if found is None:
                choices = explorer.choose_many_by(outlook, outlook.numbers)
                found = choices.actions.tolist(), choices.propensities.tolist()
            yield some, *found

    def _is_usual(self, request: Request) -> bool:
        slate = self.policy.specification.slate
        if request.count not in (None, 1) or (slate is not None and (slate.size > 1 or slate.goals)):
            return False
        return not self.policy.specification.business.holds_out(request.person) and 0 <= request.seed < NUMBERS

    @cached_property
    def _crossing(self) -> Crossing | None:
        policy = self.policy
        return Crossing.of(policy.space, (policy.catalogue.column, *policy.catalogue.fields))

    @cached_property
    def _as_they_are(self) -> loops.Reading:
        """How columns of contexts are read from columns of contexts."""
        assert self._crossing is not None
        return loops.Reading(self._crossing.shape[1])

    def _set_of(self, key: Hashable, candidates: Sequence[str | Mapping[str, Any]] | None) -> _Set | None:
        if key not in self._sets:
            if len(self._sets) >= _KNOWN:
                self._sets.clear()
            self._sets[key] = self._set(candidates)
        return self._sets[key]

    def _set(self, candidates: Sequence[str | Mapping[str, Any]] | None) -> _Set | None:
        policy, crossing = self.policy, self._crossing
        if crossing is None:
            return None
        try:
            records = policy.catalogue.candidates(candidates)
            labels = tuple(str(record[policy.catalogue.column]) for record in records)
            allowed = policy.specification.business.eligible(labels)
        except RevealedError:
            return None  # told one by one
        cells = policy.explorer.pool * len(labels) * crossing.shape[1]
        part = crossing.candidates(records) if cells <= _MOST_CELLS and len(set(labels)) == len(labels) else None
        if part is None:
            return None
        only = None if allowed.all() else allowed
        crossed = Crossed(policy.explorer.source, part.values, crossing.item, crossing.context, crossing.shape[1], only)
        return _Set(labels, part, crossed)

    def _outlook(
        self, known: _Set, requests: Sequence[Request], places: Sequence[int]
    ) -> Iterator[tuple[list[int], CrossedOutlook]]:
        assert self._crossing is not None
        contexts, odd = self._crossing.contexts([requests[place].context for place in places])
        some: list[int] = list(places)
        sizes = np.abs(contexts)
        if odd or known.lacks or not np.maximum.reduce(sizes.ravel()) < LARGEST:
            usual = (sizes < LARGEST).all(axis=1) & ~(contexts[:, known.part.lacking] != 0).any(axis=1)
            usual[odd] = False
            some, contexts = [places[at] for at in np.flatnonzero(usual).tolist()], contexts[usual]
        if some:
            numbers = np.array([requests[place].seed + SINGLES for place in some], dtype=np.int64)
            posterior = self.policy.model.posterior
            yield some, CrossedOutlook(known.crossed, posterior, contexts, numbers)

    def _alone(self, request: Request) -> Decision | RevealedError:
        try:
            return self.policy.decide(
                request.context, request.candidates, seed=request.seed, count=request.count, person=request.person
            )
        except RevealedError as error:
            return error


def _key_of(candidates: Sequence[str | Mapping[str, Any]] | None) -> Hashable:
    """Return what is the same for the same candidates, and hashable: TypeError where it cannot be."""
    if candidates is None:
        return None
    # With types: 1 and true are equal, but not the same label.
    return tuple(
        item if isinstance(item, str) else tuple((name, type(cell), cell) for name, cell in item.items())
        for item in candidates
    )

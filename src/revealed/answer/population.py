"""Who is asked: the cases of a log, what each counts for, and the segments they fall in. Imports choices.

An answer about shares is the weighted mean over the cases of a log (sample enumeration; Train 2009, "Discrete Choice
Methods with Simulation", section 2.6), overall and by segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.errors import SpecificationError

#: What the whole population is called beside its segments.
EVERYONE = "all"
#: More segments than this are taken for a number that should have been cut into bands.
_MOST_SEGMENTS = 200


@dataclass(frozen=True, eq=False)
class Population:
    """The cases of a log in segments.

    Parameters
    ----------
    segments : tuple of str
        Their labels, or :data:`EVERYONE` alone.
    codes : ndarray of int64, shape (cases,)
        The segment of each case.
    weight : ndarray of float64, shape (cases,)
        What each case counts for: its weight times its choices.
    """

    segments: tuple[str, ...]
    codes: Int[np.ndarray, " cases"]
    weight: Float[np.ndarray, " cases"]

    @property
    def totals(self) -> Float[np.ndarray, " segments"]:
        """The weight of each segment."""
        return np.bincount(self.codes, self.weight, len(self.segments))

    @property
    def labels(self) -> tuple[str, ...]:
        """Everyone first, then the segments if there are any."""
        return self.segments if self.segments == (EVERYONE,) else (EVERYONE, *self.segments)

    def with_everyone(
        self, sums: Float[np.ndarray, "points segments *rest"]
    ) -> Float[np.ndarray, "points labels *rest"]:
        """Put the sum over all segments before the sums of each."""
        if self.segments == (EVERYONE,):
            return sums
        return np.concatenate([sums.sum(axis=1, keepdims=True), sums], axis=1)


def population_of(log: ChoiceLog, by: str | None = None) -> Population:
    """Return the cases of a log in the segments of a column.

    Parameters
    ----------
    log : ChoiceLog
    by : str, optional
        A column that is the same on all rows of a case.

    Raises
    ------
    SpecificationError
        If the column differs within a case, has too many values, or every case weighs zero.
    """
    weight = log.choices_per_case if log.weights is None else log.choices_per_case * log.weights
    if not weight.sum() > 0:
        raise SpecificationError(f"all cases of {log.source} weigh zero, so there are no shares")
    if by is None:
        return Population((EVERYONE,), np.zeros(log.n_cases, np.int64), weight)
    levels = log.levels_of(by)
    if len(levels) > _MOST_SEGMENTS:
        raise SpecificationError(f"{by!r} has {len(levels):,} values; cut it into bands and give the column of those")
    codes = log.codes(by, levels)
    per_case = codes[log.offsets[:-1]].astype(np.int64)
    differs = np.flatnonzero(codes != np.repeat(per_case, log.sizes))
    if len(differs):
        case = int(np.searchsorted(log.offsets, differs[0], side="right")) - 1
        label = log.case_labels[case].as_py()
        raise SpecificationError(
            f"{by!r} differs within a case (first in case {label}), so it makes no segments of cases"
        )
    labels = levels.labels
    if (per_case < 0).any():
        labels, per_case = (*labels, "(missing)"), np.where(per_case < 0, len(labels), per_case)
    taken = np.bincount(per_case, weight, len(labels)) > 0
    if not taken.all():  # cases that weigh nothing make no segment
        place = np.cumsum(taken) - 1
        labels = tuple(label for label, here in zip(labels, taken, strict=True) if here)
        per_case = np.where(taken[per_case], place[per_case], 0)
    return Population(labels, per_case, weight)


def in_memory(log: object) -> ChoiceLog:
    """Return a log in memory, or say how to get one.

    Raises
    ------
    SpecificationError
        For a stream, or what is no log at all.
    """
    if isinstance(log, ChoiceLog):
        return log
    if isinstance(log, ChoiceStream):
        raise SpecificationError(
            "answers are computed on a log in memory; draw one from the stream, for instance stream.sample(100_000)"
        )
    raise SpecificationError(f"give the choices as a ChoiceLog, not a {type(log).__name__}; revealed.read(…) makes one")

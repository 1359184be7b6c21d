"""Predictions at many parameter vectors, summed as they come. Imports models, engine and choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.population import Population
from revealed.choices.log import ChoiceLog
from revealed.engine.blas import single_threaded_blas
from revealed.models.law import Law, Predicted

#: Logsums (parameter vectors times cases) held at a time: 32 MiB.
_HELD = 1 << 22


@dataclass(frozen=True, eq=False)
class Groups:
    """A group for each row of a log, and what the row counts for.

    Parameters
    ----------
    codes : ndarray of int64, shape (rows,)
    count : int
        How many groups there are.
    weight : ndarray of float64, shape (rows,), optional
        None when all rows count for one.
    """

    codes: Int[np.ndarray, " rows"]
    count: int
    weight: Float[np.ndarray, " rows"] | None

    @classmethod
    def of(
        cls, log: ChoiceLog, population: Population, alternatives: Int[np.ndarray, " rows"], n_alternatives: int
    ) -> Groups:
        """Return groups by segment and alternative, the segment running slowest."""
        codes = alternatives.astype(np.int64)
        if len(population.segments) > 1:
            codes = codes + n_alternatives * np.repeat(population.codes, log.sizes)
        same = population.weight == 1
        weight = None if same.all() else np.repeat(population.weight, log.sizes)
        return cls(codes, n_alternatives * len(population.segments), weight)


def predictions(law: Law, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Iterator[Predicted]:
    """Yield the predictions of a law at many parameter vectors, in one pass where the law can.

    To be consumed with linear algebra on a single thread: products of a block are so small that threads cost more than
    they give (measured: five times slower with two).
    """
    each: Callable[..., Iterator[Predicted]] | None = getattr(law, "predict_each", None)
    if each is not None:
        yield from each(log, points)
        return
    for index, params in enumerate(points):
        probability, logsum = law.predict(log, params)
        yield Predicted(
            slice(index, index + 1), slice(0, log.n_rows), slice(0, log.n_cases), probability[None], logsum[None]
        )


def sums(
    law: Law, log: ChoiceLog, points: Float[np.ndarray, "points K"], groups: Groups
) -> Float[np.ndarray, "points groups"]:
    """Return the weighted sums of choice probabilities by group."""
    return _totals(law, log, points, groups, None)


def sums_and_logsums(
    law: Law, log: ChoiceLog, points: Float[np.ndarray, "points K"], groups: Groups
) -> tuple[Float[np.ndarray, "points groups"], Float[np.ndarray, "points cases"]]:
    """Return the weighted sums of choice probabilities by group, and the logsum of each case."""
    logsums = np.empty((len(points), log.n_cases))
    return _totals(law, log, points, groups, logsums), logsums


def logsums(law: Law, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points cases"]:
    """Return the logsum of each case."""
    result = np.empty((len(points), log.n_cases))
    with single_threaded_blas():
        for part in predictions(law, log, points):
            result[part.points, part.cases] = part.logsum
    return result


def in_turn(
    function: Callable[[Float[np.ndarray, "some K"]], Float[np.ndarray, "some values"]],
    points: Float[np.ndarray, "points K"],
    n_cases: int,
) -> Float[np.ndarray, "points values"]:
    """Call a function that holds numbers of each case on so many parameter vectors at a time as memory allows."""
    step = max(1, _HELD // max(n_cases, 1))
    return np.concatenate([function(points[start : start + step]) for start in range(0, len(points), step)])


def _totals(
    law: Law,
    log: ChoiceLog,
    points: Float[np.ndarray, "points K"],
    groups: Groups,
    logsums: Float[np.ndarray, "points cases"] | None,
) -> Float[np.ndarray, "points groups"]:
    totals = np.zeros((len(points), groups.count))
    with single_threaded_blas():
        for part in predictions(law, log, points):
            weighted = part.probability if groups.weight is None else part.probability * groups.weight[part.rows]
            codes = groups.codes[part.rows]
            for total, row in zip(totals[part.points], weighted, strict=True):
                if groups.count > 4 * len(codes):
                    np.add.at(total, codes, row)
                else:
                    total += np.bincount(codes, row, groups.count)
            if logsums is not None:
                logsums[part.points, part.cases] = part.logsum
    return totals

"""A sample of a log in memory without a copy: evenly spaced runs of cases. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from revealed.choices.facts import Facts
from revealed.choices.log import SAMPLE_CASES, ChoiceLog, Partition


@dataclass(frozen=True)
class Sampled:
    """Each so-many-th run of SAMPLE_CASES cases of a log; an engine sums over it as over the log.

    Parameters
    ----------
    log : ChoiceLog
    every : int
        One run in this many.
    """

    log: ChoiceLog
    every: int

    @property
    def n_cases(self) -> int:
        """The cases in the sample."""
        starts = range(0, self.log.n_cases, SAMPLE_CASES * self.every)
        return sum(min(SAMPLE_CASES, self.log.n_cases - start) for start in starts)

    @property
    def facts(self) -> Facts:
        """The facts of the whole log."""
        return self.log.facts

    def batches(self, columns: Iterable[str] | None = None) -> Iterator[Sampled]:
        """Yield the sample itself: it is in memory, with all columns."""
        del columns
        yield self

    def partitions(self, count: int) -> list[Partition]:
        """Cut the sample into about ``count`` parts between its runs."""
        stride = SAMPLE_CASES * self.every
        n_runs = -(-self.log.n_cases // stride)
        pieces = min(max(count, 1), n_runs)
        edges = [min(stride * (n_runs * i // pieces), self.log.n_cases) for i in range(pieces)] + [self.log.n_cases]
        return [Partition(self.log, a, b, self.every) for a, b in pairwise(edges)]

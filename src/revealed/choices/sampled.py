"""A sample of a log in memory without a copy: evenly spaced runs of cases. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from revealed.choices.facts import Facts
from revealed.choices.log import ChoiceLog, Partition

#: Cases in a run of a sample: enough to be worth a block, if at least so many runs make up the sample.
_RUN_CASES, _LEAST_RUNS = 4096, 12


@dataclass(frozen=True)
class Sampled:
    """Evenly spaced runs of cases of a log; an engine sums over it as over the log.

    Parameters
    ----------
    log : ChoiceLog
    run, stride : int
        Of each ``stride`` cases the first ``run`` are in the sample.
    """

    log: ChoiceLog
    run: int
    stride: int

    @classmethod
    def of(cls, log: ChoiceLog, wanted: int) -> Sampled:
        """Return a sample of about ``wanted`` cases."""
        run = max(min(_RUN_CASES, wanted // _LEAST_RUNS), 1)
        return cls(log, run, max(run, log.n_cases * run // max(wanted, 1)))

    @property
    def n_cases(self) -> int:
        """The cases in the sample."""
        starts = range(0, self.log.n_cases, self.stride)
        return sum(min(self.run, self.log.n_cases - start) for start in starts)

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
        n_runs = -(-self.log.n_cases // self.stride)
        pieces = min(max(count, 1), n_runs)
        edges = [min(self.stride * (n_runs * i // pieces), self.log.n_cases) for i in range(pieces)] + [
            self.log.n_cases
        ]
        return [Partition(self.log, a, b, self.run, self.stride) for a, b in pairwise(edges)]

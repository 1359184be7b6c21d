"""The engine in this process, one batch after the other. Imports choices only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from revealed.engine.blas import single_threaded_blas
from revealed.engine.protocol import Progress, Sum, Summed, Task

#: Partitions a log in memory is cut into, so that progress shows and Ctrl-C is heard.
_PARTITIONS = 16


@dataclass(frozen=True)
class InProcess:
    """Sums in the calling thread; memory is bounded by the batch."""

    def sum(
        self,
        task: Task[Sum],
        choices: Summed,
        *,
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Sum:
        """Return the sum of the task over the log; see :class:`Engine`."""
        total: Sum | None = None
        count = _PARTITIONS if progress is not None else 1
        with single_threaded_blas():
            for batch in choices.batches(columns):
                for partition in batch.partitions(count):
                    part = task(partition)
                    total = part if total is None else total + part
                    if progress is not None:
                        progress(partition.stop - partition.start, choices.facts.n_cases)
        assert total is not None, "a log has at least one case"
        return total

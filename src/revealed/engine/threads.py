"""The engine of threads over blocks. Imports choices only."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache

from revealed.choices.log import BLOCK_CASES, Partition
from revealed.choices.stream import ChoiceStream
from revealed.engine.blas import single_threaded_blas
from revealed.engine.local import InProcess
from revealed.engine.protocol import Progress, Sum, Summed, Task
from revealed.errors import SpecificationError

#: About the most cases in a partition of a log in memory: some tenths of a second of work.
_CASES = 250_000


@dataclass(frozen=True)
class Threads:
    """Sums on several threads; numpy lets go of the interpreter inside a block.

    Parameters
    ----------
    count : int, optional
        Threads; by default the processors this process may use.
    """

    count: int = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise SpecificationError(f"the number of threads must be positive, not {self.count}")

    def sum(
        self,
        task: Task[Sum],
        choices: Summed,
        *,
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Sum:
        """Return the sum of the task over the log; see :class:`Engine`.

        A stream is read by the calling thread while the others sum; at most two batches a thread wait in memory.
        """
        count = self.count or len(os.sched_getaffinity(0))
        if not isinstance(choices, ChoiceStream) and choices.n_cases <= BLOCK_CASES:
            return InProcess().sum(task, choices, columns=columns, progress=progress)  # too little to share out
        total: Sum | None = None
        waiting: deque[tuple[Partition, Future[Sum]]] = deque()
        pool = _pool(count)
        with single_threaded_blas():
            try:
                for partition in _partitions(choices, count, columns):
                    waiting.append((partition, pool.submit(task, partition)))
                    while len(waiting) > 2 * count:
                        total = _take(waiting, total, choices, progress)
                while waiting:
                    total = _take(waiting, total, choices, progress)
            finally:
                # After an error or Ctrl-C no task may outlive the limit on BLAS: it would fight others for processors.
                for _, future in waiting:
                    future.cancel()
                wait([future for _, future in waiting])
        assert total is not None, "a log has at least one case"
        return total


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    # Kept between sums, with the arrays each thread works in.
    return ThreadPoolExecutor(count, thread_name_prefix="revealed")


def _partitions(choices: Summed, count: int, columns: Sequence[str] | None) -> Iterator[Partition]:
    # One partition a thread: blocks are equal work, and each further partition costs exact sums of its own. Several in
    # a large log, for progress to show and Ctrl-C to be heard; a batch of a stream is small enough to be one.
    pieces = 1
    if not isinstance(choices, ChoiceStream):
        pieces = count * max(1, round(choices.n_cases / (count * _CASES)))
    for batch in choices.batches(columns):
        yield from batch.partitions(pieces)


def _take(
    waiting: deque[tuple[Partition, Future[Sum]]],
    total: Sum | None,
    choices: Summed,
    progress: Progress | None,
) -> Sum:
    partition, future = waiting[0]
    part = future.result()
    waiting.popleft()
    if progress is not None:
        progress(partition.stop - partition.start, choices.facts.n_cases)
    return part if total is None else total + part

"""What an engine is: it maps a task over partitions of a log and adds the results. Imports choices only.

Any machinery that can do that is an engine: this process, threads, later a cluster. Because evidence adds exactly and
partitions are whole blocks of the log, each engine returns the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.sampled import Sampled
from revealed.choices.stream import ChoiceStream


@runtime_checkable
class Addable(Protocol):
    """Anything with ``+``."""

    def __add__(self, other: Any, /) -> Any: ...


Sum = TypeVar("Sum", bound=Addable)
Task = Callable[[Partition], Sum]

#: What can be summed over: a log in memory or on disk, or a sample of one.
Summed = ChoiceLog | ChoiceStream | Sampled

#: Called with the number of cases just done and the number in all (None when not known yet).
Progress = Callable[[int, int | None], None]


@runtime_checkable
class Engine(Protocol):
    """Maps a task over the partitions of a log and adds what comes back."""

    def sum(
        self,
        task: Task[Sum],
        choices: Summed,
        *,
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Sum:
        """Return the sum of ``task(partition)`` over partitions that together are the log.

        Parameters
        ----------
        task : callable
            Given a :class:`Partition` of whole blocks; must not keep or change it.
        choices : ChoiceLog, ChoiceStream or Sampled
            What to sum over.
        columns : sequence of str, optional
            The columns the task uses, so that no others are read from disk; by default all.
        progress : callable, optional
            Told of the cases done, from the calling thread.
        """
        ...

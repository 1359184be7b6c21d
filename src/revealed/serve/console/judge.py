"""The judging of versions, started beside the service when somebody looks. Imports its own room and store's protocol.

It takes seconds, and deciding must not wait for it: so it is a process of its own (:mod:`revealed.serve.judging`),
which leaves what it found in the store. A page shows what was found last, and has it judged anew where that is old.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from revealed.serve import parent
from revealed.serve.judgement import Judged, Judgement
from revealed.store.protocol import Store

#: Judging anew is due after so many seconds, or after so many times what it took: one twentieth of a core at most.
_SECONDS, _TIMES = 15.0, 20.0
#: Seconds to wait for its end.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Found:
    """What was found of the versions of a slot.

    Parameters
    ----------
    at : float, optional
        When, in seconds since 1970; none where nothing was yet.
    versions : sequence of Judged
    reach : float
        How far from 0 intervals of differences reach.
    fresh : bool
        Whether nothing was decided since, or it is too early to look again.
    """

    at: float | None
    versions: Sequence[Judged]
    reach: float
    fresh: bool


def found_of(store: Store, slot: str, moment: float) -> Found:
    """Return what was found last of the versions of a slot.

    Parameters
    ----------
    store : Store
    slot : str
    moment : float
        Now, in seconds since 1970.
    """
    kept = store.judgement(slot)
    if kept is None:
        return Found(None, (), 1.0, False)
    at, judgement = kept[0], msgspec.json.decode(kept[1], type=Judgement)
    ends = [abs(end) for one in judgement.versions for end in (one.by_low, one.by_high) if end is not None]
    young = 0 <= moment - at < max(_SECONDS, _TIMES * judgement.took)
    fresh = young or store.ends()[0] == judgement.end
    return Found(at, judgement.versions, max(ends, default=0.0) or 1.0, fresh)


class Judge:
    """Starts the judging of a store, once at a time.

    Parameters
    ----------
    where : str
        The store, as for :func:`revealed.store.open.open_store`.
    clock : callable, optional
        Seconds that do not step back.
    """

    def __init__(self, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.where, self.clock = where, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def start(self) -> None:
        """Have all be judged anew, if that is not under way and was not tried just now."""
        if self.is_running or self.clock() - self._started < _SECONDS:
            return
        self.close()
        self._started = self.clock()
        self._process = parent.started("revealed.serve.judging", self.where)

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_failed(self) -> bool:
        """Whether the last one ended with an error."""
        return self._process is not None and self._process.poll() not in (None, 0)

    def close(self) -> None:
        """End what is under way."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

"""The learner: names what is new a lesson, learns it, tells the deciders. Imports decide, store, its room and errors.

Run as a program it is the learner of a service: ``python -m revealed.serve.learner STORE FOLDER``. There is one for a
store; a second finds its place taken, and says so. One that a supervisor has started waits for the place instead, so
that where services on several machines share a store, another goes on when one machine is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgspec

from revealed.decide.policy import LearningPolicy
from revealed.errors import RevealedError, StoreError
from revealed.serve import parent
from revealed.serve.lessons import learned_from, material
from revealed.serve.snapshots import Snapshot, Snapshots, policy_of, state_of
from revealed.serve.watch import Watch
from revealed.store.open import is_shared, open_store
from revealed.store.protocol import Checkpoint, Lesson, Milestone, Store

ROLE = "learner"
#: Seconds for which the place is held, and after which it is taken anew.
_HELD, _RENEWED = 10.0, 2.0
#: Outcomes in a lesson, and lessons or seconds between checkpoints.
_LONGEST, _LESSONS, _SECONDS = 20_000, 500, 30.0
#: Outcomes before the first milestone; the next is due when there are twice as many as at the last.
_FIRST_MILESTONE = 100
#: Seconds after which decisions without an answer are a lesson by themselves, where silence says something.
_SILENCE = 1.0
#: Seconds from one look at what is new to the next, at least: a lesson for each outcome would keep a processor, and the
#: one place in the store that is written at, from those who answer.
_PACE = 0.2
#: How much the learner gives way to those who answer; see nice(2).
_NICE = 10
#: Seconds between checkpoints where deciders on other machines follow them.
_SHARED_SECONDS = 1.0


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """What a learner is told by its supervisor.

    Parameters
    ----------
    store, snapshots : str
    who : str
        The name that it holds its place by, the same for the one that is started when this one has died.
    """

    store: str
    snapshots: str
    who: str


@dataclass(eq=False)
class Pupil:
    """A policy as it learns.

    Parameters
    ----------
    store : Store
    name, slot : str
    policy : LearningPolicy
    lesson : Lesson
        The last one it learned; of number 0 before the first.
    odd : int
        Rows that nothing could be learned from.
    """

    store: Store
    name: str
    slot: str
    policy: LearningPolicy
    lesson: Lesson
    odd: int = 0
    _kept: int = 0
    _kept_at: float = 0.0
    _looked: int = field(default=0, init=False)
    _due: int = _FIRST_MILESTONE
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch.over(self.policy)

    @classmethod
    def resumed(cls, store: Store, name: str, slot: str) -> Pupil:
        """Return a policy as it was: the last checkpoint, and the lessons since, repeated.

        Raises
        ------
        StoreError
            If the store has no checkpoint of it, or one that cannot be read.
        """
        kept = store.checkpoint(name)
        if kept is None:
            raise StoreError(f"the store has no policy {name!r}")
        lessons = store.lessons_after(name, max(kept.lesson - 1, 0))  # from that of the checkpoint on
        before = next((lesson for lesson in lessons if lesson.number == kept.lesson), Lesson(name, 0, 0, 0, 0.0))
        due = max([_FIRST_MILESTONE, *(2 * last.answers for last in store.milestones(name)[-1:])])
        pupil = cls(store, name, slot, policy_of(kept.state), before, _kept=kept.lesson, _due=due)
        for lesson in lessons:
            if lesson.number > before.number:
                pupil._learn(lesson)
        return pupil

    def look(self, now: float) -> bool:
        """Learn what is new, if anything is; return whether it did."""
        decisions, outcomes = self.store.ends()
        start = max(self.lesson.outcomes_to, self._looked)
        end = min(outcomes, start + _LONGEST)
        silent = self._is_silent(decisions, now)
        if end <= start and silent:
            return False
        if silent and next(iter(self.store.answers_in_slot(start, end, self.slot)), None) is None:
            self._looked = end
            return end < outcomes
        now = max(now, self.lesson.at)  # what waits for an answer gets older, whatever the clock says
        lesson = Lesson(self.name, self.lesson.number + 1, decisions, end, now)
        self.store.add_lesson(lesson)
        self._learn(lesson)
        return True

    def _is_silent(self, decisions: int, now: float) -> bool:
        """Whether nothing was shown since the last lesson, or its silence can wait."""
        if self.policy.late is None or 0 <= now - self.lesson.at < _SILENCE:
            return True
        new = self.store.decisions_in_slot(self.lesson.decisions_to, decisions, self.slot)
        return next(iter(new), None) is None

    def keep(self, now: float, every: float = _SECONDS) -> None:
        """Write a checkpoint, if the last one is old."""
        behind = self.lesson.number - self._kept
        if behind >= _LESSONS or (behind and not 0 <= now - self._kept_at < every):  # a clock may step back
            self.store.add_checkpoint(Checkpoint(self.name, self.lesson.number, state_of(self.policy)))
            self._kept, self._kept_at = self.lesson.number, now

    def mark(self) -> None:
        """Write a milestone, if the policy has learned from twice as many outcomes as at the last one.

        Not while it learns what came before it: what it may have learned from is told by the decisions that were there
        at its last lesson.
        """
        answers, lesson = self.policy.model.n_answers, self.lesson
        if answers < self._due or self.store.ends()[1] - lesson.outcomes_to >= _LONGEST:
            return
        milestone = Milestone(self.name, lesson.number, answers, lesson.decisions_to, lesson.at)
        self.store.add_milestone(milestone, state_of(self.policy))
        self._due = 2 * answers

    def _learn(self, lesson: Lesson) -> None:
        before, store = self.lesson, self.store
        answers = list(store.answers_in_slot(before.outcomes_to, lesson.outcomes_to, self.slot))
        decisions = store.decisions_in_slot(before.decisions_to, lesson.decisions_to, self.slot)
        shown = material(self.policy, answers, decisions)
        self.policy, odd = learned_from(self.policy, shown, lesson.at)
        self.watch.see(shown)
        self.odd += odd
        self.lesson = lesson

    @property
    def snapshot(self) -> Snapshot:
        """What deciders are to know."""
        return Snapshot(self.policy, self.lesson.number, self.lesson.at, tuple(self.watch.alarms()), self.odd)


def learn(
    store: Store,
    snapshots: Snapshots,
    stop: Event,
    clock: Callable[[], float],
    pause: float = 0.1,
    who: str | None = None,
    every: float = _SECONDS,
) -> None:
    """Learn what comes, until told to stop.

    Parameters
    ----------
    store : Store
    snapshots : Snapshots
    stop : Event
    clock : callable
        Seconds since 1970.
    pause : float
        Seconds between looks, where nothing is new.
    who : str, optional
        The name to hold the place by; given, another that has the place is waited for.
    every : float
        Seconds between checkpoints.

    Raises
    ------
    StoreError
        If another learner has this store, or it cannot be read for half a minute.
    """
    waits, who = who is not None, who or f"{os.uname().nodename}:{os.getpid()}"
    while not store.hold(ROLE, who, _HELD):
        if not waits:
            raise StoreError("another learner has this store; stop that one first, or wait until its hold has run out")
        if stop.wait(1.0):
            return
    pupils: dict[str, Pupil] = {}
    held = failed = clock()
    while not stop.is_set():
        began = time.monotonic()  # a clock that steps back meanwhile would have it wait for hours
        try:
            now = clock()
            if now - held > _RENEWED or now < held:
                if not store.hold(ROLE, who, _HELD):
                    raise StoreError("another learner has taken this store")
                held = now
            busy = _round(store, snapshots, pupils, clock, every)
            failed = now
        except (RevealedError, OSError):  # not the store's alone: a disk that is full takes no snapshot either
            if clock() - failed > 30:  # a server may be starting again; what was read so far is as it was
                raise
            pupils.clear()
            busy = False
        with suppress(StoreError):  # what is wrong with the disk is told where something must be written
            store.settle()
        stop.wait(max(0.0, began + _PACE - time.monotonic()) if busy else pause)
    for pupil in pupils.values():
        pupil.keep(clock(), 0.0)
    store.release(ROLE, who)


def _round(
    store: Store, snapshots: Snapshots, pupils: dict[str, Pupil], clock: Callable[[], float], every: float
) -> bool:
    busy = False
    for row in store.policies():
        pupil = pupils.get(row.name)
        if pupil is None:
            pupil = pupils[row.name] = Pupil.resumed(store, row.name, row.slot)
            snapshots.publish(row.name, pupil.snapshot)
        if pupil.look(clock()):
            busy = True
            snapshots.publish(row.name, pupil.snapshot)
        pupil.keep(clock(), every)
        pupil.mark()
    return busy


def main() -> None:
    """Be the learner of a store until a signal ends it."""
    stop = Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    os.nice(_NICE)
    try:
        if sys.argv[1:]:
            store = open_store(sys.argv[1])
            learn(store, Snapshots(Path(sys.argv[2])), stop, time.time)
        else:
            place = msgspec.json.decode(parent.told(), type=Place)
            parent.when_it_has_gone(stop.set)
            store = open_store(place.store)
            every = _SHARED_SECONDS if is_shared(place.store) else _SECONDS
            learn(store, Snapshots(Path(place.snapshots)), stop, time.time, who=place.who, every=every)
        store.close()
    except RevealedError as error:
        sys.exit(f"learner: {error}")


if __name__ == "__main__":
    main()

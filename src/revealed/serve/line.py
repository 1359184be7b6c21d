"""The line: who asks while a group is written waits, and the next group is decided and written at once.

Imports decide, store and errors. One event loop, and one thread that writes: while it waits for the disk, requests are
read and answered. See ``docs/design/serving.md``.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from revealed.choices.policy import Decision
from revealed.decide.many import Request
from revealed.errors import RevealedError, StoreError
from revealed.serve.counts import Counts
from revealed.serve.messages import Decided, DecideRequest, OutcomeRequest, Refused, Taken
from revealed.serve.names import Names
from revealed.serve.roster import LIVE, Roster, Standing
from revealed.serve.rows import row_of, shown_in
from revealed.serve.store_thread import StoreThread
from revealed.store.protocol import NOBODY_KNOWS, DecisionRow, OutcomeRow, Store, Verdict

Answer = Decided | Refused
Found = TypeVar("Found")


class BusyError(Exception):
    """Nothing was taken; it may be tried again after some seconds."""

    def __init__(self, reason: str, wait: float = 1.0) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


@dataclass(frozen=True)
class LineOptions:
    """How long the line may be.

    Parameters
    ----------
    waiting : int
        The most decisions and outcomes that wait; who comes then is sent away.
    group : int
        The most that are decided and written at once.
    leased : int
        Numbers of decisions that are leased at a time.
    each : float
        Seconds that decisions of a group by one policy may take that are made one by one: of several things at once,
        for the holdout group, or with something in them that was never met. Those left are decided in the next groups,
        in their order, and others beside them: nobody is kept waiting by what somebody made up.
    patience : float
        Seconds that a group waits for the store; then it is answered without, as are all who come until the store is
        heard of again.
    """

    waiting: int = 4096
    group: int = 256
    leased: int = 8192
    each: float = 0.05
    patience: float = 2.0


class _Batch:
    """Requests that came as one, and are answered as one: by their answers, or by the first error."""

    __slots__ = ("answers", "error", "left", "then")

    def __init__(self, size: int, then: Callable[[Sequence[Answer] | Exception], None]) -> None:
        self.answers: list[Answer | None] = [None] * size
        self.left, self.then = size, then
        self.error: Exception | None = None

    def answer(self, place: int, answer: Answer | Exception) -> None:
        """Take one answer; the last one sends them."""
        if isinstance(answer, Exception):
            self.error = self.error or answer
        else:
            self.answers[place] = answer
        self.left -= 1
        if not self.left:
            self.then(self.error or [answer for answer in self.answers if answer is not None])


class _Asked(NamedTuple):
    request: DecideRequest
    then: Callable[[Answer | Exception], None]


class _Told(NamedTuple):
    outcomes: Sequence[OutcomeRequest]
    received: float
    then: Callable[[Taken | Exception], None]


@dataclass(eq=False)
class _Group:
    """What is decided and written at once."""

    asked: Sequence[_Asked]
    told: Sequence[_Told]
    rows: list[DecisionRow] = field(default_factory=list)
    #: The place in ``asked`` of each row, and the decision in it.
    places: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    answers: list[Answer | None] = field(default_factory=list)
    #: By place those that no policy decides now: the one that would, and why not; and what stands for ids already.
    undecided: dict[int, tuple[Standing, str]] = field(default_factory=dict)
    before: Mapping[str, DecisionRow] = field(default_factory=dict)
    #: Those that are to be decided in a later group.
    again: list[_Asked] = field(default_factory=list)


class Line:
    """Takes requests, and answers when what they led to is on disk.

    Parameters
    ----------
    store : Store
    names : Names
    roster : Roster
    counts : Counts
        What happened, for metrics.
    clock : callable
        Seconds since 1970.
    options : LineOptions
    """

    def __init__(
        self,
        store: Store,
        names: Names,
        roster: Roster,
        counts: Counts,
        clock: Callable[[], float],
        options: LineOptions | None = None,
    ) -> None:
        self.store, self.names, self.roster, self.counts, self.clock = store, names, roster, counts, clock
        self.options = options or LineOptions()
        self._asked: deque[_Asked] = deque()
        self._left: deque[_Asked] = deque()  # by a group before, for want of time
        self._told: deque[_Told] = deque()
        self._n_told, self._some, self._closing = 0, asyncio.Event(), False
        self.thread = StoreThread(self.options.patience)
        self._numbers: deque[range] = deque()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the line."""
        self._numbers.append(await self.in_turn(self.store.lease, self.options.leased))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> bool:
        """Close the line, once all who wait have been answered; return whether the store is in nobody's use."""
        self._closing = True
        self._some.set()
        if self._task is not None:
            await self._task
        return self.thread.close()

    @property
    def waiting(self) -> int:
        """How many decisions and outcomes wait."""
        return len(self._asked) + len(self._left) + self._n_told

    async def in_turn(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Do something with the store when it is its turn; StoreError while that does not answer."""
        return await self.thread.in_turn(work, *arguments)

    def ask(self, request: DecideRequest, then: Callable[[Answer | Exception], None]) -> None:
        """Take a request; ``then`` is called once, later, with the answer; see :meth:`decide`."""
        self._require_room(1)
        if not self._asked:  # else it is known that there are some
            self._some.set()
        self._asked.append(_Asked(request, then))

    def decide(self, requests: Sequence[DecideRequest], then: Callable[[Sequence[Answer] | Exception], None]) -> None:
        """Take requests; ``then`` is called once, later, with their answers.

        It is given a BusyError where the store cannot write what must not be lost.

        Raises
        ------
        BusyError
            If the line is full: nothing was taken.
        """
        self._require_room(len(requests))
        batch = _Batch(len(requests), then)
        self._asked.extend([_Asked(one, partial(batch.answer, place)) for place, one in enumerate(requests)])
        self._some.set()

    def tell(self, outcomes: Sequence[OutcomeRequest], then: Callable[[Taken | Exception], None]) -> None:
        """Take outcomes; ``then`` is called once, later, with the acknowledgement or a BusyError: nothing was written.

        Raises
        ------
        BusyError
            If the line is full: nothing was taken.
        """
        self._require_room(len(outcomes))
        self._told.append(_Told(outcomes, self.clock(), then))
        self._n_told += len(outcomes)
        self._some.set()

    def _require_room(self, further: int) -> None:
        if self._closing:
            raise BusyError("the service is stopping", 5.0)
        if self.waiting + further > self.options.waiting:
            self.counts.add("busy", further)
            raise BusyError(f"{self.waiting:,} wait already")

    # ---- one group after the other --------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            while self._asked or self._left or self._told:
                group = self._next()
                await self._serve(group)
                if group.again:
                    await asyncio.sleep(0)  # others go first
            if self._closing:
                return
            self._some.clear()

    def _next(self) -> _Group:
        most = self.options.group
        asked = [some.popleft() for some in (self._left, self._asked) for _ in range(min(len(some), most))]
        told, n_told = [], 0
        while self._told and n_told < self.options.group:
            told.append(self._told.popleft())
            n_told += len(told[-1].outcomes)
        self._n_told -= n_told
        return _Group(asked, told)

    async def _serve(self, group: _Group) -> None:
        try:
            while sum(map(len, self._numbers)) < len(group.asked):
                self._numbers.append(await self.thread.in_time(self.store.lease, self.options.leased))
            self._decide(group)
            rows, verdicts = await self.thread.in_time(self._write, group)
        except StoreError as error:
            self.counts.add("store_errors", 1)
            self._without_store(group, str(error), error.unsure)
            return
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nobody may wait for ever
            self._give_up(group, error)
            return
        self._answer(group, rows, verdicts)

    def _taken(self, count: int) -> list[int]:
        """Take numbers for so many decisions; there are as many."""
        taken: list[int] = []
        while len(taken) < count:
            first = self._numbers.popleft()
            further = count - len(taken)
            taken += first[:further]
            if len(first) > further:
                self._numbers.appendleft(first[further:])
        return taken

    # ---- deciding -------------------------------------------------------------------------------------------------

    def _decide(self, group: _Group) -> None:
        group.answers = [None] * len(group.asked)
        names = {one.request.policy for one in group.asked}
        only = self.roster.alone(names.pop()) if len(names) == 1 else None
        if only is not None and only.state == LIVE and not self.roster.is_stale:  # most often
            self._decide_by(only, range(len(group.asked)), group)
            return
        by_policy: dict[str, list[int]] = {}
        for place, one in enumerate(group.asked):
            try:
                standing = self.roster.deciding(one.request.policy, one.request.person)
            except RevealedError as error:
                group.answers[place] = Refused(str(error))
                continue
            if self.roster.is_stale and standing.fallback:
                group.undecided[place] = standing, "stale"
            elif standing.state == LIVE:
                by_policy.setdefault(standing.name, []).append(place)
            else:
                group.undecided[place] = standing, standing.state
        for name, places in by_policy.items():
            self._decide_by(self.roster.standings[name], places, group)

    def _decide_by(self, standing: Standing, places: Sequence[int], group: _Group) -> None:
        asked = [group.asked[place].request for place in places]
        requests = [
            Request(one.context, number, one.candidates, one.count, one.person)
            for one, number in zip(asked, self._taken(len(asked)), strict=True)
        ]
        made = self.clock()
        found = standing.desk.decide_within(self.options.each, requests)
        for place, one, request, decision in zip(places, asked, requests, found, strict=True):
            if isinstance(decision, Decision):
                group.rows.append(row_of(standing.name, made, one, request.seed, decision))
                group.places.append(place)
                group.decisions.append(decision)
            elif decision is None:
                group.again.append(group.asked[place])
            else:
                group.answers[place] = Refused(str(decision))

    def _fallback(self, standing: Standing, why: str) -> Answer:
        if not standing.fallback:
            return Refused(f"the policy {standing.name!r} is {why}, and has no fall-back: [business] fallback = […]")
        self.counts.add("fallbacks", 1)
        return Decided(None, list(standing.fallback), None, [], standing.name, standing.policy.version, why,
                       self.roster.layout(standing.name, standing.fallback))  # fmt: skip

    # ---- writing: in the store's thread ---------------------------------------------------------------------------

    def _write(self, group: _Group) -> tuple[Sequence[DecisionRow], Sequence[Verdict]]:
        told = [(one.received, outcome) for one in group.told for outcome in one.outcomes]
        numbers = {outcome.decision: self.names.number(outcome.decision) for _, outcome in told}
        ids = [name for name, number in numbers.items() if number is None]
        ids += [name for place in group.undecided if (name := group.asked[place].request.id) is not None]
        group.before = self.store.asked(ids) if ids else {}
        outcomes = []
        for received, outcome in told:
            number, came = numbers[outcome.decision], received if outcome.time is None else outcome.time
            if number is None and outcome.decision in group.before:
                number = group.before[outcome.decision].number
            of, name = (NOBODY_KNOWS, outcome.decision) if number is None else (number, "")
            outcomes.append(OutcomeRow(of, outcome.position, outcome.reward, came, received, name))
        return self.store.write(group.rows, outcomes)

    # ---- answering ------------------------------------------------------------------------------------------------

    def _answer(self, group: _Group, rows: Sequence[DecisionRow], verdicts: Sequence[Verdict]) -> None:
        for place, row, ours, decision in zip(group.places, rows, group.rows, group.decisions, strict=True):
            if row.number == ours.number:
                group.answers[place] = self._decided(row, list(decision.shown), list(decision.propensities))
            else:
                group.answers[place] = self._as_before(row, self.roster.standings[ours.policy])
        for place, (standing, why) in group.undecided.items():
            stood = group.before.get(group.asked[place].request.id or "")
            group.answers[place] = self._as_before(stood, standing) if stood else self._fallback(standing, why)
        for one, answer in zip(group.asked, group.answers, strict=True):
            if answer is not None:
                self._say(one.then, answer)
        self._left.extendleft(reversed(group.again))
        start = 0
        for told in group.told:
            some = verdicts[start : start + len(told.outcomes)]
            start += len(some)
            self._say(told.then, Taken(*(sum(verdict is kind for verdict in some) for kind in Verdict)))
        self.counts.served(len(rows), verdicts)

    def _decided(self, row: DecisionRow, shown: list[str], chances: list[float]) -> Answer:
        name, layout = self.names.name(row.number), self.roster.layout(row.policy, shown)
        return Decided(name, shown, math.prod(chances), chances, row.policy, row.version, None, layout)

    def _as_before(self, row: DecisionRow, standing: Standing) -> Answer:
        """Return the answer that an id got before, if it was about the same."""
        decided, slot = self.roster.standings.get(row.policy), standing.row.slot
        if decided is not None and decided.row.slot != slot:
            return Refused(f"the id {row.asked!r} is of a decision on {decided.row.slot!r}: give another on {slot!r}")
        return self._decided(row, *shown_in(row))

    def _without_store(self, group: _Group, reason: str, unsure: bool) -> None:
        """Answer decisions by what is fixed, and send outcomes away: they are the client's to keep.

        Where the decision may be on disk after all, one asked for by a client's own id is sent away, too: its outcome,
        told by that id, would count for what was not shown.
        """
        for place, one in enumerate(group.asked):
            answer = group.answers[place] if place < len(group.answers) else None
            lost = unsure and one.request.id is not None and place in group.places
            if answer is None:
                try:
                    standing = self.roster.deciding(one.request.policy, one.request.person)
                    answer = self._fallback(standing, "without a store")
                    lost = lost or isinstance(answer, Refused)  # it will be decided when there is a store again
                except RevealedError as error:
                    answer = Refused(str(error))
            self._say(one.then, BusyError(reason) if lost else answer)
        for told in group.told:
            self._say(told.then, BusyError(reason))

    def _give_up(self, group: _Group, error: Exception) -> None:
        for one in group.asked:
            self._say(one.then, error)
        for told in group.told:
            self._say(told.then, error)

    def _say(self, then: Callable[[Any], None], answer: object) -> None:
        """Answer one; whatever becomes of it, the others are answered, too."""
        try:
            then(answer)
        except Exception:  # noqa: BLE001 - such as a connection that is being closed
            self.counts.add("errors", 1)

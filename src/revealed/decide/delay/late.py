"""A policy's late answers: which rows of a log are new decisions, which answer earlier ones. Imports its room, choices.

The ledger knows decisions by ticket, a log by name; here the two meet. What the policy is to believe is the ledger's
:attr:`~revealed.decide.delay.pending.PendingLedger.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.cells import SHOWN
from revealed.choices.feedback import Feedback
from revealed.decide.delay.known import Known, names_of
from revealed.decide.delay.live import ANSWERED, CLOSED, OVERDUE, PENDING, SETTLED
from revealed.decide.delay.options import Made, Told
from revealed.decide.delay.pending import PendingLedger
from revealed.decide.delay.saved import ledger_from_dict, ledger_to_dict
from revealed.decide.delay.section import Delay
from revealed.decide.delay.times import NUMBERS, moment_of, times_of, written
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.model import BayesianGLM

Moment = float | str | datetime


@dataclass(frozen=True, eq=False)
class Overdue:
    """Answers "yes" to decisions that were closed: they teach how long answers take, and nothing else."""

    ticket: Int[np.ndarray, " overdue"]
    decided: Float[np.ndarray, " overdue"]
    delay: Float[np.ndarray, " overdue"]
    covariates: Float[np.ndarray, "overdue C"]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """What a log brings.

    Parameters
    ----------
    at : float
        The time now.
    clock : str, optional
        What times were read from.
    new : ndarray of int64, shape (new,)
        The rows that are decisions not met before.
    decided : ndarray of float64, shape (new,)
        When these were made.
    covariates : ndarray of float64, shape (new, C)
        What their delays may depend on.
    known : Known
        All decisions that are known from now on.
    told : Told
        The answers, to new decisions and to earlier ones.
    overdue : Overdue
    n_forgotten : int
        Rows of decisions so old that nobody knows whether they were met.
    """

    at: float
    clock: str | None
    new: Int[np.ndarray, " new"]
    decided: Float[np.ndarray, " new"]
    covariates: Float[np.ndarray, "new C"]
    known: Known
    told: Told
    overdue: Overdue
    n_forgotten: int


@dataclass(frozen=True, eq=False)
class _Cells:
    """The rows of a log as numbers."""

    decided: Float[np.ndarray, " rows"]
    came: Float[np.ndarray, " rows"]  # now, where an answer has no time
    answer: Float[np.ndarray, " rows"]  # NaN where there is none
    covariates: Float[np.ndarray, "rows C"]


@dataclass(frozen=True, eq=False)
class LateAnswers:
    """The ledger of a policy and the names of its decisions; immutable: learning returns another.

    Parameters
    ----------
    section : Delay
    ledger : PendingLedger
        Never changed: copies are.
    known : Known
    clock : str, optional
        What times are read from: numbers, or dates and times.
    n_forgotten : int
        Rows left out as their decisions were too old to be known.
    """

    section: Delay
    ledger: PendingLedger
    known: Known
    clock: str | None = None
    n_forgotten: int = 0

    @classmethod
    def fresh(cls, section: Delay, model: BayesianGLM, batch: int, keep: float) -> LateAnswers:
        """Return one that waits for nothing.

        Raises
        ------
        SpecificationError
            If the model's answers are not yes or no.
        """
        treatment, together = section.treatment, isinstance(model.posterior, FullPosterior)
        # What one answer says alone depends on what others say then: it is held, to be found anew as they fall silent.
        hold = not together and treatment.replaces and treatment.needs_law and keep == 1
        ledger = PendingLedger(model, treatment, section.delays, section.ledger(batch, keep, hold=hold))
        return cls(section, ledger, Known.none())

    @property
    def messages(self) -> tuple[str, ...]:
        """What a reader must know; empty when all is well."""
        messages = self.ledger.status.messages
        if self.n_forgotten:
            rows = "1 row is" if self.n_forgotten == 1 else f"{self.n_forgotten:,} rows are"
            messages += (f"{rows} of decisions too old to be known, and taught nothing",)
        return messages

    def summary(self) -> dict[str, Any]:
        """Return how it stands as JSON-ready data: counts, the delay law, what a reader must know."""
        status = self.ledger.status
        return {
            "n_pending": status.n_pending,
            "n_answered": status.n_answered,
            "n_closed": status.n_closed,
            "n_too_late": status.n_too_late,
            "law": None if status.law is None else status.law.to_dict(),
            "messages": list(self.messages),
        }

    # ---- what a log brings ----------------------------------------------------------------------------------------

    def arrivals(self, log: Feedback, now: Moment | None = None) -> Arrivals:
        """Tell the rows of a log apart.

        Parameters
        ----------
        log : Feedback
        now : float, str or datetime, optional
            The end of the log; by default the latest time in it, or the end of the last one if that is later.

        Raises
        ------
        DataError
            With each problem and its rows: times that are missing, negative delays, answers from the future, answers
            that are not 0 or 1, decisions answered before, another action than was shown; or a clock that runs
            backwards.
        SpecificationError
            If a column is not there, or times are of another clock than before.
        """
        cells, at, clock, problems = self._cells(log, now)
        keys, actions = names_of(log)
        place = self.known.find(keys)
        met, has = place >= 0, ~np.isnan(cells.answer)
        state, tickets = np.zeros(len(keys), np.uint8), np.zeros(len(keys), np.int64)
        tickets[met] = self.known.ticket[place[met]]
        state[met] = self.ledger.state[tickets[met]]
        done = np.isin(state, (ANSWERED, SETTLED, OVERDUE))
        other = met & ~done
        other[other] = self.known.action[place[other]] != actions[other]
        remedy = "give each answer once: leave out rows that were learned"
        problems += _at(log, done, "decisions answered before", remedy, "decision")
        remedy = "an answer is to what was shown: give another decision another name, or correct the action"
        problems += _at(log, other, "decisions that showed something else before", remedy, "action")
        if problems:
            raise DataError(log.source, problems)
        forgotten = ~met & (cells.decided <= self.known.since)
        new = np.flatnonzero(~met & ~forgotten)
        tickets[new] = self.ledger.n_decisions + np.arange(len(new))
        known = self.known.plus(Known(keys[new], tickets[new], actions[new], cells.decided[new]))
        rows = np.flatnonzero(has & ~forgotten)
        late = rows[(state[rows] == CLOSED) & (cells.answer[rows] > 0)]
        overdue = Overdue(
            tickets[late], cells.decided[late], cells.came[late] - cells.decided[late], cells.covariates[late]
        )
        told = Told(tickets[rows], cells.answer[rows], cells.came[rows])
        made = cells.decided[new], cells.covariates[new]
        return Arrivals(at, clock, new, *made, known, told, overdue, int(forgotten.sum()))

    def _cells(self, log: Feedback, now: Moment | None) -> tuple[_Cells, float, str | None, list[Problem]]:
        """Return the rows of a log as numbers, the time now, the clock, and what is wrong with single rows."""
        section, shown = self.section, self.section.shown or log.columns.time
        decided, came, clock = self._times(log, shown)
        answer = np.where(log.answered, log.reward, np.nan)
        if section.zero == "nothing-yet":
            answer = np.where(answer == 0, np.nan, answer)
        has = ~np.isnan(answer)
        problems = _at(log, ~np.isfinite(decided), "rows without the time when it was shown", "fill it in", shown)
        odd = has & (answer != 0) & (answer != 1)
        problems += _at(log, odd, "answers that are not 0 or 1", "write 0 or 1", log.columns.reward)
        if self._needs_delays:
            what, remedy = 'answers "yes" without the time when they came', "fill it in, or leave the answer out too"
            problems += _at(log, (answer > 0) & ~np.isfinite(came), what, remedy, section.answered)
        at = self._now(np.concatenate([decided, came[has]]), now, clock, log.source)
        came = np.where(has & ~np.isfinite(came), at, came)
        remedy = "an answer cannot come before its decision: check the clocks"
        problems += _at(log, has & (came < decided), "negative delays", remedy, section.answered)
        remedy = f"it is {written(at, clock, section.unit)} now: leave them out, or check the clocks"
        problems += _at(log, has & (came > at), "answers from the future", remedy, section.answered)
        problems += _at(log, decided > at, "decisions from the future", remedy, shown)
        covariates = [log.numbers(name) for name in section.covariates]
        table = np.column_stack(covariates) if covariates else np.zeros((len(decided), 0))
        return _Cells(decided, came, answer, table), at, clock, problems

    def _times(self, log: Feedback, shown: str | None) -> tuple[np.ndarray, np.ndarray, str | None]:
        """Return when the things of each row were shown and answered, and by which clock."""
        section = self.section
        if shown is None:
            raise SpecificationError(
                'late answers need to know when things were shown: shown = "…" in [delay], or time = "…" in [log]'
            )
        if self._needs_delays and section.answered is None:
            raise SpecificationError(
                'to estimate how long answers take it must be known when they came: answered = "…" in [delay]; or give '
                "the mean delay: mean = …"
            )
        decided, clock = times_of(log, shown, section.unit)
        came, other = np.full(len(decided), np.nan), None
        if section.answered is not None:
            came, other = times_of(log, section.answered, section.unit)
        clocks = {name for name in (clock, other, self.clock) if name is not None}
        if len(clocks) > 1:
            raise SpecificationError(f"times in {' and in '.join(sorted(clocks))} cannot be compared; use one clock")
        return decided, came, clock or self.clock

    @property
    def _needs_delays(self) -> bool:
        return self.ledger.hearing.treatment.needs_law and self.section.mean is None

    def _now(self, times: Float[np.ndarray, " times"], now: Moment | None, clock: str | None, source: str) -> float:
        """Return the time now."""
        before = self.ledger.now
        if now is None:
            return max(before, float(times[np.isfinite(times)].max(initial=-np.inf)))
        at = moment_of(now, clock or NUMBERS, self.section.unit)
        if not np.isfinite(at) or at < before:
            told, last = (written(time, clock, self.section.unit) for time in (at, before))
            what = f"the clock runs backwards: {told} after {last}"
            raise DataError(source, [Problem(what, "learn logs in the order of time")])
        return at

    # ---- learning -------------------------------------------------------------------------------------------------

    def extended(self, mean: Float[np.ndarray, " more"], variance: Float[np.ndarray, " more"]) -> LateAnswers:
        """Return the same with further parameters, which start from their own prior."""
        ledger = self.ledger.copy()
        ledger.extend(mean, variance)
        return replace(self, ledger=ledger)

    def restarted(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> LateAnswers:
        """Return the same with another prior.

        Raises
        ------
        SpecificationError
            If answers were learned.
        """
        ledger = self.ledger.copy()
        ledger.restart(mean, variance)
        return replace(self, ledger=ledger)

    def learned(self, rows: Rows, arrivals: Arrivals) -> LateAnswers:
        """Return the same after what a log brings; ``rows`` are the features of the new decisions."""
        ledger, overdue = self.ledger.copy(), arrivals.overdue
        ledger.hearing.watch.add(overdue.ticket, overdue.decided, overdue.delay, overdue.covariates)
        ledger.record(Made(rows, arrivals.decided, arrivals.covariates), arrivals.told, arrivals.at)
        known = arrivals.known
        known = known.forgotten(ledger.state[known.ticket] == PENDING)
        n_forgotten = self.n_forgotten + arrivals.n_forgotten
        return replace(self, ledger=ledger, known=known, clock=arrivals.clock, n_forgotten=n_forgotten)

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; the belief is the policy's model, and saved there."""
        ledger = ledger_to_dict(self.ledger)
        ledger = {name: value for name, value in ledger.items() if name not in ("model", "posterior")}
        return {"ledger": ledger, "known": self.known.to_dict(), "clock": self.clock, "n_forgotten": self.n_forgotten}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], section: Delay, model: BayesianGLM) -> LateAnswers:
        """Return what :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If a newer version of the package wrote it.
        """
        start = replace(model, posterior=model.prior, n_answers=0)
        believed = {"model": start.to_dict(), "posterior": model.posterior.to_dict()}
        ledger = ledger_from_dict({**data["ledger"], **believed})
        return cls(section, ledger, Known.from_dict(data["known"]), data["clock"], int(data["n_forgotten"]))


def _at(log: Feedback, odd: Bool[np.ndarray, " rows"], what: str, remedy: str, column: str | None) -> list[Problem]:
    """Return a problem with the rows where something is odd, if it is anywhere."""
    place = np.flatnonzero(odd)
    if not len(place):
        return []
    rows = tuple(log.row_numbers(place[:SHOWN]).tolist())
    name = log.columns.roles().get(column or "", column)
    return [Problem(what, remedy, "" if name is None else f"column {name!r}", rows, count=len(place))]

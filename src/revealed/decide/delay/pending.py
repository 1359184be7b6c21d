r"""The ledger of pending decisions: what each says as things stand, until its answer. Imports models and errors.

A Gaussian posterior in natural parameters is a sum, whatever covariances it keeps: the prior, what closed decisions
said, and one site for each decision that is held. :class:`PendingLedger` keeps the sites, so that a decision's can be
taken out and another put in its place, to rounding: when its answer comes, and when enough time has passed that its
silence says more.

No sum of sites with precisions at or above zero and a proper prior can be improper, so all that could make the
posterior indefinite is rounding. Of that there is no more than since the last sweep: what closed decisions said is
only ever added to, and every so often the posterior is summed anew from that and the sites held.

With all covariances the sites of a batch are found together, at the mode of the posterior they make with all the rest
(Laplace); with fewer, one after the other, as any answers are then, and once more with all the others in place.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from revealed.decide.delay.checks import (
    Tickets,
    require_answers,
    require_clock,
    require_later,
    require_made,
    require_rows,
    require_tickets,
)
from revealed.decide.delay.hearing import Hearing
from revealed.decide.delay.laws import no_covariates
from revealed.decide.delay.live import ANSWERED, CLOSED, FORGOTTEN, OVERDUE, PENDING, SETTLED
from revealed.decide.delay.nothing_yet import NothingYet
from revealed.decide.delay.options import LedgerOptions, LedgerStatus, Made, Told
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.sites import sparse
from revealed.decide.delay.standing import require_binary
from revealed.decide.delay.treatment import Treatment, View
from revealed.decide.delay.watch import LawOptions, LawWatch
from revealed.errors import SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.model import BayesianGLM

Decisions = Float[np.ndarray, "new K"]


class PendingLedger:
    """A model and the decisions it still waits for; changes in place, the same for the same calls.

    Parameters
    ----------
    model : BayesianGLM
        With the logit or probit link; its posterior may keep all covariances, those within groups, or none.
    treatment : Treatment, optional
        What a decision without an answer says; :class:`.NothingYet` by default.
    delays : LawOptions, optional
        How the delay law is come by. While it cannot be told, decisions without an answer are "no" until "yes", as
        under :class:`.Naive`, and :attr:`status` says so.
    options : LedgerOptions, optional

    Raises
    ------
    SpecificationError
        If the model's answers are not yes or no.
    """

    def __init__(
        self,
        model: BayesianGLM,
        treatment: Treatment | None = None,
        delays: LawOptions | None = None,
        options: LedgerOptions | None = None,
    ) -> None:
        require_binary(model.link)
        watch = LawWatch(delays or LawOptions())
        self.hearing = Hearing(model, treatment or NothingYet(), watch, options or LedgerOptions())
        self.n_too_late = 0
        self.state = np.zeros(0, np.uint8)
        self.n_decisions = 0

    @property
    def model(self) -> BayesianGLM:
        """The model with the posterior as it stands, to decide with."""
        done = np.isin(self._states, (ANSWERED, CLOSED, SETTLED, OVERDUE)).sum()
        start = self.hearing.start
        return replace(start, posterior=self.hearing.book.posterior, n_answers=start.n_answers + int(done))

    @property
    def now(self) -> float:
        """The time of what was last heard."""
        return self.hearing.now

    @property
    def status(self) -> LedgerStatus:
        """How the ledger stands."""
        counts, watch = np.bincount(self._states, minlength=7).tolist(), self.hearing.watch
        notes = []
        needs_law = self.hearing.treatment.needs_law
        doubt = watch.doubt() if needs_law else ""
        if doubt:
            notes.append(f'no answer yet is taken for "no" until it comes: {doubt}')
        elif needs_law and watch.misfit > 0.1:
            notes.append(f"the delay law is off by up to {watch.misfit:.0%} of the answers; try other covariates")
        if self.n_too_late:
            notes.append(f"{self.n_too_late:,} answers came after their decision was closed, and were not learned")
        return LedgerStatus(
            self.n_decisions,
            counts[PENDING],
            counts[ANSWERED] + counts[SETTLED],
            counts[CLOSED] + counts[OVERDUE],
            counts[FORGOTTEN],
            self.n_too_late,
            watch.law,
            tuple(notes),
        )

    # ---- what happens ---------------------------------------------------------------------------------------------

    def add(
        self,
        rows: Rows | Decisions,
        at: float,
        *,
        covariates: Float[np.ndarray, "given C"] | None = None,
        truth: Float[np.ndarray, " answers"] | None = None,
    ) -> Tickets:
        """Take up decisions made now.

        Parameters
        ----------
        rows : Rows or ndarray of float64, shape (new, K)
            The features of what was shown, each to whom it was shown.
        at : float
            The time, in the log's unit.
        covariates : ndarray of float64, shape (new, C), optional
            What the delay may depend on; needed if the delay law has any.
        truth : ndarray of float64, shape (new,), optional
            The answers that will come, for :class:`.Oracle`.

        Returns
        -------
        ndarray of int64, shape (new,)
            A ticket for each, to answer or forget it by.

        Raises
        ------
        DataError
            If the clock runs backwards, or something is not finite or of the wrong shape; nothing is taken up then.
        """
        require_clock(self.now, at)
        new = len(rows)
        made = Made(rows, np.full(new, float(at)), no_covariates(new) if covariates is None else covariates)
        self._require(made, truth)
        self.advance(at)
        held = len(self.hearing.live)
        tickets = self._hold(made, truth)
        self.hearing.learn(np.arange(held, held + new))
        return tickets

    def answer(
        self,
        tickets: Tickets,
        answers: Float[np.ndarray, " answers"],
        at: float,
        *,
        came: Float[np.ndarray, " times"] | None = None,
    ) -> Int[np.ndarray, " late"]:
        """Learn answers that have come.

        Parameters
        ----------
        tickets : ndarray of int64, shape (answers,)
        answers : ndarray of float64, shape (answers,)
            1 for "yes"; 0 where somebody says "no", which nobody need do.
        at : float
            The time now.
        came : ndarray of float64, shape (answers,), optional
            When each came; now by default.

        Returns
        -------
        ndarray of int64
            The tickets of the answers "yes" that came too late: their decision was closed as a "no", and stays one.

        Raises
        ------
        DataError
            For decisions never made, answered before or forgotten, negative delays, and a clock that runs backwards,
            all at once; nothing is learned then.
        """
        require_clock(self.now, at)
        times = np.full(len(tickets), float(at)) if came is None else came
        require_tickets(tickets, self._states, answering=True)
        require_answers(answers, times, len(tickets), at)
        hearing, told = self.hearing, Told(tickets, answers, times)
        told, closed = self._in_time(told, self._states)
        place = hearing.live.places(told.tickets)
        require_later(told.came, hearing.live["decided"][place], told.tickets)
        late = self._too_late(closed)
        # Before the clock moves on, which might close them.
        hearing.now = float(at)
        hearing.observe(place, told.answers, told.came)
        hearing.mark(place, told.answers)
        self.state[told.tickets] = ANSWERED
        if not isinstance(hearing.treatment, Oracle):
            hearing.learn(place)
        self.advance(at)
        return late

    def record(self, made: Made, told: Told, at: float) -> Int[np.ndarray, " late"]:
        """Take up a log: decisions made up to now, and answers to these and to earlier ones, learned together.

        What is learned is taken in the order of the decisions, in batches of ``options.batch``; all that they said
        before is taken out first. So it does not matter whether decisions were recorded without their answers before.

        Parameters
        ----------
        made : Made
            The new decisions; their tickets go on from ``n_decisions``.
        told : Told
        at : float
            The time now.

        Returns
        -------
        ndarray of int64
            The tickets of answers that came too late, as :meth:`answer` returns them.

        Raises
        ------
        DataError
            As :meth:`add` and :meth:`answer`; nothing is taken up then.
        """
        require_clock(self.now, at)
        self._require(made, None)
        require_made(made.decided, at)
        state = np.append(self._states, np.full(len(made.rows), PENDING, np.uint8))
        require_tickets(told.tickets, state, answering=True)
        require_answers(told.answers, told.came, len(told.tickets), at)
        told, closed = self._in_time(told, state)
        hearing, held = self.hearing, len(self.hearing.live)
        place = hearing.live.places(told.tickets)
        place = np.where(told.tickets < self.n_decisions, place, held + told.tickets - self.n_decisions)
        decided = np.append(hearing.live["decided"], made.decided)
        require_later(told.came, decided[place], told.tickets)
        late = self._too_late(closed)
        self._hold(made, None)
        hearing.observe(place, told.answers, told.came)
        hearing.move_to(at)
        answer, delay = np.full((2, len(decided)), np.nan)
        answer[place], delay[place] = told.answers, told.came - decided[place]
        stale, closing = hearing.due()
        index = np.flatnonzero(stale | ~np.isnan(answer) | (np.arange(len(decided)) >= held))
        index = index[np.argsort(decided[index], kind="stable")]
        hearing.take_in(index, answer, delay, closing)
        self.state[told.tickets] = ANSWERED
        self._close(closing | ((hearing.live["answer"] >= 0) & (not hearing.options.hold)))
        return late

    def advance(self, at: float) -> None:
        """Move the clock: look again at decisions whose silence says more by now, and close those that are done.

        Raises
        ------
        DataError
            If the clock runs backwards.
        """
        require_clock(self.now, at)
        self.hearing.move_to(at)
        stale, closing = self.hearing.due()
        again = np.flatnonzero(stale)
        if len(again):
            self.hearing.learn(again, last=closing[again])
            self.hearing.refine(again, closing[again])
        # In bundles, as letting go moves all that stay.
        if np.count_nonzero(closing) > len(closing) // 16:
            self._close(closing)

    def forget(self, tickets: Tickets) -> None:
        """Take out what some decisions said, answered or not, as if they had not been made.

        All that are still held are learned anew, as what each is found to say depends on the others; that costs as much
        as to record them. Not so under a treatment whose answers come on top of what silence said, nor where what was
        learned fades (``options.keep`` below 1): there the others stay as they were learned beside those forgotten.

        The delays of their answers go from what the delay law is estimated from; the law moves when it next is.

        Raises
        ------
        DataError
            For decisions never made, forgotten before, or closed (of which nothing is kept apart).
        """
        require_tickets(tickets, self._states, answering=False)
        hearing = self.hearing
        place = hearing.live.places(tickets)
        hearing.book.take_out(place, lasting=True)
        hearing.book.sweep()
        hearing.watch.forget(tickets)
        self.state[tickets] = FORGOTTEN
        gone = np.zeros(len(hearing.live), dtype=bool)
        gone[place] = True
        hearing.live.drop(gone)
        if hearing.treatment.replaces and hearing.options.keep == 1:
            _, closing = hearing.due()
            nothing_new = np.full(len(closing), np.nan)
            hearing.take_in(np.argsort(hearing.live["decided"], kind="stable"), nothing_new, nothing_new, closing)

    # ---- another model --------------------------------------------------------------------------------------------

    def extend(self, mean: Float[np.ndarray, " more"], variance: Float[np.ndarray, " more"]) -> None:
        """Give the model further parameters, which start from their own prior."""
        self.hearing.extend(mean, variance)

    def restart(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> None:
        """Start again from another prior, and learn anew how the decisions held stand.

        Raises
        ------
        SpecificationError
            If answers were learned, or decisions closed: what they said cannot be learned anew.
        """
        if not np.isin(self._states, (PENDING, FORGOTTEN)).all():
            raise SpecificationError("a ledger that has learned answers cannot start again; record all of it anew")
        self.hearing.restart(mean, variance)

    def copy(self) -> PendingLedger:
        """Return a ledger that goes its own way from here."""
        other = copy(self)
        other.hearing, other.state = self.hearing.copy(), self.state.copy()
        return other

    # ---- pieces ---------------------------------------------------------------------------------------------------

    @property
    def _states(self) -> UInt8[np.ndarray, " decisions"]:
        return self.state[: self.n_decisions]

    def _require(self, made: Made, truth: Float[np.ndarray, " answers"] | None) -> None:
        hearing, new = self.hearing, len(made.rows)
        require_rows(made, hearing.start.n_params, hearing.watch.options.n_covariates, truth)
        if new:
            told, blank = np.full(new, -1.0) if truth is None else truth, np.zeros(new)
            hearing.treatment.pending(View(blank, blank, blank, told))  # refuses before anything changes

    def _in_time(self, told: Told, state: UInt8[np.ndarray, " decisions"]) -> tuple[Told, Told]:
        """Return the answers to open decisions, and those to closed ones."""
        open_ = state[told.tickets] == PENDING
        parts = [Told(told.tickets[some], told.answers[some], told.came[some]) for some in (open_, ~open_)]
        return parts[0], parts[1]

    def _too_late(self, told: Told) -> Int[np.ndarray, " late"]:
        """Note that closed decisions have an answer now, too, and return the tickets of those with "yes"."""
        self.state[told.tickets] = OVERDUE
        late = np.asarray(told.tickets[told.answers > 0])
        self.n_too_late += len(late)
        return late

    def _hold(self, made: Made, truth: Float[np.ndarray, " answers"] | None) -> Tickets:
        """Take up decisions, which say nothing yet."""
        new, start = len(made.rows), self.n_decisions
        tickets = np.arange(start, start + new)
        if start + new > len(self.state):
            self.state = np.append(self._states, np.zeros(max(start, new, 1024), np.uint8))
        self.n_decisions += new
        self.state[tickets] = PENDING
        told = np.full(new, -1.0) if truth is None else truth
        self.hearing.live.append(tickets, made.decided, sparse(made.rows), made.covariates, told)
        return tickets

    def _close(self, done: Bool[np.ndarray, " held"]) -> None:
        if done.any():
            live = self.hearing.live
            self.state[live["ticket"][done]] = np.where(live["answer"][done] < 0, CLOSED, SETTLED)
            self.hearing.book.settle(done)

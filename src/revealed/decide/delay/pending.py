r"""The ledger of pending decisions: what each says as things stand, until its answer. Imports models and errors.

A Gaussian posterior in natural parameters is a sum: the prior, what closed decisions said, and one site for each
decision that is held. :class:`PendingLedger` keeps the sites, so that a decision's can be taken out and another put
in its place, to rounding: when its answer comes, and when enough time has passed that its silence says more.

No sum of sites with precisions at or above zero and a proper prior can be improper, so all that could make the
posterior indefinite is rounding. Of that there is no more than since the last sweep: what closed decisions said is
only ever added to, and every so often the posterior is summed anew from that and the sites held.

The sites of a batch are found together, at the mode of the posterior they make with all the rest (Laplace).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from revealed.decide.delay.book import SiteBook
from revealed.decide.delay.checks import (
    Tickets,
    require_answers,
    require_clock,
    require_later,
    require_rows,
    require_tickets,
)
from revealed.decide.delay.laws import DelayLaw, no_covariates
from revealed.decide.delay.live import ANSWERED, CLOSED, FORGOTTEN, PENDING, SETTLED, Live
from revealed.decide.delay.nothing_yet import NothingYet
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.standing import Standing, require_binary
from revealed.decide.delay.treatment import Age, Treatment, View
from revealed.decide.delay.watch import LawOptions, LawWatch
from revealed.errors import SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.posterior import dense

Decisions = Float[np.ndarray, "new K"]
Index = Int[np.ndarray, " some"]


@dataclass(frozen=True)
class LedgerOptions:
    """When decisions are let go of.

    Parameters
    ----------
    negligible : float
        A decision is closed, as a "no" if it has no answer, when this share of answers or less is still to come.
    horizon : float, optional
        And in any case at this age, in units of time. Without a delay law it is the only end.
    """

    negligible: float = 1e-3
    horizon: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.negligible < 1:
            raise SpecificationError(f"a negligible share must be between 0 and 1, not {self.negligible!r}")
        if self.horizon is not None and not self.horizon > 0:
            raise SpecificationError(f"the horizon must be a time above zero, not {self.horizon!r}")


@dataclass(frozen=True, eq=False)
class LedgerStatus:
    """How a ledger stands.

    Parameters
    ----------
    n_decisions, n_pending, n_answered, n_closed, n_forgotten : int
        All decisions, and what has become of them; closed ones are those closed as a "no".
    n_too_late : int
        Answers "yes" that came after their decision was closed.
    law : DelayLaw, optional
        The delay law in use.
    messages : tuple of str
        What a reader must know; empty when all is well.
    """

    n_decisions: int
    n_pending: int
    n_answered: int
    n_closed: int
    n_forgotten: int
    n_too_late: int
    law: DelayLaw | None
    messages: tuple[str, ...]


class PendingLedger:
    """A model and the decisions it still waits for; changes in place, the same for the same calls.

    Parameters
    ----------
    model : BayesianGLM
        With all covariances, and the logit or probit link.
    treatment : Treatment, optional
        What a decision without an answer says; :class:`.NothingYet` by default.
    delays : LawOptions, optional
        How the delay law is come by. While it cannot be told, decisions without an answer are "no" until "yes", as
        under :class:`.Naive`, and :attr:`status` says so.
    options : LedgerOptions, optional

    Raises
    ------
    SpecificationError
        If the model keeps less than all covariances, or its answers are not yes or no.
    """

    def __init__(
        self,
        model: BayesianGLM,
        treatment: Treatment | None = None,
        delays: LawOptions | None = None,
        options: LedgerOptions | None = None,
    ) -> None:
        if not isinstance(model.posterior, FullPosterior):
            raise SpecificationError('a ledger of pending decisions needs all covariances: covariance="full"')
        require_binary(model.link)
        self.start = model
        self.treatment: Treatment = NothingYet() if treatment is None else treatment
        self.options = options or LedgerOptions()
        self.watch = LawWatch(delays or LawOptions())
        self.live = Live(model.n_params, self.watch.options.n_covariates)
        self.book = SiteBook(model.link, model.posterior, self.live)
        self.now = -np.inf
        self.n_too_late = 0
        self.state = np.zeros(0, np.uint8)
        self.n_decisions = 0

    @property
    def model(self) -> BayesianGLM:
        """The model with the posterior as it stands, to decide with."""
        done = np.isin(self._states, (ANSWERED, CLOSED, SETTLED)).sum()
        return replace(self.start, posterior=self.book.posterior, n_answers=self.start.n_answers + int(done))

    @property
    def status(self) -> LedgerStatus:
        """How the ledger stands."""
        counts = np.bincount(self._states, minlength=6).tolist()
        notes = []
        doubt = self.watch.doubt() if self.treatment.needs_law else ""
        if doubt:
            notes.append(f'no answer yet is taken for "no" until it comes: {doubt}')
        elif self.treatment.needs_law and self.watch.misfit > 0.1:
            notes.append(f"the delay law is off by up to {self.watch.misfit:.0%} of the answers; try other covariates")
        if self.n_too_late:
            notes.append(f"{self.n_too_late:,} answers came after their decision was closed, and were not learned")
        return LedgerStatus(
            self.n_decisions,
            counts[PENDING],
            counts[ANSWERED] + counts[SETTLED],
            counts[CLOSED],
            counts[FORGOTTEN],
            self.n_too_late,
            self.watch.law,
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
        x = dense(rows)
        z = no_covariates(len(x)) if covariates is None else covariates
        require_rows(x, self.start.n_params, z, self.watch.options.n_covariates, truth)
        told = np.full(len(x), -1.0) if truth is None else truth
        if len(x):
            blank = np.zeros(len(x))
            self.treatment.pending(View(blank, blank, blank, told))  # refuses before anything changes
        self.advance(at)
        tickets = np.arange(self.n_decisions, self.n_decisions + len(x))
        self._grow(len(x))
        self.state[tickets] = PENDING
        held = len(self.live)
        self.live.append(tickets, at, x, z, told)
        self._learn(np.arange(held, len(self.live)))
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
        open_ = self._states[tickets] == PENDING
        place = self.live.places(tickets[open_])
        require_later(times[open_], self.live["decided"][place], tickets[open_])
        # Before the clock moves on, which might close them.
        late = np.asarray(tickets[~open_ & (answers > 0)])
        self.n_too_late += len(late)
        self.now = float(at)
        self._answer(place, answers[open_], times[open_])
        self.advance(at)
        return late

    def advance(self, at: float) -> None:
        """Move the clock: look again at decisions whose silence says more by now, and close those that are done.

        Raises
        ------
        DataError
            If the clock runs backwards.
        """
        require_clock(self.now, at)
        self.now = float(at)
        if self.treatment.needs_law:
            self.watch.renew(self.now)
        if not len(self.live):
            return
        elapsed = self.now - self.live["decided"]
        survival = self._survival(np.arange(len(self.live)))
        stale = self.treatment.stale(Age(elapsed, survival, self.live["before"], self.live["used"]))
        closing = np.zeros(len(stale), dtype=bool)
        if self.treatment.needs_law and self.watch.law is not None and self.treatment.window is None:
            closing |= survival <= self.options.negligible
        if self.options.horizon is not None:
            closing |= elapsed >= self.options.horizon
        last = closing & (self.live["used"] > 0) & self.treatment.replaces
        again = np.flatnonzero(stale | last)
        if len(again):
            self._learn(again, last=closing[again])
        # In bundles, as letting go moves all that stay.
        if np.count_nonzero(closing) > len(closing) // 16:
            self._close(closing)

    def forget(self, tickets: Tickets) -> None:
        """Take out what some decisions said, answered or not, as if they had not been made.

        The delays of their answers go from what the delay law is estimated from; the law moves when it next is.

        Raises
        ------
        DataError
            For decisions never made, forgotten before, or closed (of which nothing is kept apart).
        """
        require_tickets(tickets, self._states, answering=False)
        place = self.live.places(tickets)
        self.book.take_out(place, lasting=True)
        self.book.sweep()
        self.watch.forget(tickets)
        self.state[tickets] = FORGOTTEN
        gone = np.zeros(len(self.live), dtype=bool)
        gone[place] = True
        self.live.drop(gone)

    # ---- pieces ---------------------------------------------------------------------------------------------------

    @property
    def _states(self) -> UInt8[np.ndarray, " decisions"]:
        return self.state[: self.n_decisions]

    def _grow(self, new: int) -> None:
        if self.n_decisions + new > len(self.state):
            state = np.zeros(max(2 * len(self.state), self.n_decisions + new, 1024), np.uint8)
            state[: self.n_decisions] = self._states
            self.state = state
        self.n_decisions += new

    def _survival(self, index: Index) -> Float[np.ndarray, " some"]:
        if not self.treatment.needs_law:
            return np.zeros(len(index))
        elapsed = self.now - self.live["decided"][index]
        window = self.treatment.window
        asked = elapsed if window is None else np.full(len(index), window)
        return self.watch.survival(asked, self.live.covariates[index])

    def _view(self, index: Index) -> View:
        if self.treatment.weighs:
            probability = np.asarray(self.start.link.expected(*self.book.posterior.predictor(self.live.rows[index])))
        else:
            probability = np.zeros(len(index))
        elapsed = self.now - self.live["decided"][index]
        return View(elapsed, self._survival(index), probability, self.live["truth"][index])

    def _learn(self, index: Index, last: Bool[np.ndarray, " some"] | None = None) -> None:
        """Learn how some decisions stand; the ``last`` ones with no answer still to come."""
        live, view = self.live, self._view(index)
        if last is not None:
            view = replace(view, survival=np.where(last, 0.0, view.survival))
        open_ = live["answer"][index] < 0
        pending = self.treatment.pending(view)
        standing = Standing(
            np.where(open_, pending.answer, live["answer"][index]),
            np.where(open_, pending.share, 1.0),
            np.where(open_, pending.weight, live["weight"][index]),
        )
        self.book.learn(index, standing)
        live["before"][index], live["used"][index] = view.elapsed, view.survival
        live["plain"][index] = self.treatment.needs_law and self.watch.law is None

    def _answer(self, place: Index, answers: Float[np.ndarray, " some"], came: Float[np.ndarray, " some"]) -> None:
        live, yes = self.live, answers > 0
        yeses = place[yes]
        decided, ticket = live["decided"][yeses], live["ticket"][yeses]
        self.watch.add(ticket, decided, came[yes] - decided, live.covariates[yeses])
        self.state[live["ticket"][place]] = ANSWERED
        if isinstance(self.treatment, Oracle) or not len(place):
            live["answer"][place] = answers
            return
        live["weight"][yeses] = self.treatment.answered(self._view(yeses))
        # A "no" that is said replaces a guess; a "yes" too, where the guess was made without a law to weigh it by.
        stays = yeses if not self.treatment.replaces else yeses[:0]
        stays = stays[~live["plain"][stays]]
        live["weight"][yeses[live["plain"][yeses]]] = 1.0
        self.book.leave(stays)
        live["answer"][place] = answers
        self._learn(place)

    def _close(self, done: Bool[np.ndarray, " rows"]) -> None:
        ticket = self.live["ticket"][done]
        self.state[ticket] = np.where(self.live["answer"][done] < 0, CLOSED, SETTLED)
        self.book.settle(done)

"""The decisions a ledger holds, the posterior they make, and how they are learned. Imports its own room and models.

Answers and silences go in here; which of them are allowed is :mod:`.pending`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.delay.book import SiteBook
from revealed.decide.delay.live import Live
from revealed.decide.delay.options import LedgerOptions
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.standing import Standing
from revealed.decide.delay.treatment import Age, Treatment, View
from revealed.decide.delay.watch import LawWatch
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.model import BayesianGLM

Index = Int[np.ndarray, " some"]
Held = Float[np.ndarray, " held"]
Chosen = Bool[np.ndarray, " some"]
Vector = Float[np.ndarray, " some"]

#: In so many parts decisions are learned anew; few at a time, so that what stays tells each where it stands.
BUNDLES = 16


class Hearing:
    """What decisions say, with or without their answers; changes in place.

    Parameters
    ----------
    model : BayesianGLM
        Before any decision is held.
    treatment : Treatment
        What a decision without an answer says.
    watch : LawWatch
        How long answers take.
    options : LedgerOptions
    """

    def __init__(self, model: BayesianGLM, treatment: Treatment, watch: LawWatch, options: LedgerOptions) -> None:
        self.start = model
        self.treatment = treatment
        self.watch = watch
        self.options = options
        self.live = Live(model.n_params, watch.options.n_covariates)
        self.book = SiteBook(model.link, model.posterior, self.live)
        self.now = -np.inf

    def copy(self) -> Hearing:
        """Return one that goes its own way from here."""
        other = copy(self)
        other.live, other.watch, other.book = self.live.copy(), copy(self.watch), copy(self.book)
        other.book.live = other.live
        return other

    # ---- time -----------------------------------------------------------------------------------------------------

    def move_to(self, at: float) -> None:
        """Move the clock, and estimate the delay law anew if it is time."""
        self.now = float(at)
        if self.treatment.needs_law:
            self.watch.renew(self.now)

    def due(self) -> tuple[Bool[np.ndarray, " held"], Bool[np.ndarray, " held"]]:
        """Return which of the decisions held must be looked at again, and which are to be let go of."""
        everyone = np.arange(len(self.live))
        elapsed = self.now - self.live["decided"]
        survival = self._survival(everyone)
        stale = self.treatment.stale(Age(elapsed, survival, self.live["before"], self.live["used"]))
        closing = np.zeros(len(everyone), dtype=bool)
        if self.treatment.needs_law and self.watch.law is not None:
            left = survival if self.treatment.window is None else self.watch.survival(elapsed, self.live["covariates"])
            closing |= left <= self.options.negligible
        if self.options.horizon is not None:
            closing |= elapsed >= self.options.horizon
        return stale | (closing & (self.live["used"] > 0) & self.treatment.replaces), closing

    # ---- saying ---------------------------------------------------------------------------------------------------

    def learn(self, index: Index, last: Bool[np.ndarray, " some"] | None = None) -> None:
        """Learn how some decisions stand; the ``last`` ones with no answer still to come."""
        view = self._view(index)
        if last is not None:
            view = replace(view, survival=np.where(last, 0.0, view.survival))
        standing = self._standing(index, view)
        self.book.take_out(index)
        self.book.put_in(index, standing)
        self._looked_at(index, view)

    def take_in(self, index: Index, answer: Held, delay: Held, last: Bool[np.ndarray, " held"]) -> None:
        """Learn some decisions in the order given, in batches.

        ``answer``, ``delay`` and ``last`` are of all decisions held; the first two NaN where no answer has come now.
        """
        if self.treatment.replaces:
            self.book.take_out(index)
        size = self.options.batch or max(len(index), 1)
        for some in self.batches(index):
            said = ~np.isnan(answer[some])
            if self.options.keep < 1 and said.any():  # as much for the same answers, however they are cut into logs
                self.book.fade(self.options.keep ** (np.count_nonzero(said) / size), self.start.prior)
            if self.treatment.replaces:
                self.mark(some[said], answer[some[said]])
                self.learn(some, last[some])
            else:
                self._weigh_in(some, said, answer[some[said]], delay[some])
            if self.options.keep < 1:
                self.refine(some, last[some])  # before it fades
        if self.options.keep == 1:
            self.refine(index, last[index])

    def refine(self, index: Index, last: Bool[np.ndarray, " some"]) -> None:
        """Learn some decisions anew, bundle by bundle, each with all the others in place.

        Without all covariances they were learned one after the other, the first of them while all other silences were
        out: beside answers "yes" alone each says too much. A sweep of expectation propagation (Minka 2001) mends that.
        """
        if isinstance(self.book.posterior, FullPosterior) or not self.treatment.replaces:
            return
        if not self.book.says(index[self.live["answer"][index] < 0]).any():
            return
        for part in np.array_split(np.arange(len(index)), min(BUNDLES, len(index))):
            self.learn(index[part], last[part])

    def _weigh_in(self, some: Index, said: Chosen, answers: Float[np.ndarray, " said"], delay: Vector) -> None:
        """Learn a batch where an answer comes on top of what was said without it; both are found together."""
        live, book, view = self.live, self.book, self._view(some)
        known = self.watch.law is not None or not self.treatment.needs_law
        # What came late was there without an answer first, and said so; but not if that would be taken out again.
        unsaid = live["before"][some] < (self.treatment.window or 0.0)  # -1 where nobody has looked
        late = said & known & unsaid & (delay >= (self.treatment.window or 0.0))
        late[said] &= answers > 0
        enters = ~said | late
        first = self._standing(some[enters], view.some(enters))
        book.take_out(some[~said | (live["plain"][some] & ~late)])
        self.mark(some[said], answers)
        second = self._standing(some[said], view.some(said))
        # A posterior without all covariances takes them in turn: each "yes" after its own silence, as they came.
        place = np.append(np.flatnonzero(enters), np.flatnonzero(said))
        order, n = np.argsort(place, kind="stable"), int(enters.sum())
        found = book.learn(some[place[order]], first.plus(second).some(order))
        precision, shift = (table[np.argsort(order)] for table in found)
        live.put(some[enters], precision=precision[:n], shift=shift[:n])
        book.leave(some[late])
        live.put(some[said], precision=precision[n:], shift=shift[n:])
        self._looked_at(some, view)

    def observe(self, place: Index, answers: Float[np.ndarray, " some"], came: Float[np.ndarray, " some"]) -> None:
        """Note how long answers "yes" took."""
        yeses, when = place[answers > 0], came[answers > 0]
        decided, ticket = self.live["decided"][yeses], self.live["ticket"][yeses]
        self.watch.add(ticket, decided, when - decided, self.live["covariates"][yeses])

    def mark(self, place: Index, answers: Float[np.ndarray, " some"]) -> None:
        """Note answers; what their decisions said without them stays where the treatment never takes it out."""
        live = self.live
        if not isinstance(self.treatment, Oracle) and len(place):
            yeses, noes = place[answers > 0], place[answers == 0]
            live["weight"][yeses] = self.treatment.answered(self._view(yeses))
            if not self.treatment.replaces:
                view = replace(self._view(noes), elapsed=np.full(len(noes), np.inf))
                # A "no" that is said adds nothing to one that was supposed.
                live["weight"][noes] = np.where(self.book.says(noes), 0.0, self.treatment.pending(view).weight)
                # But what was supposed without a law to weigh it by is replaced, by either.
                live["weight"][place[live["plain"][place]]] = 1.0
                self.book.leave(place[~live["plain"][place]])
        live["answer"][place] = answers

    def batches(self, index: Index) -> Iterator[Index]:
        """Return decisions in the order given, as many at a time as are learned together."""
        size = self.options.batch or max(len(index), 1)
        return (index[start : start + size] for start in range(0, len(index), size))

    # ---- another model --------------------------------------------------------------------------------------------

    def extend(self, mean: Float[np.ndarray, " more"], variance: Float[np.ndarray, " more"]) -> None:
        """Give the model further parameters, which start from their own prior."""
        self.start, book = self.start.extended(mean, variance), self.book
        book.posterior, book.settled = book.posterior.extended(mean, variance), book.settled.extended(mean, variance)
        self.live.n_params = self.start.n_params

    def restart(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> None:
        """Start again from another prior, and learn anew how the decisions held stand."""
        self.start = self.start.with_prior(mean, variance)
        self.book.restart(self.start.posterior)
        for some in self.batches(np.argsort(self.live["decided"], kind="stable")):
            self.learn(some)

    # ---- pieces ---------------------------------------------------------------------------------------------------

    def _survival(self, index: Index) -> Float[np.ndarray, " some"]:
        if not self.treatment.needs_law:
            return np.zeros(len(index))
        elapsed = self.now - self.live["decided"][index]
        window = self.treatment.window
        asked = elapsed if window is None else np.full(len(index), window)
        return self.watch.survival(asked, self.live["covariates"][index])

    def _view(self, index: Index) -> View:
        if self.treatment.weighs:
            believed = self.book.posterior.predictor(self.live.rows(index))
            probability = np.asarray(self.start.link.expected(*believed))
        else:
            probability = np.zeros(len(index))
        elapsed = self.now - self.live["decided"][index]
        return View(elapsed, self._survival(index), probability, self.live["truth"][index])

    def _standing(self, index: Index, view: View) -> Standing:
        open_ = self.live["answer"][index] < 0
        pending = self.treatment.pending(view)
        return Standing(
            np.where(open_, pending.answer, self.live["answer"][index]),
            np.where(open_, pending.share, 1.0),
            np.where(open_, pending.weight, self.live["weight"][index]),
        )

    def _looked_at(self, index: Index, view: View) -> None:
        self.live["before"][index], self.live["used"][index] = view.elapsed, view.survival
        self.live["plain"][index] = self.treatment.needs_law and self.watch.law is None

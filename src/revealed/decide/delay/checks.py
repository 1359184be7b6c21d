"""What a ledger of pending decisions refuses, with all that is wrong at once. Imports its own room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from revealed.decide.delay.live import ANSWERED, CLOSED, FORGOTTEN, OVERDUE, SETTLED
from revealed.decide.delay.options import Made
from revealed.errors import DataError, Problem
from revealed.models.glm.features.rows import Rows

Tickets = Int[np.ndarray, " tickets"]


def require_clock(now: float, at: float) -> None:
    """Raise DataError if the clock stands still at no number, or runs backwards."""
    if not np.isfinite(at):
        raise DataError("clock", [Problem(f"the time {at!r} is not a finite number", "give the time of the log")])
    if at < now:
        what = f"the clock runs backwards: {at:g} after {now:g}"
        raise DataError("clock", [Problem(what, "bring what happened in the order of time, from one clock")])


def require_rows(made: Made, n_params: int, n_covariates: int, truth: np.ndarray | None) -> None:
    """Raise DataError unless decisions can be held."""
    new, rows = len(made.rows), made.rows
    problems: list[Problem] = []
    sparse = isinstance(rows, Rows)  # made from records, which were looked through then
    table, width = (np.zeros((new, 0)), rows.n_params) if isinstance(rows, Rows) else (rows, rows.shape[1])
    tables = [(made.covariates, made.covariates.shape[1], n_covariates, "delay covariates")]
    if not sparse or width != n_params:
        tables.insert(0, (table, width, n_params, "features"))
    for table, has, wanted, what in tables:
        if has != wanted or len(table) != new:
            shape = f"{what} of {len(table)}×{has} where {new}×{wanted} are held"
            problems.append(Problem(shape, "give one row a decision"))
        else:
            odd = np.asarray(~np.isfinite(table).all(axis=1))
            problems += _listed(odd, f"{what} that are not finite numbers", "fill them in, or leave those rows out")
    if truth is not None:
        if truth.shape != (new,):
            problems.append(Problem(f"{truth.size} true answers for {new} decisions", "give one for each"))
        else:
            problems += _listed((truth != 0) & (truth != 1), "true answers that are not 0 or 1", "write 0 or 1")
    if problems:
        raise DataError("decisions", problems)


def require_made(decided: Float[np.ndarray, " new"], at: float) -> None:
    """Raise DataError for decisions made at no time, or after now."""
    problems = [
        *_listed(~np.isfinite(decided), "times that are not finite numbers", "give the time of each decision"),
        *_listed(decided > at, "decisions from the future", f"the clock is at {at:g}: move it on, or check the clocks"),
    ]
    if problems:
        raise DataError("decisions", problems)


def require_tickets(tickets: Tickets, state: UInt8[np.ndarray, " decisions"], *, answering: bool) -> None:
    """Raise DataError for tickets of no decision, given twice, of forgotten decisions, and of those answered before."""
    known = (tickets >= 0) & (tickets < len(state))
    became = np.zeros(len(tickets), np.uint8)
    became[known] = state[tickets[known]]
    first = np.zeros(len(tickets), dtype=bool)
    first[np.unique(tickets, return_index=True)[1]] = True
    made = f"there are tickets 0 to {len(state) - 1}" if len(state) else "none was made yet"
    problems = [
        *_listed(~known, "decisions never made", f"use the tickets the ledger gave; {made}", tickets),
        *_listed(~first, "decisions named twice", "name each once", tickets),
        *_listed(became == FORGOTTEN, "decisions that were forgotten", "leave them out: nothing is kept", tickets),
    ]
    if answering:
        remedy = "one answer a decision: to correct one, forget the decision and make it anew"
        before = np.isin(became, (ANSWERED, SETTLED, OVERDUE))
        problems += _listed(before, "decisions answered before", remedy, tickets)
    else:
        remedy = "what they said is no longer kept apart; refit without them"
        closed = np.isin(became, (CLOSED, SETTLED, OVERDUE))
        problems += _listed(closed, "decisions that are closed", remedy, tickets)
    if problems:
        raise DataError("tickets", problems)


def require_answers(
    answers: Float[np.ndarray, " answers"], came: Float[np.ndarray, " times"], n_tickets: int, at: float
) -> None:
    """Raise DataError unless answers are 0 or 1, one a ticket, and came by now."""
    if len(answers) != n_tickets or len(came) != n_tickets:
        what = f"{len(answers)} answers and {len(came)} times for {n_tickets} tickets"
        raise DataError("answers", [Problem(what, "give one of each for each ticket")])
    problems = [
        *_listed((answers != 0) & (answers != 1), "answers that are not 0 or 1", "write 1 for yes and 0 for no"),
        *_listed(
            ~(came <= at), "answers from the future", f"the clock is at {at:g}: move it first, or check the clocks"
        ),
    ]
    if problems:
        raise DataError("answers", problems)


def require_later(
    came: Float[np.ndarray, " held"], decided: Float[np.ndarray, " held"], tickets: Int[np.ndarray, " held"]
) -> None:
    """Raise DataError for negative delays."""
    problems = _listed(
        ~(came >= decided), "negative delays", "an answer cannot come before its decision: check the clocks", tickets
    )
    if problems:
        raise DataError("answers", problems)


def _listed(
    odd: Bool[np.ndarray, " rows"], what: str, remedy: str, tickets: Int[np.ndarray, " rows"] | None = None
) -> Sequence[Problem]:
    at = np.flatnonzero(odd)
    if not len(at):
        return []
    if tickets is None:
        return [Problem(what, remedy, rows=tuple((at[:5] + 1).tolist()), count=len(at))]
    cases = tuple(str(ticket) for ticket in tickets[at[:5]].tolist())
    return [Problem(what, remedy, cases=cases, count=len(at))]

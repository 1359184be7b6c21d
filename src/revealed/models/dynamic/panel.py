"""Who was in which state, what they did, and where they came: a choice log with persons and time, as transitions.

Imports its own room, choices and errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.dynamic.space import StateSpace

_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True, eq=False)
class Panel:
    """Choices of persons over time, in order of person and time.

    Parameters
    ----------
    space : StateSpace
    actions : tuple of str
        In the order of the log's alternatives.
    state, action : ndarray of int64, shape (n,)
        In which state, and what was done.
    following : ndarray of int64, shape (n,)
        The place of the same person's next period; -1 where the log ends or has a gap.
    person : ndarray of int64, shape (n,)
        Index into ``persons``.
    persons : pyarrow.Array
        The labels of the decision makers.
    period : ndarray of int64, shape (n,)
    source : str
    log : ChoiceLog
        What it was made of.
    order : ndarray of int64, shape (n,)
        The case of the log that each observation is.
    """

    space: StateSpace
    actions: tuple[str, ...]
    state: Int[np.ndarray, " n"]
    action: Int[np.ndarray, " n"]
    following: Int[np.ndarray, " n"]
    person: Int[np.ndarray, " n"]
    persons: pa.Array
    period: Int[np.ndarray, " n"]
    source: str
    log: ChoiceLog
    order: Int[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        log: ChoiceLog,
        space: StateSpace,
        *,
        unit: str | None = None,
        after_another: bool = False,
    ) -> Panel:
        """Return the panel of a log whose columns tell the state.

        Parameters
        ----------
        log : ChoiceLog
            With persons and time; one choice a case.
        space : StateSpace
            Its columns are columns of the log, the same on all rows of a case.
        unit : {"day", "week", "month"}, optional
            What a period is, where times are dates. Numbers count periods.
        after_another : bool
            Leave out the first observation of each person and each one after a gap, as Rust (1987) does. Transitions
            out of them stay.

        Raises
        ------
        SpecificationError
            If the log has no persons or times, holds counts, or the columns are no columns of the case.
        DataError
            If a person has two choices in a period, an action was never taken, or a cell is no level of the state.
        """
        if log.columns.person is None or log.columns.time is None:
            lacking = "person" if log.columns.person is None else "time"
            raise SpecificationError(
                f"a panel needs to know the {lacking} of each choice; name its column: {lacking}=…"
            )
        if log.counts:
            raise SpecificationError("a panel needs one choice a case, not counts")
        period = periods(log, unit)
        person = np.asarray(log.person_codes)
        order = np.lexsort((period, person))
        person, period = person[order], period[order]
        _require_once(log, person, period, order)
        same = person[1:] == person[:-1]
        next_one = same & (period[1:] == period[:-1] + 1)
        following = np.concatenate([np.where(next_one, np.arange(1, len(person)), -1), [-1]]).astype(np.int64)
        levels = log.levels_of(log.columns.alternative)
        codes = log.codes(log.columns.alternative, levels)
        taken = codes[np.asarray(log.chosen_rows)][order].astype(np.int64)
        state = space.codes(of_cases(log, space.columns), log.source)[order]
        panel = cls(
            space,
            tuple(levels.labels),
            state,
            taken,
            following,
            person,
            _labels_of(log),
            period,
            log.source,
            log,
            order,
        )
        panel._require_taken()
        if not after_another:
            return panel
        return panel._only(np.concatenate([[False], next_one]))

    @property
    def n_observations(self) -> int:
        """The number of choices."""
        return len(self.state)

    @property
    def n_persons(self) -> int:
        """The number of decision makers."""
        return len(self.persons)

    @property
    def moves(self) -> Int[np.ndarray, " moves"]:
        """The observations whose next period is known."""
        return np.asarray(np.flatnonzero(self.following >= 0))

    @property
    def arrived(self) -> Int[np.ndarray, " moves"]:
        """The state in which each of :attr:`moves` ended."""
        return np.asarray(self.state[self.following[self.moves]])

    def counts(self) -> Float[np.ndarray, "S A"]:
        """Return how often each action was taken in each state."""
        n_actions = len(self.actions)
        cell = self.state * n_actions + self.action
        found = np.bincount(cell, minlength=self.space.n_states * n_actions)
        return found.reshape(-1, n_actions).astype(np.float64)

    def remarks(self) -> tuple[str, ...]:
        """Return what a reader of results should know of the panel: gaps, censoring, persons seen once."""
        last = np.append(self.person[1:] != self.person[:-1], True)
        gaps = int((~last & (self.following < 0)).sum())
        single = int((np.bincount(self.person, minlength=self.n_persons) == 1).sum())
        ended = int((last & ~self._ends).sum())
        found = []
        if gaps:
            found.append(f"{gaps:,} gaps in time: the choice before each counts, where it led to is not known")
        if ended:
            found.append(f"{ended:,} persons whose last period is not the end of their process (right-censored)")
        if single:
            found.append(
                f"{single:,} persons with one observation: their choice counts, but they tell of no transition"
            )
        return tuple(found)

    @property
    def _ends(self) -> Bool[np.ndarray, " n"]:
        # Nothing in a log says that a process ended; a state that no action leaves does, and the process knows those.
        return np.zeros(self.n_observations, dtype=bool)

    def _only(self, kept: Bool[np.ndarray, " n"]) -> Panel:
        """Return the panel of some observations, all whose next one is known and kept staying linked."""
        if not kept.any():
            problem = Problem("no observation follows another", "give several periods a person")
            raise DataError(self.source, [problem])
        place = np.where(kept, np.cumsum(kept) - 1, -1)
        following = np.where(self.following >= 0, place[self.following], -1)[kept]
        parts = (self.state[kept], self.action[kept], following, self.person[kept])
        return Panel(
            self.space, self.actions, *parts, self.persons, self.period[kept], self.source, self.log, self.order[kept]
        )

    def _require_taken(self) -> None:
        taken = np.bincount(self.action, minlength=len(self.actions))
        never = [action for action, count in zip(self.actions, taken, strict=True) if not count]
        if never:
            remedy = "leave it out of the alternatives, or give a log in which somebody takes it"
            problems = [Problem(f"nobody ever took the action {action!r}", remedy) for action in never]
            raise DataError(self.source, problems)


def _labels_of(log: ChoiceLog) -> pa.Array:
    """Return the label of each person, in the order of the log's codes."""
    assert log.columns.person is not None
    codes = np.asarray(log.person_codes)
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return log.first_cells(log.columns.person).take(pa.array(first))


def of_cases(log: ChoiceLog, names: tuple[str, ...]) -> pa.Table:
    """Return columns of a log with one row a case.

    Raises
    ------
    SpecificationError
        If a column is not there, or differs within a case.
    """
    first = pa.array(log.offsets[:-1])
    columns = {}
    for name in names:
        column = log.table.column(log.column_name(name))
        of_case = column.take(first)
        spread = of_case.take(pa.array(np.repeat(np.arange(log.n_cases), log.sizes)))
        # A missing cell equals no other: what is missing is refused where states are read.
        differs = pc.fill_null(pc.not_equal(spread, column), False)
        if pc.any(differs).as_py():
            case = int(np.searchsorted(log.offsets, pc.index(differs, True).as_py(), side="right")) - 1
            label = log.case_labels[case].as_py()
            raise SpecificationError(f"{name!r} differs within a case (first in case {label}), so it is no state")
        columns[name] = of_case
    return pa.table(columns)


def periods(log: ChoiceLog, unit: str | None) -> Int[np.ndarray, " cases"]:
    """Return the period of each case: whole numbers as they are, dates counted in units.

    Raises
    ------
    SpecificationError
        If the time is of another kind, or the unit is missing or unknown.
    DataError
        If a time is missing or no whole number.
    """
    assert log.columns.time is not None
    column = log.table.column(log.columns.time).take(pa.array(log.offsets[:-1]))
    kind = column.type
    if pa.types.is_temporal(kind):
        if unit == "month":
            return np.asarray(pc.add(pc.multiply(pc.year(column), 12), pc.month(column)).to_numpy(), dtype=np.int64)
        if unit not in _DAYS:
            raise SpecificationError(
                f"times are dates: say what a period is, unit='day', 'week' or 'month', not {unit!r}"
            )
        days = column.cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // 86_400
        return np.asarray(days // _DAYS[unit], dtype=np.int64)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SpecificationError(f"times of type {kind} are neither numbers of periods nor dates")
    times = column.to_numpy().astype(np.float64)
    odd = np.flatnonzero(times != np.floor(times))
    if len(odd):
        cases = tuple(str(log.case_labels[int(case)].as_py()) for case in odd[:5])
        where = f"column {log.columns.time!r}"
        problem = Problem("times that are no whole numbers", "number the periods", where, cases=cases, count=len(odd))
        raise DataError(log.source, [problem])
    return np.asarray(times.astype(np.int64))


def _require_once(log: ChoiceLog, person: np.ndarray, period: np.ndarray, order: np.ndarray) -> None:
    twice = np.flatnonzero((person[1:] == person[:-1]) & (period[1:] == period[:-1]))
    if not len(twice):
        return
    cases = tuple(str(log.case_labels[int(order[place])].as_py()) for place in twice[:5])
    what = "persons with two choices in one period"
    problem = Problem(what, "give each period one choice, or count time finer", cases=cases, count=len(twice))
    raise DataError(log.source, [problem])

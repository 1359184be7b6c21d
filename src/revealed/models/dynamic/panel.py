"""Who was in which state, what they did, and where they came: a choice log with persons and time, as transitions.

Imports its own room, choices and errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from revealed.choices.kinds import one_array
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.dynamic.offered import offered_by_state
from revealed.models.dynamic.periods import Time, period_of, periods
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.space import StateSpace

#: Persons named in an error.
_SHOWN = 5


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
    weight : ndarray of float64, shape (n,), optional
        How much each choice counts, and the move after it; one by default.
    offered : ndarray of float64, shape (S, A), optional
        In what share of the choices made in a state each action could be taken, by the log; NaN where none was made.
        None where nothing tells: then the process alone says what can be taken.
    first_period : int, optional
        The first period of a process with a horizon; by default the earliest one here. It stays when rows go.
    assumed_first : bool
        Whether that is the earliest one because nobody said.
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
    weight: Float[np.ndarray, " n"] | None = None
    offered: Float[np.ndarray, "S A"] | None = None
    first_period: int | None = None
    assumed_first: bool = False

    def __post_init__(self) -> None:
        if self.first_period is None:
            object.__setattr__(self, "first_period", int(self.period.min(initial=np.iinfo(np.int64).max)))
            object.__setattr__(self, "assumed_first", True)
        early = np.flatnonzero(self.elapsed < 0)
        if len(early):
            who = self.persons[int(self.person[early[0]])].as_py()
            what, where = "choices before the first period", f"the first of person {who}"
            raise DataError(self.source, [Problem(what, "name an earlier first period", where, count=len(early))])

    @classmethod
    def of(
        cls,
        log: ChoiceLog,
        space: StateSpace,
        *,
        unit: str | None = None,
        after_another: bool = False,
        first_period: Time = None,
    ) -> Panel:
        """Return the panel of a log whose columns tell the state; weights of choices, if it has any, come along.

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
        first_period : int, date or str, optional
            The time at which a process with a horizon begins, as in the log; by default its earliest.

        Raises
        ------
        SpecificationError
            If the log has no persons or times, holds counts, or the columns are no columns of the case.
        DataError
            If a person has two choices in a period, an action was never taken, a cell is no level of the state, or a
            choice is before the first period.

        Notes
        -----
        The rows of a case are the actions that could be taken, but for those that the log says were not available.
        What a fit takes as available is compared with that: see :attr:`offered`.
        """
        if log.columns.person is None or log.columns.time is None:
            lacking = "person" if log.columns.person is None else "time"
            raise SpecificationError(
                f"a panel needs to know the {lacking} of each choice; name its column: {lacking}=…"
            )
        if log.counts:
            raise SpecificationError("a panel needs one choice a case, not counts")
        assert log.columns.time is not None
        levels, first = log.facts.levels, pa.array(log.offsets[:-1])
        when = log.table.column(log.columns.time)
        state = space.codes(of_cases(log, space.columns), log.source)
        counts = np.ones(log.n_cases, bool) if log.weights is None else log.weights > 0
        offered = np.repeat(counts, log.sizes)  # a choice of weight zero is as good as not there
        could = np.flatnonzero(offered if log.available is None else offered & log.available)
        action = log.alternative_codes.astype(np.int64)
        shape = space.n_states, len(levels)
        found = cls(
            space=space,
            actions=tuple(levels.labels),
            state=state,
            action=action[np.asarray(log.chosen_rows)],
            following=np.full(log.n_cases, -1),
            person=np.asarray(log.person_codes).astype(np.int64),
            persons=labels_of(log),
            period=periods(when.take(first), unit, log.columns.time, log.source),
            source=log.source,
            weight=None if log.weights is None else log.weights.astype(np.float64),
            offered=offered_by_state(np.repeat(state, log.sizes)[could], action[could], state[counts], shape),
            first_period=period_of(first_period, when, unit, log.columns.time),
        )
        return found._in_order(after_another)

    @classmethod
    def from_rows(
        cls,
        table: Any,
        space: StateSpace,
        *,
        person: str = "person",
        time: str = "time",
        action: str = "action",
        actions: Sequence[str] | None = None,
        unit: str | None = None,
        after_another: bool = False,
        first_period: Time = None,
        source: str | None = None,
    ) -> Panel:
        """Return the panel of a table with one row for each person and period: the state, and what was done.

        Parameters
        ----------
        table : path, Arrow, pandas or polars table
            CSV or Parquet where it is a path.
        space : StateSpace
            Its columns are columns of the table.
        person, time, action : str
            The columns of the decision maker, the period, and the action taken.
        actions : sequence of str, optional
            The actions in the order wanted; by default those taken, in alphabetical order.
        unit, after_another, first_period
            As for :meth:`of`.
        source : str, optional
            What messages call it.

        Raises
        ------
        DataError
            If a cell is missing, a person has two rows in a period, or an action is none of ``actions``.
        SpecificationError
            If there is no such column, or the time is of another kind.

        Notes
        -----
        Such a table does not tell what else could have been done: :attr:`offered` is None.
        """
        rows, name = as_table(table, labels=(person, action))
        source = source or name
        for name in (person, time, action):
            if name not in rows.column_names:
                raise SpecificationError(f"no column {name!r} in {source}; {nearest(name, rows.column_names)}")
            _require_cells(rows.column(name), name, source)
        taken = pc.cast(rows.column(action), pa.string())
        labels = tuple(sorted(pc.unique(taken).to_pylist())) if actions is None else tuple(actions)
        codes = pc.index_in(taken, pa.array(labels, pa.string())).fill_null(-1).to_numpy().astype(np.int64)
        odd = np.flatnonzero(codes < 0)
        if len(odd):
            what = f"an action that is none of {', '.join(labels)}: {taken[int(odd[0])].as_py()}"
            where = f"column {action!r}"
            problem = Problem(what, "name all actions", where, tuple((odd[:5] + 1).tolist()), count=len(odd))
            raise DataError(source, [problem])
        persons, when = one_array(rows.column(person).combine_chunks()).dictionary_encode(), rows.column(time)
        found = cls(
            space=space,
            actions=labels,
            state=space.codes(rows, source),
            action=codes,
            following=np.full(len(codes), -1),
            person=persons.indices.to_numpy().astype(np.int64),
            persons=persons.dictionary,
            period=periods(when, unit, time, source),
            source=source,
            first_period=period_of(first_period, when, unit, time),
        )
        return found._in_order(after_another)

    def _in_order(self, after_another: bool) -> Panel:
        """Return the rows in order of person and time, each linked to the same person's next period."""
        order, following = linked(self.person, self.period, self.persons, self.source)
        panel = self._at(order, following)
        require_taken(panel.action, panel.actions, panel.source)
        if not after_another:
            return panel
        kept = np.flatnonzero(np.concatenate([[False], following[:-1] >= 0]))
        if not len(kept):
            problem = Problem("no observation follows another", "give several periods a person")
            raise DataError(self.source, [problem])
        place = np.full(len(order), -1)
        place[kept] = np.arange(len(kept))
        return panel._at(kept, np.where(following >= 0, place[following], -1)[kept])

    def _at(self, rows: Int[np.ndarray, " m"], following: Int[np.ndarray, " m"]) -> Panel:
        """Return some rows, linked anew."""
        return replace(
            self,
            state=self.state[rows],
            action=self.action[rows],
            following=following,
            person=self.person[rows],
            period=self.period[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

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

    @property
    def elapsed(self) -> Int[np.ndarray, " n"]:
        """How many periods of the process went before each choice."""
        assert self.first_period is not None
        return np.asarray(self.period - self.first_period)

    @property
    def first_states(self) -> Float[np.ndarray, " S"]:
        """How many persons were seen in each state in the first period: zero everywhere if nobody was."""
        first = self.elapsed == 0
        return self._counted(self.state[first], None if self.weight is None else self.weight[first])

    def _counted(self, state: Int[np.ndarray, " m"], weight: Float[np.ndarray, " m"] | None) -> np.ndarray:
        return np.bincount(state, weight, minlength=self.space.n_states).astype(np.float64)

    @property
    def move_weights(self) -> Float[np.ndarray, " moves"]:
        """How much each of :attr:`moves` counts: as much as the choice it followed from."""
        return np.ones(len(self.moves)) if self.weight is None else self.weight[self.moves]

    def counts(self) -> Float[np.ndarray, "S A"]:
        """Return how often each action was taken in each state."""
        n_actions = len(self.actions)
        cell = self.state * n_actions + self.action
        found = np.bincount(cell, self.weight, minlength=self.space.n_states * n_actions)
        return found.reshape(-1, n_actions).astype(np.float64)

    def remarks(self, process: DecisionProcess) -> tuple[str, ...]:
        """Return what a reader of results should know of the panel: gaps, persons not followed to an end, seen once."""
        last = np.append(self.person[1:] != self.person[:-1], True)
        gaps = int((~last & (self.following < 0)).sum())
        single = int((np.bincount(self.person, minlength=self.n_persons) == 1).sum())
        found = []
        if gaps:
            found.append(f"{gaps:,} gaps in time: the choice before each counts, where it led to is not known")
        if process.horizon is not None:
            seen = int(self.elapsed.max()) + 1
            if self.assumed_first and seen < process.horizon:
                what = f"{seen} of {process.horizon} periods are seen, and taken as the first {seen}"
                found.append(f"{what}: if the process began before the panel, name its first period")
            open_ended = int((last & (self.elapsed < process.horizon - 1)).sum())
        else:
            open_ended = int((last & ~process.ending[self.state, self.action]).sum())
        if open_ended and (process.horizon is not None or process.absorbing.any()):
            found.append(f"{open_ended:,} persons were not followed to the end of their process (right-censored)")
        if single:
            found.append(
                f"{single:,} persons with one observation: their choice counts, but they tell of no transition"
            )
        return tuple(found)


def require_taken(taken: Int[np.ndarray, " n"], actions: tuple[str, ...], source: str) -> None:
    """Raise DataError if somebody takes one of the actions never."""
    never = np.flatnonzero(np.bincount(taken, minlength=len(actions)) == 0)
    if len(never):
        remedy = "leave it out of the alternatives, or give a log in which somebody takes it"
        problems = [Problem(f"nobody ever took the action {actions[place]!r}", remedy) for place in never]
        raise DataError(source, problems)


def linked(
    person: Int[np.ndarray, " n"], period: Int[np.ndarray, " n"], persons: pa.Array, source: str
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return the order of person and time, and in that order the place of each one's next period, or -1.

    Raises
    ------
    DataError
        If a person, whose label is in ``persons``, has two choices in a period.
    """
    order = np.lexsort((period, person))
    person, period = person[order].astype(np.int64), period[order]
    same = person[1:] == person[:-1]
    twice = np.flatnonzero(same & (period[1:] == period[:-1]))
    if len(twice):
        names = [f"{persons[int(person[place])].as_py()} in period {period[place]}" for place in twice[:_SHOWN]]
        what = f"persons with two choices in one period: {', '.join(names)}"
        raise DataError(source, [Problem(what, "give each period one choice, or count time finer", count=len(twice))])
    next_one = same & (period[1:] == period[:-1] + 1)
    following = np.concatenate([np.where(next_one, np.arange(1, len(person)), -1), [-1]]).astype(np.int64)
    return order, following


def labels_of(log: ChoiceLog) -> pa.Array:
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


def _require_cells(column: pa.ChunkedArray, name: str, source: str) -> None:
    missing = np.flatnonzero(pc.is_null(column, nan_is_null=True).to_numpy())
    if len(missing):
        rows = tuple((missing[:_SHOWN] + 1).tolist())
        problem = Problem("cells are missing", "fill them, or leave the rows out", f"column {name!r}", rows)
        raise DataError(source, [problem])

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
from jaxtyping import Bool, Float, Int

from revealed.choices.kinds import is_text, one_array
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.dynamic.space import StateSpace

#: Up to here every whole number is a floating-point number.
_LARGEST = 2.0**53
_DAYS = {"day": 1, "week": 7}
#: Rows and persons named in an error.
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
        How much each choice counts; one by default.
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
        assert log.columns.time is not None
        levels = log.levels_of(log.columns.alternative)
        codes = log.codes(log.columns.alternative, levels)
        first = pa.array(log.offsets[:-1])
        return cls._in_order(
            space,
            tuple(levels.labels),
            space.codes(of_cases(log, space.columns), log.source),
            codes[np.asarray(log.chosen_rows)].astype(np.int64),
            np.asarray(log.person_codes),
            labels_of(log),
            periods(log.table.column(log.columns.time).take(first), unit, log.columns.time, log.source),
            log.source,
            after_another,
        )

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
        unit, after_another
            As for :meth:`of`.
        source : str, optional
            What messages call it.

        Raises
        ------
        DataError
            If a cell is missing, a person has two rows in a period, or an action is none of ``actions``.
        SpecificationError
            If there is no such column, or the time is of another kind.
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
        persons = one_array(rows.column(person).combine_chunks()).dictionary_encode()
        return cls._in_order(
            space,
            labels,
            space.codes(rows, source),
            codes,
            persons.indices.to_numpy().astype(np.int64),
            persons.dictionary,
            periods(rows.column(time), unit, time, source),
            source,
            after_another,
        )

    @classmethod
    def _in_order(
        cls,
        space: StateSpace,
        actions: tuple[str, ...],
        state: Int[np.ndarray, " n"],
        action: Int[np.ndarray, " n"],
        person: Int[np.ndarray, " n"],
        persons: pa.Array,
        period: Int[np.ndarray, " n"],
        source: str,
        after_another: bool,
    ) -> Panel:
        order, following = linked(person, period, persons, source)
        person, period = person[order].astype(np.int64), period[order]
        panel = cls(space, actions, state[order], action[order], following, person, persons, period, source)
        require_taken(panel.action, panel.actions, panel.source)
        return panel._only(np.concatenate([[False], following[:-1] >= 0])) if after_another else panel

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
        found = np.bincount(cell, self.weight, minlength=self.space.n_states * n_actions)
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
        return replace(
            self,
            state=self.state[kept],
            action=self.action[kept],
            following=following,
            person=self.person[kept],
            period=self.period[kept],
            weight=None if self.weight is None else self.weight[kept],
        )


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


def periods(column: pa.ChunkedArray, unit: str | None, name: str, source: str) -> Int[np.ndarray, " rows"]:
    """Return the period of each cell: whole numbers as they are, dates counted in units.

    Raises
    ------
    SpecificationError
        If the time is of another kind, or the unit is missing or unknown.
    DataError
        If a time is no whole number.
    """
    kind = column.type
    if pa.types.is_temporal(kind):
        if unit == "month":
            return np.asarray(pc.add(pc.multiply(pc.year(column), 12), pc.month(column)).to_numpy(), dtype=np.int64)
        if unit not in _DAYS:
            given = "" if unit is None else f", not {unit!r}"
            raise SpecificationError(f"times are dates: say what a period is, unit='day', 'week' or 'month'{given}")
        days = column.cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // 86_400
        return np.asarray(days // _DAYS[unit], dtype=np.int64)
    if is_text(kind):  # as a column of numbers is read that has other cells too
        _require_whole(pc.match_substring_regex(column.cast(pa.string()), r"^[+-]?\d{1,15}$"), column, name, source)
        column = column.cast(pa.string()).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SpecificationError(f"times of type {kind} in column {name!r} are neither numbers of periods nor dates")
    times = column.to_numpy()
    if times.dtype.kind == "f":
        _require_whole((np.abs(times) <= _LARGEST) & (times == np.floor(times)), column, name, source)
    return np.asarray(times.astype(np.int64))


def _require_whole(sound: Any, column: pa.ChunkedArray, name: str, source: str) -> None:
    odd = np.flatnonzero(~np.asarray(sound, dtype=bool))
    if len(odd):
        shown = ", ".join(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in _cells(column, odd))
        rows = tuple((odd[:_SHOWN] + 1).tolist())
        what, remedy = f"times that are no whole numbers: {shown}", "number the periods, or write dates"
        raise DataError(source, [Problem(what, remedy, f"column {name!r}", rows, count=len(odd))])


def _cells(column: pa.ChunkedArray, places: Int[np.ndarray, " some"]) -> list[Any]:
    return list(column.take(pa.array(places[:_SHOWN])).to_pylist())


def _require_cells(column: pa.ChunkedArray, name: str, source: str) -> None:
    missing = np.flatnonzero(pc.is_null(column, nan_is_null=True).to_numpy())
    if len(missing):
        rows = tuple((missing[:_SHOWN] + 1).tolist())
        problem = Problem("cells are missing", "fill them, or leave the rows out", f"column {name!r}", rows)
        raise DataError(source, [problem])

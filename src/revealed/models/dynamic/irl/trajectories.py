"""Choices as transitions: state, action, next state, with states of any kind of number. Imports dynamic and choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from revealed.choices.kinds import holds_numbers
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.dynamic.offered import require_offered
from revealed.models.dynamic.panel import Panel, labels_of, linked, of_cases, require_taken
from revealed.models.dynamic.periods import periods
from revealed.models.dynamic.space import LARGEST, StateSpace

#: From states, shape (m, d), to which actions can be taken there, shape (m, A); None where all can.
Can = Callable[[np.ndarray], np.ndarray] | None
#: Rows named in an error.
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Availability:
    """Which actions can be taken in which state of a space; elsewhere, what can be in the state nearest to it.

    Parameters
    ----------
    space : StateSpace
    can : ndarray of bool, shape (S, A)
    """

    space: StateSpace
    can: Bool[np.ndarray, "S A"]

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Bool[np.ndarray, "m A"]:
        """Return which can be taken in some states, given as numbers."""
        return np.asarray(self.can[self.space.nearest(states)])


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What persons did in which state, and where it led.

    Parameters
    ----------
    states : ndarray of float64, shape (n, d)
    actions : ndarray of int64, shape (n,)
        Index into ``labels``.
    next_states : ndarray of float64, shape (n, d)
        Zero where nothing is known of what followed.
    followed : ndarray of bool, shape (n,)
        Whether the next state is known. Choices of which it is not tell of behaviour only.
    persons : ndarray of int64, shape (n,)
    labels : tuple of str
        The actions.
    columns : tuple of str
        What the numbers of a state are.
    weights : ndarray of float64, shape (n,)
    source : str
    available : callable, optional
        From states, shape (m, d), to which actions can be taken there, shape (m, A); without it all can.
    """

    states: Float[np.ndarray, "n d"]
    actions: Int[np.ndarray, " n"]
    next_states: Float[np.ndarray, "n d"]
    followed: Bool[np.ndarray, " n"]
    persons: Int[np.ndarray, " n"]
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    weights: Float[np.ndarray, " n"]
    source: str = field(default="trajectories")
    available: Can = None

    def __post_init__(self) -> None:
        if not len(self.actions):
            raise DataError(self.source, [Problem("no choices", "give at least one transition")])
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise SpecificationError(f"two or more actions are needed, each once, not {self.labels!r}")
        if len(self.columns) != self.states.shape[1]:
            raise SpecificationError(f"{self.states.shape[1]} numbers a state, but {len(self.columns)} columns named")
        problems = []
        for name, odd, remedy in (
            (
                "states that are no finite numbers",
                ~(np.abs(self.states) < LARGEST).all(axis=1),
                f"fill them, leave them out, or measure them in units in which they are below {LARGEST:g}",
            ),
            (
                "next states that are no finite numbers",
                ~(np.abs(self.next_states) < LARGEST).all(axis=1),
                f"say followed=False, or measure them in units in which they are below {LARGEST:g}",
            ),
            ("weights below zero or not finite", ~(np.isfinite(self.weights) & (self.weights >= 0)), "give counts"),
            (
                "actions that are none of the labels",
                (self.actions < 0) | (self.actions >= len(self.labels)),
                "name all",
            ),
        ):
            if odd.any():
                rows = tuple((np.flatnonzero(odd)[:_SHOWN] + 1).tolist())
                problems.append(Problem(name, remedy, rows=rows, count=int(odd.sum())))
        if self.available is not None and not problems:
            odd = ~self.mask(self.states)[np.arange(len(self.actions)), self.actions]
            if odd.any():
                rows = tuple((np.flatnonzero(odd)[:_SHOWN] + 1).tolist())
                what, remedy = "actions taken where they are not available", "mend what is available, or the rows"
                problems.append(Problem(what, remedy, rows=rows, count=int(odd.sum())))
        if not self.followed.any():
            problems.append(Problem("no next state is known", "give persons several periods in a row"))
        if problems:
            raise DataError(self.source, problems)

    @classmethod
    def from_arrays(
        cls,
        states: Float[np.ndarray, "n d"],
        actions: Int[np.ndarray, " n"],
        next_states: Float[np.ndarray, "n d"],
        *,
        labels: Sequence[str],
        persons: Int[np.ndarray, " n"] | None = None,
        columns: Sequence[str] | None = None,
        weights: Float[np.ndarray, " n"] | None = None,
    ) -> Trajectories:
        """Return the transitions that arrays tell of, each with a known next state.

        Parameters
        ----------
        states, next_states : ndarray, shape (n, d)
        actions : ndarray of int, shape (n,)
            Index into ``labels``.
        labels : sequence of str
            The actions.
        persons : ndarray of int, shape (n,), optional
            Whose they are; by default each row is a person of its own.
        columns : sequence of str, optional
            What the numbers of a state are called.
        weights : ndarray, shape (n,), optional
            How often each row was seen; one by default.

        Raises
        ------
        DataError
            If a number is not finite, an action is none of the labels, with the rows, or was never taken.
        SpecificationError
            If there are not two actions, or columns do not fit.
        """
        n, d = states.shape
        found = cls(
            states.astype(np.float64),
            actions.astype(np.int64),
            next_states.astype(np.float64),
            np.ones(n, dtype=bool),
            np.arange(n) if persons is None else persons.astype(np.int64),
            tuple(labels),
            tuple(f"x{place}" for place in range(d)) if columns is None else tuple(columns),
            np.ones(n) if weights is None else weights.astype(np.float64),
        )
        return found._every_action_taken()

    @classmethod
    def of(
        cls, log: ChoiceLog, columns: Sequence[str], *, unit: str | None = None, available: Can = None
    ) -> Trajectories:
        """Return the transitions in a log whose columns tell the state.

        Parameters
        ----------
        log : ChoiceLog
            With persons and time; one choice a case.
        columns : sequence of str
            Columns of numbers, the same on all rows of a case.
        unit : {"day", "week", "month"}, optional
            What a period is, where times are dates. Numbers count periods.
        available : callable, optional
            From states, shape (m, d), to which actions can be taken there, shape (m, A); without it all can.

        Raises
        ------
        SpecificationError
            If the log has no persons or times, holds counts, or a column is no column of numbers of the case.
        DataError
            If a person has two choices in a period, a cell is missing, an action was never taken, or other actions
            are available than the log's rows offer.
        """
        if log.columns.person is None or log.columns.time is None:
            lacking = "person" if log.columns.person is None else "time"
            raise SpecificationError(f"transitions need to know the {lacking} of each choice; name it: {lacking}=…")
        if log.counts:
            raise SpecificationError("transitions need one choice a case, not counts")
        levels = log.levels_of(log.columns.alternative)
        taken = log.codes(log.columns.alternative, levels)[np.asarray(log.chosen_rows)].astype(np.int64)
        cells = of_cases(log, tuple(columns))
        for name in columns:
            if not holds_numbers(cells.column(name).type):
                raise SpecificationError(f"{name!r} holds no numbers; a state space of levels does: Panel.of")
        states = np.column_stack([_numbers(cells.column(name)) for name in columns])
        first = pa.array(log.offsets[:-1])
        period = periods(log.table.column(log.columns.time).take(first), unit, log.columns.time, log.source)
        person = np.asarray(log.person_codes).astype(np.int64)
        order, following = linked(person, period, labels_of(log), log.source)
        found = cls._linked(
            states[order], taken[order], following, person[order], tuple(levels.labels), tuple(columns), log.source
        )
        if log.weights is not None:
            found = replace(found, weights=log.weights[order].astype(np.float64))
        found = replace(found, available=available)._every_action_taken()
        _require_offered(log, found.mask(states))
        return found

    @classmethod
    def of_panel(cls, panel: Panel, available: Bool[np.ndarray, "S A"] | None = None) -> Trajectories:
        """Return the transitions of a panel: the levels of each column of the state, labels as 0, 1, ….

        Parameters
        ----------
        panel : Panel
        available : ndarray of bool, shape (S, A), optional
            Which actions can be taken in which state.

        Raises
        ------
        DataError
            If an action was taken where it is not available, or the log offered other actions than are.
        """
        every = panel.space.numbers
        found = cls._linked(
            every[panel.state],
            panel.action,
            panel.following,
            panel.person,
            panel.actions,
            panel.space.columns,
            panel.source,
        )
        if panel.weight is not None:
            found = replace(found, weights=panel.weight)
        if available is not None:
            found = replace(found, available=Availability(panel.space, available))
        can = found.mask(every) if available is None else available
        require_offered(panel.offered, can, panel.space, panel.actions, panel.source)
        return found

    @classmethod
    def _linked(
        cls,
        states: Float[np.ndarray, "n d"],
        actions: Int[np.ndarray, " n"],
        following: Int[np.ndarray, " n"],
        persons: Int[np.ndarray, " n"],
        labels: tuple[str, ...],
        columns: tuple[str, ...],
        source: str,
    ) -> Trajectories:
        followed = following >= 0
        after = np.where(followed[:, None], states[following], 0.0)
        return cls(states, actions, after, followed, persons, labels, columns, np.ones(len(actions)), source)

    def _every_action_taken(self) -> Trajectories:
        """Return the same, once each action was taken; draws of persons may lack one."""
        require_taken(self.actions, self.labels, self.source)
        return self

    @property
    def n_choices(self) -> int:
        """The number of choices."""
        return len(self.actions)

    @property
    def n_actions(self) -> int:
        """The number of actions, A."""
        return len(self.labels)

    def index(self, action: str) -> int:
        """Return the place of an action.

        Raises
        ------
        SpecificationError
            If there is no such action.
        """
        if action not in self.labels:
            raise SpecificationError(f"no action {action!r}; {nearest(action, self.labels)}")
        return self.labels.index(action)

    def only(self, rows: Bool[np.ndarray, " n"]) -> Trajectories:
        """Return some of the choices."""
        return self.taken(np.flatnonzero(rows))

    def taken(self, rows: Int[np.ndarray, " m"], persons: Int[np.ndarray, " m"] | None = None) -> Trajectories:
        """Return the choices at some places, each as often as it is named, perhaps as those of other persons."""
        return replace(
            self,
            states=self.states[rows],
            actions=self.actions[rows],
            next_states=self.next_states[rows],
            followed=self.followed[rows],
            persons=self.persons[rows] if persons is None else persons,
            weights=self.weights[rows],
        )

    def mask(self, states: Float[np.ndarray, "m d"]) -> Bool[np.ndarray, "m A"]:
        """Return which actions can be taken in some states."""
        return can_be_taken(self.available, states, self.n_actions)

    def told(self, state: Float[np.ndarray, " d"]) -> str:
        """Return a state in words."""
        return ", ".join(f"{name} {value:g}" for name, value in zip(self.columns, state, strict=True))

    def remarks(self) -> tuple[str, ...]:
        """Return what a reader of results should know of the data."""
        lost = int((~self.followed).sum())
        return (f"{lost:,} choices whose next state is not known tell of behaviour only",) if lost else ()


def can_be_taken(available: Can, states: Float[np.ndarray, "m d"], n_actions: int) -> Bool[np.ndarray, "m A"]:
    """Return which actions can be taken in some states: all, where nothing else is said."""
    if available is None:
        return np.ones((len(states), n_actions), dtype=bool)
    return np.asarray(available(states), dtype=bool)


def _require_offered(log: ChoiceLog, mask: Bool[np.ndarray, "n A"]) -> None:
    """Raise DataError where other actions are available in the state of a case than its rows offer."""
    rows = np.arange(log.n_rows) if log.available is None else np.flatnonzero(log.available)
    if len(rows) <= log.n_cases:
        return  # one row a case is what was done, and tells of nothing else
    offered = np.zeros(mask.shape, dtype=bool)
    offered[np.repeat(np.arange(log.n_cases), log.sizes)[rows], log.alternative_codes[rows]] = True
    odd = np.argwhere(offered != mask)
    if len(odd):
        case, action = (int(place) for place in odd[0])
        where = f"{log.facts.levels.labels[action]!r} in case {log.case_labels[case].as_py()}"
        what, remedy = "other actions can be taken than in the log", "say which can in which state: available=…"
        raise DataError(log.source, [Problem(what, remedy, where, count=len(odd))])


def _numbers(column: pa.ChunkedArray) -> Float[np.ndarray, " n"]:
    # A missing cell becomes NaN here, and is refused with its row where the trajectories are made.
    filled = pc.fill_null(pc.cast(column, pa.float64()), np.nan)
    return np.asarray(filled.to_numpy())

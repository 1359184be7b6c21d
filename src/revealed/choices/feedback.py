"""What was shown, with which probability, and what came of it: one row for each thing shown, over Arrow.

A row without a reward is a row whose answer has not come: it is not a "no". Imports its own room only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from revealed.choices.arrange import is_missing, plain
from revealed.choices.cells import SHOWN
from revealed.choices.delimited import TextFormat
from revealed.choices.feedback_checks import Checks, FeedbackColumns, FeedbackRoles, codes_of, require_columns
from revealed.choices.kinds import as_numbers, holds_numbers, one_array
from revealed.choices.levels import Levels, encode, levels_in, union_of
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table
from revealed.errors import DataError, Problem, SpecificationError, nearest


@dataclass(frozen=True, eq=False)
class Feedback:
    """What was shown and what came of it, in memory and validated.

    Made by :func:`read_feedback` from files and frames, by :meth:`from_table` from Arrow, or by :meth:`from_log`.

    Parameters
    ----------
    table : pyarrow.Table
        One row for each thing shown, in the user's column names.
    columns : FeedbackColumns
        Which column plays which role.
    actions : Levels
        What can be shown, sorted: all that was shown, and what the owner of the data said besides.
    source : str
        Where it came from, for messages.
    rows : array of int, shape (rows,), or int
        The number of each row in its source, from 1; or how many rows of the source come before ours.
    """

    table: pa.Table
    columns: FeedbackColumns
    actions: Levels
    source: str = "table"
    rows: Int[np.ndarray, " rows"] | int = 0

    # ---- the door -------------------------------------------------------------------------------------------------

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        columns: FeedbackColumns | None = None,
        *,
        actions: Sequence[Any] = (),
        source: str = "table",
        **roles: Unpack[FeedbackRoles],
    ) -> Feedback:
        """Check a table and make feedback of it, or raise one DataError that lists every problem.

        Parameters
        ----------
        table : pyarrow.Table
            One row for each thing shown, in any order.
        columns : FeedbackColumns, optional
            The roles; by default the columns are called as their roles. Roles given by keyword come on top.
        actions : sequence, optional
            What could have been shown besides what was.
        source : str
            Where the table came from, for messages.

        Raises
        ------
        DataError
            With each problem, its rows and its remedy.
        """
        named = FeedbackColumns.named(columns, roles)
        table = plain(table, source)
        require_columns(table.column_names, named, source)
        if table.num_rows == 0:
            raise DataError(source, [Problem("there are no rows", "check that the file or query holds feedback")])
        problems = Checks(table, named).all()
        if problems:
            raise DataError(source, problems)
        levels = levels_in(table.column(named.action))
        if len(actions):
            levels = union_of([levels, levels_in(pa.array(list(actions)))])
        return cls(table, named, levels, source)

    @classmethod
    def from_log(cls, log: ChoiceLog, *, outside: str = "none", position: str | None = None) -> Feedback:
        """Return a log whose cases offer what was shown and an outside option as feedback.

        Parameters
        ----------
        log : ChoiceLog
            With the propensity of what was shown. What was not available was not shown.
        outside : str
            The outside option: it is chosen where nothing came of what was shown.
        position : str, optional
            The column that says where a thing was shown.

        Raises
        ------
        SpecificationError
            If the log has no propensities, or no such outside option.
        DataError
            As :meth:`from_table`.

        Examples
        --------
        >>> from revealed.choices.datasets import open_bandit
        >>> Feedback.from_log(open_bandit(), position="position")
        Feedback(open_bandit: 10,000 decisions, 80 actions, 10,000 rows, 10,000 answers)
        """
        if log.columns.propensity is None:
            raise SpecificationError(f"{log.source} has no propensity: say which column holds it when reading the log")
        known = log.own_alternatives.labels
        if outside not in known:
            raise SpecificationError(f"{log.source} has no outside option {outside!r}; {nearest(outside, known)}")
        shown = log.codes(log.columns.alternative, log.own_alternatives) != known.index(outside)
        if log.available is not None:
            shown &= log.available
        index = np.flatnonzero(shown)
        table = log.table.take(pa.array(index)).combine_chunks()
        roles = FeedbackColumns(
            decision=log.columns.case,
            action=log.columns.alternative,
            reward=log.columns.chosen,
            propensity=log.columns.propensity,
            position=position,
            person=log.columns.person,
            time=log.columns.time,
        )
        return replace(cls.from_table(table, roles, source=log.source), rows=log.row_numbers(index))

    # ---- size -----------------------------------------------------------------------------------------------------

    @property
    def n_rows(self) -> int:
        """The number of things shown."""
        return int(self.table.num_rows)

    @cached_property
    def n_decisions(self) -> int:
        """The number of decisions."""
        if self.columns.position is None:
            return self.n_rows  # then each decision has one row
        return int(self.decision_codes.max(initial=-1)) + 1

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        return (
            f"Feedback({self.source}: {self.n_decisions:,} decisions, {len(self.actions):,} actions, "
            f"{self.n_rows:,} rows, {int(self.answered.sum()):,} answers)"
        )

    def row_numbers(self, index: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        """Return the numbers that rows have in the source, from 1."""
        return index + (self.rows + 1) if isinstance(self.rows, int) else self.rows[index]

    # ---- roles ----------------------------------------------------------------------------------------------------

    @cached_property
    def answered(self) -> Bool[np.ndarray, " rows"]:
        """Where an answer has come."""
        return np.asarray(one_array(self.table.column(self.columns.reward)).is_valid().to_numpy(zero_copy_only=False))

    @cached_property
    def reward(self) -> Float[np.ndarray, " rows"]:
        """What came of each thing shown; NaN where no answer has come, so take the :attr:`answered` rows first."""
        return as_numbers(self.table.column(self.columns.reward)).astype(np.float64, copy=False)

    @cached_property
    def binary(self) -> bool:
        """Whether each reward is 0 or 1; no where an answer has not come."""
        return bool(((self.reward == 0) | (self.reward == 1)).all())

    @cached_property
    def propensity(self) -> Float[np.ndarray, " rows"]:
        """The probability with which the policy that was running showed each row.

        Raises
        ------
        SpecificationError
            If it was not logged.
        """
        if self.columns.propensity is None:
            raise SpecificationError(
                f"{self.source} has no propensities, so nothing can be said of another policy: log with each decision "
                "the probability of what was shown, and name its column: propensity=…"
            )
        return as_numbers(self.table.column(self.columns.propensity)).astype(np.float64, copy=False)

    @cached_property
    def action_codes(self) -> Int[np.ndarray, " rows"]:
        """What was shown, as an index into :attr:`actions`."""
        return self.actions.index(self.table.column(self.columns.action))

    @cached_property
    def times_shown(self) -> Int[np.ndarray, " actions"]:
        """How often each action was shown."""
        return np.bincount(self.action_codes, minlength=len(self.actions))

    @cached_property
    def positions(self) -> Levels | None:
        """The positions, sorted; None without the role."""
        return None if self.columns.position is None else levels_in(self.table.column(self.columns.position))

    @cached_property
    def position(self) -> Int[np.ndarray, " rows"]:
        """The position of each row, as an index into :attr:`positions`; zeros without the role."""
        if self.positions is None or self.columns.position is None:
            return np.zeros(self.n_rows, np.int32)
        return self.positions.index(self.table.column(self.columns.position))

    @cached_property
    def decision_codes(self) -> Int[np.ndarray, " rows"]:
        """The decision of each row: 0, 1, … in order of appearance."""
        return codes_of(self.table.column(self.columns.decision))

    @cached_property
    def person_codes(self) -> Int[np.ndarray, " rows"]:
        """The person of each row: 0, 1, … in order of appearance; the decision's code without the role."""
        return self.decision_codes if self.columns.person is None else codes_of(self.table.column(self.columns.person))

    # ---- attributes -----------------------------------------------------------------------------------------------

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns without a role: of the context, or of what was shown."""
        taken = set(self.columns.roles().values())
        return tuple(name for name in self.table.column_names if name not in taken)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column, by its name or its role.

        Raises
        ------
        SpecificationError
            If there is none, with the nearest names.
        """
        present = self.table.column_names
        found = name if name in present else self.columns.roles().get(name)
        if found is None:
            raise SpecificationError(f"no column {name!r} in {self.source}; {nearest(name, present)}")
        return self.table.column(found)

    def holds_numbers(self, name: str) -> bool:
        """Whether a column holds numbers rather than labels."""
        return holds_numbers(self.column(name).type)

    def numbers(self, name: str) -> Float[np.ndarray, " rows"]:
        """Return a column as numbers.

        Raises
        ------
        SpecificationError
            If it holds labels.
        DataError
            If cells are missing or infinite, with their rows.
        """
        column = self.column(name)
        if not holds_numbers(column.type):
            raise SpecificationError(f"column {name!r} of {self.source} holds labels, not numbers")
        cells = as_numbers(column).astype(np.float64, copy=False)
        bad = ~np.isfinite(cells)
        if bad.any():
            self._refuse(bad, "cells that are missing or infinite", "put finite numbers there, or drop the rows", name)
        return cells

    def labels(self, name: str) -> tuple[Levels, Int[np.ndarray, " rows"]]:
        """Return the levels of a column and each row's index into them.

        Raises
        ------
        DataError
            If cells are missing, with their rows.
        """
        column = self.column(name)
        missing = is_missing(column)
        if missing is not None:
            self._refuse(missing, "missing cells", "fill them in, or drop the rows", name)
        return encode(column)

    def _refuse(self, mask: Bool[np.ndarray, " rows"], what: str, remedy: str, name: str) -> None:
        first = self.row_numbers(np.flatnonzero(mask)[:SHOWN])
        place = f"column {name!r}"
        raise DataError(self.source, [Problem(what, remedy, place, tuple(first.tolist()), count=int(mask.sum()))])

    # ---- parts ----------------------------------------------------------------------------------------------------

    def take(self, rows: Int[np.ndarray, " some"] | Bool[np.ndarray, " rows"]) -> Feedback:
        """Return some of the rows, by index or mask, in the order given; what can be shown stays the same."""
        index = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows)
        table = self.table.take(pa.array(index)).combine_chunks()
        return replace(self, table=table, rows=self.row_numbers(index))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table


def read_feedback(
    source: Any,
    columns: FeedbackColumns | None = None,
    *,
    actions: Sequence[Any] = (),
    text: TextFormat | None = None,
    **roles: Unpack[FeedbackRoles],
) -> Feedback:
    """Read what was shown and what came of it, one row for each thing shown, and check it.

    Parameters
    ----------
    source : path, frame, table, relation or dict
        As for :func:`revealed.read`.
    columns : FeedbackColumns, optional
        Which column plays which role. Roles given by keyword come on top: ``action="item"``, ``reward="clicked"``.
    actions : sequence, optional
        What could have been shown besides what was.
    text : TextFormat, optional
        How a text file is written, where it is not plain CSV in UTF-8.

    Raises
    ------
    DataError
        With every problem found, its rows and its remedy.
    SpecificationError
        For an unknown role, or a source that cannot be read.

    Examples
    --------
    >>> read_feedback({"visit": [1, 2], "item": ["hat", "cap"], "clicked": [0, None], "propensity": [0.5, 0.5]},
    ...               decision="visit", action="item", reward="clicked")
    Feedback(table: 2 decisions, 2 actions, 2 rows, 1 answers)
    """
    named = FeedbackColumns.named(columns, roles)
    labels = tuple(filter(None, [named.decision, named.action, named.person]))
    table, name = as_table(source, text, labels)
    return Feedback.from_table(table, named, actions=actions, source=name)

"""What could be chosen after some changes: a log as the model sees it, its rows renamed. Imports choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from revealed.choices.expression import Labels
from revealed.choices.kinds import one_array
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError, nearest

#: Roles that a change may not touch, and why.
_UNTOUCHED = "who chose what, when and how often is what happened; only attributes and what is available can change"


@dataclass(frozen=True, eq=False)
class Scenario:
    """What could be chosen after some changes.

    Parameters
    ----------
    log : ChoiceLog
        For predictions only: an alternative that was added bears the label of the one whose constants it has.
    labels : tuple of str
        The alternatives, old ones first.
    codes : ndarray of int64, shape (rows,)
        The alternative of each row, an index into ``labels``.
    origin : ndarray of int64, shape (rows,)
        The row of the log before any change that each row stems from.
    changes : tuple of (str, int)
        Each change, and the number of rows it touched.
    touched : tuple of str
        The columns that were changed.
    """

    log: ChoiceLog
    labels: tuple[str, ...]
    codes: Int[np.ndarray, " rows"]
    origin: Int[np.ndarray, " rows"]
    changes: tuple[tuple[str, int], ...] = ()
    touched: tuple[str, ...] = ()

    @classmethod
    def of(cls, log: ChoiceLog) -> Scenario:
        """Return a log as it is, ready to be changed."""
        columns, table = log.columns, log.table
        if columns.available is None:
            name = "available" if "available" not in table.column_names else "available to choose"
            columns = replace(columns, available=name)
            table = table.append_column(name, pa.array(np.ones(log.n_rows)))
        rows = np.arange(log.n_rows)
        same = ChoiceLog(
            table,
            columns,
            counts=log.counts,
            source=log.source,
            offsets=log.offsets,
            rows=log.row_numbers(rows),
            shared_facts=log.facts,
        )
        return cls(same, log.facts.levels.labels, log.alternative_codes.astype(np.int64), rows)

    @property
    def available_column(self) -> str:
        """The column that says what is available."""
        assert self.log.columns.available is not None
        return self.log.columns.available

    # ---- what changes look at -------------------------------------------------------------------------------------

    def values(self, name: str) -> Float[np.ndarray, " rows"] | Labels:
        """Return a column (or role) as numbers or labels; alternatives go by the names they have in the scenario."""
        column = self.log.column_name(name)
        if column == self.log.columns.alternative:
            return Labels(self.codes, self.labels)
        if self.log.is_categorical(column):
            levels = self.log.levels_of(column)
            return Labels(self.log.codes(column, levels), levels.labels)
        return self.numbers(column)

    def numbers(self, name: str) -> Float[np.ndarray, " rows"]:
        """Return a column of numbers."""
        return np.asarray(self.log.numbers(name), dtype=np.float64)

    def rows_of(self, label: str) -> Bool[np.ndarray, " rows"]:
        """Return the rows of an alternative.

        Raises
        ------
        SpecificationError
            If there is none of that name, with the nearest.
        """
        return np.asarray(self.codes == self._code_of(label))

    def is_alternative(self, label: str) -> str:
        """Return the condition that a row is of an alternative, also where another column is called "alternative"."""
        return f"`{self.log.columns.alternative}` == {label!r}"

    def column_to_set(self, name: str) -> str:
        """Return the column that a change means, if it may be changed.

        Raises
        ------
        SpecificationError
            If there is no such column, or it holds what happened.
        """
        column = self.log.column_name(name)
        if name == "available" and column != self.available_column:
            raise SpecificationError(
                "the log has a column 'available' that was not said to be what is available; read it with "
                "available='available', or rename it"
            )
        roles = {of: role for role, of in self.log.columns.roles().items()}
        if roles.get(column, "available") != "available":
            raise SpecificationError(f"{name!r} ({roles[column]}) cannot be changed: {_UNTOUCHED}")
        return column

    # ---- the scenario after a change ------------------------------------------------------------------------------

    def told(self, change: str, rows: int) -> Scenario:
        """Return the scenario with a change entered in its list."""
        return replace(self, changes=(*self.changes, (change, rows)))

    def with_columns(self, new: Mapping[str, Any]) -> Scenario:
        """Return the scenario with other cells in some columns."""
        touched = tuple(dict.fromkeys([*self.touched, *new]))
        return replace(self, log=self.log.with_columns(new), touched=touched)

    def with_alternative(self, label: str, like: str, constants_of: str) -> Scenario:
        """Return the scenario with one more alternative, at the end of each case that offers the one it is like.

        Raises
        ------
        SpecificationError
            If the name is taken, or an alternative to resemble is not there.
        """
        if label in self.labels:
            raise SpecificationError(f"there is an alternative {label!r} already; give the new one another name")
        source = np.flatnonzero(self.rows_of(like))
        bears = np.flatnonzero(self.rows_of(constants_of))
        if not len(source) or not len(bears):
            raise SpecificationError(f"no case offers {like if not len(source) else constants_of!r}")
        log = self.log
        case = np.searchsorted(log.offsets, source, side="right") - 1
        place = log.offsets[case + 1]
        index = np.insert(np.arange(log.n_rows), place, source)
        new = np.insert(np.zeros(log.n_rows, bool), place, True)
        table = log.table.take(pa.array(index)).combine_chunks()
        added = np.bincount(case, minlength=log.n_cases)
        longer = log.like(
            table,
            offsets=log.offsets + np.concatenate([[0], np.cumsum(added)]),
            rows=log.row_numbers(index),
        )
        cells = {log.columns.chosen: np.where(new, 0.0, longer.numbers(log.columns.chosen))}
        if constants_of != like:
            column = plain_labels(table.column(log.columns.alternative))
            bearer = plain_labels(log.table.column(log.columns.alternative))[int(bears[0])]
            cells[log.columns.alternative] = pc.if_else(pa.array(new), bearer, column)
        codes = np.where(new, len(self.labels), self.codes[index])
        longer = longer.with_columns(cells)
        return Scenario(longer, (*self.labels, label), codes, self.origin[index], self.changes, self.touched)

    # ---- checks ---------------------------------------------------------------------------------------------------

    def require_finite(
        self, before: Float[np.ndarray, " rows"], after: Float[np.ndarray, " rows"], change: str
    ) -> None:
        """Raise SpecificationError if a change has made a number infinite or undefined where one can choose."""
        bad = np.isfinite(before) & ~np.isfinite(after) & (self.log.numbers(self.available_column) != 0)
        if bad.any():
            case = int(np.searchsorted(self.log.offsets, np.flatnonzero(bad)[0], side="right")) - 1
            raise SpecificationError(
                f"the change {change!r} gives {int(bad.sum()):,} rows a value that is not finite (first in case "
                f"{self.log.case_labels[case].as_py()}); guard it, as in cost[income > 0] = cost / income"
            )

    def require_choice(self) -> None:
        """Raise SpecificationError if a case is left without any alternative."""
        left = np.add.reduceat(self.log.numbers(self.available_column) != 0, self.log.offsets[:-1], dtype=np.int64)
        bare = np.flatnonzero(left == 0)
        if len(bare):
            shown = ", ".join(str(self.log.case_labels[int(case)].as_py()) for case in bare[:5])
            raise SpecificationError(
                f"after the changes {len(bare):,} cases have nothing left to choose (case {shown}"
                f"{', …' if len(bare) > 5 else ''}); leave them an alternative, or take those cases out of the log"
            )

    def _code_of(self, label: str) -> int:
        label = str(label)  # alternatives may be numbers
        if label not in self.labels:
            raise SpecificationError(
                f"no alternative {label!r} in {self.log.source}; {nearest(str(label), self.labels)}"
            )
        return self.labels.index(label)


def plain_labels(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of labels as one array that is no dictionary."""
    array = one_array(column)
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array

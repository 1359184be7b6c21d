"""The door of a log: a table is put in order, checked, and let in or refused. Imports its own room only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from revealed.choices.arrange import Rows, plain, require_no_counts, with_cases_together, with_outside_option
from revealed.choices.checks import find_problems
from revealed.choices.columns import Columns, role_problems
from revealed.choices.levels import levels_in
from revealed.choices.log import ChoiceLog
from revealed.errors import ColumnError, DataError, Problem, SpecificationError, nearest


def admit(
    table: pa.Table,
    columns: Columns,
    *,
    counts: bool = False,
    outside: str | None = None,
    attributes: tuple[str, ...] = (),
    source: str = "table",
    rows: Rows | int = 0,
) -> ChoiceLog:
    """Return the log of a table, or raise one DataError that lists every problem; see :meth:`ChoiceLog.from_table`.

    ``rows`` numbers each row as its source does.
    """
    if outside is not None:
        require_no_counts(counts)
    table = plain(table, source)
    require_columns(table.column_names, columns, attributes, source)
    if table.num_rows == 0:
        remedy = "check that the file or query holds choices, and the filter if there is one"
        raise DataError(source, [Problem("there are no rows", remedy)])
    arranged = with_cases_together(table, columns, rows)
    if len(arranged.offsets) == 1:
        raise DataError(source, arranged.problems)
    problems = arranged.problems
    if outside is not None:
        if outside in levels_in(arranged.table.column(columns.alternative)).labels:
            remedy = "leave outside= away, or give the outside option another name"
            problems.append(Problem(f"the outside option {outside!r} is an alternative of the log already", remedy))
        else:
            arranged = with_outside_option(arranged, columns, outside)
    log = ChoiceLog(arranged.table, columns, counts=counts, source=source, offsets=arranged.offsets, rows=arranged.rows)
    problems = problems + find_problems(log, attributes)
    if problems:
        raise DataError(source, problems)
    return log


def require_columns(present: list[str], columns: Columns, attributes: tuple[str, ...], source: str) -> None:
    """Raise ColumnError naming each role and attribute whose column is not there, with the nearest names."""
    problems = role_problems(columns.roles(), present, ("case", "person"))
    problems += [
        Problem(what=f"no column {name!r} among the attributes", remedy=nearest(name, present))
        for name in attributes
        if columns.resolve(name, present) is None
    ]
    if problems:
        raise ColumnError(source, problems)


def join(log: ChoiceLog, other: ChoiceLog) -> ChoiceLog:
    """Return a log with the cases of another after its own; see ``ChoiceLog.__add__``."""
    if log.columns != other.columns or log.counts != other.counts:
        raise SpecificationError("logs with different columns or kinds of choice cannot be joined")
    missing = [c for c in log.table.column_names if c not in other.table.column_names]
    if missing:
        raise SpecificationError(f"the log to add has no column {missing[0]!r}")
    known = levels_in(log.case_labels).index(other.case_labels) >= 0
    if known.any():
        again = np.flatnonzero(known)
        problem = Problem(
            what="cases that are in the log already",
            remedy="give new cases new labels, or drop them",
            where=f"column {log.columns.case!r}",
            cases=tuple(str(other.case_labels[int(i)].as_py()) for i in again[:5]),
            count=len(again),
        )
        raise DataError(other.source, [problem])
    parts = [log.table, other.table.select(log.table.column_names)]
    try:
        table = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    except pa.ArrowInvalid as error:
        raise SpecificationError(f"the log to add holds other kinds of cells: {error}") from None
    offsets = np.concatenate([log.offsets, other.offsets[1:] + log.offsets[-1]])
    return log.like(table, offsets=offsets, rows=0, shared_facts=None)

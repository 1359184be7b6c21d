"""A log that stays on disk and is passed over in batches of whole cases. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from revealed.choices import parquet
from revealed.choices.ahead import read_ahead
from revealed.choices.arrange import is_missing
from revealed.choices.cells import SHOWN, find_bad_cells, merged
from revealed.choices.checks import find_nothing, find_problems, two_places_text
from revealed.choices.columns import Columns, RoleNames
from revealed.choices.cutting import case_starts, whole_cases
from revealed.choices.described import Described
from revealed.choices.door import require_columns
from revealed.choices.facts import Facts, merge
from revealed.choices.kinds import one_array
from revealed.choices.levels import Levels, levels_in, union_of
from revealed.choices.log import ChoiceLog
from revealed.choices.ondisk import RowFiles
from revealed.choices.readers import stored_roles
from revealed.choices.repeats import Ascending, find_repeats
from revealed.errors import DataError, Problem

#: The memory of a batch: little enough that a few take little, enough that the cost of each is in its cells.
BATCH_BYTES = 48 << 20
_LEAST_ROWS = 1 << 14

_PARTS_MERGED = 64


class ChoiceStream(Described):
    """Choices in long form on disk, read anew for each pass; memory is bounded by the batch, not by the log.

    Made by :func:`revealed.scan`. The rows of a case must be together; cases may straddle row groups and files. What
    is remembered between batches is the alternatives, the labels of the persons if there are any, and eight bytes a
    case while cases are checked for coming twice, unless their labels ascend.

    Attributes
    ----------
    columns : Columns
        Which column plays which role.
    counts : bool
        Whether ``chosen`` holds counts rather than 0/1.
    source : str
        Where the log is, for messages.
    n_rows : int
        The number of rows, known without reading them.
    schema : pyarrow.Schema
        The columns and their types.
    """

    def __init__(
        self,
        files: Sequence[Path],
        columns: Columns,
        *,
        counts: bool = False,
        attributes: tuple[str, ...] = (),
        source: str = "stream",
        batch_rows: int | None = None,
        read_ahead: bool = True,
    ) -> None:
        """Hold what :func:`revealed.scan` found."""
        self.files = RowFiles(files)
        self.columns = columns
        self.counts = counts
        self.attributes = attributes
        self.source = source
        self._batch_rows = batch_rows
        self._read_ahead = read_ahead
        self._uniform_size: int | None = None
        self._levels: dict[str, Levels] = {}

    def __repr__(self) -> str:
        return f"ChoiceStream({self.source}: {self.n_rows:,} rows in {len(self.files.paths)} file(s))"

    # ---- what it holds --------------------------------------------------------------------------------------------

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self.files.schema

    @property
    def n_rows(self) -> int:
        """The number of rows, known without reading them."""
        return self.files.n_rows

    @property
    def n_cases(self) -> int:
        """The number of choice situations; a first pass over the roles counts them."""
        return self.facts.n_cases

    @cached_property
    def facts(self) -> Facts:
        """What is known without any model, from one pass that checks the roles.

        Raises
        ------
        DataError
            With every problem of the whole stream, as :func:`revealed.read` finds them, and cases whose rows are not
            together.
        """
        problems: list[Problem] = []
        parts: list[Facts] = []
        ascending = Ascending()
        sizes: set[int | None] = set()
        names = self._projection([*self.columns.roles(), *self.attributes])
        for batch in self._logs(names, None, problems):
            found = find_problems(batch, self.attributes, whole=False)
            problems += found
            ascending.add(batch.case_labels)
            sizes.add(batch.uniform_size)
            if not problems:
                parts.append(batch.own_facts)
                if len(parts) > _PARTS_MERGED:
                    parts = [merge(parts)]
        problems = merged(problems)
        if not ascending.holds:
            problems += self._cases_twice()
        if self.columns.person is not None and self.columns.time is not None:
            problems += self._two_places()
        if not parts and not problems:
            problems.append(Problem("there are no rows", "check that the files hold choices"))
        if problems:
            raise DataError(self.source, problems)
        facts = merge(parts)
        if facts.n_choices == 0:
            raise DataError(self.source, find_nothing(facts, self.columns, self.counts))
        self._uniform_size = sizes.pop() if len(sizes) == 1 else None
        return facts

    def levels_of(self, name: str) -> Levels:
        """Return the sorted distinct labels of a column; one pass over it, remembered."""
        column = self.column_name(name)
        if column == self.columns.alternative:
            return self.facts.levels
        if column not in self._levels:
            found: list[Levels] = []
            for table in self.files.tables([column], self._rows_of_batch([column])):
                found.append(levels_in(table.column(column)))
                if len(found) > _PARTS_MERGED:
                    found = [union_of(found)]
            self._levels[column] = union_of(found)
        return self._levels[column]

    def find_bad_cells(self, names: Iterable[str]) -> list[Problem]:
        """Return what is wrong with the cells of some columns, in one pass; see :func:`find_bad_cells`."""
        return find_bad_cells(self, names)

    # ---- passes ---------------------------------------------------------------------------------------------------

    def batches(self, columns: Iterable[str] | None = None) -> Iterator[ChoiceLog]:
        """Yield the log in batches of whole cases.

        Each batch starts at a multiple of :data:`BLOCK_CASES` cases, knows so in its ``first_case``, and has the
        facts of the whole stream.

        Parameters
        ----------
        columns : iterable of str, optional
            The columns (or roles) that will be used; only they are decoded, with the roles ``case``, ``alternative``,
            ``chosen``, ``person``, ``available`` and ``weight``. By default all columns.

        Raises
        ------
        DataError
            If the stream is not sound (on the first pass), or a file turns out broken.
        """
        names = None if columns is None else self._projection(columns)
        facts = self.facts

        def logs() -> Iterator[ChoiceLog]:
            return self._logs(names, facts)

        return read_ahead(logs) if self._read_ahead else logs()

    def sample(self, n_cases: int, columns: Iterable[str] | None = None) -> ChoiceLog:
        """Return about ``n_cases`` whole cases from evenly spaced places of the stream, the same on each call.

        Parameters
        ----------
        n_cases : int
            How many; all if there are no more.
        columns : iterable of str, optional
            As for :meth:`batches`.

        Returns
        -------
        ChoiceLog
            In memory, with the facts of the whole stream: its alternatives and persons are those of the stream.
        """
        names = None if columns is None else self._projection(columns)
        facts = self.facts
        tables, sizes, rows = [], [], []
        if n_cases < facts.n_cases:
            size = facts.n_rows / facts.n_cases
            for table, first_row in self.files.spots(names, self.columns.case, n_cases, size):
                tables.append(table)
                sizes.append(np.diff(case_starts(table, self.columns.case)))
                rows.append(np.arange(first_row + 1, first_row + 1 + table.num_rows))
        if not tables:
            for batch in self._logs(names, facts):
                tables.append(batch.table)
                sizes.append(batch.sizes)
                rows.append(batch.row_numbers(np.arange(batch.n_rows)))
                if sum(map(len, sizes)) >= n_cases:
                    break
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
        return ChoiceLog(
            _stacked(tables),
            self.columns,
            counts=self.counts,
            source=self.source,
            offsets=offsets,
            rows=np.concatenate(rows),
            shared_facts=facts,
        )

    def _projection(self, columns: Iterable[str]) -> list[str]:
        """Return the columns to decode for those that will be used, in the order of the file."""
        wanted = {self.column_name(name) for name in columns}
        always = ("case", "alternative", "chosen", "person", "available", "weight")
        wanted |= {column for role, column in self.columns.roles().items() if role in always}
        return [name for name in self.schema.names if name in wanted]

    def _logs(
        self, names: list[str] | None, facts: Facts | None, problems: list[Problem] | None = None
    ) -> Iterator[ChoiceLog]:
        """Yield batches; without facts, with those of their own; what is wrong with the cases goes to ``problems``."""
        rows = self._rows_of_batch(names)
        tables = self.files.tables(names, rows)
        if problems is not None:
            tables = self._with_cases(tables, problems)
        for cut in whole_cases(tables, self.columns.case, rows, self._uniform_size):
            yield ChoiceLog(
                cut.table,
                self.columns,
                counts=self.counts,
                source=self.source,
                offsets=cut.offsets,
                first_case=cut.first_case,
                rows=cut.first_row,
                shared_facts=facts,
            )

    def _rows_of_batch(self, names: list[str] | None) -> int:
        """Return how many rows of some columns (None: all) a batch has: as told, else what its memory holds."""
        if self._batch_rows:
            return self._batch_rows
        row = sum(_bytes_of(self.schema.field(name).type) for name in names or self.schema.names)
        return max(BATCH_BYTES // max(row, 1), _LEAST_ROWS)

    def _with_cases(self, tables: Iterator[pa.Table], problems: list[Problem]) -> Iterator[pa.Table]:
        """Yield the tables until one has rows without a case; from there on only look for more of them."""
        first_row = 0
        sound = True
        for table in tables:
            lacking = is_missing(table.column(self.columns.case))
            if lacking is not None:
                sound = False
                at = np.flatnonzero(lacking)
                rows = tuple((at[:SHOWN] + first_row + 1).tolist())
                remedy = "fill in which choice situation they belong to, or drop them; then the rest can be checked"
                where = f"column {self.columns.case!r}"
                problems.append(Problem("rows without a case", remedy, where, rows=rows, count=len(at)))
            first_row += table.num_rows
            if sound:
                yield table

    # ---- what only shows over all cases ---------------------------------------------------------------------------

    def _firsts(self, roles: Sequence[str]) -> Iterator[tuple[list[pa.Array], pa.Array, np.ndarray]]:
        """Yield some roles' cells, the case label and the row number of the first row of each case."""
        columns = [self.columns.roles()[role] for role in roles]
        names = [name for name in self.schema.names if name in {*columns, self.columns.case}]
        for batch in self._logs(names, None):
            rows = batch.row_numbers(batch.offsets[:-1])
            yield [batch.first_cells(column) for column in columns], batch.case_labels, rows

    def _cases_twice(self) -> list[Problem]:
        found = find_repeats(lambda: self._firsts(["case"]))
        if not found.count:
            return []
        remedy = "sort the files by case, or read() them, which puts each case's rows together in memory"
        what = "cases whose rows are not together, or that come twice"
        return [found.problem(what, remedy, f"column {self.columns.case!r}")]

    def _two_places(self) -> list[Problem]:
        found = find_repeats(lambda: self._firsts(["person", "time"]))
        if not found.count:
            return []
        what, remedy, where = two_places_text(self.columns, found.cells)
        return [found.problem(what, remedy, where)]


def _bytes_of(kind: pa.DataType) -> int:
    """Return about how many bytes a cell takes; text is decoded as codes."""
    try:
        return -(-int(kind.bit_width) // 8)
    except ValueError:
        return 4


def _stacked(tables: list[pa.Table]) -> pa.Table:
    """Return tables one under the other, each column in one piece; the parts are given up column by column."""
    columns = {}
    for name in tables[0].column_names:
        columns[name] = one_array(pa.chunked_array([c for table in tables for c in table.column(name).chunks]))
        tables[:] = [table.drop_columns([name]) for table in tables]
    return pa.table(columns)


def scan(
    path: str | PathLike[str],
    columns: Columns | None = None,
    *,
    counts: bool = False,
    attributes: Sequence[str] = (),
    batch_rows: int | None = None,
    read_ahead: bool = True,
    **roles: Unpack[RoleNames],
) -> ChoiceStream:
    """Open choices in Parquet that stay on disk and are read in batches, for logs larger than memory.

    Parameters
    ----------
    path : path
        A Parquet file, or a folder of them, taken in the order of their names. The rows of a case must be together.
    columns : Columns, optional
        Which column plays which role; roles by keyword come on top, as for :func:`revealed.read`. A file that the
        package wrote knows its roles.
    counts : bool
        ``chosen`` holds how often each alternative was chosen in the case, not 0/1.
    attributes : sequence of str
        Columns to check for missing and infinite cells along with the roles.
    batch_rows : int, optional
        About how many rows a batch has; by default as many as take some 50 MB.
    read_ahead : bool
        Decode the next batch in a thread while the last one is used.

    Returns
    -------
    ChoiceStream
        Nothing is read yet but the files' schemas; the roles are checked on the first pass.

    Raises
    ------
    DataError
        If there is no such path, a file is broken, their columns differ, or a column with a role is not there.
    """
    named = Columns.named(columns, roles)
    where = Path(path).expanduser()
    if where.is_file() and where.suffix.lower() in (".csv", ".tsv", ".txt", ".dat", ".gz"):
        remedy = "convert it once: read(path, …).to_parquet(…), or DuckDB's copy … to … (format parquet)"
        raise DataError(str(where), [Problem("a stream needs Parquet", remedy)])
    files = parquet.parquet_files(where)
    source = parquet.source_name(where, files)
    schema = parquet.schema_of(files[0])
    stored = None if columns is not None or roles else stored_roles(schema)
    if stored is not None:
        named, counts = stored[0], counts or stored[1]
    require_columns(schema.names, named, tuple(attributes), source)
    return ChoiceStream(
        files,
        named,
        counts=counts,
        attributes=tuple(attributes),
        source=source,
        batch_rows=batch_rows,
        read_ahead=read_ahead,
    )

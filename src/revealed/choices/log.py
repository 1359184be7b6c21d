"""The choice log: validated choices in long form over Arrow, one row per alternative. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from revealed.choices.columns import Columns
from revealed.choices.described import Described
from revealed.choices.facts import Facts, LevelCounts
from revealed.choices.kinds import as_numbers, one_array
from revealed.choices.levels import Levels, levels_in
from revealed.errors import SpecificationError

#: Sums are taken over blocks of this many consecutive cases, counted from the start of the whole log, whoever sums.
#: It is a property of the log and not of an engine, so that every engine adds the very same block sums.
BLOCK_CASES = 8192


@dataclass(frozen=True)
class Partition:
    """Cases ``start`` to ``stop`` of a log held in memory; what an engine maps over.

    With a ``run`` it is a sample: of each ``stride`` cases only the first ``run`` count.
    """

    log: ChoiceLog
    start: int
    stop: int
    run: int = 0
    stride: int = 0


class ChoiceLog(Described):
    """Choices in long form, in memory, validated and with the rows of each case together.

    Made by :func:`revealed.read` from files, frames and databases, or by :meth:`from_table` from Arrow. Immutable.

    Attributes
    ----------
    table : pyarrow.Table
        The rows, cases contiguous, in the user's column names.
    columns : Columns
        Which column plays which role.
    counts : bool
        Whether ``chosen`` holds counts rather than 0/1.
    source : str
        Where the log came from, for messages.
    offsets : array of int, shape (n_cases + 1,)
        The first row of each case, and the number of rows.
    first_case : int
        The index of the first case in the stream this log is a batch of; 0 for a whole log.
    """

    def __init__(
        self,
        table: pa.Table,
        columns: Columns,
        *,
        counts: bool = False,
        source: str = "table",
        offsets: Int[np.ndarray, " n_cases_plus_1"],
        first_case: int = 0,
        rows: Int[np.ndarray, " rows"] | int = 0,
        shared_facts: Facts | None = None,
    ) -> None:
        """Hold parts already checked; use :meth:`from_table` at the door.

        ``rows`` numbers each row as its source does; an integer says how many rows of the source come before ours.
        """
        self.table = table
        self.columns = columns
        self.counts = counts
        self.source = source
        self.offsets = offsets
        self.first_case = first_case
        self._rows = rows
        self._shared_facts = shared_facts
        self._numbers: dict[str, Float[np.ndarray, " rows"]] = {}
        self._codes: dict[tuple[str, Levels], Int[np.ndarray, " rows"]] = {}

    # ---- the door -------------------------------------------------------------------------------------------------

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        columns: Columns | None = None,
        *,
        counts: bool = False,
        outside: str | None = None,
        attributes: tuple[str, ...] = (),
        source: str = "table",
    ) -> ChoiceLog:
        """Check a long table and make a log of it, or raise one DataError that lists every problem.

        Parameters
        ----------
        table : pyarrow.Table
            One row per alternative in a choice situation, in any order.
        columns : Columns, optional
            The roles; by default the columns are called as their roles.
        counts : bool
            ``chosen`` holds how often each alternative was chosen in the case, not 0/1.
        outside : str, optional
            The name of an outside option to add to each case: chosen where no row is, attributes zero
            (attributes that are constant within every case keep their value).
        attributes : tuple of str
            Columns to check for missing and infinite cells now rather than when a utility first uses them.
        source : str
            Where the table came from, for messages.

        Raises
        ------
        DataError
            With each problem, its rows and its remedy.
        """
        from revealed.choices.door import admit  # the door knows the log, not the other way round

        columns = columns or Columns()
        return admit(table, columns, counts=counts, outside=outside, attributes=tuple(attributes), source=source)

    # ---- size -----------------------------------------------------------------------------------------------------

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self.table.schema

    @property
    def n_cases(self) -> int:
        """The number of choice situations."""
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def __len__(self) -> int:
        return self.n_cases

    def __repr__(self) -> str:
        facts = self.facts
        return (
            f"ChoiceLog({self.source}: {facts.n_cases:,} cases, {len(facts.levels)} alternatives, "
            f"{facts.n_persons:,} persons, {facts.n_rows:,} rows)"
        )

    @cached_property
    def sizes(self) -> Int[np.ndarray, " n_cases"]:
        """Rows per case, available or not."""
        return np.diff(self.offsets)

    @cached_property
    def uniform_size(self) -> int | None:
        """The number of rows per case if it is the same for all cases, else None."""
        if self.n_cases == 0:
            return None
        size = int(self.offsets[1] - self.offsets[0])
        return size if self.n_rows == size * self.n_cases and bool((self.sizes == size).all()) else None

    def row_numbers(self, index: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        """Return the numbers that rows have in the source, from 1: a CSV's first data row is 1."""
        return index + (self._rows + 1) if isinstance(self._rows, int) else self._rows[index]

    # ---- roles ----------------------------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> Facts:
        """What is known of the log without any model."""
        return self.own_facts if self._shared_facts is None else self._shared_facts

    @cached_property
    def own_facts(self) -> Facts:
        """The facts of just these cases, even when the log is a batch of a stream."""
        levels = self.own_alternatives
        codes = self.codes(self.columns.alternative, levels)
        sets = self.sizes
        if self.available is not None:
            sets = np.add.reduceat(self.available, self.offsets[:-1], dtype=np.int64)
        per_case = self.choices_per_case if self.weights is None else self.choices_per_case * self.weights
        of_size = np.bincount(sets, per_case)  # choices made from sets of each size
        if self.chosen_rows is not None:
            taken = np.bincount(codes[self.chosen_rows], per_case, minlength=len(levels))
        else:
            weights = 1.0 if self.weights is None else np.repeat(self.weights, self.sizes)
            taken = np.bincount(codes, self.chosen * weights, minlength=len(levels))
        return Facts(
            n_cases=self.n_cases,
            n_rows=self.n_rows,
            n_choices=float(per_case.sum()),
            levels=levels,
            chosen=LevelCounts(levels, taken),
            smallest_set=int(sets.min(initial=np.iinfo(np.int64).max)),
            largest_set=int(sets.max(initial=0)),
            null_log_likelihood=-float(of_size @ np.log(np.maximum(np.arange(len(of_size)), 1))),
            persons=None if self.columns.person is None else levels_in(self.first_cells(self.columns.person)),
        )

    @cached_property
    def own_alternatives(self) -> Levels:
        """The alternatives of just these cases, even when the log is a batch of a stream."""
        return levels_in(self.table.column(self.columns.alternative))

    @cached_property
    def chosen(self) -> Float[np.ndarray, " rows"]:
        """1 (or the count) where chosen, 0 elsewhere."""
        return self.numbers(self.columns.chosen)

    @cached_property
    def chosen_rows(self) -> Int[np.ndarray, " n_cases"] | None:
        """The row chosen in each case, or None for a log of counts."""
        return None if self.counts else np.flatnonzero(self.flags(self.columns.chosen))

    @cached_property
    def choices_per_case(self) -> Float[np.ndarray, " n_cases"]:
        """Choices made in each case: 1, or the sum of the counts."""
        if not self.counts:
            return np.ones(self.n_cases)
        return np.add.reduceat(self.chosen, self.offsets[:-1], dtype=np.float64) if self.n_cases else np.ones(0)

    @cached_property
    def available(self) -> Bool[np.ndarray, " rows"] | None:
        """Where the alternative could be chosen; None when all could."""
        if self.columns.available is None:
            return None
        mask = self.flags(self.columns.available)
        return None if bool(mask.all()) else mask

    @cached_property
    def weights(self) -> Float[np.ndarray, " n_cases"] | None:
        """The weight of each case; None when all weigh one."""
        if self.columns.weight is None:
            return None
        return np.asarray(self.numbers(self.columns.weight)[self.offsets[:-1]])

    @cached_property
    def alternative_codes(self) -> Int[np.ndarray, " rows"]:
        """Each row's alternative as an index into ``facts.levels``."""
        return self.codes(self.columns.alternative, self.facts.levels)

    @cached_property
    def person_codes(self) -> Int[np.ndarray, " n_cases"]:
        """Each case's decision maker as an index into ``facts.persons``, or the case's own index."""
        if self.columns.person is None:
            return np.arange(self.first_case, self.first_case + self.n_cases)
        persons = self.facts.persons
        assert persons is not None
        return persons.index(self.first_cells(self.columns.person)).astype(np.int64)

    @cached_property
    def case_labels(self) -> pa.Array:
        """The label of each case."""
        return self.first_cells(self.columns.case)

    def first_cells(self, name: str) -> pa.Array:
        """Return a column's cell in the first row of each case."""
        return one_array(self.table.column(self.column_name(name))).take(pa.array(self.offsets[:-1]))

    # ---- attributes -----------------------------------------------------------------------------------------------

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as numbers (float32 as stored, all else float64), missing cells as NaN.

        Raises
        ------
        SpecificationError
            If there is no such column, or it holds labels.
        DataError
            If it mixes numbers and text, with the rows that hold text.
        """
        column = self.column_name(name)
        if column not in self._numbers:
            if self.is_categorical(column):
                from revealed.choices.cells import refuse_labels

                refuse_labels(self, column, name)
            self._numbers[column] = as_numbers(self.table.column(column))
        return self._numbers[column]

    def flags(self, name: str) -> Bool[np.ndarray, " rows"]:
        """Return where a column of numbers is not zero (or is missing); errors as for :meth:`numbers`."""
        data = self.table.column(self.column_name(name))
        if pa.types.is_boolean(data.type) and not data.null_count:
            return np.asarray(one_array(data).to_numpy(zero_copy_only=False))
        return np.asarray(self.numbers(name) != 0)

    def codes(self, name: str, levels: Levels) -> Int[np.ndarray, " rows"]:
        """Return a column as indices into ``levels``, -1 where a label is not among them."""
        column = self.column_name(name)
        key = (column, levels)
        if key not in self._codes:
            self._codes[key] = levels.index(self.table.column(column))
        return self._codes[key]

    def levels_of(self, name: str) -> Levels:
        """Return the sorted distinct labels of a column."""
        column = self.column_name(name)
        if column == self.columns.alternative:
            return self.facts.levels
        return levels_in(self.table.column(column))

    # ---- parts ----------------------------------------------------------------------------------------------------

    def batches(self, columns: Iterable[str] | None = None) -> Iterator[ChoiceLog]:
        """Yield the log itself: a log in memory is one batch, with all its columns."""
        for name in columns or ():
            self.column_name(name)
        yield self

    def partitions(self, count: int) -> list[Partition]:
        """Cut the log into about ``count`` runs of whole blocks.

        Block boundaries are counted from the start of the log (of the whole stream for a batch), so the blocks, and
        with them every sum, are the same however many partitions there are.
        """
        n_blocks = -(-self.n_cases // BLOCK_CASES)
        edges = np.unique(np.linspace(0, n_blocks, min(max(count, 1), n_blocks) + 1).astype(int)) * BLOCK_CASES
        edges[-1] = self.n_cases
        return [Partition(self, int(a), int(b)) for a, b in pairwise(edges)]

    def take_cases(self, cases: Int[np.ndarray, " some"] | Bool[np.ndarray, " n_cases"]) -> ChoiceLog:
        """Return the log of some cases, by index or mask, in the order given."""
        picked = np.flatnonzero(cases) if cases.dtype == bool else np.asarray(cases)
        sizes = self.sizes[picked]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.repeat(self.offsets[picked] - offsets[:-1], sizes) + np.arange(offsets[-1])
        table = self.table.take(pa.array(rows)).combine_chunks()
        return self.like(table, offsets=offsets, rows=self.row_numbers(rows), first_case=0, shared_facts=None)

    def with_columns(self, new: Mapping[str, Any]) -> ChoiceLog:
        """Return the log with columns replaced or added (one value per row); roles are not checked again."""
        table = self.table
        replaced = set()
        for name, values in new.items():
            column = self.columns.resolve(name, table.column_names) or name
            array = pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)])
            if len(array) != self.n_rows:
                raise SpecificationError(f"column {name!r} has {len(array):,} values for {self.n_rows:,} rows")
            index = table.schema.get_field_index(column)
            table = table.append_column(column, array) if index < 0 else table.set_column(index, column, array)
            replaced.add(column)
        log = self.like(table)
        log._numbers = {column: array for column, array in self._numbers.items() if column not in replaced}
        log._codes = {key: codes for key, codes in self._codes.items() if key[0] not in replaced}
        return log

    def with_facts(self, facts: Facts) -> ChoiceLog:
        """Return the log as a batch of a stream whose facts are given."""
        return self.like(self.table, shared_facts=facts)

    def renamed(self, source: str) -> ChoiceLog:
        """Return the log under another name for messages."""
        return self.like(self.table, source=source)

    def like(self, table: pa.Table, **changed: Any) -> ChoiceLog:
        """Return a log of another table that is known to be sound, all else as ours but for what is named."""
        parts: dict[str, Any] = {
            "counts": self.counts,
            "source": self.source,
            "offsets": self.offsets,
            "first_case": self.first_case,
            "rows": self._rows,
            "shared_facts": self._shared_facts,
        }
        return ChoiceLog(table, self.columns, **(parts | changed))

    def __add__(self, other: ChoiceLog) -> ChoiceLog:
        """Append another log of the same shape; its cases come after ours and must be new."""
        from revealed.choices.door import join

        return join(self, other)

    # ---- out ------------------------------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table whose metadata tell :func:`revealed.read` the roles."""
        from revealed.choices.export import labelled

        return labelled(self)

    def to_pandas(self) -> Any:
        """Return the rows as a pandas data frame."""
        from revealed.choices.export import to_pandas

        return to_pandas(self)

    def to_polars(self) -> Any:
        """Return the rows as a polars data frame."""
        from revealed.choices.export import to_polars

        return to_polars(self)

    def to_duckdb(self, connection: Any = None) -> Any:
        """Return the rows as a DuckDB relation on ``connection`` (by default DuckDB's own)."""
        from revealed.choices.export import to_duckdb

        return to_duckdb(self, connection)

    def to_parquet(self, path: str | PathLike[str]) -> Path:
        """Write the rows and the roles to a Parquet file, all or nothing, and return its path."""
        from revealed.choices.export import to_parquet

        return to_parquet(self, path)


__all__ = ["BLOCK_CASES", "ChoiceLog", "Facts", "Partition"]

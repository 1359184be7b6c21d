"""The choice log: validated choices in long form over Arrow, one row per alternative. Imports its own room only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from revealed.choices import checks
from revealed.choices.columns import Columns
from revealed.choices.levels import Levels, encode
from revealed.errors import DataError, Problem, SpecificationError, nearest

#: Sums are taken over blocks of this many consecutive cases, counted from the start of the whole log, whoever sums.
#: It is a property of the log and not of an engine, so that every engine adds the very same block sums.
BLOCK_CASES = 256


@dataclass(frozen=True)
class Facts:
    """What is known of a log without any model; facts of parts merge with ``+``.

    Parameters
    ----------
    n_cases, n_rows : int
        Choice situations, and rows (alternatives over all cases).
    n_choices : float
        Choices made: the weighted number of cases, or of counted choices.
    levels : Levels
        The alternatives, sorted.
    chosen : dict
        Alternative to the weighted number of times it was chosen.
    smallest_set, largest_set : int
        The smallest and largest number of available alternatives in a case.
    null_log_likelihood : float
        The log-likelihood when each available alternative is equally likely.
    persons : Levels or None
        The decision makers, None when each case is its own person.
    """

    n_cases: int
    n_rows: int
    n_choices: float
    levels: Levels
    chosen: Mapping[str, float]
    smallest_set: int
    largest_set: int
    null_log_likelihood: float
    persons: Levels | None

    @property
    def n_persons(self) -> int:
        """The number of decision makers."""
        return self.n_cases if self.persons is None else len(self.persons)

    def __add__(self, other: Facts) -> Facts:
        levels = self.levels.union(other.levels)
        persons = None
        if self.persons is not None and other.persons is not None:
            persons = self.persons.union(other.persons)
        return Facts(
            n_cases=self.n_cases + other.n_cases,
            n_rows=self.n_rows + other.n_rows,
            n_choices=self.n_choices + other.n_choices,
            levels=levels,
            chosen={a: self.chosen.get(a, 0.0) + other.chosen.get(a, 0.0) for a in levels.labels},
            smallest_set=min(self.smallest_set, other.smallest_set),
            largest_set=max(self.largest_set, other.largest_set),
            null_log_likelihood=self.null_log_likelihood + other.null_log_likelihood,
            persons=persons,
        )


@dataclass(frozen=True)
class Partition:
    """Cases ``start`` to ``stop`` of a log held in memory; what an engine maps over."""

    log: ChoiceLog
    start: int
    stop: int


class ChoiceLog:
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
        shared_facts: Facts | None = None,
    ) -> None:
        """Hold parts already checked; use :meth:`from_table` at the door."""
        self.table = table
        self.columns = columns
        self.counts = counts
        self.source = source
        self.offsets = offsets
        self.first_case = first_case
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
        columns = columns or Columns()
        columns.require(table.column_names, source)
        table, offsets, rows = checks.with_cases_together(table, columns, source)
        if outside is not None:
            table, offsets, rows = checks.with_outside_option(table, columns, offsets, rows, outside, source)
        log = cls(table, columns, counts=counts, source=source, offsets=offsets)
        problems = checks.find_problems(log, attributes, rows)
        if problems:
            raise DataError(source, problems)
        return log

    # ---- size -----------------------------------------------------------------------------------------------------

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

    # ---- roles ----------------------------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> Facts:
        """What is known of the log without any model."""
        if self._shared_facts is not None:
            return self._shared_facts
        return self.own_facts

    @cached_property
    def own_facts(self) -> Facts:
        """The facts of just these cases, even when the log is a batch of a stream."""
        levels, codes = encode(self.table.column(self.columns.alternative))
        self._codes[(self.columns.alternative, levels)] = codes
        weight_rows = self.chosen if self.weights is None else self.chosen * np.repeat(self.weights, self.sizes)
        taken = np.bincount(codes, weights=weight_rows, minlength=len(levels))
        if self.available is None:
            sets = self.sizes
        else:
            sets = np.add.reduceat(self.available, self.offsets[:-1], dtype=np.int64)
        per_case = self.choices_per_case if self.weights is None else self.choices_per_case * self.weights
        persons = None
        if self.columns.person is not None:
            persons, _ = encode(self.table.column(self.columns.person))
        return Facts(
            n_cases=self.n_cases,
            n_rows=self.n_rows,
            n_choices=float(per_case.sum()),
            levels=levels,
            chosen=dict(zip(levels.labels, taken.tolist(), strict=True)),
            smallest_set=int(sets.min()),
            largest_set=int(sets.max()),
            null_log_likelihood=float(-(per_case * np.log(np.maximum(sets, 1))).sum()),
            persons=persons,
        )

    @cached_property
    def chosen(self) -> Float[np.ndarray, " rows"]:
        """1 (or the count) where chosen, 0 elsewhere."""
        return self.numbers(self.columns.chosen)

    @cached_property
    def chosen_rows(self) -> Int[np.ndarray, " n_cases"] | None:
        """The row chosen in each case, or None for a log of counts."""
        return None if self.counts else np.flatnonzero(self.chosen)

    @cached_property
    def choices_per_case(self) -> Float[np.ndarray, " n_cases"]:
        """Choices made in each case: 1, or the sum of the counts."""
        if not self.counts:
            return np.ones(self.n_cases)
        return np.add.reduceat(self.chosen, self.offsets[:-1])

    @cached_property
    def available(self) -> Bool[np.ndarray, " rows"] | None:
        """Where the alternative could be chosen; None when all could."""
        if self.columns.available is None:
            return None
        mask = self.numbers(self.columns.available) != 0
        return None if bool(mask.all()) else mask

    @cached_property
    def weights(self) -> Float[np.ndarray, " n_cases"] | None:
        """The weight of each case; None when all weigh one."""
        if self.columns.weight is None:
            return None
        return self.numbers(self.columns.weight)[self.offsets[:-1]]

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
        return self.codes(self.columns.person, persons)[self.offsets[:-1]].astype(np.int64)

    @cached_property
    def case_labels(self) -> pa.Array:
        """The label of each case."""
        return self.table.column(self.columns.case).take(pa.array(self.offsets[:-1]))

    # ---- attributes -----------------------------------------------------------------------------------------------

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns without a role."""
        roles = set(self.columns.roles().values())
        return tuple(name for name in self.table.column_names if name not in roles)

    def column_name(self, name: str) -> str:
        """Return the column that ``name`` (a column or a role) stands for.

        Raises
        ------
        SpecificationError
            If there is none, with the nearest names.
        """
        found = self.columns.resolve(name, self.table.column_names)
        if found is None:
            raise SpecificationError(f"no column {name!r} in {self.source}; {nearest(name, self.table.column_names)}")
        return found

    def is_categorical(self, name: str) -> bool:
        """Whether a column holds labels rather than numbers."""
        kind = self.table.schema.field(self.column_name(name)).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        return not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_boolean(kind)
        )

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as numbers (float64, or float32 and integers as stored), missing cells as NaN.

        Raises
        ------
        SpecificationError
            If there is no such column, or it holds labels.
        """
        column = self.column_name(name)
        if column not in self._numbers:
            if self.is_categorical(column):
                raise SpecificationError(f"column {column!r} holds labels, not numbers; write C({name}) to use them")
            data = self.table.column(column)
            if pa.types.is_dictionary(data.type):
                data = data.cast(data.type.value_type)
            if pa.types.is_boolean(data.type) or pa.types.is_decimal(data.type) or data.null_count:
                data = data.cast(pa.float64())
            array = data.combine_chunks() if data.num_chunks != 1 else data.chunk(0)
            self._numbers[column] = np.asarray(array.to_numpy(zero_copy_only=False))
        return self._numbers[column]

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
        return encode(self.table.column(column))[0]

    # ---- parts ----------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[ChoiceLog]:
        """Yield the log itself: a log in memory is one batch."""
        yield self

    def partitions(self, count: int) -> list[Partition]:
        """Cut the log into about ``count`` runs of whole blocks.

        Block boundaries are counted from the start of the log (of the whole stream for a batch), so the blocks, and
        with them every sum, are the same however many partitions there are.
        """
        n_blocks = -(-self.n_cases // BLOCK_CASES)
        edges = np.unique(np.linspace(0, n_blocks, min(max(count, 1), n_blocks) + 1).astype(int)) * BLOCK_CASES
        edges[-1] = self.n_cases
        return [Partition(self, int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]

    def take_cases(self, cases: Int[np.ndarray, " some"] | Bool[np.ndarray, " n_cases"]) -> ChoiceLog:
        """Return the log of some cases, by index or mask, in the order given."""
        chosen_cases = np.flatnonzero(cases) if cases.dtype == bool else np.asarray(cases)
        sizes = self.sizes[chosen_cases]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.repeat(self.offsets[chosen_cases] - offsets[:-1], sizes) + np.arange(offsets[-1])
        table = self.table.take(pa.array(rows)).combine_chunks()
        return ChoiceLog(table, self.columns, counts=self.counts, source=self.source, offsets=offsets)

    def with_columns(self, new: Mapping[str, Any]) -> ChoiceLog:
        """Return the log with columns replaced or added (one value per row); roles are not checked again."""
        table = self.table
        for name, values in new.items():
            column = self.column_name(name) if self.columns.resolve(name, table.column_names) else name
            array = pa.chunked_array([values]) if isinstance(values, pa.Array) else pa.chunked_array([pa.array(values)])
            index = table.schema.get_field_index(column)
            table = table.append_column(column, array) if index < 0 else table.set_column(index, column, array)
        return ChoiceLog(
            table,
            self.columns,
            counts=self.counts,
            source=self.source,
            offsets=self.offsets,
            first_case=self.first_case,
            shared_facts=self._shared_facts,
        )

    def with_facts(self, facts: Facts) -> ChoiceLog:
        """Return the log as a batch of a stream whose facts are given."""
        return ChoiceLog(
            self.table,
            self.columns,
            counts=self.counts,
            source=self.source,
            offsets=self.offsets,
            first_case=self.first_case,
            shared_facts=facts,
        )

    def __add__(self, other: ChoiceLog) -> ChoiceLog:
        """Append another log of the same shape; its cases come after ours and must be new."""
        if self.columns != other.columns or self.counts != other.counts:
            raise SpecificationError("logs with different columns or kinds of choice cannot be joined")
        missing = [c for c in self.table.column_names if c not in other.table.column_names]
        if missing:
            raise SpecificationError(f"the log to add has no column {missing[0]!r}")
        mine = self.table.column(self.columns.case)
        shared = pc.sum(pc.is_in(other.case_labels, value_set=mine.combine_chunks().cast(other.case_labels.type)))
        if shared.as_py():
            raise DataError(
                other.source,
                [
                    Problem(
                        what="cases that are in the log already",
                        remedy="give new cases new labels, or drop them",
                        where=f"column {self.columns.case!r}",
                        count=shared.as_py(),
                    )
                ],
            )
        added = other.table.select(self.table.column_names).cast(self.table.schema)
        table = pa.concat_tables([self.table, added]).combine_chunks()
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return ChoiceLog(table, self.columns, counts=self.counts, source=self.source, offsets=offsets)

    def renamed(self, source: str) -> ChoiceLog:
        """Return the log under another name for messages."""
        log = self.with_columns({})
        log.source = source
        return log


__all__ = ["BLOCK_CASES", "ChoiceLog", "Facts", "Partition"]

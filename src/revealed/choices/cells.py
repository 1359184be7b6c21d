"""Cells that cannot be used: missing, infinite, or text among numbers. Imports its own room only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from revealed.choices.arrange import is_missing
from revealed.choices.described import Described
from revealed.choices.kinds import holds_numbers, is_text, one_array
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, Problem, SpecificationError, nearest

#: How many rows, cases and cells of a kind a message shows.
SHOWN = 5

#: A text column with a smaller share than this of text among its numbers is taken for numbers gone wrong.
MOST_ODD = 0.2

_COMMA = r"^\s*[+-]?\d*,\d+\s*$"
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
#: What is written around and between the digits of a number: signs of money, shares, and of thousands.
_SIGNS = r"[\s'’%$€£¥₹]"
#: So many labels may be hardly ever the same: a small log has few rows of each.
_FEW = 50
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"


def find_bad_cells(log: Described, names: Iterable[str], labels: Iterable[str] = ()) -> list[Problem]:
    """Return what is wrong with the cells of columns that a utility is about to use.

    A cell may be missing where its alternative is not available. A column that is numbers but for some text in
    between is refused with the rows that hold text, unless it is used as labels, which may be any text.

    Parameters
    ----------
    log : ChoiceLog or ChoiceStream
        The log, a batch of one, or a stream, which is passed over once.
    names : iterable of str
        Columns, or roles.
    labels : iterable of str
        Further columns, used as labels: ``C(postcode)``.

    Returns
    -------
    list of Problem
        One for each kind of fault of each column, with its rows numbered as in the source.
    """
    present = log.column_names
    asked = list(names)
    as_numbers = {log.columns.resolve(name, present) for name in asked}
    wanted = {name: log.columns.resolve(name, present) for name in dict.fromkeys([*asked, *labels])}
    problems = [
        Problem(what=f"no column {name!r} among the attributes", remedy=nearest(name, present))
        for name, column in wanted.items()
        if column not in present
    ]
    columns = list(dict.fromkeys(column for column in wanted.values() if column in present))
    if not columns:
        return problems
    found = []
    for batch in log.batches(columns):
        for column in columns:
            numeric = holds_numbers(batch.table.schema.field(column).type)
            found += _bad_numbers(batch, column) if numeric else _bad_labels(batch, column, column in as_numbers)
    return problems + merged(found)


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with those of a kind, found batch by batch, made one.

    A kind is a place and a remedy: what was found may name the first values seen, the remedy never does.
    """
    kinds: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        kind = (problem.where, problem.remedy)
        first = kinds.get(kind)
        if first is None:
            kinds[kind] = problem
            continue
        kinds[kind] = replace(
            first,
            rows=(first.rows + problem.rows)[:SHOWN],
            cases=tuple(dict.fromkeys(first.cases + problem.cases))[:SHOWN],
            count=first.count + problem.count,
        )
    return list(kinds.values())


def _bad_numbers(log: ChoiceLog, column: str) -> list[Problem]:
    cells = log.numbers(column)
    finite = np.isfinite(cells)
    if bool(finite.all()):
        return []
    usable = finite if log.available is None else finite | ~log.available
    missing = ~usable & np.isnan(cells)
    infinite = ~usable & np.isinf(cells)
    remedy = "fill them in, drop their cases, or mark the alternatives as not available"
    found = []
    if missing.any():
        found.append(at_rows(log, missing, "missing cells", remedy, f"column {column!r}"))
    if infinite.any():
        found.append(at_rows(log, infinite, "infinite cells", "put a finite number there", f"column {column!r}"))
    return found


def _bad_labels(log: ChoiceLog, column: str, or_numbers: bool) -> list[Problem]:
    data = log.table.column(column)
    where = f"column {column!r}"
    if pa.types.is_nested(data.type):
        remedy = "unpack it into columns of numbers or labels"
        return [Problem(what=f"cells of type {data.type}, neither numbers nor labels", remedy=remedy, where=where)]
    found = []
    missing = is_missing(data)
    if missing is not None and log.available is not None:
        missing = missing & log.available
    if missing is not None and missing.any():
        remedy = "fill them in, drop their cases, or mark the alternatives as not available"
        found.append(at_rows(log, missing, "missing cells", remedy, where))
    mixed = text_among_numbers(data) if or_numbers else None
    if mixed is not None:
        found.append(mixed_problem(log, column, mixed))
    return found


def text_among_numbers(data: pa.ChunkedArray) -> Bool[np.ndarray, " rows"] | None:
    """Return where a text column that is numbers but for a few cells holds text; None for a column of labels."""
    array = one_array(data)
    if pa.types.is_dictionary(array.type):
        odd = text_among_numbers(pa.chunked_array([array.dictionary]))
        if odd is None:
            return None
        entry = array.indices.cast(pa.int64()).fill_null(len(odd)).to_numpy(zero_copy_only=False)
        cells = np.append(odd, False)[entry]
        return cells if 0 < int(cells.sum()) < MOST_ODD * len(cells) else None
    if not is_text(array.type) or not len(array):
        return None
    head = array[:1000]
    probe = pc.mean(pc.match_substring_regex(head, _NUMBER)).as_py()
    if probe is None or probe < 0.5:
        return None  # labels, by the look of the first thousand cells
    text = pc.invert(pc.match_substring_regex(array, _NUMBER)).fill_null(False)
    odd = np.asarray(text.to_numpy(zero_copy_only=False)) & (
        np.asarray(pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False)) > 0
    )
    return odd if 0 < int(odd.sum()) < MOST_ODD * len(array) else None


def mixed_problem(log: ChoiceLog, column: str, odd: Bool[np.ndarray, " rows"]) -> Problem:
    """Return the problem of a column that mixes numbers and text."""
    return at_rows(
        log,
        odd,
        f"numbers mixed with text: {shown_cells(log, column, np.flatnonzero(odd))}",
        "correct these cells, or leave them empty and say which rows are not available",
        f"column {column!r}",
    )


def refuse_labels(log: ChoiceLog, column: str, name: str) -> NoReturn:
    """Raise the error of a column of labels, or of numbers mixed with text, that is asked for as numbers."""
    odd = text_among_numbers(log.table.column(column))
    if odd is not None:
        raise DataError(log.source, [mixed_problem(log, column, odd)])
    head = one_array(log.table.column(column).slice(0, 1000))
    written = _numbers_written(head.cast(pa.string()).drop_null().to_pylist()) if is_text(head.type) else None
    if written is not None:
        raise SpecificationError(f"column {column!r} {written}, or write C({name}) for labels")
    raise SpecificationError(f"column {column!r} holds labels, not numbers; write C({name}) to use them")


def refuse_unlike_labels(log: Described, column: str) -> None:
    """Raise SpecificationError for a column, used as labels without saying ``C()``, that looks to hold other things.

    Such are numbers that were read as text, by a decimal comma, say, and dates or texts that are hardly ever the same:
    each of them would become a parameter. What comes as categories is labels whatever it looks like.
    """
    kind, labels = log.schema.field(column).type, log.levels_of(column).labels
    name = column if column.isidentifier() else f"`{column}`"
    written = _numbers_written(labels[:1000]) if is_text(kind) and not pa.types.is_dictionary(kind) else None
    if written is not None:
        raise SpecificationError(f"column {column!r} {written}, or write C({name}) for labels")
    n_rows = log.facts.n_rows
    if len(labels) > max(_FEW, n_rows // 2):
        raise SpecificationError(
            f"column {column!r} holds {len(labels):,} different labels in {n_rows:,} rows, and each would be a "
            f"parameter; turn it into numbers or into fewer labels, or write C({name}) to use them all"
        )


def _numbers_written(labels: Sequence[str]) -> str | None:
    """Return how text that is numbers is written and what to do about it; None for labels."""
    bare = [re.sub(_SIGNS, "", label) for label in labels]
    commas = {text: label for label, text in zip(labels, bare, strict=True) if re.match(_COMMA, text)}
    known = [bool(re.match(_NUMBER, text.replace(",", ""))) for text in bare]
    if not labels or sum(known) <= (1 - MOST_ODD) * len(labels):
        return None
    first = labels[known.index(True)]
    if commas and not all(re.match(_THOUSANDS, text) for text in commas):
        first = next(iter(commas.values()))
        return f"holds numbers with a decimal comma ({first!r}); read the file with text=TextFormat(decimal=',')"
    if all(re.match(_NUMBER, label) for label in labels):
        return f"holds numbers written as text ({first!r}); turn it into numbers"
    return f"is text that reads as numbers ({first!r}); leave only digits and the decimal mark in its cells"


def at_rows(
    log: ChoiceLog, mask: Bool[np.ndarray, " rows"] | Int[np.ndarray, " some"], what: str, remedy: str, where: str = ""
) -> Problem:
    """Return a problem of some rows, with the first few of them and their cases."""
    index = np.flatnonzero(mask) if mask.dtype == bool else mask
    first = index[:SHOWN]
    cases = np.searchsorted(log.offsets, first, side="right") - 1
    return Problem(
        what=what,
        remedy=remedy,
        where=where,
        rows=tuple(log.row_numbers(first).tolist()),
        cases=case_names(log, np.unique(cases)),
        count=len(index),
    )


def at_cases(log: ChoiceLog, mask: Bool[np.ndarray, " n_cases"], what: str, remedy: str, where: str = "") -> Problem:
    """Return a problem of some cases, with the first few of them and their first rows."""
    index = np.flatnonzero(mask)
    return Problem(
        what=what,
        remedy=remedy,
        where=where,
        rows=tuple(log.row_numbers(log.offsets[index[:SHOWN]]).tolist()),
        cases=case_names(log, index[:SHOWN]),
        count=len(index),
    )


def case_names(log: ChoiceLog, cases: Int[np.ndarray, " some"]) -> tuple[str, ...]:
    """Return the labels of some cases as text."""
    column = one_array(log.table.column(log.columns.case))
    return tuple(str(cell) for cell in column.take(pa.array(log.offsets[cases])).to_pylist())


def shown_cells(log: ChoiceLog, column: str, index: Int[np.ndarray, " some"]) -> str:
    """Return the first few distinct values of some cells, for a message."""
    cells = one_array(log.table.column(column)).take(pa.array(index[:1000])).to_pylist()
    distinct = list(dict.fromkeys(cells))
    listed = ", ".join(_shown(cell) for cell in distinct[:SHOWN])
    return listed + (", …" if len(distinct) > SHOWN else "")


def _shown(cell: object) -> str:
    if cell is None:
        return "empty"
    return f"{cell:g}" if isinstance(cell, int | float) else repr(cell) if isinstance(cell, str) else str(cell)

"""Past A/B tests as a plain table: a column for each slot, how often a row was shown and clicked. Imports choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from revealed.choices.delimited import TextFormat
from revealed.choices.kinds import as_numbers, holds_numbers, one_array, plain_column
from revealed.choices.tables import as_table
from revealed.decide.layout.space import Layouts, LayoutSpace
from revealed.errors import ColumnError, DataError, Problem, SpecificationError, nearest

#: The column that names tests, if no other is said to.
TEST = "test"


@dataclass(frozen=True, eq=False)
class LayoutTests:
    """What past tests showed, and what came of it.

    Parameters
    ----------
    space : LayoutSpace
        All options that were shown, less what may not be shown together from now on.
    layouts : ndarray of int, shape (n, slots)
        What each row showed.
    impressions, clicks : ndarray of float64, shape (n,)
        How often it was shown, and clicked.
    tests : ndarray of int, shape (n,)
        The test of each row, numbered from 0; all 0 if there is but one.
    names : tuple of str
        The tests.
    source : str
    """

    space: LayoutSpace
    layouts: Layouts
    impressions: Float[np.ndarray, " n"]
    clicks: Float[np.ndarray, " n"]
    tests: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.layouts)


def read_tests(
    source: Any,
    slots: Sequence[str] | None = None,
    *,
    impressions: str = "impressions",
    clicks: str = "clicks",
    test: str | None = None,
    forbidden: Sequence[Mapping[str, str | Sequence[str]]] = (),
    text: TextFormat | None = None,
) -> LayoutTests:
    """Read a table with a row for each arm of a test.

    Parameters
    ----------
    source : path, frame, table, relation or dict
        See :func:`revealed.read`.
    slots : sequence of str, optional
        The columns that say what was shown in each slot; by default all that have no other role.
    impressions, clicks : str
        The columns that count.
    test : str, optional
        The column that says which test a row belongs to, by default ``test`` if there is one and it is no slot. Tests
        of unlike audiences have unlike levels, which are then told apart from what options do.
    forbidden : sequence of mappings
        Options that may not be shown together; see :meth:`LayoutSpace.of`. Rows that showed them once still teach.
    text : TextFormat, optional
        How a text file is written.

    Raises
    ------
    ColumnError
        For columns that are not there.
    DataError
        With every problem of the cells: missing, no whole numbers, more clicks than impressions.
    SpecificationError
        For a slot of one option, unknown names in ``forbidden``, or if no layout is allowed.
    """
    labels = (*(slots or ()), *((test,) if test else ()))
    table, name = as_table(source, text, labels)
    if test is None and TEST in table.column_names and TEST not in (impressions, clicks, *(slots or ())):
        test = TEST
    chosen = _slots_of(table.column_names, slots, (impressions, clicks, test), name)
    if not table.num_rows:
        raise DataError(name, [Problem("a table without rows", "give one row for each arm of a test")])
    problems: list[Problem] = []
    shown = _counts(table, impressions, problems)
    clicked = _counts(table, clicks, problems)
    coded = {column: _labels(table, column, problems) for column in (*chosen, *((test,) if test else ()))}
    if not problems:
        _require_possible(shown, clicked, impressions, clicks, problems)
    if problems:
        raise DataError(name, problems)
    space = LayoutSpace.of({column: coded[column][0] for column in chosen}, forbidden)
    layouts = np.stack([coded[column][1] for column in chosen], axis=1)
    names, tests = coded[test] if test else (("all",), np.zeros(len(layouts), dtype=np.int64))
    return LayoutTests(space, layouts, shown, clicked, tests, names, name)


def _slots_of(
    columns: Sequence[str], slots: Sequence[str] | None, roles: tuple[str, str, str | None], source: str
) -> tuple[str, ...]:
    """Return the columns of the slots, all names checked."""
    taken = [role for role in roles if role is not None]
    missing = [column for column in (*taken, *(slots or ())) if column not in columns]
    if missing:
        problems = [Problem(f"no column {column!r}", nearest(column, columns)) for column in dict.fromkeys(missing)]
        raise ColumnError(source, problems)
    chosen = tuple(column for column in columns if column not in taken) if slots is None else tuple(slots)
    twice = [column for i, column in enumerate((*taken, *chosen)) if column in (*taken, *chosen)[:i]]
    if twice:
        raise SpecificationError(
            f"column {twice[0]!r} cannot play two roles; each is a slot, or counts, or names tests"
        )
    if not chosen:
        raise SpecificationError(f"{source} has no columns left for slots; it needs one at least, such as a headline")
    return chosen


def _counts(table: pa.Table, name: str, problems: list[Problem]) -> Float[np.ndarray, " n"]:
    """Return a column of counts, noting what is wrong with it."""
    column, where = plain_column(table.column(name)), f"column {name!r}"
    if not holds_numbers(column.type) and not pa.types.is_null(column.type):
        number = pc.match_substring_regex(column.cast(pa.string()), r"^\s*[+-]?\d+(\.\d*)?\s*$").fill_null(True)
        odd = ~np.asarray(one_array(number).to_numpy(zero_copy_only=False))
        _note(problems, odd, f"{_example(column, odd)} where a count must be", "write a whole number", where)
        return np.zeros(len(column))
    if pa.types.is_null(column.type):
        values = np.full(len(column), np.nan)
    else:
        values = np.asarray(as_numbers(column), dtype=np.float64)
    missing = np.isnan(values)
    filled = np.where(missing, 0.0, values)
    _note(problems, missing, "missing cells", "fill them in, or leave those rows out", where)
    odd = ~np.isfinite(filled) | (filled < 0) | (filled != np.floor(np.where(np.isfinite(filled), filled, 0.0)))
    _note(problems, odd, f"{_example(column, odd)} where a count must be", "write a whole number from zero", where)
    return filled


def _labels(
    table: pa.Table, name: str, problems: list[Problem]
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"]]:  # fmt: skip
    """Return the labels of a column, as they first appear, and which each row has, noting missing ones."""
    column = plain_column(table.column(name))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        problems.append(Problem("cells that hold several values", "give one label to a cell", f"column {name!r}"))
        return (), np.zeros(len(column), dtype=np.int64)
    encoded = pc.dictionary_encode(one_array(column.cast(pa.string())))
    labels = encoded.dictionary.to_pylist()
    places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    gone = (places < 0) | np.isin(places, [i for i, label in enumerate(labels) if label in ("", "nan")])
    _note(problems, gone, "missing cells", "fill them in, or leave those rows out", f"column {name!r}")
    return tuple(labels), np.asarray(places, dtype=np.int64)


def _require_possible(
    shown: Float[np.ndarray, " n"],
    clicked: Float[np.ndarray, " n"],
    impressions: str,
    clicks: str,
    problems: list[Problem],
) -> None:
    many = clicked > shown
    if many.any():
        i = int(np.flatnonzero(many)[0])
        what = f"more clicks than impressions: {clicked[i]:,.0f} of {shown[i]:,.0f}"
        remedy = "check which column is which, and count each impression's first click only"
        _note(problems, many, what, remedy, f"columns {clicks!r} and {impressions!r}")
    if not shown.any():
        problems.append(Problem("no impressions in any row", "give what was shown", f"column {impressions!r}"))


def _note(problems: list[Problem], bad: Bool[np.ndarray, " n"], what: str, remedy: str, where: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        problems.append(Problem(what, remedy, where, tuple((rows[:5] + 1).tolist()), count=len(rows)))


def _example(column: pa.ChunkedArray, odd: Bool[np.ndarray, " n"]) -> str:
    rows = np.flatnonzero(odd)
    return repr(column[int(rows[0])].as_py()) if len(rows) else ""

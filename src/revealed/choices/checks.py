"""What can be wrong with a log at the door, found all at once. Imports its own room only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from revealed.choices.arrange import changes, is_missing
from revealed.choices.cells import (
    SHOWN,
    at_cases,
    at_rows,
    find_bad_cells,
    mixed_problem,
    shown_cells,
    text_among_numbers,
)
from revealed.choices.columns import Columns
from revealed.choices.facts import Facts
from revealed.choices.kinds import holds_numbers, one_array
from revealed.choices.levels import levels_in
from revealed.choices.log import ChoiceLog
from revealed.errors import Problem

__all__ = ["find_bad_cells", "find_problems"]


def find_problems(log: ChoiceLog, attributes: tuple[str, ...] = (), *, whole: bool = True) -> list[Problem]:
    """Return every problem of a log at the door, cases contiguous and with a case on each row.

    Parameters
    ----------
    log : ChoiceLog
        The log, its columns present but not checked.
    attributes : tuple of str
        Columns to check for missing and infinite cells as well.
    whole : bool
        The log is no batch of a stream, so what only shows over all cases is checked as well.

    Returns
    -------
    list of Problem
        Empty for a sound log.
    """
    available, problems = _availability(log)
    problems += _alternatives(log)
    problems += _choices(log, available)
    problems += _constant_roles(log)
    problems += _weights(log)
    problems += _propensities(log, available)
    if whole:
        problems += two_places(log)
    if available is not None or log.columns.available is None:  # else the log's own mask cannot be read
        problems += find_bad_cells(log, attributes)
    if whole and not problems:
        problems += find_nothing(log.facts, log.columns, log.counts)
    return problems


def find_nothing(facts: Facts, columns: Columns, counts: bool) -> list[Problem]:
    """Return what is wrong with a log, sound case by case, in which nothing counts."""
    if facts.n_choices > 0:
        return []
    if columns.weight is not None and not counts:
        remedy = "leave the weights out, or correct them"
        return [Problem("the weights are all zero", remedy, f"column {columns.weight!r}")]
    return [Problem("nothing was ever chosen", "write how often each was chosen", f"column {columns.chosen!r}")]


def _numbers(log: ChoiceLog, role: str, wanted: str) -> tuple[np.ndarray | None, list[Problem]]:
    """Return a role's column as numbers, or None and why it cannot be read as such."""
    column = log.columns.roles()[role]
    data = log.table.column(column)
    where = f"{role}, column {column!r}"
    if pa.types.is_boolean(data.type) and not data.null_count:
        return log.flags(column), []
    if holds_numbers(data.type):
        cells = log.numbers(column)
        missing = np.isnan(cells)
        return cells, [_missing(log, role, missing)] if missing.any() else []
    if pa.types.is_null(data.type):
        return None, [_missing(log, role, np.ones(log.n_rows, bool))]
    odd = text_among_numbers(data)
    if odd is not None:
        return None, [mixed_problem(log, column, odd)]
    if pa.types.is_nested(data.type) or pa.types.is_temporal(data.type):
        found = f"type {data.type}"
    else:
        found = shown_cells(log, column, np.arange(min(log.n_rows, 1000)))
    return None, [Problem(f"labels where {wanted} should be: {found}", f"turn them into {wanted}", where)]


def _missing(log: ChoiceLog, role: str, mask: Bool[np.ndarray, " rows"]) -> Problem:
    column = log.columns.roles()[role]
    return at_rows(log, mask, f"rows without {role}", "fill them in, or drop their cases", f"column {column!r}")


def _is_flag(cells: np.ndarray) -> Bool[np.ndarray, " rows"]:
    return np.ones(len(cells), bool) if cells.dtype == bool else np.asarray((cells == 0) | (cells == 1))


def _availability(log: ChoiceLog) -> tuple[Bool[np.ndarray, " rows"] | None, list[Problem]]:
    """Return where alternatives are available (None: everywhere, or unknown), and the problems."""
    if log.columns.available is None:
        return None, []
    cells, problems = _numbers(log, "available", "0 and 1")
    if cells is None:
        return None, problems
    column = log.columns.available
    odd = ~_is_flag(cells) & ~np.isnan(cells)
    if odd.any():
        found = shown_cells(log, column, np.flatnonzero(odd))
        remedy = "write 1 where the alternative could be chosen and 0 where not"
        problems.append(at_rows(log, odd, f"available is not 0 or 1 but {found}", remedy, f"column {column!r}"))
    mask = cells != 0
    if not bool(mask.all()):
        nothing = ~np.logical_or.reduceat(mask, log.offsets[:-1])
        if nothing.any():
            remedy = "drop these cases, or make available what was chosen"
            problems.append(at_cases(log, nothing, "cases in which nothing is available", remedy))
    return mask, problems


def _alternatives(log: ChoiceLog) -> list[Problem]:
    column = log.columns.alternative
    data = log.table.column(column)
    if pa.types.is_nested(data.type):
        return [Problem(f"alternatives of type {data.type}", "give each alternative one label", f"column {column!r}")]
    missing = is_missing(data)
    problems = [] if missing is None else [_missing(log, "alternative", missing)]
    again = _repeated(log, missing)
    if len(again):
        found = shown_cells(log, column, again)
        remedy = "keep one row for each alternative of a case; for repeated choices give each its own case"
        problems.append(at_rows(log, again, f"an alternative twice in a case: {found}", remedy, f"column {column!r}"))
    return problems


def _repeated(log: ChoiceLog, missing: Bool[np.ndarray, " rows"] | None) -> Int[np.ndarray, " some"]:
    """Return the rows whose alternative came before in their case."""
    levels = log.own_alternatives
    codes = log.codes(log.columns.alternative, levels)  # the log keeps them for its facts
    size = log.uniform_size
    if missing is None and size is not None:
        block = codes.reshape(-1, size)
        if len(np.unique(block[0])) == size and bool((block == block[0]).all()):
            return np.zeros(0, np.int64)  # each case lists the same alternatives in the same order
    if missing is None and len(levels) <= 64:
        bits = np.left_shift(np.uint64(1), codes.astype(np.uint64))
        if bool((np.bitwise_count(np.bitwise_or.reduceat(bits, log.offsets[:-1])) == log.sizes).all()):
            return np.zeros(0, np.int64)
    pairs = np.repeat(np.arange(log.n_cases) * (len(levels) + 1), log.sizes) + codes
    ordered = np.sort(pairs)
    if not bool((ordered[1:] == ordered[:-1]).any()):
        return np.zeros(0, np.int64)
    order = np.argsort(pairs, kind="stable")
    again = np.sort(order[1:][pairs[order][1:] == pairs[order][:-1]])
    return again if missing is None else again[~missing[again]]


def _choices(log: ChoiceLog, available: Bool[np.ndarray, " rows"] | None) -> list[Problem]:
    wanted = "counts" if log.counts else "0 and 1"
    cells, problems = _numbers(log, "chosen", wanted)
    if cells is None:
        return problems
    column = log.columns.chosen
    where = f"column {column!r}"
    sound = (np.isfinite(cells) & (cells >= 0)) if log.counts else _is_flag(cells)
    odd = ~sound & ~np.isnan(cells)
    if odd.any():
        found = shown_cells(log, column, np.flatnonzero(odd))
        what = f"chosen is not 0 or 1 but {found}"
        remedy = "write 1 for what was chosen, else 0; for counts say counts=True"
        if log.counts:
            what, remedy = f"counts that are negative or infinite: {found}", "write how often each was chosen"
        problems.append(at_rows(log, odd, what, remedy, where))
    taken = np.where(sound, cells, 0.0) if odd.any() or problems else cells
    if available is not None:
        unavailable = (taken > 0) & ~available
        if unavailable.any():
            remedy = "correct which alternatives were available, or drop these cases"
            problems.append(at_rows(log, unavailable, "chosen but not available", remedy, where))
    if log.counts:
        return problems
    per_case = np.add.reduceat(taken, log.offsets[:-1], dtype=np.float64)
    readable = np.logical_and.reduceat(sound, log.offsets[:-1]) if not bool(sound.all()) else True
    nobody = (per_case == 0) & readable
    several = per_case > 1
    if nobody.any():
        remedy = 'mark the alternative taken; if nothing was taken, add an outside option with outside="none"'
        problems.append(at_cases(log, nobody, "cases in which no alternative is chosen", remedy, where))
    if several.any():
        remedy = "mark one, split them into cases of one choice, or say counts=True"
        problems.append(at_cases(log, several, "cases in which several alternatives are chosen", remedy, where))
    return problems


def _constant_roles(log: ChoiceLog) -> list[Problem]:
    """Return where person, time or weight is missing or differs within a case."""
    problems = []
    first = np.zeros(log.n_rows, bool)
    first[log.offsets[:-1]] = True
    for role in ("person", "time", "weight"):
        column = log.columns.roles().get(role)
        if column is None or (role == "weight" and not holds_numbers(log.table.schema.field(column).type)):
            continue
        data = log.table.column(column)
        if pa.types.is_nested(data.type):
            problems.append(Problem(f"{role} of type {data.type}", f"give each {role} one value", f"column {column!r}"))
            continue
        missing = is_missing(data) if role != "weight" else None
        if missing is not None:
            problems.append(_missing(log, role, missing))
        differs = np.zeros(log.n_rows, bool)
        differs[1:] = changes(one_array(data))
        differs &= ~first
        if missing is not None:
            differs[1:] &= ~(missing[1:] | missing[:-1])
        elif role == "weight":
            unknown = np.isnan(log.numbers(column))
            differs[1:] &= ~(unknown[1:] | unknown[:-1])
        if differs.any():
            cases = np.logical_or.reduceat(differs, log.offsets[:-1])
            remedy = f"give all rows of a case the same {role}"
            problems.append(at_cases(log, cases, f"cases with more than one {role}", remedy, f"column {column!r}"))
    return problems


def _weights(log: ChoiceLog) -> list[Problem]:
    column = log.columns.weight
    if column is None:
        return []
    cells, problems = _numbers(log, "weight", "numbers")
    if cells is None:
        return problems
    where = f"column {column!r}"
    wrong = (cells < 0) | np.isinf(cells)
    if wrong.any():
        found = shown_cells(log, column, np.flatnonzero(wrong))
        remedy = "weights are finite and not below zero; drop the cases that should not count"
        problems.append(at_rows(log, wrong, f"negative or infinite weights: {found}", remedy, where))
    return problems


def _propensities(log: ChoiceLog, available: Bool[np.ndarray, " rows"] | None) -> list[Problem]:
    column = log.columns.propensity
    if column is None:
        return []
    cells, problems = _numbers(log, "propensity", "probabilities")
    if cells is None:
        return problems
    # What was not available was not shown, and its propensity says nothing.
    counts = np.ones(log.n_rows, bool) if available is None else available
    missing = np.isnan(cells) & counts
    problems = [_missing(log, "propensity", missing)] if missing.any() else []
    wrong = ~((cells > 0) & (cells <= 1)) & ~np.isnan(cells) & counts
    if wrong.any():
        found = shown_cells(log, column, np.flatnonzero(wrong))
        remedy = "a propensity is the probability with which the row was shown: above 0, at most 1"
        what = f"propensities outside of (0, 1]: {found}"
        problems.append(at_rows(log, wrong, what, remedy, f"column {column!r}"))
    return problems


def two_places(log: ChoiceLog) -> list[Problem]:
    """Return where a person makes two choices at the same time."""
    person, time = log.columns.person, log.columns.time
    if person is None or time is None or log.n_cases < 2:
        return []
    columns = [log.first_cells(person), log.first_cells(time)]
    if any(pa.types.is_nested(column.type) for column in columns):
        return []
    present = pc.and_(pc.is_valid(columns[0]), pc.is_valid(columns[1])).to_numpy(zero_copy_only=False)
    who, when = (levels_in(column).index(column).astype(np.int64) for column in columns)
    pairs = who * (int(when.max()) + 1) + when
    order = np.argsort(pairs, kind="stable")
    ordered = pairs[order]
    again = np.zeros(log.n_cases, bool)
    again[order[1:][ordered[1:] == ordered[:-1]]] = True
    again &= present
    if not again.any():
        return []
    index = pa.array(np.flatnonzero(again)[:SHOWN])
    cells = list(zip(*(column.take(index).to_pylist() for column in columns), strict=True))
    what, remedy, where = two_places_text(log.columns, cells)
    return [at_cases(log, again, what, remedy, where)]


def two_places_text(columns: Columns, cells: list[tuple[object, ...]]) -> tuple[str, str, str]:
    """Return what is wrong, the remedy and the place when persons choose twice at the same time."""
    found = ", ".join(f"{person} at {time}" for person, time in list(dict.fromkeys(cells))[:SHOWN])
    return (
        f"a person in two places at once: {found}",
        "give a finer time, tell the persons apart, or leave the time out",
        f"columns {columns.person!r} and {columns.time!r}",
    )

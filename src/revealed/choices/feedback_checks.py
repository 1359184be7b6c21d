"""The roles of feedback's columns, and all that can be wrong with them at the door. Imports its own room only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypedDict

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from revealed.choices.arrange import is_missing
from revealed.choices.cells import SHOWN, text_among_numbers
from revealed.choices.columns import filled_roles, require_name, role_problems
from revealed.choices.kinds import as_numbers, holds_numbers, is_text, one_array
from revealed.errors import ColumnError, Problem, SpecificationError, nearest


class FeedbackRoles(TypedDict, total=False):
    """The keywords by which feedback takes its roles; see :class:`FeedbackColumns`."""

    decision: str
    action: str
    reward: str
    propensity: str | None
    position: str | None
    person: str | None
    time: str | None


@dataclass(frozen=True)
class FeedbackColumns:
    """The names, in the user's own table, of the columns with a role.

    Parameters
    ----------
    decision : str
        The decision; one that showed several things has several rows.
    action : str
        What was shown.
    reward : str
        What came of it: 0/1 or any finite number; null where no answer has come.
    propensity : str, optional
        The probability with which the policy that was running showed it; None where it was not logged. One can learn
        from such a log, but not judge another policy on it.
    position : str, optional
        Where it was shown; anything that sorts. Needed where decisions show several things.
    person : str, optional
        To whom. Without it each decision is its own person.
    time : str, optional
        When it was shown.
    """

    decision: str = "decision"
    action: str = "action"
    reward: str = "reward"
    propensity: str | None = "propensity"
    position: str | None = None
    person: str | None = None
    time: str | None = None

    def roles(self) -> dict[str, str]:
        """Return ``{role: column}`` for the roles that are filled."""
        return filled_roles(self)

    @classmethod
    def named(cls, columns: FeedbackColumns | None, roles: Mapping[str, object]) -> FeedbackColumns:
        """Return ``columns`` (or the defaults) with the roles given by keyword in place.

        Raises
        ------
        SpecificationError
            For a keyword that is no role, with the nearest ones, or a role that is not given as a name.
        """
        known = [field.name for field in fields(cls)]
        for role, column in roles.items():
            if role not in known:
                raise SpecificationError(f"no role {role!r} of feedback; {nearest(role, known)}")
            require_name(role, column, optional=role in ("propensity", "position", "person", "time"))
        return replace(columns or cls(), **roles)  # type: ignore[arg-type]


def require_columns(present: list[str], columns: FeedbackColumns, source: str) -> None:
    """Raise ColumnError naming each role whose column is not there, with the nearest names, or is taken twice."""
    problems = role_problems(columns.roles(), present, ("decision", "person"))
    if problems:
        raise ColumnError(source, problems)


def codes_of(column: pa.ChunkedArray) -> Int[np.ndarray, " rows"]:
    """Return cells as 0, 1, … in order of appearance."""
    encoded = one_array(column)
    if pa.types.is_dictionary(encoded.type):
        encoded = encoded.indices
    return np.asarray(encoded.dictionary_encode().indices.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Checks:
    """All that can be wrong with a table of feedback.

    Parameters
    ----------
    table : pyarrow.Table
        Each column in one piece and of a plain type.
    columns : FeedbackColumns
        They are all there.
    """

    table: pa.Table
    columns: FeedbackColumns

    def all(self) -> list[Problem]:
        """Return every problem; none for a sound table."""
        problems = []
        for role in ("decision", "action", "position", "person", "time"):
            problems += self._labels(role)
        problems += self._places()
        labelled = not problems
        problems += self._reward() + (self._propensity() if self.columns.propensity is not None else [])
        return problems + (self._twice() + self._persons() if labelled else [])

    def _problem(self, mask: np.ndarray, what: str, remedy: str, role: str) -> Problem:
        index = np.flatnonzero(mask)
        rows = tuple((index[:SHOWN] + 1).tolist())
        return Problem(what, remedy, f"column {self.columns.roles()[role]!r}", rows, count=len(index))

    def _cells(self, mask: np.ndarray, role: str) -> str:
        cells = self.table.column(self.columns.roles()[role]).take(pa.array(np.flatnonzero(mask)[:1000])).to_pylist()
        distinct = list(dict.fromkeys(str(cell) for cell in cells))
        return ", ".join(distinct[:SHOWN]) + (", …" if len(distinct) > SHOWN else "")

    def _labels(self, role: str) -> list[Problem]:
        column = self.columns.roles().get(role)
        if column is None:
            return []
        data = self.table.column(column)
        if pa.types.is_nested(data.type):
            return [Problem(f"{role} of type {data.type}", f"give each {role} one value", f"column {column!r}")]
        missing = is_missing(data)
        if missing is None:
            return []
        return [self._problem(missing, f"rows without {role}", "fill them in, or drop the rows", role)]

    def _places(self) -> list[Problem]:
        """Return what is wrong with positions: in text, 10 would stand above 2."""
        column = self.columns.position
        if column is None or not is_text(self.table.column(column).type):
            return []
        what = f"positions that are text: {self._cells(np.ones(len(self.table), bool), 'position')}"
        return [Problem(what, "number them from the top: 1, 2, …", f"column {column!r}")]

    def _numbers(self, role: str) -> tuple[np.ndarray | None, list[Problem]]:
        column = self.columns.roles()[role]
        data = self.table.column(column)
        if holds_numbers(data.type):
            return as_numbers(data), []
        if pa.types.is_null(data.type):
            return np.full(len(data), np.nan), []
        odd = text_among_numbers(data)
        mask = np.ones(len(data), bool) if odd is None else odd
        what = f"{role} that is no number: {self._cells(mask, role)}"
        return None, [self._problem(mask, what, "turn it into numbers", role)]

    def _reward(self) -> list[Problem]:
        cells, problems = self._numbers("reward")
        if cells is None:
            return problems
        data = self.table.column(self.columns.reward)
        given = np.asarray(one_array(data).is_valid().to_numpy(zero_copy_only=False))
        infinite, not_a_number = np.isinf(cells), np.isnan(cells) & given
        if infinite.any():
            problems.append(self._problem(infinite, "infinite rewards", "a reward is a finite number", "reward"))
        if not_a_number.any():
            remedy = "leave the reward empty (null) where no answer has come, else put its number"
            problems.append(self._problem(not_a_number, "rewards that are NaN", remedy, "reward"))
        return problems

    def _propensity(self) -> list[Problem]:
        cells, problems = self._numbers("propensity")
        if cells is None:
            return problems
        missing = np.isnan(cells)
        outside = ~missing & ~((cells > 0) & (cells <= 1))
        if missing.any():
            remedy = "log the probability with each decision; rows without it say nothing of another policy"
            problems.append(self._problem(missing, "rows without propensity", remedy, "propensity"))
        if outside.any():
            what = f"propensities outside of (0, 1]: {self._cells(outside, 'propensity')}"
            remedy = "a propensity is the probability with which the row was shown: above 0, at most 1"
            problems.append(self._problem(outside, what, remedy, "propensity"))
        return problems

    def _twice(self) -> list[Problem]:
        decision, position = self.table.column(self.columns.decision), self.columns.position
        if position is None:
            keys = codes_of(decision)
            if int(keys.max()) + 1 == len(keys):
                return []
            what, remedy = "decisions with several rows", "name the column of positions, or keep one answer a decision"
        else:
            places = codes_of(self.table.column(position))
            keys = codes_of(decision) * (int(places.max()) + 1) + places
            what, remedy = "a position of a decision twice", "keep one row and one answer for each thing shown"
        order = np.argsort(keys, kind="stable")
        again = np.zeros(len(keys), bool)
        again[order[1:][keys[order][1:] == keys[order][:-1]]] = True
        if not again.any():
            return []
        return [self._problem(again, f"{what}: {self._cells(again, 'decision')}", remedy, "decision")]

    def _persons(self) -> list[Problem]:
        if self.columns.person is None or self.columns.position is None:
            return []
        decision, person = (codes_of(self.table.column(name)) for name in (self.columns.decision, self.columns.person))
        first = np.zeros(int(decision.max()) + 1, np.int64)
        first[decision[::-1]] = person[::-1]
        differs = person != first[decision]
        if not differs.any():
            return []
        remedy = "a decision is for one person: give its rows the same, or split it"
        return [self._problem(differs, "decisions for more than one person", remedy, "person")]

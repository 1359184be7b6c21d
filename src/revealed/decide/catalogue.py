"""What can be shown, with its attributes. Imports choices and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices.feedback import Feedback
from revealed.errors import DataError, Problem, SpecificationError, nearest


@dataclass(frozen=True)
class Catalogue:
    """The actions met so far and the attributes that belong to them.

    Parameters
    ----------
    column : str
        What the field of the action's label is called.
    fields : tuple of str
        The attributes.
    actions : mapping from label to its attributes
    """

    column: str
    fields: tuple[str, ...]
    actions: Mapping[str, Mapping[str, Any]]

    def candidates(self, wanted: Sequence[str | Mapping[str, Any]] | None) -> list[dict[str, Any]]:
        """Return the records of candidates: of labels, of records with a label, or of all actions.

        Raises
        ------
        SpecificationError
            If a label is not known and comes without attributes, or a record has no label.
        """
        if wanted is None:
            return [{self.column: label, **attributes} for label, attributes in self.actions.items()]
        return [self._record(item) for item in wanted]

    def met(self, feedback: Feedback) -> Catalogue:
        """Return the catalogue with what a log shows.

        Raises
        ------
        DataError
            If an attribute of an action changes within the log.
        """
        codes = feedback.action_codes
        labels, first = feedback.actions.labels, _first_of_each(codes, len(feedback.actions.labels))
        seen = first >= 0
        attributes: dict[str, list[Any]] = {}
        problems = []
        for field in self.fields:
            column = feedback.column(field).combine_chunks()
            column = column if isinstance(column, pa.Array) else column.chunk(0)
            of_action = column.take(pa.array(np.maximum(first, 0)))
            told = zip(column.to_pylist(), of_action.take(pa.array(codes)).to_pylist(), strict=True)
            same = np.array([here == there for here, there in told], dtype=bool)
            if not same.all():
                rows = tuple(int(row) for row in feedback.row_numbers(np.flatnonzero(~same)[:5]))
                what = "an attribute of an action that changes"
                remedy = "leave it out of item=[…]: then it belongs to the context"
                problems.append(Problem(what, remedy, f"column {field!r}", rows, count=int((~same).sum())))
            attributes[field] = of_action.to_pylist()
        if problems:
            raise DataError(feedback.source, problems)
        known = dict(self.actions)
        for number in np.flatnonzero(seen):
            known[labels[number]] = {field: attributes[field][number] for field in self.fields}
        return Catalogue(self.column, self.fields, known)

    def table(self, labels: Sequence[str]) -> dict[str, list[Any]]:
        """Return columns of the label and the attributes of some actions; unknown ones have no attributes (null)."""
        columns: dict[str, list[Any]] = {self.column: list(labels)}
        for field in self.fields:
            columns[field] = [self.actions.get(label, {}).get(field) for label in labels]
        return columns

    def _record(self, item: str | Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(item, str):
            if item not in self.actions:
                record = json.dumps({self.column: item} | dict.fromkeys(self.fields, "…"), ensure_ascii=False)
                known = nearest(item, self.actions) if self.actions else "learn first"
                raise SpecificationError(f"no action {item!r} was met so far; give a new one as {record}, or {known}")
            return {self.column: item, **self.actions[item]}
        if self.column not in item:
            raise SpecificationError(f"a candidate without its label {self.column!r}: {dict(item)!r}")
        return {**self.actions.get(str(item[self.column]), {}), **item}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "column": self.column,
            "fields": list(self.fields),
            "actions": {k: dict(v) for k, v in self.actions.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Catalogue:
        """Return the catalogue that :meth:`to_dict` wrote."""
        return cls(data["column"], tuple(data["fields"]), data["actions"])


def _first_of_each(codes: np.ndarray, count: int) -> np.ndarray:
    """Return the first row of each code, -1 where there is none."""
    first = np.full(count, -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first

"""What every answer is: plain fields, a table, JSON, with assumptions and warnings. Imports table; report by a door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from revealed.answer.table import Table
from revealed.doors import door
from revealed.errors import SpecificationError


class Answer(ABC):
    """An answer: a frozen dataclass with these two fields among its own.

    Attributes
    ----------
    assumptions : tuple of str
        What the answer leans on.
    warnings : tuple of str
        Where the data or the fit do not bear it.
    """

    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @abstractmethod
    def table(self) -> Table:
        """Return the answer as a table."""

    def tables(self) -> tuple[Table, ...]:
        """Return the tables that are shown where the answer is: its own first, then what belongs to it."""
        return (self.table(),)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; numbers that are not finite become None."""
        return {"answer": type(self).__name__, **json_ready(self)}

    def __repr__(self) -> str:
        table = self.table()
        return f"{type(self).__name__}({table.title}: {len(table.rows)} rows, {len(self.warnings)} warnings)"

    def __str__(self) -> str:
        return str(door("text")(self))

    def _repr_html_(self) -> str:
        return str(door("html")(self))


def json_ready(value: Any) -> Any:
    """Return data that strict JSON can hold: dataclasses as mappings, arrays as lists, no NaN and no infinities."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_ready(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def require_whole(value: object, what: str, least: int) -> None:
    """Raise SpecificationError unless a number is whole and not too small."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SpecificationError(f"{what} must be a whole number, at least {least}, not {value!r}")


def unique(*groups: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the texts of all groups, in order, each once."""
    return tuple(dict.fromkeys(text for group in groups for text in group))

"""A table as data: what each answer and summary gives to be rendered. Imports nothing of ours; report by a door.

An answer never prints. It gives a :class:`Table`; :mod:`revealed.report` turns it into text, HTML or Markdown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from revealed.doors import door

#: How cells are shown. Points are the difference of two shares in percentage points, without a percent sign: with one
#: they would read as a relative change.
Kind = Literal["text", "number", "integer", "share", "points", "p-value", "statistic"]
Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and how its cells are to be shown."""

    heading: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Table:
    """A table as data.

    Parameters
    ----------
    title : str
    columns : tuple of Column
    rows : tuple of tuple
        One cell per column; None for an empty one, NaN for what is not known.
    notes : tuple of str
        Assumptions, warnings and the like, to stand below.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)

    def column(self, heading: str) -> list[Cell]:
        """Return the cells under a heading."""
        index = [column.heading for column in self.columns].index(heading)
        return [row[index] for row in self.rows]

    def __str__(self) -> str:
        return str(door("text")(self))

    def _repr_html_(self) -> str:
        return str(door("html")(self))

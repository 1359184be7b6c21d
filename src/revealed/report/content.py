"""What a report is made of: sections of text, facts, tables and pictures, as data. Imports answer's table only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from revealed.answer.table import Table

Tone = Literal["plain", "note", "warning", "alert"]


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Parameters
    ----------
    text : str
        Plain text; nothing in it is taken for markup.
    tone : {"plain", "note", "warning", "alert"}
        A note stands back; a warning and an alert stand out.
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Code:
    """Text to be taken literally: a formula or a command."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Short facts: ``((label, value), ...)``, values as text."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """A picture.

    Parameters
    ----------
    svg : str
        The picture as an SVG document.
    caption : str
        What it shows, in a sentence; also read out to those who cannot see it.
    """

    svg: str
    caption: str


Block = Text | Code | Facts | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


def sections_of(thing: Any) -> tuple[Section, ...]:
    """Return whatever can be shown as sections.

    Parameters
    ----------
    thing : object
        A section, a table, a block; anything with ``sections()`` (a summary) or ``table()`` (an answer, whose
        ``warnings`` come first and whose ``assumptions`` come last, then its further ``tables()``); or a list of such.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(thing, Section):
        return (thing,)
    if isinstance(thing, Table):
        return (Section(thing.title, (replace(thing, title=""),)),)
    if isinstance(thing, Text | Code | Facts | Picture):
        return (Section("", (thing,)),)
    if hasattr(thing, "sections"):
        return tuple(thing.sections())
    if hasattr(thing, "table"):
        further = thing.tables()[1:] if hasattr(thing, "tables") else ()
        return (_section_of_answer(thing), *(section for table in further for section in sections_of(table)))
    if isinstance(thing, Iterable) and not isinstance(thing, str | bytes):
        return tuple(section for part in thing for section in sections_of(part))
    raise TypeError(f"a {type(thing).__name__} cannot be shown; give a summary, an answer, a table or a list of such")


def _section_of_answer(answer: Any) -> Section:
    """Return an answer's table with its warnings before and its assumptions below, each said once."""
    table: Table = answer.table()
    warnings = tuple(getattr(answer, "warnings", ()))
    assumptions = tuple(getattr(answer, "assumptions", ()))
    notes = tuple(dict.fromkeys(note for note in (*table.notes, *assumptions) if note not in warnings))
    alerts = tuple(Text(warning, "warning") for warning in warnings)
    return Section(table.title, (*alerts, replace(table, title="", notes=notes)))

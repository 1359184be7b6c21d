"""Reports as text: in colour for a terminal, plain for a file or a pipe. Imports report's content and numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, assert_never

from revealed.answer.table import Table
from revealed.report.content import Block, Code, Facts, Picture, Section, Text, Tone, sections_of
from revealed.report.numbers import UNKNOWN, halves, is_numeric, table_as_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: The width of running text where nobody says how wide the reader's window is.
TEXT_WIDTH = 88

#: A column of text is never folded to less.
_NARROWEST = 12

#: More facts than this stand in two columns.
_MANY_FACTS = 6
_GAP = 3

_STYLES: dict[Tone, str] = {"plain": "", "note": "dim", "warning": "yellow", "alert": "bold red"}
_MARKS: dict[Tone, str] = {"plain": "", "note": "", "warning": "Warning: ", "alert": "! "}


def to_text(thing: Any) -> str:
    """Return a summary, an answer, a table or a list of such as plain text.

    Tables are as wide as they need to be; running text is broken at 88 characters.

    >>> from revealed.answer.table import Column, Table
    >>> columns = (Column("mode", "text"), Column("share", "share"))
    >>> print(to_text(Table("Shares", columns, (("car", 0.7), ("bus", 0.3)))))
    Shares
    <BLANKLINE>
    mode   share
    ────────────
    car    70.0%
    bus    30.0%
    """
    from rich.console import Console

    sections = sections_of(thing)
    file = io.StringIO()
    console = Console(file=file, width=max(TEXT_WIDTH, _table_width(sections)), color_system=None, legacy_windows=False)
    print_to(console, sections)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def print_to(console: Console, thing: Any) -> None:
    """Print a summary, an answer, a table or a list of such to a rich console."""
    sections = sections_of(thing)
    for i, section in enumerate(sections):
        if i:
            console.print()
        for renderable in _section(section, console.width):
            console.print(renderable, soft_wrap=False, crop=False)


def _section(section: Section, width: int) -> Iterator[RenderableType]:
    from rich.text import Text as Words

    if section.title:
        yield Words(section.title, style="bold")
    for i, block in enumerate(section.blocks):
        if isinstance(block, Picture):
            continue
        if section.title or i:
            yield ""
        yield from _block(block, width)


def _block(block: Block, width: int) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text as Words

    text_width = min(width, TEXT_WIDTH)
    match block:
        case Text():
            yield _wrapped(_MARKS[block.tone] + block.text, _STYLES[block.tone], text_width)
        case Code():
            yield Padding(Words(block.text, style="cyan", no_wrap=True, overflow="ignore"), (0, 0, 0, 2))
        case Facts():
            yield _facts(block, width)
        case Table():
            if block.title:
                yield Words(block.title, style="bold")
            for number, part in enumerate(_parts(block, width)):
                yield from [""] * (number > 0)
                yield _table(part, width)
            if block.notes:
                yield ""
            for note in block.notes:
                yield _note(note, text_width) if len(block.notes) > 1 else _wrapped(note, "dim", text_width)
        case Picture():
            return
        case _:
            assert_never(block)


def _wrapped(text: str, style: str, width: int) -> RenderableType:
    from rich.constrain import Constrain
    from rich.text import Text as Words

    return Constrain(Words(text, style=style), width)


def _note(text: str, width: int) -> RenderableType:
    """Return one of several notes, with a mark before it."""
    from rich.constrain import Constrain
    from rich.table import Table as Grid
    from rich.text import Text as Words

    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(Words("·", style="dim"), Words(text, style="dim"))
    return Constrain(grid, width)


def _facts(facts: Facts, width: int) -> RenderableType:
    """Return facts in two columns where there are many and they fit, else in one."""
    from rich.table import Table as Grid
    from rich.text import Text as Words

    rows: list[tuple[str, ...]] = list(facts.rows)
    if len(rows) > _MANY_FACTS:
        middle = -(-len(rows) // 2)
        folded = [left + right for left, right in zip_longest(rows[:middle], rows[middle:], fillvalue=("", ""))]
        needed = sum(max(_cell_width(row[i]) for row in folded) + _GAP for i in range(4))
        rows = folded if needed - _GAP <= min(width, TEXT_WIDTH) else rows
    grid = Grid.grid(padding=(0, _GAP, 0, 0))
    for i in range(len(rows[0]) if rows else 0):
        grid.add_column(no_wrap=i % 2 == 0, style="" if i % 2 else "dim", overflow="fold")
    for row in rows:
        grid.add_row(*map(Words, row))
    return grid


def _table(table: Table, width: int) -> RenderableType:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text as Words

    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1))
    for column in table.columns:
        numeric = is_numeric(column.kind)
        justify = "right" if numeric else "left"
        grid.add_column(Words(column.heading), justify=justify, no_wrap=numeric, overflow="fold")  # type: ignore[arg-type]
    for row in _aligned(table):
        grid.add_row(*(Words(cell) for cell in row))
    needed = sum(_least_widths(table))
    if needed > width:
        grid.width = needed
    return grid


def _parts(table: Table, width: int) -> Iterator[Table]:
    """Yield a table that a window is too narrow for in parts that fit, each with the first column, which names rows."""
    widths = _least_widths(table)
    places: list[int] = []
    room = 0
    for place, needed in enumerate(widths):
        if len(places) > 1 and room + needed - _GAP > width:
            yield _with(table, places)
            places, room = [0], widths[0]
        places.append(place)
        room += needed
    yield _with(table, places)


def _with(table: Table, places: list[int]) -> Table:
    rows = tuple(tuple(row[place] for place in places) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in places), rows=rows)


def _least_widths(table: Table) -> list[int]:
    """Return how wide columns have to be: text can be folded, a number never, as half of one reads as another."""
    rows, widths = _aligned(table), []
    for place, column in enumerate(table.columns):
        widest = max(_cell_width(cell) for cell in (column.heading, *(row[place] for row in rows)))
        widths.append(_GAP + (widest if is_numeric(column.kind) else min(widest, _NARROWEST)))
    return widths


def _aligned(table: Table) -> list[list[str]]:
    """Return the cells as text, padded so that numbers are aligned on the decimal point."""
    rows = table_as_text(table)
    for i, column in enumerate(table.columns):
        if not is_numeric(column.kind):
            continue
        parts = halves([row[i] for row in rows])
        widest = max((len(part.fraction) for part in parts), default=0)
        for row, part in zip(rows, parts, strict=True):
            row[i] = part.whole if part.whole == UNKNOWN else part.whole + part.fraction.ljust(widest)
    return rows


def _table_width(sections: tuple[Section, ...]) -> int:
    """Return the width at which no table has to be broken."""
    width = 0
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Table):
                rows = [[column.heading for column in block.columns], *_aligned(block)]
                columns = zip(*rows, strict=True)
                width = max(width, sum(max(_cell_width(cell) for cell in column) + 3 for column in columns))
            if isinstance(block, Facts):
                labels = max((_cell_width(label) for label, _ in block.rows), default=0)
                width = max(width, labels + 4 + max((_cell_width(value) for _, value in block.rows), default=0))
    return width


def _cell_width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)

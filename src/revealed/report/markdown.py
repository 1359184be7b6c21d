"""Reports as Markdown, for a repository, an issue or a wiki. Imports report's content and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, assert_never

from revealed.answer.table import Table
from revealed.report.content import Block, Code, Facts, Picture, Text, sections_of
from revealed.report.numbers import is_numeric, table_as_text

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")


def to_markdown(thing: Any, heading: int = 2) -> str:
    """Return a summary, an answer, a table or a list of such as Markdown with pipe tables.

    Parameters
    ----------
    thing : object
        See :func:`revealed.report.content.sections_of`. Pictures are left to their captions.
    heading : int
        The level of the sections' headings.
    """
    parts: list[str] = []
    for section in sections_of(thing):
        if section.title:
            parts.append(f"{'#' * heading} {_escaped(section.title)}")
        for block in section.blocks:
            parts += _block(block, heading + 1)
    return "\n\n".join(parts) + "\n"


def _block(block: Block, heading: int) -> Iterator[str]:
    match block:
        case Text():
            text = _escaped(block.text)
            yield {"plain": text, "note": text, "warning": f"> **Warning:** {text}", "alert": f"> **{text}**"}[
                block.tone
            ]
        case Code():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
            yield f"{fence}\n{block.text}\n{fence}"
        case Facts():
            yield "\n".join(f"- {_escaped(label)}: {_escaped(value)}" for label, value in block.rows)
        case Table():
            if block.title:
                yield f"{'#' * heading} {_escaped(block.title)}"
            yield _table(block)
            yield from map(_escaped, block.notes)
        case Picture():
            yield f"*{_escaped(block.caption)}*"
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    headings = [_escaped(column.heading) for column in table.columns]
    rules = ["---:" if is_numeric(column.kind) else ":---" for column in table.columns]
    rows = [[_escaped(cell) for cell in row] for row in table_as_text(table)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rules, *rows])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ")

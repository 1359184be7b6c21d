"""Reports as HTML: a fragment for notebooks, a page that needs nothing beside it. Imports report's content and numbers.

Everything that comes from data is escaped. A page has its style and its pictures inside, follows the reader's light
or dark setting, reads on a phone, and prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, assert_never

from revealed.answer.table import Table
from revealed.report.content import Block, Code, Facts, Picture, Section, Text, Tone, sections_of
from revealed.report.numbers import UNKNOWN, halves, is_numeric, table_as_text
from revealed.report.style import STYLE

_CLASSES: dict[Tone, str] = {"plain": "", "note": "note", "warning": "warning", "alert": "alert"}


def to_html(thing: Any) -> str:
    """Return a summary, an answer, a table or a list of such as an HTML fragment, its style within.

    Parameters
    ----------
    thing : object
        See :func:`revealed.report.content.sections_of`.
    """
    return f'<div class="revealed"><style>{STYLE}</style>\n{_body(sections_of(thing), heading=3)}\n</div>'


def to_page(thing: Any, title: str, lead: str = "") -> str:
    """Return a summary, an answer, a table or a list of such as a page of its own.

    Parameters
    ----------
    thing : object
        See :func:`revealed.report.content.sections_of`.
    title : str
        The page's title.
    lead : str
        A line below it.
    """
    sections = sections_of(thing)
    named = [(number, section) for number, section in enumerate(sections, 1) if section.title]
    contents = ""
    if len(named) > 3:
        links = "".join(f'<li><a href="#s{number}">{escape(section.title)}</a></li>' for number, section in named)
        contents = f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
    subtitle = f'<p class="lead">{escape(lead)}</p>\n' if lead else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body class="revealed page">\n<main>\n<header>\n<h1>{escape(title)}</h1>\n{subtitle}</header>\n{contents}'
        f"{_body(sections, heading=2)}\n</main>\n</body>\n</html>\n"
    )


def _body(sections: tuple[Section, ...], heading: int) -> str:
    return "\n".join(
        "\n".join(
            [
                f'<section id="s{number}">' if heading == 2 else "<section>",
                *([f"<h{heading}>{escape(section.title)}</h{heading}>"] if section.title else []),
                *(part for block in section.blocks for part in _block(block, heading + 1)),
                "</section>",
            ]
        )
        for number, section in enumerate(sections, 1)
    )


def _block(block: Block, heading: int) -> Iterator[str]:
    match block:
        case Text():
            role = ' role="alert"' if block.tone == "alert" else ""
            css = f' class="{_CLASSES[block.tone]}"' if block.tone != "plain" else ""
            yield f"<p{css}{role}>{escape(block.text)}</p>"
        case Code():
            yield f"<pre>{escape(block.text)}</pre>"
        case Facts():
            rows = "".join(
                f"<div><dt>{escape(label)}</dt><dd>{_minus(escape(value))}</dd></div>" for label, value in block.rows
            )
            yield f"<dl>{rows}</dl>"
        case Table():
            if block.title:
                yield f"<h{heading}>{escape(block.title)}</h{heading}>"
            yield _table(block)
            for note in block.notes:
                yield f'<p class="note">{escape(note)}</p>'
        case Picture():
            caption = escape(block.caption)
            # A screen reader gets the caption; the shapes inside are noise to it.
            picture = f'<div class="scroll" aria-hidden="true">{block.svg}</div>'
            yield f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
        case _:
            assert_never(block)


def _minus(text: str) -> str:
    """Return a number with a minus as long as a plus; other text as it is."""
    return f"−{text[1:]}" if text[:1] == "-" and text[1:2].isdigit() else text


def _table(table: Table) -> str:
    """Return a table; a number is cut at its decimal point, and the fractions of a column are made equally wide."""
    rows = table_as_text(table)
    cut = {i: halves([row[i] for row in rows]) for i, column in enumerate(table.columns) if is_numeric(column.kind)}
    widths = {i: max((len(part.fraction) for part in parts), default=0) for i, parts in cut.items()}
    head = "".join(
        f'<th scope="col"{" class=n" if i in cut else ""}>{escape(column.heading)}</th>'
        for i, column in enumerate(table.columns)
    )
    body = []
    for r, row in enumerate(rows):
        cells = []
        for i, text in enumerate(row):
            if i not in cut:
                tag = 'th scope="row"' if i == 0 else "td"
                cells.append(f"<{tag}>{escape(text)}</{tag.split()[0]}>")
                continue
            whole, fraction = (escape(part) for part in cut[i][r])
            even = f'<span style="width:{widths[i]}ch">{fraction}</span>' if widths[i] and text != UNKNOWN else ""
            cells.append(f"<td class=n>{_minus(whole)}{even}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )

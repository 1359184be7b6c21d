"""How pages are made: templates, and numbers and times as people read them. Imports report.

Everything a template is given is escaped, but for the charts that are drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from revealed.answer.table import Table
from revealed.report.content import Facts, Section, Text
from revealed.report.numbers import is_numeric, number_as_text, table_as_text
from revealed.serve.console.charts import interval, share

HERE = Path(__file__).parent
_NOTHING = "–"
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))


def environment() -> Environment:
    """Return the templates."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "whole": lambda value: f"{value:,.0f}",
        "number": _number,
        "share6": lambda value: f"{value:.4g}",
        "percent": lambda value: f"{100 * value:.1f}%",
        "effect": lambda value: _minus(f"{value:+.4f}"),
        "short": lambda value: _minus(f"{value:+.2f}"),
        "spread": lambda value: f"{value:.4f}",
        "feature": lambda name: "1 (the constant)" if name == "1" else name,
        "rate": lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
        "duration": duration,
        "ago": lambda moment, now: f"{duration(max(now - moment, 0.0))} ago",
        "clock": lambda moment: _written(moment, "%Y-%m-%d %H:%M:%S"),
        "stamp": lambda moment: _written(moment, "%Y-%m-%d %H:%M:%S UTC"),
        "iso": lambda moment: _written(moment, "%Y-%m-%dT%H:%M:%SZ"),
    }
    made.globals |= {"interval": interval, "share": share}
    for name in made.list_templates():  # now, not when somebody waits for a page
        made.get_template(name)
    return made


def duration(seconds: float) -> str:
    """Return a length of time with two or three digits.

    >>> duration(0.0123), duration(75), duration(86_400 * 3)
    ('12.3 ms', '1.25 min', '3 d')
    """
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(seconds) >= size), (1.0, "s"))
    told = f"{seconds / size:,.0f}" if abs(seconds / size) >= 100 else f"{seconds / size:.3g}"
    return _minus(f"{told} {unit}")


def sections_for(parts: tuple[Section, ...]) -> list[Mapping[str, Any]]:
    """Return the sections of a report as templates take them."""
    return [{"title": part.title, "blocks": [_block(block) for block in part.blocks]} for part in parts]


def _block(block: object) -> Mapping[str, Any]:
    empty: dict[str, Any] = {"facts": None, "table": None, "text": "", "tone": ""}
    if isinstance(block, Facts):
        return empty | {"facts": block.rows}
    if isinstance(block, Table):
        heads = [{"name": column.heading, "numeric": is_numeric(column.kind)} for column in block.columns]
        return empty | {"table": {"heads": heads, "rows": table_as_text(block), "notes": block.notes}}
    assert isinstance(block, Text)
    return empty | {"text": block.text, "tone": block.tone}


def _number(value: float | None) -> str:
    return _NOTHING if value is None else _minus(number_as_text(float(value)))


def _minus(text: str) -> str:
    return f"−{text[1:]}" if text.startswith("-") else text


def _written(moment: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):  # no year that a calendar has
        return f"{moment:.0f} s"

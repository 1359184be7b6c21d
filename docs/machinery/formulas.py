"""Formulas as MathML, made when the site is built: no script runs and nothing is loaded when a page is read."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])\s*</(?P=tag)>',
    re.DOTALL,
)


def on_page_content(text: str, **_: Any) -> str:
    """Replace each formula of a page."""
    return _FORMULA.sub(_as_mathml, text)


def _as_mathml(found: re.Match[str]) -> str:
    shown = "inline" if found["block"] is None else "block"
    latex = html.unescape(found["inline"] if found["block"] is None else found["block"]).strip()
    return convert(latex, display=shown)

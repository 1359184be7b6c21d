"""Formulas as pictures, drawn when the site is built: no script runs and nothing is loaded when a page is read.

Browsers set MathML with the reader's own fonts, and where those have no mathematics, limits stick to their sums. So
formulas are drawn (STIX Two, by ziamath) in the colour of the text, and carry their source for those who listen.
"""

from __future__ import annotations

import html
import re
import warnings
from functools import cache
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of how it finds its font
    from ziamath.config import config
    from ziamath.zmath import Latex

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])\s*</(?P=tag)>',
    re.DOTALL,
)
_SIZE = re.compile(
    r'width="[\d.]+" height="[\d.]+" viewBox="(?P<box>[-\d.]+ (?P<top>[-\d.]+) (?P<width>[\d.]+) (?P<height>[\d.]+))"'
)
_OPERATOR = re.compile(r"(\\operatorname\{\w+\}) ")

#: Pixels an em is drawn at; the page scales it to its text. STIX is smaller than the page's letters at the same size.
_EM, _LARGER = 16.0, 1.1

config.svg2 = False
config.precision = 2


def on_page_content(text: str, **_: Any) -> str:
    """Replace each formula of a page."""
    return _FORMULA.sub(_drawn, text)


def _drawn(found: re.Match[str]) -> str:
    inline = found["block"] is None
    latex = html.unescape(found["inline"] if inline else found["block"]).strip()
    return f'<{found["tag"]} class="formula">{_svg(latex, inline)}</{found["tag"]}>'


@cache
def _svg(latex: str, inline: bool) -> str:
    """Return a formula as an SVG element measured in ems, its baseline on that of the text.

    >>> _svg("x_n > 0", True)
    '<svg role="img" aria-label="x_n &gt; 0" style="width:...em;height:...em;vertical-align:-...em" viewBox="...</svg>'
    """
    shown = _OPERATOR.sub(r"\1\\,", latex)
    drawn: str = Latex(shown, size=_EM, color="currentColor", inline=inline).svg()
    size = _SIZE.search(drawn)
    assert size is not None, drawn[:200]
    width, height, top = (float(size[part]) / _EM * _LARGER for part in ("width", "height", "top"))
    style = f"width:{width:.2f}em;height:{height:.2f}em"
    style += f";vertical-align:{-(height + top):.2f}em" if inline else ""
    body = drawn[drawn.index(">") + 1 :]
    return f'<svg role="img" aria-label="{html.escape(latex)}" style="{style}" viewBox="{size["box"]}">{body}'

"""Docstrings are written for ``help()`` in plain reStructuredText; this makes Markdown of the few marks they use."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

_MATH_BLOCK = re.compile(
    r"^(?P<indent>[ ]*)\.\. math::(?P<first>[^\n]*)\n(?P<rest>(?:(?P=indent)[ ]+[^\n]*\n|[ ]*\n)*)", re.MULTILINE
)
_MATH = re.compile(r":math:`(?P<formula>[^`]+)`")
#: ``{"a", "b"}`` says which values there are; the parser of docstrings would take the first for the default.
_VALUES = re.compile(r"^(?P<name>[ ]*\*{0,2}\w+ : )\{(?P<values>[^{}:]+)\}", re.MULTILINE)
_NAME = re.compile(r":(?:py:)?(?:func|meth|class|mod|attr|data|obj|exc):`(?P<short>~?)(?P<name>[^`]+)`")


def to_markdown(text: str) -> str:
    """Return a docstring with its formulas and references as Markdown has them.

    >>> to_markdown("see :func:`revealed.read`, where :math:`x_n > 0`")
    'see `revealed.read`, where $x_n > 0$'
    >>> to_markdown('errors : {"classic", "robust"}, optional')
    'errors : "classic" or "robust", optional'
    """
    text = _MATH_BLOCK.sub(_block, text.rstrip("\n") + "\n")
    text = _MATH.sub(lambda found: f"${found['formula']}$", text)
    text = _VALUES.sub(lambda found: f"{found['name']}{' or '.join(found['values'].split(', '))}", text)
    return _NAME.sub(_name, text).rstrip("\n")


def _block(found: re.Match[str]) -> str:
    body = textwrap.dedent(found["rest"]).strip("\n")
    formula = textwrap.indent("\n".join(part for part in (found["first"].strip(), body) if part), found["indent"])
    return f"\n{found['indent']}$$\n{formula}\n{found['indent']}$$\n\n"


def _name(found: re.Match[str]) -> str:
    name = found["name"].rsplit(".", 1)[-1] if found["short"] else found["name"]
    return f"`{name}`"


class Roles(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)

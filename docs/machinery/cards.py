"""Data cards as parts of a page: ``<!-- card: swissmetro -->`` becomes the card that comes with the data."""

from __future__ import annotations

import re
from typing import Any

from revealed import datasets

_CARD = re.compile(r"^<!-- card: (?P<name>\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each mark by its card, a level lower, its heading named after the data set.

    >>> on_page_markdown("<!-- card: swissmetro -->").splitlines()[0]
    '## Swissmetro: a train that was never built {#swissmetro}'
    """
    return _CARD.sub(lambda found: _card(found["name"]), markdown)


def _card(name: str) -> str:
    title, _, rest = datasets.card(name).partition("\n")
    return f"#{title} {{#{name}}}\n{rest}"

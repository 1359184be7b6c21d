"""Pictures of the pages: the code that a page shows makes them, this puts them where the site finds them.

``python -m docs.machinery.pictures`` runs every page that shows a picture of ``images/`` and copies what it made. The
tests compare what a page makes with what is there, see :func:`stale`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parents[1]

_SHOWN = re.compile(r"\]\((?:\.\./|docs/)*images/(?P<name>[\w-]+\.svg)\)")
#: What a part of a picture is called follows from all its digits, to the last.
_NAME = re.compile(r"\b[pm][0-9a-f]{10}\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def shown_in(page: str) -> list[str]:
    """Return the pictures a page shows.

    >>> shown_in("![Shares](images/shares.svg) and ![more](../images/demand.svg)")
    ['shares.svg', 'demand.svg']
    """
    return list(dict.fromkeys(found["name"] for found in _SHOWN.finditer(page)))


def same(one: str, other: str) -> bool:
    """Whether two SVG documents are alike but for rounding.

    >>> same('<path d="M 1.00001 2"/>', '<path d="M 1 2"/>'), same('<path d="M 1 2"/>', '<path d="M 1 3"/>')
    (True, False)
    """
    one, other = (_NAME.sub("", svg) for svg in (one, other))
    if _NUMBER.sub("", one) != _NUMBER.sub("", other):
        return False
    ours, theirs = (np.array(_NUMBER.findall(svg), dtype=np.float64) for svg in (one, other))
    return np.allclose(ours, theirs, rtol=1e-3, atol=0.05)


def stale(page: str, made: Path) -> list[str]:
    """Return the pictures of a page that are not what its code has made in the folder ``made``."""
    wrong = []
    for name in shown_in(page):
        there, fresh = DOCS / "images" / name, made / name
        if not there.exists() or not fresh.exists() or not same(there.read_text("utf-8"), fresh.read_text("utf-8")):
            wrong.append(name)
    return wrong


def main() -> None:
    """Run the pages that show pictures and copy them."""
    from tests.house.pages import PageRun

    (DOCS / "images").mkdir(exist_ok=True)
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text("utf-8")
        names = shown_in(page)
        if not names:
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            environment = {**os.environ, "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}
            PageRun(path.name, Path(folder), environment).run(page, DOCS.parent)
            for name in names:
                shutil.copy(Path(folder) / name, DOCS / "images" / name)
                sys.stdout.write(f"{path.name}: {name}\n")


if __name__ == "__main__":
    main()

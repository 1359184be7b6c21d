"""Numbers as people read them: as many digits as say something, the same in a column. Imports answer's table only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, assert_never

from revealed.answer.table import Cell, Column, Kind, Table

#: Shown where a number is not known.
UNKNOWN = "n/a"

_DIGITS = 4  # significant digits of a typical number of a column
_FEWEST = 3  # and of its smallest, if that takes no more than two further decimals
_MOST = 6  # and of its largest
_SMALLEST_P = 1e-4


class Halves(NamedTuple):
    """A number as text, cut where its decimal point is, so that a column of them can be aligned there."""

    whole: str
    fraction: str


def cells_as_text(column: Column, cells: Sequence[Cell], places: int | None = None) -> list[str]:
    """Return the cells of a column as text, formatted together.

    Parameters
    ----------
    column : Column
        Its kind says how.
    places : int, optional
        Decimals; by default as many as say something.
    cells : sequence
        Text or numbers; None becomes empty, NaN ``n/a``. Text in a column of numbers stays as it is, and a whole
        number (an ``int``) gets no decimals.

    Examples
    --------
    >>> cells_as_text(Column("Estimate"), [-0.154633, -0.701187, 12.5, None])
    ['-0.1546', '-0.7012', '12.5000', '']
    >>> cells_as_text(Column("p", "p-value"), [0.0312, 1e-9])
    ['0.0312', '<0.0001']
    >>> cells_as_text(Column("Share", "share"), [0.0751, 0.667])
    ['7.5%', '66.7%']
    >>> cells_as_text(Column("Change (points)", "points"), [-0.012, 0.051])
    ['-1.2', '5.1']
    """
    numbers = [_number(cell) for cell in cells]
    places = _decimals(column.kind, cells) if places is None else places
    return [
        _plain(cell)
        if number is None
        else _format("integer" if isinstance(cell, int) and column.kind == "number" else column.kind, number, places)
        for cell, number in zip(cells, numbers, strict=True)
    ]


def table_as_text(table: Table) -> list[list[str]]:
    """Return a table's cells as text, row by row; columns of numbers of like size get the same decimals.

    So do all columns of points, which are a change and its interval.
    """
    cells = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    wanted = {i: _decimals(column.kind, cells[i]) for i, column in enumerate(table.columns) if column.kind == "number"}
    fewest: list[int] = []
    for places in sorted(set(wanted.values())):
        if not fewest or places > fewest[-1] + 1:
            fewest.append(places)
    places_of = {i: max(few for few in fewest if few <= places) for i, places in wanted.items()}
    points = {i: _decimals("points", cells[i]) for i, column in enumerate(table.columns) if column.kind == "points"}
    places_of |= dict.fromkeys(points, max(points.values(), default=0))
    columns = [cells_as_text(column, cells[i], places_of.get(i)) for i, column in enumerate(table.columns)]
    return [list(row) for row in zip(*columns, strict=True)]


def number_as_text(value: float, kind: Kind = "number") -> str:
    """Return a single number as text.

    >>> number_as_text(5331.25178), number_as_text(0.2345, "share"), number_as_text(1234567, "integer")
    ('5,331.25', '23.4%', '1,234,567')
    """
    return cells_as_text(Column("", kind), [value])[0]


def halves(texts: Sequence[str]) -> list[Halves]:
    """Cut texts where their decimal point is.

    >>> halves(["1.25", "100", "<0.01"])
    [Halves(whole='1', fraction='.25'), Halves(whole='100', fraction=''), Halves(whole='<0', fraction='.01')]
    """
    cut = []
    for text in texts:
        at = text.find(".")
        if at < 0 and text.endswith("%"):
            at = len(text) - 1
        cut.append(
            Halves(text, "")
            if at < 0 or not text[:at].strip("-+<≈~").replace(",", "").isdigit()
            else Halves(text[:at], text[at:])
        )
    return cut


def is_numeric(kind: Kind) -> bool:
    """Whether cells of a kind are numbers, to be aligned on the decimal point."""
    return kind != "text"


def _number(cell: Cell) -> float | None:
    if cell is None or isinstance(cell, str | bool) or not math.isfinite(cell):
        return None
    return float(cell)


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return UNKNOWN if math.isnan(cell) else ("∞" if cell > 0 else "-∞")
    return str(cell)


def _decimals(kind: Kind, cells: Sequence[Cell]) -> int:
    """Return how many decimals the numbers of a column get."""
    numbers = [_number(cell) for cell in cells if not isinstance(cell, int)]
    sizes = [abs(number) for number in numbers if number is not None]
    above_zero = sorted(size for size in sizes if size > 0)
    if kind in ("p-value", "statistic"):
        return 4 if kind == "p-value" else 2
    if kind in ("share", "points"):
        # Changes of shares are small, and a tenth of a percent too coarse for them.
        return 1 if not above_zero or above_zero[len(above_zero) // 2] >= 0.05 else 2
    if kind != "number" or not above_zero or all(size == round(size) and size < 1e15 for size in sizes):
        return 0
    typical = above_zero[(len(above_zero) - 1) // 2]
    places = min(max(_places(typical, _DIGITS), 4 if above_zero[-1] < 10 else 2), 6)
    places += min(max(_places(above_zero[0], _FEWEST) - places, 0), 2)
    return min(places, max(_places(above_zero[-1], _MOST), 2))


def _places(size: float, digits: int) -> int:
    """Return the decimals with which a number shows so many significant digits."""
    return max(digits - 1 - math.floor(math.log10(size)), 0)


def _format(kind: Kind, number: float, places: int) -> str:
    match kind:
        case "number":
            if abs(number) >= 1e15 or 0 < abs(number) < 1e-6:
                return f"{number:.{_FEWEST - 1}e}"
            # Where the column's decimals leave a small number without digits, it gets more of its own.
            own = _places(abs(number), 2) if number and round(number, places) != number else 0
            return _signed(f"{number:,.{max(places, own)}f}")
        case "integer":
            return f"{number:,.0f}" if number == round(number) else f"{number:,.1f}"
        case "share":
            return _signed(f"{100 * number:.{places}f}") + "%"
        case "points":
            return _signed(f"{100 * number:.{places}f}")
        case "p-value":
            return f"<{_SMALLEST_P:.4f}" if number < _SMALLEST_P else f"{number:.{places}f}"
        case "statistic":
            return _signed(f"{number:,.{places}f}")
        case "text":
            return _signed(f"{number:.6g}")
        case _:
            assert_never(kind)


def _signed(text: str) -> str:
    """Return the text without the minus of a zero."""
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text

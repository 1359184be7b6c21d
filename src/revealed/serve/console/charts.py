"""Small charts as SVG that a strict content-security policy lets pass. Imports nothing of ours.

Colours come from the style sheet by class, so that charts follow light and dark. Each has its meaning as a title; the
numbers stand in a table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 360, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 6, 10, 22


def chart(values: Sequence[float | None], ends: tuple[str, str], title: str, bars: bool = False) -> Markup:
    """Return values over time.

    Parameters
    ----------
    values : sequence of float or None
        From 0 up, at equal distances; None where nothing is known, and nothing is drawn.
    ends : (str, str)
        What stands below the first and the last.
    title : str
        What it shows, for those who do not see it.
    bars : bool
        As bars, for counts; else as a line.
    """
    known = [value for value in values if value is not None]
    step = _step(max(known, default=1.0) or 1.0)
    top = step * max(1, ceil(max(known, default=1.0) / step - 1e-9))
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    each = width / max(len(values), 1)

    def down(value: float) -> float:
        return _TOP + height * (1 - value / top)

    parts = [_axis(step * i, down(step * i)) for i in range(round(top / step) + 1)]
    places = [(_LEFT + each * i, value) for i, value in enumerate(values)]
    if bars:
        parts += [
            f'<rect class="mark" x="{x + 0.1 * each:.1f}" y="{down(value):.1f}" width="{0.8 * each:.1f}" '
            f'height="{max(_TOP + height - down(value), 0):.1f}"/>'
            for x, value in places
            if value
        ]
    else:
        parts += _line([(x + each / 2, None if value is None else down(value)) for x, value in places])
    below = _HEIGHT - 6
    parts.append(f'<text class="tick" x="{_LEFT}" y="{below}">{escape(ends[0])}</text>')
    parts.append(f'<text class="tick last" x="{_WIDTH - _RIGHT}" y="{below}">{escape(ends[1])}</text>')
    drawn = "".join(parts)
    return Markup(  # noqa: S704 - numbers, and texts that were escaped
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{drawn}</svg>'
    )


def interval(low: float, middle: float, high: float, reach: float) -> Markup:
    """Return an estimate with its interval on a line from minus to plus ``reach``, 0 in the middle."""

    def place(value: float) -> float:
        return 60 + 56 * max(-1.0, min(1.0, value / reach))

    a, b, c = place(low), place(middle), place(high)
    return Markup(  # noqa: S704 - numbers
        '<svg class="interval" viewBox="0 0 120 14" aria-hidden="true"><path class="zero" d="M60 0V14"/>'
        f'<path class="span" d="M{a:.1f} 7H{c:.1f}"/><circle class="mark" cx="{b:.1f}" cy="7" r="3.5"/></svg>'
    )


def share(value: float) -> Markup:
    """Return a share between 0 and 1 as a bar."""
    return Markup(  # noqa: S704 - a number
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="whole" width="100" height="10"/>'
        f'<rect class="mark" width="{100 * max(0.0, min(1.0, value)):.1f}" height="10"/></svg>'
    )


def _axis(value: float, y: float) -> str:
    label = f"{value:,.6g}"
    return (
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="tick last" x="{_LEFT - 5}" y="{y + 4:.1f}">{label}</text>'
    )


def _line(points: Sequence[tuple[float, float | None]]) -> list[str]:
    """Return the points, and a line through those that follow each other."""
    path, last, marks = "", False, []
    for x, y in points:
        if y is not None:
            path += f"{'L' if last else 'M'}{x:.1f} {y:.1f}"
            marks.append(f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>')
        last = y is not None
    return [f'<path class="line" d="{path}"/>', *marks] if path else []


def _step(largest: float) -> float:
    """Return a round distance of two to five ticks."""
    size = 10.0 ** floor(log10(largest))
    return next(size * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if largest <= 4 * size * part)

"""Shares before and after a change as an SVG that a strict content-security policy lets pass. Imports answer.

Colours come from the style sheet by class; the numbers stand in a table beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, isfinite

from markupsafe import Markup, escape

from revealed.answer.whatif import ShareChange

_WIDTH, _LEFT, _RIGHT, _ROW, _BOTTOM = 360, 4, 14, 42, 20
_LONGEST = 40


def share_chart(shares: Sequence[ShareChange]) -> Markup:
    """Return the share of each alternative: before as a bar, after as another with its interval.

    Parameters
    ----------
    shares : sequence of ShareChange
        Of one segment.
    """
    ends = [value for one in shares for value in (one.before.value, one.after.value, one.after.high) if isfinite(value)]
    top = ceil(10 * max(ends, default=1.0) - 1e-9) / 10 or 0.1
    width, height = _WIDTH - _LEFT - _RIGHT, _ROW * len(shares)

    def across(share: float) -> float:
        return _LEFT + width * max(0.0, min(share if isfinite(share) else 0.0, top)) / top

    parts = []
    for share in (0.0, top / 2, top):
        x, kind = across(share), "tick" if share == 0 else "tick last" if share == top else "tick middle"
        parts.append(f'<path class="grid" d="M{x:.1f} 0V{height}"/>')
        parts.append(f'<text class="{kind}" x="{x:.1f}" y="{height + 14}">{100 * share:.3g}%</text>')
    for place, one in enumerate(shares):
        parts.append(_row(one, _ROW * place, across))
    told = "; ".join(
        f"{one.alternative} {_percent(one.before.value)}, then {_percent(one.after.value)}" for one in shares
    )
    return Markup(  # noqa: S704 - numbers, and texts that were escaped
        f'<svg class="chart shares" viewBox="0 0 {_WIDTH} {height + _BOTTOM}" role="img" '
        f'aria-label="{escape(f"Shares before and after: {told}")}">{"".join(parts)}</svg>'
    )


def _row(one: ShareChange, top: float, across: Callable[[float], float]) -> str:
    """Return the bars of an alternative, with its name above them."""
    before, after = across(one.before.value), across(one.after.value)
    label = one.alternative if len(one.alternative) <= _LONGEST else f"{one.alternative[: _LONGEST - 1]}…"
    parts = [
        f'<text class="label" x="{_LEFT}" y="{top + 12}">{escape(label)}</text>',
        f'<rect class="before" x="{_LEFT}" y="{top + 17}" width="{before - _LEFT:.1f}" height="6"/>',
        f'<rect class="mark" x="{_LEFT}" y="{top + 25}" width="{after - _LEFT:.1f}" height="10"/>',
    ]
    if isfinite(one.after.low) and isfinite(one.after.high):
        y, low, high = top + 30, across(one.after.low), across(one.after.high)
        parts.append(f'<path class="reach" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"/>')
    return "".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if isfinite(share) else "unknown"

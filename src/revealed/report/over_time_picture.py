"""A picture of what-ifs over time: a panel for each measure, before and after. Imports report's drawing and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from revealed.answer.over_time import OverTime, Series
from revealed.answer.population import EVERYONE
from revealed.errors import SpecificationError
from revealed.report.drawing import drawing
from revealed.report.style import BLUE, INKS, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_, _FAINT, _, _ = INKS
#: Panels beside each other.
_ACROSS = 2


def picture_of_over_time(
    answer: OverTime,
    segment: str = EVERYONE,
    truth: Mapping[str, Float[np.ndarray, " T"]] | None = None,
) -> Figure:
    """Draw each measure of a what-if over time, period by period: as things are, and after the change with its band.

    Parameters
    ----------
    answer : OverTime
    segment : str
    truth : mapping from measure to ndarray of float64, shape (T,), optional
        What would truly happen, where that is known, to draw beside.

    Raises
    ------
    SpecificationError
        If there is no such segment or measure.
    """
    one = answer.of(segment)
    measures = list(one.after)
    for name in truth or {}:
        if name not in measures:
            raise SpecificationError(f"no measure {name!r}; there are {', '.join(measures)}")
    down = -(-len(measures) // _ACROSS)
    with drawing((7.2, 0.6 + 2.3 * down)) as figure:
        panels = figure.subplots(down, min(_ACROSS, len(measures)), squeeze=False).ravel()
        for place, (panel, name) in enumerate(zip(panels, measures, strict=False)):
            _draw(
                panel, name, one.before[name], one.after[name], (truth or {}).get(name), share=not answer.is_paid(name)
            )
            if place >= len(measures) - _ACROSS:
                panel.set_xlabel("period")
        for panel in panels[len(measures) :]:
            panel.set_visible(False)
        panels[0].legend(loc="best")
    return figure


def _draw(
    panel: Axes, name: str, before: Series, after: Series, truth: Float[np.ndarray, " T"] | None, share: bool
) -> None:
    factor = 100.0 if share else 1.0
    periods = np.arange(1, len(after.value) + 1)
    panel.plot(periods, factor * before.value, color=_FAINT, linestyle="--", linewidth=1.6, label="as things are")
    if np.isfinite(after.low).all():
        panel.fill_between(periods, factor * after.low, factor * after.high, color=BLUE, alpha=0.18, linewidth=0)
    panel.plot(periods, factor * after.value, color=BLUE, linewidth=2.0, label="after the change")
    if truth is not None:
        panel.plot(periods, factor * truth, color=ORANGE, linestyle=":", linewidth=2.0, label="truth")
    panel.set_title(f"{name}, %" if share else name, fontsize=10)
    panel.set_xlim(1, max(2, len(periods)))
    panel.margins(y=0.15)

"""Pictures of results: of a fit, a what-if, a demand curve, a validation. Imports report's drawing, answer and models.

Every function returns a matplotlib ``Figure``; :func:`save_picture` writes it whole, and :func:`as_picture` makes it
part of a page.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from revealed.answer.calibration import Calibration
from revealed.answer.demand import DemandCurve
from revealed.answer.interval import Estimate
from revealed.answer.population import EVERYONE
from revealed.answer.whatif import WhatIf
from revealed.errors import OutputError
from revealed.evidence.level import quantile
from revealed.files import write_whole
from revealed.models.fit import Fit
from revealed.report.content import Picture
from revealed.report.drawing import STYLE, Interval, draw_calibration, draw_demand, draw_estimates, draw_shares
from revealed.report.style import INKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ROWS = 20
_FORMATS = (".svg", ".png", ".pdf")


def picture_of_estimates(fit: Fit, *, errors: str | None = None, level: float = 0.95) -> Figure:
    """Draw the estimates of a fit with their intervals; hollow where there is none."""
    names = fit.names
    half = quantile(level) * fit.standard_errors(errors)
    half = np.where(half > 0, half, np.nan)
    estimates = Interval(np.asarray(fit.params), fit.params - half, fit.params + half)
    return draw_estimates(names, estimates, f"estimate and {100 * level:g}% interval ({errors or fit.errors} errors)")


def picture_of_whatif(answer: WhatIf, segment: str = EVERYONE) -> Figure:
    """Draw the shares of a what-if before and after, of everyone or of a segment; the largest 20 of more."""
    shares = [answer.share(alternative, segment) for alternative in answer.alternatives]
    shares = sorted(shares, key=lambda item: -max(item.before.value, item.after.value))[:_MOST_ROWS]
    before = np.array([item.before.value for item in shares])
    return draw_shares([item.alternative for item in shares], before, _interval([item.after for item in shares]))


def picture_of_demand(curve: DemandCurve) -> Figure:
    """Draw a demand curve."""
    values = np.array([point.value for point in curve.points])
    share = _interval([point.share for point in curve.points])
    return draw_demand(values, [share], [curve.alternative], curve.attribute)


def picture_of_scenarios(
    values: Sequence[float], answers: Sequence[WhatIf], label: str, now: float | None = None
) -> Figure:
    """Draw the share of every alternative over a run of what-ifs.

    Parameters
    ----------
    values : sequence of float
        What was set in each, ascending: a price, or a factor on one.
    answers : sequence of WhatIf
    label : str
        What the values are.
    now : float, optional
        The value that stands for no change.
    """
    names = answers[0].alternatives
    shares = [_interval([answer.share(name).after for answer in answers]) for name in names]
    return draw_demand(np.array(values, dtype=np.float64), shares, names, label, now)


def picture_of_calibration(calibration: Calibration) -> Figure:
    """Draw how often alternatives were chosen against the probability the model gave them."""
    bins = calibration.bins
    predicted, observed, low, high, size = (
        np.array([getattr(each, name) for each in bins])
        for name in ("predicted", "observed", "observed_low", "observed_high", "n")
    )
    return draw_calibration(predicted, Interval(observed, low, high), size)


def _interval(estimates: Sequence[Estimate]) -> Interval:
    value, low, high = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "low", "high"))
    return Interval(value, low, high)


# ---- where they go --------------------------------------------------------------------------------------------------


def save_picture(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure to an ``.svg``, ``.png`` or ``.pdf`` file, whole or not at all.

    Raises
    ------
    OutputError
        If the format is not known or the file cannot be written.
    """
    require_picture(path)
    return write_whole(path, _bytes(figure, Path(path).suffix.lower()[1:]))


def require_picture(path: str | os.PathLike[str]) -> None:
    """Raise OutputError for a file whose suffix is of no format that pictures are written in."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise OutputError(f"a picture is written as {', '.join(_FORMATS)}, not {suffix or 'a file without a suffix'}")


def as_picture(figure: Figure, caption: str) -> Picture:
    """Return a figure as a part of a page; there it takes the page's colours, light or dark.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    caption : str
        What it shows.
    """
    svg = _bytes(figure, "svg", transparent=True).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in INKS.items():
        svg = svg.replace(colour, f"var(--{variable}, {colour})")
    return Picture(svg, caption)


def _bytes(figure: Figure, kind: str, transparent: bool = False) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A letter that no font of this machine has is drawn as a box; that is all that can be done.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(buffer, format=kind, dpi=160, transparent=transparent, metadata=metadata)
    return buffer.getvalue()

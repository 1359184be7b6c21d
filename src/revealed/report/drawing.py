"""Drawing by matplotlib without its global state, in one quiet style. Imports report's style and the errors.

Every function takes plain arrays and returns a matplotlib ``Figure``; :mod:`revealed.report.pictures` draws results.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from revealed.errors import MissingExtraError
from revealed.report.style import BLUE, GREEN, INKS, ORANGE, PURPLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _LINE, _GROUND = INKS
_WIDTH = 7.2
#: Coefficients this many times smaller than the largest get an axis of their own, or they could not be seen.
_SPREAD = 15.0
#: Of lines, one after the other; when all are used, the next dash begins.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#5a6472", "#b8860b", "#0f9bb3")
DASHES = ("-", "--", "-.", ":")

_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
)

STYLE: Any = {
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _FAINT,
    "axes.labelsize": 9.5,
    "axes.edgecolor": _LINE,
    "axes.facecolor": "none",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.7,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": _GROUND,
    "savefig.facecolor": _GROUND,
    "svg.fonttype": "path",
    "svg.hashsalt": "revealed",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Interval:
    """Values with their intervals, one of each per thing drawn.

    Parameters
    ----------
    value, low, high : array of float64, shape (n,)
        NaN where there is no interval.
    """

    value: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


# ---- the pictures ---------------------------------------------------------------------------------------------------


def draw_estimates(names: Sequence[str], estimates: Interval, note: str = "") -> Figure:
    """Draw estimates with their intervals, in as many panels as their sizes ask for.

    Parameters
    ----------
    names : sequence of str
    estimates : Interval
    note : str
        What the intervals are, below the axis.
    """
    panels = _panels(estimates)
    with drawing((_WIDTH, 1.0 + 0.34 * len(names) + 0.45 * (len(panels) - 1))) as figure:
        ratios = [len(panel) + 0.6 for panel in panels]
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
        for ax, panel in zip(axes, panels, strict=True):
            _estimates_panel(ax, [names[i] for i in panel], _part(estimates, panel))
        axes[-1].set_xlabel(note)
    return figure


def draw_shares(
    names: Sequence[str],
    before: Float[np.ndarray, " n"],
    after: Interval,
    labels: tuple[str, str] = ("before", "after"),
) -> Figure:
    """Draw shares before and after a change as dumbbells, with the interval of what comes after.

    Parameters
    ----------
    names : sequence of str
        The alternatives.
    before : array of float64, shape (n,)
        Shares between 0 and 1.
    after : Interval
        The same after the change.
    labels : (str, str)
        What to call the two.
    """
    with drawing((_WIDTH, 1.25 + 0.42 * len(names))) as figure:
        ax = figure.subplots()
        at = np.arange(len(names))
        ax.hlines(at, before, after.value, color=_FAINT, linewidth=1.6, alpha=0.6, zorder=2)
        known = np.isfinite(after.low) & np.isfinite(after.high)
        ax.hlines(at[known], after.low[known], after.high[known], color=ORANGE, linewidth=7, alpha=0.28, zorder=3)
        ax.scatter(before, at, s=52, facecolor=_GROUND, edgecolor=BLUE, linewidth=1.8, label=labels[0], zorder=4)
        ax.scatter(after.value, at, s=52, color=ORANGE, label=labels[1], zorder=5)
        right = float(np.nanmax(np.concatenate([before, after.value, after.high[known]])))
        ax.set_xlim(0, right * 1.06)
        # As labels of an axis of their own on the right, the numbers get the room they need, whatever the names.
        beside = ax.twinx()
        beside.set_yticks(at, [_change(before[i], after.value[i]) for i in at])
        _rows_frame(beside, len(names))
        _rows(ax, names)
        _percent_axis(ax.xaxis, right)
        ax.set_xlabel("share of choices")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, handletextpad=0.2, columnspacing=1.4)
    return figure


def draw_demand(
    price: Float[np.ndarray, " steps"],
    shares: Sequence[Interval],
    names: Sequence[str],
    price_label: str = "price",
    now: float | None = None,
) -> Figure:
    """Draw demand curves: what share each alternative has as a price moves.

    Parameters
    ----------
    price : array of float64, shape (steps,)
        The price, or a factor on it.
    shares : sequence of Interval
        For each alternative, its share at each price, between 0 and 1.
    names : sequence of str
        The alternatives.
    price_label : str
        What the price is, with its unit.
    now : float, optional
        Where the price is now.
    """
    with drawing((_WIDTH, 4.0)) as figure:
        ax = figure.subplots()
        for i, (share, name) in enumerate(zip(shares, names, strict=True)):
            colour, dash = COLOURS[i % len(COLOURS)], DASHES[(i // len(COLOURS)) % len(DASHES)]
            if np.isfinite(share.low).all() and np.isfinite(share.high).all():
                ax.fill_between(price, share.low, share.high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(price, share.value, color=colour, linestyle=dash, linewidth=2.0, label=name)
        if now is not None:
            ax.axvline(now, color=_FAINT, linewidth=1.0, linestyle=(0, (2, 3)))
            ax.annotate("now", (now, 1.0), (4, -2), ("data", "axes fraction"), "offset points",
                        va="top", fontsize=9, color=_FAINT)  # fmt: skip
        ax.set_xlim(float(price.min()), float(price.max()))
        top = float(max(np.nanmax(np.append(share.high, share.value)) for share in shares))
        ax.set_ylim(0, top * 1.06)
        _percent_axis(ax.yaxis, top)
        ax.set_xlabel(price_label)
        ax.set_ylabel("share of choices")
        _name_lines(ax, price, shares, names)
    return figure


def draw_calibration(
    predicted: Float[np.ndarray, " bins"], observed: Interval, sizes: Float[np.ndarray, " bins"]
) -> Figure:
    """Draw how often alternatives were chosen against the probability they were given.

    Parameters
    ----------
    predicted : array of float64, shape (bins,)
        The mean predicted probability in each bin.
    observed : Interval
        The share of them chosen, between 0 and 1.
    sizes : array of float64, shape (bins,)
        How many predictions a bin holds.
    """
    with drawing((5.6, 5.0)) as figure:
        ax = figure.subplots()
        top = float(min(1.0, 1.08 * np.nanmax(np.concatenate([predicted, observed.value, observed.high]))))
        ax.plot([0, top], [0, top], color=_FAINT, linewidth=1.2, linestyle=(0, (4, 3)), label="perfect calibration")
        known = np.isfinite(observed.low)
        ax.vlines(predicted[known], observed.low[known], observed.high[known], color=BLUE, linewidth=1.8, alpha=0.55)
        area = 20 + 60 * sizes / max(float(sizes.max()), 1.0)
        ax.scatter(predicted, observed.value, s=area, color=BLUE, zorder=3, label="alternatives offered, in bins")
        ax.set_xlim(-0.02 * top, top)
        ax.set_ylim(-0.02 * top, top)
        ax.set_aspect("equal")
        _percent_axis(ax.xaxis, top)
        _percent_axis(ax.yaxis, top)
        ax.set_xlabel("probability the model gave")
        ax.set_ylabel("share actually chosen")
        ax.legend(loc="upper left")
    return figure


# ---- pieces ---------------------------------------------------------------------------------------------------------


@contextmanager
def drawing(size: tuple[float, float]) -> Iterator[Figure]:
    """Yield an empty figure in the house's style."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a picture", "plots") from None
    with mpl.rc_context(STYLE | {"font.family": _fonts()}):
        yield Figure(figsize=size, layout="constrained")


@functools.cache
def _fonts() -> list[str]:
    """Return the fonts to take letters from: our own, then those of this machine that know other scripts."""
    from matplotlib import font_manager

    there = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in there)]


def _panels(estimates: Interval) -> list[list[int]]:
    """Return which estimates share an axis: those of like size, the largest first, in the order given."""
    reach = np.abs(estimates.value)
    for bound in (estimates.low, estimates.high):
        reach = np.fmax(reach, np.abs(bound))
    left = [int(i) for i in np.argsort(-reach, kind="stable")]
    panels: list[list[int]] = []
    while left:
        largest = reach[left[0]]
        # Three axes are as many as can be read side by side.
        panel = [i for i in left if len(panels) == 2 or reach[i] * _SPREAD >= largest]
        panels.append(sorted(panel))
        left = [i for i in left if i not in panel]
    return panels


def _part(interval: Interval, index: Sequence[int]) -> Interval:
    at = np.array(index)
    return Interval(interval.value[at], interval.low[at], interval.high[at])


def _estimates_panel(ax: Axes, names: Sequence[str], estimates: Interval) -> None:
    at = np.arange(len(names))
    known = np.isfinite(estimates.low) & np.isfinite(estimates.high)
    ax.axvline(0, color=_FAINT, linewidth=1.0, zorder=1)
    ax.hlines(at[known], estimates.low[known], estimates.high[known], color=BLUE, linewidth=2.2, alpha=0.6, zorder=2)
    ax.scatter(estimates.value[known], at[known], s=34, color=BLUE, zorder=3)
    # Hollow: fixed, at a bound, or not identified.
    ax.scatter(estimates.value[~known], at[~known], s=34, facecolor=_GROUND, edgecolor=BLUE, linewidth=1.5, zorder=3)
    ax.margins(x=0.06)
    ax.locator_params(axis="x", nbins=7)
    _rows(ax, names)


def _rows(ax: Axes, names: Sequence[str]) -> None:
    """Put names along the vertical axis, the first on top."""
    ax.set_yticks(range(len(names)), [_shortened(name) for name in names], color=_INK)
    _rows_frame(ax, len(names))


def _rows_frame(ax: Axes, count: int) -> None:
    ax.set_ylim(count - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)


def _change(before: float, after: float) -> str:
    return f"{_percent(before)} → {_percent(after)}  ({100 * (after - before):+.1f} points)".replace("-", "−")


def _shortened(name: str) -> str:
    plain = name.replace("$", r"\$")  # matplotlib would take it for a formula
    return plain if len(plain) <= 38 else f"{plain[:24]}…{plain[-13:]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _percent_axis(axis: Any, largest: float) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0 if largest > 0.08 else 1))


def _name_lines(ax: Axes, price: Float[np.ndarray, " steps"], shares: Sequence[Interval], names: Sequence[str]) -> None:
    """Write each line's name at its right end, moved apart where ends meet; a legend for more than a few."""
    if len(names) > 7:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return
    low, high = ax.get_ylim()
    gap = 0.055 * (high - low)
    ends = np.array([share.value[-1] for share in shares])
    order = np.argsort(ends, kind="stable")
    places = ends[order].copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    for line, place in zip(order, places, strict=True):
        colour = ax.get_lines()[int(line)].get_color()
        ax.annotate(_shortened(names[int(line)]), (float(price[-1]), float(place)), (8, 0),
                    textcoords="offset points", va="center", color=colour, annotation_clip=False)  # fmt: skip

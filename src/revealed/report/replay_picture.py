"""A picture of regret: what rules of exploration lose, round by round. Imports report's drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from revealed.report.drawing import COLOURS, DASHES, Interval, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture_of_regret(rounds: Int[np.ndarray, " points"], curves: Mapping[str, Interval]) -> Figure:
    """Draw cumulative regret over rounds, from nothing before the first, a line with its band for each rule.

    Parameters
    ----------
    rounds : array of int, shape (points,)
    curves : mapping from rule to Interval
        Mean regret up to each of these rounds, with its interval over seeds; NaN where there is none.
    """
    ends = np.append(0, rounds)
    with drawing((7.2, 4.2)) as figure:
        axes = figure.subplots()
        for number, (name, curve) in enumerate(curves.items()):
            colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
            if np.isfinite(curve.low).all():
                low, high = np.append(0.0, curve.low), np.append(0.0, curve.high)
                axes.fill_between(ends, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(ends, np.append(0.0, curve.value), color=colour, linestyle=dash, linewidth=2.0, label=name)
        axes.set_xlim(0, float(rounds[-1]))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("rounds")
        axes.set_ylabel('cumulative regret, in expected answers "yes"')
        axes.legend(loc="upper left")
    return figure


def interval_of(runs: Float[np.ndarray, "seeds points"], level: float = 0.95) -> Interval:
    """Return mean and Student's interval over seeds; without an interval for one seed."""
    from scipy.stats import t

    mean = runs.mean(axis=0)
    if len(runs) < 2:
        nothing = np.full(mean.shape, np.nan)
        return Interval(mean, nothing, nothing)
    half = t.ppf((1 + level) / 2, len(runs) - 1) * runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    return Interval(mean, mean - half, mean + half)

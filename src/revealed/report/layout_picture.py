"""The picture of layouts: what each option and pair does, with intervals. Imports decide and report's drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from revealed.decide.layout.effects import Effect
from revealed.errors import SpecificationError
from revealed.report.drawing import Interval, draw_estimates
from revealed.report.layouts import clearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So many pairs are drawn, the clearest; the picture would be taller than a page else.
MOST_PAIRS = 24


def picture_of_effects(effects: Sequence[Effect], *, level: float = 0.95, most_pairs: int = MOST_PAIRS) -> Figure:
    """Draw the effect of each option, then of the clearest pairs and options by context, with their intervals.

    Parameters
    ----------
    effects : sequence of Effect
    level : float
        The probability of their intervals, for the words below the axis.
    most_pairs : int
        The most effects that are not of single options to draw; those furthest from zero, in deviations.
    """
    if not effects:
        raise SpecificationError("there are no effects to draw")
    options = [effect for effect in effects if effect.kind == "option"]
    others = [effect for effect in effects if effect.kind != "option"]
    kept = set(map(id, clearest(others, most_pairs)))
    drawn = [*options, *(effect for effect in others if id(effect) in kept)]
    value, low, high = (np.array([getattr(e, name) for e in drawn]) for name in ("mean", "low", "high"))
    left = len(others) - len(kept)
    note = f"effect against the average option, and {100 * level:g}% interval"
    if left:
        note += f"; the clearest {len(kept)} of {len(others):,} pairs"
    return draw_estimates([effect.name for effect in drawn], Interval(value, low, high), note)

"""The picture of layouts: what each option and pair does, with intervals. Imports decide and report's drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from revealed.decide.layout.effects import Effect
from revealed.decide.layout.space import LayoutSpace
from revealed.errors import SpecificationError
from revealed.report.drawing import Interval, draw_estimates
from revealed.report.layouts import clearest, without_mirrors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So many pairs are drawn, the clearest; the picture would be taller than a page else.
MOST_PAIRS = 24


def picture_of_effects(
    effects: Sequence[Effect], space: LayoutSpace, *, level: float = 0.95, most_pairs: int = MOST_PAIRS
) -> Figure:
    """Draw the effect of each option, then of pairs and options by context, the clearest first, with their intervals.

    Parameters
    ----------
    effects : sequence of Effect
    space : LayoutSpace
        Of which pairs that only mirror others are left out.
    level : float
        The probability of their intervals, for the words below the axis.
    most_pairs : int
        The most effects that are not of single options to draw; those furthest from zero, in deviations.
    """
    if not effects:
        raise SpecificationError("there are no effects to draw")
    options = [effect for effect in effects if effect.kind == "option"]
    others = without_mirrors([effect for effect in effects if effect.kind != "option"], space)
    kept = clearest(others, most_pairs)
    drawn = [*options, *kept]
    value, low, high = (np.array([getattr(e, name) for e in drawn]) for name in ("mean", "low", "high"))
    note = f"effect against the average option, and {100 * level:g}% interval"
    if len(kept) < len(others):
        what = "pairs" if all(effect.kind == "pair" for effect in others) else "pairs and options by context"
        note += f"; the clearest {len(kept)} of {len(others):,} {what}"
    return draw_estimates([effect.name for effect in drawn], Interval(value, low, high), note)

"""What is learned of slates besides what things are worth: positions, and the prices of goals. Imports errors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from revealed.decide.slate.goals import AtLeast
from revealed.decide.slate.positions import PositionEffects


@dataclass(frozen=True)
class Price:
    """What it costs to keep a level.

    Parameters
    ----------
    goal : AtLeast
    value : float
        What one unit of the average is worth, in units of the slate's value: 0 where the level is kept anyway.
    average : float
        Of the measure over what is shown at this price.
    """

    goal: AtLeast
    value: float
    average: float = float("nan")

    @property
    def falls_short(self) -> bool:
        """Whether the level is not kept."""
        return self.average < self.goal.level

    @property
    def out_of_reach(self) -> bool:
        """Whether the level cannot be kept for the most that a unit may be worth."""
        return self.value >= self.goal.worth and self.falls_short


@dataclass(frozen=True)
class LearnedSlates:
    """How positions are looked at, and what goals cost, as far as a log has told.

    Parameters
    ----------
    effects : PositionEffects, optional
        From the latest log that could tell.
    prices : tuple of Price
        Of the levels to keep.
    """

    effects: PositionEffects | None = None
    prices: tuple[Price, ...] = ()

    @property
    def examination(self) -> tuple[float, ...]:
        """How likely each position is looked at, none more than the one before it: that is chance; empty if unknown."""
        if self.effects is None:
            return ()
        from scipy.optimize import isotonic_regression  # takes a while to load

        fitted = isotonic_regression(self.effects.examination, weights=self.effects.shown, increasing=False).x
        return tuple(fitted.tolist())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "effects": None if self.effects is None else self.effects.to_dict(),
            "prices": [asdict(price) for price in self.prices],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> LearnedSlates:
        """Return what :meth:`to_dict` wrote; nothing is known of slates in files from before there were any."""
        if data is None:
            return cls()
        prices = [Price(AtLeast(**one["goal"]), one["value"], one["average"]) for one in data["prices"]]
        return cls(None if data["effects"] is None else PositionEffects.from_dict(data["effects"]), tuple(prices))

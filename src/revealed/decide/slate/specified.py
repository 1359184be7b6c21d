"""What the part [slate] of a policy's file says. Imports errors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite
from typing import Any

from revealed.decide.slate.goals import AtLeast
from revealed.errors import SpecificationError


@dataclass(frozen=True)
class Slates:
    """How several things are shown at once.

    Parameters
    ----------
    size : int
        How many, where the decision does not say.
    category : str, optional
        The attribute of what is shown by which a slate is to be diverse, and to which floors refer.
    diversity : float
        How fast things of a category lose worth to others of it; 0 not at all. At 1, and all as good as the best, the
        second of a category adds 58% of the first, the third 42%.
    positions : sequence of float, or "estimated"
        How likely each position is looked at, from the top, in any unit; by default all alike. Estimated ones come from
        the log that is learned from.
    floors : mapping of category to int or float
        The least number of things (an ``int``), or the least share of the exposure (a ``float``).
    goals : mapping of attribute to float or mapping
        What one unit of an attribute is worth besides, in answers; or ``{"least": level, "worth": most}`` to keep its
        average over what is shown at a level, for at most so much.

    Raises
    ------
    SpecificationError
        For a number that cannot be.
    """

    size: int = 1
    category: str | None = None
    diversity: float = 1.0
    positions: Any = field(default=(), metadata={"accepts": (str, list, tuple)})
    floors: Mapping[str, Any] = field(default_factory=dict)
    goals: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SpecificationError(f"[slate] size is how many things are shown, at least 1, not {self.size}")
        if not 0 <= self.diversity < inf:
            raise SpecificationError(f"[slate] diversity must be a finite number, 0 or more, not {self.diversity!r}")
        if self.positions != "estimated":
            self._require_positions()
        if self.floors and self.category is None:
            raise SpecificationError('[slate] floors are of categories; say of which: category = "…"')
        for name, least in self.floors.items():
            if not _is_number(least) or not (least >= 1 if isinstance(least, int) else 0 < least <= 1):
                raise SpecificationError(
                    f"[slate] the floor of {name!r} is {least!r}; give a count (2) or a share of the exposure (0.25)"
                )
        for name, goal in self.goals.items():
            numbers = goal if isinstance(goal, Mapping) else {"least": goal, "worth": goal}
            if set(numbers) != {"least", "worth"} or not all(map(_is_number, numbers.values())):
                raise SpecificationError(
                    f"[slate] the goal {name!r} is {goal!r}; give what a unit is worth (0.1), or a level to keep and "
                    "the most that a unit may be worth for that: {least = 2.5, worth = 0.5}"
                )
        _ = self.constraints  # refuses a worth that is not above 0

    def _require_positions(self) -> None:
        if isinstance(self.positions, str) or not all(_is_number(p) and p > 0 for p in self.positions):
            raise SpecificationError(f'[slate] positions are numbers above 0, or "estimated", not {self.positions!r}')
        if any(below > above for above, below in pairwise(self.positions)):
            raise SpecificationError(
                "[slate] positions are filled from the first, so that none may be looked at more than the one before "
                f"it, as in {list(self.positions)!r}; number them in the order in which people look"
            )
        if self.positions and len(self.positions) < self.size:
            raise SpecificationError(f"[slate] has {len(self.positions)} positions for a size of {self.size}")

    @property
    def constraints(self) -> tuple[AtLeast, ...]:
        """The goals to keep at a level."""
        return tuple(
            AtLeast(name, float(goal["least"]), float(goal["worth"]))
            for name, goal in self.goals.items()
            if isinstance(goal, Mapping)
        )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes of what is shown that it refers to."""
        return (() if self.category is None else (self.category,)) + tuple(self.goals)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

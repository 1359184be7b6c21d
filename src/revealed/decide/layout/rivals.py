"""What the paper compares with: a bandit for each slot, a bandit for all combinations. Imports its own room.

Hill et al. (2017) compare with both. Ours are Thompson sampling on shares of successes with Beta beliefs; they see no
context, and learn from answers of 0 and 1 only. Their ``width`` narrows draws as that of :class:`LayoutLearner` does:
both numbers of a Beta are divided by its square, which keeps the mean and makes the deviation about that many times as
large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.decide.explore.thompson import require_width
from revealed.decide.layout.decision import LayoutDecision
from revealed.decide.layout.search import Method, Search, SearchOptions
from revealed.decide.layout.space import Layouts, LayoutSpace
from revealed.errors import SpecificationError
from revealed.models.glm.links import Probit

Counts = Float[np.ndarray, "arms 2"]


@dataclass(frozen=True, eq=False)
class SlotBandits:
    """A bandit for each slot, which knows nothing of the other slots.

    Constraints are kept by showing the allowed layout whose drawn shares have the largest sum.

    Parameters
    ----------
    space : LayoutSpace
    counts : ndarray of float64, shape (options, 2)
        The Beta belief about each option by flat number: successes and failures, the prior's included.
    width : float
        About what draws' distances from the mean are multiplied by.
    options : SearchOptions
    """

    space: LayoutSpace
    counts: Counts
    width: float = 1.0
    options: SearchOptions = field(default_factory=SearchOptions)

    def __post_init__(self) -> None:
        require_width(self.width)

    @classmethod
    def fresh(cls, space: LayoutSpace, prior: tuple[float, float] = (1.0, 1.0), width: float = 1.0) -> SlotBandits:
        """Return bandits that know nothing but a Beta prior."""
        return cls(space, _prior(prior, space.n_options), width)

    @cached_property
    def search(self) -> Search:
        """What finds the best allowed layout."""
        return Search(self.space, self.options)

    def decide(
        self, context: Mapping[str, Any] | None = None, *, seed: int | np.random.SeedSequence
    ) -> LayoutDecision:  # fmt: skip
        """Return the layout of the best drawn option in each slot; the context is not used."""
        del context
        rng = np.random.Generator(np.random.Philox(seed))
        drawn = _drawn(self.counts, self.width, rng)
        method: Method = "exhaustive"
        if self.space.clash is None:
            ends = self.space.offsets + self.space.sizes
            spans = zip(self.space.offsets, ends, strict=True)
            shown = tuple(int(drawn[low:high].argmax()) for low, high in spans)
        else:
            found = self.search.best(drawn, np.zeros((len(drawn), len(drawn))), rng)
            shown, method = found.layout, found.method
        return LayoutDecision(self.space.decode(shown), shown, method, None, "slot bandits")

    def learn(
        self,
        layouts: Layouts | Sequence[Mapping[str, str]],
        answers: Float[np.ndarray, " answers"],
        contexts: Sequence[Mapping[str, Any]] | None = None,
    ) -> SlotBandits:
        """Return the bandits after some answers, each of which every slot takes for its own."""
        del contexts
        numbers, wins = _checked(self.space, layouts, answers)
        flat = (numbers + self.space.offsets).ravel()
        won = np.repeat(wins, numbers.shape[1])
        return replace(self, counts=self.counts + _tally(flat, won, self.space.n_options))


@dataclass(frozen=True, eq=False)
class CombinationBandit:
    """A bandit whose arms are all allowed layouts, which knows nothing of what they share.

    Parameters
    ----------
    space : LayoutSpace
    counts : ndarray of float64, shape (layouts, 2)
        The Beta belief about each allowed layout.
    width : float
        About what draws' distances from the mean are multiplied by.
    """

    space: LayoutSpace
    counts: Counts
    width: float = 1.0

    def __post_init__(self) -> None:
        require_width(self.width)

    @classmethod
    def fresh(
        cls, space: LayoutSpace, prior: tuple[float, float] = (1.0, 1.0), width: float = 1.0
    ) -> CombinationBandit:
        """Return a bandit that knows nothing but a Beta prior.

        Raises
        ------
        SpecificationError
            If there are more layouts than can be listed.
        """
        return cls(space, _prior(prior, len(space.layouts())), width)

    @cached_property
    def arms(self) -> Layouts:
        """The layouts."""
        return self.space.layouts()

    def decide(
        self, context: Mapping[str, Any] | None = None, *, seed: int | np.random.SeedSequence
    ) -> LayoutDecision:  # fmt: skip
        """Return the best drawn layout; the context is not used."""
        del context
        rng = np.random.Generator(np.random.Philox(seed))
        shown = tuple(self.arms[int(_drawn(self.counts, self.width, rng).argmax())].tolist())
        return LayoutDecision(self.space.decode(shown), shown, "exhaustive", None, "combination bandit")

    def learn(
        self,
        layouts: Layouts | Sequence[Mapping[str, str]],
        answers: Float[np.ndarray, " answers"],
        contexts: Sequence[Mapping[str, Any]] | None = None,
    ) -> CombinationBandit:
        """Return the bandit after some answers."""
        del contexts
        numbers, wins = _checked(self.space, layouts, answers)
        shape = tuple(self.space.sizes)
        place = np.full(self.space.n_layouts, -1)
        place[np.ravel_multi_index(tuple(self.arms.T), shape)] = np.arange(len(self.arms))
        arm = place[np.ravel_multi_index(tuple(numbers.T), shape)]
        return replace(self, counts=self.counts + _tally(arm, wins, len(self.arms)))


def _prior(prior: tuple[float, float], count: int) -> Counts:
    if not all(np.isfinite(part) and part > 0 for part in prior):
        raise SpecificationError(f"a Beta prior has two finite numbers above zero, not {prior!r}")
    return np.tile(np.asarray(prior, dtype=np.float64), (count, 1))


def _drawn(counts: Counts, width: float, rng: np.random.Generator) -> Float[np.ndarray, " arms"]:
    """Return a share drawn for each arm."""
    return rng.beta(counts[:, 0] / width**2, counts[:, 1] / width**2)


def _tally(arm: np.ndarray, wins: np.ndarray, count: int) -> Counts:
    return np.stack([np.bincount(arm, wins, count), np.bincount(arm, 1 - wins, count)], axis=1)


def _checked(
    space: LayoutSpace, layouts: Layouts | Sequence[Mapping[str, str]], answers: Float[np.ndarray, " answers"]
) -> tuple[Layouts, Float[np.ndarray, " answers"]]:
    if isinstance(layouts, np.ndarray):
        space.require_allowed(layouts)
    numbers = layouts if isinstance(layouts, np.ndarray) else space.encode(layouts)
    wins = np.asarray(answers, dtype=np.float64)
    if len(wins) != len(numbers):
        raise SpecificationError(f"{len(wins)} answers for {len(numbers)} layouts")
    Probit().require(wins)
    return numbers, wins

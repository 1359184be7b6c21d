r"""What a person cares for each category, learned from what they chose. Imports errors only.

A weight is how many times more often the person chooses from a category than their scores foretold. With
:math:`C_c` choices and :math:`E_c = \sum e_k s_i` foretold (each split over the item's categories), and
:math:`C_c \sim \text{Poisson}(w_c E_c)`, a prior :math:`w_c \sim \text{Gamma}(a, a)` gives

.. math:: w_c \sim \text{Gamma}(a + C_c,\; a + E_c), \qquad \operatorname{E} w_c = \frac{a + C_c}{a + E_c}

(the Gamma-Poisson shrinker of DuMouchel 1999). A new person has weights of 1, like everybody. Counts alone, as in a
Dirichlet prior on shares of choices, would take what was shown often for what is liked. Teo et al. (2016) learn weights
per person as well; how, could not be read here. Counts are evidence that adds: what was learned can be unlearned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.categories import Categories
from revealed.decide.slate.checks import require_length, require_nonnegative
from revealed.errors import SpecificationError, nearest

#: Less than nothing by this much is rounding, when something is unlearned.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Tastes:
    """What is known of one person's tastes.

    Parameters
    ----------
    labels : tuple of str
        The categories.
    chosen, foretold : array, shape (categories,)
        Choices, and those that scores foretold.
    strength : float
        How many foretold choices the prior counts for, above 0.

    Raises
    ------
    SpecificationError
        If lengths do not agree or the strength is not above 0.
    DataError
        If counts are negative or not finite.
    """

    labels: tuple[str, ...]
    chosen: Float[np.ndarray, " categories"]
    foretold: Float[np.ndarray, " _"]
    strength: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.strength < np.inf:
            raise SpecificationError(f"strength is {self.strength}; give a finite number above 0")
        for counts, name in ((self.chosen, "chosen"), (self.foretold, "foretold")):
            require_length(counts, len(self.labels), name, "categories")
            require_nonnegative(counts, name)

    @classmethod
    def new(cls, categories: Categories, strength: float = 5.0) -> Tastes:
        """Return the tastes of somebody of whom nothing is known."""
        size = len(categories.labels)
        return cls(categories.labels, np.zeros(size), np.zeros(size), strength)

    def learn(
        self,
        categories: Categories,
        items: Int[np.ndarray, " size"],
        expected: Float[np.ndarray, " size"],
        clicked: Bool[np.ndarray, " size"],
    ) -> Tastes:
        """Return the tastes after a slate.

        Parameters
        ----------
        categories : Categories
            With the same labels.
        items : array of int, shape (size,)
            What was shown.
        expected : array, shape (size,)
            The choices foretold: scores times examination probabilities, 0 or more.
        clicked : array of bool, shape (size,)

        Raises
        ------
        SpecificationError
            If categories or lengths are others.
        DataError
            If what was foretold is negative or not finite.
        """
        chosen, foretold = self._counts(categories, items, expected, clicked)
        return replace(self, chosen=self.chosen + chosen, foretold=self.foretold + foretold)

    def unlearn(
        self,
        categories: Categories,
        items: Int[np.ndarray, " size"],
        expected: Float[np.ndarray, " size"],
        clicked: Bool[np.ndarray, " size"],
    ) -> Tastes:
        """Return the tastes without a slate that they learned from; the inverse of :meth:`learn` up to rounding.

        Raises
        ------
        SpecificationError
            If they cannot have learned from it; and as :meth:`learn`.
        """
        chosen, foretold = self._counts(categories, items, expected, clicked)
        left = [self.chosen - chosen, self.foretold - foretold]
        if any((counts < -ROUNDING).any() for counts in left):
            raise SpecificationError(
                "these tastes did not learn from that slate: there would be less than nothing left"
            )
        return replace(self, chosen=np.maximum(left[0], 0.0), foretold=np.maximum(left[1], 0.0))

    def weights(self) -> Float[np.ndarray, " categories"]:
        """Return the posterior means: 1 is as everybody."""
        return (self.strength + self.chosen) / (self.strength + self.foretold)

    def draw(self, rng: np.random.Generator, size: int) -> Float[np.ndarray, "size categories"]:
        """Return posterior draws of the weights."""
        shape = (size, len(self.labels))
        return rng.gamma(self.strength + self.chosen, 1.0, shape) / (self.strength + self.foretold)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "labels": list(self.labels),
            "chosen": self.chosen.tolist(),
            "foretold": self.foretold.tolist(),
            "strength": self.strength,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tastes:
        """Rebuild tastes from :meth:`to_dict`.

        Raises
        ------
        SpecificationError
            If a field lacks; and as the class itself.
        """
        for name in ("labels", "chosen", "foretold", "strength"):
            if name not in data:
                raise SpecificationError(f"tastes need their {name!r}; {nearest(name, map(str, data))}")
        chosen, foretold = (np.array(data[name], float) for name in ("chosen", "foretold"))
        return cls(tuple(data["labels"]), chosen, foretold, float(data["strength"]))

    def _counts(
        self,
        categories: Categories,
        items: Int[np.ndarray, " size"],
        expected: Float[np.ndarray, " size"],
        clicked: Bool[np.ndarray, " size"],
    ) -> tuple[Float[np.ndarray, " categories"], Float[np.ndarray, " categories"]]:
        if categories.labels != self.labels:
            raise SpecificationError("the categories are others than those of the tastes; use one list of labels")
        require_nonnegative(expected, "expected")
        sets, shares = categories.sets[items], categories.shares()[items]
        counts = []
        for values in (clicked.astype(float), expected):
            split = np.broadcast_to(values[:, None], sets.shape) * shares
            counts.append(np.bincount(sets.ravel(), weights=split.ravel(), minlength=len(self.labels) + 1)[:-1])
        return counts[0], counts[1]

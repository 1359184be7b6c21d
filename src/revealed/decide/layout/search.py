"""The best layout under given effects: by looking at all, or by climbing. Imports its own room and loops.

Looking at all costs little more than writing them down: slots are cut in two halves, a layout is a left half with a
right half, and what the halves say to each other is one product of matrices.

Climbing is Hill et al.'s (2017): from random layouts, each step takes the best option of one slot given the others. All
starts climb at once. A climb is over when a round over all slots, in random order, changed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.layout.design import Pairs, Unary
from revealed.decide.layout.space import LayoutSpace, combinations_of
from revealed.engine import loops
from revealed.errors import SpecificationError

Method = Literal["exhaustive", "hill climbing"]


@dataclass(frozen=True)
class SearchOptions:
    """How the best layout is looked for.

    Parameters
    ----------
    exhaustive_up_to : int
        Look at all layouts if there are no more than these (allowed or not), else climb.
    starts : int
        Climbs begin at so many random layouts, S in the paper.
    rounds : int
        Over all slots, at most; K in the paper counts slots.
    """

    exhaustive_up_to: int = 100_000
    starts: int = 64
    rounds: int = 20

    def __post_init__(self) -> None:
        if self.starts < 1 or self.rounds < 1 or self.exhaustive_up_to < 0:
            raise SpecificationError("a search needs one start and one round at least, and no negative numbers")


@dataclass(frozen=True)
class Found:
    """The best layout that was found.

    Parameters
    ----------
    layout : tuple of int
        The option in each slot.
    value : float
        The sum of its effects and those of its pairs, without the level.
    method : {"exhaustive", "hill climbing"}
        Exhaustive: it is the best. Hill climbing: no change of one slot makes it better.
    """

    layout: tuple[int, ...]
    value: float
    method: Method

    @property
    def certain(self) -> bool:
        """Whether no layout is better."""
        return self.method == "exhaustive"


class Search:
    """Finds the best allowed layout of a space under any effects.

    Parameters
    ----------
    space : LayoutSpace
    options : SearchOptions, optional
    """

    def __init__(self, space: LayoutSpace, options: SearchOptions | None = None) -> None:
        self.space = space
        self.options = options or SearchOptions()
        self.method: Method = (
            "exhaustive" if space.n_layouts <= self.options.exhaustive_up_to else "hill climbing"
        )  # fmt: skip
        if self.method == "exhaustive":
            self._halves = _Halves(space)
        self._ends = np.append(space.offsets, space.n_options).astype(np.int64)  # of the options of each slot

    def best(self, unary: Unary, pairs: Pairs, rng: np.random.Generator) -> Found:
        """Return the best layout.

        Parameters
        ----------
        unary : ndarray of float64, shape (options,)
            The effect of each option by its flat number.
        pairs : ndarray of float64, shape (options, options)
            Symmetric, the effect of each two options; zero within a slot.
        rng : numpy.random.Generator
            Used for climbing only.
        """
        if self.method == "exhaustive":
            layout, value = self._halves.best(unary, pairs)
        else:
            layout, value = self._climb(unary, pairs, rng)
        return Found(tuple(layout.tolist()), value, self.method)

    def _climb(
        self, unary: Unary, pairs: Pairs, rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, " slots"], float]:  # fmt: skip
        space, starts = self.space, self.options.starts
        at = (rng.random((starts, len(space.slots))) * space.sizes).astype(np.int64) + space.offsets
        pull = pairs
        if space.clash is not None:
            # A broken constraint outweighs all effects, so climbs leave what is not allowed and never enter it.
            at[0] = np.asarray(space.witness) + space.offsets
            largest = 1.0 + float(np.abs(unary).max()) + float(np.abs(pairs).max())
            pull = pairs - (1e3 * len(space.slots) ** 2 * largest) * space.clash
        field = unary + pull[at].sum(axis=1)  # what each option would add to each start
        order = rng.permutation(len(space.slots))
        if not loops.climb(pull, self._ends, order, self.options.rounds, at, field):
            self._climb_by_numpy(pull, order.tolist(), at, field)
        values = (unary[at] + np.take_along_axis(field, at, axis=1)).sum(axis=1)  # twice: the field counts pairs twice
        if space.clash is not None:
            values[~space.allowed(at - space.offsets)] = -np.inf
        best = at[int(values.argmax())]
        return best - space.offsets, float(unary[best].sum() + 0.5 * pairs[np.ix_(best, best)].sum())

    def _climb_by_numpy(
        self, pull: Pairs, order: list[int], at: Int[np.ndarray, "starts slots"], field: Float[np.ndarray, "starts all"]
    ) -> None:
        for _ in range(self.options.rounds):
            moved = False
            for slot in order:
                low, high = self._ends[slot : slot + 2]
                old, new = at[:, slot], field[:, low:high].argmax(axis=1) + low
                changed = np.flatnonzero(new != old)
                if len(changed):
                    field[changed] += pull[new[changed]] - pull[old[changed]]
                    at[:, slot] = new
                    moved = True
            if not moved:
                break


class _Halves:
    """All layouts as left halves times right halves."""

    def __init__(self, space: LayoutSpace) -> None:
        sizes = space.sizes.tolist()
        cut = min(range(1, len(sizes) + 1), key=lambda c: max(np.prod(sizes[:c]), np.prod(sizes[c:])))
        self.left, left = _half(space, slice(0, cut))
        self.right, right = _half(space, slice(cut, len(sizes)))
        self.layouts = left, right
        self.clash: Float[np.ndarray, "left right"] | None = None
        if space.clash is not None:
            clash = space.clash.astype(np.float64)
            broken = (
                self.left @ clash @ self.right.T
                + _within(self.left, self.left @ clash)[:, None]
                + _within(self.right, self.right @ clash)
            )
            self.clash = np.where(broken > 0, -np.inf, 0.0)

    def best(self, unary: Unary, pairs: Pairs) -> tuple[Int[np.ndarray, " slots"], float]:
        """Return the best layout and its value."""
        values = self.values(unary, pairs)
        i, j = divmod(int(values.argmax()), values.shape[1])
        return np.concatenate([self.layouts[0][i], self.layouts[1][j]]), float(values[i, j])

    def values(self, unary: Unary, pairs: Pairs) -> Float[np.ndarray, "left right"]:
        """Return the value of each layout, minus infinity where it is not allowed."""
        to_left, to_right = self.left @ pairs, self.right @ pairs
        values = to_left @ self.right.T
        values += (self.left @ unary + _within(self.left, to_left))[:, None]
        values += self.right @ unary + _within(self.right, to_right)
        if self.clash is not None:
            values += self.clash
        return np.asarray(values)


def _half(space: LayoutSpace, part: slice) -> tuple[Float[np.ndarray, "half options"], Int[np.ndarray, "half some"]]:
    """Return the combinations of some slots: which options they hold, and their numbers."""
    layouts = combinations_of(space.sizes[part])
    holds = np.zeros((len(layouts), space.n_options))
    np.put_along_axis(holds, layouts + space.offsets[part], 1.0, axis=1)
    return holds, layouts


def _within(
    holds: Float[np.ndarray, "half options"], reach: Float[np.ndarray, "half options"]
) -> Float[np.ndarray, " half"]:
    """Return the effects of pairs inside each half, each pair once."""
    return np.asarray(0.5 * np.einsum("ho,ho->h", holds, reach))

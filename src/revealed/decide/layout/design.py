r"""The linear predictor of a layout in a context. Imports models and errors.

.. math::
   f = w_0 + \sum_i u_i(A) + \sum_{j<k} p_{jk}(A) + w_c^\top x + \sum_i b_i(A)^\top x

with effects of options, of pairs of options, of the context, and of options by context (Hill et al. 2017). Ours sum to
zero over the options of a slot, and those of pairs over either slot (:mod:`revealed.decide.layout.contrasts`): an
option's effect is against the average option, no two parameters say the same, and a slot of D options costs D - 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.layout.context import Context, Features
from revealed.decide.layout.contrasts import contrasts
from revealed.decide.layout.space import Layouts, LayoutSpace
from revealed.errors import SpecificationError

#: The groups of parameters, for priors.
GROUPS = ("level", "option", "pair", "context", "option by context")

#: The effect of each option by its flat number, and of each two.
Unary = Float[np.ndarray, " options"]
Pairs = Float[np.ndarray, "options options"]


@dataclass(frozen=True)
class Priors:
    """What is believed of effects before any answer: independent, Gaussian, in units of the linear predictor.

    Parameters
    ----------
    level : float
        The mean of the predictor of the average layout.
    level_deviation : float
        Its standard deviation.
    option, pair, context, option_by_context : float
        The standard deviations of effects, all of mean zero.
    """

    level: float = 0.0
    level_deviation: float = 3.0
    option: float = 0.5
    pair: float = 0.25
    context: float = 0.5
    option_by_context: float = 0.25

    def __post_init__(self) -> None:
        if not np.isfinite(self.level):
            raise SpecificationError(f"the prior's level must be a finite number, not {self.level!r}")
        for field in fields(self)[1:]:
            deviation = getattr(self, field.name)
            if not (np.isfinite(deviation) and deviation > 0):
                raise SpecificationError(
                    f"the prior's {field.name} must be a finite number above zero, not {deviation!r}"
                )


@dataclass(frozen=True, eq=False)
class Design:
    """What a layout's predictor is made of, and how it is numbered.

    Parameters
    ----------
    space : LayoutSpace
    pairs : tuple of (int, int)
        Slots whose options have effects in pairs.
    context : Context, optional
    by_context : tuple of int
        Slots whose options have effects that depend on the context.
    """

    space: LayoutSpace
    pairs: tuple[tuple[int, int], ...] = ()
    context: Context | None = None
    by_context: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        space: LayoutSpace,
        *,
        pairs: bool | Sequence[tuple[str, str]] = True,
        context: Context | None = None,
        by_context: bool | Sequence[str] = True,
    ) -> Design:
        """Return a design by the names of slots.

        Parameters
        ----------
        space : LayoutSpace
        pairs : bool or sequence of (str, str)
            All pairs of slots, none, or these.
        context : Context, optional
        by_context : bool or sequence of str
            The slots whose options the context changes: all, none, or these.

        Raises
        ------
        SpecificationError
            For an unknown slot, a pair of a slot with itself, or slots that depend on a context that is not there.
        """
        numbers = range(len(space.slots))
        if isinstance(pairs, bool):
            chosen = tuple(combinations(numbers, 2)) if pairs else ()
        else:
            found = {tuple(sorted((space.slot_of(one), space.slot_of(other)))) for one, other in pairs}
            chosen = tuple((i, j) for i, j in sorted(found))
            if any(i == j for i, j in chosen):
                raise SpecificationError("a pair is of two slots")
        if isinstance(by_context, bool):
            by = tuple(numbers) if by_context and context is not None else ()
        else:
            by = tuple(sorted({space.slot_of(name) for name in by_context}))
            if by and context is None:
                raise SpecificationError("slots that depend on the context need one: context=Context(…)")
        return cls(space, chosen, context, by)

    # ---- numbers ----------------------------------------------------------------------------------------------------

    @cached_property
    def coding(self) -> Float[np.ndarray, "options M"]:
        """The contrasts of all options by flat number: a block for each slot."""
        sizes = self.space.sizes
        matrix = np.zeros((int(sizes.sum()), int((sizes - 1).sum())))
        for size, row, column in zip(sizes, self.space.offsets, self._starts, strict=True):
            matrix[row : row + size, column : column + size - 1] = contrasts(int(size))
        return matrix

    @cached_property
    def _starts(self) -> Int[np.ndarray, " slots"]:
        return np.concatenate([[0], np.cumsum(self.space.sizes - 1)[:-1]])

    def columns_of_slot(self, slot: int) -> range:
        """Return which contrasts are a slot's."""
        start = int(self._starts[slot])
        return range(start, start + int(self.space.sizes[slot]) - 1)

    @cached_property
    def crossed(self) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
        """The two contrasts that each parameter of a pair multiplies."""
        both = [
            (a, b) for j, k in self.pairs for a in self.columns_of_slot(j) for b in self.columns_of_slot(k)
        ]  # fmt: skip
        array = np.array(both, dtype=np.int64).reshape(-1, 2)
        return array[:, 0], array[:, 1]

    @cached_property
    def by_columns(self) -> Int[np.ndarray, " B"]:
        """The contrasts whose effects depend on the context."""
        return np.array([a for slot in self.by_context for a in self.columns_of_slot(slot)], dtype=np.int64)

    @property
    def n_features(self) -> int:
        """The number of features of the context, L."""
        return 0 if self.context is None else self.context.n_features

    @cached_property
    def parts(self) -> tuple[slice, slice, slice, slice, slice]:
        """Where the parameters of each of :data:`GROUPS` stand."""
        counts = (
            1,
            self.coding.shape[1],
            len(self.crossed[0]),
            self.n_features,
            len(self.by_columns) * self.n_features,
        )
        ends = np.cumsum(counts).tolist()
        level, option, pair, context, by = (slice(e - c, e) for c, e in zip(counts, ends, strict=True))
        return level, option, pair, context, by

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return int(self.parts[-1].stop)

    @cached_property
    def groups(self) -> Int[np.ndarray, " K"]:
        """The group of each parameter, an index into :data:`GROUPS`; :mod:`revealed.decide.prior` takes it."""
        return np.repeat(np.arange(len(GROUPS)), [part.stop - part.start for part in self.parts])

    def prior(self, priors: Priors) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """Return the mean and variance of each parameter."""
        mean = np.zeros(self.n_params)
        mean[0] = priors.level
        spreads = (priors.level_deviation, priors.option, priors.pair, priors.context, priors.option_by_context)
        return mean, np.array(spreads)[self.groups] ** 2

    # ---- layouts to predictors --------------------------------------------------------------------------------------

    def features(self, contexts: Sequence[Mapping[str, Any]] | None, count: int) -> Features | None:
        """Return the features of as many contexts; None where the design has no context.

        Raises
        ------
        SpecificationError
            If contexts are missing, too many, or not wanted.
        """
        if self.context is None:
            if contexts:
                raise SpecificationError("this design has no context; give Design.of(…, context=Context(…))")
            return None
        if contexts is None or len(contexts) != count:
            given = "none" if contexts is None else str(len(contexts))
            raise SpecificationError(f"one context is needed for each of {count} layouts; there are {given}")
        return self.context.encode(contexts)

    def rows(self, layouts: Layouts, features: Features | None = None) -> Float[np.ndarray, "n K"]:
        """Return the features of layouts, such that ``rows @ params`` is their linear predictor."""
        main = self.coding[layouts + self.space.offsets].sum(axis=1)
        left, right = self.crossed
        parts = [np.ones((len(layouts), 1)), main, main[:, left] * main[:, right]]
        if features is not None:
            by = main[:, self.by_columns, None] * features[:, None, :]
            parts += [features, by.reshape(len(layouts), -1)]
        return np.concatenate(parts, axis=1)

    def tables(
        self, params: Float[np.ndarray, " K"], features: Float[np.ndarray, " L"] | None = None
    ) -> tuple[float, Unary, Pairs]:
        """Return what parameters say in a context: the level, the effect of each option, and of each two.

        The predictor of a layout is the level, plus the effects of its options, plus those of its pairs (each once).
        """
        level, option, pair, context, by = self.parts
        main = params[option]
        base = float(params[level][0])
        if features is not None:
            main = main.copy()
            main[self.by_columns] += params[by].reshape(-1, len(features)) @ features
            base += float(params[context] @ features)
        coding = self.coding
        inner = np.zeros((coding.shape[1], coding.shape[1]))
        left, right = self.crossed
        inner[left, right] = inner[right, left] = params[pair]
        return base, coding @ main, coding @ inner @ coding.T

    # ---- files ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "space": self.space.to_dict(),
            "pairs": [list(pair) for pair in self.pairs],
            "context": None if self.context is None else self.context.to_dict(),
            "by_context": list(self.by_context),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Design:
        """Return the design that :meth:`to_dict` wrote."""
        context = None if data["context"] is None else Context.from_dict(data["context"])
        pairs = tuple((int(i), int(j)) for i, j in data["pairs"])
        return cls(LayoutSpace.from_dict(data["space"]), pairs, context, tuple(data["by_context"]))


def priors_to_dict(priors: Priors) -> dict[str, float]:
    """Return JSON-ready data."""
    return asdict(priors)

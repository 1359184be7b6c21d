"""What layouts there are: slots, their options, and which options do not go together. Imports errors only.

A layout puts one option in each slot. Options of all slots are numbered one after the other ("flat"), so that a layout
is a row of flat numbers and what is between two options of different slots stands in one matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from revealed.errors import DataError, Problem, SpecificationError, nearest

#: Layouts as options, numbered from 0 in each slot.
Layouts = Int[np.ndarray, "n slots"]

#: No more layouts than this are ever listed.
MOST_LISTED = 2_000_000

#: A slot and one of its options.
Place = tuple[str, str]


@dataclass(frozen=True)
class Slot:
    """A place of a layout and what may stand there.

    Parameters
    ----------
    name : str
    options : tuple of str
        Two or more, all different.

    Raises
    ------
    SpecificationError
        For fewer than two options, or one that stands there twice.
    """

    name: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.options) < 2:
            has = f"only the option {self.options[0]!r}" if self.options else "no options"
            raise SpecificationError(
                f"slot {self.name!r} has {has}; there is nothing to choose: give it two or more, or leave it out"
            )
        twice = [option for i, option in enumerate(self.options) if option in self.options[:i]]
        if twice:
            raise SpecificationError(f"slot {self.name!r} has the option {twice[0]!r} twice; name each once")


@dataclass(frozen=True)
class LayoutSpace:
    """All layouts of some slots, less those that hold two options that do not go together.

    Parameters
    ----------
    slots : tuple of Slot
    forbidden : tuple of pairs of (slot, option)
        Options of two slots that no layout may hold both of.

    Raises
    ------
    SpecificationError
        For no slots, two of one name, an unknown name in ``forbidden``, or if no layout is allowed.

    Examples
    --------
    >>> space = LayoutSpace.of({"headline": ["plain", "bold"], "image": ["cat", "dog", "none"]},
    ...                        forbidden=[{"headline": "bold", "image": ["cat", "dog"]}])
    >>> space.n_layouts, len(space.layouts())
    (6, 4)
    """

    slots: tuple[Slot, ...]
    forbidden: tuple[tuple[Place, Place], ...] = ()

    def __post_init__(self) -> None:
        if not self.slots:
            raise SpecificationError("a layout needs slots; give at least one with two options")
        if len(set(self.names)) < len(self.slots):
            raise SpecificationError(f"two slots of one name among {', '.join(self.names)}; name each once")
        for pair in self.forbidden:
            for place in pair:
                self.flat_of(*place)
            if pair[0][0] == pair[1][0]:
                raise SpecificationError(
                    f"a layout never holds two options of slot {pair[0][0]!r}; forbid nothing there"
                )
        _ = self.witness  # says so now if no layout is allowed

    @classmethod
    def of(
        cls,
        slots: Mapping[str, Sequence[str]],
        forbidden: Sequence[Mapping[str, str | Sequence[str]]] = (),
    ) -> LayoutSpace:
        """Return the space of slots given by name.

        Parameters
        ----------
        slots : mapping from str to sequence of str
            The options of each slot.
        forbidden : sequence of mappings
            Each names two slots and an option, or several, of each: none of the one goes with any of the other.
        """
        places: list[tuple[Place, Place]] = []
        for rule in forbidden:
            if len(rule) != 2:
                raise SpecificationError(f"a constraint is between options of two slots, not {len(rule)}: {dict(rule)}")
            (first, these), (second, those) = (
                (slot, (options,) if isinstance(options, str) else tuple(options)) for slot, options in rule.items()
            )
            places += [((first, one), (second, other)) for one in these for other in those]
        named = tuple(Slot(str(name), tuple(map(str, options))) for name, options in slots.items())
        return cls(named, tuple(dict.fromkeys(places)))

    # ---- numbers ----------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The slots' names."""
        return tuple(slot.name for slot in self.slots)

    @cached_property
    def sizes(self) -> Int[np.ndarray, " slots"]:
        """How many options each slot has."""
        return np.array([len(slot.options) for slot in self.slots])

    @cached_property
    def offsets(self) -> Int[np.ndarray, " slots"]:
        """The flat number of each slot's first option."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    @cached_property
    def n_options(self) -> int:
        """The number of options of all slots together."""
        return int(self.sizes.sum())

    @cached_property
    def n_layouts(self) -> int:
        """The number of combinations, whether allowed or not."""
        return prod(len(slot.options) for slot in self.slots)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The slot and option of each flat number."""
        return tuple((slot.name, option) for slot in self.slots for option in slot.options)

    @cached_property
    def clash(self) -> Bool[np.ndarray, "options options"] | None:
        """Which options do not go together; None if all do."""
        if not self.forbidden:
            return None
        matrix = np.zeros((self.n_options, self.n_options), dtype=bool)
        for one, other in self.forbidden:
            i, j = self.flat_of(*one), self.flat_of(*other)
            matrix[i, j] = matrix[j, i] = True
        return matrix

    @cached_property
    def witness(self) -> tuple[int, ...]:
        """Some allowed layout."""
        found = _allowed_layout(self.sizes, self.offsets, self.clash)
        if found is None:
            raise SpecificationError(
                f"no layout is allowed: the {len(self.forbidden)} constraints leave no way to fill all "
                f"{len(self.slots)} slots; drop some, or add an option that goes with the others"
            )
        return found

    # ---- names and numbers ------------------------------------------------------------------------------------------

    def slot_of(self, name: str) -> int:
        """Return the number of a slot."""
        if name not in self.names:
            raise SpecificationError(f"no slot {name!r}; {nearest(name, self.names)}")
        return self.names.index(name)

    def flat_of(self, slot: str, option: str) -> int:
        """Return the flat number of an option."""
        i = self.slot_of(slot)
        options = self.slots[i].options
        if option not in options:
            raise SpecificationError(f"slot {slot!r} has no option {option!r}; {nearest(option, options)}")
        return int(self.offsets[i]) + options.index(option)

    def encode(self, layouts: Sequence[Mapping[str, str]]) -> Layouts:
        """Return layouts given by name as numbers.

        Raises
        ------
        SpecificationError
            For an unknown or missing slot, or an unknown option.
        DataError
            For layouts that are not allowed.
        """
        places = {place: i for i, place in enumerate(self.places)}
        flat = np.empty((len(layouts), len(self.slots)), dtype=np.int64)
        for row, layout in zip(flat, layouts, strict=True):
            if len(layout) != len(self.slots) or not set(layout) <= set(self.names):
                self._refuse_slots(layout)
            for i, name in enumerate(self.names):
                found = places.get((name, layout[name]))
                row[i] = self.flat_of(name, layout[name]) if found is None else found
        numbers: Layouts = flat - self.offsets
        self.require_allowed(numbers)
        return numbers

    def decode(self, layout: Sequence[int] | Int[np.ndarray, " slots"]) -> dict[str, str]:
        """Return a layout by name."""
        return {slot.name: slot.options[int(option)] for slot, option in zip(self.slots, layout, strict=True)}

    def allowed(self, layouts: Layouts) -> Bool[np.ndarray, " n"]:
        """Return which layouts hold no two options that do not go together."""
        if self.clash is None:
            return np.ones(len(layouts), dtype=bool)
        flat = layouts + self.offsets
        return np.asarray(~self.clash[flat[:, :, None], flat[:, None, :]].any(axis=(1, 2)))

    def require_allowed(self, layouts: Layouts) -> None:
        """Raise DataError for layouts that are no layouts of this space."""
        if layouts.shape[1] != len(self.slots):
            raise SpecificationError(f"layouts of {layouts.shape[1]} slots for a space of {len(self.slots)}")
        if not ((layouts >= 0) & (layouts < self.sizes)).all():
            raise SpecificationError("options are numbered from 0 in each slot; these layouts hold other numbers")
        bad = np.flatnonzero(~self.allowed(layouts))
        if len(bad):
            what = f"a layout that is not allowed: {_shown(self.decode(layouts[bad[0]]))}"
            remedy = "leave it out, or drop the constraint that it breaks"
            rows = tuple((bad[:5] + 1).tolist())
            raise DataError("layouts", [Problem(what, remedy, rows=rows, count=len(bad))])

    def layouts(self) -> Layouts:
        """Return all allowed layouts, the last slot's options changing fastest.

        Raises
        ------
        SpecificationError
            If there are more than two million.
        """
        if self.n_layouts > MOST_LISTED:
            raise SpecificationError(
                f"{self.n_layouts:,} layouts are too many to list; no more than {MOST_LISTED:,} are"
            )
        every = combinations_of(self.sizes)
        return every if self.clash is None else np.asarray(every[self.allowed(every)])

    # ---- files ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        slots = [[slot.name, list(slot.options)] for slot in self.slots]
        return {"slots": slots, "forbidden": [[list(one), list(other)] for one, other in self.forbidden]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayoutSpace:
        """Return the space that :meth:`to_dict` wrote."""
        slots = tuple(Slot(name, tuple(options)) for name, options in data["slots"])
        pairs = [((one[0], one[1]), (other[0], other[1])) for one, other in data["forbidden"]]
        return cls(slots, tuple(pairs))

    def _refuse_slots(self, layout: Mapping[str, str]) -> None:
        for name in layout:
            self.slot_of(name)
        missing = [name for name in self.names if name not in layout]
        raise SpecificationError(f"a layout has one option for each slot; {', '.join(missing)} is missing")


def combinations_of(sizes: Int[np.ndarray, " slots"]) -> Layouts:
    """Return all combinations of numbers below some sizes, the last changing fastest."""
    if not len(sizes):  # nothing to combine: one empty combination, the other half of a layout of one slot
        return np.zeros((1, 0), dtype=np.int64)
    return np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), tuple(sizes)), axis=1).astype(np.int64)


def _shown(layout: Mapping[str, str]) -> str:
    return ", ".join(f"{slot}={option}" for slot, option in layout.items())


def _allowed_layout(
    sizes: Int[np.ndarray, " slots"],
    offsets: Int[np.ndarray, " slots"],
    clash: Bool[np.ndarray, "options options"] | None,
) -> tuple[int, ...] | None:
    """Return an allowed layout or None, by backtracking: the slot with the fewest options left comes next."""
    if clash is None:
        return (0,) * len(sizes)
    chosen: dict[int, int] = {}

    def fill(left: Bool[np.ndarray, " options"]) -> bool:
        counts = {i: int(left[offsets[i] : offsets[i] + sizes[i]].sum()) for i in range(len(sizes)) if i not in chosen}
        if not counts:
            return True
        slot = min(counts, key=lambda i: counts[i])
        for option in np.flatnonzero(left[offsets[slot] : offsets[slot] + sizes[slot]]):
            chosen[slot] = int(option)
            if fill(left & ~clash[offsets[slot] + option]):
                return True
            del chosen[slot]
        return False

    if not fill(np.ones(len(clash), dtype=bool)):
        return None
    return tuple(chosen[i] for i in range(len(sizes)))

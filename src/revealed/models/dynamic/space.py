"""State spaces: which states there are and what each is like. Imports choices and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from revealed.choices.kinds import holds_numbers, one_array
from revealed.errors import DataError, Problem, SpecificationError, nearest

#: Rows named in an error.
_SHOWN = 5
#: Levels from here on in size could not be squared and added up.
LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class StateSpace:
    """Every combination of some columns' levels; the last column varies fastest.

    Parameters
    ----------
    levels : mapping from str to ndarray, shape (levels,)
        The levels of each column, numbers or labels, each once.
    """

    levels: Mapping[str, np.ndarray]

    @classmethod
    def grid(cls, **levels: Sequence[Any] | np.ndarray) -> StateSpace:
        """Return the space of all combinations: ``StateSpace.grid(plan=["none", "monthly"], price=[5, 6, 7])``.

        Raises
        ------
        SpecificationError
            If there is no column, a column has no levels, one twice, or one that is no finite number.
        """
        if not levels:
            raise SpecificationError("a state space needs at least one column: StateSpace.grid(mileage=range(90))")
        found = {}
        for name, given in levels.items():
            array = np.asarray(list(given))
            if array.dtype.kind not in "iufbU":
                raise SpecificationError(f"the levels of {name!r} must be numbers or labels, not {array.dtype}")
            array = array.astype(str) if array.dtype.kind == "U" else array.astype(np.float64)
            if not len(array) or len(np.unique(array)) != len(array):
                raise SpecificationError(f"the levels of {name!r} must be at least one, each once")
            if array.dtype.kind == "f" and not (np.abs(array) < LARGEST).all():
                raise SpecificationError(f"a level of {name!r} is no finite number below {LARGEST:g} in size")
            found[name] = array
        return cls(found)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell states apart."""
        return tuple(self.levels)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of levels of each column."""
        return tuple(len(levels) for levels in self.levels.values())

    @property
    def n_states(self) -> int:
        """The number of states, S."""
        return int(np.prod(self.shape))

    @cached_property
    def table(self) -> pa.Table:
        """What each state is like, one row a state."""
        places = np.unravel_index(np.arange(self.n_states), self.shape)
        cells = [levels[place] for levels, place in zip(self.levels.values(), places, strict=True)]
        return pa.table({name: pa.array(values) for name, values in zip(self.levels, cells, strict=True)})

    def column(self, name: str) -> np.ndarray:
        """Return a column of the states, shape (S,).

        Raises
        ------
        SpecificationError
            If there is no such column.
        """
        if name not in self.levels:
            raise SpecificationError(f"states have no column {name!r}; {nearest(name, self.levels)}")
        return np.asarray(self.table.column(name).to_numpy(zero_copy_only=False))

    @cached_property
    def numbers(self) -> Float[np.ndarray, "S d"]:
        """All states as numbers: the levels of each column, labels as 0, 1, …."""
        places = np.unravel_index(np.arange(self.n_states), self.shape)
        levels = [_as_numbers(values) for values in self.levels.values()]
        return np.column_stack([values[place] for values, place in zip(levels, places, strict=True)])

    def places(self, states: Float[np.ndarray, "m d"]) -> Int[np.ndarray, " m"]:
        """Return which state each row of numbers is, -1 for none."""
        code, known = np.zeros(len(states), dtype=np.int64), np.ones(len(states), dtype=bool)
        for given, cells in zip(self.levels.values(), states.T, strict=True):
            place = _exactly(cells, _as_numbers(given))
            known &= place >= 0
            code = code * len(given) + place
        return np.where(known, code, -1)

    def nearest(self, states: Float[np.ndarray, "m d"]) -> Int[np.ndarray, " m"]:
        """Return the state whose levels are nearest to each row of numbers, column by column."""
        code = np.zeros(len(states), dtype=np.int64)
        for given, cells in zip(self.levels.values(), states.T, strict=True):
            levels = _as_numbers(given)
            order = np.argsort(levels)
            between = (levels[order][1:] + levels[order][:-1]) / 2
            code = code * len(given) + order[np.searchsorted(between, cells)]
        return code

    def label(self, state: int) -> str:
        """Return a state in words."""
        return ", ".join(f"{name} {self.table.column(name)[state].as_py()}" for name in self.levels)

    def codes(self, table: pa.Table, source: str) -> Int[np.ndarray, " rows"]:
        """Return the state of each row of a table.

        Raises
        ------
        DataError
            With the rows whose cells are missing or no level.
        """
        code = np.zeros(table.num_rows, dtype=np.int64)
        problems = []
        for name, levels in self.levels.items():
            if name not in table.column_names:
                raise SpecificationError(f"no column {name!r} in {source}; {nearest(name, table.column_names)}")
            place = _places(table.column(name), levels)
            odd = np.flatnonzero(place < 0)
            if len(odd):
                cells = table.column(name).take(pa.array(odd[:_SHOWN])).to_pylist()
                shown = ", ".join(dict.fromkeys(str(cell) for cell in cells))
                what = f"cells that are no level of the state: {shown}"
                remedy = "give the state space their levels, or leave the rows out"
                rows = tuple((odd[:_SHOWN] + 1).tolist())
                problems.append(Problem(what, remedy, f"column {name!r}", rows, count=len(odd)))
            code = code * len(levels) + place
        if problems:
            raise DataError(source, problems)
        return code

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {name: levels.tolist() for name, levels in self.levels.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StateSpace:
        """Return the space that :meth:`to_dict` wrote."""
        return cls.grid(**data)


def _places(column: pa.ChunkedArray, levels: np.ndarray) -> Int[np.ndarray, " rows"]:
    """Return which level each cell is, -1 for none."""
    array = one_array(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if holds_numbers(array.type) != (levels.dtype.kind == "f"):
        return np.full(len(array), -1, dtype=np.int64)
    if levels.dtype.kind == "f":
        cells = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        cells = np.asarray(array.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False), dtype=str)
    return _exactly(cells, levels)


def _exactly(cells: np.ndarray, levels: np.ndarray) -> Int[np.ndarray, " rows"]:
    """Return which level each cell is, -1 for none."""
    order = np.argsort(levels)
    near = np.minimum(np.searchsorted(levels, cells, sorter=order), len(levels) - 1)
    place = order[near]
    return np.where(levels[place] == cells, place, -1).astype(np.int64)


def _as_numbers(levels: np.ndarray) -> Float[np.ndarray, " levels"]:
    return levels if levels.dtype.kind == "f" else np.arange(len(levels), dtype=np.float64)

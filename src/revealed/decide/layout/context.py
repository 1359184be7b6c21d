"""What is known of whom a layout is shown to: numbers and categories, coded as features. Imports its own room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.decide.layout.contrasts import contrasts
from revealed.errors import DataError, Problem, SpecificationError, nearest

#: Features of contexts.
Features = Float[np.ndarray, "n L"]


@dataclass(frozen=True)
class Number:
    """A number that is known, such as the hour or the age.

    Parameters
    ----------
    name : str
    center, spread : float
        The feature is ``(value - center) / spread``; give about the mean and the standard deviation, since priors are
        on that scale.
    """

    name: str
    center: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.center) and np.isfinite(self.spread) and self.spread > 0):
            raise SpecificationError(f"context {self.name!r} needs a finite center and a finite spread above zero")


@dataclass(frozen=True)
class Category:
    """A category that is known, such as the device.

    Parameters
    ----------
    name : str
    levels : tuple of str
    """

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.levels)) < max(2, len(self.levels)):
            raise SpecificationError(f"context {self.name!r} needs two or more levels, all different")


@dataclass(frozen=True)
class Context:
    """The fields of a context.

    Parameters
    ----------
    fields : tuple of Number or Category
    """

    fields: tuple[Number | Category, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if not names or len(set(names)) < len(names):
            raise SpecificationError("a context has one or more fields, each of a name of its own")

    @property
    def n_features(self) -> int:
        """The number of features, L."""
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names; a category of D levels has D - 1 contrasts."""
        names: list[str] = []
        for field in self.fields:
            if isinstance(field, Number):
                names.append(field.name)
            else:
                names += [f"{field.name}:{i}" for i in range(1, len(field.levels))]
        return tuple(names)

    def encode(self, contexts: Sequence[Mapping[str, Any]]) -> Features:
        """Return the features of contexts.

        Raises
        ------
        SpecificationError
            For an unknown or missing field, or an unknown level.
        DataError
            For what is no finite number where one must be.
        """
        known = [field.name for field in self.fields]
        for context in contexts:
            if len(context) != len(known) or not all(name in context for name in known):
                self._refuse_fields(context, known)
        columns: list[np.ndarray] = []
        for field in self.fields:
            cells = [context[field.name] for context in contexts]
            columns.append(_numbers(field, cells) if isinstance(field, Number) else _categories(field, cells))
        return np.concatenate(columns, axis=1)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return JSON-ready data."""
        return [
            {"name": field.name, "center": field.center, "spread": field.spread}
            if isinstance(field, Number)
            else {"name": field.name, "levels": list(field.levels)}
            for field in self.fields
        ]

    @classmethod
    def from_dict(cls, data: Sequence[Mapping[str, Any]]) -> Context:
        """Return the context that :meth:`to_dict` wrote."""
        return cls(
            tuple(
                Category(item["name"], tuple(item["levels"]))
                if "levels" in item
                else Number(item["name"], item["center"], item["spread"])
                for item in data
            )
        )

    def _refuse_fields(self, context: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in context:
            if name not in known:
                raise SpecificationError(f"no context {name!r}; {nearest(str(name), known)}")
        missing = [name for name in known if name not in context]
        raise SpecificationError(f"a context needs all of its fields; {', '.join(missing)} is missing")


def _numbers(field: Number, cells: Sequence[Any]) -> np.ndarray:
    values = np.empty(len(cells))
    for i, cell in enumerate(cells):
        number = isinstance(cell, int | float | np.integer | np.floating | np.bool_)
        values[i] = cell if number and abs(cell) <= np.finfo(np.float64).max else np.nan
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        what = f"{cells[bad[0]]!r} where a finite number must be"
        rows = tuple((bad[:5] + 1).tolist())
        where = f"context {field.name!r}"
        raise DataError("contexts", [Problem(what, "fill it in, or leave the row out", where, rows, count=len(bad))])
    return ((values - field.center) / field.spread)[:, None]


def _categories(field: Category, cells: Sequence[Any]) -> np.ndarray:
    places = {level: i for i, level in enumerate(field.levels)}
    for cell in cells:
        if cell not in places:
            raise SpecificationError(
                f"context {field.name!r} has no level {cell!r}; {nearest(str(cell), field.levels)}"
            )
    return contrasts(len(field.levels))[[places[cell] for cell in cells]]

"""A formula as the fields and terms of a feature space. Imports choices, its own room, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from revealed.choices.expression import Labels, evaluate, names_in
from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features.columns import Batch, columns_of, columns_of_records, holds_text
from revealed.models.glm.features.terms import Field, Groups, Wanted
from revealed.models.utility import CATEGORICAL, IDENTITY, formula_terms


def read_formula(formula: str, data: Any, optional: Sequence[str], hashed: Mapping[str, int], groups: Groups) -> Wanted:
    """Return what a formula asks for; see :meth:`.space.FeatureSpace.from_formula`.

    Raises
    ------
    SpecificationError
        For a formula that cannot be read, has a term of third order, or names what is not in ``data``.
    """
    if not formula.strip():
        raise SpecificationError(f"features are a formula such as 'C(item) + price', not {formula!r}")
    reader = _Reader(formula, _batch(data))
    terms = [[reader.name(text) for text in term if text != "1"] for term in formula_terms(f"1 + {formula}")]
    for term in terms:
        if len(term) > 2:
            raise SpecificationError(
                f"the term {':'.join(term)} is of {len(term)} fields; interactions are of two fields at most"
            )
    names = list(reader.fields)
    _require_known(optional, [key for item in reader.fields.values() for key in item.sources])
    fields = [
        Field(item.name, item.categorical, any(key in optional for key in item.sources), 0, item.expression)
        for item in reader.fields.values()
    ]
    main = [term[0] for term in terms if len(term) == 1]
    pairs = [(term[0], term[1]) for term in terms if len(term) == 2]
    assert {name for term in terms for name in term} == set(names)
    return Wanted(fields, main, pairs, [] in terms, hashed, groups)


def _batch(data: Any) -> Batch | None:
    if data is None:
        return None
    if isinstance(data, Sequence) and not isinstance(data, str):
        keys: dict[str, None] = {}
        for record in data:
            if isinstance(record, Mapping):
                keys.update(dict.fromkeys(str(key) for key in record))
        return columns_of_records(data, tuple(keys))
    return columns_of(data)


def _require_known(optional: Iterable[str], names: Sequence[str]) -> None:
    for name in optional:
        if name not in names:
            raise SpecificationError(f"optional names no field {name!r} of the formula; {nearest(name, names)}")


def _require_computable(text: str) -> None:
    """Raise SpecificationError on what no expression may hold, by trying it on a number or a label for each name."""
    names = names_in(text)
    first: SpecificationError | None = None
    for kinds in product((np.ones(1), Labels(np.zeros(1, np.int32), ("",), strict=False)), repeat=min(len(names), 8)):
        cells = dict(zip(names, kinds, strict=False))
        try:
            evaluate(text, lambda name, cells=cells: cells.get(name, np.ones(1)))  # type: ignore[misc]
        except SpecificationError as error:
            first = first or error
        else:
            return
    assert first is not None
    raise first


class _Reader:
    """Turns the factors of a formula into fields."""

    def __init__(self, formula: str, batch: Batch | None) -> None:
        self.formula = formula
        self.batch = batch
        self.fields: dict[str, Field] = {}

    def name(self, text: str) -> str:
        """Return the name of the field that a factor stands for, and keep the field."""
        item = self._field(text)
        known = self.fields.setdefault(item.name, item)
        if known != item:
            raise SpecificationError(
                f"{item.name!r} is a number and a label in the formula {self.formula!r}; call it C({item.name}) "
                "everywhere, or nowhere"
            )
        if self.batch is not None:
            for key in item.sources:
                if key not in self.batch.names:
                    raise SpecificationError(f"no field {key!r} in the data; {nearest(key, self.batch.names)}")
        return item.name

    def _field(self, text: str) -> Field:
        match = CATEGORICAL.match(text)
        if match:
            if match.group("contrast") is not None:
                raise SpecificationError(
                    f"{text}: there is no reference level here, each label has a parameter with a prior; write "
                    f"C({match.group('column')})"
                )
            return Field(match.group("column").strip().strip("`"), True)
        inside = IDENTITY.match(text)
        if inside:
            return self._computed(inside.group("inside"))
        if re.fullmatch(r"\w+", text) or f"`{text}`" in self.formula:
            return Field(text, self._is_text(text))
        return self._computed(text)

    def _computed(self, text: str) -> Field:
        if not names_in(text):
            raise SpecificationError(f"{text!r} in the formula {self.formula!r} names no field")
        _require_computable(text)
        return Field(text, False, expression=text)

    def _is_text(self, name: str) -> bool:
        column = None if self.batch is None else self.batch.columns.get(name)
        return column is not None and holds_text(column)

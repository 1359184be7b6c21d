r"""Many contexts with the same candidates: rows as products of two parts, one of each. Imports its own room.

A feature of a candidate :math:`j` in a context :math:`n` is of second order at most, so it is a product

.. math::
   x_{njk} = \varphi_{j, a(k)}\,\psi_{n, b(k)}

of something of the candidate and something of the context (or 1). A thousand contexts with the same twenty candidates
are twenty :math:`\varphi` and a thousand :math:`\psi`, and what is wanted of their rows is a matrix product. What a
space has no parameter for has no such product: those records go the long way (:meth:`FeatureSpace.joint`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.engine import loops
from revealed.models.glm.features.columns import Coded, Reader, columns_of_records
from revealed.models.glm.features.joint import CONTEXT, ITEM
from revealed.models.glm.features.ledger import PAIR, Codes, label_text
from revealed.models.glm.features.space import FeatureSpace
from revealed.models.glm.features.terms import Term

#: Spaces with more columns on a side are for sparse rows.
_MOST = 4096
#: The code of a field that may be missing, and is.
_ABSENT = -2
_NUMBERS = frozenset((float, int, bool))


@dataclass(eq=False)
class _Side:
    """Columns of one side, each the product of two factors, of which the first is one."""

    factors: dict[tuple[int, int], int] = field(default_factory=lambda: {(-1, 0): 0})
    pairs: dict[tuple[int, int], int] = field(default_factory=lambda: {(0, 0): 0})

    def factor(self, place: int, code: int) -> int:
        return self.factors.setdefault((place, code), len(self.factors))

    def column(self, factors: Sequence[int]) -> int:
        one, other = (*factors, 0, 0)[:2]
        return self.pairs.setdefault((one, other), len(self.pairs))

    @cached_property
    def of_each(self) -> Int[np.ndarray, "two columns"]:
        """The factors of each column, once all columns are there."""
        return np.array(list(self.pairs), dtype=np.intp).T

    def products(self, values: Float[np.ndarray, "n factors"]) -> Float[np.ndarray, "n columns"]:
        return _columns(values, *self.of_each)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates' part.

    Parameters
    ----------
    values : ndarray of float64, shape (actions, A)
    lacking : ndarray of bool, shape (B,)
        The columns of contexts with which one of them makes a pair that has no parameter.
    """

    values: Float[np.ndarray, "actions A"]
    lacking: Bool[np.ndarray, " B"]


@dataclass(frozen=True, eq=False)
class Crossing:
    """A space cut into what belongs to candidates and what to contexts.

    Parameters
    ----------
    space : FeatureSpace
    of_item : tuple of bool
        Whether each field is the candidates'.
    item, context : ndarray of int64, shape (K,)
        For each parameter its column of the candidates' part and of the contexts'.
    """

    space: FeatureSpace
    of_item: tuple[bool, ...]
    item: Int[np.ndarray, " K"]
    context: Int[np.ndarray, " K"]
    _items: _Side
    _contexts: _Side

    @classmethod
    def of(cls, space: FeatureSpace, items: Sequence[str]) -> Crossing | None:
        """Return a space's, or None where rows are no such products: hashed terms, numbers computed of both sides.

        Nor where two fields of contexts have one name.

        Parameters
        ----------
        space : FeatureSpace
        items : sequence of str
            The keys of candidates' records; fields called ``item.kind`` are the candidates' too.
        """
        specification = space.specification
        if any(item.bits for item in specification.fields) or any(term.bits for term in specification.terms):
            return None
        of_item = []
        for item in specification.fields:
            sides = {key.startswith(ITEM) or (key in items and not key.startswith(CONTEXT)) for key in item.sources}
            if len(sides) != 1 or (item.expression and sides != {True}):
                return None
            of_item.append(sides.pop())
        known = [item.name for item, is_ours in zip(specification.fields, of_item, strict=True) if not is_ours]
        if len({name.removeprefix(CONTEXT) for name in known}) < len(known):  # "age" and "context.age"
            return None
        ours, theirs = _Side(), _Side()
        columns = np.empty((2, space.n_params), dtype=np.int64)
        grown = zip(space.ledger.terms[: space.extent.n_grown], space.ledger.keys[: space.extent.n_grown], strict=True)
        fixed = [(t, 0) for t, term in enumerate(specification.terms) for _ in range(term.n_fixed)]
        for param, (t, key) in enumerate([*fixed, *grown]):
            factors = specification.terms[t].factors
            codes = divmod(key, PAIR) if len(factors) == 2 else (key,)
            mine: list[int] = []
            others: list[int] = []
            for i, code in zip(factors, codes, strict=False):
                (mine if of_item[i] else others).append((ours if of_item[i] else theirs).factor(i, code))
            columns[:, param] = ours.column(mine), theirs.column(others)
            if max(len(ours.pairs), len(theirs.pairs)) > _MOST:
                return None
        for i, item in enumerate(specification.fields):
            if not of_item[i] and not item.categorical:
                theirs.factor(i, 0)
        for factor in tuple(theirs.factors.values()):
            theirs.column([factor])
        return cls(space, tuple(of_item), columns[0], columns[1], ours, theirs)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of columns :math:`A` and :math:`B`."""
        return len(self._items.pairs), len(self._contexts.pairs)

    def candidates(self, records: Sequence[Mapping[str, Any]]) -> Candidates | None:
        """Return the candidates' part, or None if they have to go the long way.

        That is if one has what no parameter is for, or what is the contexts', or if something is wrong with it.
        """
        fields = [(i, item) for i, item in enumerate(self.space.specification.fields) if self.of_item[i]]
        keys = list(dict.fromkeys(key for _, item in fields for key in item.sources))
        if any(not self._context_keys.isdisjoint(record) for record in records):
            return None
        named = [{key: record.get(key.removeprefix(ITEM)) for key in keys} for record in records]
        reader = Reader(columns_of_records(named, keys))
        read = {i: reader.read(item) for i, item in fields}
        if reader.problems:
            return None
        values = np.zeros((len(records), len(self._items.factors)))
        values[:, 0] = 1.0
        codes: dict[int, list[int]] = {}
        for i, column in read.items():
            present = np.ones(len(records), bool) if column.present is None else column.present
            if not isinstance(column, Coded):
                codes[i] = np.where(present, 0, _ABSENT).tolist()
                if (i, 0) in self._items.factors:
                    values[:, self._items.factors[i, 0]] = np.where(present, column.values, 0.0)
                continue
            known = self.space.ledger.codes[i]
            labels = np.array([known.get(label, -1) for label in column.labels] or [-1], dtype=np.int64)
            codes[i] = np.where(present, labels[column.place], _ABSENT).tolist()
            for row, code in enumerate(codes[i]):
                if code == -1 or code >= self.space.extent.labels[i]:
                    return None
                if (i, code) in self._items.factors:
                    values[row, self._items.factors[i, code]] = 1.0
        if not all(self._has(t, zip(*(codes[i] for i in term.factors), strict=True)) for t, term in self._inner[0]):
            return None
        return Candidates(self._items.products(values), self._lacking(codes))

    def contexts(self, records: Sequence[Mapping[str, Any]]) -> tuple[Float[np.ndarray, "n B"], list[int]]:
        """Return the contexts' part, and which of them have to go the long way: their rows mean nothing.

        Those have what no parameter is for, or what is the candidates', or something is wrong with them.
        """
        found = self.numbers(records)
        if found is not None:
            return _columns(np.array(found).reshape(len(records), self.reading.n_cells), *self._read_by), []
        values = np.zeros((len(records), len(self._contexts.factors)))
        values[:, 0] = 1.0
        odd = self._one_by_one(records, values)
        return self._contexts.products(values), odd

    def numbers(self, records: Sequence[Mapping[str, Any]]) -> array[float] | None:
        """Return what records hold, one after the other, if it is the numbers that are wanted, and nothing else.

        A one stands before those of each; :attr:`reading` says what to make of them.
        """
        places, picked = self._numbers
        if self._others or not places:
            return None
        try:
            found = [cell for record in records for cell in (1.0, *picked(record))]
            if not _NUMBERS.issuperset(map(type, found)) or any(len(record) != len(places) for record in records):
                return None
            return array("d", found)
        except (KeyError, TypeError, AttributeError, OverflowError):
            return None

    @cached_property
    def reading(self) -> loops.Reading:
        """How the contexts' part is read from :meth:`numbers`."""
        return loops.Reading(1 + len(self._numbers[0]), *self._read_by)

    @cached_property
    def _read_by(self) -> tuple[Int[np.ndarray, " B"], Int[np.ndarray, " B"] | None]:
        """Where the factors of each column stand in a one and the numbers behind it; None for factors that are one."""
        at = np.zeros(len(self._contexts.factors), dtype=np.intp)
        at[self._numbers[0]] = np.arange(1, 1 + len(self._numbers[0]))
        left, right = at[self._contexts.of_each]
        return left, right if right.any() else None

    def _one_by_one(self, records: Sequence[Mapping[str, Any]], values: Float[np.ndarray, "n factors"]) -> list[int]:
        """Write what records hold, and return which of them are unusual."""
        places, picked = self._numbers
        odd: list[int] = []
        lacking = array("d", bytes(8 * len(places)))
        read = array("d")  # row by row, and one assignment for all
        for row, record in enumerate(records):
            try:
                found = picked(record)
                usual = _NUMBERS.issuperset(map(type, found)) and self._item_keys.isdisjoint(record)
                numbers = array("d", found) if usual else lacking
                usual = usual and (not self._others or self._written(record, values[row]))
            except (KeyError, TypeError, AttributeError, OverflowError):
                usual, numbers = False, lacking
            read += numbers
            if not usual:
                odd.append(row)
        values[:, places] = np.array(read).reshape(len(records), len(places))
        return odd

    def _written(self, record: Mapping[str, Any], values: Float[np.ndarray, " factors"]) -> bool:
        """Write labels and what may be missing; False if that is not usual."""
        factors, extent = self._contexts.factors, self.space.extent
        codes = dict.fromkeys(range(len(self.of_item)), 0)
        for i, name, labels, optional, known in self._others:
            cell = record.get(name)
            if cell is None:
                if not optional:
                    return False
                codes[i] = _ABSENT
                continue
            if labels:
                codes[i] = known[cell if type(cell) is str else label_text(cell)]
                if codes[i] >= extent.labels[i]:
                    return False
            elif type(cell) not in _NUMBERS:
                return False
            values[factors[i, codes[i]]] = 1.0 if labels else cell
        return all(self._has(t, [tuple(codes[i] for i in term.factors)]) for t, term in self._inner[1])

    def _has(self, t: int, codes: Iterable[Sequence[int]]) -> bool:
        """Whether a term of labels has a parameter for each of some codes of its factors, where none is absent."""
        ledger, n_params = self.space.ledger, self.space.n_params
        i = self.space.specification.terms[t].factors[0]
        for code in codes:
            if min(code) < 0:
                continue
            if len(code) == 1:
                param = ledger.main[t].get(ledger.labels[i][code[0]], n_params)
            else:
                param = ledger.pairs[t].get(code[0] * PAIR + code[1], n_params)
            if param >= n_params:
                return False
        return True

    def _lacking(self, codes: Mapping[int, Sequence[int]]) -> Bool[np.ndarray, " B"]:
        """Return with which columns of contexts some of the candidates make a pair without a parameter."""
        lacking = np.zeros(len(self._contexts.pairs), bool)
        for t, term in self._across:
            first = self.of_item[term.factors[0]]
            mine, other = term.factors if first else term.factors[::-1]
            wanted = set(codes[mine])
            for (i, code), factor in self._contexts.factors.items():
                if i == other:
                    pairs = [(c, code) if first else (code, c) for c in wanted]
                    lacking[self._contexts.pairs[factor, 0]] |= not self._has(t, pairs)
        return lacking

    # ---- what is looked up again and again ------------------------------------------------------------------------

    @cached_property
    def _of_labels(self) -> list[tuple[int, Term]]:
        fields = self.space.specification.fields
        terms = enumerate(self.space.specification.terms)
        return [(t, term) for t, term in terms if any(fields[i].categorical for i in term.factors)]

    @cached_property
    def _across(self) -> list[tuple[int, Term]]:
        return [(t, term) for t, term in self._of_labels if len({self.of_item[i] for i in term.factors}) == 2]

    @cached_property
    def _inner(self) -> tuple[list[tuple[int, Term]], list[tuple[int, Term]]]:
        """Terms of labels that are the candidates' alone, and the contexts' alone."""
        mine = [(t, term) for t, term in self._of_labels if all(self.of_item[i] for i in term.factors)]
        return mine, [(t, term) for t, term in self._of_labels if not any(self.of_item[i] for i in term.factors)]

    @cached_property
    def _plain(self) -> list[tuple[int, str, bool, bool, Codes]]:
        return [
            (i, item.name.removeprefix(CONTEXT), item.categorical, item.optional, self.space.ledger.codes[i])
            for i, item in enumerate(self.space.specification.fields)
            if not self.of_item[i]
        ]

    @cached_property
    def _numbers(self) -> tuple[list[int], Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
        """The factors of the contexts' numbers that are never missing, and what picks those from a record."""
        found = [
            (name, self._contexts.factors[i, 0]) for i, name, labels, maybe, _ in self._plain if not labels | maybe
        ]
        names = [name for name, _ in found]
        picked = itemgetter(*names) if len(names) > 1 else lambda record: tuple(record[name] for name in names)
        return [at for _, at in found], picked

    @cached_property
    def _others(self) -> list[tuple[int, str, bool, bool, Codes]]:
        return [entry for entry in self._plain if entry[2] or entry[3]]

    @cached_property
    def _item_keys(self) -> frozenset[str]:
        """What a context must not have, as it is the candidates'."""
        fields = self.space.specification.fields
        keys = {key for i, item in enumerate(fields) if self.of_item[i] for key in item.sources}
        return frozenset(key for key in keys if not key.startswith(ITEM))

    @cached_property
    def _context_keys(self) -> frozenset[str]:
        """What a candidate must not have, as it is the contexts'."""
        fields = self.space.specification.fields
        return frozenset(
            item.name for i, item in enumerate(fields) if not self.of_item[i] and not item.name.startswith(CONTEXT)
        )


def _columns(
    values: Float[np.ndarray, "n some"], left: Int[np.ndarray, " columns"], right: Int[np.ndarray, " columns"] | None
) -> Float[np.ndarray, "n columns"]:
    """Return products of two columns each, rows in one piece, as loops read them; None for second ones that are one."""
    found = values.take(left, axis=1)
    return found if right is None else found * values.take(right, axis=1)

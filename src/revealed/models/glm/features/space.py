"""The feature space: which records become which sparse rows. Imports its own room and errors.

A space is a value: it never changes, and what it returns depends on it and the arguments alone. Growing returns
another space whose first parameters are this one's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64

from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features import saved
from revealed.models.glm.features.columns import Batch, columns_of, columns_of_records
from revealed.models.glm.features.encode import encode
from revealed.models.glm.features.hashing import Collisions
from revealed.models.glm.features.joint import joined
from revealed.models.glm.features.ledger import PAIR, Extent, Ledger, label_text
from revealed.models.glm.features.records import FEW, RecordPath, UnusualError
from revealed.models.glm.features.rows import Rows, Unseen
from revealed.models.glm.features.terms import Field, Groups, Specification, Wanted, pair_of, specify

Interaction = str | tuple[str, str]


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Fields, their interactions, and the parameters that the values met so far have been given.

    Made by :meth:`of`, :meth:`from_formula` or :meth:`from_dict`, and by :meth:`grow` from another.

    Parameters
    ----------
    ledger : Ledger
        What was met, shared with the spaces this one was grown from or into.
    extent : Extent
        How much of the ledger is this space's.
    path : RecordPath
        The short way of single records.

    Notes
    -----
    Every value of a label has a parameter of its own, there is no reference level: where parameters have a prior none
    is needed, and effects stay comparable when values come and go. Parameters are numbered: first numbers and buckets,
    term by term, then labels in the order they came.

    Examples
    --------
    >>> space = FeatureSpace.of(numeric=["price"], categorical=["item"], interactions=["price:item"])
    >>> rows, space = space.grow([{"price": 2.0, "item": "tea"}, {"price": 3.0, "item": "jam"}])
    >>> space.names
    ('1', 'price', 'item=tea', 'price:item=tea', 'item=jam', 'price:item=jam')
    >>> rows.dense()
    array([[1., 2., 1., 2., 0., 0.],
           [1., 3., 0., 0., 1., 3.]])
    """

    ledger: Ledger
    extent: Extent
    path: RecordPath

    # ---- where spaces come from -----------------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        *,
        numeric: Iterable[str] = (),
        categorical: Iterable[str] = (),
        interactions: Iterable[Interaction] = (),
        optional: Iterable[str] = (),
        hashed: Mapping[str, int] | None = None,
        groups: Groups = "attribute",
        intercept: bool = True,
    ) -> FeatureSpace:
        """Return a space that has seen nothing yet.

        Parameters
        ----------
        numeric, categorical : iterables of str
            The fields: keys of records that hold numbers, and such that hold labels.
        interactions : iterable of str
            Pairs of fields, ``"age:item"`` or ``("age", "item")``.
        optional : iterable of str
            Fields that may be missing (absent or None) and then give no feature. Other missing ones are refused.
        hashed : mapping, optional
            ``{"user": 18, "user:item": 20}``: the labels of a field, or the values of a pair, share ``2 ** bits``
            parameters. A pair of a hashed field that is not named itself is of its buckets.
        groups : str or mapping
            Which parameters share a prior: ``"attribute"``, those of a term; ``"order"``, the intercept, all main
            effects, all pairs; or ``{term: group}``, terms left out being groups by themselves.
        intercept : bool
            Whether each row has a one.

        Raises
        ------
        SpecificationError
            For unknown names (with the nearest ones), or names given twice.
        """
        numbers, labels, missing = list(numeric), list(categorical), list(optional)
        names = numbers + labels
        for name in missing:
            if name not in names:
                raise SpecificationError(f"optional names no field {name!r}; {nearest(name, names)}")
        fields = [Field(name, i >= len(numbers), name in missing) for i, name in enumerate(names)]
        pairs = [pair_of(text, names) for text in interactions]
        return cls.specified(specify(Wanted(fields, names, pairs, intercept, dict(hashed or {}), groups)))

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any = None,
        *,
        optional: Iterable[str] = (),
        hashed: Mapping[str, int] | None = None,
        groups: Groups = "attribute",
    ) -> FeatureSpace:
        """Return the space of a formula such as ``"C(item) + log(price) + C(segment):C(item)"``.

        Parameters
        ----------
        formula : str
            As a utility is written: ``C(...)`` for labels, ``:`` and ``*`` for pairs, arithmetic in ``I(...)``. It has
            an intercept unless it says ``- 1``. Names that are not plain words stand in backticks:
            ``C(`item.kind`)``.
        data : records, table or frame, optional
            Tells which fields hold text; without it a bare name is a number.
        optional, hashed, groups
            See :meth:`of`; terms are named as in the formula, without the ``C()``.

        Raises
        ------
        SpecificationError
            For a formula that cannot be read, has a term of third order, or names what is not in ``data``.
        """
        from revealed.models.glm.features.formula import read_formula

        return cls.specified(specify(read_formula(formula, data, list(optional), dict(hashed or {}), groups)))

    @classmethod
    def specified(cls, specification: Specification) -> FeatureSpace:
        """Return a space of a checked specification that has seen nothing yet."""
        return cls._of_ledger(Ledger(specification))

    @classmethod
    def _of_ledger(cls, ledger: Ledger) -> FeatureSpace:
        return cls(ledger, ledger.extent, RecordPath(ledger))

    # ---- rows -----------------------------------------------------------------------------------------------------

    def rows(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        """Return a row for each record.

        Parameters
        ----------
        records : sequence of mappings
            ``{field: value}``; keys that are no fields are left alone.

        Returns
        -------
        Rows
            With ``n_params`` columns; values never seen before are in ``rows.unseen``.

        Raises
        ------
        DataError
            For a missing value that is not optional, NaN or infinity, a label where a number was declared, all with
            their records (the first is 1).
        """
        if self.path.usable and len(records) <= FEW:
            try:
                return self.path.rows(records, self.extent, note=False)
            except UnusualError:
                pass
        return self._known(self._batch(records))

    def grow(self, records: Sequence[Mapping[str, Any]]) -> tuple[Rows, FeatureSpace]:
        """Return a row for each record, and a space that has a parameter for every value in them.

        The parameters of this space keep their numbers. How records are cut into batches does not matter. For what is
        accepted and raised see :meth:`rows`.
        """
        if self.path.usable and len(records) <= FEW:
            try:
                return self.path.rows(records, self.extent, note=True), self
            except UnusualError:
                pass
        return self._grown(self._batch(records))

    def rows_from_columns(self, data: Any) -> Rows:
        """Return a row for each record of a table: the same as :meth:`rows` of its records, for millions of them.

        Parameters
        ----------
        data : mapping of columns, table or frame
            ``{field: numpy or Arrow array, or list}``, an Arrow table, a pandas or polars frame, the path of a file.
            A null is a missing value (in a pandas frame NaN is too).
        """
        return self._known(columns_of(data))

    def grow_from_columns(self, data: Any) -> tuple[Rows, FeatureSpace]:
        """Return :meth:`grow` of the records of a table; see :meth:`rows_from_columns`."""
        return self._grown(columns_of(data))

    def joint(self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> Rows:
        """Return a row for each candidate in a context, with their interactions.

        A field ``context.age`` is the context's ``age``, a field ``item.kind`` the candidate's ``kind``. A field
        without such a prefix is the one of the two that has it.

        Parameters
        ----------
        context : mapping
            What is the same for all candidates.
        candidates : sequence of mappings

        Raises
        ------
        DataError
            As :meth:`rows`, or if both have a field and it does not say whose it is meant.
        """
        return self.rows(self.joined(context, candidates))

    def joined(self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the records that :meth:`joint` takes the rows of, to :meth:`grow` on those that were shown."""
        return joined(self._keys, context, candidates)

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for item in self.specification.fields for key in item.sources))

    def _batch(self, records: Sequence[Mapping[str, Any]]) -> Batch:
        return columns_of_records(records, self._keys)

    def _known(self, batch: Batch) -> Rows:
        rows, news = encode(self.ledger, self.extent, batch)
        if not news.params:
            return rows
        is_known = rows.index < self.n_params
        parts = []
        for kept, first, n_params in ((is_known, 0, self.n_params), (~is_known, self.n_params, len(news.params))):
            starts = np.concatenate([[0], np.cumsum(kept)])[rows.starts]
            parts.append(Rows(starts, rows.index[kept] - first, rows.value[kept], n_params))
        known, further = parts
        terms = np.array([term for term, _ in news.params], np.int64)
        labels = dict(news.labels)
        names = tuple(self._name(term, key, labels) for term, key in news.params)
        return Rows(
            known.starts, known.index, known.value, self.n_params, Unseen(further, self._group_of[terms], names)
        )

    def _grown(self, batch: Batch) -> tuple[Rows, FeatureSpace]:
        rows, news = encode(self.ledger, self.extent, batch)
        if not news:
            return rows, self
        ledger, extent = self.ledger.grown(self.extent, news)
        if ledger is self.ledger and extent == self.extent:  # no value was new, nor a collision
            return rows, self
        path = self.path if ledger is self.ledger else RecordPath(ledger)
        return rows, FeatureSpace(ledger, extent, path)

    # ---- parameters -----------------------------------------------------------------------------------------------

    @property
    def specification(self) -> Specification:
        """The fields, terms and groups."""
        return self.ledger.specification

    @property
    def n_params(self) -> int:
        """The number of parameters :math:`K`."""
        return self.specification.n_fixed + self.extent.n_grown

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names of the groups."""
        return self.specification.group_names

    @cached_property
    def groups(self) -> Int64[np.ndarray, " K"]:
        """The group of each parameter, a place in ``group_names``."""
        return self.groups_since(0)

    def groups_since(self, n_params: int) -> Int64[np.ndarray, " further"]:
        """Return the groups of the parameters from ``n_params`` on: what growing has added to a smaller space."""
        return np.asarray(self._group_of[self._terms(n_params)])

    @cached_property
    def _group_of(self) -> Int64[np.ndarray, " terms"]:
        return np.array([term.group for term in self.specification.terms], np.int64)

    def _terms(self, start: int) -> Int64[np.ndarray, " further"]:
        """Return the terms of the parameters from ``start`` on."""
        n_fixed = self.specification.n_fixed
        grown = self.ledger.term_of(max(start - n_fixed, 0), self.extent.n_grown)
        if start >= n_fixed:
            return grown
        n_each = [term.n_fixed for term in self.specification.terms]
        return np.concatenate([np.repeat(np.arange(len(n_each)), n_each)[start:], grown])

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each parameter: ``price``, ``item=tea``, ``price:item=tea``, ``user#17`` for a bucket."""
        return tuple(self.name(param) for param in range(self.n_params))

    def name(self, param: int) -> str:
        """Return the name of one parameter; SpecificationError if there is none of that number."""
        if not 0 <= param < self.n_params:
            raise SpecificationError(f"no parameter {param}; there are {self.n_params:,}, numbered from 0")
        specification = self.specification
        if param >= specification.n_fixed:
            grown = param - specification.n_fixed
            return self._name(self.ledger.terms[grown], self.ledger.keys[grown], {})
        place = int(np.searchsorted(specification.first, param, side="right")) - 1
        term = specification.terms[place]
        return f"{term.name}#{param - specification.first[place]}" if term.bits else term.name

    def _name(self, t: int, key: int, further: Mapping[int, Sequence[str]]) -> str:
        """Return a parameter's name; ``further`` are labels that a field has not met."""
        factors = self.specification.terms[t].factors
        codes = (key,) if len(factors) == 1 else divmod(key, PAIR)
        parts = []
        for i, code in zip(factors, codes, strict=True):
            item = self.specification.fields[i]
            if not item.categorical:
                parts.append(item.name)
            elif item.bits:
                parts.append(f"{item.name}#{code}")
            else:
                beyond = code - self.extent.labels[i]
                label = further[i][beyond] if beyond >= 0 else self.ledger.labels[i][code]
                parts.append(f"{item.name}={label}")
        return ":".join(parts)

    def index(self, term: str, *labels: object) -> int:
        """Return the number of a parameter: ``index("price")``, ``index("segment:item", "young", "tea")``.

        Raises
        ------
        SpecificationError
            For a term or a label that is not there (with the nearest), or the wrong number of labels.
        """
        place = self.specification.term(term)
        return self.ledger.parameter(self.extent, place, [label_text(label) for label in labels])

    @property
    def collisions(self) -> tuple[Collisions, ...]:
        """What shares buckets with what, for each hashed term: counted over all records that the space has grown on."""
        hashed = [term for term in self.specification.terms if term.bits]
        return tuple(
            Collisions(term.name, term.n_fixed, *counts)
            for term, counts in zip(hashed, self.extent.buckets, strict=True)
        )

    # ---- saving ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data from which :meth:`from_dict` makes the same space on any machine."""
        return saved.to_dict(self.ledger, self.extent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureSpace:
        """Return the space that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            For data of a newer version, or that are damaged.
        """
        return cls._of_ledger(saved.from_dict(data))

    def to_json(self) -> str:
        """Return the space as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> FeatureSpace:
        """Return the space that :meth:`to_json` wrote; raises as :meth:`from_dict`."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise SpecificationError(f"a feature space that cannot be read: {error}") from None

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        """Go to other processes as what is saved."""
        return FeatureSpace.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        names = [term.name for term in self.specification.terms]
        terms = " + ".join(names[:12] + ["…"] * (len(names) > 12))
        return f"FeatureSpace({terms}: {self.n_params:,} parameters in {len(self.group_names)} groups)"

"""What a feature space has met: labels, parameters, buckets; append-only and shared. Imports its own room and errors.

A space never changes, yet growing must not copy a million labels. So a space and those grown from it share a ledger
that is only ever appended to, and each knows how much of it is its own (:class:`Extent`). Growing appends where the
space is the newest, and works on a copy where another has grown from it already; either way what a space returns
depends on that space alone.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from uuid import UUID

import numpy as np
from jaxtyping import Int64, UInt64

from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features.hashing import Buckets, hash_of_label, hash_of_pair, prefix_of
from revealed.models.glm.features.terms import Specification

#: A pair's key is the code of its first field times this plus that of its second.
PAIR = 1 << 32


def label_text(value: object) -> str:
    """Return a label as text: 1, 1.0 and ``"1"`` are the same label, as everywhere in this package.

    Raises
    ------
    TypeError
        For what is no label: None, NaN, infinity, bytes, lists, objects.

    >>> label_text("book"), label_text(17), label_text(17.0), label_text(True)
    ('book', '17', '17', 'True')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not np.isfinite(value):
            raise TypeError(f"{value} is no label")
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, str | int | date | time | Decimal | UUID):
        return str(value)
    raise TypeError(f"{value!r} is no label")


class Codes(dict[str, int]):
    """A number for each label; one that is not text is looked up by its text."""

    def __missing__(self, label: object) -> int:
        """Return the number of what is not text; KeyError for what is unknown or no label."""
        if isinstance(label, str):
            raise KeyError(label)
        try:
            text = label_text(label)
        except TypeError:
            raise KeyError(label) from None
        return self[text]


@dataclass(frozen=True)
class Extent:
    """How much of a ledger is one space's own.

    Parameters
    ----------
    labels : tuple of int
        For each field, how many of its labels.
    n_grown : int
        How many parameters beyond the fixed ones.
    buckets : tuple of pairs of int
        For each hashed term, how many buckets are in use and how many are shared.
    """

    labels: tuple[int, ...]
    n_grown: int
    buckets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class News:
    """What a batch of records adds.

    Parameters
    ----------
    labels : sequence of (field, sequence of str)
        The labels that a field had not met, in the order they came.
    params : sequence of (term, key)
        The parameters that there were not, in the order they came.
    hashes : sequence of (term, hashes)
        The distinct values that came to each hashed term.
    """

    labels: Sequence[tuple[int, Sequence[str]]] = ()
    params: Sequence[tuple[int, int]] = ()
    hashes: Sequence[tuple[int, UInt64[np.ndarray, " _"]]] = ()

    def __bool__(self) -> bool:
        return bool(self.params or self.hashes or any(labels for _, labels in self.labels))


@dataclass(eq=False)
class Ledger:
    """The labels, parameters and buckets met so far.

    Parameters
    ----------
    specification : Specification
        The space's fields and terms.

    Notes
    -----
    ``codes[field]`` numbers the labels of a field and ``labels[field]`` has them in that order. ``main[term]`` has the
    parameter of each label of a term of one field, ``pairs[term]`` that of each key of a pair. ``terms`` and ``keys``
    tell for each grown parameter whose it is; a number's place in a key is 0.
    """

    specification: Specification
    labels: list[list[str]] = field(init=False)
    codes: list[Codes] = field(init=False)
    main: list[Codes] = field(init=False)
    pairs: list[dict[int, int]] = field(init=False)
    terms: array[int] = field(init=False)
    keys: array[int] = field(init=False)
    buckets: dict[int, Buckets] = field(init=False)
    prefixes: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        specification = self.specification
        self.labels = [[] for _ in specification.fields]
        self.codes = [Codes() for _ in specification.fields]
        self.main = [Codes() for _ in specification.terms]
        self.pairs = [{} for _ in specification.terms]
        self.terms, self.keys = array("q"), array("q")
        self.buckets = {t: Buckets(term.n_fixed) for t, term in enumerate(specification.terms) if term.bits}
        self.prefixes = tuple(prefix_of(item.name) for item in specification.fields)
        self._lock = threading.Lock()

    @property
    def extent(self) -> Extent:
        """All of it."""
        counts = tuple((bucket.n_taken, bucket.n_shared) for bucket in self.buckets.values())
        return Extent(tuple(map(len, self.labels)), len(self.terms), counts)

    def grown(self, extent: Extent, news: News) -> tuple[Ledger, Extent]:
        """Return a ledger that begins with ``extent`` of this one and goes on with the news, and its extent."""
        with self._lock:
            if self.extent == extent:
                self.append(news)
                return self, self.extent
            copy = self.as_of(extent)
        copy.append(news)
        return copy, copy.extent

    def as_of(self, extent: Extent) -> Ledger:
        """Return a copy of a part."""
        copy = Ledger(self.specification)
        labels = [(i, mine[:n]) for i, (mine, n) in enumerate(zip(self.labels, extent.labels, strict=True))]
        params = list(zip(self.terms[: extent.n_grown], self.keys[: extent.n_grown], strict=True))
        copy.append(News(labels, params))
        for (term, bucket), counts in zip(self.buckets.items(), extent.buckets, strict=True):
            copy.buckets[term] = bucket.as_of(*counts)
        return copy

    def append(self, news: News) -> None:
        """Add the news at the end; only for one who has the ledger alone, others go by :meth:`grown`."""
        for i, labels in news.labels:
            first = len(self.labels[i])
            self.labels[i].extend(labels)
            self.codes[i].update(zip(labels, range(first, first + len(labels)), strict=True))
        param = self.specification.n_fixed + len(self.terms)
        for term, key in news.params:
            factors = self.specification.terms[term].factors
            if len(factors) == 1:
                self.main[term][self.labels[factors[0]][key]] = param
            else:
                self.pairs[term][key] = param
            param += 1
        self.terms.extend(term for term, _ in news.params)
        self.keys.extend(key for _, key in news.params)
        for term, hashes in news.hashes:
            self.buckets[term].add(hashes)

    def parameter(self, extent: Extent, t: int, labels: Sequence[str]) -> int:
        """Return the parameter of a term for its labels, in the order of its fields.

        Raises
        ------
        SpecificationError
            For labels that a part of the ledger does not have (with the nearest), or too many or few of them.
        """
        term = self.specification.terms[t]
        wanted = [i for i in term.factors if self.specification.fields[i].categorical]
        if len(labels) != len(wanted):
            raise SpecificationError(f"the term {term.name!r} is of {len(wanted)} labels, not {len(labels)}")
        hashes = [hash_of_label(self.prefixes[i], label) for i, label in zip(wanted, labels, strict=True)]
        first = self.specification.first[t]
        if term.bits:
            whole = hashes[0] if len(hashes) == 1 else hash_of_pair(*hashes)
            return first + (whole & (term.n_fixed - 1))
        if not wanted:
            return first
        codes = {i: self._code(extent, i, label, whole) for i, label, whole in zip(wanted, labels, hashes, strict=True)}
        if len(term.factors) == 1:
            return int(self.main[t][labels[0]])
        one, other = (codes.get(i, 0) for i in term.factors)
        param = self.pairs[t].get(one * PAIR + other, -1)
        if not 0 <= param < self.specification.n_fixed + extent.n_grown:
            raise SpecificationError(f"the labels {', '.join(map(repr, labels))} of {term.name!r} never came together")
        return param

    def _code(self, extent: Extent, i: int, label: str, whole: int) -> int:
        item = self.specification.fields[i]
        if item.bits:
            return whole & ((1 << item.bits) - 1)
        code = self.codes[i].get(label, -1)
        if not 0 <= code < extent.labels[i]:
            close = nearest(label, self.labels[i][: extent.labels[i]])
            raise SpecificationError(f"the field {item.name!r} never was {label!r}; {close}")
        return code

    def term_of(self, start: int, stop: int) -> Int64[np.ndarray, " params"]:
        """Return the terms of grown parameters ``start`` to ``stop``."""
        return np.array(self.terms[start:stop], dtype=np.int64)

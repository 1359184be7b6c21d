"""From read columns to sparse rows, term by term and all records at once. Imports its own room and errors.

Each term gives every record at most one entry, so the entries are a table of records by terms, from which those that
are missing are left out. What there is no parameter for gets the numbers after the last parameter, in the order of
records and then of terms: the order in which they would have come one record at a time, so growth does not depend on
how records are batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64, Int64, UInt64

from revealed.models.glm.features.columns import Batch, Coded, Numbers, Reader
from revealed.models.glm.features.hashing import hash_of_label, hashes_of_pairs
from revealed.models.glm.features.ledger import PAIR, Extent, Ledger, News
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.features.terms import Specification, Term


@dataclass(eq=False)
class _Labels:
    """A field of labels with the code of each distinct one and, where asked for, its hash."""

    coded: Coded
    codes: Int64[np.ndarray, " distinct"]
    hashes: UInt64[np.ndarray, " distinct"] | None


@dataclass(eq=False)
class _Entries:
    """The entries of one term: the parameter of each distinct value (-1: none yet) and which value a record has.

    ``place`` is None for a term of one parameter, ``present`` None where no record lacks it, ``value`` None for ones.
    """

    params: Int64[np.ndarray, " distinct"]
    place: Int64[np.ndarray, " n"] | None
    present: Bool[np.ndarray, " n"] | None
    value: Float64[np.ndarray, " n"] | None
    keys: list[int] = field(default_factory=list)
    hashes: UInt64[np.ndarray, " met"] | None = None


def encode(ledger: Ledger, extent: Extent, batch: Batch) -> tuple[Rows, News]:
    """Return the rows of a batch, numbers after the last parameter standing for new ones, and what is new.

    Raises
    ------
    DataError
        With all that is wrong with the batch.
    """
    return _Encoder(ledger, extent).encode(batch)


class _Encoder:
    def __init__(self, ledger: Ledger, extent: Extent) -> None:
        self.ledger = ledger
        self.extent = extent
        self.specification: Specification = ledger.specification
        self.n_params = self.specification.n_fixed + extent.n_grown

    def encode(self, batch: Batch) -> tuple[Rows, News]:
        reader = Reader(batch)
        read = [reader.read(item) for item in self.specification.fields]
        reader.finish()
        new_labels: list[tuple[int, Sequence[str]]] = []
        fields: list[Numbers | _Labels] = [
            self._code(i, column, new_labels) if isinstance(column, Coded) else column for i, column in enumerate(read)
        ]
        entries = [self._entries(t, fields) for t in range(len(self.specification.terms))]
        self._require_finite(reader, entries)
        new_params = self._number(entries)
        hashes = [(t, mine.hashes) for t, mine in enumerate(entries) if mine.hashes is not None]
        rows = _table(entries, batch.n_records, self.n_params + len(new_params))
        return rows, News(new_labels, new_params, hashes)

    # ---- fields ---------------------------------------------------------------------------------------------------

    def _code(self, i: int, coded: Coded, new: list[tuple[int, Sequence[str]]]) -> _Labels:
        """Return the codes of a field's labels; those it has not met get the next ones."""
        item = self.specification.fields[i]
        hashed_pair = any(term.bits and i in term.factors for term in self.specification.terms)
        hashes = None
        if item.bits or hashed_pair:
            prefix = self.ledger.prefixes[i]
            hashes = np.array([hash_of_label(prefix, label) for label in coded.labels], np.uint64)
        if item.bits and hashes is not None:
            return _Labels(coded, (hashes & np.uint64(2**item.bits - 1)).astype(np.int64), hashes)
        known = self.extent.labels[i]
        codes = _looked_up(self.ledger.codes[i], coded.labels, known)
        unmet = np.flatnonzero(codes < 0)
        if len(unmet):
            codes[unmet] = known + np.arange(len(unmet))
            new.append((i, [coded.labels[j] for j in unmet]))
        return _Labels(coded, codes, hashes)

    # ---- terms ----------------------------------------------------------------------------------------------------

    def _entries(self, t: int, fields: Sequence[Numbers | _Labels]) -> _Entries:
        term = self.specification.terms[t]
        factors = [fields[i] for i in term.factors]
        labels = [factor for factor in factors if isinstance(factor, _Labels)]
        numbers = [factor for factor in factors if isinstance(factor, Numbers)]
        present, value = None, None
        for factor in factors:
            here = factor.present if isinstance(factor, Numbers) else factor.coded.present
            present = here if present is None else present if here is None else present & here
        for number in numbers:
            with np.errstate(over="ignore"):  # refused below, with its record
                value = number.values if value is None else value * number.values
        if not labels:
            return _Entries(np.array([self.specification.first[t]]), None, present, value)
        if len(labels) == 1:
            return self._of_one(t, term, labels[0], present, value)
        return self._of_pair(t, term, labels, present)

    def _of_one(self, t: int, term: Term, labels: _Labels, present: Any, value: Any) -> _Entries:
        """Return a label's own term, or that of its pair with a number."""
        place = labels.coded.place
        if term.bits:
            assert labels.hashes is not None
            hashes = labels.hashes
            if present is not labels.coded.present:  # only what comes with its number, in the order it came
                hashes = hashes[_distinct(place, present)[0]]
            return _Entries(self._bucketed(t, term, labels.hashes), place, present, value, hashes=hashes)
        if len(term.factors) == 1:
            params = _looked_up(self.ledger.main[t], labels.coded.labels, self.n_params)
            return _Entries(params, place, present, value, labels.codes.tolist())
        first = self.specification.fields[term.factors[0]].categorical
        keys, place = _merged((labels.codes * PAIR if first else labels.codes).tolist(), place)
        return _Entries(_looked_up(self.ledger.pairs[t], keys, self.n_params), place, present, value, keys)

    def _of_pair(self, t: int, term: Term, labels: Sequence[_Labels], present: Any) -> _Entries:
        one, other = labels
        width = len(other.coded.labels) + 1
        joint, place = _distinct(one.coded.place * width + other.coded.place, present)
        a, b = joint // width, joint % width
        if term.bits:
            assert one.hashes is not None
            assert other.hashes is not None
            hashes = hashes_of_pairs(one.hashes[a], other.hashes[b])
            return _Entries(self._bucketed(t, term, hashes), place, present, None, hashes=hashes)
        keys, place = _merged((one.codes[a] * PAIR + other.codes[b]).tolist(), place)
        return _Entries(_looked_up(self.ledger.pairs[t], keys, self.n_params), place, present, None, keys)

    def _bucketed(self, t: int, term: Term, hashes: UInt64[np.ndarray, " v"]) -> Int64[np.ndarray, " v"]:
        return (hashes & np.uint64(2**term.bits - 1)).astype(np.int64) + self.specification.first[t]

    # ---- all of them ----------------------------------------------------------------------------------------------

    def _require_finite(self, reader: Reader, entries: Sequence[_Entries]) -> None:
        """Refuse pairs of numbers whose product is beyond all floats."""
        for term, mine in zip(self.specification.terms, entries, strict=True):
            if len(term.factors) == 2 and mine.place is None and mine.value is not None:
                bad = ~np.isfinite(mine.value)
                if bad.any():
                    reader.add("the product is infinite", "scale the two fields", term.name, bad)
        reader.finish()

    def _number(self, entries: Sequence[_Entries]) -> list[tuple[int, int]]:
        """Give numbers to values without one in the order of records, then of terms; return their terms and keys."""
        rows, terms, places = [], [], []
        for t, mine in enumerate(entries):
            unmet = np.flatnonzero(mine.params < 0)
            if not len(unmet):
                continue
            assert mine.place is not None
            n = len(mine.place)
            first = np.full(len(mine.params) + 1, n)
            here = np.arange(n - 1, -1, -1)  # of records with the same value the last one assigned stays: the first
            if mine.present is not None:
                here = here[mine.present[::-1]]
            first[mine.place[here]] = here
            unmet = unmet[first[unmet] < n]  # a label may come only where the other half of its pair is missing
            rows.append(first[unmet])
            terms.append(np.full(len(unmet), t))
            places.append(unmet)
        if not rows:
            return []
        row, term, place = np.concatenate(rows), np.concatenate(terms), np.concatenate(places)
        order = np.lexsort((term, row))
        new = []
        for param, (t, at) in enumerate(
            zip(term[order].tolist(), place[order].tolist(), strict=True), start=self.n_params
        ):
            entries[t].params[at] = param
            new.append((t, entries[t].keys[at]))
        return new


def _looked_up(table: Any, keys: Sequence[Any], known: int) -> Int64[np.ndarray, " keys"]:
    """Return the numbers of keys, -1 for those not there or not below ``known`` (they came to a later space)."""
    found = np.fromiter(map(table.get, keys, repeat(-1)), np.int64, len(keys))
    found[found >= known] = -1
    return found


def _distinct(
    joint: Int64[np.ndarray, " n"], present: Bool[np.ndarray, " n"] | None
) -> tuple[Int64[np.ndarray, " distinct"], Int64[np.ndarray, " n"]]:
    """Return the distinct numbers in the order they came, and the place of each among them."""
    encoded = pc.dictionary_encode(pa.array(joint, mask=None if present is None else ~present))
    values = encoded.dictionary.to_numpy()
    indices = encoded.indices.fill_null(len(values)) if encoded.null_count else encoded.indices
    return values, indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _merged(keys: list[int], place: Int64[np.ndarray, " n"]) -> tuple[list[int], Int64[np.ndarray, " n"]]:
    """Return keys without repetition (labels of a hashed field may share a bucket) and the place of each record's."""
    places = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    if len(places) == len(keys):
        return keys, place
    return list(places), np.array([*map(places.__getitem__, keys), len(places)])[place]


def _table(entries: Sequence[_Entries], n: int, n_params: int) -> Rows:
    """Return the entries of all terms as rows."""
    index = np.empty((n, len(entries)), np.int64)
    value = np.ones((n, len(entries)))
    present = None
    for t, mine in enumerate(entries):
        if mine.place is None:
            index[:, t] = mine.params[0]
        else:
            index[:, t] = np.append(mine.params, 0)[mine.place]
        if mine.value is not None:
            value[:, t] = mine.value
        if mine.present is not None and not mine.present.all():
            present = np.ones((n, len(entries)), bool) if present is None else present
            present[:, t] = mine.present
    if present is None:
        starts = np.arange(0, n * len(entries) + 1, len(entries), dtype=np.int64)
        return Rows(starts, index.ravel(), value.ravel(), n_params)
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(present.sum(axis=1), out=starts[1:])
    return Rows(starts, index[present], value[present], n_params)

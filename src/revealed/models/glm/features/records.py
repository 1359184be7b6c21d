"""From a few records to rows, no arrays between: the path of a single decision. Imports its own room and errors.

It knows only what is usual: every value met before, numbers that are numbers, nothing missing that must be there. At
the first thing else it gives up, and the batch goes the long way (:mod:`.encode`), which grows, or says what is wrong.
Where both ways work they give the same rows, bit for bit; a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from revealed.models.glm.features.hashing import hash_of_label, hash_of_pair
from revealed.models.glm.features.ledger import PAIR, Extent, Ledger, label_text
from revealed.models.glm.features.rows import Rows

_NUMBERS = frozenset((float, int, bool, np.float64, np.float32, np.int64, np.int32))

#: More records than this go faster over arrays.
FEW = 24

#: Writes a term's entries of one record: its values by field, its hashes by field, where index and value go.
_Write = Callable[[list[Any], dict[int, int], list[int], list[float]], None]


class UnusualError(Exception):
    """A record that has to go the long way; never leaves this package."""


class RecordPath:
    """The way of usual records through one ledger.

    The first terms of a row are read by comprehensions, as they are most of it: the intercept, numbers and labels
    that are never missing. The others are written one by one.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.specification = ledger.specification
        fields, terms = self.specification.fields, self.specification.terms
        self.usable = not any(item.expression for item in fields)
        self.intercept = [1.0] * sum(not term.factors for term in terms)
        self.runs = self._runs()
        needed = {i for t, term in enumerate(terms) if t not in self._in_runs for i in term.factors}
        self.needed = [(i, fields[i].name, fields[i].categorical, fields[i].optional) for i in sorted(needed)]
        hashed = {i for i in needed if fields[i].bits or any(t.bits and i in t.factors for t in terms)}
        self.hashed = [i for i in sorted(hashed) if fields[i].categorical]
        self.writers = [self._writer(t) for t in range(len(terms)) if t not in self._in_runs]
        self.bucket_terms = [t for t, term in enumerate(terms) if term.bits]

    def _runs(self) -> tuple[list[int], list[str], list[tuple[str, Any]]]:
        """Return the leading terms: their fixed parameters, the numbers' names, and names with tables of labels."""
        fields, terms, first = self.specification.fields, self.specification.terms, self.specification.first
        fixed: list[int] = []
        numbers: list[str] = []
        tables: list[tuple[str, Any]] = []
        self._in_runs: set[int] = set()
        for t, term in enumerate(terms):
            if len(term.factors) > 1 or any(fields[i].optional for i in term.factors) or term.bits:
                break
            self._in_runs.add(t)
            if term.factors and fields[term.factors[0]].categorical:
                tables.append((fields[term.factors[0]].name, self.ledger.main[t]))
                continue
            fixed.append(first[t])
            numbers += [fields[i].name for i in term.factors]
        return fixed, numbers, tables

    def rows(self, records: Sequence[Mapping[str, Any]], extent: Extent, *, note: bool) -> Rows:
        """Return the rows of a few records.

        Parameters
        ----------
        records : sequence of mappings
        extent : Extent
            How much of the ledger counts.
        note : bool
            Whether what falls into buckets is to be noted, so that anything new there is unusual.

        Raises
        ------
        UnusualError
            If they have to go the long way.
        """
        fixed, numbers, tables = self.runs
        index: list[int] = []
        value: list[float] = []
        starts = [0]
        try:
            for record in records:
                index += fixed
                value += self.intercept
                if numbers:
                    found = [record[name] for name in numbers]
                    if not _NUMBERS.issuperset(map(type, found)):
                        raise UnusualError
                    value += found
                if tables:
                    index += [table[record[name]] for name, table in tables]
                    value += [1.0] * len(tables)
                if self.writers:
                    self._others(record, index, value, extent if note else None)
                starts.append(len(index))
            values = np.array(value, np.float64)
        except (KeyError, TypeError, AttributeError, OverflowError):  # new, missing, no label, no record, too large
            raise UnusualError from None
        n_params = self.specification.n_fixed + extent.n_grown
        indices = np.array(index, np.int64)
        if len(index) and (int(indices.max()) >= n_params or not np.isfinite(values).all()):
            raise UnusualError
        return Rows(np.array(starts, np.int64), indices, values, n_params)

    def _others(self, record: Mapping[str, Any], index: list[int], value: list[float], noted: Extent | None) -> None:
        """Write the entries of the terms that are not leading ones."""
        state: list[Any] = [None] * len(self.specification.fields)
        for i, name, categorical, optional in self.needed:
            cell = record.get(name)
            if cell is None:
                if not optional:
                    raise UnusualError
                continue
            if not categorical:
                if type(cell) not in _NUMBERS:
                    raise UnusualError
                state[i] = float(cell)
            else:
                state[i] = cell if type(cell) is str else label_text(cell)
        prefixes = self.ledger.prefixes
        hashes = {i: hash_of_label(prefixes[i], state[i]) for i in self.hashed if state[i] is not None}
        for write in self.writers:
            write(state, hashes, index, value)
        if noted is not None:
            self._require_noted(state, hashes, noted)

    def _require_noted(self, state: list[Any], hashes: dict[int, int], extent: Extent) -> None:
        """Raise UnusualError if a value is new to its bucket, or makes it a shared one."""
        for t, (n_taken, n_shared) in zip(self.bucket_terms, extent.buckets, strict=True):
            term, buckets = self.specification.terms[t], self.ledger.buckets[t]
            if any(state[i] is None for i in term.factors):
                continue
            ours = [hashes[i] for i in term.factors if i in hashes]
            whole = ours[0] if len(ours) == 1 else hash_of_pair(*ours)
            bucket = whole & (2**term.bits - 1)
            known = 0 < buckets.taken_as[bucket] <= n_taken
            if not known or (buckets.owner[bucket] != whole and not 0 < buckets.shared_as[bucket] <= n_shared):
                raise UnusualError

    # ---- one term each --------------------------------------------------------------------------------------------

    def _writer(self, t: int) -> _Write:
        """Return what writes a term's entry of a record, if the record has one."""
        term, fields = self.specification.terms[t], self.specification.fields
        labels = [i for i in term.factors if fields[i].categorical]
        numbers = [i for i in term.factors if not fields[i].categorical]
        if not labels:
            return _numeric(self.specification.first[t], numbers)
        if term.bits:
            return _bucket(self.specification.first[t], 2**term.bits - 1, labels, numbers)
        if len(term.factors) == 1:
            return _label(self.ledger.main[t], labels[0])
        codes = [None if fields[i].bits else self.ledger.codes[i] for i in labels]
        masks = [2 ** fields[i].bits - 1 for i in labels]
        if numbers:
            scale = PAIR if term.factors[0] == labels[0] else 1
            return _label_and_number(self.ledger.pairs[t], labels[0], codes[0], masks[0], numbers[0], scale)
        return _labels(self.ledger.pairs[t], labels, codes, masks)


def _numeric(param: int, numbers: Sequence[int]) -> _Write:
    one, other = numbers[0], numbers[-1]
    alone = len(numbers) == 1

    def write(state: list[Any], _hashes: dict[int, int], index: list[int], value: list[float]) -> None:
        if state[one] is not None and state[other] is not None:
            index.append(param)
            value.append(state[one] if alone else state[one] * state[other])

    return write


def _label(params: Mapping[Any, int], i: int) -> _Write:
    def write(state: list[Any], _hashes: dict[int, int], index: list[int], value: list[float]) -> None:
        if state[i] is not None:
            index.append(params[state[i]])
            value.append(1.0)

    return write


def _bucket(first: int, mask: int, labels: Sequence[int], numbers: Sequence[int]) -> _Write:
    i, j = labels[0], labels[-1]
    paired = len(labels) == 2
    number = numbers[0] if numbers else None

    def write(state: list[Any], hashes: dict[int, int], index: list[int], value: list[float]) -> None:
        if state[i] is None or state[j] is None or (number is not None and state[number] is None):
            return
        whole = hash_of_pair(hashes[i], hashes[j]) if paired else hashes[i]
        index.append(first + (whole & mask))
        value.append(1.0 if number is None else state[number])

    return write


def _label_and_number(
    params: Mapping[int, int], i: int, codes: Mapping[Any, int] | None, mask: int, number: int, scale: int
) -> _Write:
    def write(state: list[Any], hashes: dict[int, int], index: list[int], value: list[float]) -> None:
        if state[i] is None or state[number] is None:
            return
        code = hashes[i] & mask if codes is None else codes[state[i]]
        index.append(params[code * scale])
        value.append(state[number])

    return write


def _labels(
    params: Mapping[int, int],
    labels: Sequence[int],
    codes: Sequence[Mapping[Any, int] | None],
    masks: Sequence[int],
) -> _Write:
    i, j = labels
    (codes_i, codes_j), (mask_i, mask_j) = codes, masks

    def write(state: list[Any], hashes: dict[int, int], index: list[int], value: list[float]) -> None:
        if state[i] is None or state[j] is None:
            return
        one = hashes[i] & mask_i if codes_i is None else codes_i[state[i]]
        other = hashes[j] & mask_j if codes_j is None else codes_j[state[j]]
        index.append(params[one * PAIR + other])
        value.append(1.0)

    return write

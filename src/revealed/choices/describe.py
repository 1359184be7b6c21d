"""What a log holds, summed over its batches: cases, shares, choice sets, attributes. Imports its own room only."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from revealed.choices.arrange import changes, is_missing
from revealed.choices.described import Described
from revealed.choices.facts import Facts
from revealed.choices.kinds import holds_numbers, is_text, one_array
from revealed.choices.levels import Levels, levels_in, union_of
from revealed.choices.log import ChoiceLog
from revealed.choices.summary import AlternativeSummary, AttributeSummary, Description


def describe(log: Described) -> Description:
    """Return what a log or a stream holds, in one pass over its batches."""
    facts = log.facts
    attributes = [_Attribute(name) for name in log.attribute_names]
    rows = np.zeros(len(facts.levels), np.int64)
    available = np.zeros(len(facts.levels), np.int64)
    set_sizes: Counter[int] = Counter()
    times: list[Levels] = []
    propensities: list[float] = []
    for batch in log.batches():
        codes = batch.alternative_codes
        rows += np.bincount(codes, minlength=len(rows))
        mask = batch.available
        available += np.bincount(codes if mask is None else codes[mask], minlength=len(rows))
        sets = batch.sizes if mask is None else np.add.reduceat(mask, batch.offsets[:-1], dtype=np.int64)
        sizes, how_many = np.unique(sets, return_counts=True)
        set_sizes.update(dict(zip(sizes.tolist(), how_many.tolist(), strict=True)))
        for attribute in attributes:
            attribute.add(batch)
        if log.columns.time is not None:
            times = [_ends(union_of([*times, levels_in(batch.first_cells(log.columns.time))]))]
        if log.columns.propensity is not None:
            shown = batch.numbers(log.columns.propensity)
            shown = shown if mask is None else shown[mask]
            propensities += [float(shown.min()), float(shown.max())] if len(shown) else []
    return Description(
        source=log.source,
        n_cases=facts.n_cases,
        n_rows=facts.n_rows,
        n_persons=facts.n_persons,
        n_choices=facts.n_choices,
        counts=log.counts,
        weighted=log.columns.weight is not None,
        has_persons=log.columns.person is not None,
        alternatives=_alternatives(facts, rows, available),
        set_sizes=dict(sorted(set_sizes.items())),
        attributes=tuple(attribute.summary() for attribute in attributes),
        time_span=(times[0].labels[0], times[0].labels[-1]) if times else None,
        propensity_range=(min(propensities), max(propensities)) if propensities else None,
        null_log_likelihood=facts.null_log_likelihood,
    )


def _ends(levels: Levels) -> Levels:
    return Levels(levels.values.take(pa.array([0, len(levels) - 1]))) if len(levels) > 2 else levels


def _alternatives(
    facts: Facts, rows: Int[np.ndarray, " levels"], available: Int[np.ndarray, " levels"]
) -> tuple[AlternativeSummary, ...]:
    chosen: Float[np.ndarray, " levels"] = np.array([facts.chosen[label] for label in facts.levels.labels])
    total = float(chosen.sum()) or 1.0
    return tuple(
        AlternativeSummary(label, int(listed), int(could), float(taken), float(taken) / total)
        for label, listed, could, taken in zip(facts.levels.labels, rows, available, chosen, strict=True)
    )


class _Attribute:
    """Sums up one column over batches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = "other"
        self.count = 0
        self.total = 0.0
        self.smallest = np.inf
        self.largest = -np.inf
        self.missing = 0
        self.levels: list[Levels] = []
        self.varies = False

    def add(self, batch: ChoiceLog) -> None:
        column = batch.table.column(self.name)
        self.kind = _kind_of(column.type)
        if self.kind in ("number", "flag"):
            cells = batch.numbers(self.name)
            finite = cells if bool(np.isfinite(cells).all()) else cells[np.isfinite(cells)]
            self.missing += len(cells) - len(finite)
            self.count += len(finite)
            if len(finite):
                self.total += float(finite.sum(dtype=np.float64))
                self.smallest = min(self.smallest, float(finite.min()))
                self.largest = max(self.largest, float(finite.max()))
        elif self.kind != "other":
            lacking = is_missing(column)
            self.missing += 0 if lacking is None else int(lacking.sum())
            self.levels.append(levels_in(column))
            if len(self.levels) > 32:
                self.levels = [union_of(self.levels)]
        if not self.varies and self.kind != "other":
            differs = np.array(changes(one_array(column)))
            differs[batch.offsets[1:-1] - 1] = False  # from one case to the next anything may change
            self.varies = bool(differs.any())

    def summary(self) -> AttributeSummary:
        numeric = self.count > 0
        return AttributeSummary(
            name=self.name,
            kind=self.kind,
            smallest=self.smallest if numeric else None,
            mean=self.total / self.count if numeric else None,
            largest=self.largest if numeric else None,
            missing=self.missing,
            n_levels=len(union_of(self.levels)) if self.levels else None,
            varies_within_case=self.varies,
        )


def _kind_of(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "flag"
    if holds_numbers(kind):
        return "number"
    if pa.types.is_temporal(kind):
        return "time"
    return "label" if is_text(kind) else "other"

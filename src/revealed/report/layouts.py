"""Layouts as sections of a report: which are best, and what each option does. Imports decide and answer's table."""

from __future__ import annotations

from collections.abc import Sequence

from revealed.answer.table import Cell, Column, Table
from revealed.decide.layout.effects import Effect
from revealed.decide.layout.past import TestsFit
from revealed.decide.layout.ranking import Ranking
from revealed.decide.layout.space import LayoutSpace
from revealed.report.content import Facts, Section, Text

#: Pairs beyond these are left out, those furthest from zero (in deviations) kept; a page of hundreds is not read.
MOST_PAIRS = 12

#: Of the prior's variance; an effect of which data took less away is one of which they say little.
LITTLE = 0.1

#: What each deviation of a fit is called.
DIFFER = {
    "option": "Options differ by",
    "pair": "Pairs differ by",
    "test": "Tests differ by",
    "row": "Rows differ, beyond chance, by",
}


def sections_of_tests(fit: TestsFit, ranking: Ranking, level: float = 0.95) -> tuple[Section, ...]:
    """Return what past tests say: facts, the ranking, the effects of options and of the clearest pairs."""
    effects = fit.effects(level)
    sections = [
        Section("Past tests", (Facts(_facts(fit, level)), *_remarks(fit))),
        Section("Best layouts", (table_of_ranking(fit, ranking),)),
        Section("Options", (table_of_effects(fit, [e for e in effects if e.kind == "option"], level),)),
    ]
    pairs = [e for e in effects if e.kind == "pair"]
    if pairs:
        told = without_mirrors(pairs, fit.learner.design.space)
        kept = clearest(told, MOST_PAIRS)
        table = table_of_effects(fit, kept, level)
        notes = [*table.notes]
        if len(told) < len(pairs):
            notes.append("Where a slot has two options, the other one does the opposite, and is left out.")
        if len(kept) < len(told):
            notes.append(f"The clearest of {len(told):,}.")
        sections.append(Section("Pairs", (Table("", table.columns, table.rows, tuple(notes)),)))
    return tuple(sections)


def clearest(effects: Sequence[Effect], count: int) -> list[Effect]:
    """Return the effects furthest from zero in deviations, the furthest first."""
    return sorted(effects, key=lambda e: -abs(e.mean) / (e.high - e.low))[:count]


def without_mirrors(effects: Sequence[Effect], space: LayoutSpace) -> list[Effect]:
    """Return effects without those that say what another says: in a slot of two options one does what the other undoes.

    Of such effects the one above zero is kept.
    """
    free = {slot.name: len(slot.options) > 2 for slot in space.slots}
    found: dict[tuple[object, ...], Effect] = {}
    for effect in effects:
        places = zip(effect.slots, effect.options, strict=True)
        key = (effect.feature, *((slot, option if free[slot] else "") for slot, option in places))
        if key not in found or effect.mean > found[key].mean:
            found[key] = effect
    return list(found.values())


def table_of_ranking(fit: TestsFit, ranking: Ranking) -> Table:
    """Return a ranking as a table, with how often tests showed each layout."""
    slots = fit.learner.design.space.names
    per_cent = f"{100 * ranking.level:g}%"
    columns = (
        *(Column(slot, "text") for slot in slots),
        Column("rate", "share"),
        Column(f"{per_cent} from", "share"),
        Column("to", "share"),
        Column("is best", "share"),
        Column("shown", "integer"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(item.layout[slot] for slot in slots),
            item.rate,
            item.low,
            item.high,
            item.best,
            fit.impressions_of(item.layout),
        )
        for item in ranking.layouts
    ]
    if ranking.method == "exhaustive":
        how = f"All {ranking.n_layouts:,} allowed layouts were compared."
    else:
        how = (
            f"Found by hill climbing among {fit.learner.design.space.n_layouts:,} layouts, of which "
            f"{ranking.n_layouts:,} were compared: a better one may have been missed."
        )
    notes = [how, f"The median of those compared has a rate of {ranking.median:.2%}."]
    if fit.n_tests > 1:
        notes.append("Rates are those of the average test.")
    return Table("", columns, tuple(rows), tuple(notes))


def table_of_effects(fit: TestsFit, effects: Sequence[Effect], level: float) -> Table:
    """Return effects with their intervals as a table."""
    columns = (
        Column("effect of", "text"),
        Column("effect"),
        Column(f"{100 * level:g}% from"),
        Column("to"),
        Column("above zero", "share"),
        Column("shown", "integer"),
    )
    rows = tuple((e.name, e.mean, e.low, e.high, e.above_zero, fit.impressions_of_effect(e)) for e in effects)
    if fit.learner.model.link.name == "logit":
        unit = (
            "In log-odds, against the average option of each slot: where clicks are few, 0.10 is some 10% more of them."
        )
    else:
        unit = "In deviations of the probit, against the average option of each slot."
    notes = [unit]
    unknown = sum(e.told < LITTLE for e in effects)
    if unknown:
        notes.append(f"Of {unknown} of these the data say next to nothing: their intervals are the prior's.")
    return Table("", columns, rows, tuple(notes))


def _facts(fit: TestsFit, level: float) -> tuple[tuple[str, str], ...]:
    impressions, clicks = float(fit.impressions.sum()), float(fit.clicks.sum())
    space = fit.learner.design.space
    slots = ", ".join(f"{slot.name} ({len(slot.options)} options)" for slot in space.slots)
    facts = [
        ("Rows", f"{fit.n_rows:,}"),
        ("Tests", f"{fit.n_tests:,}"),
        ("Slots", slots),
        ("Impressions", f"{impressions:,.0f}"),
        ("Clicks", f"{clicks:,.0f} ({clicks / impressions:.2%})"),
        ("Layouts", f"{space.n_layouts:,}, of which {len(fit.layouts):,} were shown"),
    ]
    for name, deviation in fit.deviations.items():
        low, high = deviation.interval(level)
        facts.append((DIFFER[name], f"{deviation.median:.2f} ({100 * level:g}% from {low:.2f} to {high:.2f})"))
    return tuple(facts)


def _remarks(fit: TestsFit) -> tuple[Text, ...]:
    unit = "log-odds" if fit.learner.model.link.name == "logit" else "the probit"
    said = f"How much things differ is a standard deviation in {unit}, learned from the tests; intervals allow for it."
    remarks = [Text(said, "note")]
    if not fit.converged:
        remarks.append(Text("The fit did not converge; do not rely on these numbers.", "alert"))
    return tuple(remarks)

"""Layouts as sections of a report: which are best, and what each option does. Imports decide and answer's table."""

from __future__ import annotations

from collections.abc import Sequence

from revealed.answer.table import Cell, Column, Table
from revealed.decide.layout.effects import Effect
from revealed.decide.layout.past import TestsFit
from revealed.decide.layout.ranking import Ranking
from revealed.report.content import Facts, Section, Text

#: Pairs beyond these are left out, those furthest from zero (in deviations) kept; a page of hundreds is not read.
MOST_PAIRS = 12

#: Of the prior's variance; an effect of which data took less away is one of which they say little.
LITTLE = 0.1


def sections_of_tests(fit: TestsFit, ranking: Ranking, level: float = 0.95) -> tuple[Section, ...]:
    """Return what past tests say: facts, the ranking, the effects of options and of the clearest pairs."""
    effects = fit.effects(level)
    sections = [
        Section("Past tests", (Facts(_facts(fit)), *_warnings(fit))),
        Section("Best layouts", (table_of_ranking(fit, ranking),)),
        Section("Options", (table_of_effects(fit, [e for e in effects if e.kind == "option"], level),)),
    ]
    pairs = [e for e in effects if e.kind == "pair"]
    if pairs:
        kept = clearest(pairs, MOST_PAIRS)
        table = table_of_effects(fit, kept, level)
        left = len(pairs) - len(kept)
        notes = (*table.notes, *((f"The clearest of {len(pairs):,} pairs.",) if left else ()))
        sections.append(Section("Pairs", (Table("", table.columns, table.rows, notes),)))
    return tuple(sections)


def clearest(effects: Sequence[Effect], count: int) -> list[Effect]:
    """Return the effects furthest from zero in deviations, the furthest first."""
    return sorted(effects, key=lambda e: -abs(e.mean) / (e.high - e.low))[:count]


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
    return Table("", columns, tuple(rows), (how, f"The median of those compared has a rate of {ranking.median:.2%}."))


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
    unit = "log-odds" if fit.learner.model.link.name == "logit" else "deviations of the probit"
    notes = [f"In {unit}, against the average option of each slot."]
    unknown = sum(e.told < LITTLE for e in effects)
    if unknown:
        notes.append(f"Of {unknown} of these the data say next to nothing: their intervals are the prior's.")
    return Table("", columns, rows, tuple(notes))


def _facts(fit: TestsFit) -> tuple[tuple[str, str], ...]:
    impressions, clicks = float(fit.impressions.sum()), float(fit.clicks.sum())
    space = fit.learner.design.space
    facts = [
        ("Rows", f"{fit.n_rows:,}"),
        ("Tests", f"{fit.n_tests:,}"),
        ("Impressions", f"{impressions:,.0f}"),
        ("Clicks", f"{clicks:,.0f} ({clicks / impressions:.2%})"),
        ("Layouts", f"{space.n_layouts:,}, of which {len(fit.layouts):,} were shown"),
    ]
    if fit.n_tests > 1:
        facts.append(("Tests differ by", f"{fit.test_deviation:.2f} (standard deviation of their levels)"))
    if fit.dispersion > 1:
        facts.append(("Dispersion", f"{fit.dispersion:.2f}: rows vary more than by chance, so intervals are wider"))
    return tuple(facts)


def _warnings(fit: TestsFit) -> tuple[Text, ...]:
    if fit.converged:
        return ()
    return (Text("The fit did not converge; do not rely on these numbers.", "alert"),)

"""What a log holds, as sections of a report. Imports choices."""

from __future__ import annotations

from revealed.answer.table import Cell, Column, Table
from revealed.choices.summary import Description
from revealed.report.content import Facts, Section
from revealed.report.numbers import number_as_text

#: More rows than this are cut; a log may have a million alternatives.
_MOST_ROWS = 30


def sections_of_description(description: Description) -> tuple[Section, ...]:
    """Return what a log holds as sections: its size, its alternatives, its attributes."""
    return (
        Section(description.source, (Facts(_facts(description)),)),
        Section("Alternatives", (_alternatives(description),)),
        *((Section("Attributes", (_attributes(description),)),) if description.attributes else ()),
    )


def _facts(description: Description) -> tuple[tuple[str, str], ...]:
    facts = [("Choice situations", f"{description.n_cases:,}")]
    if description.n_choices != description.n_cases:
        what = "Choices" if description.counts else "Sum of weights"
        facts.append((what, number_as_text(description.n_choices)))
    if description.has_persons:
        facts.append(("Decision makers", f"{description.n_persons:,}"))
    facts += [
        ("Alternatives", f"{len(description.alternatives):,}"),
        ("Rows", f"{description.n_rows:,}"),
        ("Available per choice", _set_sizes(description)),
        ("Log-likelihood at equal chances", f"{description.null_log_likelihood:,.3f}"),
    ]
    if description.time_span is not None:
        facts.append(("Time", " to ".join(description.time_span)))
    if description.propensity_range is not None:
        facts.append(("Propensity", " to ".join(map(number_as_text, description.propensity_range))))
    return tuple(facts)


def _set_sizes(description: Description) -> str:
    sizes = description.set_sizes
    if len(sizes) == 1:
        return f"{next(iter(sizes)):,}"
    if len(sizes) <= 3:
        return ", ".join(f"{size:,} ({count / description.n_cases:.0%})" for size, count in sizes.items())
    return f"{min(sizes):,} to {max(sizes):,}"


def _alternatives(description: Description) -> Table:
    found = description.alternatives
    shown = found if len(found) <= _MOST_ROWS else sorted(found, key=lambda item: -item.chosen)[:_MOST_ROWS]
    columns = (
        Column("alternative", "text"),
        Column("offered", "integer"),
        Column("available", "integer"),
        Column("chosen"),
        Column("share of choices", "share"),
    )
    rows = tuple((item.label, item.rows, item.available, item.chosen, item.share) for item in shown)
    left = len(found) - len(shown)
    return Table("", columns, rows, (f"the most chosen ones; and {left:,} more",) if left else ())


def _attributes(description: Description) -> Table:
    columns = (
        Column("attribute", "text"),
        Column("kind", "text"),
        Column("smallest", "text"),
        Column("mean", "text"),
        Column("largest", "text"),
        Column("missing", "integer"),
        Column("belongs to", "text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for item in description.attributes:
        kind = f"{item.n_levels:,} labels" if item.kind == "label" and item.n_levels is not None else item.kind
        numbers = ["" if value is None else f"{value:.6g}" for value in (item.smallest, item.mean, item.largest)]
        whose = "alternative" if item.varies_within_case else "choice situation"
        rows.append((item.name, kind, *numbers, item.missing, whose))
    return Table("", columns, tuple(rows))

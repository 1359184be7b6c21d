"""The summary of a fit, as data: what was fitted to what, how it went, and the estimates. Imports answer to choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from revealed.answer.base import json_ready
from revealed.answer.goodness import Goodness, goodness
from revealed.answer.interval import IntervalOptions, intervals
from revealed.answer.table import Cell, Column, Table
from revealed.evidence.level import quantile, require_level
from revealed.models.fit import Fit
from revealed.report.content import Block, Code, Facts, Section, Text, Tone
from revealed.report.numbers import number_as_text
from revealed.report.shown import Shown, alerts_of

#: A table of shares with more alternatives than this shows the most chosen ones.
_MOST_ALTERNATIVES = 12

_ERRORS = {
    "classic": "Classic standard errors, from the information: right if the model is.",
    "robust": "Robust standard errors (Huber 1967, White 1982): right also if the model is only an approximation.",
    "clustered": "Standard errors clustered by {person} ({persons} clusters): choices of one may depend on each other.",
}


@dataclass(frozen=True)
class EstimateRow:
    """One parameter of a summary.

    Parameters
    ----------
    name : str
    estimate : float
    standard_error, z, p_value, low, high : float or None
        With the errors the summary shows; None where there are none, for what ``state`` says.
    state : str
        ``"estimated"``, ``"fixed"``, ``"at bound"`` or ``"not identified"``.
    other_errors : mapping
        The standard errors of the kinds shown beside, by kind.
    null_value : float
        What z and the p-value test against.
    """

    name: str
    estimate: float
    standard_error: float | None
    z: float | None
    p_value: float | None
    low: float | None
    high: float | None
    state: str
    other_errors: Mapping[str, float | None]
    null_value: float = 0.0


@dataclass(frozen=True)
class DerivedRow:
    """What follows from the parameters, with its interval by the delta method.

    Parameters
    ----------
    name : str
    value, standard_error, low, high : float
    """

    name: str
    value: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Summary(Shown):
    """What a reader must know of a fit; made by ``fit.summary()``.

    ``str(summary)`` is plain text, a notebook shows it as HTML, and :mod:`revealed.report` has the other forms.

    Parameters
    ----------
    title : str
        The model's name.
    messages : tuple of str
        What is wrong, or must be known before the estimates are used; empty when all is well.
    sound : bool
        Whether the estimates can be used as they stand.
    data : tuple of (str, str)
        Facts on the choices: label and value.
    formulas : tuple of (str, str)
        What the model's formulas are called, and the formulas.
    goodness : Goodness
    rows : tuple of EstimateRow
    derived : tuple of DerivedRow
        What follows from the estimates, where the model has something to say.
    errors : str
        The kind of standard errors shown.
    level : float
        The confidence level of the intervals.
    shares : tuple of (str, float)
        The alternatives and their observed shares of choices.
    references : mapping
        The reference level of each categorical column.
    run : tuple of (str, str)
        Facts on the estimation.
    citations : tuple of str
    notes : tuple of str
    """

    title: str
    messages: tuple[str, ...]
    sound: bool
    data: tuple[tuple[str, str], ...]
    formulas: tuple[tuple[str, str], ...]
    goodness: Goodness
    rows: tuple[EstimateRow, ...]
    derived: tuple[DerivedRow, ...]
    errors: str
    level: float
    shares: tuple[tuple[str, float], ...]
    references: Mapping[str, str]
    run: tuple[tuple[str, str], ...]
    citations: tuple[str, ...]
    notes: tuple[str, ...]

    # ---- as a table -----------------------------------------------------------------------------------------------

    def table(self) -> Table:
        """Return the estimates, one row per parameter."""
        return table_of_estimates(self.rows, self.errors, self.level, self.notes)

    def derived_table(self) -> Table:
        """Return what follows from the estimates, one row each."""
        percent = f"{100 * self.level:g}%"
        columns = (
            Column("derived", "text"),
            Column("value"),
            Column(f"{self.errors} error"),
            Column(f"{percent} low"),
            Column(f"{percent} high"),
        )
        rows = tuple((row.name, row.value, row.standard_error, row.low, row.high) for row in self.derived)
        return Table("", columns, rows)

    def sections(self) -> tuple[Section, ...]:
        """Return the summary as sections of a report."""
        tone: Tone = "warning" if self.sound else "alert"
        alerts = alerts_of(self.messages, tone)
        formulas = "\n".join(formula if not label else f"{label}: {formula}" for label, formula in self.formulas)
        facts = (*self.data, *self.run, *self._fit_facts())
        table = self.table()
        estimates = [Table("", table.columns, table.rows, table.notes)]
        if self.derived:
            estimates.append(self.derived_table())
        blocks: tuple[Block, ...] = (*alerts, Facts(facts), Text("Utility", "note"), Code(formulas))
        return (
            Section(self.title, blocks),
            Section("Estimates", tuple(estimates)),
            Section("Observed choices", (self._shares_table(),)),
        )

    def _fit_facts(self) -> tuple[tuple[str, str], ...]:
        found = self.goodness
        facts = [
            ("Log-likelihood", f"{found.log_likelihood:,.3f}"),
            ("… at equal chances", f"{found.null_log_likelihood:,.3f}"),
        ]
        if found.constants_log_likelihood is not None:
            facts.append(("… with constants only", f"{found.constants_log_likelihood:,.3f}"))
        facts += [
            ("rho² / adjusted", f"{found.rho_squared:.4f} / {found.adjusted_rho_squared:.4f}"),
            ("AIC / BIC", f"{found.aic:,.2f} / {found.bic:,.2f}"),
        ]
        return tuple(facts)

    def _shares_table(self) -> Table:
        ranked = sorted(self.shares, key=lambda item: -item[1])
        shown = self.shares if len(ranked) <= _MOST_ALTERNATIVES else tuple(ranked[:_MOST_ALTERNATIVES])
        left = len(ranked) - len(shown)
        notes = [f"and {left:,} more alternatives"] if left else []
        notes += [f"Reference level of {column}: {level}" for column, level in self.references.items()]
        notes += [f"Model: {citation}." for citation in self.citations]
        return Table("", (Column("alternative", "text"), Column("share of choices", "share")), shown, tuple(notes))

    # ---- in other forms -------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; numbers that are not finite become None."""
        data = {
            "model": self.title,
            "sound": self.sound,
            "messages": self.messages,
            "data": dict(self.data),
            "formulas": dict(self.formulas),
            "goodness": self.goodness.to_dict(),
            "errors": self.errors,
            "level": self.level,
            "estimates": self.rows,
            "derived": self.derived,
            "shares": dict(self.shares),
            "references": self.references,
            "run": dict(self.run),
            "citations": self.citations,
            "notes": self.notes,
        }
        return {key: json_ready(value) for key, value in data.items()}


def table_of_estimates(rows: Sequence[EstimateRow], errors: str, level: float, notes: tuple[str, ...]) -> Table:
    """Return estimates as a table, one row per parameter."""
    percent = f"{100 * level:g}%"
    others = tuple(rows[0].other_errors) if rows else ()
    columns = [
        Column("parameter", "text"),
        Column("estimate"),
        *(Column(f"{kind} error") for kind in others),
        Column(f"{errors} error"),
        Column("z", "statistic"),
        Column("p-value", "p-value"),
        Column(f"{percent} low"),
        Column(f"{percent} high"),
    ]
    told = any(row.state != "estimated" for row in rows)
    columns += [Column("", "text")] if told else []
    found: list[tuple[Cell, ...]] = []
    for row in rows:
        cells: list[Cell] = [row.name, row.estimate, *(row.other_errors[kind] for kind in others)]
        cells += [row.standard_error, row.z, row.p_value, row.low, row.high]
        found.append(tuple(cells + ([row.state if row.state != "estimated" else ""] if told else [])))
    return Table("Estimates", tuple(columns), tuple(found), notes)


def summarise(fit: Fit, *, errors: str | None = None, both_errors: bool = False, level: float = 0.95) -> Summary:
    """Return the summary of a fit.

    Parameters
    ----------
    fit : Fit
    errors : {"classic", "robust", "clustered"}, optional
        The standard errors to show; by default the kind the fit was asked for.
    both_errors : bool
        Show the other kinds the fit has beside them.
    level : float
        The confidence level of the intervals.

    Raises
    ------
    SpecificationError
        For errors the fit does not have, or a level that is none.
    """
    require_level(level)
    kind = errors or fit.errors
    shown = fit.standard_errors(kind)
    others = {other: fit.standard_errors(other) for other in fit.covariances if other != kind} if both_errors else {}
    return Summary(
        title=fit.model.title,
        messages=tuple(fit.status.messages()),
        sound=fit.status.sound,
        data=_data_facts(fit),
        formulas=tuple(fit.model.described().items()),
        goodness=goodness(fit),
        rows=_rows(fit, shown, others, level),
        derived=_derived(fit, kind, level),
        errors=kind,
        level=level,
        shares=tuple(zip(fit.data.alternatives, fit.data.shares, strict=True)),
        references={column: level for design in fit.law.designs for column, level in design.references.items()},
        run=_run_facts(fit),
        citations=(fit.model.citation,),
        notes=_notes(fit, kind),
    )


def estimated_row(
    name: str,
    value: float,
    error: float,
    level: float,
    beside: Mapping[str, float | None] | None = None,
    null: float = 0.0,
) -> EstimateRow:
    """Return the row of a parameter that was estimated."""
    reach = quantile(level)
    z = (value - null) / error if error > 0 else float("nan")
    p_value = 2 * float(ndtr(-abs(z)))
    low, high = value - reach * error, value + reach * error
    return EstimateRow(name, value, error, z, p_value, low, high, "estimated", beside or {}, null)


def row_without_error(
    name: str, value: float, state: str, beside: Mapping[str, float | None] | None = None, null: float = 0.0
) -> EstimateRow:
    """Return the row of a parameter that has no standard error, for what ``state`` says."""
    return EstimateRow(name, value, None, None, None, None, None, state, beside or {}, null)


def _rows(
    fit: Fit, errors: Float[np.ndarray, " K"], others: Mapping[str, Float[np.ndarray, " K"]], level: float
) -> tuple[EstimateRow, ...]:
    rows = []
    for i, name in enumerate(fit.names):
        value, state, null = float(fit.params[i]), _state(fit, i), fit.model.null_value(name)
        if state != "estimated":
            rows.append(row_without_error(name, value, state, dict.fromkeys(others), null))
            continue
        beside = {kind: float(array[i]) for kind, array in others.items()}
        rows.append(estimated_row(name, value, float(errors[i]), level, beside, null))
    return tuple(rows)


def _derived(fit: Fit, errors: str, level: float) -> tuple[DerivedRow, ...]:
    names = tuple(fit.model.derived(fit.estimates))
    if not names:
        return ()

    def function(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points values"]:
        told = [fit.model.derived(dict(zip(fit.names, point.tolist(), strict=True))) for point in points]
        return np.array([list(values.values()) for values in told])

    found = intervals(fit, function, level=level, options=IntervalOptions(errors=errors))
    estimates = zip(names, (found[i] for i in range(len(names))), strict=True)
    return tuple(DerivedRow(name, e.value, e.standard_error, e.low, e.high) for name, e in estimates)


def _state(fit: Fit, index: int) -> str:
    name = fit.names[index]
    if name in fit.model.fixed:
        return "fixed"
    if name in fit.status.at_bound:
        return "at bound"
    unknown = {other for item in fit.status.not_identified for other in item.names}
    return "not identified" if name in unknown else "estimated"


def _data_facts(fit: Fit) -> tuple[tuple[str, str], ...]:
    data = fit.data
    facts = [("Data", data.source), ("Choice situations", f"{data.n_cases:,}")]
    if data.n_choices != data.n_cases:
        what = "Choices" if data.counts else "Sum of weights"
        facts.append((what, number_as_text(data.n_choices)))
    if data.columns.person is not None:
        facts.append(("Decision makers", f"{data.n_persons:,}"))
    facts += [("Alternatives", f"{len(data.alternatives):,}"), ("Rows", f"{data.n_rows:,}")]
    return tuple(facts)


def _run_facts(fit: Fit) -> tuple[tuple[str, str], ...]:
    status = fit.status
    passes = f"{status.passes} pass{'es' if status.passes != 1 else ''}"
    ended = f"converged in {passes}" if status.converged else f"NOT converged, {passes}"
    facts = [("Estimation", ended + (" after samples" if status.sample_passes else ""))]
    if np.isfinite(status.condition_number):
        facts.append(("Condition number", number_as_text(float(f"{status.condition_number:.3g}"))))
    facts.append(("Estimated parameters", f"{fit.n_free} of {len(fit.names)}"))
    return tuple(facts)


def _notes(fit: Fit, kind: str) -> tuple[str, ...]:
    person = fit.data.columns.person or "case"
    notes = [_ERRORS[kind].format(person=person, persons=f"{fit.data.n_persons:,}")]
    for null in dict.fromkeys(value for name in fit.names if (value := fit.model.null_value(name))):
        tested = ", ".join(name for name in fit.names if fit.model.null_value(name) == null)
        notes.append(f"z and p-value of {tested} are of the test against {null:g}.")
        idle = [name for name in fit.status.at_bound if fit.model.null_value(name) == null == fit[name]]
        if idle:
            notes.append(f"{', '.join(idle)} ended at {null:g}: the model without it fits these choices as well.")
    if fit.prior is not None:
        notes.append("With a prior or ridge: estimates are drawn towards it, and p-values are not those of a test.")
    return tuple(notes)

"""The summary of a fit of a decision process: the world, the rewards, what they lean on. Imports models to choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from revealed.answer.base import json_ready
from revealed.answer.interval import require_level
from revealed.answer.table import Column, Table
from revealed.models.dynamic.fit import DynamicFit
from revealed.report.content import Block, Code, Facts, Section, Text, Tone
from revealed.report.shown import Shown, alerts_of
from revealed.report.summary import EstimateRow, estimated_row, row_without_error, table_of_estimates

_ERRORS = {
    "classic": "Classic standard errors, from the information: right if the model is.",
    "robust": "Robust standard errors by choice (Huber 1967, White 1982).",
    "clustered": "Standard errors clustered by person ({persons} clusters): choices of one may depend on each other.",
}


@dataclass(frozen=True, repr=False)
class DynamicSummary(Shown):
    """What a reader must know of a fit of a decision process; made by ``fit.summary()``.

    Parameters
    ----------
    title, citation : str
    sound : bool
        Whether estimation and solution converged and all parameters are identified.
    messages : tuple of str
        What is wrong, or must be known before the estimates are used.
    facts : tuple of (str, str)
    formulas : tuple of (str, str)
        The action and its reward as written; one without an action is for all.
    rows : tuple of EstimateRow
    errors : str
    level : float
    shares : tuple of (str, float)
        How often each action was taken.
    assumptions, notes : tuple of str
    """

    title: str
    citation: str
    sound: bool
    messages: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    formulas: tuple[tuple[str, str], ...]
    rows: tuple[EstimateRow, ...]
    errors: str
    level: float
    shares: tuple[tuple[str, float], ...]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self) -> Table:
        """Return the estimates, one row per parameter."""
        return table_of_estimates(self.rows, self.errors, self.level, (*self.notes, *self.assumptions))

    def sections(self) -> tuple[Section, ...]:
        """Return the summary as sections of a report."""
        tone: Tone = "warning" if self.sound else "alert"
        alerts = alerts_of(self.messages, tone)
        formulas = "\n".join(f"{action}: {formula}" if action else formula for action, formula in self.formulas)
        blocks: tuple[Block, ...] = (*alerts, Facts(self.facts), Text("Reward", "note"), Code(formulas))
        shares = Table("", (Column("action", "text"), Column("share of choices", "share")), self.shares)
        table = self.table()
        return (
            Section(self.title, blocks),
            Section("Estimates", (Table("", table.columns, table.rows, table.notes),)),
            Section("Observed choices", (Table("", shares.columns, shares.rows, (f"Method: {self.citation}.",)),)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; numbers that are not finite become None."""
        data = {
            "method": self.title,
            "citation": self.citation,
            "sound": self.sound,
            "messages": self.messages,
            "facts": dict(self.facts),
            "formulas": dict(self.formulas),
            "errors": self.errors,
            "level": self.level,
            "estimates": self.rows,
            "shares": dict(self.shares),
            "assumptions": self.assumptions,
            "notes": self.notes,
        }
        return {key: json_ready(value) for key, value in data.items()}


def summarise_over_time(fit: DynamicFit, *, errors: str | None = None, level: float = 0.95) -> DynamicSummary:
    """Return the summary of a fit of a decision process.

    Parameters
    ----------
    fit : DynamicFit
    errors : {"classic", "robust", "clustered"}, optional
        The standard errors to show; by default clustered by person.
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
    taken = fit.linear.counts.sum(axis=0)
    return DynamicSummary(
        title=fit.method,
        citation=fit.citation,
        sound=fit.status.sound and fit.solution.converged,
        messages=tuple(fit.messages()),
        facts=_facts(fit),
        formulas=tuple(fit.formulas.items()),
        rows=tuple(_row(fit, place, float(shown[place]), level) for place in range(len(fit.names))),
        errors=kind,
        level=level,
        shares=tuple(zip(fit.process.actions, (taken / taken.sum()).tolist(), strict=True)),
        assumptions=fit.assumptions,
        notes=(_ERRORS[kind].format(persons=f"{fit.n_persons:,}"),),
    )


def _row(fit: DynamicFit, place: int, error: float, level: float) -> EstimateRow:
    name, value = fit.names[place], float(fit.params[place])
    if fit.free[place]:
        return estimated_row(name, value, error, level)
    unknown = {other for item in fit.status.not_identified for other in item.names}
    state = "not identified" if name in unknown else "at bound" if name in fit.status.at_bound else "fixed"
    return row_without_error(name, value, state)


def _facts(fit: DynamicFit) -> tuple[tuple[str, str], ...]:
    process, visited = fit.process, int((fit.linear.counts.sum(axis=1) > 0).sum())
    ends = "for ever" if process.horizon is None else f"to a horizon of {process.horizon:,} periods"
    status = fit.status
    facts = [
        ("Choices", f"{fit.n_observations:,}"),
        ("Decision makers", f"{fit.n_persons:,}"),
        ("States", f"{process.n_states:,}, {visited:,} of them seen ({', '.join(process.space.columns)})"),
        ("Discount factor", f"{process.discount:g} a period, {ends}"),
        ("Log-likelihood of choices", f"{fit.log_likelihood:,.3f}"),
    ]
    if fit.transition_log_likelihood is not None:
        facts.append(("… and of moves", f"{fit.full_log_likelihood:,.3f}"))
    steps = len(fit.trail)
    several = f", {steps} outer step{'s' if steps != 1 else ''}" if steps else ""
    passes = f"{status.passes} pass{'es' if status.passes != 1 else ''}{several}"
    facts.append(("Estimation", f"converged in {passes}" if status.converged else f"NOT converged, {passes}"))
    return tuple(facts)

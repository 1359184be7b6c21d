"""The summary of a fit of a decision process: the world, the rewards, what they lean on. Imports models to choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.answer.base import json_ready
from revealed.answer.table import Column, Table
from revealed.evidence.level import require_level
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.report.content import Block, Code, Facts, Section, Text, Tone
from revealed.report.dynamic_types import table_of_types
from revealed.report.shown import Shown, alerts_of
from revealed.report.summary import EstimateRow, estimated_row, row_without_error, table_of_estimates

_ERRORS = {
    "classic": "Classic standard errors, from the information: right if the model is.",
    "robust": "Robust standard errors by choice (Huber 1967, White 1982).",
    "clustered": "Standard errors clustered by person ({persons} clusters): choices of one may depend on each other.",
    "bootstrap": "Standard errors by drawing persons again ({persons} persons, {draws} draws).",
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
    types : Table, optional
        The share and the parameters of each type, where there are types that nobody observes.
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
    types: Table | None = None

    def table(self) -> Table:
        """Return the estimates, one row per parameter."""
        return table_of_estimates(self.rows, self.errors, self.level, (*self.notes, *self.assumptions))

    def sections(self) -> tuple[Section, ...]:
        """Return the summary as sections of a report."""
        tone: Tone = "warning" if self.sound else "alert"
        alerts = alerts_of(self.messages, tone)
        formulas = "\n".join(f"{action}: {formula}" if action else formula for action, formula in self.formulas)
        blocks: tuple[Block, ...] = (*alerts, Facts(self.facts), Text("Reward", "note"), Code(formulas))
        table = self.table()
        return (
            Section(self.title, blocks),
            Section("Estimates", (Table("", table.columns, table.rows, table.notes),)),
            *(() if self.types is None else (Section("Types", (self.types,)),)),
            observed(self.shares, self.citation),
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
        if self.types is not None:
            data["types"] = self.types.to_dict()
        return {key: json_ready(value) for key, value in data.items()}


def observed(shares: tuple[tuple[str, float], ...], citation: str) -> Section:
    """Return how often each action was taken, as a section of a report that ends with the method."""
    columns = (Column("action", "text"), Column("share of choices", "share"))
    return Section("Observed choices", (Table("", columns, shares, (f"Method: {citation}.",)),))


def shares_of(actions: tuple[str, ...], taken: Float[np.ndarray, "S A"]) -> tuple[tuple[str, float], ...]:
    """Return how often each action was taken, of all choices."""
    times = taken.sum(axis=0)
    return tuple(zip(actions, (times / times.sum()).tolist(), strict=True))


def facts_of(process: DecisionProcess, taken: Float[np.ndarray, "S A"]) -> list[tuple[str, str]]:
    """Return what a process is like, and how much of it was seen."""
    seen, columns = int((taken.sum(axis=1) > 0).sum()), ", ".join(process.space.columns)
    ends = "for ever" if process.horizon is None else f"to a horizon of {process.horizon:,} periods"
    return [
        ("States", f"{process.n_states:,}, {seen:,} of them seen ({columns})"),
        ("Discount factor", f"{process.discount:g} a period, {ends}"),
    ]


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
        shares=shares_of(fit.process.actions, fit.linear.counts),
        assumptions=fit.assumptions,
        notes=(_ERRORS[kind].format(persons=f"{fit.n_persons:,}", draws=0 if fit.draws is None else len(fit.draws)),),
        types=table_of_types(fit, kind),
    )


def _row(fit: DynamicFit, place: int, error: float, level: float) -> EstimateRow:
    name, value = fit.names[place], float(fit.params[place])
    if fit.free[place]:
        return estimated_row(name, value, error, level)
    unknown = {other for item in fit.status.not_identified for other in item.names}
    state = "not identified" if name in unknown else "at bound" if name in fit.status.at_bound else "fixed"
    return row_without_error(name, value, state)


def _facts(fit: DynamicFit) -> tuple[tuple[str, str], ...]:
    status = fit.status
    likelihood = fit.log_likelihood if fit.types is None else fit.types.log_likelihood
    facts = [
        ("Choices", f"{fit.n_observations:,}"),
        ("Decision makers", f"{fit.n_persons:,}"),
        *facts_of(fit.process, fit.linear.counts),
        ("Log-likelihood of choices", f"{likelihood:,.3f}"),
    ]
    if fit.transition_log_likelihood is not None:
        facts.append(("… and of moves", f"{likelihood + fit.transition_log_likelihood:,.3f}"))
    steps = len(fit.trail)
    several = f", {steps} outer step{'s' if steps != 1 else ''}" if steps else ""
    passes = f"{status.passes} pass{'es' if status.passes != 1 else ''}{several}"
    facts.append(("Estimation", f"converged in {passes}" if status.converged else f"NOT converged, {passes}"))
    return tuple(facts)

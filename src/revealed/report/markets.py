"""The summary of demand fitted to market shares: data, estimates, mark-ups. Imports models to choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from revealed.answer.base import json_ready
from revealed.answer.table import Column, Table
from revealed.evidence.level import require_level
from revealed.models.blp.fit import BlpFit
from revealed.report.content import Block, Code, Facts, Section
from revealed.report.shown import Shown, alerts_of
from revealed.report.summary import EstimateRow, estimated_row, row_without_error, table_of_estimates

_NOTES = {
    "robust": "Robust standard errors: each product in a market may have an error of its own size.",
    "clustered": "Standard errors clustered by clustering_ids.",
}


@dataclass(frozen=True, repr=False)
class MarketSummary(Shown):
    """What a reader must know of demand fitted to market shares; made by ``fit.summary()``.

    Parameters
    ----------
    title, citation : str
    sound : bool
    messages : tuple of str
        What is wrong, or must be known before the estimates are used.
    facts : tuple of (str, str)
    formulas : tuple of (str, str)
    rows : tuple of EstimateRow
    errors : str
    level : float
    substitution : tuple of (str, float)
        Figures over all products: elasticity, and the mark-up where firms are known.
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
    substitution: tuple[tuple[str, float], ...]

    def table(self) -> Table:
        """Return the estimates, one row per parameter."""
        return table_of_estimates(self.rows, self.errors, self.level, (_NOTES[self.errors],))

    def sections(self) -> tuple[Section, ...]:
        """Return the summary as sections of a report."""
        alerts = alerts_of(self.messages, "alert")
        formulas = "\n".join(f"{name}: {formula}" for name, formula in self.formulas)
        blocks: tuple[Block, ...] = (*alerts, Facts(self.facts), Code(formulas))
        table = self.table()
        figures = Table("", (Column("", "text"), Column("mean")), self.substitution, (f"Model: {self.citation}.",))
        return (
            Section(self.title, blocks),
            Section("Estimates", (Table("", table.columns, table.rows, table.notes),)),
            Section("Over all products", (figures,)),
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
            "substitution": dict(self.substitution),
        }
        return {key: json_ready(value) for key, value in data.items()}


def summarise_markets(fit: BlpFit, *, level: float = 0.95) -> MarketSummary:
    """Return the summary of demand fitted to market shares.

    Parameters
    ----------
    fit : BlpFit
    level : float
        The confidence level of the intervals.

    Raises
    ------
    SpecificationError
        For a level that is none.
    """
    require_level(level)
    errors = fit.standard_errors()
    unknown = {name for item in fit.status.not_identified for name in item.names}
    rows = []
    for name, value, error in zip(fit.names, fit.params.tolist(), errors.tolist(), strict=True):
        if name in unknown:
            rows.append(row_without_error(name, value, "not identified"))
        else:
            rows.append(estimated_row(name, value, error, level))
    model = fit.model
    formulas = {"utility": model.linear, "random": model.random, "demographics": model.demographics}
    formulas["log costs" if model.log_costs else "costs"] = model.costs
    return MarketSummary(
        title=model.title + (", with supply" if model.costs else ""),
        citation=model.citation,
        sound=fit.status.sound,
        messages=tuple(fit.status.messages()),
        facts=_facts(fit),
        formulas=tuple((name, formula) for name, formula in formulas.items() if formula),
        rows=tuple(rows),
        errors=model.errors,
        level=level,
        substitution=_substitution(fit),
    )


def _facts(fit: BlpFit) -> tuple[tuple[str, str], ...]:
    markets, status = fit.markets, fit.status
    absorbed = ", ".join(dict.fromkeys((*fit.model.absorb, *fit.model.absorb_costs)))
    passes = f"{status.passes} evaluations, {fit.model.steps} step{'s' if fit.model.steps > 1 else ''}"
    facts = [
        ("Markets", f"{len(markets):,}"),
        ("Products", f"{len(markets.shares):,}"),
        ("Agents", f"{len(markets.weights):,}"),
        ("Objective", f"{fit.objective:,.4f}"),
        ("Moments / parameters", f"{fit.n_moments} / {len(fit.names)}"),
        ("Estimation", ("converged in " if status.converged else "NOT converged, ") + passes),
    ]
    return tuple(facts + ([("Fixed effects", absorbed)] if absorbed else []))


def _substitution(fit: BlpFit) -> tuple[tuple[str, float], ...]:
    if not any(fit.model.terms()[side].depend_on("prices").count(True) for side in (0, 1)):
        return ()
    figures = [("own-price elasticity", float(fit.own_elasticities().mean()))]
    outside = [float(np.diag(matrix).mean()) for matrix in fit.diversion().values()]
    figures.append(("diversion to the outside good", float(np.mean(outside))))
    if "firm_ids" in fit.markets.products.column_names:
        figures.append(("mark-up, share of price", float(fit.markups().mean())))
    return tuple(figures)

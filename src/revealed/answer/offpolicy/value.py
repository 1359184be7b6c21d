"""What a policy would have earned, with an interval, or why the log cannot say: the answers. Imports overlap."""

from __future__ import annotations

from dataclasses import dataclass

from revealed.answer.base import Answer, unique
from revealed.answer.offpolicy.overlap import Overlap
from revealed.answer.table import Cell, Column, Table


@dataclass(frozen=True, repr=False)
class PolicyValue(Answer):
    """What a policy would have earned for each thing shown (for each slate, if slates were judged).

    Parameters
    ----------
    policy, estimator : str
        What was judged, and how.
    value, standard_error, low, high : float
        NaN where refused; the ends are NaN where the interval cannot be drawn, for what ``warnings`` say.
    level : float
        The confidence level.
    interval : str
        How the interval was made.
    overlap : Overlap
        How far the log shows what the policy would show.
    n_persons : int
        Persons (or decisions, where persons are not known) in the rows with an answer.
    pending : int
        Rows without an answer, which were left out.
    refused : tuple of str
        Why no number is given; empty where one is.
    """

    policy: str
    estimator: str
    value: float
    standard_error: float
    low: float
    high: float
    level: float
    interval: str
    overlap: Overlap
    n_persons: int
    pending: int
    refused: tuple[str, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per figure."""
        percent = f"{100 * self.level:g}%"
        rows: list[tuple[Cell, ...]] = [
            ("value", _shown(self.value)),
            ("standard error", _shown(self.standard_error)),
            (f"{percent} low", _shown(self.low)),
            (f"{percent} high", _shown(self.high)),
            ("rows with an answer", f"{self.overlap.n_rows:,}"),
            ("persons", f"{self.n_persons:,}"),
            ("effective sample size", f"{self.overlap.effective_sample_size:,.1f}"),
            ("mean weight", _shown(self.overlap.mean_weight)),
            ("largest weight", _shown(self.overlap.largest_weight)),
        ]
        notes = unique([f"refused: {reason}" for reason in self.refused], self.warnings, self.assumptions)
        columns = (Column("figure", "text"), Column(self.policy, "text"))
        return Table(f"Value of a policy, {self.estimator}", columns, tuple(rows), notes)

    def summary(self) -> str:
        """Return the answer in a sentence."""
        if self.refused:
            return f"{self.policy}: the log cannot say ({'; '.join(self.refused)})"
        interval = (
            f" ({100 * self.level:g}% interval {self.low:.4g} to {self.high:.4g})" if self.low == self.low else ""
        )
        return f"{self.policy}: {self.value:.4g}{interval}, {self.estimator}, {self.interval}"


@dataclass(frozen=True, repr=False)
class PolicyValues(Answer):
    """A policy judged by several estimators.

    Parameters
    ----------
    values : tuple of PolicyValue
        One for each estimator.
    """

    values: tuple[PolicyValue, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, estimator: str) -> PolicyValue:
        """Return the value by the name of its estimator."""
        return {value.estimator: value for value in self.values}[estimator]

    def table(self) -> Table:
        """Return one row per estimator."""
        percent = f"{100 * self.values[0].level:g}%"
        columns = (
            Column("estimator", "text"),
            Column("value"),
            Column("standard error"),
            Column(f"{percent} low"),
            Column(f"{percent} high"),
            Column("", "text"),
        )
        rows = tuple(
            (v.estimator, v.value, v.standard_error, v.low, v.high, "refused" if v.refused else "") for v in self.values
        )
        refused = unique(*(v.refused for v in self.values))
        notes = unique([f"refused: {reason}" for reason in refused], self.warnings, self.assumptions)
        return Table(f"Value of {self.values[0].policy}", columns, rows, notes)


def _shown(value: float) -> str:
    return "?" if value != value else f"{value:.6g}"

"""The summary of rewards without a formula: by state and action, with intervals. Imports models to choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from revealed.answer.base import json_ready
from revealed.answer.table import Cell, Column, Table
from revealed.evidence.level import quantile, require_level
from revealed.models.dynamic.free import RecoveredFit
from revealed.report.content import Facts, Section
from revealed.report.dynamic import facts_of, observed, shares_of
from revealed.report.shown import Shown, alerts_of

#: States shown; JSON has all.
_SHOWN = 10


@dataclass(frozen=True)
class RewardRow:
    """The reward of an action in a state.

    Parameters
    ----------
    state : str
    action : str
    seen : float
        How often the action was taken there.
    reward, error, low, high : float
        NaN where nothing is known.
    """

    state: str
    action: str
    seen: float
    reward: float
    error: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class RecoveredSummary(Shown):
    """What a reader must know of rewards without a formula; made by ``fit.summary()``.

    Parameters
    ----------
    title, citation : str
    sound : bool
        Whether the process was solved under the rewards.
    messages : tuple of str
    facts : tuple of (str, str)
    rows : tuple of RewardRow
        Of all states and the actions that can be taken there, the states seen most first.
    states : int
        How many states there are.
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
    rows: tuple[RewardRow, ...]
    states: int
    level: float
    shares: tuple[tuple[str, float], ...]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self, states: int | None = None) -> Table:
        """Return the rewards, one row for each state and action, of some states, by default all."""
        percent = f"{100 * self.level:g}%"
        columns = (
            Column("state", "text"),
            Column("action", "text"),
            Column("taken", "integer"),
            Column("reward"),
            Column("error"),
            Column(f"{percent} low"),
            Column(f"{percent} high"),
        )
        first = set(list(dict.fromkeys(row.state for row in self.rows))[:states])
        rows: list[tuple[Cell, ...]] = [
            (row.state, row.action, round(row.seen), row.reward, row.error, row.low, row.high)
            for row in self.rows
            if row.state in first
        ]
        left = self.states - len(first)
        rest = (f"The {len(first)} states seen most; {left:,} more are in the JSON output",) if left else ()
        return Table("", columns, tuple(rows), (*rest, *self.notes, *self.assumptions))

    def sections(self) -> tuple[Section, ...]:
        """Return the summary as sections of a report."""
        alerts = alerts_of(self.messages, "warning" if self.sound else "alert")
        return (
            Section(self.title, (*alerts, Facts(self.facts))),
            Section("Rewards", (self.table(_SHOWN),)),
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
            "level": self.level,
            "rewards": self.rows,
            "shares": dict(self.shares),
            "assumptions": self.assumptions,
            "notes": self.notes,
        }
        return {key: json_ready(value) for key, value in data.items()}


def summarise_recovered(fit: RecoveredFit, *, level: float = 0.95) -> RecoveredSummary:
    """Return the summary of rewards without a formula.

    Parameters
    ----------
    fit : RecoveredFit
    level : float
        The confidence level of the intervals.

    Raises
    ------
    SpecificationError
        For a level that is none.
    """
    require_level(level)
    half = quantile(level)
    process, taken = fit.process, fit.taken
    seen = taken.sum(axis=1)
    rows = []
    for state in np.argsort(-seen, kind="stable"):
        label = process.space.label(int(state))
        for action in np.flatnonzero(process.mask[state]):
            value, error = float(fit.reward[state, action]), float(fit.standard_errors[state, action])
            count = float(taken[state, action])
            row = (value, error, value - half * error, value + half * error)
            rows.append(RewardRow(label, process.actions[action], count, *row))
    notes = (
        f"Standard errors by a bootstrap by person, {len(fit.draws)} draws; where it is zero, the reward is assumed"
        if fit.draws
        else "No standard errors: no draws were asked for"
    )
    return RecoveredSummary(
        title=fit.method,
        citation=fit.citation,
        sound=fit.solution.converged,
        messages=tuple(fit.messages()),
        facts=(
            ("Choices", f"{seen.sum():,.0f}"),
            ("Decision makers", f"{fit.n_persons:,}"),
            *facts_of(process, taken),
        ),
        rows=tuple(rows),
        states=process.n_states,
        level=level,
        shares=shares_of(process.actions, taken),
        assumptions=fit.assumptions,
        notes=(notes,),
    )

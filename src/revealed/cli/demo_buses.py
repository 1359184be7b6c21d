"""The demo's chapter on people who look ahead: Rust's buses, a dearer engine. Imports report to choices when run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revealed.answer.over_time import OverTime
    from revealed.models.dynamic import DynamicFit
    from revealed.report.content import Section

#: What a new engine costs, as a multiple of today's price.
_DEARER = 1.2
_MONTHS = 120
#: A year in Madison counts almost as much as the next.
_DISCOUNT = 0.9999


@dataclass(frozen=True)
class Outlook:
    """What the buses' keeper weighs, and what he would do if engines cost more.

    Parameters
    ----------
    fit : DynamicFit
    answer : OverTime
        A fleet with new engines, month by month.
    """

    fit: DynamicFit
    answer: OverTime

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"fit": self.fit.summary().to_dict(), "whatif": self.answer.to_dict()}


def look_ahead() -> Outlook:
    """Estimate when engines are replaced, and ask what a dearer one would change."""
    import numpy as np

    from revealed.answer.counterfactual import OverTimeOptions, over_time
    from revealed.choices.datasets import rust_buses
    from revealed.models.dynamic import DecisionProcess, NestedFixedPoint, Panel, StateSpace, by_increments

    space = StateSpace.grid(mileage_bin=range(90))
    panel = Panel.of(rust_buses(), space, after_another=True)
    moves = by_increments(panel, "mileage_bin", restart={"replace": 0})
    price = np.zeros((space.n_states, len(panel.actions)))
    price[:, panel.actions.index("replace")] = 1.0
    process = DecisionProcess(space, panel.actions, moves.matrices, _DISCOUNT, attributes={"price": price})
    fit = NestedFixedPoint({"keep": "mileage_bin", "replace": "price"}).fit(panel, process, transitions=moves)
    new = np.zeros(space.n_states)
    new[0] = 1.0
    few = OverTimeOptions(draws=60)
    answer = over_time(fit, f"price *= {_DEARER}", periods=_MONTHS, start=new, leaving="replace", options=few)
    return Outlook(fit, answer)


def chapter_on_buses(outlook: Outlook, number: int) -> Section:
    """Return the chapter of the story."""
    from revealed.report.content import Section, Text

    fit, everyone = outlook.fit, outlook.answer.of()
    before, after, change = (series["stayed"] for series in (everyone.before, everyone.after, everyone.difference))
    first = (
        f"Who looks ahead weighs more than today. Harold Zurcher kept {fit.n_persons} buses running in Madison, "
        "Wisconsin, and decided each month whether a bus got a new engine: dear now, cheaper to run for years. From "
        f"{fit.n_observations:,} such decisions (Rust 1987) comes what he weighed, the price of an engine against the "
        "cost of an old one, and from that what he would do in a world nobody has seen."
    )
    years = _MONTHS // 12
    second = (
        f"Suppose a new engine cost {_DEARER - 1:.0%} more. Of a fleet that starts with new engines, "
        f"{before.value[-1]:.0%} would still run on them after {years} years as things are, and "
        f"{after.value[-1]:.0%} if engines were dearer: {100 * change.value[-1]:.0f} percentage points more "
        f"[{100 * change.low[-1]:.0f} to {100 * change.high[-1]:.0f}]. So wide, because few engines were replaced."
    )
    return Section(f"{number}. What would someone do who looks ahead?", (Text(first), Text(second)))

"""``revealed whatif``: what would be chosen if something were different. Imports report to choices when run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.data import choices_for, is_over_time, load_fit, load_over_time
from revealed.cli.options import FileOptions, FitFile, Json, Level, Method, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen
from revealed.errors import SpecificationError

if TYPE_CHECKING:
    import numpy as np

    from revealed.answer.over_time import OverTime
    from revealed.answer.whatif import WhatIf
    from revealed.models.dynamic import DynamicFit, RecoveredFit
    from revealed.report.content import Picture

_TIME = "For a fit of choices over time"


@dataclass(frozen=True)
class TimeOptions:
    """What to tell of choices over time."""

    months: Annotated[
        int | None,
        typer.Option(
            "--months", "--periods", help="How many periods to tell of. (default: 24)", min=1, rich_help_panel=_TIME
        ),
    ] = None
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell of those too who begin where a condition is met: \"plan == 'annual'\". Repeat it.",
            metavar="CONDITION",
            rich_help_panel=_TIME,
        ),
    ] = None
    paid: Annotated[
        str | None,
        typer.Option(help="What is paid in a period, as an expression.", metavar="EXPRESSION", rich_help_panel=_TIME),
    ] = None
    leaving: Annotated[
        str | None,
        typer.Option(
            help="The action by which one leaves, to tell who stayed.", metavar="ACTION", rich_help_panel=_TIME
        ),
    ] = None
    money: Annotated[
        str | None,
        typer.Option(help="The parameter of money, to tell surplus in it.", metavar="NAME", rich_help_panel=_TIME),
    ] = None
    patience: Annotated[
        float | None,
        typer.Option(help="Another discount factor.", min=0.0, max=1.0, metavar="DISCOUNT", rich_help_panel=_TIME),
    ] = None


def whatif(
    fit: FitFile,
    file: FileOptions,
    over: TimeOptions,
    choices: Annotated[
        Path | None,
        typer.Argument(
            help="A CSV, Parquet or Arrow file, or a folder of Parquet files; none for a fit of choices over time.",
            metavar="[CHOICES]",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A change: \"cost\\[alternative == 'train'] *= 1.1\", \"available\\[alternative == 'car'] = 0\", "
            '"remove bus", "add tram like bus: cost = 2". Repeat it for several, made one after the other.',
            metavar="CHANGE",
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Answers by the values of this column too.", metavar="COLUMN")] = None,
    cost: Annotated[
        str | None, typer.Option(help="What is money, to tell who is better off and by how much.", metavar="COLUMN")
    ] = None,
    method: Method = "delta",
    level: Level = 0.95,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    r"""Tell what would be chosen if prices, attributes or what is on offer were different.

    revealed whatif fit.json choices.csv --set "cost\[alternative == 'train'] *= 1.1"

    A fit of choices over time, by 'revealed dynamic', needs no choices, and tells period by period:

    revealed whatif buses.json --set "available\[alternative == 'replace'] = 0" --months 24
    """
    screen = Screen(json)
    require_writable(report, out, reads=(fit, choices, file.wide))
    answer: WhatIf | OverTime
    if is_over_time(fit):
        if method != "delta":
            raise SpecificationError("--method is not for fits of choices over time: their intervals are by simulation")
        if choices is not None or by is not None or cost is not None:
            raise SpecificationError(
                f"{fit} is a fit of choices over time: it has its states, so it takes no file of choices, --by or "
                "--cost; use --cohort and --money"
            )
        with screen.working("Asking what if"):
            answer = _over_time(load_over_time(fit), changes or [], over, level)
    else:
        given = [f"--{one.name}" for one in fields(over) if getattr(over, one.name) is not None]
        if given:
            raise SpecificationError(f"{given[0]} is for fits of choices over time, and {fit} is none")
        if choices is None or not changes:
            lacking = "a file of choices" if choices is None else "a change: --set"
            raise SpecificationError(f"{fit} needs {lacking}")
        fitted = load_fit(fit)
        with screen.working(f"Reading {choices}"):
            log = choices_for(fitted, choices, file)
        with screen.working("Asking what if"):
            answer = fitted.whatif(log, *changes, by=by, cost=cost, level=level, method=method)
    screen.show(answer)
    write_json(out, answer.to_dict())
    write_report(report, answer, "What if", "; ".join(answer.changes), pictures=lambda: pictures_of(answer))
    screen.document(answer.to_dict())


def _over_time(fitted: DynamicFit | RecoveredFit, changes: list[str], over: TimeOptions, level: float) -> OverTime:
    from revealed.answer.counterfactual import OverTimeOptions, over_time

    return over_time(
        fitted,
        *changes,
        periods=over.months or 24,
        start=_cohorts(fitted, over.cohort or []),
        paid=over.paid,
        leaving=over.leaving,
        money=over.money,
        discount=over.patience,
        options=OverTimeOptions(level=level),
    )


def _cohorts(fitted: DynamicFit | RecoveredFit, conditions: list[str]) -> dict[str, np.ndarray] | None:
    """Return who begins where: those whom the data saw begin in states that meet a condition, and all others."""
    import numpy as np

    from revealed.answer.cohort import beginners
    from revealed.choices.tables import rows_where

    if not conditions:
        return None
    seen = beginners(fitted)
    found, left = {}, seen.copy()
    for condition in conditions:
        meets = rows_where(fitted.process.space.table, condition, "states")
        if not seen[meets].sum():
            raise SpecificationError(f"--cohort {condition!r}: the data saw nobody in such a state")
        found[condition] = np.where(meets, left, 0.0)
        if not found[condition].sum():
            raise SpecificationError(f"--cohort {condition!r}: all of them are in a cohort before it")
        left = np.where(meets, 0.0, left)
    return found | ({"all others": left} if left.sum() else {})


def pictures_of(answer: WhatIf | OverTime) -> list[Picture]:
    """Return the pictures of a report on a what-if: the shares of everyone, period by period where there are any."""
    from revealed.answer.over_time import OverTime
    from revealed.report.over_time_picture import picture_of_over_time
    from revealed.report.pictures import as_picture, picture_of_whatif

    if isinstance(answer, OverTime):
        caption = f"Period by period, with the {100 * answer.level:g}% interval of what comes after the change."
        return [as_picture(picture_of_over_time(answer), caption)]
    caption = "Shares of choices before and after; the band is the interval of the share after."
    return [as_picture(picture_of_whatif(answer), caption)]

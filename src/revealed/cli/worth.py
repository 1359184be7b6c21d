"""``revealed wtp``: what things are worth in money. Imports report to choices when run."""

from __future__ import annotations

from typing import Annotated

import typer

from revealed.cli.data import load_fit
from revealed.cli.formulas import pairs_of
from revealed.cli.options import FitFile, Json, Level, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen


def wtp(
    fit: FitFile,
    names: Annotated[
        list[str],
        typer.Argument(help='Parameters, or sums of them: time, "time + 50 * time:income".', metavar="NAME..."),
    ],
    cost: Annotated[str, typer.Option(help="The parameter that is money.", metavar="NAME")] = "cost",
    less: Annotated[
        bool, typer.Option("--less", help="The worth of one unit less: what a minute saved is worth.")
    ] = False,
    scale: Annotated[float, typer.Option(help="Change units: 60 turns per minute into per hour.")] = 1.0,
    per: Annotated[str | None, typer.Option(help="The unit after scaling, for the heading.", metavar="UNIT")] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Where effects differ: at which values of other columns (income=50, alternative=train).",
            metavar="COLUMN=VALUE",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="Of the interval: delta, krinsky-robb or fieller.", metavar="NAME")
    ] = "delta",
    level: Level = 0.95,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell what one more unit of something is worth in money to those who chose.

    revealed wtp fit.json time --less --scale 60 --per hour
    """
    screen = Screen(json)
    require_writable(report, out, reads=(fit,))
    fitted = load_fit(fit)
    values = {name: _number_or_text(value) for name, value in pairs_of(at, "--at").items()}
    known = {*fitted.names, *(name.strip("`") for name in fitted.names)}  # of these, backticks can be left out
    asked = [f"-({name})" if less and name not in known else f"-{name}" if less else name for name in names]
    answer = fitted.willingness_to_pay(
        *asked, cost=cost, at=values or None, scale=scale, per=per, level=level, method=method
    )
    screen.show(answer)
    write_json(out, answer.to_dict())
    write_report(report, answer, "Willingness to pay")
    screen.document(answer.to_dict())


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

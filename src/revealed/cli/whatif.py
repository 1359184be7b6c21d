"""``revealed whatif``: what would be chosen if something were different. Imports report to choices when run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.data import choices_for, load_fit
from revealed.cli.options import Choices, FileOptions, FitFile, Json, Level, Method, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen

if TYPE_CHECKING:
    from revealed.answer.whatif import WhatIf
    from revealed.report.content import Picture


def whatif(
    fit: FitFile,
    choices: Choices,
    changes: Annotated[
        list[str],
        typer.Option(
            "--set",
            help="A change: \"cost\\[alternative == 'train'] *= 1.1\", \"available\\[alternative == 'car'] = 0\", "
            '"remove bus", "add tram like bus: cost = 2". Repeat it for several, made one after the other.',
            metavar="CHANGE",
        ),
    ],
    file: FileOptions,
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
    """
    screen = Screen(json)
    require_writable(report, out)
    fitted = load_fit(fit)
    with screen.working(f"Reading {choices}"):
        log = choices_for(fitted, choices, file)
    with screen.working("Asking what if"):
        answer = fitted.whatif(log, *changes, by=by, cost=cost, level=level, method=method)
    screen.show(answer)
    write_json(out, answer.to_dict())
    write_report(report, answer, "What if", "; ".join(answer.changes), pictures=lambda: pictures_of(answer))
    screen.document(answer.to_dict())


def pictures_of(answer: WhatIf) -> list[Picture]:
    """Return the pictures of a report on a what-if: the shares of everyone."""
    from revealed.report.pictures import as_picture, picture_of_whatif

    caption = "Shares of choices before and after; the band is the interval of the share after."
    return [as_picture(picture_of_whatif(answer), caption)]

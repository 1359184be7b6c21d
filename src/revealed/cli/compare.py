"""``revealed compare``: several fits side by side. Imports report to choices when run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from revealed.cli.data import load_fit
from revealed.cli.options import Json, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen


def compare(
    fits: Annotated[list[Path], typer.Argument(help="Fits saved by 'revealed fit --out'.", metavar="FIT...")],
    label: Annotated[
        list[str] | None, typer.Option(help="What to call each fit, in order. (default: the files' names)")
    ] = None,
    errors: Annotated[
        str | None, typer.Option(help="Standard errors: classic, robust or clustered.", metavar="KIND")
    ] = None,
    stars: Annotated[bool, typer.Option("--stars", help="Mark p-values below 0.05, 0.01 and 0.001.")] = False,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Set fits side by side: estimates, log-likelihoods, information criteria.

    revealed compare base.json with-income.json
    """
    from revealed.answer.compare import compare as set_side_by_side

    screen = Screen(json)
    require_writable(report, out, reads=fits)
    answer = set_side_by_side(*map(load_fit, fits), labels=label or _labels(fits), errors=errors)
    table = answer.table(stars=stars)
    screen.show(table)
    write_json(out, answer.to_dict())
    write_report(report, table, "Fits side by side")
    screen.document(answer.to_dict())


def _labels(fits: list[Path]) -> list[str]:
    """Return the files' names without suffix; with their folders, or numbered, where names alone are not enough."""
    stems = [path.stem for path in fits]
    if len(set(stems)) < len(stems):
        stems = [str(path.with_suffix("")) for path in fits]
    if len(set(stems)) < len(stems):
        stems = [f"{stem} ({number})" for number, stem in enumerate(stems, 1)]
    return stems

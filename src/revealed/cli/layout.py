"""``revealed layout``: the best combination, from a table of past A/B tests. Imports report to choices when run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.exits import NOT_SOUND
from revealed.cli.options import Json, Level, Report
from revealed.cli.results import require_writable, write_report
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError

if TYPE_CHECKING:
    from revealed.decide.layout import TestsFit
    from revealed.report.content import Picture


def layout(
    tests: Annotated[
        Path, typer.Argument(help="A CSV, Parquet or Arrow file with a row for each arm of a test.", metavar="TESTS")
    ],
    slot: Annotated[
        list[str] | None,
        typer.Option(
            help="A column that says what was shown in a slot; repeat it. (default: all columns without another role)",
            metavar="COLUMN",
        ),
    ] = None,
    impressions: Annotated[str, typer.Option(help="How often a row was shown.", metavar="COLUMN")] = "impressions",
    clicks: Annotated[str, typer.Option(help="How often it was clicked.", metavar="COLUMN")] = "clicks",
    test: Annotated[
        str | None,
        typer.Option(
            help="The test a row belongs to, so that each has a level of its own. (default: the column test, if any)",
            metavar="COLUMN",
        ),
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(
            help='Options that do not go together: "headline=plain,image=cat". Repeat it.', metavar="SLOT=OPTION,…"
        ),
    ] = None,
    pairs: Annotated[bool, typer.Option(help="Effects of pairs of options, or of options alone.")] = True,
    link: Annotated[str, typer.Option(help="logit or probit.", metavar="NAME")] = "logit",
    top: Annotated[int, typer.Option(help="How many layouts to show.", min=1, metavar="N")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draws that tell how likely each is the best.", min=0)] = 0,
    level: Level = 0.95,
    out: Annotated[Path | None, typer.Option(help="Save the fit, to go on learning from it.", metavar="FILE")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the effects: .svg, .png or .pdf by its suffix.", metavar="FILE")
    ] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell from past A/B tests which options, and which pairs of them, work, and which layout is the best.

    The file has one column for each slot, and says how often each row was shown and clicked.

    revealed layout tests.csv --test test --picture effects.svg
    """
    screen = Screen(json)
    require_writable(report, out, picture=picture, reads=(tests,))
    from revealed.decide.layout import fit_tests, read_tests
    from revealed.report.layouts import sections_of_tests

    constraints = [_constraint(text) for text in forbid or ()]
    with screen.working(f"Reading {tests}"):
        table = read_tests(tests, slot, impressions=impressions, clicks=clicks, test=test, forbidden=constraints)
    with screen.working("Fitting"):
        fitted = fit_tests(table, link, pairs=pairs)
        ranking = fitted.ranked(top=top, level=level, seed=seed)
    sections = sections_of_tests(fitted, ranking, level)
    screen.show(sections)
    if out is not None:
        fitted.save(out)
        remark(f"Wrote {out}")
    if picture is not None:
        from revealed.report.layout_picture import picture_of_effects
        from revealed.report.pictures import save_picture

        save_picture(picture_of_effects(fitted.effects(level), fitted.learner.design.space, level=level), picture)
        remark(f"Wrote {picture}")
    write_report(report, sections, f"Layouts: {tests.name}", pictures=lambda: pictures_of(fitted, level))
    facts = {name: getattr(fitted, name) for name in ("n_rows", "n_tests", "converged")}
    deviations = {
        name: dict(zip(("median", "low", "high"), (deviation.median, *deviation.interval(level)), strict=True))
        for name, deviation in fitted.deviations.items()
    }
    effects = [effect.to_dict() for effect in fitted.effects(level)]
    screen.document(
        {
            "fit": str(out) if out else None,
            **facts,
            "deviations": deviations,
            "ranking": ranking.to_dict(),
            "effects": effects,
        }
    )
    if not fitted.converged:
        raise typer.Exit(NOT_SOUND)


def pictures_of(fitted: TestsFit, level: float) -> list[Picture]:
    """Return the pictures of a report on layouts: the effects."""
    from revealed.report.layout_picture import picture_of_effects
    from revealed.report.pictures import as_picture

    caption = f"Effects of options, then of the clearest pairs, with their {100 * level:g}% intervals."
    return [as_picture(picture_of_effects(fitted.effects(level), fitted.learner.design.space, level=level), caption)]


def _constraint(text: str) -> dict[str, str]:
    """Return a constraint written as on the command line."""
    parts = [part.partition("=") for part in text.split(",")]
    if len(parts) != 2 or not all(slot.strip() and mark and option.strip() for slot, mark, option in parts):
        raise SpecificationError(
            f"--forbid {text!r} is not of the form headline=plain,image=cat: two slots, an option each"
        )
    (one, _, a), (other, _, b) = parts
    if one.strip() == other.strip():
        raise SpecificationError(f"--forbid {text!r} names one slot twice; a layout never holds two options of a slot")
    return {one.strip(): a.strip(), other.strip(): b.strip()}

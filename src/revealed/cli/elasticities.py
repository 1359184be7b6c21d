"""``revealed elasticities`` and ``revealed demand``: how choices respond. Imports report to choices when run."""

from __future__ import annotations

from typing import Annotated

import typer

from revealed.cli.data import choices_for, load_fit
from revealed.cli.options import Choices, FileOptions, FitFile, Json, Level, Method, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen


def elasticities(
    fit: FitFile,
    choices: Choices,
    file: FileOptions,
    attribute: Annotated[str, typer.Option(help="The attribute that changes.", metavar="COLUMN")] = "cost",
    of: Annotated[
        list[str] | None,
        typer.Option(
            help="Only where this alternative's attribute changes; repeat for several.", metavar="ALTERNATIVE"
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="By the values of this column too.", metavar="COLUMN")] = None,
    arc: Annotated[
        float | None, typer.Option(help="Arc elasticities over a relative change: 0.1 for ten percent more.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="With standard errors and intervals.")] = False,
    method: Method = "delta",
    level: Level = 0.95,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell by how many percent shares change when an attribute rises by one percent.

    revealed elasticities fit.json choices.csv --attribute cost
    """
    screen = Screen(json)
    require_writable(report, out, reads=(fit, choices, file.wide))
    fitted = load_fit(fit)
    with screen.working(f"Reading {choices}"):
        log = choices_for(fitted, choices, file)
    with screen.working("Computing elasticities"):
        answer = fitted.elasticities(log, attribute, of=of or None, by=by, arc=arc, level=level, method=method)
    screen.show(answer.details() if details else answer)
    write_json(out, answer.to_dict())
    write_report(report, [answer, answer.details()], "Elasticities", f"with respect to {attribute}")
    screen.document(answer.to_dict())


def demand(
    fit: FitFile,
    choices: Choices,
    alternative: Annotated[str, typer.Option(help="Whose attribute changes.", metavar="ALTERNATIVE")],
    start: Annotated[float, typer.Option("--from", help="The lowest value.")],
    stop: Annotated[float, typer.Option("--to", help="The highest value.")],
    file: FileOptions,
    attribute: Annotated[str, typer.Option(help="The attribute that runs over the values.", metavar="COLUMN")] = "cost",
    steps: Annotated[int, typer.Option(help="How many values.", min=2, max=500)] = 11,
    price: Annotated[bool, typer.Option("--price", help="It is a price: show revenue and the best price too.")] = False,
    unit_cost: Annotated[float, typer.Option(help="What one sale costs the seller; revenue is then profit.")] = 0.0,
    method: Method = "delta",
    level: Level = 0.95,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell what share an alternative has as its price runs from low to high.

    revealed demand fit.json choices.csv --alternative train --attribute cost --from 10 --to 100 --price
    """
    from revealed.answer.demand import demand_curve
    from revealed.errors import SpecificationError

    screen = Screen(json)
    require_writable(report, out, reads=(fit, choices, file.wide))
    if not start < stop:
        raise SpecificationError(f"--from {start:g} must lie below --to {stop:g}")
    fitted = load_fit(fit)
    with screen.working(f"Reading {choices}"):
        log = choices_for(fitted, choices, file)
    grid = [start + (stop - start) * step / (steps - 1) for step in range(steps)]
    with screen.working("Drawing the demand curve"):
        curve = demand_curve(
            fitted, log, attribute, alternative, grid, price=price, unit_cost=unit_cost, level=level, method=method
        )
    screen.show(curve)
    if curve.best is not None:
        end = "" if curve.best.inside else " (the end of the values: the best price lies beyond)"
        best = curve.best.price
        screen.say(f"\nBest price: {best.value:.4g} [{best.low:.4g}, {best.high:.4g}]{end}")
    write_json(out, curve.to_dict())

    def pictures() -> list[object]:
        from revealed.report.pictures import as_picture, picture_of_demand

        caption = f"The share of {alternative} as its {attribute} changes, with intervals."
        return [as_picture(picture_of_demand(curve), caption)]

    write_report(report, curve, f"Demand for {alternative}", f"by {attribute}", pictures=pictures)  # type: ignore[arg-type]
    screen.document(curve.to_dict())

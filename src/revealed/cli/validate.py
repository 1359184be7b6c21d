"""``revealed validate``: how a model fares on choices it has not seen. Imports report to choices when run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.data import choices_for, load_fit
from revealed.cli.options import Choices, FileOptions, FitFile, Json, Out, Report
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen

if TYPE_CHECKING:
    from revealed.report.content import Picture


def validate(
    fit: FitFile,
    choices: Choices,
    file: FileOptions,
    folds: Annotated[
        int | None, typer.Option(help="Split into so many parts, hold out each in turn.", min=2, metavar="N")
    ] = None,
    share: Annotated[float, typer.Option(help="Without --folds: the share of persons (or cases) held out.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split.", min=0)] = 0,
    bins: Annotated[int, typer.Option(help="Bins of predicted probability.", min=2, max=100)] = 10,
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="Do not split: try the fit as it is on these choices, which it has not seen."),
    ] = False,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell whether a model foresees choices it was not fitted to.

    Fits the model of FIT anew on part of the choices and tries it on the rest; the choices of a person stay together.

    revealed validate fit.json choices.csv --folds 5
    """
    screen = Screen(json)
    require_writable(report, out, reads=(fit, choices, file.wide))
    fitted = load_fit(fit)
    with screen.working(f"Reading {choices}"):
        log = choices_for(fitted, choices, file)
    answer: Any
    if as_is:
        from revealed.answer.calibration import calibrate

        answer = calibrate(fitted, log, bins=bins)
        calibration, shown = answer, [answer, answer.shares_table()]
    else:
        from revealed.answer.validation import validate as try_out

        with screen.working("Fitting on parts and trying on the rest"):
            answer = try_out(fitted.model, log, folds=folds, share=share, seed=seed, bins=bins)
        calibration = answer.held_out
        shown = [answer, calibration.table(), calibration.shares_table()]
    screen.show(shown)
    write_json(out, answer.to_dict())

    def pictures() -> list[Picture]:
        from revealed.report.pictures import as_picture, picture_of_calibration

        caption = "How often alternatives were chosen, by the probability they were given; on the line is right."
        return [as_picture(picture_of_calibration(calibration), caption)]

    write_report(report, shown, "Validation", fitted.model.title, pictures=pictures)
    screen.document(answer.to_dict())

"""``revealed fit``: estimates from a file of choices. Imports report to choices when run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.data import open_choices
from revealed.cli.exits import NOT_SOUND
from revealed.cli.formulas import columns_of, nests_of, numbers_of, pairs_of, spans_of, utility_file, utility_of
from revealed.cli.options import Choices, FileOptions, Json, ModelOptions, Report, RoleOptions, RunOptions
from revealed.cli.results import going_on, going_on_later, require_writable, write_report
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError, nearest

if TYPE_CHECKING:
    from revealed.evidence import Checkpoint
    from revealed.models import Fit, Model

#: The models by the name the command line has for them.
MODELS = {
    "logit": "Logit",
    "scaled-logit": "ScaledLogit",
    "nested": "Nested",
    "cross-nested": "CrossNested",
    "mixed": "Mixed",
    "latent": "LatentClass",
}


def fit(
    choices: Choices,
    model: ModelOptions,
    roles: RoleOptions,
    file: FileOptions,
    run: RunOptions,
    out: Annotated[
        Path | None,
        typer.Option(help="Save the fit, for whatif and the like.", rich_help_panel="Results", metavar="FILE"),
    ] = None,
    report: Report = None,
    both_errors: Annotated[
        bool,
        typer.Option("--both-errors", help="Show classic and robust errors side by side.", rich_help_panel="Results"),
    ] = False,
    json: Json = False,
) -> None:
    """Estimate what people value from a file of their choices.

    The file has one row per alternative in a choice situation. To try it on real choices:

    revealed datasets swissmetro --export swissmetro.csv

    revealed fit swissmetro.csv --utility "C(alternative) + cost + time"
    """
    screen = Screen(json)
    if run.checkpoint is not None and run.checkpoint in (out, report):
        raise SpecificationError("--checkpoint is removed when all is done: name another file than for the results")
    require_writable(report, out, run.checkpoint, reads=(choices, file.wide, utility_file(model.utility)))
    utility = utility_of(model.utility)
    bound = model_of(model, utility)
    others = tuple(column for formula in (model.scale, model.membership) if formula for column in columns_of(formula))
    attributes = columns_of(utility) + others
    with screen.working(f"Reading {choices}"):
        log = open_choices(choices, file, roles, attributes, stream=run.stream)
    kept = None if run.checkpoint is None else going_on(run.checkpoint, f"{bound!r} of {choices}")
    with going_on_later(kept), screen.working("Fitting") as progress:
        fitted = bound.fit(log, progress=progress, **how(run, kept))
    summary = fitted.summary(both_errors=both_errors)
    screen.show(summary)
    if out is not None:
        fitted.save(out)
        remark(f"Wrote {out}")
    write_report(report, summary, title_of(fitted), pictures=lambda: pictures_of(fitted))
    if kept is not None and fitted.status.converged:  # else the same command goes on from there
        kept.done()
    screen.document({"fit": str(out) if out else None, **summary.to_dict()})
    if not fitted.status.sound:
        raise typer.Exit(NOT_SOUND)


def model_of(options: ModelOptions, utility: str | dict[str, str]) -> Model:
    """Return the model that options describe."""
    from revealed.models.model import model_class

    if options.model not in MODELS:
        raise SpecificationError(f"no model {options.model!r}; {nearest(options.model, MODELS)}")
    more: dict[str, Any] = {}
    if options.model == "scaled-logit":
        more["scale"] = options.scale or ""
    elif options.scale is not None:
        raise SpecificationError("--scale goes with --model scaled-logit")
    if options.model in ("nested", "cross-nested"):
        if not options.nest:
            raise SpecificationError(f"--model {options.model} needs nests: --nest land=train,car")
        more["nests"] = nests_of(options.nest)
    elif options.nest:
        raise SpecificationError("--nest goes with --model nested or cross-nested")
    more |= mixed_of(options) | latent_of(options)
    prior = spans_of(options.prior, "--prior")
    for name, (mean, deviation) in prior.items():
        if mean is None or deviation is None:
            raise SpecificationError(f"--prior {name} needs a mean and a standard deviation: {name}=-1:0.5")
    return model_class(MODELS[options.model])(
        utility=utility,
        reference=pairs_of(options.reference, "--reference"),
        fixed=numbers_of(options.fix, "--fix"),
        bounds=spans_of(options.bound, "--bound"),
        start=numbers_of(options.start, "--start"),
        ridge=options.ridge,
        prior=prior,  # type: ignore[arg-type]  # checked above: no None is left
        **more,
    )


def latent_of(options: ModelOptions) -> dict[str, Any]:
    """Return what a latent-class logit takes besides, nothing for other models."""
    named = {
        "classes": options.classes,
        "membership": options.membership,
        "starts": options.class_starts,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if given and options.model != "latent":
        raise SpecificationError("--classes, --membership and --class-starts go with --model latent")
    return given


def mixed_of(options: ModelOptions) -> dict[str, Any]:
    """Return what a mixed logit takes besides, nothing for other models."""
    given: dict[str, Any] = {
        "random": pairs_of(options.random, "--random") or None,
        "correlated": options.correlated and [name.strip() for name in options.correlated.split(",")],
        "worth_in": options.worth_in,
        "draws": options.draws,
        "kind": options.draw_kind,
        "seed": options.draw_seed,
        "compiled": options.compiled or None,
    }
    named = {name: value for name, value in given.items() if value is not None}
    if options.model != "mixed" and named:
        raise SpecificationError(
            "--random, --correlated, --worth-in, --draws, --draw-kind, --draw-seed and --compiled go with --model mixed"
        )
    if options.worth_in is not None and not options.worth_in.strip():
        raise SpecificationError("--worth-in names the coefficient of the cost, and is empty")
    if options.model == "mixed" and "random" not in named:
        raise SpecificationError("--model mixed needs random coefficients: --random price=normal")
    return named


def how(run: RunOptions, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """Return the options of :meth:`Model.fit` that options describe."""
    from revealed.engine import InProcess, Threads
    from revealed.evidence import NewtonOptions

    return {
        "errors": run.errors,
        "engine": InProcess() if run.threads == 1 else Threads(run.threads),
        "options": NewtonOptions(max_passes=run.max_passes, checkpoint=checkpoint),
    }


def title_of(fitted: Fit) -> str:
    """Return the title of a report on a fit."""
    return f"{fitted.model.title}: {Path(fitted.data.source).name}"


def pictures_of(fitted: Fit) -> list[Any]:
    """Return the pictures of a report on a fit."""
    from revealed.report.pictures import as_picture, picture_of_estimates

    caption = f"Estimates with their 95% intervals ({fitted.errors} errors); hollow where there is none."
    return [as_picture(picture_of_estimates(fitted), caption)]

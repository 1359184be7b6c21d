"""The options that commands share, as dataclasses a command takes whole. Imports typer only.

A command declares ``data: DataOptions``; :func:`expanded` turns each field into an option of its own on the command
line and hands the command the filled dataclass. So an option, its help and its meaning stand once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

_SHAPE = "How the file is written"
_ROLES = "Which column plays which role"
_MODEL = "The model"
_RUN = "How it is computed"
_OUT = "Results"

Delimiter = Annotated[
    str | None, typer.Option(help="What stands between cells; tab is \\t.", metavar="MARK", rich_help_panel=_SHAPE)
]
Encoding = Annotated[str, typer.Option(help="Of a text file.", rich_help_panel=_SHAPE)]
Decimal = Annotated[str, typer.Option(help="The decimal mark of a text file.", rich_help_panel=_SHAPE)]


@dataclass(frozen=True)
class TextOptions:
    """How a text file is written."""

    delimiter: Delimiter = None
    encoding: Encoding = "utf-8"
    decimal: Decimal = "."


@dataclass(frozen=True)
class FileOptions:
    """How to read a file of choices whose roles are known."""

    where: Annotated[
        str | None,
        typer.Option(
            help="Keep only rows that meet a condition: \"purpose == 'work' and income > 0\".", rich_help_panel=_SHAPE
        ),
    ] = None
    outside: Annotated[
        str | None,
        typer.Option(
            help="Add an outside option of this name to each case, chosen where no row is.",
            metavar="NAME",
            rich_help_panel=_SHAPE,
        ),
    ] = None
    wide: Annotated[
        Path | None,
        typer.Option(
            help="The file has one row a choice; this TOML or JSON file says how its columns make alternatives.",
            metavar="FORM",
            rich_help_panel=_SHAPE,
        ),
    ] = None
    delimiter: Delimiter = None
    encoding: Encoding = "utf-8"
    decimal: Decimal = "."


@dataclass(frozen=True)
class RoleOptions:
    """Which column plays which role."""

    case: Annotated[
        str | None, typer.Option(help="The choice situation. (default: case)", rich_help_panel=_ROLES, metavar="COLUMN")
    ] = None
    alternative: Annotated[
        str | None,
        typer.Option(help="What could be chosen. (default: alternative)", rich_help_panel=_ROLES, metavar="COLUMN"),
    ] = None
    chosen: Annotated[
        str | None,
        typer.Option(help="1 or true where chosen. (default: chosen)", rich_help_panel=_ROLES, metavar="COLUMN"),
    ] = None
    person: Annotated[
        str | None,
        typer.Option(
            help="The decision maker; '' for none. (default: person, if there)",
            rich_help_panel=_ROLES,
            metavar="COLUMN",
        ),
    ] = None
    available: Annotated[
        str | None,
        typer.Option(
            help="0 or false where it could not be chosen; '' for none. (default: available, if there)",
            rich_help_panel=_ROLES,
            metavar="COLUMN",
        ),
    ] = None
    time: Annotated[
        str | None, typer.Option(help="When the choice was made.", rich_help_panel=_ROLES, metavar="COLUMN")
    ] = None
    weight: Annotated[
        str | None, typer.Option(help="The weight of the case.", rich_help_panel=_ROLES, metavar="COLUMN")
    ] = None
    propensity: Annotated[
        str | None,
        typer.Option(help="The probability with which it was shown.", rich_help_panel=_ROLES, metavar="COLUMN"),
    ] = None
    counts: Annotated[
        bool, typer.Option("--counts", help="The chosen column holds counts, not 0 and 1.", rich_help_panel=_ROLES)
    ] = False


@dataclass(frozen=True)
class ModelOptions:
    """What to fit."""

    utility: Annotated[
        list[str],
        typer.Option(
            help='The formula: "C(alternative) + cost + time". Or one per alternative, the option repeated: '
            '"train=asc + cost", "car=asc + cost + own(parking)". Or a TOML or JSON file that gives each '
            "alternative its formula.",
            metavar="FORMULA",
            rich_help_panel=_MODEL,
        ),
    ]
    model: Annotated[
        str,
        typer.Option(
            help="logit, scaled-logit with --scale, nested or cross-nested with --nest, mixed with --random, "
            "latent with --classes.",
            rich_help_panel=_MODEL,
            metavar="NAME",
        ),
    ] = "logit"
    scale: Annotated[
        str | None,
        typer.Option(help="The formula of the log-scale of a scaled-logit.", rich_help_panel=_MODEL, metavar="FORMULA"),
    ] = None
    nest: Annotated[
        list[str] | None,
        typer.Option(
            help="A nest and its alternatives, the option repeated for each: land=train,car.",
            metavar="NEST=LABEL,LABEL",
            rich_help_panel=_MODEL,
        ),
    ] = None
    random: Annotated[
        list[str] | None,
        typer.Option(
            help="A coefficient that differs between people and its distribution, the option repeated for each: "
            "price=normal, time=lognormal-, or triangular, uniform, truncated.",
            metavar="NAME=DISTRIBUTION",
            rich_help_panel=_MODEL,
        ),
    ] = None
    correlated: Annotated[
        str | None,
        typer.Option(
            help="Random coefficients that are correlated: price,time.", metavar="NAME,NAME", rich_help_panel=_MODEL
        ),
    ] = None
    worth_in: Annotated[
        str | None,
        typer.Option(
            help="The cost of a mixed logit in units of which all else is told: what one unit more is worth "
            "(willingness-to-pay space). --random then gives the distributions of worths.",
            metavar="NAME",
            rich_help_panel=_MODEL,
        ),
    ] = None
    draws: Annotated[
        int | None,
        typer.Option(help="Draws of a person for a mixed logit. (default: 500)", metavar="N", rich_help_panel=_MODEL),
    ] = None
    draw_kind: Annotated[
        str | None, typer.Option(help="sobol or halton. (default: sobol)", metavar="KIND", rich_help_panel=_MODEL)
    ] = None
    draw_seed: Annotated[
        int | None,
        typer.Option(help="Another seed, other draws. (default: 0)", metavar="N", rich_help_panel=_MODEL),
    ] = None
    compiled: Annotated[
        bool,
        typer.Option(
            help="Sum the likelihood of a mixed logit by JAX, on a GPU where it finds one.", rich_help_panel=_MODEL
        ),
    ] = False
    classes: Annotated[
        int | None,
        typer.Option(help="Classes of a latent-class logit. (default: 2)", min=2, metavar="N", rich_help_panel=_MODEL),
    ] = None
    membership: Annotated[
        str | None,
        typer.Option(help="What membership in a class depends on: income.", metavar="FORMULA", rich_help_panel=_MODEL),
    ] = None
    class_starts: Annotated[
        int | None,
        typer.Option(
            help="Starts of a latent-class logit, the best of which counts. (default: 6)",
            min=1,
            metavar="N",
            rich_help_panel=_MODEL,
        ),
    ] = None
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="The level others are compared with: mode=train.", rich_help_panel=_MODEL, metavar="COLUMN=LEVEL"
        ),
    ] = None
    fix: Annotated[
        list[str] | None, typer.Option(help="Hold a parameter: cost=-1.", rich_help_panel=_MODEL, metavar="NAME=VALUE")
    ] = None
    bound: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep a parameter between two numbers, either of which may be left out: cost=:0.",
            rich_help_panel=_MODEL,
            metavar="NAME=LOW:HIGH",
        ),
    ] = None
    start: Annotated[
        list[str] | None, typer.Option(help="Where to start from.", rich_help_panel=_MODEL, metavar="NAME=VALUE")
    ] = None
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help="A normal prior belief, mean and standard deviation: cost=-1:0.5.",
            rich_help_panel=_MODEL,
            metavar="NAME=MEAN:SD",
        ),
    ] = None
    ridge: Annotated[
        float, typer.Option(help="Pull all parameters towards zero, this strongly.", rich_help_panel=_MODEL, min=0.0)
    ] = 0.0


@dataclass(frozen=True)
class RunOptions:
    """How an estimation is computed."""

    errors: Annotated[
        str | None,
        typer.Option(
            help="Standard errors to show: classic, robust or clustered (by person). "
            "(default: clustered if persons are known, else robust)",
            metavar="KIND",
            rich_help_panel=_RUN,
        ),
    ] = None
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Read Parquet in batches on each pass, for logs larger than memory.", rich_help_panel=_RUN
        ),
    ] = False
    threads: Annotated[
        int, typer.Option(help="Threads; 0 for one on each processor.", min=0, rich_help_panel=_RUN, metavar="N")
    ] = 1
    max_passes: Annotated[
        int, typer.Option(help="Give up after so many passes over the data.", min=1, rich_help_panel=_RUN, metavar="N")
    ] = 60
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Write down how far it got, and go on from there if the file is there; it goes when all is done.",
            rich_help_panel=_RUN,
            metavar="FILE",
        ),
    ] = None


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document and nothing else.",
        rich_help_panel=_OUT,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Write a report to read: .html, .md or .txt by its suffix.",
        rich_help_panel=_OUT,
        metavar="FILE",
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write the result as JSON.", rich_help_panel=_OUT, metavar="FILE")
]
Level = Annotated[
    float, typer.Option(help="The probability that intervals cover.", min=0.01, max=0.999, rich_help_panel=_OUT)
]
Method = Annotated[
    str, typer.Option(help="Of the intervals: delta or simulation.", rich_help_panel=_OUT, metavar="NAME")
]
FitFile = Annotated[Path, typer.Argument(help="A fit saved by 'revealed fit --out'.", metavar="FIT")]
Choices = Annotated[
    Path, typer.Argument(help="A CSV, Parquet or Arrow file, or a folder of Parquet files.", metavar="CHOICES")
]


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameters that are dataclasses stand as one option per field."""
    hints = get_type_hints(command, include_extras=True)
    flat: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            flat.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        assert isinstance(kind, type)
        groups[name] = kind
        of_field = get_type_hints(kind, include_extras=True)
        flat += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default if field.default is not MISSING else inspect.Parameter.empty,
                annotation=of_field[field.name],
            )
            for field in fields(kind)
        ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        command(**values)

    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    del run.__wrapped__
    return run

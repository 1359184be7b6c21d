"""``revealed simulate``: choices with a known truth, of any size. Imports choices when run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from revealed.cli.formulas import numbers_of
from revealed.cli.options import Json
from revealed.cli.screen import Screen
from revealed.errors import SpecificationError


def simulate(
    out: Annotated[
        Path,
        typer.Argument(help="A .parquet or .csv file; any other name is a folder of Parquet files.", metavar="OUT"),
    ],
    cases: Annotated[int, typer.Option(help="How many choice situations.", min=1)] = 10_000,
    alternatives: Annotated[
        str, typer.Option(help="How many alternatives: 5, or 2:8 for sets that differ; or their names: bus,car,train.")
    ] = "5",
    attributes: Annotated[
        int, typer.Option(help="How many attributes x1, x2, … with parameters drawn at random.", min=1)
    ] = 5,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Instead: an attribute and its parameter, cost=-1. Repeat it.", metavar="NAME=VALUE"),
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option(help="The utility of an alternative as such: train=0.5.", metavar="NAME=VALUE")
    ] = None,
    persons: Annotated[
        int | None, typer.Option(help="Choices per person; without it there are no persons.", min=1, metavar="N")
    ] = None,
    outside: Annotated[str | None, typer.Option(help="Add an outside option of this name.", metavar="NAME")] = None,
    availability: Annotated[float, typer.Option(help="The probability that an alternative can be chosen.")] = 1.0,
    single: Annotated[bool, typer.Option("--float32", help="Store numbers in 32 bits.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same choices.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Make choices whose truth is known, to try things on: any size, in bounded memory.

    revealed simulate choices.parquet --cases 100000 --alternatives bus,car,train --param cost=-1 --param time=-0.5
    """
    from revealed.choices.simulate import Simulation

    screen = Screen(json)
    options: dict[str, Any] = {
        "cases_per_person": persons,
        "outside": outside,
        "availability": availability,
        "float32": single,
        "constants": numbers_of(constant, "--constant"),
        "seed": seed,
    }
    size, names = _alternatives(alternatives)
    if names:
        options["alternatives"] = names
    params = numbers_of(param, "--param")
    if params:
        simulation = Simulation(n_cases=cases, params=params, n_alternatives=size, **options)
    else:
        simulation = Simulation.of_size(cases, size, attributes, **options)
    with screen.working("Writing") as progress:
        written = simulation.write(out, progress=progress)
    roles = " --stream" if written.n_rows > 20_000_000 else ""
    command = f'revealed fit {out} --utility "{simulation.utility}"{roles}'
    screen.say(f"Wrote {written.path}: {written.n_cases:,} cases, {written.n_rows:,} rows, {_bytes(written.n_bytes)}.")
    screen.say("The truth, which a fit should find:")
    for name, value in simulation.truth.items():
        screen.say(f"  {name} = {value:g}")
    screen.say(f"\n  {command}")
    screen.document(
        {
            "path": str(written.path),
            "n_cases": written.n_cases,
            "n_rows": written.n_rows,
            "n_files": written.n_files,
            "n_bytes": written.n_bytes,
            "utility": simulation.utility,
            "truth": simulation.truth,
            "seed": seed,
        }
    )


def _alternatives(text: str) -> tuple[int | tuple[int, int], list[str]]:
    """Return how many alternatives there are, and their names if they are given."""
    if text.isdigit():
        return int(text), []
    low, colon, high = text.partition(":")
    if colon and low.isdigit() and high.isdigit():
        return (int(low), int(high)), []
    names = [name.strip() for name in text.split(",")]
    if len(names) < 2 or not all(names):
        raise SpecificationError(f"--alternatives is a number, a range such as 2:8, or names: bus,car; not {text!r}")
    return len(names), names


def _bytes(size: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size = round(size / 1000)
    return f"{size:,.0f} GB"

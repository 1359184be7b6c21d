"""``revealed datasets``: the real choices that come with the package. Imports choices when run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.options import Json
from revealed.cli.results import require_writable
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError

if TYPE_CHECKING:
    from revealed.choices import ChoiceLog


def datasets(
    name: Annotated[str | None, typer.Argument(help="A data set, to read its card.", metavar="NAME")] = None,
    export: Annotated[Path | None, typer.Option(help="Write it to a .csv or .parquet file.", metavar="FILE")] = None,
    json: Json = False,
) -> None:
    """List the real data sets that come along, show what one is, or export it to try things on.

    revealed datasets swissmetro --export swissmetro.csv
    """
    from revealed.choices import datasets as shelf

    screen = Screen(json)
    if name is None:
        if export is not None:
            raise SpecificationError(f"--export needs the name of a data set: {', '.join(shelf.names())}")
        titles = {each: shelf.card(each).splitlines()[0].lstrip("# ") for each in shelf.names()}
        _list(screen, titles)
        return
    card = shelf.card(name)
    if export is None:
        screen.say(card.rstrip())
        screen.document({"name": name, "card": card, "licence": shelf.licence(name)})
        return
    require_writable(None, export)
    log = shelf.load(name)
    export_log(log, export)
    remark(f"Wrote {export}")
    sizes = {"n_cases": log.n_cases, "n_rows": log.n_rows, "columns": log.column_names}
    screen.say(f"{log.n_cases:,} cases, {log.n_rows:,} rows. Columns: {', '.join(log.column_names)}.")
    screen.document({"name": name, "path": str(export), **sizes, "roles": log.columns.roles()})


def export_log(log: ChoiceLog, path: Path) -> None:
    """Write a log to a .csv or .parquet file, whole or not at all."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SpecificationError(f"--export writes .csv or .parquet, not {path.suffix or 'a file without a suffix'}")
    if path.suffix.lower() == ".parquet":
        log.to_parquet(path)
        return
    from revealed.choices.sink import write_tables

    write_tables([log.table], path, n_cases=log.n_cases)


def _list(screen: Screen, titles: dict[str, str]) -> None:
    from revealed.answer.table import Column, Table

    notes = ("revealed datasets NAME shows the card; --export FILE writes it to a CSV or Parquet file",)
    columns = (Column("name", "text"), Column("what", "text"))
    screen.show(Table("Data sets", columns, tuple(titles.items()), notes))
    screen.document({"datasets": titles})

"""The panel of ``revealed dynamic``: choices over time from a file. Imports choices to models when run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.data import text_format
from revealed.cli.options import TextOptions
from revealed.errors import DataError, Problem, SpecificationError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from revealed.models.dynamic import Panel, StateSpace

_PANEL = "The panel"
#: Rows and periods named in an error.
_SHOWN = 5


@dataclass(frozen=True)
class PanelOptions:
    """Which column of a panel is what."""

    states: Annotated[
        str,
        typer.Option(
            help="The columns that tell the state, with commas; levels are those seen, or as given: plan,mileage=0:89.",
            metavar="COLUMN,…",
            rich_help_panel=_PANEL,
        ),
    ]
    person: Annotated[str, typer.Option(help="The decision maker.", metavar="COLUMN", rich_help_panel=_PANEL)] = (
        "person"
    )
    time: Annotated[str, typer.Option(help="The period.", metavar="COLUMN", rich_help_panel=_PANEL)] = "time"
    actions: Annotated[
        str | None,
        typer.Option(
            help="What was done. (default: action, or alternative where chosen is true)",
            metavar="COLUMN",
            rich_help_panel=_PANEL,
        ),
    ] = None
    chosen: Annotated[
        str | None,
        typer.Option(
            help="Where the file has a row for each action that could be taken: true for the one that was. Where a "
            "column available is false, it could not. (default: chosen, if there)",
            metavar="COLUMN",
            rich_help_panel=_PANEL,
        ),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(help="What a period is, where times are dates: day, week or month.", rich_help_panel=_PANEL),
    ] = None
    first_period: Annotated[
        str | None,
        typer.Option(
            help="With --horizon: the time at which all began, where the file begins later. (default: its earliest)",
            metavar="TIME",
            rich_help_panel=_PANEL,
        ),
    ] = None
    after_another: Annotated[
        bool,
        typer.Option(
            "--after-another",
            help="Leave out the first period of each person and those after gaps, as Rust (1987) does.",
            rich_help_panel=_PANEL,
        ),
    ] = False


def panel_of(path: Path, columns: PanelOptions, text: TextOptions) -> Panel:
    """Return the panel in a file of either form: a row per person and period, or one per action too.

    Raises
    ------
    DataError, SpecificationError
        For columns that are not there, cells that are missing, and periods with two choices.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from revealed.choices.tables import as_table
    from revealed.models.dynamic import Panel

    action = columns.actions or "action"
    table, name = as_table(path, text_format(text), (columns.person, action))
    if columns.actions is None and action not in table.column_names and "alternative" in table.column_names:
        action = "alternative"
    space = _space_of(table, name, columns.states)
    actions, offered = None, None
    chosen = columns.chosen or ("chosen" if "chosen" in table.column_names and action == "alternative" else None)
    if chosen is not None and action in table.column_names:
        actions = sorted(pc.unique(pc.cast(table.column(action), pa.string())).drop_null().to_pylist())
        taken = _flags(table, chosen, name)
        if {columns.person, columns.time} <= set(table.column_names):  # else told where the panel is read
            offered = _offered(table, taken, (columns.person, columns.time, action), actions, space, name)
        table = table.filter(pa.array(taken))
    panel = Panel.from_rows(
        table,
        space,
        person=columns.person,
        time=columns.time,
        action=action,
        actions=actions,
        unit=columns.unit,
        after_another=columns.after_another,
        first_period=columns.first_period,
        source=name,
    )
    return panel if offered is None else replace(panel, offered=offered)


def _flags(table: pa.Table, chosen: str, source: str) -> np.ndarray:
    """Return the rows in which a column is true: of what was chosen, or could be."""
    import numpy as np
    import pyarrow as pa

    from revealed.choices.kinds import as_numbers, holds_numbers

    if chosen not in table.column_names:
        raise SpecificationError(f"--chosen: no column {chosen!r} in {source}; {nearest(chosen, table.column_names)}")
    column = table.column(chosen)
    cells = as_numbers(column) if holds_numbers(column.type) else np.full(table.num_rows, np.nan)
    odd = np.flatnonzero((cells != 0) & (cells != 1))
    if len(odd):
        shown = ", ".join(dict.fromkeys(str(cell) for cell in column.take(pa.array(odd[:_SHOWN])).to_pylist()))
        what, remedy = f"{chosen} is not 0 or 1 but {shown}", "write 1 where it is so, else 0"
        rows = tuple((odd[:_SHOWN] + 1).tolist())
        raise DataError(source, [Problem(what, remedy, f"column {chosen!r}", rows, count=len(odd))])
    return np.asarray(cells == 1)


def _offered(
    table: pa.Table,
    taken: np.ndarray,
    names: tuple[str, str, str],
    actions: list[str],
    space: StateSpace,
    source: str,
) -> np.ndarray | None:
    """Return in what share of the choices in each state each action could be taken: as the rows have it.

    Periods of a person are refused in which nothing was chosen, which would look like gaps in time, in which the state
    differs between rows, or in which an action has two.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from revealed.models.dynamic.offered import offered_by_state

    could = _flags(table, "available", source) if "available" in table.column_names else np.ones(len(taken), dtype=bool)
    state = space.codes(table, source)
    action = pc.index_in(pc.cast(table.column(names[2]), pa.string()), pa.array(actions, pa.string()))
    if action.null_count:
        rows = tuple((np.flatnonzero(action.is_null().to_numpy())[:_SHOWN] + 1).tolist())
        missing = Problem("cells are missing", "fill them, or leave the rows out", f"column {names[2]!r}", rows)
        raise DataError(source, [missing])
    each = pa.table({"person": table.column(names[0]), "time": table.column(names[1]), "action": action})
    each = each.append_column("state", pa.array(state)).append_column("taken", pa.array(taken))
    periods = each.group_by(["person", "time"]).aggregate([("taken", "max"), ("state", "min"), ("state", "max")])
    again = each.group_by(["person", "time", "action"]).aggregate([([], "count_all")])
    for odd, what, remedy in (
        (periods.filter(pc.invert(periods["taken_max"])), "nothing is chosen", "mark what was done, or drop them"),
        (
            periods.filter(pc.not_equal(periods["state_min"], periods["state_max"])),
            "the rows are of several states",
            "name columns that are the same on all rows of a period: --states",
        ),
        (again.filter(pc.greater(again["count_all"], 1)), "an action has several rows", "give it one"),
    ):
        if odd.num_rows:
            shown = ", ".join(f"{one['person']} in {one['time']}" for one in odd.slice(0, _SHOWN).to_pylist())
            raise DataError(source, [Problem(f"periods in which {what}: {shown}", remedy, count=odd.num_rows)])
    if (taken & ~could).any():
        both = np.flatnonzero(taken & ~could)
        what, remedy = "chosen, and not available", "mend one of the two"
        raise DataError(source, [Problem(what, remedy, rows=tuple((both[:_SHOWN] + 1).tolist()), count=len(both))])
    shape = space.n_states, len(actions)
    return offered_by_state(state[could], action.to_numpy().astype(np.int64)[could], state[taken], shape)


def _space_of(table: pa.Table, source: str, text: str) -> StateSpace:
    from revealed.models.dynamic import StateSpace

    levels: dict[str, list[Any]] = {}
    for part in text.split(","):
        name, _, given = (piece.strip() for piece in part.partition("="))
        if not name or name in levels:
            raise SpecificationError(f"--states names columns, each once, with commas between, not {text!r}")
        if name not in table.column_names:
            raise SpecificationError(f"--states: no column {name!r} in {source}; {nearest(name, table.column_names)}")
        levels[name] = _levels(given, name) if given else _seen(table.column(name))
        if not levels[name]:
            raise DataError(
                source, [Problem("no cells", "check that the file was written in full", f"column {name!r}")]
            )
    return StateSpace.grid(**levels)


def _seen(column: pa.ChunkedArray) -> list[Any]:
    """Return the levels in a column; a cell that can be none is left out here, and refused with its row later."""
    import pyarrow.compute as pc

    from revealed.models.dynamic.space import LARGEST

    cells = pc.unique(column.drop_null()).to_pylist()
    return sorted(cell for cell in cells if not isinstance(cell, float) or abs(cell) < LARGEST)


def _levels(text: str, name: str) -> list[Any]:
    low, colon, high = text.partition(":")
    whole = [part.strip().lstrip("-").isdigit() for part in (low, high)]
    if colon and all(whole) and int(low) < int(high):
        return list(range(int(low), int(high) + 1))
    if "|" in text and not colon:
        return [part.strip() for part in text.split("|")]
    raise SpecificationError(f"--states {name}={text}: levels are whole numbers 0:89, or labels none|monthly|annual")

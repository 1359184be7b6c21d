"""Choices from files, frames and databases: the way in for most users. Imports its own room only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pyarrow as pa

from revealed.choices.columns import Columns, RoleNames
from revealed.choices.databases import query_table
from revealed.choices.delimited import TextFormat
from revealed.choices.door import admit
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table, rows_where

#: The key of an Arrow schema's metadata under which a log written by the package keeps its roles.
ROLES_KEY = b"revealed.roles"


def read(
    source: Any,
    columns: Columns | None = None,
    *,
    counts: bool = False,
    outside: str | None = None,
    attributes: Sequence[str] = (),
    where: str | None = None,
    text: TextFormat | None = None,
    **roles: Unpack[RoleNames],
) -> ChoiceLog:
    """Read choices in long form, one row per alternative in a choice situation, and check them.

    Parameters
    ----------
    source : path, frame, table, relation or dict
        A CSV or TSV file (``.gz`` too), a Parquet file or a folder of them, an Arrow (Feather) file; a pandas, polars
        or any other frame that narwhals knows, eager or lazy; a pyarrow table, batch or reader; a DuckDB relation; a
        dict of columns. Rows may come in any order.
    columns : Columns, optional
        Which column plays which role. Roles given by keyword come on top: ``case="trip"``, ``alternative="mode"``,
        ``chosen="taken"``, and where the data have them ``person``, ``time``, ``available``, ``weight`` and
        ``propensity``; see :class:`Columns`. A file that the package wrote knows its roles.
    counts : bool
        ``chosen`` holds how often each alternative was chosen in the case, not 0/1.
    outside : str, optional
        The name of an outside option to add to each case: chosen where no row is, attributes zero
        (attributes that are constant within every case keep their value).
    attributes : sequence of str
        Columns to check for missing and infinite cells now rather than when a utility first uses them.
    where : str, optional
        Keep only the rows that meet this condition, such as ``"purpose == 1 and income > 0"``. A condition that a
        missing cell leaves open is not met.
    text : TextFormat, optional
        How a text file is written, where it is not plain CSV in UTF-8.

    Returns
    -------
    ChoiceLog

    Raises
    ------
    DataError
        With every problem found, its rows and its remedy: nothing is let in half-checked.
    SpecificationError
        For an unknown role or option, or a source that cannot be read.

    Examples
    --------
    >>> log = read({"trip": [1, 1, 2, 2], "mode": ["bus", "car"] * 2, "taken": [1, 0, 0, 1], "cost": [2, 5, 2, 4]},
    ...            case="trip", alternative="mode", chosen="taken")
    >>> log
    ChoiceLog(table: 2 cases, 2 alternatives, 2 persons, 4 rows)
    """
    named = Columns.named(columns, roles)
    table, name = as_table(source, text, (named.case, named.alternative, *filter(None, [named.person])))
    stored = None if columns is not None or roles else stored_roles(table.schema)
    if stored is not None:
        named, counts = stored[0], counts or stored[1]
    return _admit_where(table, named, counts, outside, tuple(attributes), where, name)


def read_sql(
    query: str,
    connection: Any = None,
    columns: Columns | None = None,
    *,
    counts: bool = False,
    outside: str | None = None,
    attributes: Sequence[str] = (),
    **roles: Unpack[RoleNames],
) -> ChoiceLog:
    """Read choices in long form from a query; see :func:`read` for what is common.

    Parameters
    ----------
    query : str
        SQL that returns one row per alternative in a choice situation.
    connection : str or connection, optional
        ``postgresql://user:password@host:port/database`` (needs ``revealed[postgres]``), the path of a DuckDB file,
        or an open DuckDB or ADBC connection. By default DuckDB in this process, where files are tables:
        ``read_sql("select * from 'choices/*.parquet' where year = 2024", case="trip", …)``.

    Raises
    ------
    DataError
        If the database cannot be reached, the query fails, or the choices are not sound. A password is never shown.
    """
    named = Columns.named(columns, roles)
    table, name = query_table(query, connection)
    return _admit_where(table, named, counts, outside, tuple(attributes), None, name)


def _admit_where(
    table: pa.Table,
    columns: Columns,
    counts: bool,
    outside: str | None,
    attributes: tuple[str, ...],
    where: str | None,
    source: str,
) -> ChoiceLog:
    rows: np.ndarray | int = 0
    if where is not None:
        kept = np.flatnonzero(rows_where(table, where, source))
        table, rows = table.take(pa.array(kept)), kept + 1
    return admit(table, columns, counts=counts, outside=outside, attributes=attributes, source=source, rows=rows)


def stored_roles(schema: pa.Schema) -> tuple[Columns, bool] | None:
    """Return the roles, and whether choices are counts, that a file or table of ours says of itself."""
    data = (schema.metadata or {}).get(ROLES_KEY)
    if data is None:
        return None
    stored = json.loads(data)
    columns = Columns(**stored["columns"])
    if not set(columns.roles().values()) <= set(schema.names):
        return None  # columns were renamed or dropped since
    return columns, bool(stored["counts"])

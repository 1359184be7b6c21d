"""A log as tables, frames and files of others. Imports its own room and the writing of files."""

from __future__ import annotations

import json
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revealed.choices.kinds import as_full, holds_numbers
from revealed.choices.log import ChoiceLog
from revealed.choices.readers import ROLES_KEY
from revealed.errors import RevealedError
from revealed.files import whole_file

#: Rows of a row group: a stream that samples a file reads whole ones, and a reader's buffers grow with them.
ROW_GROUP = 1 << 20


def labelled(log: ChoiceLog) -> pa.Table:
    """Return the rows of a log as a table that knows its roles."""
    roles = {"columns": log.columns.roles(), "counts": log.counts}
    metadata = dict(log.table.schema.metadata or {}) | {ROLES_KEY: json.dumps(roles).encode()}
    return log.table.replace_schema_metadata(metadata)


def write_options(schema: pa.Schema, columns: Any) -> dict[str, Any]:
    """Return the Parquet options with which a log streams back fast.

    Numbers as they are, since decoding a dictionary of fractions costs more than it saves; labels and the roles,
    which repeat, as dictionaries; a light compression; a checksum on each page.
    """
    roles = set(columns.roles().values())
    coded = [field.name for field in schema if field.name in roles or not holds_numbers(field.type)]
    return {"compression": "lz4", "use_dictionary": coded, "write_page_checksum": True}


def to_parquet(log: ChoiceLog, path: str | PathLike[str]) -> Path:
    """Write a log to a Parquet file, all or nothing."""
    table = as_full(labelled(log))
    with whole_file(path) as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP, **write_options(table.schema, log.columns))
    return Path(path)


def to_pandas(log: ChoiceLog) -> Any:
    """Return the rows of a log as a pandas frame."""
    _require("pandas")
    return log.table.to_pandas()


def to_polars(log: ChoiceLog) -> Any:
    """Return the rows of a log as a polars frame."""
    return _require("polars").from_arrow(log.table)


def _require(library: str) -> Any:
    try:
        return import_module(library)
    except ImportError:
        raise RevealedError(f"a {library} frame needs {library}: pip install {library}") from None


def to_duckdb(log: ChoiceLog, connection: Any = None) -> Any:
    """Return the rows of a log as a DuckDB relation."""
    import duckdb

    return (connection or duckdb).from_arrow(log.table)

"""Queries as Arrow tables: DuckDB in this process, PostgreSQL by its address. Imports its own room only."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import pyarrow as pa

from revealed.errors import DataError, MissingExtraError, Problem, SpecificationError

_POSTGRES = ("postgresql", "postgres")
_WAIT_S = 10


def query_table(query: str, connection: Any = None) -> tuple[pa.Table, str]:
    """Return what a query finds, and how messages call it.

    Parameters
    ----------
    query : str
        SQL.
    connection : str, DuckDB or ADBC connection, optional
        ``postgresql://user:password@host:port/database``, the path of a DuckDB file, or an open connection. By
        default DuckDB in this process, where files are tables: ``select * from 'choices/*.parquet'``.

    Raises
    ------
    DataError
        If the database cannot be reached or the query fails; a password is never shown.
    MissingExtraError
        For PostgreSQL without its driver.
    SpecificationError
        For another kind of connection.
    """
    if isinstance(connection, str | Path):
        address = str(connection)
        if address.partition("://")[0] in _POSTGRES:
            return _from_postgres(query, address)
        if "://" in address:
            raise SpecificationError(f"no way to query {without_password(address)}; give a postgresql:// address")
        return _from_duckdb_file(query, Path(address))
    if connection is None:
        import duckdb

        with duckdb.connect() as fresh:
            return _from_duckdb(query, fresh, "query")
    if hasattr(connection, "cursor") and type(connection).__module__.startswith("adbc_driver"):
        return _from_adbc(query, connection, "query", [])
    if hasattr(connection, "sql"):
        return _from_duckdb(query, connection, "query")
    raise SpecificationError(
        f"no way to query a {type(connection).__name__}; give a postgresql:// address, the path of a DuckDB file, "
        "or a connection of DuckDB or ADBC"
    )


def _from_duckdb_file(query: str, path: Path) -> tuple[pa.Table, str]:
    import duckdb

    from revealed.choices.parquet import require_path

    require_path(path)
    try:
        opened = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        remedy = "name a DuckDB database, or leave the connection away to query files"
        raise DataError(str(path), [Problem(f"cannot be opened: {_first_line(error)}", remedy)]) from None
    with opened:
        return _from_duckdb(query, opened, f"query on {path}")


def _from_duckdb(query: str, connection: Any, name: str) -> tuple[pa.Table, str]:
    import duckdb

    try:
        relation = connection.sql(query)
        if relation is None:
            raise DataError(name, [Problem("the statement returns no rows", "give a select")])
        return relation.to_arrow_table(), name
    except duckdb.Error as error:
        raise DataError(name, [Problem(f"the query failed: {error}", "correct the query")]) from None


def _from_postgres(query: str, address: str) -> tuple[pa.Table, str]:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise MissingExtraError("reading from PostgreSQL", "postgres") from None
    name = without_password(address)
    secrets = _passwords(address)
    try:
        connection = dbapi.connect(_with_patience(address))
    except dbapi.Error as error:
        what = f"cannot connect: {_scrubbed(error, secrets)}"
        problem = Problem(what, "check host, port, database, user and password, and that the server runs")
        raise DataError(name, [problem]) from None
    with connection:
        return _from_adbc(query, connection, f"query on {name}", secrets)


def _from_adbc(query: str, connection: Any, name: str, secrets: list[str]) -> tuple[pa.Table, str]:
    from adbc_driver_manager import dbapi

    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            table = cursor.fetch_arrow_table()
    except dbapi.Error as error:
        what = f"the query failed: {_scrubbed(error, secrets)}"
        raise DataError(name, [Problem(what, "correct the query")]) from None
    return _with_numerics(table), name


def _with_numerics(table: pa.Table) -> pa.Table:
    """Return the table with PostgreSQL's ``numeric`` columns, which the driver hands over as text, as numbers."""
    for index, column in enumerate(table.schema):
        metadata = column.metadata or {}
        kind = metadata.get(b"ADBC:postgresql:typname", b"")
        if isinstance(column.type, pa.BaseExtensionType):
            kind = str(getattr(column.type, "type_name", "")).encode() or kind
        if kind == b"numeric":
            data = table.column(index)
            if isinstance(column.type, pa.BaseExtensionType):
                data = pa.chunked_array([chunk.storage for chunk in data.chunks], column.type.storage_type)
            table = table.set_column(index, pa.field(column.name, pa.float64()), data.cast(pa.float64()))
    return table


def without_password(address: str) -> str:
    """Return an address with its password hidden.

    >>> without_password("postgresql://ann:secret@host:5432/shop?sslmode=require")
    'postgresql://ann:***@host:5432/shop'
    """
    parts = urlsplit(address)
    user, colon, _ = parts.netloc.rpartition("@")[0].partition(":")
    host = parts.netloc.rpartition("@")[2]
    login = f"{user}{':***' if colon else ''}@" if user else ""
    return urlunsplit((parts.scheme, login + host, parts.path, "", ""))


def _passwords(address: str) -> list[str]:
    """Return the password of an address in each way it may be written."""
    parts = urlsplit(address)
    raw = parts.netloc.rpartition("@")[0].partition(":")[2]
    found = {raw, unquote(raw), *parse_qs(parts.query).get("password", [])}
    return sorted((secret for secret in found if secret), key=len, reverse=True)


def _with_patience(address: str) -> str:
    """Return the address with a limit on how long to wait for a server that does not answer."""
    if "connect_timeout" in address:
        return address
    return f"{address}{'&' if urlsplit(address).query else '?'}connect_timeout={_WAIT_S}"


def _scrubbed(error: Exception, secrets: list[str]) -> str:
    text = str(error).strip()
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]

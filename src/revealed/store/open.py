"""Where a store is opened, whatever holds it. Imports its own room and errors only; databases when they are used."""

from __future__ import annotations

import time
from collections.abc import Callable
from os import PathLike, fspath

from revealed.errors import MissingExtraError, SpecificationError
from revealed.store.database import Database
from revealed.store.sql import SqlStore


def open_store(
    where: str | PathLike[str], *, clock: Callable[[], float] = time.time, patience: float = 5.0
) -> SqlStore:
    """Open the durable log of decisions and outcomes, and make it if it is not there.

    Parameters
    ----------
    where : str or path
        A file, ``sqlite:///FILE`` (``sqlite:////FILE`` from the root), or
        ``postgresql://user:password@host/database``.
    clock : callable, optional
        Returns the time in seconds since 1970 (UTC): what roles and the audit log go by.
    patience : float
        How many seconds to wait while another process writes.

    Returns
    -------
    SqlStore
        A :class:`~revealed.store.protocol.Store`. Open one in each process, after it was forked.

    Raises
    ------
    StoreError
        If it cannot be opened, is not ours, or was written by a newer release.
    MissingExtraError
        If the package that it needs is not installed.
    SpecificationError
        For an address of another kind.
    """
    return SqlStore(_database(fspath(where), patience), clock)


def is_shared(where: str) -> bool:
    """Return whether a store is on a server, so that processes on several machines may open it."""
    return where.partition("://")[0] in ("postgresql", "postgres")


def _database(where: str, patience: float) -> Database:
    scheme, separator, rest = where.partition("://")
    if not separator:
        return _sqlite(where, patience)
    if scheme == "sqlite":
        if not rest.startswith("/") or rest == "/":
            raise SpecificationError(f"{where!r} names no file; write sqlite:///FILE, or sqlite:////FILE from the root")
        return _sqlite(rest[1:], patience)
    if is_shared(where):
        try:
            from revealed.store.postgres import Postgres
        except ImportError:
            raise MissingExtraError("a log in PostgreSQL", "postgres") from None
        return Postgres(where, patience)
    raise SpecificationError(f"no log can be kept at a {scheme}:// address; give a file or postgresql://…")


def _sqlite(path: str, patience: float) -> Database:
    try:
        from revealed.store.sqlite import Sqlite
    except ImportError:
        raise MissingExtraError("a log in a file", "serve") from None
    return Sqlite(path, patience)

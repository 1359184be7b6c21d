"""The log in PostgreSQL. Imports its own room, errors, and psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors as said
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from revealed.errors import StoreError
from revealed.store.database import Database
from revealed.store.schema import POSTGRES, STEPS, statements_after

#: Our tables stand in a schema of their own, beside whatever else is in the database.
SCHEMA = "revealed"
#: Of the advisory lock under which tables are made, so that two processes that start at once do not both make them.
_MAKING = 0x52766C64
#: A server that no longer answers is given up after some ten seconds, not after two hours.
_CONNECTION: dict[str, str | int] = {
    "application_name": "revealed",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: Whoever holds this row writes alone, to the end of the transaction: so places are given in the order of commitment.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 FROM counters FOR UPDATE"

#: All that we read is a stretch of an index, in its order, with what other indexes find for each row of it. A plan
#: made before a table has grown, or without knowing how few rows are asked for, must not read or sort the whole of it.
#: What is off still runs where there is no other way, at a made-up cost at which the server would compile the plan.
_OFF = ("enable_hashjoin", "enable_mergejoin", "enable_sort", "enable_bitmapscan", "jit")
_PLANS = "; ".join(f"SET {name} TO off" for name in _OFF)

#: One array a column and one statement for all rows: COPY knows no ON CONFLICT, and a statement a row costs thrice.
_DECISIONS = """
INSERT INTO decisions (seq, version, number, positions, made, person, asked, shown, propensities, context, candidates)
SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::float8[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::text[]) ON CONFLICT DO NOTHING
"""
_OUTCOMES = """
INSERT INTO outcomes (seq, decision, position, reward, came, received)
SELECT sent.* FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::float8[], %b::float8[], %b::float8[])
    AS sent (seq, decision, position, reward, came, received)
JOIN decisions ON decisions.number = sent.decision AND sent.position BETWEEN 1 AND decisions.positions
ORDER BY sent.seq ON CONFLICT DO NOTHING
"""

_REMEDIES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (said.DiskFull, "the server's disk is full: make room, then send it again"),
    (said.LockNotAvailable, "another process is writing for too long: send it again"),
    (said.ReadOnlySqlTransaction, "the server takes no writes: give the address of the primary server"),
    (said.InsufficientPrivilege, f"this user may not do that: GRANT CREATE on the database, or all on {SCHEMA!r}"),
    (said.InvalidPassword, "the server does not know this user and password: check the address"),
    (said.ProgramLimitExceeded, "an id or a person is too long for an index: give 2,048 bytes at most"),
    (psycopg.OperationalError, "the server does not answer: check the address and that it runs, then send it again"),
    (psycopg.InterfaceError, "the connection is closed: open the store again"),
)


@lru_cache(maxsize=256)
def _placed(sql: str) -> str:
    """Return a statement with the placeholders that psycopg wants."""
    return sql.replace("?", "%s")


class Postgres(Database):
    """A log in a PostgreSQL database, in a schema of its own; it connects again when the server was restarted.

    Parameters
    ----------
    url : str
        ``postgresql://user:password@host:port/database``, with any parameters of libpq.
    patience : float
        How many seconds to wait while another process writes.

    Raises
    ------
    StoreError
        If the server does not answer, or cannot hold the log.
    """

    any_text = "= ANY(?::text[])"
    any_number = "= ANY(?::bigint[])"

    def __init__(self, url: str, patience: float = 5.0) -> None:
        try:
            named = conninfo_to_dict(url)
        except psycopg.Error:  # its message may quote the address, and with it the password
            raise StoreError(
                "that is no address of PostgreSQL; write postgresql://user:password@host:port/database"
            ) from None
        self._name = f"PostgreSQL at {named.get('host', 'localhost')}, database {named.get('dbname', '')!r}"
        self._address = make_conninfo(url, **{key: value for key, value in _CONNECTION.items() if key not in named})
        self._patience = patience
        self._open, self._inside = True, False
        self._connection = self._connect()
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a new connection, set up."""
        if not self._open:
            raise StoreError(f"{self._name}: it has been closed: open it again")
        try:
            connection = psycopg.connect(self._address, autocommit=True)
        except psycopg.Error as error:
            raise self._told(error) from None
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise StoreError(f"{self._name} keeps text as {encoding}: create the database with ENCODING 'UTF8'")
        try:
            connection.execute(
                f"SET client_encoding TO 'UTF8'; SET search_path TO {SCHEMA}; "
                f"SET lock_timeout TO {int(self._patience * 1000)}; SET default_transaction_read_only TO off; {_PLANS}"
            )
            # A commit returns when it is on disk, whatever the server's default; what asks for more is left as it is.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
        except psycopg.Error as error:
            connection.close()
            raise self._told(error) from None
        return connection

    def _version(self) -> int:
        """Return how many steps the tables have taken."""
        # to_regclass would answer from a cache that does not hear what others made while we waited for the lock.
        there = self.rows("SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'meta'", (SCHEMA,))
        return int(self.rows("SELECT version FROM meta")[0][0]) if there else 0

    def _migrate(self) -> None:
        """Bring the tables up to date."""
        if not statements_after(self._version(), POSTGRES, self._name):
            return
        with self._block(f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({_MAKING})"):
            version = self._version()  # another may have been faster
            if not version:
                self.rows(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                self.rows("CREATE TABLE meta (version bigint NOT NULL)")
                self.rows("INSERT INTO meta (version) VALUES (0)")
            for statement in statements_after(version, POSTGRES, self._name):
                self.rows(statement)
            self.rows("UPDATE meta SET version = ?", (len(STEPS),))

    def _told(self, error: psycopg.Error) -> StoreError:
        """Return what the server says with what to do about it."""
        reason = " ".join(str(error).split())
        for kind, remedy in _REMEDIES:
            if isinstance(error, kind):
                return StoreError(f"{self._name}: {remedy} (PostgreSQL: {reason})")
        return StoreError(f"{self._name}: PostgreSQL refused: {reason}")

    def _execute(self, sql: str, values: Sequence[Any] | None = None) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement; once more on a new connection if the old one was lost with nothing begun on it."""
        try:
            if self._inside or not self._connection.closed:
                return self._connection.execute(sql, values, prepare=None if values else False)
        except psycopg.Error as error:
            if self._inside or not self._connection.closed:
                raise self._told(error) from None
        self._connection = self._connect()
        try:
            return self._connection.execute(sql, values, prepare=None if values else False)
        except psycopg.Error as error:
            raise self._told(error) from None

    @contextmanager
    def _block(self, begin: str) -> Iterator[None]:
        """Return a transaction that begins so; inside, a lost connection is not replaced."""
        try:
            self._execute(begin)
            self._inside = True
            yield
            try:
                self._execute("COMMIT")
            except StoreError as error:
                error.unsure = True  # the server may have done it, and only its answer is lost
                raise
        except BaseException:
            with suppress(psycopg.Error):
                if not self._connection.closed:
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._inside = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Return a block that is on disk when it ends, and of which nothing is there if it fails."""
        if self._inside:
            yield
            return
        with self._block(_BEGIN):
            yield

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all its rows."""
        cursor = self._execute(_placed(sql), values)
        return cursor.fetchall() if cursor.description else []

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement once for each row of values; return how many rows it changed in all."""
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_placed(sql), rows)
                return cursor.rowcount
        except psycopg.Error as error:
            raise self._told(error) from None

    def add_decisions(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert decisions, but those whose number or id is there; return how many were new."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[4] = [float(made) for made in columns[4]]
        return self._execute(_DECISIONS, columns).rowcount

    def add_outcomes(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert outcomes of positions that were shown and have none; return how many were new."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[3:] = [[float(value) for value in column] for column in columns[3:]]
        return self._execute(_OUTCOMES, columns).rowcount

    def among(self, values: Sequence[Any]) -> Any:
        """Return values as an array."""
        return list(values)

    def scrub(self) -> None:
        """Leave it to the server's vacuum, which overwrites what was deleted in its own time."""

    def settle(self) -> None:
        """Leave it to the server."""

    def compact(self) -> None:
        """Overwrite what was deleted now, as far as no other transaction can still see it."""
        self.rows("VACUUM decisions, outcomes, strays")

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._open = False
        self._connection.close()

"""The log in one file, by SQLite. Imports its own room, errors, and apsw, which carries an SQLite of its own.

SQLite before 3.51.3 can lose what is in the write-ahead log when two connections write or check-point at once
(https://sqlite.org/wal.html, "the WAL-reset bug"), so an older one is refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from typing import Any

import apsw

from revealed.errors import StoreError
from revealed.store.database import Database
from revealed.store.schema import SQLITE, STEPS, statements_after

OLDEST = (3, 51, 3)
#: "Rvld": how a file says that it is ours.
APPLICATION = 0x52766C64
#: Pages in the write-ahead log at which a transaction moves them into the file: 16 MiB. By then most have been moved
#: (:meth:`Sqlite.settle`), so that it is short.
_LOG_PAGES = 4096
#: The write-ahead log is cut back to this many bytes after it has grown.
_LOG_BYTES = 64 * 2**20

_DECISION = (
    "INSERT INTO decisions (seq, version, number, positions, made, person, asked, shown, propensities, context, "
    "candidates) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_OUTCOME = (
    "INSERT INTO outcomes (seq, decision, position, reward, came, received) SELECT ?1, ?2, ?3, ?4, ?5, ?6 "
    "FROM decisions WHERE number = ?2 AND ?3 BETWEEN 1 AND positions ON CONFLICT DO NOTHING"
)

_REMEDIES: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "the disk is full: make room, then send it again"),
    (apsw.ReadOnlyError, "it cannot be written: give this process the right to write to the file and its folder"),
    (apsw.PermissionsError, "it cannot be written: give this process the right to write to the file and its folder"),
    (apsw.BusyError, "another process is writing for too long: send it again"),
    (apsw.NotADBError, "it is not a log of decisions: choose another file"),
    (apsw.CorruptError, "the file is damaged: restore a backup"),
    (apsw.CantOpenError, "it cannot be opened: check that its folder is there and may be written to"),
    (apsw.IOError, "the disk does not answer as it should: see the system's log"),
    (apsw.ConnectionClosedError, "it has been closed: open it again"),
)


class Sqlite(Database):
    """A log in one file, in the mode of write-ahead logging, on disk after each transaction.

    Parameters
    ----------
    path : path
        A file that is there, or one to make. Not on a network file system.
    patience : float
        How many seconds to wait while another process writes.

    Raises
    ------
    StoreError
        If it cannot be opened, or is not ours.
    """

    any_text = any_number = "IN (SELECT value FROM json_each(?))"

    def __init__(self, path: str | PathLike[str], patience: float = 5.0) -> None:
        self._name, self._inside = fspath(path), False
        _require_version(apsw.sqlite_lib_version())
        try:
            self._connection = apsw.Connection(self._name)
        except apsw.Error as error:
            raise self._told(error) from None
        try:
            self._set_up(patience)
        except apsw.Error as error:
            self._connection.close()
            raise self._told(error) from None
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, patience: float) -> None:
        self._connection.set_busy_timeout(int(patience * 1000))
        if self._connection.readonly("main"):
            raise self._told(apsw.ReadOnlyError("attempt to write a readonly database"))
        self._require_ours()
        self._set_mode(patience)
        for setting in (
            "synchronous = FULL",  # a commit returns when the log is on disk
            "fullfsync = ON",  # macOS: on disk, not in the disk's memory
            "secure_delete = ON",  # what is deleted is overwritten
            "cache_size = -65536",
            f"journal_size_limit = {_LOG_BYTES}",
            f"wal_autocheckpoint = {_LOG_PAGES}",
        ):
            self._connection.execute(f"PRAGMA {setting}")
        self._migrate()

    def _require_ours(self) -> None:
        """Refuse the file of another application, before anything of it is changed."""
        self._connection.execute("BEGIN")  # both are of one moment, also where another process makes it just now
        application = self.rows("PRAGMA application_id")[0][0]
        tables = self.rows("SELECT count(*) FROM sqlite_schema")[0][0]
        self._connection.execute("COMMIT")
        if application != APPLICATION and (application or tables):
            raise StoreError(f"{self._name} is an SQLite file of another application: choose another file")

    def _set_mode(self, patience: float) -> None:
        """Turn the write-ahead log on; SQLite does not wait by itself when another process does so as well."""
        until = time.monotonic() + patience
        while True:
            try:
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchall()[0][0]
                break
            except apsw.BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(f"{self._name}: no write-ahead log can be kept there: choose a file on a local disk")

    def _migrate(self) -> None:
        """Bring the tables up to date; a file that is up to date is not written to."""
        version = self.rows("PRAGMA user_version")[0][0]
        if not statements_after(version, SQLITE, self._name):
            return
        with self.transaction():
            version = self.rows("PRAGMA user_version")[0][0]  # another may have been faster
            for statement in statements_after(version, SQLITE, self._name):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {len(STEPS)}")

    def _told(self, error: apsw.Error) -> StoreError:
        """Return what SQLite says with what to do about it."""
        for kind, remedy in _REMEDIES:
            if isinstance(error, kind):
                return StoreError(f"{self._name}: {remedy} (SQLite: {error})")
        return StoreError(f"{self._name}: SQLite refused: {error}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Return a block that is on disk when it ends, and of which nothing is there if it fails."""
        if self._inside:
            yield
            return
        ending = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._inside = True
            yield
            ending = True
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(apsw.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if isinstance(error, apsw.Error):
                told = self._told(error)
                # What stands in the write-ahead log, but was not told to be on disk, may be found there after a crash.
                told.unsure = ending and isinstance(error, apsw.IOError)
                raise told from None
            raise
        finally:
            self._inside = False

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all its rows."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise self._told(error) from None

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement once for each row of values; return how many rows it changed in all."""
        before = self._connection.total_changes()
        try:
            self._connection.executemany(sql, rows)
        except apsw.Error as error:
            raise self._told(error) from None
        return self._connection.total_changes() - before

    def add_decisions(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert decisions, but those whose number or id is there; return how many were new."""
        return self.many(_DECISION, rows)

    def add_outcomes(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert outcomes of positions that were shown and have none; return how many were new."""
        return self.many(_OUTCOME, rows)

    def among(self, values: Sequence[Any]) -> Any:
        """Return values as a JSON array."""
        return json.dumps(list(values))

    def scrub(self) -> None:
        """Move the write-ahead log into the file and cut it off, unless another process still reads what it holds.

        Then the last process that closes the file does so.
        """
        try:
            with suppress(apsw.BusyError):
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise self._told(error) from None

    def settle(self) -> None:
        """Move what can be moved of the write-ahead log into the file; nobody waits for it."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another does
            pass
        except apsw.Error as error:
            raise self._told(error) from None

    def compact(self) -> None:
        """Write the file anew: splits of pages leave copies of rows in what is unused of a page, out of reach else."""
        self.rows("VACUUM")
        self.scrub()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._connection.close()


def _require_version(version: str) -> None:
    """Refuse an SQLite that can lose what it was given."""
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST:
        raise StoreError(
            f"SQLite {version} can lose its write-ahead log when two connections write; version "
            f"{'.'.join(map(str, OLDEST))} or later is needed: pip install --upgrade apsw"
        )

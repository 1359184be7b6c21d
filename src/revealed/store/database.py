"""What a database must do to hold the log: the few things in which databases differ. Imports its own room only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any


class Database(ABC):
    """A connection to a database in which the tables are there and up to date.

    Statements hold ``?`` where a value goes. Whatever the database says is raised as
    :class:`~revealed.errors.StoreError`.
    """

    #: How a condition says that a column of texts or of whole numbers is among those of :meth:`among`.
    any_text: str
    any_number: str

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Return a block that is on disk when it ends, and of which nothing is there if it fails.

        There is one at a time, whichever process it is of: what it reads stays as it is until its end. One inside
        another is a part of that.
        """

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all its rows."""

    @abstractmethod
    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement once for each row of values; return how many rows it changed in all."""

    @abstractmethod
    def add_decisions(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert decisions, but those whose number or id is there; return how many were new.

        Each is seq, version, number, positions, made, person, asked, shown, propensities, context, candidates.
        """

    @abstractmethod
    def add_outcomes(self, rows: Sequence[Sequence[Any]]) -> int:
        """Insert outcomes of positions that were shown and have none; return how many were new.

        Each is seq, decision, position, reward, came, received.
        """

    @abstractmethod
    def among(self, values: Sequence[Any]) -> Any:
        """Return values as the one value that ``any_text`` and ``any_number`` take."""

    @abstractmethod
    def scrub(self) -> None:
        """Take what was deleted off the disk, as far as it is done at once."""

    @abstractmethod
    def settle(self) -> None:
        """Do what would otherwise keep a transaction waiting now and then, beside those who write."""

    @abstractmethod
    def compact(self) -> None:
        """Leave nothing on disk of what was deleted, and give the room back, however long it takes."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; a second time does nothing."""

"""What a log in memory and a stream from disk have in common. Imports its own room only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from revealed.choices.columns import Columns
from revealed.choices.facts import Facts
from revealed.choices.kinds import holds_numbers
from revealed.choices.levels import Levels
from revealed.choices.summary import Description

if TYPE_CHECKING:
    from revealed.choices.log import ChoiceLog


class Described(ABC):
    """Choices in long form that can be passed over: :class:`ChoiceLog` and :class:`ChoiceStream`.

    Attributes
    ----------
    columns : Columns
        Which column plays which role.
    counts : bool
        Whether ``chosen`` holds counts rather than 0/1.
    source : str
        Where the choices came from, for messages.
    """

    columns: Columns
    counts: bool
    source: str

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns and their types."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """The number of rows."""

    @property
    @abstractmethod
    def n_cases(self) -> int:
        """The number of choice situations."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is known without any model."""

    @abstractmethod
    def levels_of(self, name: str) -> Levels:
        """Return the sorted distinct labels of a column."""

    @abstractmethod
    def batches(self, columns: Iterable[str] | None = None) -> Iterator[ChoiceLog]:
        """Yield logs of whole cases, in order, with at least the columns named (all by default)."""

    @property
    def column_names(self) -> list[str]:
        """All columns."""
        return list(self.schema.names)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns without a role."""
        roles = set(self.columns.roles().values())
        return tuple(name for name in self.schema.names if name not in roles)

    def column_name(self, name: str) -> str:
        """Return the column that ``name`` (a column or a role) stands for.

        Raises
        ------
        SpecificationError
            If there is none, with the nearest names.
        """
        return self.columns.find(name, self.schema.names, self.source)

    def is_categorical(self, name: str) -> bool:
        """Whether a column holds labels rather than numbers."""
        return not holds_numbers(self.schema.field(self.column_name(name)).type)

    def describe(self) -> Description:
        """Return what there is, as data: cases, persons, shares, choice sets, attributes; one pass over all columns."""
        from revealed.choices.describe import describe

        return describe(self)

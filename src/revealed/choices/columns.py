"""Which column of a table plays which role in a choice. Imports only the errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from revealed.errors import DataError, Problem, nearest


@dataclass(frozen=True)
class Columns:
    """The names, in the user's own table, of the columns with a role.

    Parameters
    ----------
    case : str
        The choice situation; all rows with the same value are one choice.
    alternative : str
        What could be chosen.
    chosen : str
        True or 1 for the alternative taken; a count if the log is of counts.
    person : str, optional
        The decision maker. Without it each case is its own person.
    time : str, optional
        When the choice was made; anything that sorts.
    available : str, optional
        False or 0 where the alternative could not be chosen.
    weight : str, optional
        The weight of the case; the same on each of its rows.
    propensity : str, optional
        The probability with which the logging policy showed the row.
    """

    case: str = "case"
    alternative: str = "alternative"
    chosen: str = "chosen"
    person: str | None = None
    time: str | None = None
    available: str | None = None
    weight: str | None = None
    propensity: str | None = None

    def roles(self) -> dict[str, str]:
        """Return ``{role: column}`` for the roles that are filled."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {role: column for role, column in named.items() if column is not None}

    def resolve(self, name: str, present: Sequence[str]) -> str | None:
        """Return the column that ``name`` (a column or a role) stands for, or None.

        A column of that very name wins over a role.
        """
        if name in present:
            return name
        return self.roles().get(name)

    def require(self, present: Sequence[str], source: str) -> None:
        """Raise DataError naming each role whose column is not among ``present``."""
        problems = [
            Problem(
                what=f"no column {column!r} for the role {role!r}",
                remedy=f"name it with {role}=…; {nearest(column, present)}",
            )
            for role, column in self.roles().items()
            if column not in present
        ]
        if problems:
            raise DataError(source, problems)

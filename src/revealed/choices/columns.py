"""Which column of a table plays which role, and what is wrong with a table's roles. Imports only the errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from revealed.errors import Problem, SpecificationError, nearest

_OPTIONS = ("counts", "outside", "attributes", "where", "text")


class RoleNames(TypedDict, total=False):
    """The keywords by which :func:`revealed.read` and its like take the roles; see :class:`Columns`."""

    case: str
    alternative: str
    chosen: str
    person: str | None
    time: str | None
    available: str | None
    weight: str | None
    propensity: str | None


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
        return filled_roles(self)

    @classmethod
    def named(cls, columns: Columns | None, roles: Mapping[str, object]) -> Columns:
        """Return ``columns`` (or the defaults) with the roles given by keyword in place.

        Raises
        ------
        SpecificationError
            For a keyword that is no role, with the nearest ones, or a role that is not given as a name.
        """
        known = [field.name for field in fields(cls)]
        for role, column in roles.items():
            if role in ("delimiter", "sep", "encoding", "decimal", "missing"):
                raise SpecificationError(f"how a text file is written goes into text=: text=TextFormat({role}=…)")
            if role not in known:
                raise SpecificationError(f"no role or option {role!r}; {nearest(role, [*known, *_OPTIONS])}")
            require_name(role, column, optional=role not in ("case", "alternative", "chosen"))
        return replace(columns or cls(), **roles)  # type: ignore[arg-type]

    def resolve(self, name: str, present: Sequence[str]) -> str | None:
        """Return the column that ``name`` (a column or a role) stands for, or None.

        A column of that very name wins over a role.
        """
        if name in present:
            return name
        return self.roles().get(name)

    def find(self, name: str, present: Sequence[str], source: str) -> str:
        """Return the column that ``name`` (a column or a role) stands for.

        Raises
        ------
        SpecificationError
            If there is none, with the nearest names.
        """
        found = self.resolve(name, present)
        if found is None or found not in present:
            raise SpecificationError(f"no column {name!r} in {source}; {nearest(name, present)}")
        return found


def filled_roles(columns: Any) -> dict[str, str]:
    """Return ``{role: column}`` for the roles of a dataclass of columns that are filled."""
    named = {field.name: getattr(columns, field.name) for field in fields(columns)}
    return {role: column for role, column in named.items() if column is not None}


def require_name(role: str, column: object, *, optional: bool) -> None:
    """Raise SpecificationError unless a role is given the name of a column, or None where it is optional."""
    if not isinstance(column, str) and not (column is None and optional):
        raise SpecificationError(f"{role}= takes the name of a column, not {column!r}")


def role_problems(roles: Mapping[str, str], present: Sequence[str], may_share: Collection[str]) -> list[Problem]:
    """Return a problem for each role whose column is not there, with the nearest names, and for each column with two.

    Parameters
    ----------
    roles : mapping from role to column
    present : sequence of str
        The columns of the table.
    may_share : collection of str
        The two roles that one column may play.
    """
    missing = [
        Problem(f"no column {column!r} for the role {role!r}", f"name it with {role}=…; {nearest(column, present)}")
        for role, column in roles.items()
        if column not in present
    ]
    names = list(roles)
    doubled = [
        Problem(f"the roles {a!r} and {b!r} have the same column", "give each role a column of its own")
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if roles[a] == roles[b] and {a, b} != set(may_share)
    ]
    return missing + doubled
